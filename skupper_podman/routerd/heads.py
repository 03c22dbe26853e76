"""Heads and bodies of messages that are forwarded while they still arrive.

Why: a router decides on a delivery as soon as its head is known and passes the rest untouched; general libraries
decode complete messages only and drop the router-annotations section.

What always holds:

* `HeadParser` and `BodyReader` give the same result however the octets are cut, do work in proportion to the
  octets fed, and hold at most `MAX_HEAD` octets and one chunk.
* Malformed input raises `CodecError` (of the router-annotations section: `AnnotationsError`), nothing else.
* Payload is never copied here: pieces are memoryviews of what was fed.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from skupper_podman.routerd.codec import Buffer, DecodeError, Incomplete, decode
from skupper_podman.routerd.sections import (
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    HEADER,
    LISTS,
    MAPS,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    RA_DESCRIPTOR,
    SEQUENCE,
    VALUE,
    AnnotationsError,
    Header,
    MessageId,
    RouterAnnotations,
    check_property_strings,
    map_pairs,
    padded,
    plain_items,
)

MAX_HEAD: Final = 65536
"""Most octets before the body; a longer head is a `DecodeError`."""

LITE_CONTENT_TYPE: Final = "application/octet-stream"
"""Content type that marks the lite TCP encapsulation."""
LITE_NULL_BODY: Final = b"\x00\x53\x77\x40"
"""The one body section of the lite TCP encapsulation (amqp-value null); raw octets follow it."""

BODY_CODES: Final = frozenset((DATA, SEQUENCE, VALUE))

_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")
_SECTION_NAMES = {
    "amqp:header:list": HEADER,
    "amqp:delivery-annotations:map": DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": MESSAGE_ANNOTATIONS,
    "amqp:properties:list": PROPERTIES,
    "amqp:application-properties:map": APPLICATION_PROPERTIES,
    "amqp:data:binary": DATA,
    "amqp:amqp-sequence:list": SEQUENCE,
    "amqp:amqp-value:*": VALUE,
    "amqp:footer:map": FOOTER,
}

# ------------------------------------------------------------------------------------------ heads of streams


class Head:
    """What a router needs of a message before its body.

    ``ra_length`` is the size in octets of the router-annotations section, which is always first (0: absent).
    ``body_offset`` counts octets from the start of the message; with ``lite`` set it lies behind the null body
    section and raw octets follow, else the first body section (or the end of the message) begins there.
    """

    __slots__ = (
        "_properties",
        "_raw_application_properties",
        "annotations",
        "body_offset",
        "content_type",
        "correlation_id",
        "group_id",
        "lite",
        "message_id",
        "priority",
        "ra_length",
        "reply_to",
        "subject",
        "to",
    )

    def __init__(self) -> None:
        self.annotations: RouterAnnotations | None = None
        self.ra_length = 0
        self.priority: int | None = None
        self.to: str | None = None
        self.subject: str | None = None
        self.reply_to: str | None = None
        self.message_id: MessageId | None = None
        self.correlation_id: MessageId | None = None
        self.content_type: str | None = None
        self.group_id: str | None = None
        self.body_offset = 0
        self.lite = False
        self._raw_application_properties: bytes | None = None
        self._properties: dict[Any, Any] | None = None

    @property
    def application_properties(self) -> Mapping[Any, Any]:
        """The application properties, decoded on first use; raises `DecodeError` when malformed."""
        if self._properties is None:
            raw = self._raw_application_properties
            self._properties = {} if raw is None else _map(raw)
        return self._properties

    @property
    def application_pairs(self) -> list[tuple[Any, Any]]:
        """The application properties in their order, repeated keys included (HTTP headers); raises `DecodeError`."""
        raw = self._raw_application_properties
        return [] if raw is None else map_pairs(raw)

    @property
    def flow_id(self) -> str | None:
        """Vanflow identity of the sender's flow: application property ``:flowid`` (the colon is part of the name)."""
        return self.text_property(":flowid")

    def text_property(self, name: str) -> str | None:
        """An application property that is text; None when it is absent, of another type, or all are malformed."""
        try:
            value = self.application_properties.get(name)
        except DecodeError:
            return None
        return str(value) if isinstance(value, str) else None

    @property
    def destination(self) -> str | None:
        """Where the message says it goes: the annotations' override, else ``properties.to``."""
        annotations = self.annotations
        return self.to if annotations is None or annotations.to_override is None else annotations.to_override


