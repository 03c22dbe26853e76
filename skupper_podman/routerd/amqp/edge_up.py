"""An edge router's connection to its interior: permanent links, proxy links for addresses, tracking.

`core.edge.EdgeProxies` decides; this module performs. What always holds: links exist on the active
connection only; a standby connection carries nothing but keep-alive frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skupper_podman.routerd.amqp.connection import AmqpConnection, Role
from skupper_podman.routerd.amqp.endpoints import WRONG_ROLE, LinkConsumer, attach_receiving
from skupper_podman.routerd.amqp.incoming import InDelivery
from skupper_podman.routerd.amqp.links import DEFAULT_CAPACITY, InLink, OutLink, new_link, refuse
from skupper_podman.routerd.amqp.outgoing import OutDelivery
from skupper_podman.routerd.amqp.wire import Pointer, lib
from skupper_podman.routerd.codec import Symbol
from skupper_podman.routerd.core.edge import (
    ADDRESS_TRACKING,
    MESH_DISCOVERY,
    Activate,
    BindProxy,
    CloseReceiver,
    CloseSender,
    Deactivate,
    EdgeAction,
    OpenReceiver,
    OpenSender,
    UnbindProxy,
)
from skupper_podman.routerd.inprocess import HandlerSink, Subscription
from skupper_podman.routerd.message import RouterAnnotations, compose
from skupper_podman.routerd.streams import Outcome, Sink, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

_TRACKING_CAPACITY = 32
_DOWNLINK = "qd.router-edge-downlink"


class EdgeUpRole(Role):
    """The edge's end of a connection of role edge."""

    annotated_in = annotated_out = True

    def __init__(self, conn: AmqpConnection) -> None:
        super().__init__(conn)
        conn.active = False
        self.uplink: OutLink | None = None
        self._mesh_link: OutLink | None = None
        self._announced = ""
        self._session: Pointer | None = None
        self._senders: dict[str, OutLink] = {}
        self._receivers: dict[str, InLink] = {}
        self._bound: dict[str, LinkConsumer] = {}

    def opened(self) -> None:
        """Report for duty: the first open connection becomes the active one."""
        self.conn.router.edge_opened(self.conn)

    def lost(self) -> None:
        """Another connection takes over, if there is one."""
        self.conn.router.edge_closed(self.conn)

    def attach(self, pointer: Pointer) -> None:
        """The interior opens streaming links only."""
        if lib.pn_link_is_sender(pointer):
            refuse(self.conn, pointer, WRONG_ROLE, "Only streaming links are allowed on an edge uplink")
        else:
            attach_receiving(self.conn, pointer)

    # -- what EdgeProxies asks for -----------------------------------------------------------------

    def activate(self) -> None:
        """Open mesh discovery and tracking in one session, uplink and downlink in another."""
        conn = self.conn
        conn.active = True
        core = conn.begin_session()
        self._session = conn.begin_session(watched=True)
        self._mesh_link = OutLink(conn, new_link(core, sender=True, target=MESH_DISCOVERY))
        lib.pn_link_open(self._mesh_link.pointer)
        self.announce_mesh()
        self.uplink = OutLink(conn, new_link(self._session, sender=True))
        self.uplink.owning_key = "L_edge"
        lib.pn_link_open(self.uplink.pointer)
        own = conn.router.id
        downlink = self._receive(self._session, own, _DOWNLINK)
        downlink.kind = "edge-downlink"
        tracking = InLink(conn, new_link(core, sender=False, source=ADDRESS_TRACKING), self._track)
        lib.pn_link_open(tracking.pointer)
        tracking.grant(_TRACKING_CAPACITY)
        conn.touch()

    def announce_mesh(self) -> None:
        """Tell the interior our mesh id, when it does not know it."""
        router = self.conn.router
        mesh = router.mesh_id
        if self._mesh_link is None or self._announced == mesh:
            return
        self._announced = mesh
        annotations = RouterAnnotations(ingress_mesh=mesh)
        self._mesh_link.send(compose(annotations, application_properties={Symbol("meshid"): mesh}))

    def _receive(self, session: Pointer, source: str, capability: str | None = None) -> InLink:
        conn = self.conn
        switch = conn.router.switch
        pointer = new_link(session, sender=False, source=source, capability=capability)
        key = None if capability else conn.router.namespace.key(source)

        def route(delivery: InDelivery, start: Start) -> Sink | Outcome:
            return switch.from_link(delivery.link, start, source, key)

        link = InLink(conn, pointer, route)
        link.address = source
        link.owning_key = key
        lib.pn_link_open(pointer)
        link.grant(DEFAULT_CAPACITY)
        return link

    def open_sender(self, address: str) -> None:
        """Follow an address: the link tells the interior that we want to send there."""
        conn = self.conn
        link = OutLink(conn, new_link(self._session, sender=True, target=address))
        link.address = address
        link.owning_key = conn.router.namespace.key(address)
        self._senders[address] = link
        lib.pn_link_open(link.pointer)
        conn.touch()

    def close_sender(self, address: str) -> None:
        """Nobody here sends to the address any more."""
        link = self._senders.pop(address, None)
        if link is not None:
            link.close()

    def open_receiver(self, address: str) -> None:
        """Take messages for consumers here."""
        self._receivers[address] = self._receive(self._session, address)
        self.conn.touch()

    def close_receiver(self, address: str) -> None:
        """The last consumer here is gone."""
        link = self._receivers.pop(address, None)
        if link is not None:
            link.close()

    def bind(self, key: str) -> None:
        """The network has consumers of the address: our sender stands for them in the table."""
        link = self._senders.get(key[1:])
        if link is None:
            return
        consumer = LinkConsumer(link)
        self._bound[key] = consumer
        router = self.conn.router
        router.add_consumer(key, consumer)
        link.on_closed = lambda: self.unbind(key)

    def unbind(self, key: str) -> None:
        """The network has no consumers of the address any more."""
        consumer = self._bound.pop(key, None)
        if consumer is not None:
            consumer.link.on_closed = None
            self.conn.router.remove_consumer(key, consumer)

    def _track(self, _delivery: InDelivery, start: Start) -> Sink | Outcome:
        router = self.conn.router
        identity = self.conn.identity
        return HandlerSink(Subscription(router, "", lambda message: router.tracked(identity, message)))

    # -- use ---------------------------------------------------------------------------------------

    def sink(self, start: Start) -> Sink | None:
        """A delivery up: on the uplink, or as a stream; None when it is lost, which the core may not know yet."""
        if self.conn.lost:
            return None
        if not start.complete:
            return self.conn.stream(start)
        if self.uplink is None or self.uplink.pointer is None:
            return None
        return self.uplink.drop(start) if self.uplink.full() else OutDelivery(self.uplink)


def perform(router: Router, action: EdgeAction) -> None:
    """Perform one action of `EdgeProxies`."""
    conn = router.connections.get(action.conn)
    role: Any = conn.role if conn is not None else None
    if isinstance(action, Deactivate):
        if conn is not None:
            conn.active = False
        router.uplink_changed(None)
    elif not isinstance(role, EdgeUpRole):
        return
    elif isinstance(action, Activate):
        role.activate()
        router.uplink_changed(role)
    elif isinstance(action, OpenReceiver):
        role.open_receiver(action.address)
    elif isinstance(action, CloseReceiver):
        role.close_receiver(action.address)
    elif isinstance(action, OpenSender):
        role.open_sender(action.address)
    elif isinstance(action, CloseSender):
        role.close_sender(action.address)
    elif isinstance(action, BindProxy):
        role.bind(action.key)
    elif isinstance(action, UnbindProxy):
        role.unbind(action.key)
