"""Message sections: the captured octets of skupper-router 2.7.3, and heads and bodies cut anywhere."""

from __future__ import annotations

import contextlib
from typing import Any

import proton
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.codec import CodecError, DecodeError, Int, Symbol, ULong, encode
from skupper_podman.routerd.message import (
    LITE_CONTENT_TYPE,
    LITE_NULL_BODY,
    MAX_HEAD,
    NO_BODY,
    AnnotationsError,
    BodyReader,
    DataBody,
    Head,
    Header,
    HeadParser,
    Message,
    Properties,
    RouterAnnotations,
    RoutingStyle,
    SequenceBody,
    compose,
    data_section_header,
    replace_annotations,
    routing_message,
    skip_octets,
)

FROM_A = RouterAnnotations(0, None, "0/A", ("0/A",))

LSR = bytes.fromhex(
    "0080534b50522d2d5241 d000000019 00000004 43 40 a103302f41 d000000009 00000001 a103302f41"
    "005370 d000000005 00000001 42"
    "005373 d000000023 00000006 40 40 a118616d71703a2f5f746f706f2f302f502f7164726f75746572 40 40 40"
    "005374 d100000011 00000002 a1066f70636f6465 a1034c5352"
    "005377 d10000001a 00000006 a1026964 a10141 a1027076 5401 a10461726561 a10130"
)
MAR = bytes.fromhex(
    "0080534b50522d2d5241 d000000019 00000004 43 40 a103302f41 d000000009 00000001 a103302f41"
    "005370 d000000005 00000001 42"
    "005373 d000000023 00000003 40 40 a11b616d71703a2f5f746f706f2f302f502f7164726f757465722e6d61"
    "005374 d100000011 00000002 a3066f70636f6465 a1034d4152"
    "005377 d100000026 00000008 a3026964 a10141 a3027076 5502 a30461726561 a10130 a308686176655f736571 5500"
)
HELLO_BODY = bytes.fromhex(
    "005377 d100000041 0000000a a1026964 a10141 a1027076 5401 a10461726561 a10130 a108696e7374616e6365 716b001c86"
    "a1047365656e d00000000d 00000003 a10146 a10142 a10150"
)
RELAYED = bytes.fromhex(
    "0080534b50522d2d5241 d00000001e 00000004 43 40 a103302f46 d00000000e 00000002 a103302f46 a103302f41"
)


def test_lsr_octets() -> None:
    body = {"id": "A", "pv": Int(1), "area": "0"}
    assert len(LSR) == 155
    assert routing_message(FROM_A, "amqp:/_topo/0/P/qdrouter", "LSR", body, RoutingStyle.ENGINE) == LSR
    message = Message.decode(LSR)
    assert message.annotations == FROM_A
    assert message.header == Header()
    assert message.to == "amqp:/_topo/0/P/qdrouter"
    assert message.application_properties == {"opcode": "LSR"}
    assert message.body == body


def test_mar_octets() -> None:
    body = {Symbol("id"): "A", Symbol("pv"): 2, Symbol("area"): "0", Symbol("have_seq"): 0}
    assert len(MAR) == 167
    assert routing_message(FROM_A, "amqp:/_topo/0/P/qdrouter.ma", "MAR", body, RoutingStyle.ADDRESSES) == MAR
    assert Message.decode(MAR).body["have_seq"] == 0


def test_hello_body_octets() -> None:
    body = {"id": "A", "pv": Int(1), "area": "0", "instance": Int(1795169414), "seen": ["F", "B", "P"]}
    assert compose(None, body=body) == HELLO_BODY
    assert Message.decode(HELLO_BODY).body == body


def test_annotations_of_a_relayed_message() -> None:
    fresh = RouterAnnotations(ingress="0/F", trace=("0/F",))
    assert fresh.passed("0/A").encode() == RELAYED
    head = HeadParser()
    assert head.feed(RELAYED) is None
    assert head.finish().annotations == fresh.passed("0/A")


def parse(octets: bytes, size: int | None = None) -> Head:
    parser = HeadParser()
    step = size or len(octets) or 1
    for start in range(0, len(octets), step):
        head = parser.feed(octets[start : start + step])
        if head is not None:
            return head
    return parser.finish()


