"""One request from the network on its way to an HTTP/1 server, and the response on its way back.

What always holds: the request is settled when the exchange is over: accepted when the response is
complete (where responses are aggregated: when it was settled), released when nothing of the request has
reached a server, modified when something has; what comes before a connection is there waits, at most
`HOLD` octets before its source must pause.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.http1_messages import (
    BodyParser,
    BodyWriter,
    Sendable,
    is_chunked,
    response_head,
    to_server,
)
from skupper_podman.routerd.adaptors.http1_parse import ResponseHead
from skupper_podman.routerd.adaptors.http_bodies import Trailers
from skupper_podman.routerd.adaptors.http_flows import ExchangeRecord
from skupper_podman.routerd.adaptors.http_heads import Envelope, HttpHead, NotHttpError, compose_head, read_head
from skupper_podman.routerd.adaptors.http_streams import IncomingMessage, OutgoingMessage
from skupper_podman.routerd.amqp.wire import ACCEPTED
from skupper_podman.routerd.message import Head
from skupper_podman.routerd.streams import FAILED_SETTLED, RELEASED_SETTLED, Chunk, Outcome, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.adaptors.http1_pool import Http1Pool
    from skupper_podman.routerd.adaptors.http1_server import Http1Server

#: Octets of a request kept for a connection that is not there yet, or for a second attempt.
HOLD: Final = 256 * 1024
#: Methods that may be sent again when it is not known whether the first attempt was served.
_IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))


class ServerExchange:
    """A request, from its first octet to the end of its response."""

    def __init__(self, pool: Http1Pool) -> None:
        self._pool = pool
        self.message = IncomingMessage(self)
        self.answered_yet = False
        self.record: ExchangeRecord | None = None
        self._server: Http1Server | None = None
        self._request: Sendable | None = None
        self._head: Head | None = None
        self._asked: HttpHead | None = None
        self._parser = BodyParser(chunked=False)
        #: Pieces of the body; and what ended it.
        self._held: deque[bytes] = deque()
        self._trailers: Trailers = ()
        self._held_size = 0
        self._replayable = True
        self._request_ended = False
        self._response: OutgoingMessage | None = None
        self._answer: HttpHead | None = None
        self._writer = BodyWriter(chunked=False)
        self._out = bytearray()
        self._response_complete = False
        self._over = False

    # -- request: network to server ------------------------------------------------------------------

    def message_begun(self, _message: IncomingMessage, start: Start) -> None:
        """Understand the head and ask for a connection."""
        connector = self._pool.connector
        head = start.head
        asked = read_head(head)
        if any(name == ":method" for name, _ in asked.start):
            raise NotHttpError("an HTTP/2 request came to an HTTP/1 connector")
        if head.reply_to is None and not connector.event_channel:
            raise NotHttpError("request has no reply-to")
        self._request = to_server(asked, connector.where, connector.host_override)
        self._head, self._asked = head, asked
        self._parser = BodyParser(chunked=is_chunked(asked))
        self._pool.serve(self)

    def message_octets(self, _message: IncomingMessage, octets: Chunk) -> None:
        """Send a piece of the body, or keep it."""
        for piece in self._parser.feed(octets):
            self._send(bytes(piece))

    def message_ended(self, _message: IncomingMessage) -> None:
        """Send the end."""
        self._trailers = self._parser.end()
        self._request_ended = True
        if self._server is not None and not self._over:
            self._count_out(self._server.send_end(self._trailers))

    def message_broken(self, _message: IncomingMessage) -> None:
        """The client is gone, or never made sense."""
        self._close(None)

    def message_congested(self) -> bool:
        """Whether the server does not take the request, or is not there to take it."""
        server = self._server
        return server.socket.full if server is not None else self._held_size > HOLD

    def _send(self, piece: bytes) -> None:
        if self._over:
            return
        if self._replayable:
            self._held.append(piece)
            self._held_size += len(piece)
            if self._held_size > HOLD and self._server is not None:
                self._forget_held()
        if self._server is not None:
            self._count_out(self._server.send_data(piece))

    def _count_out(self, octets: int) -> None:
        if self.record is not None:
            self.record.octets_out += octets

    def _forget_held(self) -> None:
        self._replayable = False
        self._held.clear()
        self._held_size = 0

    def connected(self, server: Http1Server) -> None:
        """A connection is there: send what is there of the request."""
        request = self._request
        if request is None:
            return
        self._server = server
        self._start_record(server)
        try:
            self._count_out(server.send_head(request))
            for piece in self._held:
                self._count_out(server.send_data(piece))
            if self._request_ended:
                self._count_out(server.send_end(self._trailers))
        except ValueError as error:
            # The request does not hold together: its length is wrong, or it is no HTTP after all.
            self._pool.connector.log_problem(str(error))
            self._close(FAILED_SETTLED)
            return
        if self._held_size > HOLD:
            self._forget_held()
            self.message.resume()

    def _start_record(self, server: Http1Server) -> None:
        asked, head = self._asked, self._head
        if self.record is not None or asked is None or head is None:
            return
        attributes = {Attribute.COUNTER_FLOW: asked.flow_id} if asked.flow_id else {}
        self.record = ExchangeRecord(self._pool.connector.router, server.record, attributes)
        self.record.method = asked.subject
        self.record.site = head.group_id or ""

    def resume_request(self) -> None:
        """The server reads again."""
        self.message.resume()

    # -- response: server to network -----------------------------------------------------------------

    def informed(self, response: ResponseHead) -> None:
        """Pass on `100 Continue` and the like as a message of its own."""
        self._forget_held()
        if self._head is None or self._head.reply_to is None or self._asked is None:
            return
        interim = OutgoingMessage(self._pool.connector.router, lambda: None, lambda _outcome: None)
        octets, head = compose_head(response_head(response, self._path()), self._envelope(), symbols=True)
        interim.send(octets, head, b"", complete=True)

    def answered(self, response: ResponseHead) -> None:
        """The response has begun."""
        asked = self._asked
        if asked is None:
            return
        self._forget_held()
        self.answered_yet = True
        modern = dict(asked.start).get(":version", "1.1") != "1.0"
        answer = response_head(response, self._path(), chunks_understood=modern)
        bodiless = asked.subject == "HEAD" or response.status in (204, 304)
        self._writer = BodyWriter(chunked=not bodiless and is_chunked(answer))
        self._answer = answer
        if self.record is not None:
            self.record.answered(answer.subject, response.reason.decode("latin-1"))

    def response_data(self, payload: bytes | bytearray) -> None:
        """Take a piece of the body."""
        self._out += self._writer.data(payload)

    def count(self, octets: int) -> None:
        """So many octets were those of the response."""
        if self.record is not None:
            self.record.octets_in += octets

    def response_ended(self, trailers: Trailers) -> None:
        """The response is complete, and with it the exchange."""
        self._out += self._writer.end(trailers)
        self._response_complete = True
        self._server = None
        self.send_response()
        response = self._response
        if self._over:
            return
        if response is None or not response.undecided or not self._pool.connector.aggregated:
            self._served()

    def _served(self) -> None:
        self.message.accept()
        self._done()

    def send_response(self) -> None:
        """Pass on what has come since the last call."""
        answer, head = self._answer, self._head
        if answer is None or head is None or self._over:
            return
        sections, self._out = bytes(self._out), bytearray()
        if head.reply_to is None:
            return
        response = self._response
        if response is None:
            response = self._response = OutgoingMessage(self._pool.connector.router, self._resumed, self._decided)
            octets, parsed = compose_head(answer, self._envelope(), symbols=True)
            response.send(octets, parsed, sections, complete=self._response_complete)
            return
        response.write(sections)
        if self._response_complete:
            response.finish()

    def response_congested(self) -> bool:
        """Whether the network does not take the response."""
        return self._response is not None and self._response.congested()

    def _resumed(self) -> None:
        if self._server is not None:
            self._server.resumed()

    def _decided(self, outcome: Outcome) -> None:
        if self._over:
            return
        if self._response_complete:
            # The settlement of the request tells who gathers responses that this one is there.
            if self._pool.connector.aggregated:
                self._served()
        elif outcome.state != ACCEPTED:
            # The client is gone: so is the reason to talk to the server.
            self._close(FAILED_SETTLED)

    def _envelope(self) -> Envelope:
        head = self._head
        if head is None or self.record is None:
            raise NotHttpError("no request")
        site = self._pool.connector.site_id
        return Envelope(head.reply_to or "", self.record.identity, correlation_id=head.message_id, site=site)

    def _path(self) -> str:
        return dict(self._asked.start).get(":path", "") if self._asked is not None else ""

    # -- ends ----------------------------------------------------------------------------------------

    def disconnected(self, *, reused: bool) -> None:
        """The connection has ended before the response: try again where that is safe, else give up."""
        self._server = None
        asked = self._asked
        if self._over or asked is None:
            return
        if reused and self._replayable and asked.subject in _IDEMPOTENT and not self.answered_yet:
            self._pool.serve(self)
        else:
            self._close(FAILED_SETTLED)

    def unreachable(self) -> None:
        """There is no server."""
        self._close(RELEASED_SETTLED)

    def _close(self, outcome: Outcome | None) -> None:
        """End before the response is complete; without an outcome nobody waits for one."""
        if self._over:
            return
        self._over = True
        server, self._server = self._server, None
        if self._response is not None:
            self._response.abort()
        if outcome is not None:
            self.message.settle(outcome)
        if server is not None:
            server.exchange = None
            server.abort()
        self._done()

    def _done(self) -> None:
        self._over = True
        self._held.clear()
        if self.record is not None:
            self.record.over(self._pool.connector.address, self._pool.connector.host, incoming=False)
        self._pool.exchange_over(self)
