"""HTTP/1 as h11's events, and the same as AMQP messages: pure translation, no I/O.

The body of a message is octet for octet what stood on the wire, chunked coding included, for that is
what skupper-router 2.7 sends and expects; between this module and h11 it has no coding. What always
holds: headers of one connection (`Connection`, what it names, `Upgrade`) stop here; a request with two
lengths is passed on with one; a body whose end is missing is never passed on as complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import h11

from skupper_podman.routerd.adaptors.http_bodies import (
    BodyError,
    ChunkDecoder,
    FooterReader,
    Pairs,
    chunk,
    data_section,
    last_chunk,
)
from skupper_podman.routerd.adaptors.http_heads import HttpHead, Known, NotHttpError, named_in_connection, text

#: Octets of a request or status line and headers together; the AMQP head that they make is about as large.
MAX_HEAD: int = 32768

Raw = tuple[tuple[bytes, bytes], ...]


def request_head(event: h11.Request) -> HttpHead:
    """A client's request."""
    raw = tuple(event.headers.raw_items())
    return _requests.of(lambda: _size(event.target, raw), event.method, event.target, event.http_version, raw)


def _request_head(method: bytes, target: bytes, version: bytes, raw: Raw) -> HttpHead:
    return HttpHead(text(method), [(":version", text(version)), (":path", text(target))], _headers(raw))


_requests: Final = Known(_request_head)


def response_head(
    event: h11.Response | h11.InformationalResponse, path: str, *, chunks_understood: bool = True
) -> HttpHead:
    """A server's response to the request for `path`; without chunked coding for clients that do not understand it."""
    raw = tuple(event.headers.raw_items())
    line = event.status_code, event.reason, event.http_version
    return _responses.of(lambda: _size(event.reason, raw) + len(path), *line, raw, path, chunks_understood)


def _response_head(
    status: int, reason: bytes, version: bytes, raw: Raw, path: str, chunks_understood: bool
) -> HttpHead:
    reasons = [(":reason", text(reason))] if reason else []
    start = [(":version", text(version)), *reasons, (":path", path)]
    headers = _headers(raw)
    if not chunks_understood:
        headers = [pair for pair in headers if pair[0].lower() != "transfer-encoding"]
    return HttpHead(str(status), start, headers)


_responses: Final = Known(_response_head)


def _size(first: bytes, raw: Raw) -> int:
    return len(first) + sum(len(name) + len(value) for name, value in raw)


def _headers(raw: Raw) -> Pairs:
    pairs = [(text(name), text(value)) for name, value in raw]
    dropped = named_in_connection(pairs)
    if any(name.lower() == "transfer-encoding" for name, _ in pairs):
        dropped |= {"content-length"}
    return [pair for pair in pairs if pair[0].lower() not in dropped]


def request_event(head: HttpHead, authority: str, host_override: str | None) -> h11.Request:
    """A message as a request to a server; raises `NotHttpError`. `authority` is for clients that named no host."""
    key = "request", authority, host_override
    event: h11.Request | None = head.made.get(key)
    if event is None:
        event = head.made[key] = _request_event(head, authority, host_override)
    return event


def _request_event(head: HttpHead, authority: str, host_override: str | None) -> h11.Request:
    target = dict(head.start).get(":path")
    if not target:
        raise NotHttpError("request has no path")
    headers = _passed_on(head.headers)
    hosts = [value for name, value in headers if name.lower() == "host"]
    if host_override or not hosts:
        headers = [pair for pair in headers if pair[0].lower() != "host"]
        headers.insert(0, ("Host", host_override or authority))
    try:
        return h11.Request(method=head.subject.encode(), target=target.encode(), headers=_octets(headers))
    except h11.LocalProtocolError as error:
        raise NotHttpError(str(error)) from None


def response_event(head: HttpHead) -> h11.Response | h11.InformationalResponse:
    """A message as a response to a client; raises `NotHttpError`."""
    event: h11.Response | h11.InformationalResponse | None = head.made.get("response")
    if event is None:
        event = head.made["response"] = _response_event(head)
    return event


def _response_event(head: HttpHead) -> h11.Response | h11.InformationalResponse:
    if not (head.subject.isascii() and head.subject.isdigit() and len(head.subject) == 3):
        raise NotHttpError("subject is not an HTTP status")
    status = int(head.subject)
    if status == 101:
        raise NotHttpError("protocol switched without being asked")
    kind = h11.InformationalResponse if status < 200 else h11.Response
    reason = dict(head.start).get(":reason", "").encode()
    try:
        return kind(status_code=status, headers=_octets(_passed_on(head.headers)), reason=reason)
    except h11.LocalProtocolError as error:
        raise NotHttpError(str(error)) from None


def _passed_on(headers: Pairs) -> Pairs:
    dropped = named_in_connection(headers)
    return [pair for pair in headers if pair[0].lower() not in dropped]


def _octets(pairs: Pairs) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in pairs]


def is_chunked(head: HttpHead) -> bool:
    """Whether the body of a message has chunked coding."""
    chunked: bool | None = head.made.get("chunked")
    if chunked is None:
        value = head.header("transfer-encoding")
        chunked = head.made["chunked"] = value is not None and value.strip().lower() == "chunked"
    return chunked


class BodyWriter:
    """Payload of h11's events to the octets of a message's body."""

    def __init__(self, *, chunked: bool) -> None:
        self._chunked = chunked

    def data(self, payload: bytes | bytearray) -> bytes:
        """Sections with some payload."""
        octets = chunk(payload) if self._chunked else payload
        return data_section(octets) if len(octets) else b""

    def end(self, trailers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Sections that end the body."""
        return data_section(last_chunk(trailers)) if self._chunked else b""


class BodyParser:
    """Octets of a message's body to payload."""

    def __init__(self, *, chunked: bool) -> None:
        self._sections = FooterReader()
        self._chunks = ChunkDecoder() if chunked else None

    def feed(self, octets: bytes | bytearray | memoryview) -> list[memoryview]:
        """Payload pieces; raises `BodyError` or `DecodeError`."""
        pieces = self._sections.feed(octets)
        if self._chunks is None:
            return pieces
        return [part for piece in pieces for part in self._chunks.feed(piece)]

    def end(self) -> list[tuple[bytes, bytes]]:
        """The trailers of a body that is complete; raises `BodyError` when it is not."""
        if not self._sections.between_sections or (self._chunks is not None and not self._chunks.done):
            raise BodyError("body ends before its end")
        return self._chunks.trailers if self._chunks is not None else []
