"""What other routers may make the core keep and compute, whatever they say."""

from __future__ import annotations

import time
from typing import Any

import pytest

from skupper_podman.routerd.codec import ULong
from skupper_podman.routerd.core import flooding, hello, limits, linkstate, mobile, routing
from skupper_podman.routerd.core.actions import Log, SendOnLink, SendToRouter
from skupper_podman.routerd.core.address import Namespace, Rule, Rules, Treatment
from skupper_podman.routerd.core.bodies import AddressUpdate, Descriptor
from skupper_podman.routerd.core.routing import Routing

from .network import Network, learned


def engine() -> Routing:
    """Router A with neighbour B on connection 1."""
    made = Routing("A", 1)
    made.control_link_up(1, 1, 0.0)
    made.receive(1, "HELLO", {"id": "B", "pv": 1, "instance": 7, "seen": ["A"]}, 0.0)
    made.tick(0.1)
    made.take_actions()
    assert made.next_hop("B") == 1
    return made


def texts(made: Routing) -> list[str]:
    return [action.text for action in made.take_actions() if isinstance(action, Log)]


def update(sender: str, sequence: int, keys: list[str]) -> dict[str, Any]:
    return dict(AddressUpdate(sender, sequence, exist=tuple(Descriptor(key) for key in keys)).body("0"))


def test_addresses_of_one_router_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mobile, "MAX_ADDRESSES", 100)
    made = engine()
    for round_ in range(1, 4):
        made.receive(1, "MAU", update("B", round_, [f"M{round_}-{number}" for number in range(150)]), 1.0)
    assert learned(made.take_actions()) == {"B": {f"M3-{number}" for number in range(100)}}


def test_addresses_of_all_routers_are_bounded_and_their_places_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mobile, "MAX_ALL_ADDRESSES", 150)
    sync = mobile.MobileSync("A")
    for router in ("B", "C"):
        sync.receive(AddressUpdate(router, 1, exist=tuple(Descriptor(f"M{number}") for number in range(100))))
    assert [len(sync.addresses(router)) for router in ("B", "C")] == [100, 50]
    assert sync.overflow
    assert len(sync.flush("B")) == 100
    sync.receive(AddressUpdate("C", 2, exist=tuple(Descriptor(f"M{number}") for number in range(100))))
    assert len(sync.addresses("C")) == 100


def test_addresses_kept_for_a_return_make_room_for_living_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mobile, "MAX_ALL_ADDRESSES", 150)
    sync = mobile.MobileSync("A")
    for router in ("B", "C"):
        sync.receive(AddressUpdate(router, 1, exist=tuple(Descriptor(f"M{router}{number}") for number in range(70))))
        sync.retire(router, 1)
    sync.receive(AddressUpdate("D", 1, exist=tuple(Descriptor(f"M{number}") for number in range(30))))
    assert len(sync.addresses("D")) == 30
    assert not sync.overflow
    assert not sync.revive("B", 1), "the oldest had to make room"
    assert sync.revive("C", 1)


def test_the_text_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mobile, "MAX_KEY_TEXT", 10_000)
    made = engine()
    made.receive(1, "MAU", update("B", 1, ["M" + "x" * 3000 + str(number) for number in range(10)]), 1.0)
    actions = made.take_actions()
    assert len(learned(actions)["B"]) == 3
    made.receive(1, "MAU", update("B", 2, ["M" + "x" * limits.MAX_KEY, "Mshort"]), 1.0)
    actions += made.take_actions()
    assert learned(actions) == {"B": {"Mshort"}}
    assert len([action for action in actions if isinstance(action, Log) and "Too many addresses" in action.text]) == 1


def test_a_hundred_thousand_addresses_are_learned_and_forgotten_quickly() -> None:
    made = engine()
    keys = [f"Mservice-{number}:8080" for number in range(limits.MAX_ADDRESSES)]
    start = time.process_time()
    made.receive(1, "MAU", update("B", 1, keys), 1.0)
    actions = made.take_actions()
    assert len(learned(actions)["B"]) == limits.MAX_ADDRESSES
    made.control_link_down(1, 2.0)
    made.tick(2.5)
    made.tick(9.0)
    assert learned(actions + made.take_actions()) == {}
    assert time.process_time() - start < 20


