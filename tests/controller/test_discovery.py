"""Reading the router's address table."""

from __future__ import annotations

import proton
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.controller import discovery


def answer(rows: object) -> bytes:
    return bytes(proton.Message(body={"attributeNames": ["name", "key"], "results": rows}).encode())


def test_request_is_a_management_query() -> None:
    message = proton.Message()
    message.decode(discovery.request("amqp:/_topo/0/A/temp.x"))
    assert message.reply_to == "amqp:/_topo/0/A/temp.x"
    assert message.properties["operation"] == "QUERY"
    assert message.properties["entityType"].endswith("router.address")
    assert message.body == {"attributeNames": ["name", "key"]}


def test_command_addresses_name_the_sources() -> None:
    rows = [
        ["Msfe.RtaHx:0", "Msfe.RtaHx:0"],
        ["Mbackend:8080", None],
        ["Msfe.34fadf03-4487-4b37-a5c3-f6b10f03cfa6", 3],
        ["Mmc/sfe.RtaHx:0", "Lsfe.x", "sfe.y"],
        7,
    ]
    assert discovery.sources(answer(rows)) == [
        ("RtaHx:0", "ROUTER"),
        ("34fadf03-4487-4b37-a5c3-f6b10f03cfa6", "CONTROLLER"),
    ]


def test_any_other_answer_means_nothing() -> None:
    for body in (None, "x", {"results": None}, {"results": [[None]]}):
        assert discovery.sources(bytes(proton.Message(body=body).encode())) == []
    assert discovery.sources(answer(None)) == []


@given(st.binary(max_size=100))
def test_any_octets_are_read(octets: bytes) -> None:
    discovery.sources(octets)


def test_pace_is_quick_after_changes_and_slow_otherwise() -> None:
    pace = discovery.Pace()
    asked = [now for now in range(200) if pace.due(float(now), "one link")]
    assert asked == [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181]
    assert not pace.due(200.0, "two links")
    assert pace.due(201.0, "two links")
    assert not pace.due(201.5, "two links")
    pace.reset()
    assert pace.due(201.6, "two links")