class HeadParser:
    """Finds the head of one message in octets that arrive in pieces; the caller keeps the octets for forwarding."""

    __slots__ = ("_buffer", "_code", "_head", "_known", "_need", "_pos")

    def __init__(self) -> None:
        self._buffer: bytearray | None = None
        self._head = Head()
        self._known = False
        self._pos = 0
        self._need = 0
        self._code = 0

    def feed(self, chunk: Buffer) -> Head | None:
        """Take further octets; gives the head once it is known, and again when fed after that.

        Raises `AnnotationsError` or `DecodeError`.
        """
        if self._known:
            return self._head
        data: Buffer = chunk
        if self._buffer is not None:
            self._buffer += chunk
            data = self._buffer
        if len(data) >= self._need and self._scan(data):
            return self._found()
        if self._need > MAX_HEAD or self._pos > MAX_HEAD:
            raise DecodeError(f"message head exceeds {MAX_HEAD} octets")
        if self._buffer is None:
            self._buffer = bytearray(chunk)
        return None

    def finish(self) -> Head:
        """The message ends here; gives the head, raises `DecodeError` when it ends inside a section."""
        if not self._known:
            if self._pos != len(self._buffer or b""):
                raise DecodeError("message ends inside a section")
            self._head.body_offset = self._pos
            self._found()
        return self._head

    def _found(self) -> Head:
        self._known = True
        self._buffer = None
        if self._head.body_offset > MAX_HEAD:
            raise DecodeError(f"message head exceeds {MAX_HEAD} octets")
        return self._head

    def _scan(self, data: Buffer) -> bool:
        """Parse whole sections from where the last scan stopped; leaves in ``_need`` what the next one takes."""
        size = len(data)
        while True:
            pos = self._pos
            if pos + 3 <= size and data[pos] == 0 and data[pos + 1] == 0x53 and HEADER <= data[pos + 2] <= FOOTER:
                code, value_at = data[pos + 2], pos + 3
            else:
                opened = read_descriptor(data, pos)
                if opened is None:
                    self._need = size + 1
                    return False
                code, value_at = opened
            if code in BODY_CODES:
                return self._at_body(data, code, value_at)
            if code == FOOTER:
                self._head.body_offset = pos
                return True
            end = section_end(data, value_at, code)
            if end > size:
                self._need = end
                return False
            self._section(data, code, value_at, end)
            self._pos = end
            if code == APPLICATION_PROPERTIES and self._head.content_type != LITE_CONTENT_TYPE:
                # Nothing but the body can follow, and a stream may wait for its reply before it sends any.
                self._head.body_offset = end
                return True

    def _at_body(self, data: Buffer, code: int, value_at: int) -> bool:
        head = self._head
        head.body_offset = self._pos
        if code == VALUE and head.content_type == LITE_CONTENT_TYPE:
            if value_at == len(data):
                self._need = value_at + 1
                return False
            if data[value_at] == 0x40:
                head.body_offset = value_at + 1
                head.lite = True
        return True

    def _section(self, data: Buffer, code: int, value_at: int, end: int) -> None:
        head = self._head
        if code == RA_DESCRIPTOR:
            if self._pos:
                raise AnnotationsError("router annotations are not the first section")
            head.annotations = read_annotations(data, value_at, end)
            head.ra_length = end
            return
        if code <= self._code:
            raise DecodeError("message sections out of order")
        self._code = code
        if code == PROPERTIES:
            items = padded(plain_items(data, value_at, end, LISTS) or _exact(data, value_at), 13)
            check_property_strings(items)
            head.message_id, _, head.to, head.subject, head.reply_to, head.correlation_id, head.content_type = items[:7]
            group = items[10]
            head.group_id = group if isinstance(group, str) else None
        elif code == APPLICATION_PROPERTIES:
            head._raw_application_properties = bytes(data[value_at:end])
        elif code == HEADER:
            octets = bytes(data[value_at:end])
            head.priority = _known_priority(octets) if len(octets) <= _KNOWN else _priority(octets)


def read_descriptor(data: Buffer, pos: int) -> tuple[int, int] | None:
    """Section code at ``pos`` and the offset of the section's value; None when the octets end before."""
    if pos + 3 <= len(data) and data[pos] == 0:
        form = data[pos + 1]
        if form == 0x53:
            return _checked(data[pos + 2]), pos + 3
        if form == 0x80:
            if pos + 10 > len(data):
                return None
            return _checked(_U64.unpack_from(data, pos + 2)[0]), pos + 10
    if pos < len(data) and data[pos] != 0:
        raise DecodeError("message section expected")
    if pos + 2 > len(data):
        return None
    if data[pos + 1] not in (0x53, 0x80, 0xA3, 0xB3):
        raise DecodeError("section descriptor is neither ulong nor symbol")
    try:
        name, end = decode(data, pos + 1)
    except Incomplete:
        if len(data) - pos > 64:
            raise DecodeError("unknown message section") from None
        return None
    code = _SECTION_NAMES.get(name)
    if code is None:
        raise DecodeError("unknown message section")
    return code, end


def _checked(code: int) -> int:
    if not HEADER <= code <= FOOTER and code != RA_DESCRIPTOR:
        raise DecodeError(f"unknown message section 0x{code:x}")
    return code


def section_end(data: Buffer, pos: int, code: int) -> int:
    """Offset behind a list or map at ``pos``, at least one more than the octets present when its size is not known."""
    size = len(data)
    if pos >= size:
        return pos + 1
    form = data[pos]
    if form == 0x45:
        return pos + 1
    if form in (0xC0, 0xC1):
        return pos + 2 if pos + 2 > size else pos + 2 + data[pos + 1]
    if form in (0xD0, 0xD1):
        return pos + 5 if pos + 5 > size else int(pos + 5 + _U32.unpack_from(data, pos + 1)[0])
    if form == 0x40:
        return pos + 1
    if code == RA_DESCRIPTOR:
        raise AnnotationsError("router annotations are not a list")
    raise DecodeError("message section is neither list nor map")


