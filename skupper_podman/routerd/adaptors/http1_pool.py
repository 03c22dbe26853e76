"""The connections of one httpConnector to its HTTP/1 server, and the requests that wait for one.

What always holds: an idle connection is used before a new one is made; there are never more than `MOST`;
requests wait in their order; idle connections never keep a server from those that wait for its answer.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.adaptors.http1_request import ServerExchange
from skupper_podman.routerd.adaptors.http1_server import Http1Server

if TYPE_CHECKING:
    from skupper_podman.routerd.adaptors.http_connector import HttpConnector

MOST: Final = 250
#: Seconds after which an idle connection is closed when it is not the only one.
IDLE_LIMIT: Final = 30.0
#: Seconds without a first octet on a new connection after which idle ones are closed: the server may serve
#: one connection at a time.
IMPATIENCE: Final = 1.0


class Http1Pool:
    """Connections and requests of one connector."""

    alpn = "http/1.1"
    protocol = "http1"

    def __init__(self, connector: HttpConnector) -> None:
        self.connector = connector
        self.connections: dict[Http1Server, None] = {}
        self.exchanges: dict[ServerExchange, None] = {}
        self._idle: list[Http1Server] = []
        self._waiting: deque[ServerExchange] = deque()

    def sink(self) -> Any:
        """A sink for one request."""
        exchange = ServerExchange(self)
        self.exchanges[exchange] = None
        return exchange.message

    def serve(self, exchange: ServerExchange) -> None:
        """Give the request a connection, now or later."""
        if self._idle:
            self._idle.pop().begin(exchange)
            return
        self._waiting.append(exchange)
        self._connect()

    def connected(self, sock: Any) -> None:
        """A connection has been made."""
        self.connector.router.http.connections[self.protocol] += 1
        server = Http1Server(self, sock)
        self.connections[server] = None
        self.idle(server)
        if self._waiting:
            self._connect()

    def idle(self, server: Http1Server) -> None:
        """A connection can take a request."""
        if self.connector.deleted and not self._waiting:
            server.finish()
        elif self._waiting:
            server.begin(self._waiting.popleft())
        else:
            self._idle.append(server)

    def gone(self, server: Http1Server) -> None:
        """A connection has ended."""
        self.connections.pop(server, None)
        self.connector.router.http.connections[self.protocol] -= 1
        if server in self._idle:
            self._idle.remove(server)
        if self._waiting:
            self._connect()
        if not self.connections:
            self.connector.disconnected(useful=bool(server.used), opened_at=server.opened_at)

    def exchange_over(self, exchange: ServerExchange) -> None:
        """A request needs nothing more."""
        self.exchanges.pop(exchange, None)
        if exchange in self._waiting:
            self._waiting.remove(exchange)

    def unreachable(self) -> None:
        """There is no server: nothing that waits will be served."""
        for exchange in list(self._waiting):
            exchange.unreachable()

    def close(self, *, drop: bool) -> None:
        """Keep only connections with requests, or none."""
        for server in list(self.connections):
            if drop:
                server.abort()
            elif server.exchange is None:
                server.finish()
        if drop:
            self.unreachable()

    def check_time(self, now: float) -> None:
        """Close idle connections that are not needed, or that are in the way."""
        stuck = any(server.unanswered(now) > IMPATIENCE for server in self.connections)
        for server in list(self._idle):
            old = now - server.idle_since > IDLE_LIMIT
            if stuck or (old and len(self.connections) > 1):
                server.finish()

    def _connect(self) -> None:
        wanted = min(len(self._waiting), MOST - len(self.connections))
        self.connector.connect(wanted)
