"""The router: every part of it, joined. I/O lives in `amqp` and `adaptors`, decisions in `core`.

What always holds: effects of the core (`take_actions`) are performed in order and before the turn of the
loop ends; everything that is in the address table on behalf of a connection leaves it when that
connection ends; an error in handling one message never reaches another.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from skupper_podman.routerd import inprocess
from skupper_podman.routerd.adaptors.http_totals import HttpTotals
from skupper_podman.routerd.adaptors.tcp_heads import STREAM_FLAGS
from skupper_podman.routerd.amqp.clients import ClientRole
from skupper_podman.routerd.amqp.connection import AmqpConnection, Role
from skupper_podman.routerd.amqp.edge_down import EdgeDownRole
from skupper_podman.routerd.amqp.edge_up import EdgeUpRole
from skupper_podman.routerd.amqp.interrouter import DataRole, Groups, InterRouterRole
from skupper_podman.routerd.amqp.security import SslProfile, TlsError
from skupper_podman.routerd.amqp.wire import discriminator
from skupper_podman.routerd.core.address import CONTROL_KEYS, Mode, Namespace, Rule, Rules, Treatment
from skupper_podman.routerd.core.edge import EdgePeers, EdgeProxies
from skupper_podman.routerd.core.routing import Routing
from skupper_podman.routerd.core.table import AddressTable, Consumer
from skupper_podman.routerd.core.timers import Timers
from skupper_podman.routerd.counters import Totals
from skupper_podman.routerd.dns import Resolver
from skupper_podman.routerd.effects import Effects
from skupper_podman.routerd.log import Log
from skupper_podman.routerd.loop import Loop
from skupper_podman.routerd.message import HeadParser, Message, RouterAnnotations, compose
from skupper_podman.routerd.neighbours import Neighbours
from skupper_podman.routerd.records import Records
from skupper_podman.routerd.samples import Samples
from skupper_podman.routerd.streams import Outcome, Sink, Start
from skupper_podman.routerd.switch import Switch
from skupper_podman.routerd.unproven import Unproven

Reached = Callable[[bool], None]


class Router:
    """One router. `attributes` are those of the validated `router` entity."""

    def __init__(self, attributes: dict[str, Any], log: Log, loop: Loop) -> None:
        self.log = log
        self.loop = loop
        self.attributes = attributes
        self.mode = str(attributes.get("mode") or "standalone")
        self.id = str(attributes.get("id") or f"Router.{discriminator()}".replace("+", "-"))
        self.started = self.topology_changed = time.time()
        mode = Mode(self.mode)
        self.namespace = Namespace(self.id, "0", mode)
        default = Treatment[str(attributes.get("defaultDistribution") or "balanced").upper()]
        self.rules = Rules((), default)
        self.table = AddressTable(mode, self.rules)
        self.routing = Routing(self.id, int(self.started), "0", _timers(attributes)) if mode is Mode.INTERIOR else None
        self.resolver = Resolver(loop)
        self.unproven = Unproven(loop)
        self.switch = Switch(self)
        self.counters = Totals()
        self.groups = Groups()
        self.connections: dict[int, AmqpConnection] = {}
        self.temporaries: dict[str, Any] = {}
        self.profiles: dict[str, SslProfile] = {}
        #: Names this edge to interiors; without links between edges it is this router's for life.
        self.mesh_id = discriminator()
        self.edge_proxies = EdgeProxies()
        self.edge_peers = EdgePeers(self.table)
        self._uplink: EdgeUpRole | None = None
        self._identities = 0
        self._connection_identities = 0
        self._watchers: dict[int, Reached] = {}
        self._next_watcher = 0
        self.effects = Effects(self)
        self._on_idle: Callable[[], None] | None = None
        self._tcp_flows = 0
        self.http = HttpTotals()
        self.node = self.namespace.node(self.id)
        passed = RouterAnnotations(ingress=self.node, trace=(self.node,))
        self.own_annotations = passed if mode is Mode.INTERIOR else RouterAnnotations()
        self.stream_annotations = self.outgoing_annotations(RouterAnnotations(flags=STREAM_FLAGS))
        self.samples = Samples(self)
        self.records = Records(self.node, self.mode, log)
        log.on_configured = self._log_configured
        self.neighbours = Neighbours(self, self.routing) if self.routing is not None else None
        if self.routing is not None:
            for key in sorted(CONTROL_KEYS):
                self._subscribe(key, lambda _message: None, Treatment.FLOOD if key[0] == "T" else None)
        self._tick()

    # -- identities and small services ---------------------------------------------------------------

    def next_identity(self) -> int:
        """A number for a link."""
        self._identities += 1
        return self._identities

    def next_connection_identity(self) -> int:
        """A number for a connection."""
        self._connection_identities += 1
        return self._connection_identities

    def prefixed(self, address: str) -> str:
        """The address of a TCP service as it is on the network: below the `vanId` when there is one."""
        van = self.attributes.get("vanId")
        return f"{van}/{address}" if van else address

    def profile(self, name: str) -> SslProfile:
        """An sslProfile by name; raises `TlsError` when there is none."""
        found = self.profiles.get(name)
        if found is None:
            raise TlsError(f"there is no sslProfile '{name}'")
        return found

    def treatment(self, key: str) -> Treatment:
        """How messages to an address are distributed."""
        address = self.table.get(key)
        return address.treatment if address is not None else self.rules.treatment(key)

    def handle_safely(self, call: Callable[[], None]) -> None:
        """Run a handler; its exception is logged and goes no further."""
        try:
            call()
        except Exception as error:
            self.report(error)

    def _log_configured(self) -> None:
        for conn in self.connections.values():
            conn.follow_log()

    def report(self, error: BaseException) -> None:
        """Log an internal error with its place, never with data."""
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
        self.log.error("ROUTER", f"Internal error: {type(error).__name__}: {error} ({where})")

    # -- the address table ---------------------------------------------------------------------------

    def add_rule(self, rule: Rule) -> None:
        """Configure an address; raises ValueError for a duplicate."""
        self.rules.add(rule)

    def add_consumer(
        self, key: str, consumer: Consumer, treatment: Treatment | None = None, *, propagate: bool = True
    ) -> None:
        """Enter a local destination."""
        self.table.add_consumer(key, consumer, treatment, propagate)
        self.effects.settle_soon()

    def remove_consumer(self, key: str, consumer: Consumer) -> None:
        """Take a local destination out."""
        self.table.remove_consumer(key, consumer)
        self.effects.settle_soon()

    def add_producer(self, key: str, producer: object, conn: AmqpConnection | None = None) -> None:
        """Enter a local source."""
        self.table.add_producer(key, producer)
        if conn is not None and conn.is_edge:
            self.edge_peers.sender_up(conn.identity, key)
        self.effects.settle_soon()

    def remove_producer(self, key: str, producer: object, conn: AmqpConnection | None = None) -> None:
        """Take a local source out."""
        self.table.remove_producer(key, producer)
        if conn is not None and conn.is_edge:
            self.edge_peers.sender_down(conn.identity, key)
        self.effects.settle_soon()

    def watch(self, key: str, reached: Reached, from_conn: int | None = None) -> int:
        """Have `reached` called with the present state, from the loop, and on every change of it."""
        self._next_watcher += 1
        number = self._next_watcher
        self._watchers[number] = reached
        now = self.table.watch(key, number, from_conn)
        if now:
            self.loop.call_soon(lambda: self.reached(number, True))
        self.effects.settle_soon()
        return number

    def unwatch(self, key: str, number: int) -> None:
        """End a watch."""
        self._watchers.pop(number, None)
        self.table.unwatch(key, number)
        self.effects.settle_soon()

    def reached(self, number: int, reachable: bool) -> None:
        """Tell a watcher of a change."""
        callback = self._watchers.get(number)
        if callback is not None:
            callback(reachable)

    def temporary(self, sink_maker: Any) -> tuple[str, str]:
        """A temporary reply address for an adaptor: its key and its text."""
        random = discriminator()
        key = f"Ltemp.{random}"
        self.temporaries[key] = sink_maker
        return key, self.namespace.temporary_source(random)

    def forget_temporary(self, key: str) -> None:
        """A temporary address is gone."""
        self.temporaries.pop(key, None)

    def add_flow_producer(self, key: str) -> None:
        """The router itself sends flow records to an address."""
        self.table.add_producer(key, self.records, Treatment.MULTICAST)
        self.effects.settle_soon()

    # -- edges ---------------------------------------------------------------------------------------

    @property
    def has_uplink(self) -> bool:
        """Whether an edge router can send upwards."""
        return self._uplink is not None

    def uplink_sink(self, start: Start) -> Sink | None:
        """A delivery on the way up."""
        return self._uplink.sink(start) if self._uplink is not None else None

    def uplink_changed(self, role: EdgeUpRole | None) -> None:
        """Another connection is active, or none."""
        self._uplink = role

    def edge_opened(self, conn: AmqpConnection) -> None:
        """A connection to an interior has opened."""
        self.edge_proxies.opened(conn.identity)
        self.records.uplink_opened(conn)
        self.effects.settle_soon()

    def edge_closed(self, conn: AmqpConnection) -> None:
        """A connection to an interior is gone."""
        self.edge_proxies.closed(conn.identity)
        self.records.uplink_closed(conn)
        self.effects.settle_soon()

    def tracked(self, identity: int, message: Message) -> None:
        """A tracking message has come."""
        self.edge_proxies.tracking(identity, message.body)
        self.effects.settle_soon()

    def edge_peer_opened(self, conn: AmqpConnection) -> None:
        """An edge router has connected."""
        self.edge_peers.opened(conn.identity)

    def edge_peer_closed(self, conn: AmqpConnection) -> None:
        """An edge router has gone."""
        self.edge_peers.closed(conn.identity)
        self.effects.settle_soon()

    def edge_mesh(self, conn: AmqpConnection, mesh: str) -> None:
        """An edge router has told its mesh id."""
        self.edge_peers.set_mesh(conn.identity, mesh)
        self.effects.settle_soon()

    def tracking_up(self, conn: AmqpConnection) -> None:
        """An edge router follows addresses."""
        self.edge_peers.tracking_up(conn.identity)
        self.effects.settle_soon()

    def tracking_down(self, conn: AmqpConnection) -> None:
        """An edge router follows addresses no more."""
        self.edge_peers.tracking_down(conn.identity)

    # -- connections ---------------------------------------------------------------------------------

    def role_for(self, conn: AmqpConnection) -> Role:
        """What a connection that has just opened is for."""
        name = conn.role_name
        if name == "inter-router" and self.neighbours is not None:
            return InterRouterRole(conn, self.neighbours)
        if name == "inter-router-data" and self.neighbours is not None:
            return DataRole(conn)
        if name == "edge":
            return EdgeUpRole(conn) if self.mode == "edge" else EdgeDownRole(conn)
        return ClientRole(conn)

    def connection_lost(self, conn: AmqpConnection) -> None:
        """A connection is gone."""
        self.connections.pop(conn.identity, None)
        if not self.connections and self._on_idle is not None:
            self._on_idle()

    def on_idle(self, callback: Callable[[], None]) -> None:
        """Call `callback` when no connection is left."""
        self._on_idle = callback
        if not self.connections:
            callback()

    def outgoing_annotations(self, annotations: RouterAnnotations) -> RouterAnnotations:
        """What this router writes when it sends a message on."""
        if self.mode == "interior":
            return annotations.passed(self.node)
        return annotations.entered(self.mesh_id)

    # -- in-process messages -------------------------------------------------------------------------

    def subscribe(
        self,
        address: str,
        handler: inprocess.Handler,
        *,
        treatment: Treatment | None = None,
        propagate: bool = False,
    ) -> Callable[[], None]:
        """Serve an address in this process; `propagate` announces it to the network. Call the answer to end it."""
        return self._subscribe(self.namespace.key(address), handler, treatment, propagate=propagate)

    def _subscribe(
        self, key: str, handler: inprocess.Handler, treatment: Treatment | None, *, propagate: bool = False
    ) -> Callable[[], None]:
        subscription = inprocess.Subscription(self, key, handler)
        self.add_consumer(key, subscription, treatment, propagate=propagate)
        return lambda: self.remove_consumer(key, subscription)

    def send(self, to: str, octets: bytes) -> bool:
        """Send a complete presettled message written without annotations; False when nobody takes it."""
        parser = HeadParser()
        parser.feed(octets)
        head = parser.finish()
        annotations = self.outgoing_annotations(RouterAnnotations())
        start = Start(head, annotations, octets, head.body_offset, settled=True, complete=True)
        found = self.switch.from_inside(self.namespace.key(to), start, own=True)
        if isinstance(found, Outcome):
            return False
        found.begin(start, inprocess.NO_SOURCE)
        found.finish()
        return True

    def send_message(self, to: str, **sections: Any) -> bool:
        """Compose and send, see `message.compose` for the sections."""
        return self.send(to, compose(None, **sections))

    def route_local(self, key: str, start: Start) -> Sink | Outcome:
        """A sink for a message of an adaptor."""
        return self.switch.from_inside(key, start)

    # -- numbers -------------------------------------------------------------------------------------

    def uptime(self) -> float:
        """Seconds since the start."""
        return time.time() - self.started

    def connection_count(self) -> int:
        """Connections of all protocols that exist now."""
        return len(self.connections) + self._tcp_flows + self.http.connections.total()

    def tcp_connections(self) -> int:
        """TCP connections of adaptors that exist now."""
        return self._tcp_flows

    def tcp_flow_count(self, change: int) -> None:
        """A TCP connection of an adaptor has begun (1) or ended (-1)."""
        self._tcp_flows += change

    # -- time ----------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Once a second: routing, keep-alive frames, silent peers."""
        self.loop.call_later(1.0, self._tick)
        if self.neighbours is not None:
            self.neighbours.tick()
        now_ms = int(time.monotonic() * 1000)
        for conn in list(self.connections.values()):
            self.handle_safely(lambda conn=conn: conn.tick(now_ms))  # type: ignore[misc]
            conn.scrub()


def _timers(attributes: Mapping[str, Any]) -> Timers:
    return Timers(
        float(attributes.get("helloIntervalSeconds") or 1),
        float(attributes.get("helloMaxAgeSeconds") or 3),
        float(attributes.get("raIntervalSeconds") or 30),
        float(attributes.get("raIntervalFluxSeconds") or 4),
        float(attributes.get("remoteLsMaxAgeSeconds") or 60),
    )
