"""One side of an HTTP/1 connection, octets in and events out and the other way round: h11 with a short way past it.

Why: h11 takes several times as long as all the rest of a request. What is plain (see `http1_parse`) is done here: one
request and one response of HTTP/1.1 with a length or in chunks, on a connection that stays open. As soon as anything
else happens in an exchange, be it an octet that does not fit, an h11 connection is brought to the same state, and from
there to the end of the exchange it is h11 that reads, writes and judges.

What always holds: nothing is accepted or written that h11 would not have; whatever is wrong is found by h11; a
connection between two exchanges holds no h11 connection. No I/O here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import h11

from skupper_podman.routerd.adaptors.http1_parse import (
    CHUNKED,
    UNTIL_CLOSE,
    RequestHead,
    ResponseHead,
    plain_request,
    plain_response,
)
from skupper_podman.routerd.adaptors.http1_write import Written
from skupper_podman.routerd.adaptors.http_bodies import Trailers, chunk, last_chunk
from skupper_podman.routerd.adaptors.http_heads import Known

#: Octets of a request or status line and headers together; the AMQP head that they make is about as large.
MAX_HEAD: int = 32768

_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_LONGEST_SIZE_LINE: Final = 10


class End:
    """The end of a message, with its trailers."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: Trailers) -> None:
        self.trailers = trailers


class Closed:
    """The peer sends nothing any more, and what it has sent is complete."""

    __slots__ = ()


_END: Final = End(())
_CLOSED: Final = Closed()

Event = RequestHead | ResponseHead | bytes | bytearray | End | Closed

# States of each direction in an exchange.
_IDLE, _BODY, _DONE, _OVER, _WRONG = range(5)

_requests: Final = Known(plain_request)
_responses: Final = Known(plain_response)


