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
from skupper_podman.routerd.codec import CodecError, DecodeError, Symbol
from skupper_podman.routerd.message import Head, Header, MessageId
from skupper_podman.routerd.sections import APPLICATION_PROPERTIES, PROPERTIES, map_pairs

#: The application property with the sender's flow; the colon belongs to the name.
FLOW_ID: Final = Symbol(":flowid")

_HEADER: Final = Header().encode()
_PROPERTIES: Final = bytes((0, 0x53, PROPERTIES))
_APPLICATION: Final = bytes((0, 0x53, APPLICATION_PROPERTIES))


#: Things that are made of heads with the same headers: with one first line, or a few.
_MOST_MADE: Final = 16

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
    #: What has been made of it, by whoever made it; heads with the same headers share this.
    made: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)

    def keep(self, key: object, made: Any) -> None:
        """Remember what has been made of it; of many different things only a few."""
        if len(self.made) >= _MOST_MADE:
            self.made.clear()
        self.made[key] = made

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
        items = _items(head, symbols=symbols)
        head.keep(symbols, items)
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
    octets = [_again(item) for pair in head.start for item in pair]
    for name, value in head.headers:
        octets.append(_symbol(name) if symbols else _again(name))
        octets.append(_again(value))
    return b"".join(octets)


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
#: Characters of text that is remembered.
_SHORT: Final = 64
_short: Final = lru_cache(maxsize=2048, typed=True)(encoded_item)
_short_symbol: Final = lru_cache(maxsize=512)(lambda name: encoded_item(Symbol(name)))


def _again(value: str | None) -> bytes:
    """The octets of text that other messages have as well."""
    return _short(value) if value is not None and len(value) <= _SHORT else encoded_item(value)


def _symbol(name: str) -> bytes:
    """The octets of the name of a header."""
    octets: bytes = _short_symbol(name) if len(name) <= _SHORT else encoded_item(Symbol(name))
    return octets


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
    """The same for headers that have come before, with any flow and path; None where the long way is to be taken."""
    raw = head._raw_application_properties
    if raw is None or len(raw) < 20 or raw[0] != 0xD1 or raw[9] not in _TEXT or head.lite:
        return None
    if raw[10:19] != _FLOW_ITEM[1:] + b"\xa1":
        return None
    end = 20 + raw[19]
    flow_id = raw[20:end]
    if end > len(raw) or not flow_id.isascii() or not head.subject:
        return None
    try:
        start, end = _start_at(raw, end)
        rest, count = raw[end:], int.from_bytes(raw[5:9]) - 2 - 2 * len(start)
        if count < 0:
            return None
        found = _rests.of(lambda: len(rest), count, rest)
    except (IndexError, ValueError):
        return None
    if found.flow_id is not None:
        return None  # there is a second one
    return HttpHead(head.subject, start + found.start, found.headers, flow_id.decode("ascii"), found.made)


def _start_at(raw: bytes, at: int) -> tuple[Pairs, int]:
    """The pseudo headers that stand before all others, and where they end; raises as decoding does."""
    start: Pairs = []
    while raw[at : at + 1] == b"\xa1" and raw[at + 2 : at + 3] == b":":
        middle = at + 2 + raw[at + 1]
        end = middle + 2 + raw[middle + 1]
        key, value = raw[at + 2 : middle].decode(), raw[middle + 2 : end].decode()
        if raw[middle] != 0xA1 or end > len(raw) or key == FLOW_ID:
            raise DecodeError("not a pair of short strings")
        start.append((key, value))
        at = end
    return start, at


def _rest(count: int, octets: bytes) -> HttpHead:
    """What so many encoded keys and values give, but the subject."""
    items = _short_texts(octets)
    if items is not None and len(items) == count and not count % 2:
        start: Pairs = []
        headers: Pairs = []
        for pair in zip(items[::2], items[1::2], strict=True):
            (start if pair[0][:1] == ":" else headers).append(pair)
        return HttpHead("", start, headers)
    head = Head()
    head.subject = "GET"
    return _of_pairs(head, map_pairs(map_with(octets, count)))


_rests: Final = Known(_rest)


def _short_texts(octets: bytes) -> list[str] | None:
    """Encoded short strings and symbols, one after the other; None where anything else is among them."""
    found = []
    at, size = 0, len(octets)
    try:
        while at < size:
            begin = at + 2
            end = begin + octets[at + 1]
            item = octets[begin:end].decode("utf-8" if octets[at] == 0xA1 else "ascii")
            if octets[at] not in _TEXT or end > size or item == FLOW_ID:
                return None
            found.append(item)
            at = end
    except (IndexError, UnicodeDecodeError):
        return None
    return found


def without_hops(headers: Pairs) -> Pairs:
    """The headers that go further than one connection."""
    if _HOP_BY_HOP.isdisjoint([name.lower() for name, _ in headers]):
        return headers
    dropped = named_in_connection(headers)
    return [pair for pair in headers if pair[0].lower() not in dropped]


def named_in_connection(headers: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Names of headers that concern one connection only: the usual ones, and those that `Connection` lists."""
    listed = {
        token.strip().lower() for name, value in headers if name.lower() == "connection" for token in value.split(",")
    }
    # TE announces that trailers are welcome, and trailers pass through.
    return _HOP_BY_HOP | (listed - _END_TO_END)


_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "proxy-connection", "upgrade"})
_END_TO_END: Final = frozenset({"te", "host", "content-length", "transfer-encoding", "trailer", "expect"})
