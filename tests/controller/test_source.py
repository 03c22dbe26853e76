"""The controller as an event source, read the way collectors of Skupper 1.9 read it."""

from __future__ import annotations

import json

from skupper_podman.controller.source import Outgoing, SiteSource, TargetProcess
from skupper_podman.model import flow
from skupper_podman.model.flow import KINDS, Attribute, Kind
from skupper_podman.routerd.codec import UInt, ULong
from skupper_podman.routerd.flowlog import wire
from tests.controller.network import START_US, identity


def read(messages: list[Outgoing]) -> list[tuple[str, wire.Message]]:
    """Decode, and insist on everything a Go collector dereferences without looking."""
    result = []
    for outgoing in messages:
        message = wire.read(outgoing.octets)
        assert message is not None
        assert message.to
        assert message.subject
        assert outgoing.settled == (message.subject != "RECORD")
        for record in message.body if message.subject == "RECORD" else ():
            assert all(type(key) is UInt for key in record)
            assert record[0] <= 21
            assert record[3] > 0
            assert record[30]
            assert record[0] != 7 or record[46]
            for key, value in record.items():
                kind = KINDS[Attribute(key)]
                expected = UInt if kind is Kind.RECORD_TYPE else str if kind in (Kind.TEXT, Kind.REFERENCE) else ULong
                assert type(value) is expected
        result.append((outgoing.address, message))
    return result


def test_introduction_as_a_podman_site_of_1_9_sends_it() -> None:
    source = SiteSource(identity("west"))
    source.connected(5.0)
    (_, beacon), (heartbeats, heartbeat), (records, site), (_, host) = read(source.tick(5.0, START_US + 7))
    assert beacon.to == "mc/sfe.all"
    assert beacon.properties == {
        "v": 1, "sourceType": "CONTROLLER", "id": "id-west", "address": "mc/sfe.id-west", "direct": "sfe.id-west",
    }  # fmt: skip
    assert json.loads(beacon.body) == {
        "version": 1, "sourceType": "CONTROLLER", "address": "mc/sfe.id-west", "direct": "sfe.id-west",
        "identity": "id-west",
    }  # fmt: skip
    assert (heartbeats, heartbeat.to) == ("mc/sfe.id-west.heartbeats", "mc/sfe.id-west")
    assert heartbeat.properties == {"v": 1, "now": START_US + 7, "id": "id-west"}
    assert (records, site.to) == ("mc/sfe.id-west", "mc/sfe.id-west")
    assert site.body == [
        {0: 0, 1: "id-west", 3: START_US, 30: "west", 12: "", 11: "podman", 52: "1.9.6", 53: "disabled"}
    ]
    assert host.body == [{0: 13, 1: "west", 2: "id-west", 3: START_US, 4: 0, 30: "west.example", 11: "podman"}]


def test_timers() -> None:
    source = SiteSource(identity("west"))
    source.connected(0.0)
    subjects = [message.subject for tick in range(201) for _, message in read(source.tick(tick * 0.1, START_US))]
    assert {subject: subjects.count(subject) for subject in set(subjects)} == {
        "BEACON": 3, "HEARTBEAT": 11, "RECORD": 2,
    }  # fmt: skip


def test_processes_begin_and_end() -> None:
    source = SiteSource(identity("west"))
    source.tick(0.0, START_US)
    first, second = TargetProcess("db", "10.0.0.1"), TargetProcess("db", "::1")
    assert len(source.set_processes([first, second], START_US + 1)) == 2
    assert source.set_processes([first, second], START_US + 2) == []
    messages = read(source.tick(0.1, START_US + 3))
    assert messages[0][1].body == [
        {0: 7, 1: "db-10.0.0.1", 2: "id-west", 3: START_US + 1, 4: 0, 30: "db-10.0.0.1", 22: "10.0.0.1",
         14: "10.0.0.1", 46: "db", 13: "external"}
    ]  # fmt: skip
    assert len(messages) == 2
    (ended,) = source.set_processes([second], START_US + 9)
    assert ended.end_time == START_US + 9
    ((_, message),) = read(source.tick(0.2, START_US))
    assert (message.body[0][1], message.body[0][4]) == ("db-10.0.0.1", START_US + 9)


def test_a_flush_is_answered_by_site_processes_and_host() -> None:
    source = SiteSource(identity("west"))
    source.set_processes([TargetProcess("db", "10.0.0.1")], START_US)
    source.tick(0.0, START_US)
    assert source.command_address == flow.direct_address("id-west")
    source.flush()
    source.flush()
    assert [message.body[0][0] for _, message in read(source.tick(0.1, START_US))] == [0, 7, 13]
    assert source.tick(0.2, START_US) == []
