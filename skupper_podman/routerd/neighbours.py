"""The routing engine joined to the control links of neighbouring interior routers.

What always holds: routing messages are taken from control links only, and passed on along the paths
that the engine knows; a change that others wait for is told within a moment, not with the next second.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.amqp.connection import AmqpConnection
from skupper_podman.routerd.amqp.interrouter import neighbour_role
from skupper_podman.routerd.core import actions
from skupper_podman.routerd.core.address import CONTROL_KEYS
from skupper_podman.routerd.core.flooding import Floods
from skupper_podman.routerd.core.forwarding import Origin, route
from skupper_podman.routerd.core.routing import Routing
from skupper_podman.routerd.inprocess import ControlSink
from skupper_podman.routerd.loop import Timer
from skupper_podman.routerd.message import Message, RouterAnnotations, routing_message
from skupper_podman.routerd.sockets import round_trip
from skupper_podman.routerd.streams import Sink

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

#: Seconds for which changes are collected before other routers are told.
COMBINE: Final = 0.05


class Neighbours:
    """Neighbours of an interior router, through its routing engine."""

    def __init__(self, router: Router, routing: Routing) -> None:
        self._router = router
        self.routing = routing
        self._early_tick: Timer | None = None
        self._floods = Floods()

    def up(self, conn: AmqpConnection, cost: int) -> None:
        """A neighbour's control links are attached."""
        self.routing.control_link_up(conn.identity, cost, self._router.loop.now)
        self._router.effects.settle_soon()

    def down(self, conn: AmqpConnection) -> None:
        """A neighbour's control links are gone."""
        self.routing.control_link_down(conn.identity, self._router.loop.now)
        self._router.effects.settle_soon()

    def sink(self, conn: AmqpConnection) -> Sink:
        """A sink for what comes over a control link."""
        return ControlSink(self._router, conn.identity)

    def message(self, identity: int, message: Message, octets: bytes) -> None:
        """Take a routing message: for us, for another router, or for all."""
        annotations = message.annotations or RouterAnnotations()
        to = annotations.to_override or message.to
        if not to:
            return
        key = self._router.namespace.key(to)
        if key in CONTROL_KEYS:
            opcode = message.application_properties.get("opcode")
            if isinstance(opcode, str):
                self.routing.receive(identity, str(opcode), message.body, self._router.loop.now)
                if opcode in ("RA", "LSU"):
                    self.tick_soon()
        hops, now = len(annotations.trace), self._router.loop.now
        if key[0] == "R" or (key[0] == "T" and self._floods.fresh(hash(octets), hops, now)):
            self._relay(identity, key, annotations, octets)
        self._router.effects.settle_soon()

    def _relay(self, identity: int, key: str, annotations: RouterAnnotations, octets: bytes) -> None:
        router = self._router
        router_of = router.namespace.router_of
        origin = Origin(
            ingress=router_of(annotations.ingress) if annotations.ingress else None,
            trace=tuple(router_of(node) for node in annotations.trace),
            in_conn=identity,
            from_router=True,
            control=True,
        )
        decision = route(router.table, self.routing, key, origin)
        for hop in decision.remotes:
            if hop != identity:
                self._send(hop, annotations.passed(router.node).encode() + octets)

    def _send(self, identity: int, octets: bytes) -> None:
        role = neighbour_role(self._router, identity)
        if role is not None and role.control_out is not None:
            role.control_out.send(octets)

    # -- time --------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Periodic work: once a second, and early when something is worth telling."""
        if self._early_tick is not None:
            self._early_tick.cancel()
            self._early_tick = None
        routing = self.routing
        for identity in routing.neighbours().values():
            conn = self._router.connections.get(identity)
            if conn is not None:
                routing.control_link_delay(identity, round_trip(conn.sock))
        routing.tick(self._router.loop.now)
        self._router.effects.settle_soon()

    def tick_soon(self) -> None:
        """Do what would wait for the next second in a moment: requests and announcements."""
        if self._early_tick is None:
            self._early_tick = self._router.loop.call_later(COMBINE, self.tick)

    def announce_soon(self, key: str) -> None:
        """Tell of a changed address: at once of an edge router, whose calls follow, else with other changes."""
        if key[0] == "H":
            self.routing.tick(self._router.loop.now)
        else:
            self.tick_soon()

    # -- effects -----------------------------------------------------------------------------------

    def perform(self, action: Any) -> bool:
        """Perform an action of the engine, or an announcement of the table; False for any other."""
        own, routing = self._router.own_annotations, self.routing
        match action:
            case actions.AnnounceUp(key, treatment, in_links, mesh):
                routing.address_up(key, treatment, in_links, mesh)
                self.announce_soon(key)
            case actions.AnnounceChanged(key, treatment, in_links, mesh):
                routing.address_changed(key, treatment, in_links, mesh)
            case actions.AnnounceDown(key):
                routing.address_down(key)
                self.announce_soon(key)
            case actions.SendOnLink(conn, to, opcode, body, style):
                self._send(conn, routing_message(own, to, opcode, body, style))
            case actions.SendToRouter(router_id, to, opcode, body, style):
                hop = routing.next_hop(router_id)
                if hop is not None:
                    self._send(hop, routing_message(own, to, opcode, body, style))
            case actions.Flood(to, opcode, body, style):
                octets = routing_message(own, to, opcode, body, style)
                for hop in routing.neighbours().values():
                    self._send(hop, octets)
            case actions.RemoteAddress(router_id, key, treatment, mesh, present):
                self._router.table.set_remote(key, router_id, present, treatment, mesh)
            case actions.RouterLost(router_id):
                self._router.table.router_lost(router_id)
            case actions.PathsChanged():
                self._router.topology_changed = time.time()
                self.tick_soon()
                self._router.records.neighbours_changed(routing, self._router.connections)
            case actions.Log(module, level, text):
                self._router.log.write(module, level, text)
            case _:
                return False
        return True
