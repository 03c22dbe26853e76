"""The corners of the core, one at a time: with the other tests here they reach every branch, without chance.

The state machines of this directory reach most of them too, but not in every run.
"""

from __future__ import annotations

from typing import Any

import pytest

from skupper_podman.routerd.core.actions import (
    AnnounceChanged,
    AnnounceDown,
    AnnounceUp,
    Reachable,
    SendToRouter,
    SourceDown,
    SourceUp,
)
from skupper_podman.routerd.core.address import Mode, Namespace, Rule, Rules, Treatment
from skupper_podman.routerd.core.bodies import AddressUpdate, Descriptor, LinkStateUpdate, ProtocolError
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
from skupper_podman.routerd.core.forwarding import Origin, route
from skupper_podman.routerd.core.linkstate import NodeTracker
from skupper_podman.routerd.core.mobile import Change, MobileSync
from skupper_podman.routerd.core.path import compute
from skupper_podman.routerd.core.routing import Routing
from skupper_podman.routerd.core.table import AddressTable

from .network import Sink
from .test_forwarding import PATHS, RULES
from .test_limits import engine, texts

MESH = "m" * 15

# ------------------------------------------------------------------------------------------ addresses and bodies


def test_all_routers_of_any_area() -> None:
    assert Namespace("A").key("_topo/all/qdrouter") == "Tqdrouter"
    assert Namespace("A", mode=Mode.EDGE).key("_topo/0/B/x") == "L_edge"


def test_rules_can_be_taken_back() -> None:
    rules = Rules([Rule(Treatment.MULTICAST, prefix="mc")])
    rules.remove(Rule(Treatment.MULTICAST, prefix="never/there"))
    assert rules.treatment("Mmc/x") is Treatment.MULTICAST
    rules.remove(Rule(Treatment.MULTICAST, prefix="mc"))
    assert rules.treatment("Mmc/x") is Treatment.BALANCED
    assert Rules(default=Treatment.CLOSEST).treatment("Mx", Treatment.MULTICAST) is Treatment.MULTICAST
    assert rules.treatment("HE", Treatment.MULTICAST) is Treatment.MULTICAST


def test_a_rule_for_nothing_further() -> None:
    rules = Rules([Rule(Treatment.CLOSEST, pattern="a/*"), Rule(Treatment.MULTICAST, pattern="a/#/z")])
    assert rules.treatment("Ma/b") is Treatment.CLOSEST
    assert rules.treatment("Ma/b/z") is Treatment.MULTICAST
    assert rules.treatment("Ma/b/c") is Treatment.BALANCED


@pytest.mark.parametrize("value", [None, [], [5], ["Lx"], ["M" * 5000]])
def test_descriptors_that_are_none(value: object) -> None:
    with pytest.raises(ProtocolError):
        Descriptor.read(value)
    update = AddressUpdate.read({"id": "B", "mobile_seq": 1, "exist": [value, ["Mok"]]})
    assert update.exist == (Descriptor("Mok"),)


# ------------------------------------------------------------------------------------------ routing


def test_unknown_connections_and_routers_are_ignored() -> None:
    made = engine()
    made.control_link_down(99, 1.0)
    assert made.valid_origins("nobody") == frozenset()
    assert made.knows("A")
    assert made.knows("B")
    assert not made.knows("Z")
    made.receive(1, "RA", {"id": "A", "pv": 1, "ls_seq": 5, "mobile_seq": 5}, 1.0)
    assert texts(made) == []


def test_a_control_link_that_led_nowhere_yet() -> None:
    made = Routing("A", 1)
    made.control_link_up(1, 1, 0.0)
    made.control_link_down(1, 0.5)
    assert made.next_hop("B") is None


def test_a_changed_announcement_travels() -> None:
    made = engine()
    made.address_up("Mx", Treatment.BALANCED)
    made.tick(1.0)
    made.address_changed("Mx", Treatment.BALANCED, 3)
    made.take_actions()
    made.tick(2.0)
    updates = [action.body["add"] for action in made.take_actions() if getattr(action, "opcode", "") == "MAU"]
    assert [[key, links] for (key, _, links) in updates[0]] == [["Mx", 3]]


