"""Routers that go and come back: their addresses, slow networks, and the state that is flooded."""

from __future__ import annotations

from skupper_podman.routerd.core.actions import Flood, RemoteAddress
from skupper_podman.routerd.core.bodies import AddressUpdate, Advertisement, Descriptor, LinkStateUpdate
from skupper_podman.routerd.core.linkstate import NodeTracker
from skupper_podman.routerd.core.mobile import RETIRED, MobileSync
from skupper_podman.routerd.core.routing import MOST_PATIENCE, Routing

from .network import Network, chain, learned

KEY = "Mown.B"


def pair() -> Network:
    net = Network(1)
    net.add("A", "B")
    chain(net, "AB")
    net.consume("B", "own.B")
    net.run(6)
    net.check()
    return net


def known(net: Network) -> bool:
    return KEY in net.routers["A"].remote_addresses().get("B", set())


def without_addresses(_sender: str, _receiver: str, opcode: str) -> bool:
    """Lose every announcement of addresses and every request for them."""
    return opcode in ("MAU", "MAR")


def test_the_same_life_has_its_addresses_at_once_however_long_it_was_away() -> None:
    for seconds in (5, 200):
        net = pair()
        net.cut("A", "B")
        net.run(seconds)
        assert not known(net)
        net.drop = without_addresses
        net.mend("A", "B")
        net.run(3)
        assert known(net)
        net.drop = lambda sender, receiver, opcode: False
        net.run(6)
        net.check()


def test_another_life_has_nothing_before_it_announces() -> None:
    net = pair()
    net.cut("A", "B")
    net.run(200)
    net.mend("A", "B")
    net.restart("B")
    net.drop = without_addresses
    net.run(4)
    assert not known(net)


def test_what_changed_meanwhile_is_learned() -> None:
    net = pair()
    net.cut("A", "B")
    net.run(200)
    net.consume("B", "new.B")
    net.mend("A", "B")
    net.run(8)
    net.check()
    assert "Mnew.B" in net.routers["A"].remote_addresses()["B"]


def test_retired_routers_are_few_and_revived_once() -> None:
    sync = MobileSync("A")
    for number in range(RETIRED + 1):
        name = f"R{number}"
        sync.receive(AddressUpdate(name, 1, exist=(Descriptor(f"M{number}"),)))
        sync.retire(name, 7)
    sync.retire("never-heard", 7)
    assert not sync.revive("R0", 7), "the oldest was dropped"
    assert not sync.revive("R1", 8), "another life"
    assert sync.revive("R2", 7)
    assert not sync.revive("R2", 7)
    assert set(sync.addresses("R2")) == {"M2"}
    assert sync.known_seq("R2") == 0


def test_hellos_are_waited_for_longer_on_a_slow_network() -> None:
    tracker = NodeTracker("A")
    tracker.refresh("B", 1, 1, 0.0)
    tracker.set_patience(1, 4.0)
    tracker.set_patience(2, 4.0)
    tracker.expire(6.9)
    assert tracker.own_peers == {"B": 1}
    tracker.expire(7.1)
    assert tracker.own_peers == {}


def test_patience_has_an_end() -> None:
    net = pair()
    routing = net.routers["A"].routing
    routing.control_link_delay(net.wires[0].ends["A"], 100.0)
    net.drop = lambda sender, receiver, opcode: sender == "B"
    net.run(MOST_PATIENCE + 1)
    assert routing.next_hop("B") is not None
    net.run(4)
    assert routing.next_hop("B") is None


def test_a_changed_link_state_is_flooded_before_its_number_is_advertised() -> None:
    net = pair()
    routing = net.routers["A"].routing
    routing.control_link_down(net.wires[0].ends["A"], net.now)
    routing.take_actions()
    routing.tick(net.now)
    floods = [action.opcode for action in routing.take_actions() if isinstance(action, Flood)]
    assert floods == ["LSU", "RA"]


def test_a_router_two_hops_away_that_is_reached_before_it_is_known_has_its_addresses_again() -> None:
    made = Routing("A", 1)
    made.control_link_up(1, 1, 0.0)

    def say(sequence: int, peers: dict[str, int], now: float) -> None:
        made.receive(1, "HELLO", {"id": "B", "pv": 1, "instance": 7, "seen": ["A"]}, now)
        made.receive(1, "LSU", LinkStateUpdate("B", 7, sequence, peers).body("0"), now)
        made.tick(now)

    for number in range(2):
        say(number + 1, {"A": 1, "C": 1}, number - 2.0)
    made.receive(1, "RA", Advertisement("C", 5, 1, 1).body("0"), 0.1)
    made.receive(1, "MAU", AddressUpdate("C", 1, exist=(Descriptor("Mown.C"),)).body("0"), 0.2)
    for number in range(100):
        say(number + 3, {"A": 1}, number + 1.0)
    assert not learned(made.take_actions())
    say(200, {"A": 1, "C": 1}, 101.0)
    made.take_actions()
    made.receive(1, "RA", Advertisement("C", 5, 1, 1).body("0"), 101.1)
    restored = [action for action in made.take_actions() if isinstance(action, RemoteAddress) and action.present]
    assert [(action.router_id, action.key) for action in restored] == [("C", "Mown.C")]


def test_a_greeting_on_a_link_that_is_no_control_link_is_left_alone() -> None:
    made = Routing("A", 1)
    made.receive(9, "HELLO", {"id": "B", "pv": 1, "instance": 7, "seen": ["A"]}, 0.0)
    made.tick(0.1)
    assert made.next_hop("B") is None
