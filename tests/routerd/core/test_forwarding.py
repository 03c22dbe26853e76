"""Forwarding decisions, one rule of reference sections 3.9, 4.5 and 4.6 at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from skupper_podman.routerd.core.address import UPLINK_KEY, Mode, Rule, Rules, Treatment
from skupper_podman.routerd.core.forwarding import LINK_CAPACITY, Decision, Origin, route
from skupper_podman.routerd.core.table import AddressTable

from .network import Sink

RULES = Rules(
    [Rule(Treatment.MULTICAST, prefix="mc"), Rule(Treatment.CLOSEST, prefix="near"),
     Rule(Treatment.UNAVAILABLE, prefix="no")]
)  # fmt: skip
MESH, OTHER_MESH = "m" * 15, "n" * 15


class Star:
    """Paths of router A: B (cost 1, connection 10), C (cost 1, 11), D behind B (cost 5, 10); Z is unreachable."""

    own_id = "A"
    epoch = 1
    radius = 2
    hops = {"B": 10, "C": 11, "D": 10}  # noqa: RUF012
    costs = {"B": 1, "C": 1, "D": 5}  # noqa: RUF012

    def next_hop(self, router_id: str) -> int | None:
        return self.hops.get(router_id)

    def cost(self, router_id: str) -> int | None:
        return self.costs.get(router_id)

    def valid_origin(self, router_id: str, origin: str) -> bool:
        side = {"B": "left", "D": "left", "C": "right", "A": "middle"}
        return side.get(origin) is not None and side[origin] != side[router_id]

    def knows(self, router_id: str) -> bool:
        return router_id in "ABCDZ"

    def flood_connections(self) -> Sequence[int]:
        return (10, 11)

    def trace_connections(self, nodes: Sequence[str]) -> set[int]:
        return {{"B": 10, "C": 11}[node] for node in nodes if node in "BC"}


PATHS = Star()


@pytest.fixture
def table() -> AddressTable:
    return AddressTable(rules=RULES)


def remote(table: AddressTable, key: str, *routers: str) -> None:
    for router in routers:
        table.set_remote(key, router, True)


def outcome(decision: Decision) -> str | None:
    assert (decision.fanout == 0) == (decision.outcome is not None)
    return decision.outcome


def test_nothing_there_is_released(table: AddressTable) -> None:
    assert outcome(route(table, PATHS, "Mx", Origin())) == "released"
    assert outcome(route(table, PATHS, "A1", Origin())) == "released"
    remote(table, "Mx", "Z")
    assert outcome(route(table, PATHS, "Mx", Origin())) == "released"


def test_unavailable(table: AddressTable) -> None:
    table.add_producer("Mno/way", object())
    client = route(table, PATHS, "Mno/way", Origin(in_conn=1))
    assert (client.outcome, client.condition) == ("rejected", "amqp:not-found")
    assert outcome(route(table, PATHS, "Mno/way", Origin("B", ("B",), 10, from_router=True))) == "released"


def test_too_long_a_trace_is_released(table: AddressTable) -> None:
    table.add_consumer("Mx", Sink())
    assert route(table, PATHS, "Mx", Origin("B", ("B", "D", "B"))).fanout == 1
    assert outcome(route(table, PATHS, "Mx", Origin("B", ("B", "D", "B", "D")))) == "released"


def test_routing_messages_come_from_control_links_only(table: AddressTable) -> None:
    sink = Sink(in_process=True)
    for key in ("Lqdhello", "Lqdrouter", "Tqdrouter", "Lqdrouter.ma", "Tqdrouter.ma"):
        table.add_consumer(key, sink)
        assert outcome(route(table, PATHS, key, Origin(in_conn=1))) == "released"
        assert route(table, PATHS, key, Origin("B", ("B",), 10, control=True)).locals == (sink,)


def test_towards_a_router(table: AddressTable) -> None:
    assert route(table, PATHS, "RD", Origin()).remotes == (10,)
    assert outcome(route(table, PATHS, "RZ", Origin())) == "released"
    assert outcome(route(table, PATHS, "RD", Origin("C", ("C", "B")))) == "released"
    assert outcome(route(table, None, "RD", Origin())) == "released"


def test_flood_goes_to_every_next_hop_not_in_the_trace(table: AddressTable) -> None:
    assert route(table, PATHS, "Tqdrouter", Origin(control=True)).remotes == (10, 11)
    assert route(table, PATHS, "Tqdrouter", Origin("D", ("D", "B"), 10, control=True)).remotes == (11,)


def test_multicast(table: AddressTable) -> None:
    sinks = [Sink(), Sink(in_process=True)]
    for sink in sinks:
        table.add_consumer("Mmc/x", sink)
    remote(table, "Mmc/x", "B", "C", "D")
    here = route(table, PATHS, "Mmc/x", Origin())
    assert here.locals == tuple(sinks)
    assert sorted(here.remotes) == [10, 11]
    assert route(table, PATHS, "Mmc/x", Origin("B", ("B",), 10)).remotes == (11,)
    assert route(table, PATHS, "Mmc/x", Origin("C", ("C",), 11)).remotes == (10,)
    unknown = route(table, PATHS, "Mmc/x", Origin("Q", ("Q",), 10))
    assert (len(unknown.locals), unknown.remotes) == (2, ())


def test_closest_prefers_in_process_then_local_then_the_cheapest(table: AddressTable) -> None:
    remote(table, "Mnear/x", "D")
    assert route(table, PATHS, "Mnear/x", Origin()).remotes == (10,)
    remote(table, "Mnear/x", "C")
    assert [route(table, PATHS, "Mnear/x", Origin()).remotes for _ in range(3)] == [(11,)] * 3
    remote(table, "Mnear/x", "B")
    assert Counter(route(table, PATHS, "Mnear/x", Origin()).remotes for _ in range(6)) == {(10,): 3, (11,): 3}
    locals_ = [Sink("a"), Sink("b"), Sink("c")]
    for sink in locals_:
        table.add_consumer("Mnear/x", sink)
    chosen = [route(table, PATHS, "Mnear/x", Origin()).locals[0] for _ in range(6)]
    assert Counter(map(id, chosen)) == {id(sink): 2 for sink in locals_}
    inside = Sink(in_process=True)
    table.add_consumer("Mnear/x", inside)
    assert route(table, PATHS, "Mnear/x", Origin()).locals == (inside,)


def test_anycast_respects_valid_origins_and_the_trace(table: AddressTable) -> None:
    for key in ("Mnear/x", "Mbal"):
        remote(table, key, "B", "D")
        assert outcome(route(table, PATHS, key, Origin("B", ("B",), 10))) == "released"
        assert route(table, PATHS, key, Origin("C", ("C",), 11)).remotes == (10,)
        assert outcome(route(table, PATHS, key, Origin("C", ("C", "B"), 10))) == "released"
        assert route(table, PATHS, key, Origin("Q", ("Q",), 11)).remotes == (10,), "unknown counts as this router"
        assert outcome(route(table, PATHS, key, Origin(excluded=frozenset((10,))))) == "released"


def test_balanced_stays_local_until_the_backlog_exceeds_the_cost(table: AddressTable) -> None:
    sink = Sink()
    table.add_consumer("Mbal", sink)
    remote(table, "Mbal", "D")
    for backlog in range(6):
        sink.waiting = backlog
        assert route(table, PATHS, "Mbal", Origin()).locals == (sink,)
    sink.waiting = 6
    decision = route(table, PATHS, "Mbal", Origin())
    assert decision.remotes == (10,)
    assert decision.address is not None
    decision.address.sent(10)
    assert route(table, PATHS, "Mbal", Origin()).locals == (sink,)
    sink.waiting = 7
    assert route(table, PATHS, "Mbal", Origin()).remotes == (10,)


def test_balanced_spreads_over_idle_locals_and_over_loaded_remotes(table: AddressTable) -> None:
    sinks = [Sink(str(number)) for number in range(3)]
    for sink in sinks:
        table.add_consumer("Mbal", sink)
    chosen = Counter(id(route(table, PATHS, "Mbal", Origin()).locals[0]) for _ in range(9))
    assert set(chosen.values()) == {3}
    remote(table, "Mfar", "B", "C")
    counts: Counter[int] = Counter()
    for _ in range(20):
        decision = route(table, PATHS, "Mfar", Origin())
        assert decision.address is not None
        decision.address.sent(decision.remotes[0])
        counts[decision.remotes[0]] += 1
    assert counts == {10: 10, 11: 10}


def test_balanced_beyond_capacity_takes_the_least_loaded(table: AddressTable) -> None:
    full, fuller = Sink("full", waiting=12, capacity=10), Sink("fuller", waiting=20, capacity=10)
    table.add_consumer("Mbal", fuller)
    table.add_consumer("Mbal", full)
    assert route(table, PATHS, "Mbal", Origin()).locals == (full,)
    remote(table, "Mbal", "D")
    decision = route(table, PATHS, "Mbal", Origin())
    assert decision.remotes == (10,), "eligible beats ineligible whatever the cost"
    for _ in range(LINK_CAPACITY):
        assert decision.address is not None
        decision.address.sent(10)
    assert route(table, PATHS, "Mbal", Origin()).locals == (full,)


@pytest.mark.parametrize("address", ["Mmc/x", "Mnear/x", "Mbal"])
def test_edge_echo_at_the_interior(table: AddressTable, address: str) -> None:
    near = Sink("near", conn=1, is_edge=True, mesh=MESH)
    table.add_consumer(address, near)
    back = Origin(in_conn=1, in_edge=True, in_mesh=MESH)
    assert outcome(route(table, PATHS, address, back)) == "released"
    assert outcome(route(table, PATHS, address, Origin(in_conn=2, in_edge=True, in_mesh=MESH))) == "released"
    assert outcome(route(table, PATHS, address, Origin("B", ("B",), 10, in_mesh=MESH))) == "released"
    assert route(table, PATHS, address, Origin(in_conn=2, in_edge=True, in_mesh=OTHER_MESH)).locals == (near,)
    assert route(table, PATHS, address, Origin("B", ("B",), 10)).locals == (near,)
    client = Sink("client", conn=1)
    table.add_consumer(address, client)
    assert route(table, PATHS, address, back).locals == (client,), "a client's own connection is no echo"


def test_an_edge_without_mesh_id_is_still_told_apart_by_its_connection(table: AddressTable) -> None:
    table.add_consumer("Mbal", Sink(conn=1, is_edge=True))
    assert outcome(route(table, PATHS, "Mbal", Origin(in_conn=1, in_edge=True))) == "released"
    assert route(table, PATHS, "Mbal", Origin(in_conn=2, in_edge=True)).fanout == 1


def test_an_edge_router_sends_up_what_it_does_not_know() -> None:
    table = AddressTable(Mode.EDGE, RULES)
    up = route(table, None, "Mx", Origin(in_conn=5), uplink=True)
    assert up.uplink
    assert up.outcome is None
    assert route(table, None, UPLINK_KEY, Origin(), uplink=True).uplink
    assert outcome(route(table, None, "Mx", Origin(), uplink=False)) == "released"
    down = Origin(in_conn=9, in_edge=True)
    assert outcome(route(table, None, "Mx", down, uplink=True)) == "released"
    assert outcome(route(table, None, "Ltemp.gone", Origin(in_conn=5), uplink=True)) == "released"


@pytest.mark.parametrize("address", ["Mmc/x", "Mnear/x", "Mbal"])
def test_an_edge_router_never_returns_to_the_network_what_came_from_it(address: str) -> None:
    table = AddressTable(Mode.EDGE, RULES)
    proxy, own = Sink("proxy", conn=9, is_edge=True, mesh=MESH), Sink("own", conn=3)
    table.add_producer(address, object())
    table.add_consumer(address, proxy)
    down = Origin("B", ("B",), in_conn=9, in_edge=True)
    assert outcome(route(table, None, address, down, uplink=True)) == "released"
    table.add_consumer(address, own)
    assert route(table, None, address, down, uplink=True).locals == (own,)
    decisions = [route(table, None, address, Origin(in_conn=3), uplink=True) for _ in range(4)]
    assert not any(decision.uplink for decision in decisions)
    names = {consumer.name for decision in decisions for consumer in decision.locals}  # type: ignore[attr-defined]
    assert names == {"proxy", "own"}


def test_multicast_from_an_edge_without_tracking_goes_up_and_to_locals() -> None:
    table = AddressTable(Mode.EDGE, RULES)
    own = Sink()
    table.add_consumer("Mmc/x", own)
    decision = route(table, None, "Mmc/x", Origin(in_conn=5), uplink=True)
    assert decision.uplink
    assert decision.locals == (own,)
    table.watch("Mmc/x", 1)
    assert not route(table, None, "Mmc/x", Origin(in_conn=5), uplink=True).uplink