def test_a_request_from_a_router_beyond_the_bound_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skupper_podman.routerd.core.linkstate.MAX_ROUTERS", 2)
    made = engine()
    made.receive(1, "LSR", {"id": "Z", "pv": 1}, 1.0)
    made.receive(1, "RA", {"id": "Z", "pv": 1, "ls_seq": 1, "mobile_seq": 0}, 1.0)
    made.receive(1, "LSU", {"id": "Z", "pv": 1, "ls": {"ls_seq": 1, "peers": {}}}, 1.0)
    made.receive(1, "HELLO", {"id": "Z", "pv": 1, "instance": 1, "seen": ["A"]}, 1.0)
    assert not any(isinstance(action, SendToRouter) for action in made.take_actions())
    assert not made.knows("Z")


def test_a_connection_whose_peer_takes_another_id() -> None:
    tracker = NodeTracker("A")
    assert tracker.refresh("A", 1, 1, 0.0) is None  # itself
    tracker.refresh("B", 1, 1, 0.0)
    tracker.refresh("C", 1, 1, 1.0)
    assert tracker.neighbour_of(1) == "C"
    assert tracker.own_peers == {"C": 1}
    assert tracker.link_lost(9) is None


def test_a_link_state_is_taken_once() -> None:
    tracker = NodeTracker("A")
    node = tracker.learn("B", 0.0)
    assert node is not None
    tracker.updated(node, LinkStateUpdate("B", 1, 5, {"A": 1}), 0.0)
    tracker.updated(node, LinkStateUpdate("B", 1, 5, {}), 0.0)
    assert node.peers == {"A": 1}
    tracker.graph_changed = False
    tracker.updated(node, LinkStateUpdate("B", 1, 6, {"A": 1}), 0.0)
    assert not tracker.graph_changed


def test_what_others_reach_and_this_router_does_not() -> None:
    # B says that it has a link to C; but nothing leads from A to C, as B's link to A is known to A only.
    paths = compute("A", {"A": {}, "B": {"A": 1, "C": 1}, "C": {}})
    assert paths.next_hops == {}
    paths = compute("A", {"A": {"D": 1}, "B": {"A": 1}, "C": {"B": 1}, "D": {"A": 1, "B": 1}})
    assert set(paths.next_hops) == {"D", "B"}
    paths = compute("A", {"A": {"B": 1}, "B": {}, "C": {"A": 1}})
    assert paths.valid_origins == {"B": frozenset()}


def test_paths_through_this_router_to_what_only_another_reaches() -> None:
    # D comes here on its way to C, which this router itself cannot reach.
    states = {"A": {"D": 5, "B": 1}, "B": {"A": 1}, "D": {"A": 1, "C": 1}, "C": {}}
    assert compute("A", states).valid_origins["B"] == frozenset({"D", "C"} - {"C"})


# ------------------------------------------------------------------------------------------ mobile addresses


def test_updates_out_of_order() -> None:
    sync = MobileSync("A")
    sync.distrust("B")
    first = Descriptor("Mx", Treatment.BALANCED)
    assert sync.receive(AddressUpdate("B", 3, exist=(first,))) == ([Change(first, True)], False)
    assert sync.receive(AddressUpdate("B", 2, exist=())) == ([], False)
    assert sync.receive(AddressUpdate("B", 3, remove=("Mx",))) == ([], False)
    assert sync.receive(AddressUpdate("B", 9)) == ([], True)
    assert sync.receive(AddressUpdate("B", 9)) == ([], False)
    other = Descriptor("Mx", Treatment.BALANCED, 7)
    assert sync.receive(AddressUpdate("B", 4, add=(other, other), remove=("Mnever",))) == ([Change(other, True)], False)
    assert sync.addresses("nobody") == {}
    assert sync.known_seq("nobody") == 0
    assert sync.flush("nobody") == []


# ------------------------------------------------------------------------------------------ edges