def facts(head: Head) -> tuple[Any, ...]:
    return (
        head.annotations,
        head.ra_length,
        head.to,
        head.reply_to,
        head.subject,
        head.correlation_id,
        head.content_type,
        head.priority,
        head.flow_id,
        dict(head.application_properties),
        head.body_offset,
        head.lite,
    )


TCP_START = (
    RouterAnnotations(5, None, "0/A", ("0/A",)).encode()
    + Properties(
        to="echo:9090", subject="127.0.0.1:40206@siteA", reply_to="amqp:/_topo/0/A/temp._WHwW9AXinYFzQW"
    ).encode()
    + b"\x00\x53\x74"
    + encode({Symbol(":flowid"): "QIkM3:3"})
)


def test_legacy_tcp_head() -> None:
    octets = TCP_START + data_section_header(11) + b"hello world"
    head = parse(octets)
    assert head.to == "echo:9090"
    assert head.destination == "echo:9090"
    assert head.subject == "127.0.0.1:40206@siteA"
    assert head.reply_to == "amqp:/_topo/0/A/temp._WHwW9AXinYFzQW"
    assert head.flow_id == "QIkM3:3"
    assert head.annotations is not None
    assert head.annotations.streaming
    assert head.body_offset == len(TCP_START)
    assert facts(parse(octets, 1)) == facts(head)
    assert octets[head.ra_length :][:3] == b"\x00\x53\x73"


def test_head_is_known_before_the_body_once_nothing_else_can_follow() -> None:
    parser = HeadParser()
    head = parser.feed(TCP_START)
    assert head is not None
    assert head.body_offset == len(TCP_START)
    assert parser.finish() is head


def test_head_without_application_properties_is_known_only_at_the_end() -> None:
    parser = HeadParser()
    start = Properties(to="echo:9090").encode()
    assert parser.feed(start) is None
    assert parser.finish().body_offset == len(start)


def test_lite_tcp_head() -> None:
    start = RouterAnnotations(5, None, "0/C", ("0/C",)).encode() + Properties(
        to="lite:9090", correlation_id="6yWxq:6", content_type=LITE_CONTENT_TYPE
    ).encode()
    octets = start + LITE_NULL_BODY + b"hello world"
    for size in (None, 1, 3):
        head = parse(octets, size)
        assert head.lite
        assert head.correlation_id == "6yWxq:6"
        assert octets[head.body_offset :] == b"hello world"
    parser = HeadParser()
    assert parser.feed(start + LITE_NULL_BODY[:3]) is None


def test_a_null_value_of_another_content_type_stays_a_body_section() -> None:
    octets = Properties(to="x").encode() + LITE_NULL_BODY
    head = parse(octets)
    assert not head.lite
    assert octets[head.body_offset :] == LITE_NULL_BODY


def test_annotations_are_replaced_in_front() -> None:
    old = RouterAnnotations(5, None, "0/F", ("0/F",))
    octets = old.encode() + TCP_START[len(RouterAnnotations(5, None, "0/A", ("0/A",)).encode()) :]
    head = parse(octets)
    assert head.annotations == old
    new = replace_annotations(octets, head.ra_length, old.passed("0/A"))
    again = parse(new)
    assert again.annotations == old.passed("0/A")
    assert again.to == "echo:9090"
    assert again.flow_id == "QIkM3:3"


def test_to_override_wins() -> None:
    octets = RouterAnnotations(0, "real").encode() + Properties(to="nominal").encode()
    assert parse(octets).destination == "real"


@pytest.mark.parametrize(
    "value",
    [None, [], [1, None, None, []], ["x", None, None, []]]
    + [[*fields] for fields in ((0, 1, None, []), (0, None, 1, []), (0, None, None, None), (0, None, None, [1]))],
)
def test_wrong_annotations(value: Any) -> None:
    octets = b"\x00\x80SKPR--RA" + encode(value) + LITE_NULL_BODY
    for size in (None, 1):
        with pytest.raises(AnnotationsError):
            parse(octets, size)
    with pytest.raises(AnnotationsError):
        Message.decode(octets)


