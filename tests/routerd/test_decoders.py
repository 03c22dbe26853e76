"""Decoders besides the codec and message heads: valid values round-trip, anything else gives that decoder's one error.

Where a decoder takes pieces, the pieces make no difference.
"""

from __future__ import annotations

import json
import time
import uuid
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.model import flow
from skupper_podman.model.flow import KINDS, Attribute, Kind, RecordType
from skupper_podman.routerd.codec import MAX_UUID_KEYS, CodecError, DecodeError, UInt, ULong, decode, encode
from skupper_podman.routerd.core import bodies
from skupper_podman.routerd.core.address import Mode, Namespace, Treatment
from skupper_podman.routerd.core.edge import EdgeProxies
from skupper_podman.routerd.core.limits import MAX_NUMBER
from skupper_podman.routerd.flowlog import wire
from skupper_podman.routerd.heads import BodyReader, HeadParser, section_end
from skupper_podman.routerd.management.agent import MAX_INDENT
from skupper_podman.routerd.management.conffile import NotationError, read_sections
from skupper_podman.routerd.management.endpoint import answer
from skupper_podman.routerd.message import Message, Properties, RouterAnnotations, compose
from skupper_podman.routerd.sections import LISTS, MAPS, _short_text, _short_trace, plain_items
from tests.routerd.management.samples import sample_agent
from tests.routerd.test_codec import VALUES

NAMES = st.text(min_size=1, max_size=20)
NUMBERS = st.integers(0, 2**31 - 1)
KEYS = st.builds(lambda kind, text: kind + text, st.sampled_from("MH"), st.text(max_size=20))
MESHES = st.none() | st.text("abc", min_size=15, max_size=15)
DESCRIPTORS = st.builds(bodies.Descriptor, KEYS, st.sampled_from(Treatment), NUMBERS, MESHES)
BODIES: st.SearchStrategy[Any] = st.one_of(
    st.builds(bodies.Hello, NAMES, NUMBERS, st.lists(NAMES, max_size=4).map(tuple)),
    st.builds(bodies.Advertisement, NAMES, NUMBERS, NUMBERS, NUMBERS),
    st.builds(bodies.LinkStateUpdate, NAMES, NUMBERS, NUMBERS, st.dictionaries(NAMES, st.integers(1, 9), max_size=4)),
    st.builds(bodies.AddressUpdate, NAMES, st.integers(0, MAX_NUMBER), st.lists(DESCRIPTORS, max_size=4).map(tuple)),
    st.builds(
        lambda name, number, add, remove: bodies.AddressUpdate(name, number, None, tuple(add), tuple(remove)),
        NAMES, NUMBERS, st.lists(DESCRIPTORS, max_size=4), st.lists(KEYS, max_size=4),
    ),
)  # fmt: skip
READERS = (bodies.Hello, bodies.Advertisement, bodies.LinkStateUpdate, bodies.AddressUpdate)


# ------------------------------------------------------------------------------------------ routing messages


@given(BODIES)
def test_routing_bodies_round_trip_over_the_wire(body: Any) -> None:
    value = decode(encode(body.body("0")))[0]
    assert type(body).read(value) == body
    assert bodies.identify(value)[0] == body.id


FIELDS = ("id", "pv", "instance", "seen", "ls_seq", "mobile_seq", "ls", "peers", "exist", "add", "del", "have_seq")


@given(st.one_of(VALUES, st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8)))
def test_any_value_is_a_routing_body_or_a_protocol_error(value: Any) -> None:
    for kind in READERS:
        with suppress(bodies.ProtocolError):
            kind.read(value)
    for call in (bodies.identify, bodies.have_seq):
        with suppress(bodies.ProtocolError):
            call(value)
    with suppress(bodies.ProtocolError):
        bodies.Descriptor.read(value)
    assert EdgeProxies().tracking(1, value) in (True, False)


