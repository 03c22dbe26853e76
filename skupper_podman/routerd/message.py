"""AMQP messages as a router sees them: complete ones here, streamed ones from `heads`, which this module re-exports.

Why: routing messages must match other routers octet for octet, and management, flow records and adaptors all write
and read small complete messages with the router-annotations section that general libraries drop.

What always holds: `Message.decode` of what `compose` wrote gives the same values; malformed input raises
`CodecError` (of the router-annotations section: `AnnotationsError`), nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from skupper_podman.routerd.codec import Buffer, DecodeError, Incomplete, Symbol, decode
from skupper_podman.routerd.heads import (
    BODY_CODES,
    LITE_CONTENT_TYPE,
    LITE_NULL_BODY,
    MAX_HEAD,
    BodyReader,
    Head,
    HeadParser,
    checked_map,
    read_annotations,
    read_descriptor,
    replace_annotations,
    section_end,
    skip_octets,
)
from skupper_podman.routerd.sections import (
    APPLICATION_PROPERTIES,
    DATA,
    HEADER,
    MESH_LENGTH,
    PROPERTIES,
    Q2_DISABLED,
    RA_DESCRIPTOR,
    RESEND_RELEASED,
    SEQUENCE,
    STREAMING,
    VALUE,
    AnnotationsError,
    Header,
    MessageId,
    Properties,
    RouterAnnotations,
    section,
)

__all__ = [
    "LITE_CONTENT_TYPE",
    "LITE_NULL_BODY",
    "MAX_HEAD",
    "MESH_LENGTH",
    "NO_BODY",
    "Q2_DISABLED",
    "RESEND_RELEASED",
    "STREAMING",
    "AnnotationsError",
    "BodyReader",
    "DataBody",
    "Head",
    "HeadParser",
    "Header",
    "Message",
    "MessageId",
    "Properties",
    "RouterAnnotations",
    "RoutingStyle",
    "SequenceBody",
    "compose",
    "data_section_header",
    "replace_annotations",
    "routing_message",
    "skip_octets",
]


class DataBody(bytes):
    """A body of data sections, their octets joined; compose writes it as one section."""

    __slots__ = ()


class SequenceBody(tuple[Any, ...]):
    """A body of amqp-sequence sections, their items joined; compose writes it as one section."""

    __slots__ = ()


class _NoBody:
    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_BODY"


NO_BODY: Final = _NoBody()
"""A message without body section."""


def data_section_header(length: int) -> bytes:
    """Octets that precede ``length`` octets of payload in a data section; ``length`` below 2**32."""
    return bytes((0, 0x53, DATA, 0xA0, length)) if length < 256 else b"\x00\x53\x75\xb0" + length.to_bytes(4)


def compose(
    annotations: RouterAnnotations | None,
    *,
    header: Header | None = None,
    properties: Properties | None = None,
    application_properties: Mapping[Any, Any] | None = None,
    body: object = NO_BODY,
) -> bytes:
    """Octets of a complete message; sections given as None are left out.

    ``body`` is written as an amqp-value section unless it is a `DataBody` or a `SequenceBody`. Raises `EncodeError`.
    """
    parts = []
    if annotations is not None:
        parts.append(annotations.encode())
    if header is not None:
        parts.append(header.encode())
    if properties is not None:
        parts.append(properties.encode())
    if application_properties is not None:
        parts.append(section(APPLICATION_PROPERTIES, dict(application_properties)))
    parts.append(_body_section(body))
    return b"".join(parts)


def _body_section(body: object) -> bytes:
    if isinstance(body, _NoBody):
        return b""
    if isinstance(body, DataBody):
        return data_section_header(len(body)) + body
    if isinstance(body, SequenceBody):
        return section(SEQUENCE, list(body))
    return section(VALUE, body)


class RoutingStyle(Enum):
    """The two ways routing messages are written: by 2.7's engine (strings) and by its address sync (symbols)."""

    ENGINE = "engine"
    ADDRESSES = "addresses"


