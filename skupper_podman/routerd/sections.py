"""Values of the message sections a router reads and writes, each with its octets.

Why: these are shared by the incremental head parser and by complete messages (`message` gives both to others).

What always holds: objects are immutable; ``decode`` of what ``encode`` wrote gives an equal object. Formats:
AMQP 1.0 part 3 (messaging) section 3.2, and for the router-annotations section the notes of skupper-router
(docs/notes/router-annotations.adoc).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, Final, TypeAlias

from skupper_podman.routerd.codec import (
    Buffer,
    DecodeError,
    Incomplete,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    decode,
    encode,
)

HEADER: Final = 0x70
DELIVERY_ANNOTATIONS: Final = 0x71
MESSAGE_ANNOTATIONS: Final = 0x72
PROPERTIES: Final = 0x73
APPLICATION_PROPERTIES: Final = 0x74
DATA: Final = 0x75
SEQUENCE: Final = 0x76
VALUE: Final = 0x77
FOOTER: Final = 0x78

RA_DESCRIPTOR: Final = 0x534B50522D2D5241
"""Descriptor of the router-annotations section: the octets ``SKPR--RA`` as a ulong."""
RA_PREFIX: Final = b"\x00\x80SKPR--RA"
"""How every router-annotations section begins; the short descriptor form cannot hold its code."""

STREAMING: Final = 1
"""Annotation flag: forward before the message is complete, on a streaming link."""
RESEND_RELEASED: Final = 2
"""Annotation flag: a released delivery may be tried at another destination."""
Q2_DISABLED: Final = 4
"""Annotation flag: the ends run their own window; hops do not hold the stream back."""

MESH_LENGTH: Final = 15
"""Octets of a mesh id."""

MessageId: TypeAlias = ULong | uuid.UUID | bytes | str | int

_LIST32 = struct.Struct(">BII")
_COUNT32, _NUMBER64 = struct.Struct(">I"), struct.Struct(">Q")
LISTS: Final = (0xC0, 0xD0)
MAPS: Final = (0xC1, 0xD1)


class AnnotationsError(DecodeError):
    """A router-annotations section of the wrong form; the delivery is rejected with ``amqp:invalid-field``."""


#: Longer texts and traces are encoded anew each time: a peer could fill the caches with very long ones.
_CACHED_TEXT: Final = 256
_CACHED_TRACE: Final = 32


@lru_cache(maxsize=4096)
def _short_text(value: str | None) -> bytes:
    return encode(value)


def _text(value: str | None) -> bytes:
    return _short_text(value) if value is None or len(value) <= _CACHED_TEXT else encode(value)


def _trace(nodes: tuple[str, ...]) -> bytes:
    short = len(nodes) <= _CACHED_TRACE and all(len(node) <= _CACHED_TEXT for node in nodes)
    return _short_trace(nodes) if short else _nodes(nodes)


@lru_cache(maxsize=1024)
def _short_trace(nodes: tuple[str, ...]) -> bytes:
    return _nodes(nodes)


def _nodes(nodes: tuple[str, ...]) -> bytes:
    if not nodes:
        return b"\x45"
    items = b"".join(map(_text, nodes))
    return _LIST32.pack(0xD0, 4 + len(items), len(nodes)) + items


@dataclass(frozen=True, slots=True)
class RouterAnnotations:
    """The router-annotations section: what routers tell each other about a message.

    ``to_override`` replaces ``properties.to``; ``ingress`` is the node (``0/<id>``) where the message entered and
    ``trace`` the nodes it passed, oldest first; ``ingress_mesh`` is the 15-octet id of the edge mesh it came from.
    """

    flags: int = 0
    to_override: str | None = None
    ingress: str | None = None
    trace: tuple[str, ...] = ()
    ingress_mesh: str | None = None
    #: What has been made of these: the octets of the section, and the annotations that leave a router. Nearly all
    #: streams from one neighbour share their annotations, see `heads.read_annotations`.
    _octets: bytes | None = field(default=None, init=False, repr=False, compare=False)
    _after: tuple[str, RouterAnnotations] | None = field(default=None, init=False, repr=False, compare=False)

    def encode(self) -> bytes:
        """Octets of the section with its descriptor; raises `EncodeError` for values out of range."""
        octets = self._octets
        if octets is None:
            octets = self._encoded()
            object.__setattr__(self, "_octets", octets)
        return octets

    def _encoded(self) -> bytes:
        flags = self.flags
        items = (
            (b"\x43" if flags == 0 else b"\x52" + bytes((flags,)) if 0 < flags < 256 else encode(UInt(flags)))
            + _text(self.to_override)
            + _text(self.ingress)
            + _trace(self.trace)
        )
        count = 4
        if self.ingress_mesh is not None:
            items += _text(self.ingress_mesh)
            count = 5
        return RA_PREFIX + _LIST32.pack(0xD0, 4 + len(items), count) + items

    def passed(self, node: str) -> RouterAnnotations:
        """These annotations after ``node``, an interior router, has handled the message."""
        after = self._after
        if after is None or after[0] != node:
            made = RouterAnnotations(
                self.flags, self.to_override, self.ingress or node, (*self.trace, node), self.ingress_mesh
            )
            after = node, made
            object.__setattr__(self, "_after", after)
        return after[1]

    def entered(self, mesh: str) -> RouterAnnotations:
        """These annotations when an edge router of this mesh id sends the message."""
        after = self._after
        if after is None or after[0] != mesh:
            after = mesh, RouterAnnotations(self.flags, self.to_override, None, (), mesh)
            object.__setattr__(self, "_after", after)
        return after[1]

    @property
    def streaming(self) -> bool:
        """True when the message is to be forwarded as a stream."""
        return bool(self.flags & STREAMING)

    @classmethod
    def from_value(cls, value: object) -> RouterAnnotations:
        """From the decoded list of the section; raises `AnnotationsError`. Items beyond the fifth are ignored."""
        if not isinstance(value, list) or len(value) < 4:
            raise AnnotationsError("router annotations are not a list of at least 4 items")
        flags, to_override, ingress, trace = value[:4]
        mesh = value[4] if len(value) > 4 else None
        if not isinstance(flags, UInt):
            raise AnnotationsError("router annotation flags are not a uint")
        if not all(item is None or type(item) is str for item in (to_override, ingress, mesh)):
            raise AnnotationsError("router annotation is not a string")
        if not isinstance(trace, list) or not all(type(node) is str for node in trace):
            raise AnnotationsError("router annotation trace is not a list of strings")
        if mesh is not None and len(mesh) != MESH_LENGTH:
            raise AnnotationsError(f"ingress mesh id does not have {MESH_LENGTH} characters")
        return cls(int(flags), to_override, ingress, tuple(trace), mesh)


@dataclass(frozen=True, slots=True)
class Header:
    """The header section; ``priority`` None stands for the default 4, ``ttl`` is in milliseconds."""

    durable: bool = False
    priority: int | None = None
    ttl: int | None = None
    first_acquirer: bool | None = None
    delivery_count: int | None = None

    def encode(self) -> bytes:
        """Octets of the section with its descriptor."""
        values = [
            self.durable,
            None if self.priority is None else UByte(self.priority),
            None if self.ttl is None else UInt(self.ttl),
            self.first_acquirer,
            None if self.delivery_count is None else UInt(self.delivery_count),
        ]
        return section(HEADER, _trimmed(values))

    @classmethod
    def from_value(cls, value: object) -> Header:
        """From the decoded list of the section; raises `DecodeError`."""
        durable, priority, ttl, first, count = _items(value, 5)
        for flag in (durable, first):
            if flag is not None and not isinstance(flag, bool):
                raise DecodeError("header flag is not a boolean")
        for number in (priority, ttl, count):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
                raise DecodeError("header field is not a number")
        return cls(
            bool(durable), None if priority is None else int(priority), None if ttl is None else int(ttl), first, count
        )


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties section, fields named as in AMQP 1.0 section 3.2.4; times are milliseconds since the epoch."""

    message_id: MessageId | None = None
    user_id: bytes | None = None
    to: str | None = None
    subject: str | None = None
    reply_to: str | None = None
    correlation_id: MessageId | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    absolute_expiry_time: int | None = None
    creation_time: int | None = None
    group_id: str | None = None
    group_sequence: int | None = None
    reply_to_group_id: str | None = None

    def encode(self, width: int = 0) -> bytes:
        """Octets of the section with its descriptor; at least ``width`` items, then up to the last that is set."""
        values: list[Any] = [getattr(self, name) for name in PROPERTY_NAMES]
        for index, wrap in _PROPERTY_WRAPPERS:
            if values[index] is not None:
                values[index] = wrap(values[index])
        return section(PROPERTIES, _trimmed(values, width))

    @classmethod
    def from_value(cls, value: object) -> Properties:
        """From the decoded list of the section; raises `DecodeError`."""
        items = _items(value, len(PROPERTY_NAMES))
        check_property_strings(items)
        return cls(*items)


