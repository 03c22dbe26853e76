"""The router as an event source: what is sent, to whom, when, and in which form."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.model import flow
from skupper_podman.model.flow import KINDS, Attribute, Kind, RecordType
from skupper_podman.routerd.codec import Symbol, UInt, ULong, decode
from skupper_podman.routerd.flowlog import wire
from skupper_podman.routerd.flowlog.log import MAX_MESSAGES_PER_TICK, FlowLog, source_id

START = 1_732_096_800_000_000
RECORDS = "mc/sfe.QIkM3:0"
FLOWS = RECORDS + ".flows"
LOGS = RECORDS + ".logs"
SECOND = 1_000_000


def make(*, environment: Mapping[str, str] | None = None) -> FlowLog:
    attributes = {Attribute.NAME: "0/A", Attribute.MODE: "interior", Attribute.BUILD_VERSION: "2.7.6"}
    return FlowLog("QIkM3", START, environment or {}, attributes)


class Collector:
    """Reads as the collectors in the field do, and insists on what they rely on."""

    def __init__(self, log: FlowLog) -> None:
        self.log = log
        self.watched = {flow.BEACONS: 1, RECORDS: 1}
        self.now = START
        self.records: dict[str, dict[int, object]] = {}
        self.ended: list[str] = []

    def tick(self, seconds: float = 0.2) -> list[wire.Message]:
        self.now += int(seconds * SECOND)
        messages = []
        for address, octets in self.log.tick(self.now, lambda name: self.watched.get(name, 0)):
            message = wire.read(octets)
            assert message is not None
            assert message.to == address
            if message.subject == flow.RECORD:
                self._store(message.body)
            messages.append(message)
        return messages

    def _store(self, body: object) -> None:
        assert isinstance(body, list)
        assert 0 < len(body) <= 50
        for record in body:
            for key, value in record.items():
                assert type(key) is UInt
                kind = KINDS[Attribute(key)]
                if kind is Kind.RECORD_TYPE:
                    assert type(value) is UInt
                elif kind in (Kind.TEXT, Kind.REFERENCE):
                    assert type(value) is str
                    assert len(value) <= 300
                else:
                    assert type(value) is ULong
            assert record[0] <= 21
            assert 1 in record
            if record.get(4):
                self.ended.append(record[1])
                self.records.pop(record[1], None)
                continue
            known = self.records.setdefault(record[1], {})
            if not known:
                assert record[3] > 0, "first emission carries everything"
                assert record[1] == "QIkM3:0" or record[2] in self.records or record[0] == 14
            known.update(record)
            if known[0] == RecordType.ROUTER:
                assert known[30]
            if 19 in known:
                assert known[16]


def listener(log: FlowLog, service: str = "edgeecho:1", now: int = START) -> str:
    attributes = {
        Attribute.NAME: "la",
        Attribute.DEST_HOST: "127.0.0.1",
        Attribute.DEST_PORT: "41015",
        Attribute.PROTOCOL: "tcp",
        Attribute.VAN_ADDRESS: service,
    }
    return log.start(RecordType.LISTENER, "", attributes, now)


@pytest.mark.parametrize(
    ("hostname", "expected"),
    [
        ("west-skupper-router-7b45b6b8f4-52tjs", "52tjs"),
        ("00981d1a0cda", "rand0"),
        ("", "rand0"),
        ("my-host", "rand0"),
        ("a-toolong", "rand0"),
        ("x-12.45", "rand0"),
    ],
)
def test_source_id_is_a_pod_suffix_or_random(hostname: str, expected: str) -> None:
    assert source_id(hostname, "rand0") == expected


def test_a_new_collector_is_served_at_once() -> None:
    log = make()
    listener(log)
    collector = Collector(log)
    assert [message.subject for message in collector.tick()] == ["BEACON", "HEARTBEAT", "RECORD"]
    assert collector.records["QIkM3:0"] == {0: 1, 1: "QIkM3:0", 3: START, 13: "interior", 30: "0/A", 32: "2.7.6"}
    assert collector.records["QIkM3:1"] == {
        0: 4, 1: "QIkM3:1", 2: "QIkM3:0", 3: START, 15: "127.0.0.1", 16: "tcp", 18: "41015", 19: "edgeecho:1", 30: "la",
    }  # fmt: skip
    assert collector.tick() == []


def test_beacon_and_heartbeat_as_captured_from_a_router() -> None:
    collector = Collector(make())
    beacon, heartbeat, _ = collector.tick()
    assert beacon.to == "mc/sfe.all"
    assert beacon.properties == {
        "v": 1, "sourceType": "ROUTER", "id": "QIkM3:0", "address": RECORDS, "direct": "sfe.QIkM3:0",
    }  # fmt: skip
    assert {type(key) for key in beacon.properties} == {Symbol}
    assert type(beacon.properties["v"]) is UInt
    assert heartbeat.properties == {"v": 1, "now": collector.now, "id": "QIkM3:0"}
    assert type(heartbeat.properties["now"]) is ULong
    assert beacon.body is None
    (octets,) = (data for _, data in make().tick(START, lambda name: name == flow.BEACONS))
    properties, _ = decode(octets)
    assert properties.value == [0, None, "mc/sfe.all", "BEACON"]


def test_environment_is_put_on_the_router_record() -> None:
    environment = {
        "SKUPPER_SITE_ID": "site-1",
        "HOSTNAME": "00981d1a0cda",
        "APPLICATION_NAME": "skupper-router",
        "VERSION": "2.7.6",
        "POD_NAMESPACE": "west",
        "PATH": "/bin",
    }
    collector = Collector(make(environment=environment))
    collector.tick()
    router = collector.records["QIkM3:0"]
    assert (router[2], router[22], router[20], router[21], router[12]) == (
        "site-1", "00981d1a0cda", "skupper-router", "2.7.6", "west",
    )  # fmt: skip


def test_timers_beacon_every_ten_seconds_heartbeat_every_two() -> None:
    collector = Collector(make())
    counts = {"BEACON": 0, "HEARTBEAT": 0, "RECORD": 0}
    for _ in range(100):
        for message in collector.tick():
            counts[message.subject] += 1
    assert counts == {"BEACON": 2, "HEARTBEAT": 10, "RECORD": 1}


def test_a_clock_that_steps_back_delays_nothing_beyond_a_period() -> None:
    collector = Collector(make())
    collector.tick()
    collector.now -= 3600 * SECOND
    subjects = [message.subject for _ in range(55) for message in collector.tick()]
    assert subjects.count("BEACON") >= 1
    assert subjects.count("HEARTBEAT") >= 4


def test_nothing_is_sent_while_nobody_listens_and_changes_are_not_kept() -> None:
    log = make()
    collector = Collector(log)
    collector.watched = {}
    gone = listener(log)
    assert collector.tick() == []
    log.update(gone, {Attribute.NAME: "lb"})
    log.end(gone, START + 5)
    stays = listener(log)
    assert collector.tick() == []
    collector.watched = {RECORDS: True}
    assert [message.subject for message in collector.tick()] == ["HEARTBEAT", "RECORD"]
    assert set(collector.records) == {"QIkM3:0", stays}
    assert collector.ended == []


def test_deltas_carry_type_identity_and_changes_only() -> None:
    log = make()
    identity = listener(log)
    collector = Collector(log)
    collector.tick()
    log.update(identity, {Attribute.FLOW_COUNT_L4: 1, Attribute.NAME: "la"})
    (message,) = collector.tick()
    assert message.body == [{0: 4, 1: identity, 40: 1}]
    log.update(identity, {Attribute.FLOW_COUNT_L4: 1})
    assert collector.tick() == []
    log.end(identity, START + 7)
    (message,) = collector.tick()
    assert message.body == [{0: 4, 1: identity, 4: START + 7}]
    log.update(identity, {Attribute.NAME: "late"})
    log.end(identity, START + 9)
    log.end("unknown:1", START)
    log.end(log.router_identity, START)
    assert collector.tick() == []


def test_record_that_lived_between_two_ticks_is_not_sent() -> None:
    log = make()
    collector = Collector(log)
    collector.tick()
    log.end(listener(log), START + 1)
    assert collector.tick() == []


def test_flush_sends_everything_in_full_again() -> None:
    log = make()
    listener(log)
    collector = Collector(log)
    collector.tick()
    known = dict(collector.records)
    collector.records.clear()
    log.flush()
    (message,) = collector.tick()
    assert message.subject == "RECORD"
    assert collector.records == known


def test_another_collector_is_served_at_once_when_consumers_are_counted() -> None:
    collector = Collector(make())
    collector.tick()
    collector.watched = {flow.BEACONS: 2, RECORDS: 1}
    assert [message.subject for message in collector.tick()] == ["BEACON"]
    collector.watched = {flow.BEACONS: 2, RECORDS: 2}
    assert [message.subject for message in collector.tick()] == ["HEARTBEAT", "RECORD"]


def test_many_records_go_in_batches_and_over_several_ticks() -> None:
    log = make()
    for number in range(1200):
        listener(log, f"svc:{number}")
    collector = Collector(log)
    first = [message for message in collector.tick() if message.subject == "RECORD"]
    assert len(first) == MAX_MESSAGES_PER_TICK
    collector.tick()
    assert len(collector.records) == 1201


def test_texts_are_cut_and_made_encodable() -> None:
    log = make()
    log.start(RecordType.LINK, "", {Attribute.NAME: "é\udc80" * 400, Attribute.LINK_COST: -1}, START)
    collector = Collector(log)
    collector.tick()
    record = collector.records["QIkM3:1"]
    assert record[30] == "é?" * 150
    assert record[33] == 0


def test_address_without_protocol_gets_one() -> None:
    log = make()
    identity = log.start(RecordType.CONNECTOR, "", {Attribute.VAN_ADDRESS: "a:1"}, 0)
    collector = Collector(log)
    collector.tick()
    assert collector.records[identity][16] == "tcp"
    assert collector.records[identity][3] == 1


def test_what_begins_later_is_sent_with_its_first_update_or_its_end() -> None:
    log = make()
    parent = listener(log)
    collector = Collector(log)
    collector.watched[FLOWS] = 1
    collector.tick()
    assert log.flows_wanted
    identity = log.start(RecordType.FLOW, parent, {Attribute.OCTETS: 0}, START, later=True)
    short = log.start(RecordType.FLOW, parent, {Attribute.OCTETS: 0}, START, later=True)
    assert collector.tick() == []
    log.update(identity, {Attribute.OCTETS: 0})
    log.end(short, START + 1)
    (message,) = collector.tick()
    assert [record[1] for record in message.body] == [identity, short]
    log.update(identity, {Attribute.OCTETS: 0})
    assert collector.tick() == []


def test_flows_have_their_own_address_and_are_sent_even_when_short() -> None:
    log = make()
    parent = listener(log)
    collector = Collector(log)
    collector.watched[FLOWS] = 1
    collector.tick()
    identity = log.start(RecordType.FLOW, parent, {Attribute.OCTETS: 0, Attribute.SOURCE_HOST: "::1"}, START)
    log.update(identity, {Attribute.OCTETS: 11, Attribute.LATENCY: 300})
    log.end(identity, START + 5)
    (message,) = collector.tick()
    assert message.to == FLOWS
    assert message.body == [{0: 6, 1: identity, 2: parent, 3: START, 4: START + 5, 14: "::1", 23: 11, 24: 300}]
    assert collector.tick() == []


def test_logs_go_to_their_address_only_while_it_is_watched() -> None:
    log = make()
    collector = Collector(log)
    log.log(2, "LOG_SERVER: nobody hears this", START)
    collector.tick()
    collector.watched[LOGS] = 1
    log.log(3, "LOG_SERVER: broken", START + 1, "router.py", 12)
    (message,) = collector.tick()
    assert message.to == LOGS
    assert message.body[0][49] == "LOG_SERVER: broken"
    assert message.body[0][2] == "QIkM3:0"


ACTIONS = st.lists(
    st.one_of(
        st.just(("start",)),
        st.tuples(st.just("update"), st.integers(0, 8), st.integers(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 8)),
        st.just(("flush",)),
        st.just(("tick",)),
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(ACTIONS)
def test_a_collector_that_listens_knows_exactly_the_live_records(actions: list[tuple[object, ...]]) -> None:
    log = make()
    collector = Collector(log)
    live: dict[str, int] = {}
    known: list[str] = []
    for action in actions:
        match action:
            case ("start",):
                identity = log.start(RecordType.CONNECTOR, "", {Attribute.FLOW_COUNT_L4: 0}, START)
                live[identity] = 0
                known.append(identity)
            case ("update", int(index), int(value)) if known:
                identity = known[index % len(known)]
                log.update(identity, {Attribute.FLOW_COUNT_L4: value})
                if identity in live:
                    live[identity] = value
            case ("end", int(index)) if known:
                identity = known[index % len(known)]
                log.end(identity, START + 1)
                live.pop(identity, None)
            case ("flush",):
                log.flush()
            case ("tick",):
                collector.tick()
    collector.tick()
    assert {key: record[40] for key, record in collector.records.items() if key != "QIkM3:0"} == live