def test_annotations_of_other_forms() -> None:
    base = "0080534b50522d2d5241"
    short = bytes.fromhex(base + "c00504 43404045")
    assert parse(short).annotations == RouterAnnotations()
    extra = bytes.fromhex(base + "c00806 434040454041 41".replace(" ", ""))
    with pytest.raises(CodecError):
        parse(extra)
    for bad in ("d0000000054340", "a10141", "c0010443", "c00504434040a1"):
        with pytest.raises(DecodeError):
            parse(bytes.fromhex(base + bad))
    with pytest.raises(AnnotationsError):
        parse(Properties(to="x").encode() + RELAYED)
    from skupper_podman.routerd.codec import UInt

    with pytest.raises(AnnotationsError):
        parse(b"\x00\x80SKPR--RA" + encode([UInt(0), None, None, [], "short"]))
    mesh = "k3Z6PdMqcKQS1S1"
    octets = b"\x00\x80SKPR--RA" + encode([UInt(9), None, None, [], mesh, "later"])
    assert parse(octets).annotations == RouterAnnotations(9, None, None, (), mesh)


def test_sections_out_of_order_and_unknown_sections() -> None:
    for octets in (
        Properties(to="x").encode() + Header().encode(),
        Properties(to="x").encode() * 2,
        b"\x00\x53\x79\x45",
        b"\x01",
        b"\x00\x53\x73\xa1\x00",
        Properties(to="x").encode()[:-1],
        b"\x00\x53\x73" + encode([None, None, 5]),
    ):
        for size in (None, 1):
            with pytest.raises(DecodeError):
                parse(octets, size)
        with pytest.raises(DecodeError):
            Message.decode(octets)


def test_a_head_is_bounded() -> None:
    big = b"\x00\x53\x74" + encode({"k": "x" * MAX_HEAD})
    parser = HeadParser()
    with pytest.raises(DecodeError):
        parser.feed(big[:20])
    many = HeadParser()
    with pytest.raises(DecodeError):
        for _ in range(MAX_HEAD):
            many.feed(big[:3] if many._pos == 0 else big)
    fits = b"\x00\x53\x74" + encode({"k": "x" * (MAX_HEAD - 100)})
    assert parse(fits, 1000).body_offset == len(fits)
    with pytest.raises(DecodeError):
        parse(big + LITE_NULL_BODY)


def test_symbolic_and_long_descriptors() -> None:
    named = b"\x00" + encode(Symbol("amqp:properties:list")) + encode([None, None, "there"])
    long = b"\x00\x80" + (0x74).to_bytes(8) + encode({"a": 1})
    body = b"\x00" + encode(Symbol("amqp:data:binary")) + encode(b"abc")
    octets = named + long + body
    for size in (None, 1):
        head = parse(octets, size)
        assert head.to == "there"
        assert head.application_properties == {"a": 1}
        assert octets[head.body_offset :] == body
    assert Message.decode(octets).body == DataBody(b"abc")
    reader = BodyReader()
    assert b"".join(piece for octet in body for piece in reader.feed(bytes((octet,)))) == b"abc"


# --------------------------------------------------------------------------------------------- properties

MESH = st.none() | st.text("abcXYZ019+_", min_size=15, max_size=15)
ANNOTATIONS = st.builds(
    RouterAnnotations,
    st.integers(0, 2**32 - 1),
    st.none() | st.text(max_size=20),
    st.none() | st.text(max_size=300),
    st.lists(st.text(max_size=20), max_size=5).map(tuple),
    MESH,
)
IDS = st.one_of(st.none(), st.text(max_size=9), st.binary(max_size=9), st.uuids(), st.integers(0, 2**64 - 1).map(ULong))
TEXT = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
SYMBOLS = st.none() | st.text("abc/-", min_size=1, max_size=20).map(Symbol)
NUMBERS = st.none() | st.integers(0, 2**31)
PROPERTIES = st.builds(
    Properties, IDS, st.none() | st.binary(max_size=9), TEXT, TEXT, TEXT, IDS, SYMBOLS, SYMBOLS,
    NUMBERS, NUMBERS, TEXT, NUMBERS, TEXT,
)  # fmt: skip
HEADERS = st.builds(
    Header, st.booleans(), st.none() | st.integers(0, 255), NUMBERS, st.none() | st.booleans(), NUMBERS
)
APPLICATION = st.dictionaries(
    st.text(max_size=9) | st.just(Symbol(":flowid")), st.text(max_size=9) | st.integers(-5, 5), max_size=4
)
BODIES = st.one_of(
    st.just(NO_BODY),
    st.binary(max_size=600).map(DataBody),
    st.lists(st.integers(0, 9), max_size=4).map(SequenceBody),
    st.none(),
    st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=3), max_size=3),
)
MESSAGES = st.fixed_dictionaries(
    {"annotations": st.none() | ANNOTATIONS, "header": st.none() | HEADERS, "properties": PROPERTIES,
     "application_properties": APPLICATION, "body": BODIES}
)  # fmt: skip