def test_routers_that_are_only_heard_of_do_not_enter_the_graph() -> None:
    made = engine()
    for number in range(limits.MAX_ROUTERS + 50):
        peers = {f"ghost-{number}-{other}": 1 for other in range(limits.MAX_ROUTERS - 1)}
        body = {"id": f"X{number}", "pv": 1, "ls_seq": 1, "ls": {"ls_seq": 1, "peers": peers}}
        made.receive(1, "LSU", body, 1.0)
    assert len(made.nodes()) == limits.MAX_ROUTERS - 1
    states = made._tracker.collection()
    assert set(states) == {"A", *(node.id for node in made.nodes())}
    assert all(set(peers) <= set(states) for peers in states.values())
    made.tick(2.0)
    assert made.next_hop("B") == 1
    assert len([text for text in texts(made) if "Exceeded Maximum" in text]) == 1


def test_a_link_state_with_more_neighbours_than_routers_is_malformed() -> None:
    made = engine()
    peers = {f"X{number}": 1 for number in range(limits.MAX_ROUTERS)}
    made.receive(1, "LSU", {"id": "B", "pv": 1, "ls_seq": 9, "ls": {"ls_seq": 9, "peers": peers}}, 1.0)
    assert len(made.nodes()) == 1
    assert any("more routers than a network may have" in text for text in texts(made))


def test_links_of_the_graph_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linkstate, "MAX_EDGES", 30)
    made = engine()
    for number in range(6):
        peers = {f"X{other}": 1 for other in range(10)}
        made.receive(1, "LSU", {"id": f"X{number}", "pv": 1, "ls_seq": 1, "ls": {"ls_seq": 1, "peers": peers}}, 1.0)
    assert sum(len(node.peers) for node in made.nodes()) == 30
    # The same router may change what it said.
    made.receive(1, "LSU", {"id": "X0", "pv": 1, "ls_seq": 2, "ls": {"ls_seq": 2, "peers": {"B": 1}}}, 1.0)
    assert {node.id: len(node.peers) for node in made.nodes()}["X0"] == 1


def test_a_large_graph_that_changes_all_the_time_is_computed_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "PATH_COST", 0.05)
    calls: list[int] = []
    compute = routing.compute
    monkeypatch.setattr(routing, "compute", lambda own, states: (calls.append(1), compute(own, states))[1])
    made = engine()
    calls.clear()
    for number in range(200):
        now = 1.0 + number * 0.05
        peers = {"A": 1, f"X{number % 5}": 1}
        body = {"id": "B", "pv": 1, "ls_seq": number + 5, "ls": {"ls_seq": number + 5, "peers": peers}}
        made.receive(1, "LSU", body, now)
        made.receive(1, "HELLO", {"id": "B", "pv": 1, "instance": 7, "seen": ["A"]}, now)
        made.tick(now)
    # Ten seconds, a graph of up to seven routers and three links: at most one computation in about a second.
    assert 5 < len(calls) < 40
    made.tick(100.0)
    assert made.next_hop("B") is None  # silent for long


def test_hellos_of_invented_routers_are_bounded() -> None:
    made = engine()
    for number in range(5 * limits.MAX_ROUTERS):
        made.receive(1, "HELLO", {"id": f"X{number}", "pv": 1, "seen": []}, 1.0)
    answers = [action for action in made.take_actions() if isinstance(action, SendOnLink)]
    assert len(answers) < limits.MAX_ROUTERS
    made.tick(1.1)
    sent = [action.body["seen"] for action in made.take_actions() if isinstance(action, SendOnLink)]
    assert all(len(seen) <= limits.MAX_ROUTERS for seen in sent)
    assert made.next_hop("B") == 1


def test_a_full_set_of_heard_routers_takes_no_further_one() -> None:
    protocol = hello.HelloProtocol("A", 1)
    for number in range(limits.MAX_ROUTERS):
        assert protocol.receive(hello.Hello(f"X{number}", 1, ("A",)), 0.0) == (hello.Heard.MUTUAL, True)
    assert protocol.receive(hello.Hello("Y", 1, ("A",)), 0.0) == (hello.Heard.ONE_WAY, False)
    assert protocol.receive(hello.Hello("X0", 1, ("A",)), 0.0) == (hello.Heard.MUTUAL, False)


