"""The four messages between event sources and collectors, as octets and back.

Why: the router and the site controller are both event sources, so they share one writer; the controller also reads.

What always holds: an encoded message has properties with ``to`` and ``subject``, and a RECORD body has only ``uint``
keys, ``uint`` record types, ``ulong`` numbers and strings, because collectors written in Go depend on all of these
without a check. Reading accepts any octets: it gives a message or None, and raises nothing.

Format: ``src/vanflow.c`` of skupper-router 2.7, ``pkg/flow/encoding.go`` of Skupper 1.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from skupper_podman.model import flow
from skupper_podman.model.flow import KINDS, Attribute, Kind, Record, Value
from skupper_podman.routerd.codec import CodecError, Described, Symbol, UInt, ULong, decode, encode

_PROPERTIES: Final = ULong(0x73)
_APPLICATION_PROPERTIES: Final = ULong(0x74)
_VALUE: Final = ULong(0x77)
_NOTHING: Final = object()
#: Larger messages are not read: 50 records with every text at its bound stay below this.
MAX_MESSAGE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Message:
    """What a collector looks at in a message."""

    to: str
    subject: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None

    def text(self, name: str) -> str:
        """An application property that is a string, else empty."""
        value = self.properties.get(name)
        return str(value) if isinstance(value, str) else ""

    def records(self) -> list[Record]:
        """The records of a RECORD message; elements that are none are left out."""
        if not isinstance(self.body, list):
            return []
        source = self.to.removeprefix("mc/sfe.")
        records = (flow.parse_record(item, source) for item in self.body)
        return [record for record in records if record is not None]


def _compose(
    to: str, subject: str, message_id: int | None, properties: Mapping[Symbol, Any] | None = None, body: Any = _NOTHING
) -> bytes:
    octets = encode(Described(_PROPERTIES, [message_id, None, to, subject]))
    if properties is not None:
        octets += encode(Described(_APPLICATION_PROPERTIES, properties))
    if body is not _NOTHING:
        octets += encode(Described(_VALUE, body))
    return octets


def beacon(source: str, source_type: str, message_id: int | None = None, body: str | None = None) -> bytes:
    """BEACON of an event source. ``body`` is the JSON text that controllers add; routers send null."""
    properties: dict[Symbol, Any] = {
        Symbol("v"): UInt(flow.PROTOCOL_VERSION),
        Symbol("sourceType"): source_type,
        Symbol("id"): source,
        Symbol("address"): flow.records_address(source),
        Symbol("direct"): flow.direct_address(source),
    }
    return _compose(flow.BEACONS, flow.BEACON, message_id, properties, body)


def heartbeat(source: str, now_us: int, message_id: int | None = None) -> bytes:
    """HEARTBEAT of an event source; its ``to`` is the records address, also when sent to ``.heartbeats``."""
    properties: dict[Symbol, Any] = {
        Symbol("v"): UInt(flow.PROTOCOL_VERSION),
        Symbol("now"): ULong(now_us),
        Symbol("id"): source,
    }
    return _compose(flow.records_address(source), flow.HEARTBEAT, message_id, properties, None)


def records(to: str, maps: Iterable[Mapping[Attribute, Value]], message_id: int | None = None) -> bytes:
    """RECORD message with these maps, at most :data:`flow.MAX_BATCH` of them."""
    return _compose(to, flow.RECORD, message_id, None, [_wire_map(values) for values in maps])


def flush(source: str) -> bytes:
    """FLUSH to an event source."""
    return _compose(flow.direct_address(source), flow.FLUSH, None)


def _wire_map(values: Mapping[Attribute, Value]) -> dict[UInt, Any]:
    return {UInt(attribute): _wire_value(attribute, value) for attribute, value in values.items()}


def _wire_value(attribute: Attribute, value: Value) -> Any:
    kind = KINDS[attribute]
    if kind is Kind.RECORD_TYPE:
        return UInt(value)
    if kind in (Kind.NUMBER, Kind.COUNTER):
        return ULong(value)
    return cut(str(value))


def cut(text: str) -> str:
    """The text as routers send it: at most 300 characters, no lone surrogates."""
    return text[: flow.MAX_TEXT].encode("utf-8", "replace").decode("utf-8")


def read(octets: bytes) -> Message | None:
    """Read a message; None when it is malformed, too large, or has no ``subject``.

    A missing ``to`` reads as empty. Unknown sections are skipped.
    """
    if len(octets) > MAX_MESSAGE:
        return None
    sections: dict[int, Any] = {}
    offset = 0
    try:
        while offset < len(octets):
            section, offset = decode(octets, offset)
            if isinstance(section, Described) and isinstance(section.descriptor, int):
                sections.setdefault(int(section.descriptor), section.value)
    except CodecError:
        return None
    properties = sections.get(_PROPERTIES)
    if not isinstance(properties, list) or len(properties) < 4 or not isinstance(properties[3], str):
        return None
    to = properties[2]
    application = sections.get(_APPLICATION_PROPERTIES)
    return Message(
        str(to) if isinstance(to, str) else "",
        str(properties[3]),
        application if isinstance(application, dict) else {},
        sections.get(_VALUE),
    )
