"""The heads of HTTP messages as AMQP sections and back: what HTTP/1 and HTTP/2 have in common.

Formats are those of skupper-router 2.7 (reference, section 6). What always holds: headers keep their
order and their repetitions; text that is not UTF-8 survives as Latin-1; a message that is no HTTP
message raises `NotHttpError`, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from skupper_podman.routerd.adaptors.http_bodies import Pairs, encoded_item, map_with
from skupper_podman.routerd.codec import CodecError, Symbol
from skupper_podman.routerd.message import Head, Header, MessageId
from skupper_podman.routerd.sections import APPLICATION_PROPERTIES, PROPERTIES, map_pairs

#: The application property with the sender's flow; the colon belongs to the name.
FLOW_ID: Final = Symbol(":flowid")

_HEADER: Final = Header().encode()
_PROPERTIES: Final = bytes((0, 0x53, PROPERTIES))
_APPLICATION: Final = bytes((0, 0x53, APPLICATION_PROPERTIES))


Made = TypeVar("Made")


class NotHttpError(ValueError):
    """A message that cannot be sent as an HTTP request or response."""


# Not frozen, as `Envelope` is not: both are made for each message, and freezing doubles what that takes.
@dataclass(slots=True)
class HttpHead:
    """Head of a request or response: `start` are the pseudo headers, `subject` is the method or the status."""

    subject: str
    start: Pairs
    headers: Pairs = field(default_factory=list)
    flow_id: str | None = None
    #: What has been made of it, by whoever made it; heads that differ in nothing but their flow share this.
    made: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)

    def header(self, name: str) -> str | None:
        """The first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(slots=True)
class Envelope:
    """What the router says of a message: where it goes and which request and flow it belongs to."""

    to: str
    flow_id: str
    reply_to: str | None = None
    message_id: MessageId | None = None
    correlation_id: MessageId | None = None
    site: str | None = None


class Known(Generic[Made]):
    """What `make` gives for small arguments that come again and again, as heads of HTTP do; a few of them."""

    MOST: Final = 128
    #: Octets of arguments that are kept.
    SMALL: Final = 2048

    def __init__(self, make: Callable[..., Made]) -> None:
        self._make = make
        self._made: dict[Any, Made] = {}

    def of(self, size: Callable[[], int], *arguments: Any) -> Made:
        """The result for these arguments, whose octets `size` counts when they are new."""
        found = self._made.get(arguments)
        if found is None:
            found = self._make(*arguments)
            if size() <= self.SMALL:
                if len(self._made) >= self.MOST:
                    self._made.clear()
                self._made[arguments] = found
        return found


