"""Routers in topologies: convergence, cuts, restarts, losses, and messages through them."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from skupper_podman.routerd.core.bodies import Hello
from skupper_podman.routerd.core.limits import MAX_ROUTERS

from .network import Network, chain, ring, star


def built(shape: str, names: str, seed: int = 1) -> Network:
    net = Network(seed)
    net.add(*names)
    {"chain": chain, "ring": ring, "star": star}[shape](net, names)
    for name in names:
        net.consume(name, f"own.{name}")
        net.consume(name, "shared")
        net.consume(name, "mc/all")
    return net


SHAPES = [("chain", "ABCDEF"), ("ring", "ABCDEF"), ("star", "HABCDEFG"), ("chain", "AB")]


@pytest.mark.parametrize(("shape", "names"), SHAPES)
def test_every_shape_converges(shape: str, names: str) -> None:
    net = built(shape, names)
    net.run(6 + len(names))
    net.check()
    radius = {"chain": len(names) - 1, "ring": len(names) // 2, "star": 2}[shape]
    assert net.routers[names[-1]].routing.radius == radius


def test_neighbours_are_adjacent_within_three_seconds() -> None:
    net = built("chain", "AB")
    net.run(3)
    net.check()


@pytest.mark.parametrize(("shape", "names"), SHAPES)
def test_a_quiet_network_stays_quiet(shape: str, names: str) -> None:
    net = built(shape, names)
    net.run(30)
    epochs = {name: router.routing.epoch for name, router in net.routers.items()}
    for router in net.routers.values():
        router.sent.clear()
    net.run(300)
    net.check()
    assert {name: router.routing.epoch for name, router in net.routers.items()} == epochs
    kinds = Counter(opcode for router in net.routers.values() for opcode, _ in router.sent)
    assert set(kinds) == {"HELLO", "RA"}
    assert kinds["RA"] == 10 * len(names)


def test_multicast_reaches_each_consumer_once_from_anywhere() -> None:
    for shape, names in SHAPES:
        net = built(shape, names)
        sinks = [net.consume(name, "mc/news") for name in names]
        net.run(20)
        for name in names:
            assert net.send(name, "mc/news", name) == len(names) - 1
        for sink in sinks:
            assert sorted(sink.got) == sorted(names)


def test_multicast_in_a_mesh_of_random_costs() -> None:
    random = Random(7)
    for seed in range(5):
        net = Network(seed)
        names = "ABCDEFGH"
        net.add(*names)
        chain(net, names)
        for _ in range(8):
            a, b = random.sample(names, 2)
            net.link(a, b, random.randint(1, 4))
        sinks = [net.consume(name, "mc/x") for name in names]
        net.run(25)
        net.check()
        for name in names:
            net.send(name, "mc/x", name)
        assert [sorted(sink.got) for sink in sinks] == [sorted(names)] * len(names)


def test_a_ring_takes_the_cheap_way_and_survives_a_cut() -> None:
    net = Network(3)
    net.add(*"ABCD")
    net.link("A", "B", 1)
    net.link("B", "C", 1)
    net.link("C", "D", 1)
    net.link("D", "A", 10)
    net.consume("D", "svc")
    net.run(12)
    net.check()
    assert net.routers["A"].routing.next_hop_id("D") == "B"
    assert net.routers["A"].routing.cost("D") == 3
    net.cut("B", "C")
    net.run(12)
    net.check()
    assert net.routers["A"].routing.cost("D") == 10
    assert net.routers["B"].routing.next_hop_id("C") == "A"
    net.mend("B", "C")
    net.run(12)
    net.check()


def test_next_hop_moves_at_once_when_a_link_is_lost() -> None:
    net = built("ring", "ABCD")
    net.run(15)
    net.cut("A", "B")
    hop = net.routers["A"].routing.next_hop("B")
    assert hop is not None
    assert net.by_conn["A", hop].other("A") == "D"


def test_addresses_of_an_unreachable_router_go_after_the_hold_off() -> None:
    net = built("chain", "ABC")
    net.run(12)
    net.cut("B", "C")
    net.run(0.1)
    assert "C" in net.routers["B"].remote_addresses()
    net.run(2.4)
    assert "C" not in net.routers["B"].remote_addresses()
    net.run(1.5)
    net.check()
    assert net.routers["A"].lost == ["C"]
    assert {node.id for node in net.routers["A"].routing.nodes()} == {"B", "C"}
    net.run(70)
    assert {node.id for node in net.routers["A"].routing.nodes()} == {"B"}
    assert net.routers["A"].lost == ["C"]
    net.mend("B", "C")
    net.run(10)
    net.check()


def test_addresses_survive_a_flap_shorter_than_the_hold_off() -> None:
    net = built("chain", "ABC")
    net.run(12)
    net.cut("B", "C")
    net.mend("B", "C")
    net.run(0.9)
    assert net.routers["A"].remote_addresses()["C"]
    net.run(6)
    net.check()
    assert net.routers["A"].lost == []


def test_a_frozen_neighbour_is_dropped_after_three_seconds() -> None:
    net = built("chain", "ABC")
    net.run(12)
    net.drop = lambda sender, receiver, opcode: sender == "C"
    net.run(2.5)
    assert net.routers["B"].routing.next_hop("C") is not None
    net.run(2.5)
    assert net.routers["B"].routing.next_hop("C") is None
    net.run(2)
    assert "C" not in net.routers["A"].remote_addresses()
    net.drop = lambda sender, receiver, opcode: False
    net.run(10)
    net.check()


@pytest.mark.parametrize("name", ["A", "B", "C"])
@pytest.mark.parametrize("seconds", [0.0, 2.0, 20.0])
def test_a_restart_with_another_instance(name: str, seconds: float) -> None:
    net = built("chain", "ABCD")
    net.run(12)
    net.restart(name, seconds)
    net.consume(name, "new.address")
    net.run(15)
    net.check()
    net.consume(name, "newer.address")
    net.run(2)
    net.check()


def test_a_restart_behind_a_link_that_stays_up_is_noticed_by_the_instance() -> None:
    net = built("chain", "ABC")
    net.run(12)
    old = net.routers["C"]
    net.add("C")
    net.routers["C"].routing.control_link_up(net.wires[1].ends["C"], 1, net.now)
    net.consume("C", "other")
    net.run(12)
    assert old.routing.instance != net.routers["C"].routing.instance
    net.check()
    assert any("Detected Restart" in line.text for line in net.routers["B"].logs)


@pytest.mark.parametrize("lost", ["MAU", "MAR", "LSU", "LSR", "RA"])
def test_one_kind_of_message_lost_for_a_while(lost: str) -> None:
    net = built("ring", "ABCD")
    net.drop = lambda sender, receiver, opcode: opcode == lost
    net.run(5)
    net.consume("A", "late")
    net.run(5)
    net.drop = lambda sender, receiver, opcode: False
    net.run(32)
    net.check()


def test_a_lost_differential_is_repaired_within_two_seconds() -> None:
    net = built("chain", "ABC")
    net.run(12)
    net.drop = lambda sender, receiver, opcode: opcode == "MAU" and receiver == "C"
    net.consume("A", "missed")
    sink = net.consume("A", "gone")
    net.run(1)
    net.drop = lambda sender, receiver, opcode: False
    net.stop("A", "gone", sink)
    net.consume("A", "next")
    net.run(2)
    net.check()


@pytest.mark.parametrize("seed", range(4))
def test_lossy_links_converge_in_the_end(seed: int) -> None:
    net = built("ring", "ABCDE", seed)
    random = Random(seed)
    net.drop = lambda sender, receiver, opcode: random.random() < 0.25
    net.run(60)
    net.consume("C", "under.loss")
    net.run(20)
    net.drop = lambda sender, receiver, opcode: False
    net.run(35)
    net.check()


def test_five_hundred_addresses_in_a_burst_travel_in_one_update() -> None:
    net = built("chain", "ABC")
    net.run(12)
    net.routers["A"].sent.clear()
    sinks = {number: net.consume("A", f"burst.{number}") for number in range(500)}
    net.run(2)
    net.check()
    assert Counter(opcode for opcode, _ in net.routers["A"].sent)["MAU"] == 1
    for number, sink in sinks.items():
        if number % 2:
            net.stop("A", f"burst.{number}", sink)
    net.run(2)
    net.check()


def test_an_address_that_comes_and_goes_within_a_second_is_not_announced() -> None:
    net = built("chain", "AB")
    net.run(12)
    before = net.routers["A"].routing.mobile_seq
    net.stop("A", "brief", net.consume("A", "brief"))
    net.run(3)
    assert net.routers["A"].routing.mobile_seq == before


def test_parallel_links_stay_reachable_and_do_not_flap() -> None:
    net = built("chain", "AB")
    net.run(5)
    second = net.link("A", "B", 1)
    net.run(5)
    epoch = net.routers["A"].routing.epoch
    hop = net.routers["A"].routing.next_hop("B")
    net.run(20)
    assert net.routers["A"].routing.epoch == epoch
    assert net.routers["A"].routing.next_hop("B") == hop == net.wires[0].ends["A"]
    net.cut_wire(net.wires[0])
    assert net.routers["A"].routing.next_hop("B") == second.ends["A"]
    assert net.routers["A"].lost == []
    net.run(5)
    net.check()
    net.link("A", "B", 3)
    net.run(5)
    net.check()
    net.cut_wire(second)
    assert net.routers["A"].routing.next_hop("B") is not None
    net.run(5)
    net.check()
    assert net.routers["B"].routing.own_links == {"A": 3}


def test_a_silent_parallel_link_is_given_up() -> None:
    net = built("chain", "AB")
    net.run(5)
    cheap = net.wires[0]
    net.link("A", "B", 4)
    net.run(3)
    cheap.one_way_dead = "A"
    net.run(5)
    assert net.routers["A"].routing.next_hop("B") == net.wires[1].ends["A"]


def test_a_duplicate_id_is_reported_once_and_never_becomes_a_neighbour() -> None:
    net = built("chain", "AB")
    net.run(5)
    router = net.routers["A"]
    router.routing.control_link_up(99, 1, net.now)
    for _ in range(3):
        body = Hello("A", 5, ("A",)).body("0")
        router.routing.receive(99, "HELLO", body, net.now)
    router.routing.receive(99, "HELLO", Hello("A", router.routing.instance, ("A",)).body("0"), net.now)
    logs = [a for a in router.routing.take_actions() if getattr(a, "level", "") == "critical"]
    texts = [log.text for log in logs]  # type: ignore[union-attr]
    assert texts == [
        "Detected Neighbor Router with a Duplicate ID - A",
        "A connection leads to this router itself or to another one with the same ID - A",
    ]
    assert router.routing.neighbour(99) is None
    assert set(router.routing.reachable()) == {"B"}


def test_watchers_on_other_routers_follow_consumers() -> None:
    net = built("chain", "ABC")
    net.run(12)
    assert net.routers["A"].table.watch("Mdb:5432", 7) is False
    sink = net.consume("C", "db:5432")
    net.run(2)
    assert net.routers["A"].reachable["Mdb:5432", 7] is True
    net.stop("C", "db:5432", sink)
    net.run(2)
    assert net.routers["A"].reachable["Mdb:5432", 7] is False


def test_so_many_routers_and_no_more() -> None:
    net = built("chain", "AB")
    net.run(5)
    routing = net.routers["A"].routing
    for number in range(2 * MAX_ROUTERS):
        body = {"id": f"X{number}", "pv": 1, "instance": 1, "ls_seq": 1, "mobile_seq": 0}
        routing.receive(net.wires[0].ends["A"], "RA", body, net.now)
    assert len(routing.nodes()) == MAX_ROUTERS - 1
    assert len({node.index for node in routing.nodes()}) == MAX_ROUTERS - 1
    texts = [getattr(action, "text", "") for action in routing.take_actions()]
    assert len([text for text in texts if "Exceeded Maximum Router Count" in text]) == 1


@pytest.mark.parametrize("opcode", ["HELLO", "RA", "LSR", "LSU", "MAR", "MAU", "NEW"])
@pytest.mark.parametrize(
    "body",
    [None, 5, [], {}, {"id": 3}, {"id": ""}, {"id": "Z", "pv": "x"}, {"id": "Z", "pv": 9}, {"id": "Z"},
     {"id": "Z", "pv": 1, "ls_seq": -1, "mobile_seq": 2}, {"id": "Z", "seen": "A"},
     {"id": "B", "mobile_seq": 3, "add": []},
     {"id": "Z", "ls": {"peers": {"A": "x"}, "ls_seq": 1}}, {"id": "B", "mobile_seq": 3, "add": 1, "del": []}],
)  # fmt: skip
def test_malformed_messages_change_nothing(opcode: str, body: object) -> None:
    net = built("chain", "AB")
    net.run(5)
    routing = net.routers["A"].routing
    epoch = routing.epoch
    routing.receive(net.wires[0].ends["A"], opcode, body, net.now)
    net.run(0.5)
    assert routing.epoch == epoch
    assert set(routing.reachable()) == {"B"}


def test_a_version_from_the_future_is_reported_once() -> None:
    net = built("chain", "AB")
    routing = net.routers["A"].routing
    for _ in range(3):
        routing.receive(1, "RA", {"id": "Z", "pv": 2}, net.now)
    texts = [getattr(action, "text", "") for action in routing.take_actions()]
    assert len([text for text in texts if "protocol version 2 from Z" in text]) == 1


def test_a_restart_is_noticed_even_if_the_first_instance_was_never_advertised() -> None:
    """Link state arrived, every RA was lost, the router restarted and counts from one again."""
    net = built("chain", "ABC")
    net.drop = lambda sender, receiver, opcode: opcode == "RA"
    net.run(10)
    net.drop = lambda sender, receiver, opcode: False
    net.restart("C")
    net.add("D")
    net.link("C", "D")
    net.run(10)
    net.check()


@pytest.mark.parametrize(("shape", "names"), SHAPES)
def test_ticks_in_between_neither_repeat_requests_nor_forget_routers(shape: str, names: str) -> None:
    net = built(shape, names)
    net.eager = 1.0
    net.run(6)
    net.check()
    pairs = len(names) * (len(names) - 1)
    kinds = Counter(opcode for router in net.routers.values() for opcode, _ in router.sent)
    assert kinds["MAR"] <= pairs * 2
    assert kinds["LSR"] <= pairs * 4