PROPERTY_NAMES: Final = tuple(field.name for field in fields(Properties))
_PROPERTY_WRAPPERS: Final[tuple[tuple[int, type[Any]], ...]] = (
    (6, Symbol),
    (7, Symbol),
    (8, Timestamp),
    (9, Timestamp),
    (11, UInt),
)


def check_property_strings(items: Sequence[Any]) -> None:
    """Raise `DecodeError` unless to, subject, reply-to and content-type are text or null."""
    for item in (items[2], items[3], items[4], items[6]):
        if item is not None and not isinstance(item, str):
            raise DecodeError("property is not a string")


def section(code: int, value: object) -> bytes:
    """Octets of a section: short descriptor ``code`` and the encoded ``value``."""
    return bytes((0x00, 0x53, code)) + encode(value)


def padded(value: object, count: int) -> list[Any]:
    """A section's list with nulls for the trailing items left out; raises `DecodeError` if it is no list."""
    return _items(value, count)


def map_pairs(data: Buffer) -> list[tuple[Any, Any]]:
    """The pairs of an encoded map in their order, repeated keys included; raises `DecodeError`."""
    form = data[0] if len(data) else 0
    if form == 0x40:
        return []
    if form not in (0xC1, 0xD1):
        raise DecodeError("message section is not a map")
    pos = 3 if form == 0xC1 else 9
    if len(data) < pos:
        raise DecodeError("message section is cut short")
    count = data[2] if form == 0xC1 else int.from_bytes(data[5:9])
    items: list[Any] = []
    try:
        for _ in range(count & ~1):
            item, pos = _item(data, pos)
            items.append(item)
    except Incomplete as error:
        raise DecodeError(f"message section malformed: {error}") from None
    return list(zip(items[::2], items[1::2], strict=True))


