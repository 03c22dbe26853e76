"""The heads of TCP messages, as octets: legacy and lite encapsulation, request and reply.

They are made once per TCP connection, so they are put together from encoded pieces instead of going
through the general codec. What always holds: the octets equal what `message.compose` would write for
the same values (a test compares them); a text longer than 255 octets is cut, no such name is legal.
"""

from __future__ import annotations

import struct
from typing import Final

from skupper_podman.routerd.message import (
    LITE_CONTENT_TYPE,
    LITE_NULL_BODY,
    Q2_DISABLED,
    STREAMING,
    Head,
)

STREAM_FLAGS: Final = STREAMING | Q2_DISABLED

_LIST: Final = struct.Struct(">II")
_NULL: Final = b"\x40"
_FLOW_ID: Final = b"\xa3\x07:flowid"
_ALPN: Final = b"\xa1\x04alpn"
_LITE_TYPE: Final = b"\xa3" + bytes((len(LITE_CONTENT_TYPE),)) + LITE_CONTENT_TYPE.encode()


_SHORT: Final = [b"\xa1" + bytes((size,)) for size in range(256)]


def _string(text: str) -> bytes:
    octets = text.encode("utf-8")[:255]
    return _SHORT[len(octets)] + octets


def _properties(items: list[bytes]) -> bytes:
    body = b"".join(items)
    return b"\x00\x53\x73\xd0" + _LIST.pack(4 + len(body), len(items)) + body


def _application(pairs: list[bytes]) -> bytes:
    body = b"".join(pairs)
    return b"\x00\x53\x74\xd1" + _LIST.pack(4 + len(body), len(pairs)) + body


def legacy(to: str, subject: str, reply_to: str | None, flow_id: str, alpn: str | None = None) -> bytes:
    """Properties and application properties of a legacy request, or of a reply when `reply_to` is None."""
    items = [_NULL, _NULL, _string(to), _string(subject)]
    if reply_to is not None:
        items.append(_string(reply_to))
    pairs = [_FLOW_ID, _string(flow_id)]
    if alpn:
        pairs += [_ALPN, _string(alpn)]
    return _properties(items) + _application(pairs)


def lite(to: str, reply_to: str | None, flow_id: str | None, alpn: str | None = None) -> bytes:
    """Properties and the null body of a lite request, or of a reply when `reply_to` is None; raw octets follow."""
    reply = _NULL if reply_to is None else _string(reply_to)
    correlation = _NULL if flow_id is None else _string(flow_id)
    head = _properties([_NULL, _NULL, _string(to), _NULL, reply, correlation, _LITE_TYPE])
    if alpn:
        head += _application([_ALPN, _string(alpn)])
    return head + LITE_NULL_BODY


def head_of(
    octets: bytes, to: str, *, subject: str | None, reply_to: str | None, lite: bool, flow_id: str | None
) -> Head:
    """The parsed form of such a head without its router annotations, for sinks in the same router."""
    head = Head()
    head.to = to
    head.subject = subject
    head.reply_to = reply_to
    head.lite = lite
    head.body_offset = len(octets)
    if lite:
        head.content_type = LITE_CONTENT_TYPE
        head.correlation_id = flow_id
    elif flow_id is not None:
        head._raw_application_properties = _application([_FLOW_ID, _string(flow_id)])[3:]
    return head
