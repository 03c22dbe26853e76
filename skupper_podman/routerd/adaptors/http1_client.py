"""A client's HTTP/1 connection: each request goes into the network on its own, the responses come back in order.

`http1_wire` reads and writes the wire; this module moves its events into messages and back. What always holds:

* one request is under way at a time, pipelined ones wait in a bounded buffer, so responses cannot change places;
* reading pauses while the network does not take the request, responses pause while the client does not read;
* a request that nobody takes is answered 503, one that is malformed 400 (or 431, 501), then the connection ends;
* a response that breaks off never looks complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import h11

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.http1_connection import Http1Connection
from skupper_podman.routerd.adaptors.http1_exchange import ClientExchange
from skupper_podman.routerd.adaptors.http1_gather import GatheringExchange
from skupper_podman.routerd.adaptors.http1_parse import RequestHead
from skupper_podman.routerd.adaptors.http1_wire import Closed, End, Event
from skupper_podman.routerd.adaptors.http_streams import IncomingMessage
from skupper_podman.routerd.sockets import peer_text
from skupper_podman.routerd.streams import Start

if TYPE_CHECKING:
    from skupper_podman.routerd.adaptors.http_listener import HttpListener

#: Octets of pipelined requests read ahead.
READ_AHEAD: Final = 65536
#: Seconds for a head to be complete, for the next request to begin, and without any progress of a body.
HEAD_LIMIT: Final = 30.0
IDLE_LIMIT: Final = 300.0
BODY_LIMIT: Final = 120.0

_REASONS: Final = {
    400: "Bad Request",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class Http1Client(Http1Connection):
    """One connection, from accept to its end."""

    direction = "in"

    def __init__(self, listener: HttpListener, sock: Any, address: tuple[object, ...]) -> None:
        router = listener.router
        self.listener = listener
        self.peer = peer_text(address)
        self.host = str(address[0])
        self.exchange: ClientExchange | None = None
        self._key, self.reply_to = router.temporary(self)
        self._requests = 0
        self._ahead = 0
        self._head_since = router.loop.now
        self._input_ended = False
        self._closing = False
        source: dict[Attribute, Any] = {Attribute.SOURCE_HOST: self.host, Attribute.SOURCE_PORT: str(address[1])}
        super().__init__(router, sock, h11.SERVER, listener.record, source)
        self.socket.want_read(True)

    # -- the network's side --------------------------------------------------------------------------

    def sink(self, start: Start) -> IncomingMessage:
        """A response has come for one of the requests."""
        exchange = self.exchange
        if exchange is None or start.head.correlation_id != exchange.number:
            return IncomingMessage(NOBODY)
        return exchange.response_message()

    # -- the socket's side ---------------------------------------------------------------------------

    def received(self, data: memoryview) -> None:
        """Octets of requests."""
        if self.exchange is not None and self.exchange.request_ended:
            self._ahead += len(data)
        self.wire.receive(bytes(data))
        self._process()

    def ended(self) -> None:
        """The client sends no more; it still gets the response to what it has sent completely."""
        self._input_ended = True
        self.wire.receive(b"")
        self._process()

    def writable(self) -> None:
        """The client reads again."""
        if self.exchange is not None:
            self.exchange.resume_response()
        self._pace()

    def resumed(self) -> None:
        """The network takes the request again."""
        self._process()

    # -- requests ------------------------------------------------------------------------------------

    def _process(self) -> None:
        while not self.over and not self._congested():
            try:
                event = self.wire.next_event()
            except h11.RemoteProtocolError as error:
                self._malformed(error)
                return
            if event is None:
                break
            if isinstance(event, Closed):
                if self.exchange is None:
                    self.finish()
                break
            self._take(event)
            if isinstance(event, End):
                break  # what follows waits until this one is answered
        if not self.over and self.exchange is not None:
            self.exchange.send()
        self._pace()

    def _take(self, event: Event) -> None:
        exchange = self.exchange
        if isinstance(event, RequestHead):
            self._begin(event)
        elif exchange is not None and isinstance(event, (bytes, bytearray)):
            exchange.data(event)
        elif exchange is not None and isinstance(event, End):
            exchange.record.octets_in = self.count()
            exchange.end(event.trailers)

    def _begin(self, head: RequestHead) -> None:
        self._requests += 1
        if head.method == b"CONNECT":
            self.respond(501)
        elif self.listener.event_channel and head.method != b"POST":
            words = b"Invalid method for event channel httpListener, only POST is allowed."
            self.respond(405, b"" if head.method == b"HEAD" else words)
        else:
            made = GatheringExchange if self.listener.aggregation else ClientExchange
            self.exchange = made(self, head, self._requests)

    def _malformed(self, error: h11.RemoteProtocolError) -> None:
        self.router.log.debug("HTTP_ADAPTOR", f"Listener {self.listener.name}: {self.peer}: {error}")
        if self.exchange is not None and self.exchange.request_broken():
            self.abort()
        else:
            self.respond(error.error_status_hint)

    def _congested(self) -> bool:
        return self.exchange is not None and self.exchange.request_congested()

    def _pace(self) -> None:
        """Read exactly while something can be done with what comes."""
        if self.over:
            return
        ended = self.exchange is not None and self.exchange.request_ended
        room = self._ahead < READ_AHEAD if ended else not self._congested()
        self.socket.want_read(room and not self._input_ended)

    # -- responses -----------------------------------------------------------------------------------

    def respond(self, status: int, body: bytes = b"") -> None:
        """Answer on behalf of the server, and end the connection; just end it when a response has begun."""
        if self.over:
            return
        if not self.wire.may_respond:
            self.abort()
            return
        headers = [("Content-Length", str(len(body))), ("Connection", "close")]
        if body:
            headers.append(("Content-Type", "text/plain"))
        self.send(h11.Response(status_code=status, headers=headers, reason=_REASONS.get(status, "").encode()))
        if body and self.exchange is None:
            self.send(h11.Data(data=body))
        if self.exchange is not None:
            self.exchange.record.answered(str(status), _REASONS.get(status))
        self.finish()

    def response_ended(self) -> None:
        """The response is complete; begin the next request, or end."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.over()
        wire = self.wire
        if self._closing or not wire.reusable:
            self.finish()
            return
        self._ahead = 0
        self._head_since = self.router.loop.now
        wire.next_exchange()
        if self._input_ended or wire.unread:
            self.router.loop.call_soon(self._process)
        else:
            self._pace()

    # -- ends ----------------------------------------------------------------------------------------

    def close_when_idle(self) -> None:
        """Begin no further request."""
        self._closing = True
        if self.exchange is None:
            self.finish()

    def _ended(self) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.record.octets_in = exchange.record.octets_in or self.count()
            exchange.broken()
        self.router.forget_temporary(self._key)
        self.listener.client_ended(self)

    def check_time(self, now: float) -> None:
        """End the connection when its client has been silent for too long."""
        exchange = self.exchange
        quiet = now - self.socket.progress
        if exchange is None:
            begun = self.wire.unread > 0
            if begun and now - self._head_since > HEAD_LIMIT:
                self.respond(408)
            elif not begun:
                self._head_since = now
                if quiet > IDLE_LIMIT:
                    self.finish()
        elif not exchange.request_ended and not self._congested() and not self.socket.waiting and quiet > BODY_LIMIT:
            self.respond(408)
        elif self.socket.waiting and quiet > IDLE_LIMIT:
            self.abort()


class _Nobody:
    """Takes responses that belong to no request of the connection."""

    def message_begun(self, message: IncomingMessage, _start: Start) -> None:
        raise ValueError("response to no request")

    def message_octets(self, message: IncomingMessage, _octets: Any) -> None:
        raise ValueError("response to no request")

    def message_ended(self, message: IncomingMessage) -> None:
        raise ValueError("response to no request")

    def message_broken(self, message: IncomingMessage) -> None:
        """Nobody waits for it."""

    def message_congested(self) -> bool:
        return False


NOBODY: Final = _Nobody()