@given(BODIES, st.sampled_from(FIELDS), VALUES)
def test_a_wrong_field_is_read_or_a_protocol_error(body: Any, name: str, value: Any) -> None:
    damaged = {**body.body("0"), name: value}
    for kind in READERS:
        with suppress(bodies.ProtocolError):
            kind.read(damaged)


# ------------------------------------------------------------------------------------------ maps whose keys collide


def test_uuids_as_keys_are_few() -> None:
    """Their hashes are not salted: a hundred thousand that collide would take minutes."""
    modulus = (1 << 61) - 1
    colliding = [uuid.UUID(int=1 + modulus * number) for number in range(20_000)]
    assert len({hash(key) for key in colliding}) == 1
    body = b"".join(encode(key) + b"\x40" for key in colliding)
    octets = b"\xd1" + (4 + len(body)).to_bytes(4) + (2 * len(colliding)).to_bytes(4) + body
    start = time.process_time()
    with pytest.raises(DecodeError):
        decode(octets)
    assert time.process_time() - start < 10
    few = dict.fromkeys(colliding[:MAX_UUID_KEYS], 1)
    assert decode(encode(few))[0] == few


@pytest.mark.parametrize("key", ["e00300a30161", "005301a10161", "45", "d10000000400000000"])
def test_a_compound_key_is_malformed(key: str) -> None:
    raw = bytes.fromhex(key) + b"\x40"
    with pytest.raises(DecodeError):
        decode(b"\xd1" + (4 + len(raw)).to_bytes(4) + (2).to_bytes(4) + raw)


# ------------------------------------------------------------------------------------------ pieces


