"""The heads of HTTP messages as AMQP sections and back: what HTTP/1 and HTTP/2 have in common.

Formats are those of skupper-router 2.7 (reference, section 6). What always holds: headers keep their
order and their repetitions; text that is not UTF-8 survives as Latin-1; a message that is no HTTP
message raises `NotHttpError`, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from skupper_podman.routerd.adaptors.http_bodies import Pairs, map_of
from skupper_podman.routerd.codec import CodecError, Symbol
from skupper_podman.routerd.message import Head, Header, MessageId, Properties
from skupper_podman.routerd.sections import APPLICATION_PROPERTIES

#: The application property with the sender's flow; the colon belongs to the name.
FLOW_ID: Final = Symbol(":flowid")

_HEADER: Final = Header().encode()


class NotHttpError(ValueError):
    """A message that cannot be sent as an HTTP request or response."""


@dataclass(frozen=True, slots=True)
class HttpHead:
    """Head of a request or response: `start` are the pseudo headers, `subject` is the method or the status."""

    subject: str
    start: Pairs
    headers: Pairs = field(default_factory=list)
    flow_id: str | None = None

    def header(self, name: str) -> str | None:
        """The first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the router says of a message: where it goes and which request and flow it belongs to."""

    to: str
    flow_id: str
    reply_to: str | None = None
    message_id: MessageId | None = None
    correlation_id: MessageId | None = None
    site: str | None = None


def text(octets: bytes | bytearray) -> str:
    """Octets of a header as text."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def compose_head(head: HttpHead, envelope: Envelope, *, symbols: bool) -> tuple[bytes, Head]:
    """The sections before the body, and the same parsed; HTTP/1 has header names as `symbols`, HTTP/2 as strings."""
    properties = Properties(
        message_id=envelope.message_id,
        to=envelope.to,
        subject=head.subject,
        reply_to=envelope.reply_to,
        correlation_id=envelope.correlation_id,
        group_id=envelope.site,
    )
    kind = Symbol if symbols else str
    pairs: list[tuple[object, object]] = [(FLOW_ID, envelope.flow_id), *head.start]
    pairs += [(kind(name), value) for name, value in head.headers]
    application = map_of(pairs)
    octets = b"".join((_HEADER, properties.encode(), bytes((0, 0x53, APPLICATION_PROPERTIES)), application))
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


def read_head(head: Head) -> HttpHead:
    """The HTTP head of a message."""
    try:
        pairs = head.application_pairs
    except CodecError as error:
        raise NotHttpError(str(error)) from None
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


def named_in_connection(headers: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Names of headers that concern one connection only: the usual ones, and those that `Connection` lists."""
    listed = {
        token.strip().lower() for name, value in headers if name.lower() == "connection" for token in value.split(",")
    }
    # TE announces that trailers are welcome, and trailers pass through.
    return _HOP_BY_HOP | (listed - _END_TO_END)


_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "proxy-connection", "upgrade"})
_END_TO_END: Final = frozenset({"te", "host", "content-length", "transfer-encoding", "trailer", "expect"})