def test_proxies_of_an_edge_without_and_with_a_connection() -> None:
    proxies = EdgeProxies()
    proxies.consumers_up("Ma")
    proxies.consumers_up("HE")
    proxies.sources_up("Mb")
    proxies.sources_up("Lx")
    proxies.consumers_down("Mnever")
    proxies.sources_down("Mnever")
    proxies.sources_up("Mc")
    proxies.sources_down("Mc")
    proxies.consumers_up("Md")
    proxies.consumers_down("Md")
    assert proxies.take_actions() == []
    proxies.opened(1)
    proxies.opened(1)
    proxies.opened(2)
    proxies.sources_up("Mb")
    proxies.consumers_up("Ma")
    assert proxies.take_actions() == [Activate(1), OpenSender(1, "b"), OpenReceiver(1, "a")]
    assert proxies.tracking(2, ["Mb", True])
    assert proxies.tracking(1, ["Mb", True])
    assert proxies.tracking(1, ["Mb", True])
    assert proxies.tracking(1, ["Mnever", True])
    assert not proxies.tracking(1, ["Mb"])
    assert not proxies.tracking(1, ["Mb", 5])
    assert proxies.take_actions() == [BindProxy(1, "Mb")]
    proxies.closed(2)
    proxies.closed(9)
    proxies.opened(2)
    assert proxies.take_actions() == []
    proxies.closed(1)
    assert proxies.take_actions() == [
        UnbindProxy(1, "Mb"), Deactivate(1), Activate(2), OpenSender(2, "b"), OpenReceiver(2, "a")
    ]  # fmt: skip
    proxies.tracking(2, ["Mb", True])
    proxies.tracking(2, ["Mb", False])
    proxies.tracking(2, ["Mb", False])
    proxies.consumers_down("Ma")
    proxies.consumers_up("Me")
    proxies.sources_up("Mf")
    proxies.sources_down("Mb")
    proxies.closed(2)
    assert proxies.take_actions() == [
        BindProxy(2, "Mb"), UnbindProxy(2, "Mb"), CloseReceiver(2, "a"), OpenReceiver(2, "e"), OpenSender(2, "f"),
        CloseSender(2, "b"), Deactivate(2),
    ]  # fmt: skip


def test_edges_that_follow_addresses() -> None:
    table = AddressTable()
    peers = EdgePeers(table)
    unknown: tuple[Any, ...] = (peers.tracking_up, peers.tracking_down, peers.closed)
    for call in unknown:
        call(9)
    peers.set_mesh(9, MESH)
    peers.sender_up(9, "Ma")
    peers.sender_down(9, "Ma")
    assert peers.mesh(9) is None
    peers.opened(1)
    peers.sender_up(1, "Ltemp")
    peers.sender_up(1, "Ma")
    peers.sender_up(1, "Ma")
    peers.sender_up(1, "Mb")
    consumer = Sink()
    table.add_consumer("Ma", consumer)
    assert peers.take_actions() == []  # nobody listens yet
    peers.tracking_up(1)
    assert peers.take_actions() == [SendTracking(1, "Ma", True)]
    peers.set_mesh(1, MESH)
    peers.set_mesh(1, MESH)
    assert peers.mesh(1) == MESH
    table.add_consumer("Ma", Sink())
    table.remove_consumer("Ma", consumer)
    assert peers.take_actions() == []
    peers.opened(2)
    peers.tracking_up(2)
    peers.sender_up(2, "Ma")
    assert peers.take_actions() == [SendTracking(2, "Ma", True)]
    peers.sender_down(2, "Ma")
    peers.sender_down(1, "Ma")
    peers.sender_down(1, "Ma")
    peers.sender_down(1, "Ma")
    peers.tracking_down(1)
    peers.tracking_up(1)
    peers.closed(1)
    peers.closed(2)
    assert peers._followers == {}
    assert peers.take_actions() == []


def test_an_edge_with_its_own_consumers_is_not_told_of_them() -> None:
    table = AddressTable()
    peers = EdgePeers(table)
    for conn in (1, 2):
        peers.opened(conn)
        peers.tracking_up(conn)
        peers.sender_up(conn, "Ma")
    own = Sink(conn=1, is_edge=True)
    table.add_consumer("Ma", own)
    assert peers.take_actions() == [SendTracking(2, "Ma", True)]
    table.remove_consumer("Ma", own)
    assert peers.take_actions() == [SendTracking(2, "Ma", False)]


# ------------------------------------------------------------------------------------------ the table