@given(st.binary(max_size=200), st.lists(st.integers(1, 40), max_size=10))
def test_a_head_does_not_depend_on_the_pieces(octets: bytes, sizes: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> object:
        parser = HeadParser()
        try:
            for piece in pieces:
                found = parser.feed(piece)
                if found is not None:
                    return found.body_offset, found.to, found.annotations, found.lite
            found = parser.finish()
        except CodecError as error:
            return type(error)
        return found.body_offset, found.to, found.annotations, found.lite

    cut, at = [], 0
    for size in sizes:
        cut.append(octets[at : at + size])
        at += size
    whole = outcome([octets])
    assert outcome([*cut, octets[at:]]) == whole
    assert outcome([octets[at : at + 1] for at in range(len(octets))]) == whole


@given(st.binary(max_size=200))
def test_a_body_does_not_depend_on_the_pieces(octets: bytes) -> None:
    results = []
    for size in (len(octets) or 1, 1, 3):
        reader = BodyReader()
        try:
            pieces = [reader.feed(octets[at : at + size]) for at in range(0, len(octets), size)]
            results.append(b"".join(b"".join(found) for found in pieces))
        except CodecError:
            results.append(b"\0error")
    assert results[0] == results[1] == results[2]


# ------------------------------------------------------------------------------------------ annotations


@given(
    st.lists(
        st.none()
        | st.text(max_size=20)
        | st.text(alphabet="ab", max_size=300)
        | st.booleans()
        | st.integers(0, 2**64 - 1).map(ULong),
        max_size=9,
    ),
    st.binary(max_size=4),
)
def test_plain_items_are_read_as_by_the_general_decoder(items: list[Any], more: bytes) -> None:
    octets = encode(items)
    found = plain_items(octets + more, 0, len(octets), LISTS)
    assert found is None or found == items
    plain = all(
        item is None
        or (isinstance(item, str) and item.isascii() and len(item) < 256)
        or (type(item) is ULong and item > 0)  # zero has a form of its own, which is rare
        for item in items
    )
    assert (found is not None) is (plain and bool(items))
    assert plain_items(octets, 0, len(octets), MAPS) is None


@given(st.binary(max_size=40), st.sampled_from([b"\xc0", b"\xd0\0\0\0", b"\xc0\x05\x02\xa1"]))
def test_plain_items_of_any_octets_are_those_of_the_general_decoder(octets: bytes, first: bytes) -> None:
    octets = first + octets
    found = plain_items(octets, 0, len(octets), LISTS)
    if found is not None and section_end(octets, 0, 0x73) == len(octets):
        assert decode(octets) == (found, len(octets))


def test_annotations_of_a_neighbour_are_decoded_and_passed_on_once() -> None:
    octets = RouterAnnotations(flags=5, ingress="0/A", trace=("0/A",)).encode()
    first, second = (HeadParser() for _ in range(2))
    heads = [parser.feed(octets + b"\0\x53\x75\xa0\1x") for parser in (first, second)]
    assert heads[0] is not None
    assert heads[1] is not None
    known, again = heads[0].annotations, heads[1].annotations
    assert known is not None
    assert known is again
    assert known.passed("0/B") is known.passed("0/B")
    assert known.passed("0/B") == RouterAnnotations(flags=5, ingress="0/A", trace=("0/A", "0/B"))
    assert known.passed("0/C").trace == ("0/A", "0/C")
    mesh = "m" * 15
    assert known.entered(mesh) is known.entered(mesh)
    assert known.entered(mesh) == RouterAnnotations(flags=5, ingress_mesh=mesh)


def test_long_texts_and_traces_are_not_kept() -> None:
    _short_text.cache_clear()
    _short_trace.cache_clear()
    for number in range(50):
        trace = tuple(f"0/{number}-{hop}" for hop in range(5000))
        long = RouterAnnotations(to_override=f"{number}" * 5000, trace=trace)
        assert decode(long.encode(), 0)[0].value[3] == list(long.trace)
    assert _short_text.cache_info().currsize <= 250_001
    assert _short_trace.cache_info().currsize == 0
    short = [RouterAnnotations(to_override="a", trace=("0/A", "0/B")) for _ in range(2)]
    assert short[0].encode() == short[1].encode()
    assert _short_trace.cache_info().hits == 1
    named = RouterAnnotations(trace=("0/" + "x" * 300,))
    assert decode(named.encode())[0].value[3] == list(named.trace)
    assert _short_trace.cache_info().currsize == 1


# ------------------------------------------------------------------------------------------ flow records


def values_of(attribute: Attribute) -> st.SearchStrategy[Any]:
    if KINDS[attribute] in (Kind.TEXT, Kind.REFERENCE):
        return st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)
    return st.integers(1, 2**63 - 1)


RECORDS = st.fixed_dictionaries(
    {Attribute.RECORD_TYPE: st.sampled_from([RecordType.ROUTER, RecordType.LINK, RecordType.FLOW]).map(int)}
    | {key: values_of(key) for key in (Attribute.IDENTITY, Attribute.START_TIME)},
    optional={key: values_of(key) for key in (Attribute.NAME, Attribute.OCTETS, Attribute.PARENT, Attribute.END_TIME)},
)


@given(st.lists(RECORDS, max_size=4))
def test_records_round_trip(maps: list[dict[Attribute, Any]]) -> None:
    message = wire.read(wire.records(flow.records_address("s"), maps))
    assert message is not None
    found = message.records()
    assert [record.identity for record in found] == [fields[Attribute.IDENTITY] for fields in maps]


@given(st.one_of(VALUES, st.lists(st.dictionaries(st.integers(0, 60).map(UInt), VALUES, max_size=5), max_size=4)))
def test_any_body_of_a_record_message_is_read(body: Any) -> None:
    octets = wire._compose("mc/sfe.s", flow.RECORD, None, None, body)
    message = wire.read(octets)
    assert message is not None
    for record in message.records():
        assert record.identity


# ------------------------------------------------------------------------------------------ text


@given(st.text(max_size=300))
def test_any_text_is_a_configuration_or_a_notation_error(text: str) -> None:
    for json_form in (True, False):
        with suppress(NotationError):
            read_sections(text, json_form=json_form)


