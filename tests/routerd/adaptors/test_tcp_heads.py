"""Heads of TCP messages equal what the general codec writes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.adaptors import tcp_heads
from skupper_podman.routerd.codec import Symbol
from skupper_podman.routerd.message import (
    LITE_CONTENT_TYPE,
    HeadParser,
    Message,
    Properties,
    RouterAnnotations,
    compose,
)

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


@given(NAMES, NAMES, st.none() | NAMES, NAMES)
def test_legacy(to: str, subject: str, reply_to: str | None, flow_id: str) -> None:
    octets = tcp_heads.legacy(to, subject, reply_to, flow_id)
    message = Message.decode(octets)
    assert (message.to, message.subject, message.reply_to) == (to, subject, reply_to)
    assert message.application_properties == {":flowid": flow_id}
    assert type(next(iter(message.application_properties))) is Symbol
    properties = Properties(to=to, subject=subject, reply_to=reply_to)
    expected = compose(None, properties=properties, application_properties={Symbol(":flowid"): flow_id})
    assert Message.decode(expected) == message


@given(NAMES, st.none() | NAMES, st.none() | NAMES, st.none() | NAMES)
def test_lite(to: str, reply_to: str | None, flow_id: str | None, alpn: str | None) -> None:
    octets = tcp_heads.lite(to, reply_to, flow_id, alpn)
    head = HeadParser().feed(RouterAnnotations(flags=5).encode() + octets + b"raw octets")
    assert head is not None
    assert head.lite
    assert (head.to, head.reply_to, head.correlation_id) == (to, reply_to, flow_id)
    assert head.content_type == LITE_CONTENT_TYPE
    assert head.application_properties == ({"alpn": alpn} if alpn else {})


@given(NAMES, NAMES, st.none() | NAMES, NAMES, st.booleans())
def test_head_for_sinks_here_equals_the_parsed_one(
    to: str, subject: str, reply_to: str | None, flow_id: str, lite: bool
) -> None:
    if lite:
        octets = tcp_heads.lite(to, reply_to, flow_id)
        made = tcp_heads.head_of(octets, to, subject=None, reply_to=reply_to, lite=True, flow_id=flow_id)
    else:
        octets = tcp_heads.legacy(to, subject, reply_to, flow_id)
        made = tcp_heads.head_of(octets, to, subject=subject, reply_to=reply_to, lite=False, flow_id=flow_id)
    parser = HeadParser()
    parsed = parser.feed(octets) or parser.finish()
    for name in ("to", "subject", "reply_to", "lite", "content_type", "correlation_id", "body_offset"):
        assert getattr(made, name) == getattr(parsed, name), name
    assert made.flow_id == parsed.flow_id