def test_an_address_lives_as_long_as_something_refers_to_it() -> None:
    table = AddressTable()
    consumer, producer = Sink(in_process=True), object()
    entry = table.add_consumer("Ma", consumer)
    assert entry.in_process == 1
    table.remove_consumer("Ma", Sink())
    table.remove_producer("Ma", producer)
    table.remove_producer("Mnever", producer)
    table.remove_consumer("Mnever", consumer)
    table.unwatch("Mnever", 1)
    table.unwatch("Ma", 1)
    table.set_remote("Mnever", "B", False)
    table.set_remote("Ma", "B", False)
    table.router_lost("B")
    assert len(table) == 1
    assert [address.key for address in table] == ["Ma"]
    table.add_producer("Ma", producer)
    table.remove_consumer("Ma", consumer)
    table.remove_producer("Ma", producer)
    assert len(table) == 0
    kinds = [type(action) for action in table.take_actions()]
    assert kinds == [AnnounceUp, AnnounceChanged, SourceUp, AnnounceDown, SourceDown]


def test_remotes_and_their_meshes() -> None:
    table = AddressTable()
    table.set_remote("Ma", "B", True, Treatment.CLOSEST)
    table.set_remote("Ma", "B", True)
    table.set_remote("Ma", "B", True, mesh=MESH)
    entry = table.get("Ma")
    assert entry is not None
    assert entry.treatment is Treatment.CLOSEST
    assert entry.remotes == {"B": MESH}
    assert table.edge_reachable("Mnever", 1, None) is False
    assert table.edge_reachable("Ma", 1, MESH) is False
    assert table.edge_reachable("Ma", 1, None) is True
    table.router_lost("B")
    assert table.get("Ma") is None


def test_consumers_that_are_not_announced_and_those_of_edges() -> None:
    table = AddressTable()
    hidden = Sink(in_process=True)
    table.add_consumer("Ma", hidden, propagate=False)
    assert table.edge_reachable("Ma", 1, None) is False
    assert table.watch("Ma", 1, from_conn=7) is True
    assert table.take_actions() == []
    near, far = Sink(conn=7, is_edge=True, mesh=MESH), Sink(conn=8, is_edge=True, mesh=MESH)
    table.add_consumer("Ma", near)
    assert table.edge_reachable("Ma", 7, None) is False
    assert table.edge_reachable("Ma", 9, MESH) is False
    table.add_consumer("Ma", far)
    assert table.edge_reachable("Ma", 7, None) is True
    # All in one mesh until one of them says otherwise.
    far.mesh = "n" * 15
    table.mesh_changed(8)
    table.mesh_changed(99)
    meshes = [action.mesh for action in table.take_actions() if isinstance(action, (AnnounceUp, AnnounceChanged))]
    assert meshes == [MESH, None]
    table.remove_consumer("Ma", hidden)
    table.remove_consumer("Ma", far)
    assert Reachable("Ma", 1, False) in table.take_actions()
    table.unwatch("Ma", 1)
    assert table.take_actions() == [SourceDown("Ma")]


def test_private_addresses_are_no_sources_and_an_edge_announces_its_own_only() -> None:
    table = AddressTable(Mode.EDGE)
    table.add_consumer("Ma", Sink(is_edge=True, conn=1))
    assert table.take_actions() == []
    table.add_consumer("Ma", Sink())
    assert table.take_actions() == [AnnounceUp("Ma", Treatment.BALANCED, 0, None)]
    table.add_producer("Ltemp", object())
    assert table.take_actions() == []


# ------------------------------------------------------------------------------------------ forwarding


def test_balanced_prefers_a_subscription_and_skips_what_is_worse() -> None:
    table = AddressTable(rules=RULES)
    inside = Sink(in_process=True)
    table.add_consumer("Mx", Sink())
    table.add_consumer("Mx", inside)
    assert route(table, PATHS, "Mx", Origin()).locals == (inside,)
    busy, busier = Sink(waiting=2), Sink(waiting=5)
    table.add_consumer("My", busy)
    table.add_consumer("My", busier)
    assert route(table, PATHS, "My", Origin()).locals == (busy,)


def test_flood_without_routing_stays_here() -> None:
    table = AddressTable(rules=RULES)
    consumer = Sink(in_process=True)
    assert route(table, None, "Tx", Origin()).outcome == "released"
    table.add_consumer("Tx", consumer)
    assert route(table, None, "Tx", Origin()).locals == (consumer,)
