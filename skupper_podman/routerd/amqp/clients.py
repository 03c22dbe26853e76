"""Connections of role normal: clients, tools, and whatever else speaks AMQP to the router."""

from __future__ import annotations

from skupper_podman.routerd.amqp.connection import AmqpConnection, Role
from skupper_podman.routerd.amqp.endpoints import FORBIDDEN, attach_receiving, attach_sending, capabilities
from skupper_podman.routerd.amqp.links import refuse
from skupper_podman.routerd.amqp.wire import Pointer, lib

ROUTER_CAPABILITIES = frozenset(("qd.router", "qd.router-data", "qd.router-edge-downlink", "qd.router-inter-edge"))


class ClientRole(Role):
    """Serves clients; router links are refused."""

    def __init__(self, conn: AmqpConnection) -> None:
        super().__init__(conn)
        strip = conn.settings.strip
        self.annotated_in = strip in ("no", "out")
        self.annotated_out = strip in ("no", "in")

    def attach(self, pointer: Pointer) -> None:
        """Serve a link of the client's."""
        sender = bool(lib.pn_link_is_sender(pointer))
        if capabilities(pointer, sender=sender) & ROUTER_CAPABILITIES:
            refuse(self.conn, pointer, *FORBIDDEN)
        elif sender:
            attach_sending(self.conn, pointer)
        else:
            attach_receiving(self.conn, pointer)
