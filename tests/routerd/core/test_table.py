"""The address table as a state machine against a plain model, and its finer points."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from skupper_podman.routerd.core.actions import (
    AnnounceChanged,
    AnnounceDown,
    AnnounceUp,
    Reachable,
    SourceDown,
    SourceUp,
)
from skupper_podman.routerd.core.address import Mode, Rules, Treatment
from skupper_podman.routerd.core.table import AddressTable

from .network import Sink

KEYS = st.sampled_from(["Ma", "Mb", "HE", "Ltemp.1"])
MESHES = st.sampled_from([None, "m" * 15, "n" * 15])
ROUTERS = st.sampled_from(["B", "C"])
WATCHERS = st.integers(1, 3)


class TableMachine(RuleBasedStateMachine):
    """What the actions add up to must equal what the model says."""

    def __init__(self) -> None:
        super().__init__()
        self.table = AddressTable()
        self.sinks: dict[str, list[Sink]] = {}
        self.hidden: dict[str, list[Sink]] = {}
        self.producers: dict[str, list[object]] = {}
        self.remotes: dict[str, dict[str, str | None]] = {}
        self.watches: dict[tuple[str, int], int | None] = {}
        self.announced: dict[str, tuple[int, str | None]] = {}
        self.sources: set[str] = set()
        self.states: dict[tuple[str, int], bool] = {}

    @rule(key=KEYS, conn=st.integers(1, 2), edge=st.booleans(), mesh=MESHES)
    def add_consumer(self, key: str, conn: int, edge: bool, mesh: str | None) -> None:
        sink = Sink(conn=conn, is_edge=edge, mesh=mesh if edge else None)
        self.table.add_consumer(key, sink)
        self.sinks.setdefault(key, []).append(sink)

    @rule(key=KEYS)
    def add_private(self, key: str) -> None:
        sink = Sink(in_process=True)
        self.table.add_consumer(key, sink, propagate=False)
        self.hidden.setdefault(key, []).append(sink)

    @rule(key=KEYS, data=st.data())
    def remove_consumer(self, key: str, data: st.DataObject) -> None:
        pool = data.draw(st.sampled_from([self.sinks.get(key, []), self.hidden.get(key, [])]))
        if pool:
            self.table.remove_consumer(key, pool.pop(data.draw(st.integers(0, len(pool) - 1))))
        self.table.remove_consumer(key, Sink())

    @rule(key=KEYS)
    def add_producer(self, key: str) -> None:
        producer = object()
        self.table.add_producer(key, producer)
        self.producers.setdefault(key, []).append(producer)

    @rule(key=KEYS)
    def remove_producer(self, key: str) -> None:
        if self.producers.get(key):
            self.table.remove_producer(key, self.producers[key].pop())

    @rule(key=KEYS, router=ROUTERS, mesh=MESHES)
    def remote_up(self, key: str, router: str, mesh: str | None) -> None:
        self.table.set_remote(key, router, True, Treatment.CLOSEST, mesh)
        self.remotes.setdefault(key, {})[router] = mesh

    @rule(key=KEYS, router=ROUTERS)
    def remote_down(self, key: str, router: str) -> None:
        self.table.set_remote(key, router, False)
        self.remotes.get(key, {}).pop(router, None)

    @rule(router=ROUTERS)
    def router_lost(self, router: str) -> None:
        self.table.router_lost(router)
        for remotes in self.remotes.values():
            remotes.pop(router, None)

    @rule(key=KEYS, watcher=WATCHERS, conn=st.sampled_from([None, 1]))
    def watch(self, key: str, watcher: int, conn: int | None) -> None:
        self.collect()
        self.states[key, watcher] = self.table.watch(key, watcher, conn)
        self.watches[key, watcher] = conn

    @rule(key=KEYS, watcher=WATCHERS)
    def unwatch(self, key: str, watcher: int) -> None:
        self.collect()
        self.table.unwatch(key, watcher)
        self.watches.pop((key, watcher), None)
        self.states.pop((key, watcher), None)

    def collect(self) -> None:
        for action in self.table.take_actions():
            match action:
                case AnnounceUp():
                    assert action.key not in self.announced
                    self.announced[action.key] = (action.in_links, action.mesh)
                case AnnounceChanged():
                    assert self.announced[action.key] != (action.in_links, action.mesh)
                    self.announced[action.key] = (action.in_links, action.mesh)
                case AnnounceDown():
                    del self.announced[action.key]
                case SourceUp():
                    assert action.key not in self.sources
                    self.sources.add(action.key)
                case SourceDown():
                    self.sources.remove(action.key)
                case Reachable():
                    assert self.states[action.key, action.watcher_id] != action.reachable
                    self.states[action.key, action.watcher_id] = action.reachable

    @invariant()
    def announcements_add_up(self) -> None:
        self.collect()
        expected = {}
        for key, sinks in self.sinks.items():
            if key[0] in "MH" and sinks:
                meshes = {sink.mesh if sink.is_edge else None for sink in sinks}
                expected[key] = (len(self.producers.get(key, [])), meshes.pop() if len(meshes) == 1 else None)
        assert self.announced == expected

    @invariant()
    def watches_add_up(self) -> None:
        self.collect()
        for (key, watcher), conn in self.watches.items():
            usable = [s for s in self.sinks.get(key, []) if not (s.is_edge and s.conn == conn)]
            expected = bool(self.remotes.get(key) or usable or self.hidden.get(key))
            assert self.states[key, watcher] == expected

    @invariant()
    def entries_exist_while_referred_to(self) -> None:
        pools: list[dict[str, Any]] = [self.sinks, self.hidden, self.producers, self.remotes]
        used = {key for pool in pools for key, content in pool.items() if content} | {key for key, _ in self.watches}
        assert {address.key for address in self.table} == used
        assert len(self.table) == len(used)

    @invariant()
    def edge_reachability_excludes_the_own_edge_and_mesh(self) -> None:
        for key in ("Ma", "Mb"):
            for mesh in (None, "m" * 15):
                remote = any(m is None or m != mesh for m in self.remotes.get(key, {}).values())
                local = any(
                    not s.is_edge or (s.conn != 1 and (mesh is None or s.mesh != mesh)) for s in self.sinks.get(key, [])
                )
                assert self.table.edge_reachable(key, 1, mesh) == (remote or local)


TestTable = TableMachine.TestCase


def test_sources_count_producers_and_watchers() -> None:
    table = AddressTable(Mode.EDGE)
    producer = object()
    table.add_producer("Ma", producer)
    table.watch("Ma", 1)
    table.remove_producer("Ma", producer)
    assert table.take_actions() == [SourceUp("Ma")]
    table.unwatch("Ma", 1)
    assert table.take_actions() == [SourceDown("Ma")]
    table.add_consumer("M$management", Sink(in_process=True), propagate=False)
    table.add_producer("M$management", producer)
    assert table.take_actions() == []


def test_an_edge_does_not_announce_its_proxies() -> None:
    table = AddressTable(Mode.EDGE)
    proxy = Sink(conn=1, is_edge=True, mesh="m" * 15)
    assert table.watch("Ma", 1) is False
    table.add_consumer("Ma", proxy)
    own = Sink(conn=2)
    table.add_consumer("Ma", own)
    assert table.take_actions() == [
        SourceUp("Ma"),
        Reachable("Ma", 1, True),
        AnnounceUp("Ma", Treatment.BALANCED, 0, None),
    ]


def test_the_hint_counts_only_for_a_new_entry_without_rule() -> None:
    table = AddressTable(rules=Rules(default=Treatment.CLOSEST))
    assert table.add_producer("Ma", object()).treatment is Treatment.CLOSEST
    table.set_remote("Ma", "B", True, Treatment.MULTICAST, None)
    table.set_remote("Mb", "B", True, Treatment.MULTICAST, None)
    treatments = {address.key: address.treatment for address in table}
    assert treatments == {"Ma": Treatment.CLOSEST, "Mb": Treatment.MULTICAST}


def test_outstanding_deliveries_are_counted_per_next_hop() -> None:
    address = AddressTable().add_producer("Ma", object())
    address.sent(3)
    address.sent(3)
    address.settled(3)
    assert address.outstanding == {3: 1}
    address.settled(3)
    address.settled(3)
    assert address.outstanding == {}
    assert address.tracked == 2
