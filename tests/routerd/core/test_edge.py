"""The edge protocol's state machines: alone against models, and an edge against an interior."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from skupper_podman.routerd.core.edge import (
    Activate,
    BindProxy,
    CloseReceiver,
    CloseSender,
    Deactivate,
    EdgePeers,
    EdgeProxies,
    OpenReceiver,
    OpenSender,
    SendTracking,
    UnbindProxy,
)
from skupper_podman.routerd.core.table import AddressTable

from .network import Sink

KEYS = st.sampled_from(["Ma", "Mb", "Mc"])
CONNS = st.integers(1, 3)
MESHES = st.sampled_from(["m" * 15, "n" * 15])


class ProxyMachine(RuleBasedStateMachine):
    """Performing the actions must leave exactly the wanted links on the active connection."""

    def __init__(self) -> None:
        super().__init__()
        self.edge = EdgeProxies()
        self.open: list[int] = []
        self.consumers: set[str] = set()
        self.sources: set[str] = set()
        self.active: int | None = None
        self.links: Counter[tuple[str, str]] = Counter()
        self.bound: set[str] = set()
        self.tracked: set[str] = set()

    @rule(conn=CONNS)
    def opened(self, conn: int) -> None:
        self.edge.opened(conn)
        if conn not in self.open:
            self.open.append(conn)

    @rule(conn=CONNS)
    def closed(self, conn: int) -> None:
        self.edge.closed(conn)
        if conn in self.open:
            self.open.remove(conn)
        if conn == self.active:
            self.tracked.clear()

    @rule(key=KEYS, up=st.booleans())
    def consumer(self, key: str, up: bool) -> None:
        (self.edge.consumers_up if up else self.edge.consumers_down)(key)
        (self.consumers.add if up else self.consumers.discard)(key)

    @rule(key=KEYS, up=st.booleans())
    def source(self, key: str, up: bool) -> None:
        (self.edge.sources_up if up else self.edge.sources_down)(key)
        (self.sources.add if up else self.sources.discard)(key)
        if not up:
            self.tracked.discard(key)

    @rule(key=KEYS, conn=CONNS, state=st.booleans())
    def tracking(self, key: str, conn: int, state: bool) -> None:
        assert self.edge.tracking(conn, [key, state])
        if conn == self.active and key in self.sources:
            (self.tracked.add if state else self.tracked.discard)(key)

    @rule(body=st.sampled_from([None, [], ["Ma"], ["Ma", 1], [1, True], ["Ma", True, 1]]))
    def malformed(self, body: Any) -> None:
        assert not self.edge.tracking(1, body)

    @invariant()
    def links_match(self) -> None:
        for action in self.edge.take_actions():
            match action:
                case Activate(conn=conn):
                    assert self.active is None
                    self.active = conn
                case Deactivate(conn=conn):
                    assert conn == self.active
                    assert not self.bound
                    self.active = None
                    self.links.clear()
                case OpenReceiver() | OpenSender():
                    assert action.conn == self.active
                    self.links[type(action).__name__[4:], action.address] += 1
                case CloseReceiver() | CloseSender():
                    assert action.conn == self.active
                    assert "M" + action.address not in self.bound or isinstance(action, CloseReceiver)
                    self.links[type(action).__name__[5:], action.address] -= 1
                case BindProxy():
                    assert action.key not in self.bound
                    self.bound.add(action.key)
                case UnbindProxy():
                    self.bound.remove(action.key)
        assert self.active == self.edge.active
        assert (self.active is None) == (not self.open)
        expected = {("Receiver", key[1:]): 1 for key in self.consumers}
        expected |= {("Sender", key[1:]): 1 for key in self.sources}
        assert {link: count for link, count in self.links.items() if count} == (expected if self.open else {})
        assert self.bound == (self.tracked if self.open else set())


TestProxies = ProxyMachine.TestCase


def test_the_first_to_open_stays_active_and_standbys_take_over_in_order() -> None:
    edge = EdgeProxies()
    for conn in (2, 1, 3):
        edge.opened(conn)
    edge.consumers_up("Ma")
    edge.closed(2)
    edge.opened(2)
    assert edge.take_actions() == [
        Activate(2), OpenReceiver(2, "a"), Deactivate(2), Activate(1), OpenReceiver(1, "a"),
    ]  # fmt: skip
    edge.closed(3)
    edge.closed(1)
    assert edge.active == 2


class PeerMachine(RuleBasedStateMachine):
    """What an edge was told last about each of its addresses is what the table says now."""

    def __init__(self) -> None:
        super().__init__()
        self.table = AddressTable()
        self.peers = EdgePeers(self.table)
        self.senders: Counter[tuple[int, str]] = Counter()
        self.sinks: list[tuple[str, Sink]] = []
        self.told: set[tuple[int, str]] = set()
        self.listening: set[int] = set()
        for conn in (1, 2):
            self.peers.opened(conn)

    @rule(conn=st.integers(1, 2))
    def tracking_up(self, conn: int) -> None:
        self.peers.tracking_up(conn)
        self.listening.add(conn)

    @rule(conn=st.integers(1, 2), key=KEYS)
    def sender_up(self, conn: int, key: str) -> None:
        self.peers.sender_up(conn, key)
        self.senders[conn, key] += 1

    @rule(conn=st.integers(1, 2), key=KEYS)
    def sender_down(self, conn: int, key: str) -> None:
        self.collect()
        self.peers.sender_down(conn, key)
        if self.senders[conn, key]:
            self.senders[conn, key] -= 1
        if not self.senders[conn, key]:
            self.told.discard((conn, key))

    @rule(conn=st.sampled_from([1, 2, 7]), key=KEYS)
    def consumer(self, conn: int, key: str) -> None:
        sink = Sink(conn=conn, is_edge=conn < 7, mesh=self.peers.mesh(conn))
        self.sinks.append((key, sink))
        self.table.add_consumer(key, sink)

    @rule()
    def consumer_gone(self) -> None:
        if self.sinks:
            self.table.remove_consumer(*self.sinks.pop(0))

    @rule(key=KEYS, present=st.booleans(), mesh=st.none() | MESHES)
    def remote(self, key: str, present: bool, mesh: str | None) -> None:
        self.table.set_remote(key, "B", present, None, mesh)

    @rule(conn=st.integers(1, 2), mesh=MESHES)
    def mesh(self, conn: int, mesh: str) -> None:
        for _, sink in self.sinks:
            if sink.conn == conn:
                sink.mesh = mesh
        self.peers.set_mesh(conn, mesh)

    @rule(conn=st.integers(1, 2))
    def reconnect(self, conn: int) -> None:
        self.collect()
        for key, sink in self.sinks:
            if sink.conn == conn:
                self.table.remove_consumer(key, sink)
        self.sinks = [(key, sink) for key, sink in self.sinks if sink.conn != conn]
        self.collect()
        self.peers.closed(conn)
        self.peers.opened(conn)
        self.listening.discard(conn)
        for key in ("Ma", "Mb", "Mc"):
            self.senders[conn, key] = 0
            self.told.discard((conn, key))

    def collect(self) -> None:
        for action in self.peers.take_actions():
            state = (action.conn, action.key)
            assert (state in self.told) != action.reachable, "no news"
            (self.told.add if action.reachable else self.told.remove)(state)

    @invariant()
    def told_what_holds(self) -> None:
        self.collect()
        for conn in (1, 2):
            for key in ("Ma", "Mb", "Mc"):
                follows = conn in self.listening and self.senders[conn, key] > 0
                expected = follows and self.table.edge_reachable(key, conn, self.peers.mesh(conn))
                assert ((conn, key) in self.told) == expected


TestPeers = PeerMachine.TestCase


def test_tracking_bodies() -> None:
    table = AddressTable()
    peers = EdgePeers(table)
    peers.opened(1)
    peers.sender_up(1, "Mecho:9090")
    peers.tracking_up(1)
    assert peers.take_actions() == []
    table.set_remote("Mecho:9090", "B", True)
    table.set_remote("Mecho:9090", "C", True)
    table.router_lost("B")
    assert [action.body for action in peers.take_actions()] == [["Mecho:9090", True]]
    table.router_lost("C")
    assert peers.take_actions() == [SendTracking(1, "Mecho:9090", False)]


@pytest.mark.parametrize("interiors", [1, 2])
def test_an_edge_follows_the_network(interiors: int) -> None:
    """Edge table, proxies, and interior peers wired together as the runtime wires them."""
    from skupper_podman.routerd.core.actions import AnnounceDown, AnnounceUp, Reachable, SourceDown, SourceUp
    from skupper_podman.routerd.core.address import Mode

    edge, proxies = AddressTable(Mode.EDGE), EdgeProxies()
    tables = {conn: AddressTable() for conn in range(1, interiors + 1)}
    peers = {conn: EdgePeers(table) for conn, table in tables.items()}
    mirrors: dict[tuple[int, str], Sink] = {}
    bound: dict[str, Sink] = {}
    listening: dict[str, bool] = {}

    def settle() -> None:
        busy = True
        while busy:
            busy = False
            for action in edge.take_actions():
                busy = True
                match action:
                    case AnnounceUp():
                        proxies.consumers_up(action.key)
                    case AnnounceDown():
                        proxies.consumers_down(action.key)
                    case SourceUp():
                        proxies.sources_up(action.key)
                    case SourceDown():
                        proxies.sources_down(action.key)
                    case Reachable():
                        listening[action.key] = action.reachable
            for step in proxies.take_actions():
                busy = True
                match step:
                    case Activate():
                        peers[step.conn].opened(step.conn)
                        peers[step.conn].tracking_up(step.conn)
                    case OpenReceiver():
                        sink = mirrors[step.conn, step.address] = Sink(conn=step.conn, is_edge=True)
                        tables[step.conn].add_consumer("M" + step.address, sink)
                    case CloseReceiver():
                        sink = mirrors.pop((step.conn, step.address))
                        tables[step.conn].remove_consumer("M" + step.address, sink)
                    case OpenSender():
                        peers[step.conn].sender_up(step.conn, "M" + step.address)
                    case CloseSender():
                        peers[step.conn].sender_down(step.conn, "M" + step.address)
                    case BindProxy():
                        bound[step.key] = Sink(conn=step.conn, is_edge=True)
                        edge.add_consumer(step.key, bound[step.key])
                    case UnbindProxy():
                        edge.remove_consumer(step.key, bound.pop(step.key))
            for conn, peer in peers.items():
                for message in peer.take_actions():
                    busy = True
                    assert proxies.tracking(conn, message.body)

    for conn in tables:
        proxies.opened(conn)
    listening["Mdb"] = edge.watch("Mdb", 1)
    own = Sink(conn=50)
    edge.add_consumer("Mweb", own)
    settle()
    assert listening == {"Mdb": False}
    assert set(mirrors) == {(1, "web")}
    for table in tables.values():
        table.set_remote("Mdb", "B", True)
    settle()
    assert listening["Mdb"] is True
    assert bound.keys() == {"Mdb"}
    edge.add_consumer("Mdb", own)
    edge.remove_consumer("Mdb", own)
    settle()
    assert listening["Mdb"] is True
    peers[1].closed(1)
    proxies.closed(1)
    settle()
    assert listening["Mdb"] is (interiors == 2)
    tables[interiors].set_remote("Mdb", "B", False)
    settle()
    assert listening["Mdb"] is False