def test_versions_from_the_future_are_reported_of_so_many_routers() -> None:
    made = engine()
    for number in range(3 * limits.MAX_WARNED):
        made.receive(1, "RA", {"id": f"X{number}", "pv": 9}, 1.0)
    assert len(texts(made)) == limits.MAX_WARNED
    # What is said once of the network is still said.
    made.receive(1, "HELLO", {"id": "A", "pv": 1, "instance": 5, "seen": []}, 1.0)
    assert any("Duplicate ID" in text for text in texts(made))


@pytest.mark.parametrize("number", [ULong(2**64 - 1), 2**63, -1, True, 1.5])
def test_numbers_that_could_not_be_sent_on_are_refused(number: object) -> None:
    made = engine()
    fields = {"id": "B", "pv": 2, "mobile_seq": number, "exist": []}
    made.receive(1, "MAU", fields, 1.0)
    made.receive(1, "RA", {"id": "B", "pv": 1, "ls_seq": 1, "mobile_seq": number}, 1.0)
    actions = made.take_actions()
    assert len([action for action in actions if isinstance(action, Log)]) == 2
    assert learned(actions) == {}


@pytest.mark.parametrize("name", ["", "x" * (limits.MAX_KEY + 1), 5, None])
def test_names_of_routers_are_bounded(name: object) -> None:
    made = engine()
    made.receive(1, "RA", {"id": name, "pv": 1, "ls_seq": 1, "mobile_seq": 1}, 1.0)
    peers = {"id": "B", "pv": 1, "ls": {"ls_seq": 4, "peers": {name: 1}}}
    made.receive(1, "LSU", peers, 1.0)
    assert len(made.nodes()) == 1


def test_the_whole_set_of_addresses_is_not_sent_again_at_once() -> None:
    made = engine()
    made.address_up("Mown", Treatment.BALANCED)
    made.tick(1.0)
    made.take_actions()
    answers = 0
    for number in range(100):
        made.receive(1, "MAR", {"id": "B", "pv": 2, "have_seq": 0}, 1.0 + number / 100)
        answers += sum(isinstance(action, SendToRouter) for action in made.take_actions())
    assert answers == 5
    made.receive(1, "MAR", {"id": "B", "pv": 2, "have_seq": 0}, 5.0)
    assert any(isinstance(action, SendToRouter) for action in made.take_actions())


def test_patterns_look_at_a_bounded_number_of_segments() -> None:
    rules = Rules([Rule(Treatment.MULTICAST, pattern="#/a/#/a/#/a/#/b"), Rule(Treatment.CLOSEST, prefix="mc")])
    start = time.process_time()
    rules.match("a/" * 32_000)
    assert time.process_time() - start < 10
    assert rules.match("mc/" + "x/" * 40_000) is not None
    assert Namespace("A").key("x/" * 32_000 + "y").startswith("Mx/")


def test_one_copy_of_a_flooded_message_is_passed_on_and_shorter_ones() -> None:
    floods = flooding.Floods()
    assert floods.fresh(1, 3, 10.0)
    assert not floods.fresh(1, 3, 10.1)
    assert not floods.fresh(1, 4, 10.2)
    assert floods.fresh(1, 2, 10.3)
    assert not floods.fresh(1, 2, 11.2)
    assert floods.fresh(1, 2, 11.4)  # the same words again, later
    for digest in range(3 * flooding.MOST):
        assert floods.fresh(-digest - 1, 1, 12.0 + digest / 1000)
        assert len(floods._passed) <= flooding.MOST
    for digest in range(2 * flooding.MOST):
        assert floods.fresh(digest + 5, 1, 30.0)
        assert len(floods._passed) <= flooding.MOST


def test_flooding_in_a_mesh_costs_as_many_copies_as_there_are_links() -> None:
    names = "ABCDEFGHIJKL"
    net = Network(1)
    net.add(*names)
    for a in names:
        for b in names:
            if a < b:
                net.link(a, b)
    net.run(10)
    net.check()
    net.copies = 0
    net.run(60)
    links = len(names) * (len(names) - 1)
    # Hellos on each link every second, and from each router an advertisement every 30 s over each link at most.
    assert net.copies <= 60 * links + 3 * len(names) * links
