"""The address table: who consumes, produces and watches which address, here and on other routers.

Why: forwarding, announcements to other routers, credit for producers, opening of tcpListeners and the tracking
messages to edge routers are all views of the same facts; they must change together.

What always holds:

* An address exists while something refers to it; mutators of unknown keys create it, the last reference removes it.
* For every address, `AnnounceUp` and `AnnounceDown` alternate, and so do `SourceUp` and `SourceDown`, and the
  values of `Reachable` for one watcher. They leave through `take_actions`, in the order of their causes.
* A consumer or producer is compared by identity and may be added once per address.

What counts as an announced consumer: every local one except in-process ones added without ``propagate``, and on an
edge router the proxies that stand for consumers beyond the uplink (``is_edge``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from skupper_podman.routerd.core.actions import (
    AnnounceChanged,
    AnnounceDown,
    AnnounceUp,
    Reachable,
    SourceDown,
    SourceUp,
    TableAction,
)
from skupper_podman.routerd.core.address import Mode, Rules, Treatment

ANNOUNCED_CLASSES = ("M", "H")


class Consumer(Protocol):
    """A local destination of an address: a receiver's link, a tcpConnector, an in-process subscription.

    ``conn`` is the number of its connection, None in-process. ``is_edge`` marks a link on an edge connection (on an
    edge router: a proxy link to the interior), ``mesh`` the mesh id of that connection. ``in_process`` marks
    subscriptions, which are preferred. ``backlog()`` counts undelivered and unsettled deliveries and streams;
    up to ``capacity`` of them the consumer is eligible for balanced distribution.
    """

    @property
    def conn(self) -> int | None:
        """Number of its connection, None in-process."""

    @property
    def mesh(self) -> str | None:
        """Mesh id of its edge connection, if any."""

    @property
    def is_edge(self) -> bool:
        """True for a link on an edge connection."""

    @property
    def in_process(self) -> bool:
        """True for a subscription inside the router."""

    @property
    def capacity(self) -> int:
        """Deliveries it takes before others are preferred."""

    def backlog(self) -> int:
        """Deliveries and streams on their way to it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """An interest in the reachability of an address; see `AddressTable.watch`."""

    watcher_id: int
    from_conn: int | None
    reachable: bool


class Address:
    """One entry of the table. Read freely; `AddressTable` alone changes it, but for counters and ``turn``.

    ``remotes`` maps each router with consumers to the mesh that holds all of them, or None. ``outstanding`` counts
    per next-hop connection the unsettled deliveries sent to it (`sent`, `settled`). Counters are of deliveries.
    """

    __slots__ = (
        "_announced",
        "_private",
        "_source",
        "consumers",
        "egress",
        "from_container",
        "ingress",
        "key",
        "outstanding",
        "priority",
        "producers",
        "ranked",
        "ranked_epoch",
        "remotes",
        "to_container",
        "tracked",
        "transit",
        "treatment",
        "turn",
        "watches",
    )

    def __init__(self, key: str, treatment: Treatment, priority: int | None) -> None:
        self.key = key
        self.treatment = treatment
        self.priority = priority
        self.consumers: list[Consumer] = []
        self.producers: list[object] = []
        self.remotes: dict[str, str | None] = {}
        self.watches: dict[int, Watch] = {}
        self.outstanding: dict[int, int] = {}
        self.turn = 0
        self.ranked: tuple[str, ...] = ()
        self.ranked_epoch = -1
        self.ingress = self.egress = self.transit = self.tracked = 0
        self.to_container = self.from_container = 0
        self._private: list[Consumer] = []
        self._announced: tuple[int, str | None] | None = None
        self._source = False

    def sent(self, conn: int) -> None:
        """An unsettled delivery went to a next-hop connection; until `settled` it weighs in balanced distribution."""
        self.outstanding[conn] = self.outstanding.get(conn, 0) + 1
        self.tracked += 1

    def settled(self, conn: int) -> None:
        """A delivery counted by `sent` is settled or lost."""
        count = self.outstanding.get(conn, 0) - 1
        if count > 0:
            self.outstanding[conn] = count
        else:
            self.outstanding.pop(conn, None)

    @property
    def in_process(self) -> int:
        """Number of in-process subscriptions."""
        return sum(consumer.in_process for consumer in self.consumers)

    @property
    def idle(self) -> bool:
        """True when nothing refers to the address."""
        return not (self.consumers or self.producers or self.remotes or self.watches)


