"""Address texts to keys, and configured treatments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.core.address import Mode, Namespace, Rule, Rules, Treatment

INTERIOR = Namespace("A")
EDGE = Namespace("E", mode=Mode.EDGE)


@pytest.mark.parametrize(
    ("text", "interior", "edge"),
    [
        ("echo:9090", "Mecho:9090", "Mecho:9090"),
        ("mc/sfe.all", "Mmc/sfe.all", "Mmc/sfe.all"),
        ("amqp:/echo:9090", "Mecho:9090", "Mecho:9090"),
        ("amqp://host:5672/a/b", "Ma/b", "Ma/b"),
        ("/a/b/", "Ma/b", "Ma/b"),
        ("a.b.", "Ma.b", "Ma.b"),
        ("amqp:/_local/qdhello", "Lqdhello", "Lqdhello"),
        ("amqp:/_topo/0/A/qdrouter.ma", "Lqdrouter.ma", "L_edge"),
        ("_topo/0/A/temp.x", "Ltemp.x", "L_edge"),
        ("_topo/0/A/$management", "L$management", "L_edge"),
        ("amqp:/_topo/0/B/qdrouter", "RB", "L_edge"),
        ("_topo/0/B", "RB", "L_edge"),
        ("amqp:/_topo/0/AB/x", "RAB", "L_edge"),
        ("_topo/0/all/qdrouter.ma", "Tqdrouter.ma", "L_edge"),
        ("_topo/1/B/x", "A1", "L_edge"),
        ("_edge/E/temp.y", "HE", "Ltemp.y"),
        ("amqp:/_edge/E/$management", "HE", "L$management"),
        ("_edge/E2/x", "HE2", "L_edge"),
        ("_$qd.edge_addr_tracking", "M_$qd.edge_addr_tracking", "M_$qd.edge_addr_tracking"),
        ("$management", "M$management", "M$management"),
        ("_topology", "M_topology", "M_topology"),
        ("", "M", "M"),
    ],
)
def test_keys(text: str, interior: str, edge: str) -> None:
    assert INTERIOR.key(text) == interior
    assert EDGE.key(text) == (edge if not text.startswith("_topo/0/all") else "Tqdrouter.ma")


@given(st.text(max_size=30))
def test_any_text_has_a_key(text: str) -> None:
    for names in (INTERIOR, EDGE):
        assert names.key(text)[0] in "LTRAHM"
        bare = text.lstrip("/")
        assert names.key("amqp:/" + bare) in (names.key(bare), names.key("/" + bare))


def test_temporary_addresses_lead_back_to_their_router() -> None:
    random = "_WHwW9AXinYFzQW"
    assert INTERIOR.temporary_source(random) == "amqp:/_topo/0/A/temp._WHwW9AXinYFzQW"
    assert EDGE.temporary_source(random) == "amqp:/_edge/E/temp._WHwW9AXinYFzQW"
    assert INTERIOR.key(INTERIOR.temporary_source(random)) == "Ltemp." + random
    assert EDGE.key(EDGE.temporary_source(random)) == "Ltemp." + random
    assert INTERIOR.key(INTERIOR.temporary_target(random)) == "M_$temp." + random
    assert INTERIOR.router_of(INTERIOR.node("B")) == "B"


def test_rules_match_whole_segments_and_the_more_literal_wins() -> None:
    rules = Rules(
        [
            Rule(Treatment.MULTICAST, prefix="mc"),
            Rule(Treatment.CLOSEST, prefix="mc/near"),
            Rule(Treatment.BALANCED, pattern="mc/*/exact", priority=7),
            Rule(Treatment.UNAVAILABLE, pattern="#.secret"),
            Rule(Treatment.FLOOD, pattern="a.#.z"),
        ],
        default=Treatment.CLOSEST,
    )
    found = {
        "mc": Treatment.MULTICAST,
        "mc/sfe.all": Treatment.MULTICAST,
        "mcx": Treatment.CLOSEST,
        "mc/near/x": Treatment.CLOSEST,
        "mc/near/exact": Treatment.CLOSEST,
        "mc.far.exact": Treatment.BALANCED,
        "deep.down.secret": Treatment.UNAVAILABLE,
        "secret": Treatment.UNAVAILABLE,
        "a.z": Treatment.FLOOD,
        "a.b.c.z": Treatment.FLOOD,
        "a.b.c": Treatment.CLOSEST,
    }
    assert {address: rules.treatment("M" + address) for address in found} == found
    assert rules.priority("Mmc.far.exact") == 7
    assert rules.priority("Mmc") is None
    with pytest.raises(ValueError, match="exists already"):
        rules.add(Rule(Treatment.CLOSEST, pattern="mc/#"))
    rules.remove(Rule(Treatment.MULTICAST, prefix="mc"))
    assert rules.match("mc") is None


def test_treatments_without_a_rule() -> None:
    rules = Rules()
    assert rules.treatment("Mx") is Treatment.BALANCED
    assert rules.treatment("Mx", Treatment.CLOSEST) is Treatment.CLOSEST
    assert rules.treatment("HE") is Treatment.BALANCED
    assert rules.treatment("Ltemp.x") is Treatment.CLOSEST
    assert rules.treatment("Tqdrouter", Treatment.CLOSEST) is Treatment.FLOOD
    assert rules.treatment("Lqdhello") is Treatment.FLOOD
