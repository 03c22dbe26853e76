"""Heads and bodies of HTTP/1, and the same as AMQP messages: pure translation, no I/O.

The body of a message is octet for octet what stood on the wire, chunked coding included, for that is
what skupper-router 2.7 sends and expects; between this module and `http1_wire` it has no coding. What always
holds: headers of one connection (`Connection`, what it names, `Upgrade`) stop here; a request with two
lengths is passed on with one; a body whose end is missing is never passed on as complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import h11

from skupper_podman.routerd.adaptors.http1_parse import Raw, RequestHead, ResponseHead, is_reason
from skupper_podman.routerd.adaptors.http1_write import Written, written_request, written_response
from skupper_podman.routerd.adaptors.http_bodies import (
    BodyError,
    ChunkDecoder,
    FooterReader,
    Pairs,
    Trailers,
    chunk,
    data_section,
    last_chunk,
)
from skupper_podman.routerd.adaptors.http_heads import HttpHead, Known, NotHttpError, text, without_hops


def request_head(head: RequestHead) -> HttpHead:
    """A client's request."""
    made: HttpHead | None = head.made
    if made is None:
        start = [(":version", text(head.version)), (":path", text(head.target))]
        made = head.made = HttpHead(text(head.method), start, _headers(head.fields))
    return made


def response_head(head: ResponseHead, path: str, *, chunks_understood: bool = True) -> HttpHead:
    """A server's response to the request for `path`; without chunked coding for clients that do not understand it."""
    raw = head.fields
    line = head.status, head.reason, head.version
    return _responses.of(lambda: _size(head.reason, raw) + len(path), *line, raw, path, chunks_understood)


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
    pairs = without_hops([(text(name), text(value)) for name, value in raw])
    if any(name.lower() == "transfer-encoding" for name, _ in pairs):
        return [pair for pair in pairs if pair[0].lower() != "content-length"]
    return pairs


class Sendable:
    """A head to be sent: `written` where it is plain, else as an `event` of h11, which is made then to be judged."""

    __slots__ = ("_event", "_make", "status", "written")

    def __init__(self, written: Written | None, make: Callable[[], Any], status: int = 0) -> None:
        self.written = written
        self.status = status
        self._make = make
        self._event: Any = None
        if written is None:
            self.event()

    def event(self) -> Any:
        """The same for h11; where it is not `written` this raises `NotHttpError`, but not again."""
        if self._event is None:
            try:
                self._event = self._make()
            except h11.LocalProtocolError as error:
                raise NotHttpError(str(error)) from None
        return self._event


def to_server(head: HttpHead, authority: str, host_override: str | None) -> Sendable:
    """A message as a request to a server; raises `NotHttpError`. `authority` is for clients that named no host."""
    path = dict(head.start).get(":path")
    if not path:
        raise NotHttpError("request has no path")
    key = "request", head.subject, path, authority, host_override
    found: Sendable | None = head.made.get(key)
    if found is None:
        found = _to_server(head, path, authority, host_override)
        head.keep(key, found)
    return found


def _to_server(head: HttpHead, path: str, authority: str, host_override: str | None) -> Sendable:
    headers = without_hops(head.headers)
    hosts = [value for name, value in headers if name.lower() == "host"]
    if host_override or not hosts:
        headers = [pair for pair in headers if pair[0].lower() != "host"]
        headers.insert(0, ("Host", host_override or authority))
    method, target, fields = head.subject.encode(), path.encode(), _octets(headers)
    written = written_request(method, target, tuple(fields))
    return Sendable(written, lambda: h11.Request(method=method, target=target, headers=fields))


def to_client(head: HttpHead) -> Sendable:
    """A message as a response to a client; raises `NotHttpError`."""
    key = "response", head.subject, dict(head.start).get(":reason", "")
    found: Sendable | None = head.made.get(key)
    if found is None:
        found = _to_client(head, key[2].encode())
        head.keep(key, found)
    return found


def _to_client(head: HttpHead, reason: bytes) -> Sendable:
    if not (head.subject.isascii() and head.subject.isdigit() and len(head.subject) == 3):
        raise NotHttpError("subject is not an HTTP status")
    status = int(head.subject)
    if status == 101:
        raise NotHttpError("protocol switched without being asked")
    if not is_reason(reason):
        raise NotHttpError("reason is not text")
    fields = _octets(without_hops(head.headers))
    kind = h11.InformationalResponse if status < 200 else h11.Response
    written = written_response(status, reason, tuple(fields))
    return Sendable(written, lambda: kind(status_code=status, headers=fields, reason=reason), status)


def _octets(pairs: Pairs) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in pairs]


def is_chunked(head: HttpHead) -> bool:
    """Whether the body of a message has chunked coding."""
    chunked: bool | None = head.made.get("chunked")
    if chunked is None:
        value = head.header("transfer-encoding")
        chunked = value is not None and value.strip().lower() == "chunked"
        head.keep("chunked", chunked)
    return chunked


class BodyWriter:
    """Payload to the octets of a message's body."""

    def __init__(self, *, chunked: bool) -> None:
        self._chunked = chunked

    def data(self, payload: bytes | bytearray) -> bytes:
        """Sections with some payload."""
        octets = chunk(payload) if self._chunked else payload
        return data_section(octets) if len(octets) else b""

    def end(self, trailers: Trailers) -> bytes:
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