class AddressTable:
    """All addresses this router knows, by key."""

    def __init__(self, mode: Mode = Mode.INTERIOR, rules: Rules | None = None) -> None:
        self.mode = mode
        self.rules = rules or Rules()
        self.on_change: Callable[[Address], None] | None = None
        """Called after each change of an address's consumers or remotes; for `core.edge.EdgePeers`."""
        self._addresses: dict[str, Address] = {}
        self._actions: list[TableAction] = []

    def __len__(self) -> int:
        return len(self._addresses)

    def __iter__(self) -> Iterator[Address]:
        return iter(tuple(self._addresses.values()))

    def get(self, key: str) -> Address | None:
        """The entry of a key."""
        return self._addresses.get(key)

    def take_actions(self) -> list[TableAction]:
        """The effects since the last call."""
        actions, self._actions = self._actions, []
        return actions

    # ------------------------------------------------------------------------------------------ local ends

    def add_consumer(
        self, key: str, consumer: Consumer, treatment: Treatment | None = None, propagate: bool = True
    ) -> Address:
        """Add a local destination; ``treatment`` is a hint for a new entry without configured rule.

        ``propagate`` False keeps an in-process consumer from being announced; other consumers always are.
        """
        address = self._entry(key, treatment)
        address.consumers.append(consumer)
        if consumer.in_process and not propagate:
            address._private.append(consumer)
        self._changed(address)
        return address

    def remove_consumer(self, key: str, consumer: Consumer) -> None:
        """Take a local destination away; unknown ones are ignored."""
        address = self._addresses.get(key)
        if address is not None and _discard(address.consumers, consumer):
            _discard(address._private, consumer)
            self._changed(address)

    def add_producer(self, key: str, producer: object, treatment: Treatment | None = None) -> Address:
        """Add a local source. On an edge router the proxy links that bring messages down are no producers."""
        address = self._entry(key, treatment)
        address.producers.append(producer)
        self._changed(address, reach=False)
        return address

    def remove_producer(self, key: str, producer: object) -> None:
        """Take a local source away; unknown ones are ignored."""
        address = self._addresses.get(key)
        if address is not None and _discard(address.producers, producer):
            self._changed(address, reach=False)

    def mesh_changed(self, conn: int) -> None:
        """The consumers on an edge connection have another ``mesh`` now."""
        for address in self:
            if any(consumer.conn == conn for consumer in address.consumers):
                self._changed(address)

    # ------------------------------------------------------------------------------------------ other routers

    def set_remote(
        self, key: str, router_id: str, present: bool, treatment: Treatment | None = None, mesh: str | None = None
    ) -> None:
        """Record that a router has, or no longer has, consumers; performs a `RemoteAddress` action."""
        address = self._entry(key, treatment) if present else self._addresses.get(key)
        if address is None:
            return
        if present:
            if router_id in address.remotes and address.remotes[router_id] == mesh:
                return
            address.remotes[router_id] = mesh
        elif router_id in address.remotes:
            del address.remotes[router_id]
        else:
            return
        address.ranked_epoch = -1
        self._changed(address)

    def router_lost(self, router_id: str) -> None:
        """Remove a router from every address."""
        for address in self:
            if router_id in address.remotes:
                self.set_remote(address.key, router_id, False)

    # ------------------------------------------------------------------------------------------ reachability

    def watch(
        self, key: str, watcher_id: int, from_conn: int | None = None, treatment: Treatment | None = None
    ) -> bool:
        """Follow whether messages to ``key`` can be delivered; gives the present state, no action.

        `Reachable` actions tell every change until `unwatch`. ``from_conn`` is the connection the messages would
        come from: consumers behind the same edge connection do not count. Watching again replaces the watch.
        """
        address = self._entry(key, treatment)
        reachable = self._reachable(address, from_conn)
        address.watches[watcher_id] = Watch(watcher_id, from_conn, reachable)
        self._changed(address, reach=False)
        return reachable

    def unwatch(self, key: str, watcher_id: int) -> None:
        """End a watch; unknown ones are ignored."""
        address = self._addresses.get(key)
        if address is not None and address.watches.pop(watcher_id, None) is not None:
            self._changed(address, reach=False)

    def edge_reachable(self, key: str, conn: int, mesh: str | None) -> bool:
        """Whether an edge router behind ``conn`` can reach ``key``: tracking state of reference section 4.3.

        Consumers behind the same connection or the same mesh do not count, on this router or on another.
        """
        address = self._addresses.get(key)
        if address is None:
            return False
        if any(remote is None or remote != mesh for remote in address.remotes.values()):
            return True
        return any(
            not (consumer.is_edge and (consumer.conn == conn or (mesh is not None and consumer.mesh == mesh)))
            for consumer in address.consumers
            if not _holds(address._private, consumer)
        )

    @staticmethod
    def _reachable(address: Address, from_conn: int | None) -> bool:
        if address.remotes:
            return True
        if from_conn is None:
            return bool(address.consumers)
        return any(not (consumer.is_edge and consumer.conn == from_conn) for consumer in address.consumers)

    # ------------------------------------------------------------------------------------------ consequences

    def _entry(self, key: str, treatment: Treatment | None) -> Address:
        address = self._addresses.get(key)
        if address is None:
            address = Address(key, self.rules.treatment(key, treatment), self.rules.priority(key))
            self._addresses[key] = address
        return address

    def _changed(self, address: Address, *, reach: bool = True) -> None:
        """Draw the consequences; ``reach`` False when neither consumers nor remotes are others than before."""
        if address.key[0] in ANNOUNCED_CLASSES:
            self._announce(address)
            self._source(address)
        for watch in tuple(address.watches.values()) if reach else ():
            reachable = self._reachable(address, watch.from_conn)
            if reachable != watch.reachable:
                address.watches[watch.watcher_id] = Watch(watch.watcher_id, watch.from_conn, reachable)
                self._actions.append(Reachable(address.key, watch.watcher_id, reachable))
        if reach and self.on_change is not None:
            self.on_change(address)
        if address.idle:
            self._addresses.pop(address.key, None)

    def _announce(self, address: Address) -> None:
        # Lazily: an address may have very many consumers, and the first one or two decide.
        announced = (consumer for consumer in address.consumers if self._counts(address, consumer))
        first = next(announced, None)
        before = address._announced
        if first is None:
            if before is not None:
                address._announced = None
                self._actions.append(AnnounceDown(address.key))
            return
        state = (len(address.producers), _sole_mesh(first, announced) if self.mode is Mode.INTERIOR else None)
        if state == before:
            return
        address._announced = state
        kind = AnnounceUp if before is None else AnnounceChanged
        self._actions.append(kind(address.key, address.treatment, *state))

    def _counts(self, address: Address, consumer: Consumer) -> bool:
        if consumer.in_process:
            return not _holds(address._private, consumer)
        return not (consumer.is_edge and self.mode is Mode.EDGE)

    def _source(self, address: Address) -> None:
        # An address served in this process (management) is never produced for upstream.
        source = bool(address.producers or address.watches) and (address._source or not address._private)
        if source != address._source:
            address._source = source
            self._actions.append(SourceUp(address.key) if source else SourceDown(address.key))


def _sole_mesh(first: Consumer, others: Iterator[Consumer]) -> str | None:
    """The mesh that holds all of the consumers, or None."""
    mesh = first.mesh if first.is_edge else None
    return mesh if mesh is not None and all(other.is_edge and other.mesh == mesh for other in others) else None


def _holds(items: list[Any], item: object) -> bool:
    return any(candidate is item for candidate in items)


def _discard(items: list[Any], item: object) -> bool:
    for index, candidate in enumerate(items):
        if candidate is item:
            del items[index]
            return True
    return False
