"""Flow records: codes, tolerance towards peers, deltas, JSON."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.model import flow
from skupper_podman.model.flow import KINDS, Attribute, Kind, Record, RecordType, parse_record, record_map

SITE_MAP = {
    0: 0,
    1: "eb0b1e13",
    3: 1732096800000000,
    30: "host1-alice-3f2a1",
    12: "",
    11: "podman",
    52: "1.9.6",
    53: "disabled",
}


def test_codes_are_those_of_the_wire() -> None:
    assert [int(attribute) for attribute in Attribute] == list(range(55))
    assert [int(record_type) for record_type in RecordType] == list(range(22))
    assert KINDS[Attribute.RECORD_TYPE] is Kind.RECORD_TYPE
    assert KINDS[Attribute.DEST_PORT] is Kind.TEXT
    assert KINDS[Attribute.LINK_COST] is Kind.NUMBER


def test_site_record_to_json_in_document_order() -> None:
    record = parse_record(SITE_MAP, "eb0b1e13")
    assert record is not None
    assert list(record.to_json().items()) == [
        ("recType", "SITE"),
        ("identity", "eb0b1e13"),
        ("startTime", 1732096800000000),
        ("endTime", 0),
        ("source", "eb0b1e13"),
        ("platform", "podman"),
        ("name", "host1-alice-3f2a1"),
        ("nameSpace", ""),
        ("siteVersion", "1.9.6"),
        ("policy", "disabled"),
    ]
    assert record_map(record) == SITE_MAP


def test_delta_changes_only_what_it_carries() -> None:
    record = Record(RecordType.LINK, "a:1", "a:0", 5, attributes={Attribute.NAME: "b", Attribute.LINK_COST: 1})
    merged = record.merged(Record(RecordType.LINK, "a:1", attributes={Attribute.LINK_COST: 2}))
    assert (merged.parent, merged.start_time, merged.text(Attribute.NAME)) == ("a:0", 5, "b")
    assert merged.number(Attribute.LINK_COST) == 2
    assert record.merged(Record(RecordType.LINK, "a:1", end_time=9)).end_time == 9


def test_values_of_a_wrong_type_and_unknown_codes_are_skipped() -> None:
    record = parse_record({0: 5, 1: "x:1", 2: 7, 3: -1, 4: 1 << 64, 30: b"raw", 33: True, 19: "a:1", 99: "?", "k": 1})
    assert record == Record(RecordType.CONNECTOR, "x:1", attributes={Attribute.VAN_ADDRESS: "a:1"})


def test_texts_of_a_peer_are_bounded() -> None:
    record = parse_record({0: 1, 1: "i" * 10_000, 30: "n" * 10_000})
    assert record is not None
    assert len(record.identity) == len(record.text(Attribute.NAME)) == flow.MAX_ACCEPTED_TEXT


VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats()


@given(st.dictionaries(st.integers(-2, 60) | st.text() | st.booleans(), VALUES) | VALUES)
def test_anything_parses_to_a_valid_record_or_to_none(document: object) -> None:
    record = parse_record(document)
    if record is None:
        return
    for attribute, value in record.attributes.items():
        assert isinstance(value, str if KINDS[attribute] in (Kind.TEXT, Kind.REFERENCE) else int)
    assert parse_record(record_map(record)) == record
    assert record.to_json()["recType"] == record.type.name


def test_addresses_and_the_source_they_name() -> None:
    assert flow.flows_address("q:0") == "mc/sfe.q:0.flows"
    assert flow.direct_address("q:0") == "sfe.q:0"
    for address in (flow.records_address, flow.flows_address, flow.logs_address, flow.heartbeats_address):
        assert flow.source_of(address("q:0")) == "q:0"
    assert flow.source_of("elsewhere") == ""
