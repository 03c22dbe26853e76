"""The status collector in a network of real event sources, through restarts, silence and reconnections."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.controller import collector as collector_module
from skupper_podman.controller.collector import SOURCE_TIMEOUT, Collector
from skupper_podman.controller.source import TargetProcess
from skupper_podman.model import flow
from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.model.network import NetworkStatus
from skupper_podman.routerd.flowlog import wire
from tests.controller.network import Network, identity


def two_sites() -> Network:
    network = Network()
    network.router("aaaaa", "west", "west")
    network.router("bbbbb", "east", "east")
    network.link("aaaaa", "bbbbb")
    network.site("west")
    network.site("east")
    network.collector("west")
    return network


def document(network: Network, site: str = "west") -> NetworkStatus:
    status = network.collectors[site].document()
    assert NetworkStatus.parse(status.dump()).dump() == status.dump()
    return status


def names(status: NetworkStatus) -> dict[str, list[str]]:
    return {item.site.name: sorted(router.router.id for router in item.routers) for item in status.sites}


def test_the_own_site_is_known_from_the_start() -> None:
    network = Network()
    network.collector("west")
    status = document(network)
    assert names(status) == {"west": []}
    assert json.loads(status.dump())["siteStatus"][0]["site"] == {
        "recType": "SITE", "identity": "id-west", "startTime": network.now_us, "endTime": 0, "source": "id-west",
        "platform": "podman", "name": "west", "nameSpace": "", "siteVersion": "1.9.6", "policy": "disabled",
    }  # fmt: skip


def test_both_sites_are_known_within_a_second() -> None:
    network = two_sites()
    network.run(1.0)
    status = document(network)
    assert names(status) == {"west": ["west"], "east": ["east"]}
    assert status.connections("id-west").direct == 1
    assert [item.direction for item in status.linked_sites("id-east")] == ["incoming"]


def test_each_source_is_asked_once() -> None:
    network = two_sites()
    network.run(90.0)
    asked = [target for _, target in network.flushes]
    assert sorted(asked) == ["aaaaa:0", "bbbbb:0", "id-east"]


def test_a_source_that_learned_of_us_late_is_asked_again() -> None:
    network = two_sites()
    known = {"yes": False}
    network.reach = lambda _collector, sender: sender != "bbbbb" or known["yes"]
    network.collectors["west"].prime("bbbbb:0", flow.ROUTER_SOURCE, network.now)
    network.run(1.0)
    assert ("west", "bbbbb:0") in network.flushes
    assert names(document(network)) == {"west": ["west"], "east": []}
    known["yes"] = True
    network.run(2.0)
    assert names(document(network)) == {"west": ["west"], "east": ["east"]}


def test_a_lost_question_is_repeated_and_costs_no_record() -> None:
    network = two_sites()
    network.run(1.0)
    network.loses_flushes = True
    network.flushes.clear()
    network.collectors["west"].connected(network.now)
    network.run(25.0)
    assert len(network.flushes) >= 6
    network.loses_flushes = False
    network.flushes.clear()
    network.run(30.0)
    assert sorted(target for _, target in network.flushes) == ["aaaaa:0", "bbbbb:0", "id-east"]
    assert names(document(network)) == {"west": ["west"], "east": ["east"]}


def test_a_vanished_site_is_forgotten_after_a_minute() -> None:
    network = two_sites()
    network.run(5.0)
    network.routers["bbbbb"].alive = False
    del network.sites["east"]
    network.run(SOURCE_TIMEOUT - 5)
    assert "east" in names(document(network))
    network.run(8.0)
    assert names(document(network)) == {"west": ["west"]}
    collector = network.collectors["west"]
    assert set(collector.sources) == {"aaaaa:0"}
    assert collector.subscriptions() == {"mc/sfe.all", "mc/sfe.aaaaa:0"}


def test_an_ended_link_is_gone_at_once_at_both_ends() -> None:
    network = two_sites()
    network.run(8.0)
    network.unlink("aaaaa", "bbbbb")
    network.run(0.4)
    status = document(network)
    assert status.connections("id-west").direct == 0
    assert status.incoming_links("id-east") == ()


def test_a_restarted_router_does_not_appear_twice() -> None:
    network = two_sites()
    network.run(5.0)
    network.routers["bbbbb"].alive = False
    network.router("ccccc", "east", "east")
    network.run(1.0)
    assert names(document(network)) == {"west": ["west"], "east": ["east"]}


def test_what_ended_while_we_were_away_is_forgotten_after_reconnection() -> None:
    network = two_sites()
    network.run(5.0)
    collector = network.collectors["west"]
    collector.disconnected()
    network.reach = lambda _collector, _sender: False
    network.run(3.0)
    network.unlink("aaaaa", "bbbbb")
    network.unlink("bbbbb", "aaaaa")
    network.run(3.0)
    network.reach = lambda _collector, _sender: True
    collector.connected(network.now)
    network.run(1.0)
    assert names(document(network)) == {"west": ["west"], "east": ["east"]}
    network.run(15.0)
    assert document(network).connections("id-west").direct == 0
    assert names(document(network)) == {"west": ["west"], "east": ["east"]}


def test_connectors_are_matched_with_target_processes() -> None:
    network = two_sites()
    network.run(1.0)
    attributes = {
        Attribute.NAME: "backend:8080", Attribute.DEST_HOST: "10.0.0.1", Attribute.DEST_PORT: "9090",
        Attribute.VAN_ADDRESS: "backend:8080",
    }  # fmt: skip
    log = network.routers["bbbbb"].log
    log.start(RecordType.CONNECTOR, "", attributes, network.now_us)
    network.routers["aaaaa"].log.start(RecordType.LISTENER, "", attributes, network.now_us)
    network.sites["east"].set_processes([TargetProcess("backend", "10.0.0.1")], network.now_us)
    network.run(0.6)
    status = document(network)
    (address,) = status.addresses
    assert (address.name, address.protocol, address.listener_count, address.connector_count) == (
        "backend:8080", "tcp", 1, 1,
    )  # fmt: skip
    east = {item.site.name: item for item in status.service_sites("backend:8080")}["east"]
    assert (east.connectors[0].target, east.connectors[0].address_id) == ("backend-10.0.0.1", address.identity)
    network.sites["east"].set_processes([], network.now_us)
    network.run(0.6)
    assert document(network).service_sites("backend:8080")[0].connectors == ()
    status = document(network)
    assert [item.connectors[0].target for item in status.service_sites("backend:8080") if item.connectors] == [""]


def test_gateways_get_a_site() -> None:
    network = two_sites()
    network.routers["ggggg"] = router = network.router("ggggg", "skupper-gateway-gw", "x")
    router.log.update("ggggg:0", {Attribute.PARENT: "gateway_gw_0815"})
    network.run(1.0)
    status = document(network)
    site = status.site("gateway_gw_0815")
    assert site is not None
    assert (site.site.name, site.site.namespace, len(site.displayable_routers)) == ("gw", "gateway-gw", 1)


def test_messages_of_unknown_sources_and_false_beacons_change_nothing() -> None:
    network = Network()
    collector = network.collector("west")
    before = collector.revision
    record = {Attribute.RECORD_TYPE: 1, Attribute.IDENTITY: "x:0", Attribute.START_TIME: 1, Attribute.NAME: "0/x"}
    forged = [
        wire.Message("mc/sfe.x:0", "RECORD", {}, [record]),
        wire.Message("mc/sfe.all", "BEACON", {"id": "x:0", "address": "backend:8080", "direct": "sfe.x:0"}),
        wire.Message("mc/sfe.all", "BEACON", {"id": "x:0", "address": "mc/sfe.x:0", "direct": "$management"}),
        wire.Message("mc/sfe.all", "BEACON", {"id": "", "address": "mc/sfe.", "direct": "sfe."}),
        wire.Message("mc/sfe.all", "BEACON", {"id": "all", "address": "mc/sfe.all", "direct": "sfe.all"}),
        wire.Message("mc/sfe.all", "BEACON", {}),
        wire.Message("mc/sfe.x:0", "HEARTBEAT", {}),
        wire.Message("", "GARBAGE", {}, 3),
    ]
    for message in forged:
        collector.receive(message, 1.0)
    assert (collector.sources, collector.revision) == ((), before)
    assert collector.subscriptions() == {"mc/sfe.all"}


def test_nobody_speaks_for_the_own_site() -> None:
    network = Network()
    collector = network.collector("west")
    for source in ("id-west", "evil:0"):
        collector.prime(source, flow.CONTROLLER_SOURCE, 0.0)
        for end in (0, 9):
            body = [{Attribute.RECORD_TYPE: 0, Attribute.IDENTITY: "id-west", Attribute.START_TIME: 1,
                     Attribute.END_TIME: end, Attribute.NAME: "pwned"}]  # fmt: skip
            collector.receive(wire.Message(flow.records_address(source), "RECORD", {}, body), 1.0)
    assert names(document(network)) == {"west": []}


def test_sources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector_module, "MAX_SOURCES", 3)
    collector = Collector(identity("west").site_record(), 0.0)
    for number in range(10):
        collector.prime(f"x{number}:0", flow.ROUTER_SOURCE, 0.0)
    collector.prime("y" * 1000, flow.ROUTER_SOURCE, 0.0)
    assert len(collector.sources) == 3


BODIES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.booleans() | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 60), inner, max_size=8),
    max_leaves=20,
)
MESSAGES = st.builds(
    wire.Message,
    st.sampled_from(["mc/sfe.all", "mc/sfe.x:0", "mc/sfe.x:0.flows", "mc/sfe.id-west", ""]) | st.text(),
    st.sampled_from(["BEACON", "HEARTBEAT", "RECORD", "FLUSH"]),
    st.dictionaries(
        st.sampled_from(["id", "address", "direct", "sourceType"]), st.sampled_from(["x:0", "mc/sfe.x:0", "sfe.x:0", 3])
    ),
    BODIES,
)


@settings(max_examples=200)
@given(st.lists(st.tuples(MESSAGES, st.floats(0, 30)), max_size=15))
def test_any_messages_leave_a_valid_document_with_the_own_site(events: list[tuple[wire.Message, float]]) -> None:
    collector = Collector(identity("west").site_record(), 0.0)
    collector.prime("x:0", flow.ROUTER_SOURCE, 0.0)
    collector.connected(0.0)
    now = 0.0
    for message, pause in events:
        now += pause
        collector.receive(message, now)
        collector.tick(now)
        collector.take_flushes(now)
    status: Any = json.loads(collector.document().dump("id-west"))
    assert status["siteStatus"][0]["site"]["identity"] == "id-west"
