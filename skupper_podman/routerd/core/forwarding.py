"""Where a delivery goes: the treatments of reference section 3.9 and the edge rules of 4.5 and 4.6.

Why: one decision per delivery, made once its head is known; it runs for each TCP connection, so it touches only what
the address lists.

What always holds:

* A decision names each consumer and each next-hop connection at most once; without any it says why.
* No delivery goes to a neighbour that its trace contains, nor back into the edge (or mesh) it came from; together
  with valid origins and the trace limit this keeps deliveries from circling while routers disagree.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from skupper_podman.routerd.core.address import CONTROL_KEYS, UPLINK_KEY, Mode, Treatment
from skupper_podman.routerd.core.table import Address, AddressTable, Consumer

LINK_CAPACITY = 250
"""Outstanding deliveries up to which a next-hop connection is eligible for balanced distribution."""


class Paths(Protocol):
    """What forwarding asks of `Routing`; connections are numbers of the caller."""

    own_id: str
    epoch: int

    @property
    def radius(self) -> int:
        """Hops to the most distant router."""

    def next_hop(self, router_id: str) -> int | None:
        """Connection towards a router, None while unreachable."""

    def cost(self, router_id: str) -> int | None:
        """Cost of the path to a router."""

    def valid_origin(self, router_id: str, origin: str) -> bool:
        """True when messages from router ``origin`` to ``router_id`` pass here."""

    def knows(self, router_id: str) -> bool:
        """True for this router and every router it has heard of."""

    def flood_connections(self) -> Sequence[int]:
        """Every next hop, once."""

    def trace_connections(self, nodes: Sequence[str]) -> Collection[int]:
        """Connections of the neighbours among the routers ``nodes``."""


# Not frozen, as `Decision` is not: both are made for each message, and freezing doubles what that takes.
@dataclass(slots=True)
class Origin:
    """What forwarding needs to know of a delivery besides its destination.

    ``ingress`` and ``trace`` hold router ids (not node strings); ``ingress`` None means this router. ``in_conn`` is
    the connection it came in on, None from inside; ``in_edge`` tells that this is an edge connection, ``in_mesh`` is
    the annotation's mesh id. ``from_router`` marks deliveries of inter-router links, ``control`` those of control
    links or of this router's own routing engine. ``excluded`` are connections that refused the delivery before.
    """

    ingress: str | None = None
    trace: tuple[str, ...] = ()
    in_conn: int | None = None
    in_mesh: str | None = None
    in_edge: bool = False
    from_router: bool = False
    control: bool = False
    excluded: frozenset[int] = frozenset()


@dataclass(slots=True)
class Decision:
    """Where one delivery goes, or its ``outcome`` (``released`` or ``rejected``) and the ``reason``.

    ``remotes`` are next-hop connections; ``uplink`` means the edge router's anonymous link to its interior.
    ``condition`` is the AMQP error condition of a rejection. ``address`` is the table entry, when there is one: count
    unsettled deliveries to remotes with its ``sent`` and ``settled``.
    """

    address: Address | None = None
    locals: tuple[Consumer, ...] = ()
    remotes: tuple[int, ...] = ()
    uplink: bool = False
    outcome: str | None = None
    reason: str = ""
    condition: str | None = None

    @property
    def fanout(self) -> int:
        """Number of copies."""
        return len(self.locals) + len(self.remotes) + self.uplink


_NOWHERE = "no destination"
_TOO_LONG = Decision(outcome="released", reason="trace longer than the network is wide")
_NOT_CONTROL = Decision(outcome="released", reason="routing message from a link that is not a control link")


def route(table: AddressTable, paths: Paths | None, key: str, origin: Origin, uplink: bool = False) -> Decision:
    """Decide on one delivery to ``key``.

    ``paths`` is None on edge and standalone routers; ``uplink`` tells that an edge router has an active connection.
    """
    if key in CONTROL_KEYS and not origin.control:
        return _NOT_CONTROL
    # A router that is not reachable yet has radius 0, and yet hears the routing messages that make it reachable.
    if paths is not None and len(origin.trace) > max(paths.radius, 1) + 1:
        return _TOO_LONG
    if key[0] == "R":
        return _to_router(paths, key[1:], origin)
    address = table.get(key)
    if key[0] == "T":
        return _flood(paths, address, origin)
    decision = _by_treatment(table, paths, address, origin) if address is not None else None
    if decision is not None and (decision.outcome or decision.fanout):
        return decision
    if uplink and table.mode is Mode.EDGE and not origin.in_edge and (key[0] == "M" or key == UPLINK_KEY):
        return Decision(address, uplink=True)
    return Decision(address, outcome="released", reason=_NOWHERE)


def _by_treatment(table: AddressTable, paths: Paths | None, address: Address, origin: Origin) -> Decision:
    treatment = address.treatment
    if treatment is Treatment.CLOSEST:
        return _closest(table.mode, paths, address, origin)
    if treatment is Treatment.BALANCED:
        return _balanced(table.mode, paths, address, origin)
    if treatment is Treatment.UNAVAILABLE:
        if origin.from_router:
            return Decision(address, outcome="released", reason=_NOWHERE)
        return Decision(address, outcome="rejected", reason="Node not found", condition="amqp:not-found")
    return _multicast(table.mode, paths, address, origin)


def _echo(mode: Mode, consumer: Consumer, origin: Origin) -> bool:
    """True when sending there would take the delivery back where it came from."""
    if not consumer.is_edge:
        return False
    if consumer.mesh is not None and consumer.mesh == origin.in_mesh and mode is not Mode.EDGE:
        return True
    return origin.in_edge and (mode is Mode.EDGE or consumer.conn == origin.in_conn)


def _usable(mode: Mode, consumer: Consumer, origin: Origin) -> bool:
    return not _echo(mode, consumer, origin) and consumer.conn not in origin.excluded


# ---------------------------------------------------------------------------------------------- one copy


def _to_router(paths: Paths | None, router_id: str, origin: Origin) -> Decision:
    # No valid-origin check: one copy cannot multiply, and routing messages must pass while routers still disagree.
    conn = paths.next_hop(router_id) if paths is not None else None
    if conn is None or conn in _exclusions(paths, origin):
        return Decision(outcome="released", reason=f"no path to router {router_id}")
    return Decision(remotes=(conn,))


def _exclusions(paths: Paths | None, origin: Origin) -> Collection[int]:
    if paths is None or not origin.trace:
        return origin.excluded
    return origin.excluded.union(paths.trace_connections(origin.trace))


def _turned(address: Address, mode: Mode, origin: Origin, in_process: bool) -> Consumer | None:
    """The next usable consumer in rotation."""
    consumers = address.consumers
    count = len(consumers)
    for step in range(count):
        index = (address.turn + step) % count
        consumer = consumers[index]
        if consumer.in_process == in_process and _usable(mode, consumer, origin):
            address.turn = (index + 1) % count
            return consumer
    return None


def _closest(mode: Mode, paths: Paths | None, address: Address, origin: Origin) -> Decision:
    consumer = _turned(address, mode, origin, True) or _turned(address, mode, origin, False)
    if consumer is not None:
        return Decision(address, locals=(consumer,))
    if paths is not None and address.remotes:
        conn = _closest_remote(paths, address, origin)
        if conn is not None:
            return Decision(address, remotes=(conn,))
    return Decision(address)


def _closest_remote(paths: Paths, address: Address, origin: Origin) -> int | None:
    """Next hop of the cheapest router with consumers that may be served from the origin; equal costs take turns."""
    ranked = _ranked(paths, address)
    source = _source(paths, origin)
    exclusions = _exclusions(paths, origin)
    cheapest = 0
    while cheapest < len(ranked) and paths.cost(ranked[cheapest]) == paths.cost(ranked[0]):
        cheapest += 1
    if cheapest > 1:
        turn = address.turn % cheapest
        ranked = ranked[turn:cheapest] + ranked[:turn] + ranked[cheapest:]
        address.turn += 1
    for router_id in ranked:
        conn = paths.next_hop(router_id)
        if conn is not None and conn not in exclusions and paths.valid_origin(router_id, source):
            return conn
    return None


def _ranked(paths: Paths, address: Address) -> tuple[str, ...]:
    """Routers with consumers by cost, reachable ones only; kept until paths or routers change."""
    if address.ranked_epoch != paths.epoch:
        costs = [(cost, router_id) for router_id in address.remotes if (cost := paths.cost(router_id)) is not None]
        address.ranked = tuple(router_id for _, router_id in sorted(costs))
        address.ranked_epoch = paths.epoch
    return address.ranked


def _source(paths: Paths, origin: Origin) -> str:
    """The router a delivery counts as coming from: this one when nothing better is known."""
    ingress = origin.ingress
    return ingress if ingress is not None and paths.knows(ingress) else paths.own_id


def _balanced(mode: Mode, paths: Paths | None, address: Address, origin: Origin) -> Decision:
    inside = _turned(address, mode, origin, True)
    if inside is not None:
        return Decision(address, locals=(inside,))
    consumer, rank = _least_loaded(mode, address, origin)
    if paths is not None and address.remotes and rank > (0, 0):
        conn, remote_rank = _lightest_remote(paths, address, origin)
        if conn is not None and remote_rank < rank:
            return Decision(address, remotes=(conn,))
    return Decision(address, locals=(consumer,)) if consumer is not None else Decision(address)


_NONE = (2, 0)


def _least_loaded(mode: Mode, address: Address, origin: Origin) -> tuple[Consumer | None, tuple[int, int]]:
    """The local consumer with the smallest backlog and its rank: (0 eligible or 1 at capacity, backlog)."""
    best: Consumer | None = None
    best_rank = _NONE
    consumers = address.consumers
    count = len(consumers)
    for step in range(count):
        index = (address.turn + step) % count
        consumer = consumers[index]
        if not _usable(mode, consumer, origin):
            continue
        backlog = consumer.backlog()
        rank = (0 if backlog < consumer.capacity else 1, backlog)
        if rank < best_rank:
            best, best_rank = consumer, rank
            if backlog == 0 and rank[0] == 0:
                address.turn = (index + 1) % count
                break
    return best, best_rank


def _lightest_remote(paths: Paths, address: Address, origin: Origin) -> tuple[int | None, tuple[int, int]]:
    """The next hop with the smallest sum of outstanding deliveries and cost, and its rank as above."""
    best: int | None = None
    best_rank = _NONE
    source = _source(paths, origin)
    exclusions = _exclusions(paths, origin)
    for router_id in _ranked(paths, address):
        conn = paths.next_hop(router_id)
        if conn is None or conn in exclusions or not paths.valid_origin(router_id, source):
            continue
        outstanding = address.outstanding.get(conn, 0)
        rank = (0 if outstanding < LINK_CAPACITY else 1, outstanding + (paths.cost(router_id) or 0))
        if rank < best_rank:
            best, best_rank = conn, rank
    return best, best_rank


# ---------------------------------------------------------------------------------------------- many copies


def _multicast(mode: Mode, paths: Paths | None, address: Address, origin: Origin) -> Decision:
    consumers = tuple(consumer for consumer in address.consumers if _usable(mode, consumer, origin))
    remotes: dict[int, None] = {}
    if paths is not None and address.remotes:
        source = paths.own_id if origin.ingress is None else origin.ingress
        exclusions = _exclusions(paths, origin)
        for router_id in address.remotes:
            conn = paths.next_hop(router_id)
            if conn is not None and conn not in exclusions and paths.valid_origin(router_id, source):
                remotes[conn] = None
    uplink = mode is Mode.EDGE and not origin.in_edge and not _followed(address)
    return Decision(address, consumers, tuple(remotes), uplink and bool(consumers))


def _followed(address: Address) -> bool:
    """True on an edge when tracking tells whether the network has consumers: then a proxy consumer stands for them."""
    return bool(address.producers or address.watches)


def _flood(paths: Paths | None, address: Address | None, origin: Origin) -> Decision:
    consumers = tuple(address.consumers) if address is not None else ()
    remotes: tuple[int, ...] = ()
    if paths is not None:
        exclusions = _exclusions(paths, origin)
        remotes = tuple(conn for conn in paths.flood_connections() if conn not in exclusions)
    if not consumers and not remotes:
        return Decision(address, outcome="released", reason=_NOWHERE)
    return Decision(address, consumers, remotes)
