"""What the connections of HTTP/1 clients and to HTTP/1 servers have in common: h11, the socket, the record, the end.

What always holds: a connection ends once; its octets are counted as they are on the wire, heads included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import h11

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.http1_messages import MAX_HEAD
from skupper_podman.routerd.adaptors.http_flows import connection_record
from skupper_podman.routerd.adaptors.http_socket import HttpSocket

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router


class Http1Connection(ABC):
    """A connection from accept or connect to its end. The socket is not read before its `want_read`."""

    protocol = "http1"

    def __init__(self, router: Router, sock: Any, role: Any, parent: str, source: dict[Attribute, Any]) -> None:
        self.router = router
        self.opened_at = router.loop.now
        self.over = False
        self.http = h11.Connection(role, max_incomplete_event_size=MAX_HEAD)
        self._counted = 0
        self.socket = HttpSocket(router.loop, sock, self, router.report)
        self.record = connection_record(router, parent, source, lambda: self.socket.octets_in)

    def send(self, event: Any) -> int:
        """Send an h11 event; its octets. Raises ValueError when it does not fit what was sent before."""
        try:
            octets = self.http.send(event) or b""
        except h11.LocalProtocolError as error:
            raise ValueError(str(error)) from None
        self.socket.write(octets)
        return len(octets)

    def count(self) -> int:
        """Octets that the peer has sent since the last call, without what is only read ahead."""
        taken = self.socket.octets_in - len(self.http.trailing_data[0])
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