LINES = st.lists(
    st.sampled_from(
        ["router {", "}", "a: b", "a: b # c", "openProperties: {", '"k": [1, {"x": 2}],', "m: {", "#", "", "{", ":"]
    ),
    max_size=25,
)


@given(LINES)
def test_any_lines_are_a_configuration_or_a_notation_error(lines: list[str]) -> None:
    with suppress(NotationError):
        read_sections("\n".join(lines), json_form=False)


@pytest.mark.parametrize("depth", [100, 5000, 200_000])
def test_deep_nesting_is_a_notation_error(depth: int) -> None:
    for text in ("[" * depth, '[["router", ' + '{"a":' * depth):
        with pytest.raises(NotationError):
            read_sections(text, json_form=True)
    blocks = "router {\n" + "a: {\n" * depth
    with pytest.raises(NotationError):
        read_sections(blocks, json_form=False)
    with pytest.raises(NotationError):
        read_sections("router {\nopenProperties: {\n" + '"a": [' * depth + "}\n}", json_form=False)


NAME = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
ATTRIBUTES = st.dictionaries(NAME, st.text("ab1.", min_size=1, max_size=8), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["router", "listener"]), ATTRIBUTES), max_size=4))
def test_configurations_round_trip(sections: list[tuple[str, dict[str, str]]]) -> None:
    text = json.dumps([list(section) for section in sections])
    assert read_sections(text, json_form=True) == sections
    blocks = "\n".join(
        "\n".join([f"{kind} {{", *(f"  {name}: {value}  # said" for name, value in fields.items()), "}"])
        for kind, fields in sections
    )
    assert read_sections(blocks, json_form=False) == sections


@given(st.text(max_size=200), st.sampled_from(Mode))
def test_any_text_has_one_key_that_stays(text: str, mode: Mode) -> None:
    names = Namespace("A", "0", mode)
    key = names.key(text)
    assert key[0] in "LTRAHM"
    if key[0] == "M" and not key[1:].startswith(("_", "/", "amqp:")):
        assert names.key(key[1:]) == key


# ------------------------------------------------------------------------------------------ management requests


def asked(properties: dict[str, Any], body: object = None) -> tuple[int, Any, int]:
    """Status, body and size of the answer."""
    octets = compose(None, properties=Properties(reply_to="r"), application_properties=properties, body=body)
    reply = answer(sample_agent(), Message.decode(octets))
    assert reply is not None
    return reply.application_properties["statusCode"], reply.body, len(reply.encode())


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from(["operation", "entityType", "type", "name", "offset", "count"]), VALUES),
    VALUES,
)
def test_any_request_is_answered(properties: dict[str, Any], body: Any) -> None:
    status, _, size = asked(properties, body)
    assert 200 <= status < 600
    assert size < 1 << 20


@pytest.mark.parametrize("number", [float("inf"), float("nan"), -1, "x", [1], 2**63, "9" * 5000])
def test_numbers_in_requests_that_are_none(number: object) -> None:
    value = ULong(number) if number == 2**63 else number
    asking = {"offset": "QUERY", "count": "QUERY", "limit": "GET-LOG", "indent": "GET-JSON-SCHEMA"}
    for name, operation in asking.items():
        status, _, size = asked({"operation": operation, "entityType": "connection", name: value})
        assert status in (200, 400), (name, status)  # skrouterd takes some of them for none
        assert size < 2_000_000


def test_columns_are_answered_once_and_indentation_is_bounded() -> None:
    columns = {"attributeNames": ["name", "host"] * 50_000}
    status, body, _ = asked({"operation": "QUERY", "entityType": "connection"}, columns)
    assert status == 200
    assert body["attributeNames"] == ["name", "host"]
    sizes = {indent: asked({"operation": "GET-JSON-SCHEMA", "indent": indent})[2] for indent in (MAX_INDENT, 10**9)}
    assert sizes[MAX_INDENT] == sizes[10**9]