def composed(parts: dict[str, Any]) -> bytes:
    rest = {name: value for name, value in parts.items() if name != "annotations"}
    return compose(parts["annotations"], **rest)


@given(MESSAGES)
def test_messages_round_trip(parts: dict[str, Any]) -> None:
    message = Message.decode(composed(parts))
    for name, value in parts.items():
        assert getattr(message, name) == value
        assert type(getattr(message, name)) is type(value)


@given(MESSAGES, st.integers(1, 40))
def test_heads_are_the_same_however_cut(parts: dict[str, Any], size: int) -> None:
    octets = composed(parts)
    whole = parse(octets)
    assert facts(parse(octets, size)) == facts(whole)
    assert facts(parse(octets, 1)) == facts(whole)
    properties = parts["properties"]
    assert whole.annotations == parts["annotations"]
    assert (whole.to, whole.subject, whole.reply_to) == (properties.to, properties.subject, properties.reply_to)
    assert whole.correlation_id == properties.correlation_id
    assert whole.application_properties == parts["application_properties"]
    if not whole.lite:
        assert compose(None, body=parts["body"]) == octets[whole.body_offset :]


@given(MESSAGES)
def test_proton_reads_what_we_write(parts: dict[str, Any]) -> None:
    message = proton.Message()
    message.decode(composed(parts | {"annotations": None}))
    assert message.address == parts["properties"].to
    assert message.subject == parts["properties"].subject
    assert message.id == parts["properties"].message_id or parts["properties"].message_id is None
    if parts["header"]:
        assert message.durable == parts["header"].durable


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_garbage_raises_codec_error_only(garbage: bytes, tail: bytes) -> None:
    for octets in (garbage, TCP_START + garbage, b"\x00\x80SKPR--RA" + garbage, b"\x00\x53\x73" + garbage + tail):
        outcomes = []
        for size in (None, 1):
            try:
                head = parse(octets, size)
                outcomes.append((head.body_offset, head.annotations, head.to))
            except CodecError:
                outcomes.append("error")
        assert outcomes[0] == outcomes[1]
        with contextlib.suppress(CodecError):
            Message.decode(octets)
        reader = BodyReader()
        with contextlib.suppress(CodecError):
            reader.feed(octets)


@given(st.lists(st.binary(max_size=700), max_size=6), st.lists(st.integers(1, 300), min_size=1, max_size=9))
def test_body_pieces_join_to_the_payload(payloads: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(data_section_header(len(payload)) + payload for payload in payloads)
    reader = BodyReader()
    pieces: list[memoryview] = []
    start = 0
    for number in range(len(octets)):
        if start >= len(octets):
            break
        stop = start + cuts[number % len(cuts)]
        pieces += reader.feed(octets[start:stop])
        start = stop
    assert b"".join(pieces) == b"".join(payloads)
    assert all(len(piece) for piece in pieces)
    assert reader.between_sections


def test_body_reader_takes_long_forms_and_stops_at_a_footer() -> None:
    reader = BodyReader()
    octets = b"\x00\x53\x75\xb0\x00\x00\x00\x02hi" + b"\x00\x53\x78" + encode({}) + b"\x00\x53\x75\xa0\x01x"
    assert b"".join(reader.feed(octets)) == b"hi"
    with pytest.raises(DecodeError):
        BodyReader().feed(b"\x00\x53\x77\x40")
    with pytest.raises(DecodeError):
        BodyReader().feed(b"\x00\x53\x75\xa1\x00")


def test_skip_octets_does_not_copy() -> None:
    chunks = [b"abc", b"defg", b"hi"]
    assert [bytes(piece) for piece in skip_octets(chunks, 4)] == [b"efg", b"hi"]
    assert skip_octets(chunks, 0)[1].obj is chunks[1]
    assert skip_octets(chunks, 9) == []
