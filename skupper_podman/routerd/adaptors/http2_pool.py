"""The connections of one httpConnector to its HTTP/2 server, and the requests as streams on them.

What always holds: a request gets a stream on a connection that has room for it, or waits in its order;
requests that the server says it has not touched are released, so that the client learns that it may try
again; a connection that is going away gets no new ones and serves those it has.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import h2.events
import h2.exceptions

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.flow_records import own_end, trace_of
from skupper_podman.routerd.adaptors.http2_connection import Http2Connection
from skupper_podman.routerd.adaptors.http2_frames import Goaway
from skupper_podman.routerd.adaptors.http2_messages import Octets, head_of, request_headers, trailers_of
from skupper_podman.routerd.adaptors.http2_stream import CANCEL, REFUSED_STREAM, Stream
from skupper_podman.routerd.adaptors.http_flows import ExchangeRecord
from skupper_podman.routerd.adaptors.http_heads import Envelope, NotHttpError, read_head
from skupper_podman.routerd.adaptors.http_streams import IncomingMessage
from skupper_podman.routerd.amqp.wire import ACCEPTED
from skupper_podman.routerd.message import Head
from skupper_podman.routerd.streams import FAILED_SETTLED, RELEASED_SETTLED, Outcome, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.adaptors.http_connector import HttpConnector

MOST: Final = 16


class Http2Pool:
    """Connections and requests of one connector."""

    alpn = "h2"
    protocol = "http2"

    def __init__(self, connector: HttpConnector) -> None:
        self.connector = connector
        self.connections: dict[Http2Server, None] = {}
        self.exchanges: dict[ServerStream, None] = {}
        self._waiting: deque[ServerStream] = deque()

    def sink(self) -> Any:
        """A sink for one request."""
        stream = ServerStream(self)
        self.exchanges[stream] = None
        return stream.message

    def serve(self, stream: ServerStream) -> None:
        """Give the request a connection, now or later."""
        for server in self.connections:
            if server.has_room:
                server.begin(stream)
                return
        self._waiting.append(stream)
        self._connect()

    def connected(self, sock: Any) -> None:
        """A connection has been made."""
        self.connector.router.http.connections[self.protocol] += 1
        self.connections[Http2Server(self, sock)] = None
        self.room()

    def room(self) -> None:
        """Some connection has room again."""
        for server in list(self.connections):
            while self._waiting and server.has_room:
                server.begin(self._waiting.popleft())
        if self._waiting:
            self._connect()

    def gone(self, server: Http2Server) -> None:
        """A connection has ended."""
        self.connections.pop(server, None)
        self.connector.router.http.connections[self.protocol] -= 1
        if not server.started:
            # It took the connection and then did not speak HTTP/2: those who wait shall not wait for ever.
            self.unreachable()
        if self._waiting:
            self._connect()
        if not self.connections:
            self.connector.disconnected(useful=server.useful, opened_at=server.opened_at)

    def exchange_over(self, stream: ServerStream) -> None:
        """A request needs nothing more."""
        self.exchanges.pop(stream, None)
        if stream in self._waiting:
            self._waiting.remove(stream)

    def unreachable(self) -> None:
        """There is no server: nothing that waits will be served."""
        for stream in list(self._waiting):
            stream.refuse(RELEASED_SETTLED)

    def close(self, *, drop: bool) -> None:
        """Keep only connections with requests, or none."""
        for server in list(self.connections):
            if drop:
                server.abort()
            elif not server.load:
                server.finish()
        if drop:
            self.unreachable()

    def check_time(self, now: float) -> None:
        """Close connections beyond the first that have nothing to do."""
        for server in list(self.connections):
            if server.socket.waiting or not server.started:
                server.check_time(now)
            elif not server.load and len(self.connections) > 1:
                server.finish()

    def _connect(self) -> None:
        starting = any(not server.started for server in self.connections)
        if not starting and len(self.connections) < MOST:
            self.connector.connect(1)


class Http2Server(Http2Connection):
    """One connection to the server."""

    direction = "out"

    def __init__(self, pool: Http2Pool, sock: Any) -> None:
        connector = pool.connector
        self.pool = pool
        self.peer = connector.where
        self.useful = False
        self._going_away = False
        self._given: dict[ServerStream, None] = {}
        super().__init__(connector.router, sock, connector.record, own_end(sock), client_side=True)
        self._handlers[h2.events.ResponseReceived] = self._response
        self._handlers[h2.events.RemoteSettingsChanged] = self._ready

    @property
    def load(self) -> int:
        """Streams that are open, or about to be."""
        return len(self._given)

    @property
    def has_room(self) -> bool:
        """Whether another stream can be opened: not before the server has said how many."""
        usable = self.started and not self.over and not self._going_away
        return usable and self.load < self.http.remote_settings.max_concurrent_streams

    def begin(self, stream: ServerStream) -> None:
        """Serve a request."""
        self._given[stream] = None
        stream.connected(self)

    def open(self, stream: Stream) -> bool:
        """Streams are numbered in the order in which their heads are sent."""
        try:
            stream.number = self.http.get_next_available_stream_id()
        except h2.exceptions.NoAvailableStreamIDError:
            self._going_away = True
            stream.disconnected()
            return False
        self.streams[stream.number] = stream
        if stream.record is not None:
            stream.record.numbered(stream.number)
        return True

    def _ready(self, event: h2.events.RemoteSettingsChanged) -> None:
        self._settings(event)
        self.router.loop.call_soon(self.pool.room)

    def _response(self, event: h2.events.ResponseReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if isinstance(stream, ServerStream):
            self.useful = True
            stream.answered(event.headers or [])
            self.touch(stream)

    def stream_trailers(self, stream: Stream, event: h2.events.TrailersReceived) -> None:
        """Trailers of a response."""
        stream.peer_trailers(trailers_of(event.headers or []))

    def goaway(self, frame: Goaway) -> None:
        """Open no more streams; give back those that the server has not touched."""
        self._going_away = True
        self.problem(f"server is going away (code {frame.code})")
        for number, stream in list(self.streams.items()):
            if number > frame.last_stream and isinstance(stream, ServerStream):
                stream.refuse(RELEASED_SETTLED)
        for given in list(self._given):
            if given.number is None:
                given.disconnected()
        self.stream_over(None)
        if not self.pool.connector.deleted:
            self.pool.connector.connect(1)

    def stream_over(self, stream: Stream | None) -> None:
        """There is room for another, or nothing left to do."""
        if isinstance(stream, ServerStream):
            self._given.pop(stream, None)
        if self.over:
            return
        if not self.load and (self._going_away or self.pool.connector.deleted):
            self.router.loop.call_soon(self.finish)
        else:
            self.router.loop.call_soon(self.pool.room)

    def connection_over(self) -> None:
        """Nothing is left of the connection."""
        given, self._given = list(self._given), {}
        for stream in given:
            stream.disconnected()
        self.pool.gone(self)

    def problem(self, words: str) -> None:
        """The server does not speak HTTP/2 as it should."""
        self.pool.connector.log_problem(words)


class ServerStream(Stream):
    """A request from the network."""

    message: IncomingMessage

    def __init__(self, pool: Http2Pool) -> None:
        super().__init__(pool.connector.router)
        self._pool = pool
        self.message = IncomingMessage(self)
        self._head: Head | None = None
        self._flow_id: str | None = None
        self._headers: Octets = []

    # -- request -------------------------------------------------------------------------------------

    def message_begun(self, message: IncomingMessage, start: Start) -> None:
        """Understand the head and ask for a connection."""
        connector = self._pool.connector
        if start.head.reply_to is None:
            raise NotHttpError("request has no reply-to")
        head = read_head(start.head)
        self.head_due = self._headers = request_headers(
            head,
            scheme="https" if connector.tls is not None else "http",
            authority=connector.where,
            host_override=connector.host_override,
        )
        self._head, self._flow_id = start.head, head.flow_id
        self._pool.serve(self)

    def connected(self, server: Http2Server) -> None:
        """A connection has room."""
        self.connection = server
        if self.record is None and self._head is not None:
            attributes: dict[Attribute, Any] = {Attribute.TRACE: trace_of(self._head)}
            if self._flow_id:
                attributes[Attribute.COUNTER_FLOW] = self._flow_id
            self.record = ExchangeRecord(self.router, server.record, attributes)
            self.record.method = self._head.subject or ""
            self.record.site = self._head.group_id or ""
        self.touch()

    def message_sent(self) -> None:
        """The server has the request; it is settled when the response is complete."""

    def message_broken(self, message: IncomingMessage) -> None:
        """The client is gone."""
        self.out.abort()
        self._end(CANCEL)

    # -- response ------------------------------------------------------------------------------------

    def answered(self, headers: list[Any]) -> None:
        """The response has begun."""
        try:
            self.head_received = head_of(headers, ":status")
        except NotHttpError:
            self.refuse(FAILED_SETTLED)
            return
        if self.record is not None:
            self.record.answered(self.head_received.subject)

    def envelope(self) -> Envelope:
        """To the address that the request names."""
        flow = self.record.identity if self.record is not None else ""
        to = self._head.reply_to if self._head is not None else None
        return Envelope(to or "", flow, site=self._pool.connector.site_id)

    def decided(self, outcome: Outcome) -> None:
        """The client does not want the response."""
        if outcome.state != ACCEPTED:
            self.refuse(FAILED_SETTLED)

    # -- ends ----------------------------------------------------------------------------------------

    def check_over(self) -> None:
        """Over when the response is complete; the rest of the request is of no use then."""
        if self.peer_ended and self.out.finished:
            self.message.accept()
            self._end(None if self.sent else CANCEL)

    def peer_reset(self, code: int) -> None:
        """The server does not serve the request, or no more."""
        untouched = code == REFUSED_STREAM and not self.out.begun
        self.refuse(RELEASED_SETTLED if untouched else FAILED_SETTLED)

    def disconnected(self) -> None:
        """The connection has ended before the response."""
        self.refuse(FAILED_SETTLED if self.head_sent else RELEASED_SETTLED)

    def refuse(self, outcome: Outcome) -> None:
        """End before the response is complete."""
        if self.over:
            return
        self.out.abort()
        self.message.settle(outcome)
        self._end(CANCEL)

    def _end(self, code: int | None) -> None:
        if not self.over:
            connector = self._pool.connector
            if self.record is not None:
                self.record.over(connector.address, connector.host, incoming=False)
            self._pool.exchange_over(self)
        self.leave(code)
