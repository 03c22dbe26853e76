"""An interior router's end of a connection from an edge router.

What always holds: an edge connection may carry no link for as long as it likes (it is a standby); what
the edge consumes and produces is in the address table exactly while its links are attached; tracking
messages follow the table (`core.edge.EdgePeers`).
"""

from __future__ import annotations

from typing import Final

from skupper_podman.routerd.amqp.connection import AmqpConnection, Role
from skupper_podman.routerd.amqp.endpoints import (
    FORBIDDEN,
    attach_receiving,
    attach_sending,
    capabilities,
    open_consumer,
)
from skupper_podman.routerd.amqp.incoming import InDelivery
from skupper_podman.routerd.amqp.links import InLink, OutLink, echo_termini, refuse
from skupper_podman.routerd.amqp.wire import Pointer, lib, text
from skupper_podman.routerd.core.edge import ADDRESS_TRACKING, MESH_DISCOVERY
from skupper_podman.routerd.inprocess import HandlerSink, Subscription
from skupper_podman.routerd.loop import Timer
from skupper_podman.routerd.message import MESH_LENGTH, Header, Message, compose
from skupper_podman.routerd.streams import Outcome, Sink, Start

_DOWNLINK: Final = "qd.router-edge-downlink"
_MESH_CREDIT: Final = 3
_MESH_PAUSE: Final = 1.0


class EdgeDownRole(Role):
    """Serves one edge router."""

    annotated_in = annotated_out = True

    def __init__(self, conn: AmqpConnection) -> None:
        super().__init__(conn)
        self._tracking: OutLink | None = None
        self._mesh_wanted: str | None = None
        self._mesh_timer: Timer | None = None

    def opened(self) -> None:
        """Be ready for its links."""
        self.conn.router.edge_peer_opened(self.conn)

    def lost(self) -> None:
        """Its links are gone already."""
        self.conn.router.edge_peer_closed(self.conn)

    def attach(self, pointer: Pointer) -> None:
        """Serve a link of the edge's."""
        conn = self.conn
        sender = bool(lib.pn_link_is_sender(pointer))
        wanted = capabilities(pointer, sender=sender)
        source = text(lib.pn_terminus_get_address(lib.pn_link_remote_source(pointer)))
        target = text(lib.pn_terminus_get_address(lib.pn_link_remote_target(pointer)))
        if wanted & {"qd.router", "qd.router-data"}:
            refuse(conn, pointer, *FORBIDDEN)
        elif sender and _DOWNLINK in wanted:
            echo_termini(pointer)
            open_consumer(conn, pointer, source or "", "H" + (source or conn.container), kind="edge-downlink")
        elif sender and source == ADDRESS_TRACKING:
            self._open_tracking(pointer)
        elif sender:
            attach_sending(conn, pointer)
        elif target == MESH_DISCOVERY:
            self._open_mesh(pointer)
        else:
            attach_receiving(conn, pointer)

    def _open_tracking(self, pointer: Pointer) -> None:
        conn = self.conn
        echo_termini(pointer)
        self._tracking = OutLink(conn, pointer)
        self._tracking.address = ADDRESS_TRACKING
        self._tracking.on_closed = lambda: conn.router.tracking_down(conn)
        lib.pn_link_open(pointer)
        conn.touch()
        conn.router.tracking_up(conn)

    def track(self, body: list[object]) -> None:
        """Send one tracking message."""
        if self._tracking is not None:
            annotations = self.conn.router.own_annotations
            self._tracking.send(compose(annotations, header=Header(), body=body))

    def _open_mesh(self, pointer: Pointer) -> None:
        conn = self.conn
        echo_termini(pointer)
        link = InLink(conn, pointer, self._mesh)
        link.address = MESH_DISCOVERY
        lib.pn_link_open(pointer)
        link.grant(_MESH_CREDIT)

    def _mesh(self, _delivery: InDelivery, _start: Start) -> Sink | Outcome:
        return HandlerSink(Subscription(self.conn.router, "", self._mesh_told))

    def _mesh_told(self, message: Message) -> None:
        mesh = message.application_properties.get("meshid")
        if not isinstance(mesh, str) or len(mesh) != MESH_LENGTH:
            return
        # A change is looked for in the whole address table: the first at once, of further ones the last of a second.
        self._mesh_wanted = str(mesh)
        if self._mesh_timer is None:
            self._take_mesh()

    def _take_mesh(self) -> None:
        conn, mesh = self.conn, self._mesh_wanted
        self._mesh_wanted = self._mesh_timer = None
        if mesh is None or conn.closed or mesh == conn.mesh:
            return
        self._mesh_timer = conn.loop.call_later(_MESH_PAUSE, self._take_mesh)
        conn.mesh = mesh
        conn.router.edge_mesh(conn, mesh)