class Wire:
    """A connection; `role` is `h11.SERVER` for one from a client, or `h11.CLIENT`."""

    __slots__ = ("_at", "_between", "_buffer", "_eof", "_h11", "_in", "_left", "_method", "_out", "_room", "_server")

    def __init__(self, role: type[h11.SERVER] | type[h11.CLIENT]) -> None:
        self._server = role is h11.SERVER
        self._h11: h11.Connection | None = None
        #: What has come, and where in it the next event begins.
        self._buffer = b""
        self._at = 0
        self._eof = False
        self._in = self._out = _IDLE
        #: Octets of the incoming body, or in chunks of the chunk, that are still to come; and whether there are chunks,
        #: at their end one of which is to be looked for.
        self._left = 0
        self._between: int | None = None
        #: Octets of the outgoing body, or `CHUNKED`.
        self._room = 0
        self._method = b""

    # -- reading ---------------------------------------------------------------------------------------

    @property
    def unread(self) -> int:
        """Octets that have come and are not part of any event yet."""
        return len(self._buffer) - self._at if self._h11 is None else len(self._h11.trailing_data[0])

    def receive(self, data: bytes) -> None:
        """Octets have come; none at all tell that there will be no more."""
        if self._h11 is not None:
            self._h11.receive_data(data)
        elif not data:
            self._eof = True
        elif self._at == len(self._buffer):
            self._buffer, self._at = data, 0
        else:
            self._buffer, self._at = self._buffer[self._at :] + data, 0

    def next_event(self) -> Event | None:
        """What comes next; None when that takes more octets or another exchange. Raises `h11.RemoteProtocolError`."""
        if self._h11 is not None:
            return _translated(self._h11.next_event())
        if self._in == _BODY:
            return self._next_of_body()
        if self._at < len(self._buffer):
            return self._next_head() if self._in == _IDLE else None
        if not self._eof:
            return None
        if self._in == _IDLE != self._out:
            return self._judged()  # a response is missing
        self._in = _OVER
        return _CLOSED

    def _next_head(self) -> Event | None:
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\r\n\r\n", at) + 4
        if not 4 <= end <= at + MAX_HEAD or (not self._server and self._out == _IDLE):
            return self._judged()
        octets = buffer[at:end] if at or end < len(buffer) else buffer
        head: RequestHead | ResponseHead | None
        if self._server:
            head = _requests.of(lambda: len(octets), octets)
            if head is None:
                return self._judged()
            self._method, length = head.method, head.length
        else:
            head = _responses.of(lambda: len(octets), octets)
            if head is None:
                return self._judged()
            bodiless = self._method == b"HEAD" or head.status in (204, 304)
            length = 0 if bodiless else head.length
            if length == UNTIL_CLOSE:
                return self._judged()
        self._at = end
        self._in = _BODY
        if length == CHUNKED:
            self._left, self._between = 0, 0
        else:
            self._left, self._between = length, None
        return head

    def _next_of_body(self) -> Event | None:
        left = self._left
        if not left:
            if self._between is not None:
                return self._next_chunk()
            self._in = _DONE
            return _END
        buffer, at = self._buffer, self._at
        end = at + left
        size = len(buffer)
        if at == size:
            return self._judged() if self._eof else None
        if end > size:
            end = size
        self._at = end
        self._left = left - (end - at)
        if self._between is not None and end - at == left:
            self._between = 2
        return buffer[at:end]

    def _next_chunk(self) -> Event | None:
        buffer, at = self._buffer, self._at
        if self._between:
            if len(buffer) - at < 2 and not self._eof:
                return None
            if buffer[at : at + 2] != b"\r\n":
                return self._judged()
            self._between = 0
            self._at = at = at + 2
        match = _CHUNK.match(buffer, at)
        if match is None:
            few = len(buffer) - at < _LONGEST_SIZE_LINE and buffer.find(b"\n", at) < 0
            return None if few and not self._eof else self._judged()
        size = int(match[1], 16)
        if size:
            self._at = match.end()
            self._left = size
            return self._next_of_body()
        end = match.end()
        if buffer[end : end + 2] == b"\r\n":
            self._at = end + 2
            self._in = _DONE
            return _END
        few = buffer[end:] in (b"", b"\r")
        return None if few and not self._eof else self._judged()

    # -- writing ---------------------------------------------------------------------------------------

    @property
    def may_respond(self) -> bool:
        """Whether no response has begun."""
        if self._h11 is not None:
            return self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE)
        return self._out == _IDLE and (self._in != _OVER or bool(self._method))

    def begin(self, written: Written | None, event: Callable[[], Any]) -> bytes:
        """Octets of a head: of `written`, or made by h11 of its `event` where that is unusual. Raises ValueError."""
        fits = bool(self._method) if self._server else self._in == _IDLE and self._at == len(self._buffer)
        if written is None or self._h11 is not None or self._out != _IDLE or not fits:
            return self.send(event())
        self._out = _BODY
        if not self._server:
            self._method = written.method
        self._room = 0 if self._server and self._method == b"HEAD" else written.length
        return written.octets

    def data(self, payload: bytes | bytearray | memoryview) -> bytes:
        """Octets of a piece of a body. Raises ValueError when it is longer than was said."""
        if self._h11 is not None or self._out != _BODY:
            return self.send(h11.Data(data=bytes(payload)))
        if self._room == CHUNKED:
            return chunk(payload)
        self._room -= len(payload)
        if self._room < 0:
            self._out = _WRONG
            raise ValueError("Too much data for declared Content-Length")
        return bytes(payload)

    def end(self, trailers: Trailers = ()) -> bytes:
        """Octets that end a message. Raises ValueError when something is missing."""
        if self._h11 is not None or self._out != _BODY or trailers:
            return self.send(h11.EndOfMessage(headers=list(trailers)))
        if self._room > 0:
            self._out = _WRONG
            raise ValueError("Too little data for declared Content-Length")
        self._out = _DONE
        return last_chunk(()) if self._room == CHUNKED else b""

    def send(self, event: Any) -> bytes:
        """Octets of any event of h11. Raises ValueError when it does not fit what was sent before."""
        try:
            return self._judge().send(event) or b""
        except h11.LocalProtocolError as error:
            raise ValueError(str(error)) from None

    # -- one exchange after the other --------------------------------------------------------------------

    @property
    def reusable(self) -> bool:
        """Whether request and response are complete, and nobody wants the connection to end."""
        if self._h11 is not None:
            return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
        return self._in == _DONE and self._out == _DONE

    def next_exchange(self) -> None:
        """Begin anew on a connection that is reusable."""
        http, self._h11 = self._h11, None
        if http is not None:
            http.start_next_cycle()
            self._buffer, self._eof = http.trailing_data
            self._at = 0
        self._in = self._out = _IDLE
        self._method = b""

    # -- the long way ------------------------------------------------------------------------------------

    def _judged(self) -> Event | None:
        return _translated(self._judge().next_event())

    def _judge(self) -> h11.Connection:
        """The h11 connection from here on, in the state that this one has been in."""
        http = self._h11
        if http is None:
            role = h11.SERVER if self._server else h11.CLIENT
            http = self._h11 = h11.Connection(role, max_incomplete_event_size=MAX_HEAD)
            if self._server:
                self._retell_incoming(http, b"%s / HTTP/1.1\r\nHost: x\r\n" % self._method)
                self._retell_outgoing(http)
            else:
                self._retell_outgoing(http)
                self._retell_incoming(http, b"HTTP/1.1 200 OK\r\n")
            if self._at < len(self._buffer):
                http.receive_data(self._buffer[self._at :])
            if self._eof:
                http.receive_data(b"")
                if self._in == _OVER:
                    http.next_event()
            self._buffer, self._at = b"", 0
        return http

    def _retell_incoming(self, http: h11.Connection, line: bytes) -> None:
        """Have it receive a message that is where the one is that comes in."""
        if self._in in (_BODY, _DONE) or (self._in == _OVER and self._method):
            chunked = self._between is not None and self._in == _BODY
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % self._left
            http.receive_data(line + framing + b"\r\n\r\n")
            http.next_event()
            if self._in != _BODY:
                http.next_event()
            elif chunked and self._left:
                http.receive_data(b"%x\r\n" % self._left)
            elif chunked and self._between:
                http.receive_data(b"1\r\nx")
                http.next_event()

    def _retell_outgoing(self, http: h11.Connection) -> None:
        """Have it send a message that is where the one is that goes out."""
        if self._out != _IDLE:
            room = self._room
            chunked = room == CHUNKED and self._out == _BODY
            headers = [("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(max(0, room)))]
            if self._server:
                http.send(h11.Response(status_code=200, headers=headers))
            else:
                http.send(h11.Request(method=self._method, target=b"/", headers=[("Host", "x"), *headers]))
            if self._out == _DONE:
                http.send(h11.EndOfMessage())
            elif self._out == _WRONG:
                http.send_failed()


def _translated(event: Any) -> Event | None:
    """An event of h11 as one of ours."""
    if isinstance(event, h11.Data):
        return event.data
    if isinstance(event, h11.EndOfMessage):
        return End(event.headers.raw_items())
    if isinstance(event, h11.Request):
        return RequestHead(event.method, event.target, event.http_version, tuple(event.headers.raw_items()), 0)
    if isinstance(event, (h11.Response, h11.InformationalResponse)):
        fields = tuple(event.headers.raw_items())
        return ResponseHead(event.status_code, event.reason, event.http_version, fields, 0)
    return _CLOSED if isinstance(event, h11.ConnectionClosed) else None
