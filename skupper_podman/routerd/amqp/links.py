"""Links of an AMQP connection: `InLink` receives deliveries, `OutLink` sends them, `StreamPool` lends links to streams.

What always holds: an `OutLink` sends one unfinished delivery at a time, the others wait in order; a
link in a stream pool carries no delivery; credit is given back in batches, but never so late that a
sender with a full window would stop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from skupper_podman.routerd.amqp.incoming import InDelivery
from skupper_podman.routerd.amqp.outgoing import OutDelivery
from skupper_podman.routerd.amqp.wire import (
    ACCEPTED,
    MODIFIED,
    REJECTED,
    RELEASED,
    Pointer,
    cstring,
    discriminator,
    drop_damaged,
    lib,
    put_symbol,
    set_condition,
    text,
)
from skupper_podman.routerd.message import RouterAnnotations
from skupper_podman.routerd.streams import RELEASED_SETTLED, Discard, Outcome, Sink, Source, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.amqp.connection import AmqpConnection

DEFAULT_CAPACITY: Final = 250
#: Free streaming links kept per connection; more are closed little by little.
POOL_LIMIT: Final = 128
_SCRUB: Final = 10
#: Unsettled or unsent deliveries on one link beyond which it gets no further ones.
MAX_OUTSTANDING: Final = 20_000
#: Octets in the session of a link that make a message without its own window wait.
LINK_BACKLOG: Final = 512 * 1024
#: The part of a session's window that deliveries which are held back may fill before they are taken out of the way.
_CROWD: Final = 8

#: Seconds from which on a delivery counts as delayed, and as delayed for long.
DELAYED: Final = 1.0
LONG_DELAYED: Final = 10.0


def _nowhere(_delivery: InDelivery, _start: Start) -> Sink | Outcome:
    return RELEASED_SETTLED


Route = Callable[[InDelivery, Start], "Sink | Outcome"]
_BLANK: Final = RouterAnnotations()
_OUTCOMES: Final = {ACCEPTED: "accepted", REJECTED: "rejected", RELEASED: "released", MODIFIED: "modified"}


class Counters:
    """What management reports about a link."""

    __slots__ = (
        *("accepted", "deliveries", "delayed_10sec", "delayed_1sec", "dropped", "modified", "presettled", "rejected"),
        "released",
    )

    def __init__(self) -> None:
        self.deliveries = self.presettled = self.dropped = 0
        self.delayed_1sec = self.delayed_10sec = 0
        self.accepted = self.rejected = self.released = self.modified = 0

    def count(self, outcome: Outcome) -> None:
        """Count a final outcome."""
        name = _OUTCOMES.get(outcome.state)
        if name is not None:
            setattr(self, name, getattr(self, name) + 1)

    def count_delay(self, seconds: float) -> None:
        """Count a delivery that had to wait longer than `DELAYED` for its outcome."""
        if seconds > LONG_DELAYED:
            self.delayed_10sec += 1
        else:
            self.delayed_1sec += 1


class Link:
    """What both directions share: names, addresses and the way out."""

    incoming = False

    def __init__(self, conn: AmqpConnection, pointer: Pointer, *, kind: str = "endpoint") -> None:
        self.conn = conn
        self.pointer = pointer
        self.name = text(lib.pn_link_name(pointer)) or ""
        self.kind = kind
        self.identity = conn.router.next_identity()
        self.address: str | None = None
        self.owning_key: str | None = None
        self.capacity = DEFAULT_CAPACITY
        self.priority: int | None = None
        self.counters = Counters()
        self.on_closed: Callable[[], None] | None = None
        conn.links[pointer] = self

    @property
    def annotated(self) -> bool:
        """Whether messages on this link carry the router-annotations section."""
        role = self.conn.role
        return role.annotated_in if self.incoming else role.annotated_out

    def close(self, name: str | None = None, description: str = "") -> None:
        """Detach for good, with an error when `name` is given; memory goes when the peer answers."""
        if self.conn.closed or self.pointer is None:
            return
        if name is not None:
            set_condition(lib.pn_link_condition(self.pointer), name, description)
        lib.pn_link_close(self.pointer)
        self.conn.touch()

    def gone(self) -> None:
        """The link does not exist any more: its deliveries are lost."""
        pointer, self.pointer = self.pointer, None
        if pointer is None:
            return
        self.conn.links.pop(pointer, None)
        for held in [held for held in self.conn.deliveries.items() if getattr(held[1], "link", None) is self]:
            held[1].on_lost()
            self.conn.deliveries.pop(held[0], None)
        if self.on_closed is not None:
            callback, self.on_closed = self.on_closed, None
            callback()

    def on_flow(self) -> None:
        """Credit or progress; of interest to senders only."""

    def on_delivery(self, delivery: Pointer) -> None:
        """An unknown delivery; of interest to receivers only."""


class InLink(Link):
    """A link on which this router receives."""

    incoming = True

    def __init__(self, conn: AmqpConnection, pointer: Pointer, route: Route, *, kind: str = "endpoint") -> None:
        super().__init__(conn, pointer, kind=kind)
        self.route = route
        self.streaming = False
        self.credit_on_settle = False
        self.blank_annotations = _BLANK
        self.unsettled = 0
        self._owed = 0
        self._batch = 1

    def gone(self) -> None:
        """The link does not exist any more."""
        super().gone()
        self.route = _nowhere

    def grant(self, capacity: int = DEFAULT_CAPACITY) -> None:
        """Give the peer its window of deliveries."""
        self.capacity = capacity
        self._batch = max(1, capacity // 8)
        self._owed = 0
        lib.pn_link_flow(self.pointer, capacity - max(0, min(capacity, lib.pn_link_credit(self.pointer))))
        self.conn.touch()

    def on_delivery(self, delivery: Pointer) -> None:
        """Take the delivery that is first in line; `delivery` itself may be behind it or long done."""
        self.next_delivery()

    def next_delivery(self) -> None:
        """Take deliveries until one is unfinished or none is left."""
        conn = self.conn
        while self.pointer is not None:
            pointer = lib.pn_link_current(self.pointer)
            if not pointer or pointer in conn.deliveries:
                return
            delivery = InDelivery(self, pointer)
            conn.deliveries[pointer] = delivery
            self.unsettled += 1
            if not delivery.pump():
                return

    def crowded(self) -> bool:
        """Whether what nobody has read fills a good part of what the peer may send in this link's session."""
        session = lib.pn_link_session(self.pointer)
        return bool(lib.pn_session_incoming_bytes(session) > lib.pn_session_get_incoming_capacity(session) // _CROWD)

    def received(self, presettled: bool) -> None:
        """A delivery is complete."""
        self.counters.deliveries += 1
        if presettled:
            self.counters.presettled += 1
            self.conn.router.counters.presettled += 1
        if presettled or not self.credit_on_settle:
            self._replenish()

    def settled(self, outcome: Outcome, delay: float) -> None:
        """An unsettled delivery has got its outcome, after so many seconds."""
        self.counters.count(outcome)
        totals = self.conn.router.counters
        totals.count_outcome(outcome.state)
        if delay > DELAYED:
            self.counters.count_delay(delay)
            totals.delayed_10sec += delay > LONG_DELAYED
            totals.delayed_1sec += delay <= LONG_DELAYED
        if self.credit_on_settle:
            self._replenish()

    def _replenish(self) -> None:
        self._owed += 1
        if self._owed >= self._batch and self.pointer is not None:
            lib.pn_link_flow(self.pointer, self._owed)
            self._owed = 0
            self.conn.touch()


class OutLink(Link):
    """A link on which this router sends."""

    def __init__(self, conn: AmqpConnection, pointer: Pointer, *, kind: str = "endpoint") -> None:
        super().__init__(conn, pointer, kind=kind)
        self.active: OutDelivery | None = None
        self.queue: deque[OutDelivery] = deque()
        self.outstanding = 0
        self.may_drain = False
        self.session: Pointer = lib.pn_link_session(pointer)
        self.on_finished: Callable[[OutLink], None] | None = None
        self._waiters: dict[Source, None] = {}

    def send(self, octets: bytes) -> None:
        """Send a complete presettled message of the router itself; dropped when the peer takes none for long."""
        if self.over_capacity() or self.full():
            self.counters.dropped += 1
            self.conn.router.counters.dropped += 1
            return
        self.counters.presettled += 1
        OutDelivery(self).send(octets)

    def over_capacity(self) -> bool:
        """Whether as many deliveries wait as the peer may at most be behind."""
        return self.backlog() >= self.capacity

    def backlog(self) -> int:
        """Deliveries not sent or not settled."""
        if self.pointer is None:
            return 0
        return max(self.outstanding, int(lib.pn_link_queued(self.pointer)) + len(self.queue))

    def over_limit(self) -> bool:
        """Whether octets of this link's session wait for the peer's window or credit."""
        # Not what waits here: what is in the queue must not hold back what goes before it.
        return self.pointer is not None and lib.pn_session_outgoing_bytes(self.session) > LINK_BACKLOG

    def full(self) -> bool:
        """Whether the peer is so far behind, by octets or by deliveries, that it gets no further messages."""
        if self.pointer is None or self.conn.lost or self.outstanding >= MAX_OUTSTANDING:
            return True
        return self.conn.outgoing_bytes(self.session) > self.conn.session_share()

    def drop(self, start: Start) -> Discard:
        """A sink for a message that does not fit any more."""
        if start.settled:
            self.counters.dropped += 1
            self.conn.router.counters.dropped += 1
        return Discard()

    def kept(self, size: int) -> None:
        """So many octets more (or less) wait outside proton."""
        waiting = self.conn.waiting
        waiting[self.session] = waiting.get(self.session, 0) + size

    def wait(self, source: Source) -> None:
        """Resume `source` once octets of this link have gone out."""
        self._waiters[source] = None

    def on_flow(self) -> None:
        """Octets have gone out or credit has come, perhaps with the wish to have it used up."""
        active = self.active
        if active is not None and active.waits:
            active.refill()
        if self.may_drain and self.active is None:
            pointer = self.pointer
            if lib.pn_link_get_drain(pointer) and not lib.pn_link_queued(pointer):
                lib.pn_link_drained(pointer)
                self.conn.touch()
        if self._waiters and (self.active is None or not self.over_limit()):
            waiters, self._waiters = self._waiters, {}
            for waiter in waiters:
                waiter.resume()

    def attach(self, delivery: OutDelivery) -> None:
        """A delivery begins, now or when those before it are finished."""
        self.outstanding += 1
        self.counters.deliveries += 1
        if self.active is None:
            self.active = delivery
        else:
            self.queue.append(delivery)

    def detach(self, delivery: OutDelivery) -> None:
        """A delivery is settled or lost."""
        self.outstanding -= 1

    def withdraw(self, delivery: OutDelivery) -> None:
        """A delivery that has not begun is aborted."""
        self.outstanding -= 1
        if delivery in self.queue:
            self.queue.remove(delivery)

    def finished(self, delivery: OutDelivery) -> None:
        """The active delivery has been given to proton completely, or aborted."""
        if self.active is not delivery:
            return
        if self.queue:
            self.active = self.queue.popleft()
            self.active.activate()
            return
        self.active = None
        if self.on_finished is not None:
            self.on_finished(self)

    def gone(self) -> None:
        """The link does not exist any more."""
        queue, self.queue = self.queue, deque()
        self.active = None
        waiters, self._waiters = self._waiters, {}
        self.on_finished = None
        super().gone()
        for delivery in queue:
            delivery.on_lost()
        for waiter in waiters:
            waiter.resume()


class StreamPool:
    """Links for streams towards one connection; each is used by one stream at a time and then again."""

    def __init__(self, conn: AmqpConnection, capability: str | None, *, watched: bool) -> None:
        self._conn = conn
        self._watched = watched
        self._capability = capability
        self._session: Pointer | None = None
        self._free: list[OutLink] = []

    def take(self) -> OutLink:
        """A link without a delivery; a new one is attached when none is free."""
        while self._free:
            link = self._free.pop()
            if link.pointer is not None:
                return link
        return self._attach()

    def prepare(self, count: int) -> None:
        """Have links ready: the first streams need not wait a round trip for credit."""
        self._free += [self._attach() for _ in range(count)]

    def scrub(self) -> None:
        """Close a few of the free links beyond the limit; not one whose last delivery is still unsettled."""
        surplus = min(_SCRUB, len(self._free) - POOL_LIMIT)
        for link in [link for link in self._free if link.outstanding == 0][: max(0, surplus)]:
            self._free.remove(link)
            link.close()

    def _attach(self) -> OutLink:
        conn = self._conn
        if self._session is None:
            self._session = conn.begin_session(watched=self._watched)
        pointer = new_link(self._session, sender=True, capability=self._capability)
        link = OutLink(conn, pointer, kind="inter-router" if self._capability else "endpoint")
        link.on_finished = self._finished
        lib.pn_link_open(pointer)
        conn.touch()
        return link

    def _finished(self, link: OutLink) -> None:
        self._free.append(link)


def new_link(
    session: Pointer,
    *,
    sender: bool,
    capability: str | None = None,
    source: str | None = None,
    target: str | None = None,
) -> Pointer:
    """A link of our own, not yet open, with the termini and the name a router gives it."""
    name = cstring("qdlink." + discriminator())
    pointer = lib.pn_sender(session, name) if sender else lib.pn_receiver(session, name)
    for terminus, address in ((lib.pn_link_source(pointer), source), (lib.pn_link_target(pointer), target)):
        if address is not None:
            lib.pn_terminus_set_address(terminus, cstring(address))
        lib.pn_terminus_set_expiry_policy(terminus, lib.PN_EXPIRE_WITH_LINK)
        if capability is not None:
            put_symbol(lib.pn_terminus_capabilities(terminus), capability)
    return pointer


_TERMINUS_DATA: Final = (
    lib.pn_terminus_capabilities,
    lib.pn_terminus_properties,
    lib.pn_terminus_outcomes,
    lib.pn_terminus_filter,
)


def echo_termini(pointer: Pointer) -> None:
    """Answer an attach with the termini that came."""
    lib.pn_terminus_copy(lib.pn_link_source(pointer), lib.pn_link_remote_source(pointer))
    lib.pn_terminus_copy(lib.pn_link_target(pointer), lib.pn_link_remote_target(pointer))
    for terminus in (lib.pn_link_source(pointer), lib.pn_link_target(pointer)):
        for part in _TERMINUS_DATA:
            drop_damaged(part(terminus))
    # Proton takes a source without address for none; answering with none would announce a refusal.
    lib.pn_terminus_set_type(lib.pn_link_source(pointer), lib.PN_SOURCE)
    lib.pn_terminus_set_type(lib.pn_link_target(pointer), lib.PN_TARGET)


def refuse(conn: AmqpConnection, pointer: Pointer, name: str, description: str) -> None:
    """Answer an attach with null termini and a detach that says why."""
    lib.pn_terminus_set_type(lib.pn_link_source(pointer), lib.PN_UNSPECIFIED)
    lib.pn_terminus_set_type(lib.pn_link_target(pointer), lib.PN_UNSPECIFIED)
    lib.pn_link_open(pointer)
    set_condition(lib.pn_link_condition(pointer), name, description)
    lib.pn_link_close(pointer)
    conn.touch()