def _exact(data: Buffer, pos: int) -> Any:
    try:
        return decode(data, pos)[0]
    except Incomplete as error:
        raise DecodeError(f"message section malformed: {error}") from None


def read_annotations(data: Buffer, pos: int, end: int) -> RouterAnnotations:
    """The router annotations whose list is at ``pos`` to ``end``; raises `AnnotationsError`."""
    octets = bytes(data[pos:end])
    return _known_annotations(octets) if len(octets) <= _KNOWN else _annotations(octets)


#: Octets up to which annotations are remembered: streams of one neighbour have the same, and a peer that makes up
#: others fills a cache of fixed size.
_KNOWN: Final = 256


def _annotations(octets: bytes) -> RouterAnnotations:
    try:
        value = decode(octets)[0]
    except (DecodeError, Incomplete) as error:
        raise AnnotationsError(f"router annotations malformed: {error}") from None
    return RouterAnnotations.from_value(value)


_known_annotations = lru_cache(maxsize=1024)(_annotations)


def _priority(octets: bytes) -> int | None:
    return Header.from_value(_exact(octets, 0)).priority


_known_priority = lru_cache(maxsize=256)(_priority)


def _map(raw: bytes) -> dict[Any, Any]:
    items = plain_items(raw, 0, len(raw), MAPS)
    if items and len(items) % 2 == 0:
        return dict(zip(items[::2], items[1::2], strict=True))
    return checked_map(_exact(raw, 0))


def checked_map(value: Any) -> dict[Any, Any]:
    """A section's map, empty for null; raises `DecodeError` for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DecodeError("message section is not a map")
    return value


def replace_annotations(first: Buffer, ra_length: int, annotations: RouterAnnotations) -> bytes:
    """Octets to forward for a first chunk that holds the old router-annotations section completely.

    ``ra_length`` is the size of that section (`Head.ra_length`, 0 when there was none).
    """
    return b"".join((annotations.encode(), memoryview(first)[ra_length:]))


def skip_octets(chunks: Sequence[Buffer], count: int) -> list[memoryview]:
    """The chunks without their first ``count`` octets, uncopied: what follows a section or the whole head."""
    rest = []
    for chunk in chunks:
        size = len(chunk)
        if count < size:
            rest.append(memoryview(chunk)[count:] if count else memoryview(chunk))
            count = 0
        else:
            count -= size
    return rest


# ------------------------------------------------------------------------------------------ bodies of TCP streams


class BodyReader:
    """Strips the framing of data sections from a stream of octets that may be cut anywhere."""

    __slots__ = ("_footer", "_left", "_partial")

    def __init__(self) -> None:
        self._left = 0
        self._partial = b""
        self._footer = False

    @property
    def between_sections(self) -> bool:
        """True when a message may end here."""
        return not self._left and not self._partial

    def feed(self, chunk: Buffer) -> list[memoryview]:
        """Payload pieces of ``chunk``, in order, none empty; a footer and all after it are dropped.

        Raises `DecodeError` for any section that is neither data nor footer.
        """
        view = memoryview(chunk)
        pieces: list[memoryview] = []
        pos, size = 0, len(view)
        while pos < size and not self._footer:
            left = self._left
            if left:
                stop = min(pos + left, size)
                pieces.append(view[pos:stop])
                self._left = left - (stop - pos)
                pos = stop
            elif (
                not self._partial
                and size - pos >= 5
                and view[pos] == 0
                and view[pos + 1] == 0x53
                and view[pos + 2] == 0x75
                and (size - pos >= 8 or view[pos + 3] == 0xA0)
            ):
                pos = self._open(view, pos + 3)
            else:
                self._partial += bytes(view[pos : pos + 1])
                pos += 1
                self._partial_header()
        if pos < size:
            self._after(view[pos:])
        return pieces

    def _after(self, _rest: memoryview) -> None:
        """Octets behind the descriptor of a footer: nothing that TCP services need."""

    def _open(self, view: Buffer, pos: int) -> int:
        form = view[pos]
        if form == 0xA0:
            self._left = view[pos + 1]
            return pos + 2
        if form != 0xB0:
            raise DecodeError("data section is not binary")
        self._left = _U32.unpack_from(view, pos + 1)[0]
        return pos + 5

    def _partial_header(self) -> None:
        partial = self._partial
        opened = read_descriptor(partial, 0)
        if opened is None:
            return
        code, value_at = opened
        if code == FOOTER:
            self._footer = True
            self._partial = b""
            return
        if code != DATA:
            raise DecodeError(f"body section 0x{code:x} in a stream of data sections")
        if value_at == len(partial):
            return
        if value_at + {0xA0: 2, 0xB0: 5}.get(partial[value_at], 0) <= len(partial):
            self._open(partial, value_at)
            self._partial = b""