def _item(data: Buffer, pos: int) -> tuple[Any, int]:
    """As `decode`, which takes longer for what is nearly always here: short text."""
    if pos + 1 < len(data) and data[pos] in (0xA1, 0xA3):
        end = pos + 2 + data[pos + 1]
        octets = bytes(data[pos + 2 : end])
        if end <= len(data) and octets.isascii():
            text = octets.decode("ascii")
            return (text if data[pos] == 0xA1 else Symbol(text)), end
    return decode(data, pos)


def plain_items(data: Buffer, pos: int, end: int, forms: tuple[int, int]) -> list[Any] | None:
    """The items of a list or map at ``pos`` to ``end`` when they are null, short ASCII text or ulong, else None.

    ``forms`` are the constructors of the kind that is wanted, `LISTS` or `MAPS`.

    As `decode`, which takes several times as long for what streams nearly always have.
    """
    form = data[pos]
    if form == forms[1] and end - pos >= 9:
        count = _COUNT32.unpack_from(data, pos + 5)[0]
        pos += 9
    elif form == forms[0] and end - pos >= 3:
        count = data[pos + 2]
        pos += 3
    else:
        return None
    items: list[Any] = []
    while pos < end:
        code = data[pos]
        if code == 0x40:
            items.append(None)
            pos += 1
            continue
        if code == 0x53 and pos + 2 <= end:
            items.append(ULong(data[pos + 1]))
            pos += 2
            continue
        if code == 0x80 and pos + 9 <= end:
            items.append(ULong(_NUMBER64.unpack_from(data, pos + 1)[0]))
            pos += 9
            continue
        if (code != 0xA1 and code != 0xA3) or pos + 1 >= end:
            return None
        after = pos + 2 + data[pos + 1]
        octets = bytes(data[pos + 2 : after])
        if after > end or not octets.isascii():
            return None
        text = octets.decode("ascii")
        items.append(text if code == 0xA1 else Symbol(text))
        pos = after
    return items if len(items) == count else None


def _items(value: object, count: int) -> list[Any]:
    if not isinstance(value, list):
        raise DecodeError("section is not a list")
    return value[:count] + [None] * (count - len(value))


def _trimmed(values: list[Any], width: int = 0) -> list[Any]:
    count = len(values)
    while count > width and values[count - 1] is None:
        count -= 1
    return values[:count]
