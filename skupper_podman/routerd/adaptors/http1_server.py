"""A connection to an HTTP/1 server, used for one request after the other.

What always holds: a request begins only on a connection that has no other; a connection is used again
only when request and response are complete on it and neither side wants it closed; a response that
breaks off never looks complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h11

from skupper_podman.routerd.adaptors.flow_records import own_end
from skupper_podman.routerd.adaptors.http1_connection import Http1Connection
from skupper_podman.routerd.adaptors.http1_parse import ResponseHead
from skupper_podman.routerd.adaptors.http1_wire import Closed, End, Event

if TYPE_CHECKING:
    from skupper_podman.routerd.adaptors.http1_pool import Http1Pool
    from skupper_podman.routerd.adaptors.http1_request import ServerExchange


class Http1Server(Http1Connection):
    """One connection to the server."""

    direction = "out"

    def __init__(self, pool: Http1Pool, sock: Any) -> None:
        connector = pool.connector
        router = connector.router
        self.pool = pool
        self.peer = connector.where
        self.idle_since = self.begun_at = router.loop.now
        self.exchange: ServerExchange | None = None
        self.used = 0
        super().__init__(router, sock, h11.CLIENT, connector.record, own_end(sock))
        self.socket.want_read(True)

    def begin(self, exchange: ServerExchange) -> None:
        """Send the head of a request; the exchange sends the rest."""
        self.exchange = exchange
        self.used += 1
        self.begun_at = self.router.loop.now
        exchange.connected(self)

    def unanswered(self, now: float) -> float:
        """Seconds that a request has waited on a connection on which the server has never said anything."""
        return now - self.begun_at if self.exchange is not None and not self.socket.octets_in else 0.0

    # -- the socket's side ---------------------------------------------------------------------------

    def received(self, data: memoryview) -> None:
        """Octets of responses."""
        self.wire.receive(bytes(data))
        self._process()

    def ended(self) -> None:
        """The server sends no more: the end of a response, or of an idle connection."""
        self.wire.receive(b"")
        self._process()
        if not self.over:
            self._end()

    def writable(self) -> None:
        """The server reads again."""
        if self.exchange is not None:
            self.exchange.resume_request()

    def resumed(self) -> None:
        """The network takes the response again."""
        self.socket.want_read(True)
        self._process()

    # -- responses -----------------------------------------------------------------------------------

    def _process(self) -> None:
        while not self.over:
            exchange = self.exchange
            if exchange is not None and exchange.response_congested():
                self.socket.want_read(False)
                break
            try:
                event = self.wire.next_event()
            except h11.RemoteProtocolError as error:
                self.pool.connector.log_problem(str(error))
                self.abort()
                return
            if event is None:
                break
            if exchange is None or isinstance(event, Closed):
                # Nothing was asked, or nothing is left to be said.
                self.abort()
                return
            self._take(exchange, event)
            if isinstance(event, End):
                break  # nothing follows, or the connection is over
        if not self.over and self.exchange is not None:
            self.exchange.send_response()

    def _take(self, exchange: ServerExchange, event: Event) -> None:
        if isinstance(event, ResponseHead):
            if event.status < 200:
                exchange.informed(event)
            else:
                exchange.answered(event)
        elif isinstance(event, (bytes, bytearray)):
            exchange.response_data(event)
        elif isinstance(event, End):
            self.exchange = None
            exchange.count(self.count())
            reusable = self._reusable()
            exchange.response_ended(event.trailers)
            if reusable:
                self.idle_since = self.router.loop.now
                self.pool.idle(self)
            else:
                self.finish()

    def _reusable(self) -> bool:
        wire = self.wire
        if not wire.reusable or wire.unread:
            return False
        wire.next_exchange()
        return not self.over

    # -- ends ----------------------------------------------------------------------------------------

    def _ended(self) -> None:
        self.socket.abort()
        exchange, self.exchange = self.exchange, None
        self.pool.gone(self)
        if exchange is not None:
            exchange.count(self.count())
            exchange.disconnected(reused=self.used > 1)
