"""Links with addresses, as clients and edge routers attach them: consumers and producers of the address table.

What always holds: a consumer or producer is in the table exactly while its link is attached; a sender to
an address has credit only once somebody can take its messages; a temporary address is gone with the
link that asked for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skupper_podman.routerd.amqp.incoming import InDelivery
from skupper_podman.routerd.amqp.links import InLink, OutLink, echo_termini, refuse
from skupper_podman.routerd.amqp.outgoing import OutDelivery
from skupper_podman.routerd.amqp.wire import Pointer, cstring, discriminator, lib, symbols, text
from skupper_podman.routerd.core.address import CONTROL_KEYS, UPLINK_KEY, Treatment
from skupper_podman.routerd.streams import Outcome, Sink, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.amqp.connection import AmqpConnection

NO_ROUTE: Final = ("qd:no-route-to-dest", "No route to the destination node")
FORBIDDEN: Final = ("qd:forbidden", "Connectivity to the node is forbidden")
WRONG_ROLE: Final = "qd:connection-role"


class LinkConsumer:
    """An outgoing link as a destination of its address."""

    in_process = False

    def __init__(self, link: OutLink) -> None:
        self.link = link
        self.conn: int | None = link.conn.identity
        self.moved = 0

    @property
    def mesh(self) -> str | None:
        """Mesh id of the edge behind the connection."""
        return self.link.conn.mesh

    @property
    def is_edge(self) -> bool:
        """Whether the link leads to an edge router, or on an edge router to its interior."""
        return self.link.conn.role_name == "edge"

    @property
    def capacity(self) -> int:
        """Deliveries it takes before others are preferred."""
        return self.link.capacity

    def backlog(self) -> int:
        """Deliveries not settled yet, streams included."""
        return self.link.backlog() + self.moved

    def sink(self, start: Start) -> Sink:
        """A delivery on the link, or for a stream on a streaming link of the same connection."""
        conn = self.link.conn
        if self.link.full():
            return self.link.drop(start)
        if start.complete or not conn.takes_streams:
            return OutDelivery(self.link)
        delivery = conn.stream(start)
        self.moved += 1
        delivery.on_end = self._stream_over
        return delivery

    def _stream_over(self) -> None:
        self.moved -= 1


def capabilities(conn_pointer: Pointer, *, sender: bool) -> frozenset[str]:
    """The capabilities that tell a link's kind: of the remote source where we send, of the remote target elsewhere."""
    terminus = lib.pn_link_remote_source(conn_pointer) if sender else lib.pn_link_remote_target(conn_pointer)
    return symbols(lib.pn_terminus_capabilities(terminus))


def attach_receiving(conn: AmqpConnection, pointer: Pointer) -> InLink | None:
    """The peer wants to send: to the address of its target, or wherever each message says."""
    target = lib.pn_link_remote_target(pointer)
    address = text(lib.pn_terminus_get_address(target))
    dynamic = bool(lib.pn_terminus_is_dynamic(target))
    if lib.pn_terminus_get_type(target) != lib.PN_TARGET:
        refuse(conn, pointer, *NO_ROUTE)
        return None
    echo_termini(pointer)
    router = conn.router
    if dynamic:
        address = router.namespace.temporary_target(discriminator())
        lib.pn_terminus_set_address(lib.pn_link_target(pointer), cstring(address))
    if not address:
        return open_anonymous(conn, pointer)
    key = router.namespace.key(address)
    if key in CONTROL_KEYS or router.treatment(key) is Treatment.UNAVAILABLE:
        refuse(conn, pointer, "amqp:not-found", "Node not found")
        return None
    return _Producer(conn, pointer, address, key).link


def open_anonymous(conn: AmqpConnection, pointer: Pointer) -> InLink:
    """A link whose messages each say where they go."""
    switch = conn.router.switch
    link = InLink(conn, pointer, lambda delivery, start: switch.from_link(delivery.link, start, None, None))
    link.credit_on_settle = conn.is_client
    lib.pn_link_open(pointer)
    link.grant(conn.settings.capacity)
    return link


class _Producer:
    """A link towards one address."""

    def __init__(self, conn: AmqpConnection, pointer: Pointer, address: str, key: str) -> None:
        self._conn = conn
        self._router = conn.router
        self._address = address
        self._key = key
        self.link = InLink(conn, pointer, self._route)
        link = self.link
        link.address = address
        link.owning_key = key
        link.credit_on_settle = conn.is_client
        wanted = capabilities(pointer, sender=False)
        link.streaming = "qd.streaming-deliveries" in wanted
        link.on_closed = self._closed
        self._granted = False
        lib.pn_link_open(pointer)
        conn.touch()
        self._watch: int | None = None
        if key[0] in "RTA" or key == UPLINK_KEY:
            # Whether such a destination exists is known at another router only.
            self._reachable(True)
            return
        self._router.add_producer(key, link, conn)
        self._watch = self._router.watch(key, self._reachable, from_conn=conn.identity)

    def _route(self, _delivery: InDelivery, start: Start) -> Sink | Outcome:
        return self._router.switch.from_link(self.link, start, self._address, self._key)

    def _reachable(self, reachable: bool) -> None:
        pointer = self.link.pointer
        if reachable == self._granted or pointer is None:
            return
        if reachable:
            self._granted = True
            self.link.grant(self._conn.settings.capacity)
        elif self._conn.is_client:
            # An edge router keeps its credit: it hears of the loss by tracking.
            self._granted = False
            lib.pn_link_drain(pointer, 0)
            self._conn.touch()

    def _closed(self) -> None:
        if self._watch is None:
            return
        self._router.unwatch(self._key, self._watch)
        self._router.remove_producer(self._key, self.link, self._conn)


def attach_sending(conn: AmqpConnection, pointer: Pointer) -> OutLink | None:
    """The peer wants to receive from an address, or from a temporary one that we are to make."""
    source = lib.pn_link_remote_source(pointer)
    address = text(lib.pn_terminus_get_address(source))
    dynamic = bool(lib.pn_terminus_is_dynamic(source))
    if lib.pn_terminus_get_type(source) != lib.PN_SOURCE or (not address and not dynamic):
        refuse(conn, pointer, *NO_ROUTE)
        return None
    router = conn.router
    echo_termini(pointer)
    if dynamic:
        address = router.namespace.temporary_source(discriminator())
        lib.pn_terminus_set_address(lib.pn_link_source(pointer), cstring(address))
        lib.pn_terminus_set_dynamic(lib.pn_link_source(pointer), True)
    key = router.namespace.key(address or "")
    if key[0] in "RTA" or key in CONTROL_KEYS or router.treatment(key) is Treatment.UNAVAILABLE:
        refuse(conn, pointer, *NO_ROUTE)
        return None
    return open_consumer(conn, pointer, address or "", key)


def open_consumer(conn: AmqpConnection, pointer: Pointer, address: str, key: str, *, kind: str = "endpoint") -> OutLink:
    """Answer the attach and enter the link as a consumer of `key`."""
    router = conn.router
    link = OutLink(conn, pointer, kind=kind)
    link.address = address
    link.owning_key = key
    link.capacity = conn.settings.capacity
    link.may_drain = True
    lib.pn_link_open(pointer)
    conn.touch()
    consumer = LinkConsumer(link)
    router.add_consumer(key, consumer)
    link.on_closed = lambda: router.remove_consumer(key, consumer)
    return link