def text(octets: bytes | bytearray) -> str:
    """Octets of a header as text."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def compose_head(head: HttpHead, envelope: Envelope, *, symbols: bool) -> tuple[bytes, Head]:
    """The sections before the body, and the same parsed; HTTP/1 has header names as `symbols`, HTTP/2 as strings."""
    items = head.made.get(symbols)
    if items is None:
        items = head.made[symbols] = _items(head, symbols=symbols)
    count = 2 + 2 * (len(head.start) + len(head.headers))
    application = map_with(_FLOW_ITEM + encoded_item(envelope.flow_id) + items, count)
    octets = b"".join((_HEADER, _properties(envelope, head.subject), _APPLICATION, application))
    parsed = Head()
    parsed.to = envelope.to
    parsed.subject = head.subject
    parsed.reply_to = envelope.reply_to
    parsed.message_id = envelope.message_id
    parsed.correlation_id = envelope.correlation_id
    parsed.group_id = envelope.site
    parsed.body_offset = len(octets)
    parsed._raw_application_properties = application
    return octets, parsed


_FLOW_ITEM: Final = encoded_item(FLOW_ID)


def _items(head: HttpHead, *, symbols: bool) -> bytes:
    kind = Symbol if symbols else str
    pairs: list[tuple[object, object]] = [*head.start, *((kind(name), value) for name, value in head.headers)]
    return b"".join([encoded_item(item) for pair in pairs for item in pair])


def _properties(envelope: Envelope, subject: str) -> bytes:
    """As `Properties` encodes the few that these messages have."""
    items = [encoded_item(envelope.message_id), _NULL, _again(envelope.to), _again(subject)]
    reply_to, correlation_id, site = envelope.reply_to, envelope.correlation_id, envelope.site
    if site is not None:
        items += (_again(reply_to), encoded_item(correlation_id), _NULL, _NULL, _NULL, _NULL, _again(site))
    elif correlation_id is not None:
        items += (_again(reply_to), encoded_item(correlation_id))
    elif reply_to is not None:
        items.append(_again(reply_to))
    octets = b"".join(items)
    return b"".join(
        (_PROPERTIES, b"\xd0", (4 + len(octets)).to_bytes(4), len(items).to_bytes(4), octets)
    )


_NULL: Final = encoded_item(None)
_short: Final = lru_cache(maxsize=1024, typed=True)(encoded_item)


def _again(value: str | None) -> bytes:
    """The octets of text that other messages have as well."""
    return encoded_item(value) if value is None or len(value) > 255 else _short(value)


def read_head(head: Head) -> HttpHead:
    """The HTTP head of a message."""
    found = _known_head(head)
    if found is not None:
        return found
    try:
        pairs = head.application_pairs
    except CodecError as error:
        raise NotHttpError(str(error)) from None
    return _of_pairs(head, pairs)


def _of_pairs(head: Head, pairs: Sequence[tuple[object, object]]) -> HttpHead:
    start: Pairs = []
    headers: Pairs = []
    flow_id = None
    for key, value in pairs:
        if not isinstance(key, str) or not isinstance(value, str):
            raise NotHttpError("application property is not text")
        if key[:1] != ":":
            headers.append((str(key), str(value)))
        elif key == FLOW_ID:
            flow_id = str(value)
        else:
            start.append((str(key), str(value)))
    if not head.subject or head.lite:
        raise NotHttpError("message has no subject")
    return HttpHead(head.subject, start, headers, flow_id)


_TEXT: Final = b"\xa1\xa3"
"""Codes of short strings and symbols."""


def _known_head(head: Head) -> HttpHead | None:
    """The same for a head that has come before with another flow; None where the long way is to be taken."""
    raw = head._raw_application_properties
    if raw is None or len(raw) < 20 or raw[0] != 0xD1 or raw[9] not in _TEXT or head.lite:
        return None
    if raw[10:19] != _FLOW_ITEM[1:] + b"\xa1":
        return None
    end = 20 + raw[19]
    count, flow_id, rest = int.from_bytes(raw[5:9]), raw[20:end], raw[end:]
    if end > len(raw) or count < 2 or not flow_id.isascii():
        return None
    try:
        found = _heads.of(lambda: len(rest), head.subject, count, rest)
    except (CodecError, NotHttpError):
        return None
    return HttpHead(found.subject, found.start, found.headers, flow_id.decode("ascii"), found.made)


def _without_flow(subject: str | None, count: int, rest: bytes) -> HttpHead:
    head = Head()
    head.subject = subject
    return _of_pairs(head, map_pairs(map_with(rest, count - 2)))


_heads: Final = Known(_without_flow)


def named_in_connection(headers: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Names of headers that concern one connection only: the usual ones, and those that `Connection` lists."""
    listed = {
        token.strip().lower() for name, value in headers if name.lower() == "connection" for token in value.split(",")
    }
    # TE announces that trailers are welcome, and trailers pass through.
    return _HOP_BY_HOP | (listed - _END_TO_END)


_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "proxy-connection", "upgrade"})
_END_TO_END: Final = frozenset({"te", "host", "content-length", "transfer-encoding", "trailer", "expect"})