def routing_message(
    annotations: RouterAnnotations, to: str, opcode: str, body: Mapping[Any, Any], style: RoutingStyle
) -> bytes:
    """Octets of a routing message; ``body`` carries the codec's wrappers already."""
    engine = style is RoutingStyle.ENGINE
    key: str = "opcode" if engine else Symbol("opcode")
    return b"".join(
        (
            annotations.encode(),
            Header().encode(),
            Properties(to=to).encode(6 if engine else 3),
            section(APPLICATION_PROPERTIES, {key: opcode}),
            section(VALUE, body),
        )
    )


@dataclass(frozen=True, slots=True)
class Message:
    """A complete message. ``body`` is the amqp-value's value, a `DataBody`, a `SequenceBody` or `NO_BODY`."""

    annotations: RouterAnnotations | None = None
    header: Header | None = None
    properties: Properties = field(default_factory=Properties)
    application_properties: Mapping[Any, Any] = field(default_factory=dict)
    body: Any = NO_BODY

    @property
    def to(self) -> str | None:
        """``properties.to``."""
        return self.properties.to

    @property
    def subject(self) -> str | None:
        """``properties.subject``."""
        return self.properties.subject

    @property
    def reply_to(self) -> str | None:
        """``properties.reply-to``."""
        return self.properties.reply_to

    @property
    def message_id(self) -> MessageId | None:
        """``properties.message-id``, with its AMQP type."""
        return self.properties.message_id

    @property
    def correlation_id(self) -> MessageId | None:
        """``properties.correlation-id``, with its AMQP type."""
        return self.properties.correlation_id

    @property
    def content_type(self) -> str | None:
        """``properties.content-type``."""
        return self.properties.content_type

    @property
    def group_id(self) -> str | None:
        """``properties.group-id``."""
        return self.properties.group_id

    @classmethod
    def decode(cls, data: Buffer) -> Message:
        """Read a complete message; raises `AnnotationsError` or `DecodeError`.

        Delivery and message annotations and the footer are checked for form and dropped.
        """
        message = cls()
        pos, last = 0, 0
        bodies: list[tuple[int, Any]] = []
        while pos < len(data):
            start = pos
            opened = read_descriptor(data, pos)
            if opened is None:
                raise DecodeError("message ends inside a section")
            code, value_at = opened
            if code == RA_DESCRIPTOR:
                if start:
                    raise AnnotationsError("router annotations are not the first section")
                end = section_end(data, value_at, code)
                if end > len(data):
                    raise AnnotationsError("message ends inside the router annotations")
                message, pos = replace(message, annotations=read_annotations(data, value_at, end)), end
                continue
            if code < last or (code == last and code not in (DATA, SEQUENCE)):
                raise DecodeError("message sections out of order")
            last = code
            value, pos = _decoded(data, value_at)
            if code in BODY_CODES:
                bodies.append((code, value))
            else:
                message = _with_section(message, code, value)
        return replace(message, body=_joined(bodies))


def _decoded(data: Buffer, pos: int) -> tuple[Any, int]:
    try:
        return decode(data, pos)
    except Incomplete:
        raise DecodeError("message ends inside a section") from None


def _with_section(message: Message, code: int, value: Any) -> Message:
    if code == HEADER:
        return replace(message, header=Header.from_value(value))
    if code == PROPERTIES:
        return replace(message, properties=Properties.from_value(value))
    mapping = checked_map(value)
    return replace(message, application_properties=mapping) if code == APPLICATION_PROPERTIES else message


def _joined(bodies: Iterable[tuple[int, Any]]) -> Any:
    sections = list(bodies)
    if not sections:
        return NO_BODY
    code = sections[0][0]
    values = [value for _, value in sections]
    if any(other != code for other, _ in sections):
        raise DecodeError("body sections of different kinds")
    if code == VALUE:
        return values[0]
    kind = bytes if code == DATA else list
    if not all(isinstance(value, kind) for value in values):
        raise DecodeError("body section of the wrong type")
    return DataBody(b"".join(values)) if code == DATA else SequenceBody(item for value in values for item in value)
