"""What the connections of HTTP/1 clients and to HTTP/1 servers have in common: wire, socket, record and end.

What always holds: a connection ends once; its octets are counted as they are on the wire, heads included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.http1_messages import Sendable
from skupper_podman.routerd.adaptors.http1_wire import Wire
from skupper_podman.routerd.adaptors.http_bodies import Trailers
from skupper_podman.routerd.adaptors.http_flows import connection_record
from skupper_podman.routerd.adaptors.http_socket import HttpSocket
from skupper_podman.routerd.streams import Chunk

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router


class Http1Connection(ABC):
    """A connection from accept or connect to its end. The socket is not read before its `want_read`."""

    protocol = "http1"

    def __init__(self, router: Router, sock: Any, role: Any, parent: str, source: dict[Attribute, Any]) -> None:
        self.router = router
        self.opened_at = router.loop.now
        self.over = False
        self.wire = Wire(role)
        self._counted = 0
        self.socket = HttpSocket(router.loop, sock, self, router.report)
        self.record = connection_record(router, parent, source, lambda: self.socket.octets_in)

    # Each of these gives the number of octets, and raises ValueError when it does not fit what was sent before.

    def send(self, event: Any) -> int:
        """Send an event of h11."""
        return self._write(self.wire.send(event))

    def send_head(self, head: Sendable) -> int:
        """Begin a message."""
        return self._write(self.wire.begin(head.written, head.event))

    def send_data(self, data: Chunk) -> int:
        """Send a piece of its body."""
        return self._write(self.wire.data(data))

    def send_end(self, trailers: Trailers) -> int:
        """End it."""
        octets = self._write(self.wire.end(trailers))
        self.socket.push()
        return octets

    def _write(self, octets: bytes) -> int:
        self.socket.write(octets)
        return len(octets)

    def count(self) -> int:
        """Octets that the peer has sent since the last call, without what is only read ahead."""
        taken = self.socket.octets_in - self.wire.unread
        counted, self._counted = self._counted, taken
        return taken - counted

    # -- the socket's side ---------------------------------------------------------------------------

    @abstractmethod
    def received(self, data: memoryview) -> None:
        """Octets have come."""

    @abstractmethod
    def ended(self) -> None:
        """The peer sends no more."""

    @abstractmethod
    def writable(self) -> None:
        """The peer reads again."""

    def lost(self) -> None:
        """The connection is gone."""
        self._end()

    # -- ends ----------------------------------------------------------------------------------------

    def finish(self) -> None:
        """End after what has been written."""
        self.socket.finish()
        self._end()

    def abort(self) -> None:
        """End at once."""
        self.socket.abort()
        self._end()

    def _end(self) -> None:
        if not self.over:
            self.over = True
            self._ended()
            self.router.records.end(self.record)

    @abstractmethod
    def _ended(self) -> None:
        """The connection has ended."""
