"""Several routers in one process: real state machines and real octets, a simulated clock and links that may lose.

What moves a message here is what the runtime does: resolve the address, ask `route`, stamp the annotations. Nothing
is mocked but time and wires.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from skupper_podman.routerd.core.actions import (
    AnnounceChanged,
    AnnounceDown,
    AnnounceUp,
    Flood,
    Log,
    PathsChanged,
    Reachable,
    RemoteAddress,
    RouterLost,
    SendOnLink,
    SendToRouter,
    SourceDown,
    SourceUp,
)
from skupper_podman.routerd.core.address import CONTROL_KEYS, Namespace, Rule, Rules, Treatment
from skupper_podman.routerd.core.flooding import Floods
from skupper_podman.routerd.core.forwarding import Decision, Origin, route
from skupper_podman.routerd.core.routing import Routing
from skupper_podman.routerd.core.table import AddressTable
from skupper_podman.routerd.message import Message, RouterAnnotations, routing_message

MULTICAST = Rules([Rule(Treatment.MULTICAST, prefix="mc"), Rule(Treatment.CLOSEST, prefix="near")])


@dataclass(eq=False)
class Sink:
    """A consumer that counts."""

    name: str = ""
    conn: int | None = None
    mesh: str | None = None
    is_edge: bool = False
    in_process: bool = False
    capacity: int = 250
    waiting: int = 0
    got: list[str] = field(default_factory=list)

    def backlog(self) -> int:
        return self.waiting


@dataclass(eq=False)
class Wire:
    """A connection between two routers; ``ends`` maps a router to its own number of the connection."""

    ends: dict[str, int]
    cost: int
    up: bool = True
    one_way_dead: str | None = None

    def other(self, router: str) -> str:
        return next(name for name in self.ends if name != router)


class Router:
    """One interior router of the simulation."""

    def __init__(self, name: str, instance: int, phase: float) -> None:
        self.name = name
        self.names = Namespace(name)
        self.routing = Routing(name, instance)
        self.table = AddressTable(rules=MULTICAST)
        self.phase = phase
        self.logs: list[Log] = []
        self.reachable: dict[tuple[str, int], bool] = {}
        self.sent: list[tuple[str, str]] = []
        self.lost: list[str] = []
        self.floods = Floods()

    def own_addresses(self) -> set[str]:
        return {address.key for address in self.table if address.consumers and address.key[0] in "MH"}

    def remote_addresses(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for address in self.table:
            for router in address.remotes:
                found.setdefault(router, set()).add(address.key)
        return found


def learned(actions: Iterable[object]) -> dict[str, set[str]]:
    """Addresses of other routers by router, as these actions leave them."""
    found: dict[str, set[str]] = {}
    for action in actions:
        if isinstance(action, RemoteAddress):
            keys = found.setdefault(action.router_id, set())
            (keys.add if action.present else keys.discard)(action.key)
    return {router: keys for router, keys in found.items() if keys}


class Network:
    """Routers, wires and a clock. ``drop`` decides per routing message (sender, receiver, opcode) on its loss."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 1000.0
        self.random = Random(seed)
        self.routers: dict[str, Router] = {}
        self.wires: list[Wire] = []
        self.drop: Callable[[str, str, str], bool] = lambda sender, receiver, opcode: False
        self.by_conn: dict[tuple[str, int], Wire] = {}
        self.copies = 0
        self.eager = 0.0
        """Share of messages after which the receiver ticks at once."""
        self._next_conn = 1
        self._instance = 1000
        self._queue: deque[tuple[str, Wire, bytes, str]] = deque()

    # ------------------------------------------------------------------------------------------ topology

    def add(self, *names: str) -> None:
        for name in names:
            self._instance += 1
            self.routers[name] = Router(name, self._instance, self.random.random())

    def link(self, a: str, b: str, cost: int = 1) -> Wire:
        wire = Wire({a: self._next_conn, b: self._next_conn + 1}, cost)
        self._next_conn += 2
        self.wires.append(wire)
        self._raise(wire)
        return wire

    def _raise(self, wire: Wire) -> None:
        wire.up = True
        for name, conn in wire.ends.items():
            self.by_conn[name, conn] = wire
            self.routers[name].routing.control_link_up(conn, wire.cost, self.now)
            self._perform(self.routers[name])

    def cut(self, a: str, b: str) -> None:
        """Cut all wires between two routers; both ends notice."""
        for wire in self.wires:
            if wire.up and set(wire.ends) == {a, b}:
                self.cut_wire(wire)

    def cut_wire(self, wire: Wire) -> None:
        wire.up = False
        for name, conn in wire.ends.items():
            self.routers[name].routing.control_link_down(conn, self.now)
            self._perform(self.routers[name])

    def mend(self, a: str, b: str) -> None:
        for wire in self.wires:
            if not wire.up and set(wire.ends) == {a, b}:
                # A connection that comes back has another number.
                for name in wire.ends:
                    wire.ends[name] = self._next_conn
                    self._next_conn += 1
                self._raise(wire)

    def restart(self, name: str, seconds: float = 0.0) -> None:
        """Restart a router with another instance and empty tables, down for some time."""
        wires = [wire for wire in self.wires if wire.up and name in wire.ends]
        for wire in wires:
            self.cut_wire(wire)
        self.run(seconds)
        self.add(name)
        for wire in wires:
            self.mend(*wire.ends)

    # ------------------------------------------------------------------------------------------ time

    def run(self, seconds: float) -> None:
        """Let time pass; every router ticks once a second at its own phase."""
        end = self.now + seconds
        ticks = [(self._next_tick(router), name) for name, router in self.routers.items()]
        heapq.heapify(ticks)
        while ticks and ticks[0][0] <= end:
            self.now, name = heapq.heappop(ticks)
            router = self.routers[name]
            router.routing.tick(self.now)
            self._perform(router)
            self.drain()
            heapq.heappush(ticks, (self.now + 1.0, name))
        self.now = end
        self.drain()

    def _next_tick(self, router: Router) -> float:
        whole = int(self.now)
        tick = whole + router.phase
        return tick if tick > self.now else tick + 1.0

    def drain(self) -> None:
        while self._queue:
            receiver, wire, octets, opcode = self._queue.popleft()
            if not wire.up or receiver not in self.routers:
                continue
            if wire.one_way_dead == receiver or self.drop(wire.other(receiver), receiver, opcode):
                continue
            router = self.routers[receiver]
            self._arrived(router, wire.ends[receiver], octets)
            if self.eager and opcode != "HELLO" and self.random.random() < self.eager:
                router.routing.tick(self.now)
                self._perform(router)

    # ------------------------------------------------------------------------------------------ routing messages

    def _perform(self, router: Router) -> None:
        while True:
            actions: Iterable[object] = [*router.routing.take_actions(), *router.table.take_actions()]
            if not actions:
                return
            for action in actions:
                self._perform_one(router, action)

    def _perform_one(self, router: Router, action: object) -> None:
        routing = router.routing
        match action:
            case SendOnLink(conn=conn, to=to, opcode=opcode):
                router.sent.append((opcode, to))
                self._put(router, [conn], RouterAnnotations(), action)
            case SendToRouter(router_id=whom, to=to, opcode=opcode):
                router.sent.append((opcode, to))
                conn = routing.next_hop(whom)
                self._put(router, [] if conn is None else [conn], RouterAnnotations(), action)
            case Flood(to=to, opcode=opcode):
                router.sent.append((opcode, to))
                decision = route(router.table, routing, router.names.key(to), Origin(control=True))
                assert decision.remotes == routing.flood_connections()
                self._put(router, decision.remotes, RouterAnnotations(), action)
            case RemoteAddress():
                router.table.set_remote(action.key, action.router_id, action.present, action.treatment, action.mesh)
            case RouterLost(router_id=lost):
                router.lost.append(lost)
            case Log():
                router.logs.append(action)
            case AnnounceUp():
                routing.address_up(action.key, action.treatment, action.in_links, action.mesh)
            case AnnounceChanged():
                routing.address_changed(action.key, action.treatment, action.in_links, action.mesh)
            case AnnounceDown():
                routing.address_down(action.key)
            case Reachable():
                router.reachable[action.key, action.watcher_id] = action.reachable
            case PathsChanged() | SourceUp() | SourceDown():
                pass
            case _:
                raise AssertionError(action)

    def _put(
        self,
        router: Router,
        conns: Iterable[int],
        annotations: RouterAnnotations,
        action: SendOnLink | SendToRouter | Flood,
    ) -> None:
        stamped = annotations.passed(router.names.node(router.name))
        octets = routing_message(stamped, action.to, action.opcode, action.body, action.style)
        for conn in conns:
            self._wire(router, conn, octets, action.opcode)

    def _wire(self, router: Router, conn: int, octets: bytes, opcode: str) -> None:
        wire = self.by_conn[router.name, conn]
        self.copies += 1
        self._queue.append((wire.other(router.name), wire, octets, opcode))

    def _arrived(self, router: Router, conn: int, octets: bytes) -> None:
        message = Message.decode(octets)
        annotations = message.annotations
        assert annotations is not None
        assert message.to is not None
        opcode = message.application_properties["opcode"]
        key = router.names.key(message.to)
        if key in CONTROL_KEYS:
            router.routing.receive(conn, opcode, message.body, self.now)
        content = octets[len(annotations.encode()) :]
        if key[0] != "T" or router.floods.fresh(hash(content), len(annotations.trace), self.now):
            decision = self.decide(router, key, annotations, conn, control=True)
            for out in decision.remotes:
                stamped = annotations.passed(router.names.node(router.name))
                self._wire(router, out, stamped.encode() + content, opcode)
        self._perform(router)

    @staticmethod
    def decide(
        router: Router, key: str, annotations: RouterAnnotations, conn: int | None, control: bool = False
    ) -> Decision:
        names = router.names
        ingress = None if annotations.ingress is None else names.router_of(annotations.ingress)
        trace = tuple(map(names.router_of, annotations.trace))
        origin = Origin(ingress, trace, conn, annotations.ingress_mesh, from_router=conn is not None, control=control)
        return route(router.table, router.routing, key, origin)

    # ------------------------------------------------------------------------------------------ ordinary messages

    def consume(self, router: str, address: str, **facts: object) -> Sink:
        sink = Sink(name=f"{router}:{address}", **facts)  # type: ignore[arg-type]
        where = self.routers[router]
        where.table.add_consumer(where.names.key(address), sink)
        self._perform(where)
        return sink

    def stop(self, router: str, address: str, sink: Sink) -> None:
        where = self.routers[router]
        where.table.remove_consumer(where.names.key(address), sink)
        self._perform(where)

    def send(self, router: str, address: str, text: str = "m") -> int:
        """Send from a client of a router; gives the number of hops all copies made together."""
        hops = 0
        pending = deque([(self.routers[router], None, RouterAnnotations())])
        while pending:
            here, conn, annotations = pending.popleft()
            decision = self.decide(here, here.names.key(address), annotations, conn)
            for consumer in decision.locals:
                assert isinstance(consumer, Sink)
                consumer.got.append(text)
            for out in decision.remotes:
                hops += 1
                assert hops < 1000, "messages circle"
                wire = self.by_conn[here.name, out]
                stamped = annotations.passed(here.names.node(here.name))
                if wire.up:
                    there = self.routers[wire.other(here.name)]
                    pending.append((there, wire.ends[there.name], stamped))
        return hops

    # ------------------------------------------------------------------------------------------ expectations

    def graph(self) -> dict[str, dict[str, int]]:
        """The true graph of wires that are up, the cheapest per pair."""
        states: dict[str, dict[str, int]] = {name: {} for name in self.routers}
        for wire in self.wires:
            if wire.up:
                a, b = wire.ends
                for here, there in ((a, b), (b, a)):
                    states[here][there] = min(wire.cost, states[here].get(there, wire.cost))
        return states

    def distances(self, root: str) -> dict[str, int]:
        """Reference shortest distances by relaxation, independent of the code under test."""
        graph = self.graph()
        distance = {root: 0}
        for _ in graph:
            for here, peers in graph.items():
                for there, cost in peers.items():
                    if here in distance and distance[here] + cost < distance.get(there, 1 << 30):
                        distance[there] = distance[here] + cost
        return distance

    def check(self) -> None:
        """Everything all routers know is true."""
        for name, router in self.routers.items():
            distance = self.distances(name)
            del distance[name]
            costs = {other: router.routing.cost(other) for other in self.routers if other != name}
            assert {other: cost for other, cost in costs.items() if cost is not None} == distance, name
            assert set(router.routing.reachable()) == set(distance), name
            for other in distance:
                self.check_path(name, other, distance[other])
            expected = {other: keys for other in distance if (keys := self.routers[other].own_addresses())}
            assert router.remote_addresses() == expected, name

    def check_path(self, start: str, end: str, cost: int) -> None:
        """Following next hops leads to the end, at that cost, and each router on the way accepts the origin."""
        here, spent = start, 0
        for _ in range(len(self.routers)):
            if here == end:
                break
            router = self.routers[here]
            conn = router.routing.next_hop(end)
            assert conn is not None
            wire = self.by_conn[here, conn]
            assert wire.up
            spent += wire.cost
            here = wire.other(here)
        assert here == end
        assert spent == cost


def chain(net: Network, names: str, costs: Mapping[int, int] | None = None) -> None:
    for index, (a, b) in enumerate(pairwise(names)):
        net.link(a, b, (costs or {}).get(index, 1))


def ring(net: Network, names: str) -> None:
    chain(net, names)
    net.link(names[-1], names[0])


def star(net: Network, names: str) -> None:
    for leaf in names[1:]:
        net.link(names[0], leaf)
