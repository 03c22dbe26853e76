"""One HTTP/2 stream as two messages: from its peer into the network, and from the network to its peer.

`ClientStream` and `ServerStream` add which of the two is the request. What always holds: each side is held
back while the other does not take (the stream's window stays shut, or the message's source pauses);
at most one window waits in each direction; a reset travels on as a broken message and the reverse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Final

from skupper_podman.routerd.adaptors.http2_messages import Octets, trailer_headers
from skupper_podman.routerd.adaptors.http_bodies import FooterReader, Pairs, data_section, footer_section
from skupper_podman.routerd.adaptors.http_flows import ExchangeRecord
from skupper_podman.routerd.adaptors.http_heads import Envelope, HttpHead, compose_head
from skupper_podman.routerd.adaptors.http_streams import IncomingMessage, OutgoingMessage
from skupper_podman.routerd.streams import Chunk, Outcome, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.adaptors.http2_connection import Http2Connection
    from skupper_podman.routerd.router import Router

#: Octets waiting for the peer's window beyond which the source of the message pauses, and at which it goes on.
PENDING: Final = 256 * 1024
_EASY: Final = PENDING // 2

NO_ERROR: Final = 0x0
INTERNAL_ERROR: Final = 0x2
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8


class Stream(ABC):
    """What both ends share."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.number: int | None = None
        self.connection: Http2Connection | None = None
        self.record: ExchangeRecord | None = None
        self.over = False
        # peer to network
        self.out = OutgoingMessage(router, self._resumed, self.decided)
        self.head_received: HttpHead | None = None
        self._first = bytearray()
        self._any_data = False
        self.peer_ended = False
        self._unacknowledged = 0
        # network to peer
        self.message: IncomingMessage | None = None
        self.head_due: Octets | None = None
        self.head_sent = False
        self.sent = False
        self._reader = FooterReader()
        self._pending: deque[memoryview] = deque()
        self._pending_size = 0
        self._paused = False
        self._ended = False
        self._trailers: Octets = []

    # -- peer to network -----------------------------------------------------------------------------

    @abstractmethod
    def envelope(self) -> Envelope:
        """Where the message goes."""

    def peer_data(self, payload: bytes, flow: int) -> None:
        """DATA has come; `flow` counts the padding too."""
        self._unacknowledged += flow
        if payload:
            self._any_data = True
            if self.record is not None:
                self.record.octets_in += len(payload)
            self._first += data_section(payload)

    def peer_trailers(self, trailers: Pairs) -> None:
        """Trailers have come."""
        if not self._any_data:
            self._any_data = True
            self._first += data_section(b"")
        self._first += footer_section(trailers)

    def peer_end(self) -> None:
        """END_STREAM has come."""
        if not self._any_data:
            self._first += data_section(b"")
        self.peer_ended = True

    def commit(self) -> None:
        """Pass on what has come since the last call, and open the window again if the network takes it."""
        head = self.head_received
        if self.over or head is None:
            return
        sections, self._first = bytes(self._first), bytearray()
        if not self.out.begun:
            octets, parsed = compose_head(head, self.envelope(), symbols=False)
            self.out.send(octets, parsed, sections, complete=self.peer_ended)
        else:
            self.out.write(sections)
            if self.peer_ended:
                self.out.finish()
        if self._unacknowledged and not self.out.congested():
            self._open_window()
        if self.peer_ended and not self.over:
            self.check_over()

    def _open_window(self) -> None:
        size, self._unacknowledged = self._unacknowledged, 0
        if self.connection is not None and not self.peer_ended:
            self.connection.open_window(self, size)

    def _resumed(self) -> None:
        self._open_window()

    @abstractmethod
    def decided(self, outcome: Outcome) -> None:
        """What the far end says of the message from our peer."""

    # -- network to peer -----------------------------------------------------------------------------

    @abstractmethod
    def message_begun(self, message: IncomingMessage, start: Start) -> None:
        """The head for our peer."""

    def message_octets(self, _message: IncomingMessage, octets: Chunk) -> None:
        """Keep payload until it can be sent."""
        for piece in self._reader.feed(octets):
            self._pending.append(memoryview(bytes(piece)))
            self._pending_size += len(piece)
        self.touch()

    def message_ended(self, message: IncomingMessage) -> None:
        """The rest is known."""
        if not self._reader.between_sections:
            raise ValueError("message ends inside a section")
        self._trailers = trailer_headers(self._reader.footer)
        self._ended = True
        self.touch()

    @abstractmethod
    def message_broken(self, message: IncomingMessage) -> None:
        """The message for our peer will never be complete."""

    def message_congested(self) -> bool:
        """Whether our peer does not take the message."""
        self._paused = self._paused or self._pending_size > PENDING
        return self._paused

    def touch(self) -> None:
        """Have `pump` called at the end of this turn."""
        if self.connection is not None:
            self.connection.touch(self)

    @property
    def has_more(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._pending) or (self._ended and not self.sent) or self.head_due is not None

    def pump(self, connection: Http2Connection) -> None:
        """Send what can be sent."""
        http, number = connection.http, self.number
        if number is None or self.sent:
            return
        if self.head_due is not None:
            last = self._ended and not self._pending and not self._trailers
            head, self.head_due = self.head_due, None
            self.head_sent = True
            http.send_headers(number, head, end_stream=last)
            if last:
                self._all_sent()
                return
        while self._pending:
            room = min(http.local_flow_control_window(number), http.max_outbound_frame_size)
            if room <= 0 or connection.socket.full:
                return
            self._send_data(connection, number, room)
            if self.sent:
                return
        if self._ended and self.head_sent:
            if self._trailers:
                http.send_headers(number, self._trailers, end_stream=True)
            else:
                http.end_stream(number)
            self._all_sent()

    def _send_data(self, connection: Http2Connection, number: int, room: int) -> None:
        first = self._pending.popleft()
        if len(first) > room:
            self._pending.appendleft(first[room:])
            first = first[:room]
        self._pending_size -= len(first)
        if self.record is not None:
            self.record.octets_out += len(first)
        last = self._ended and not self._pending and not self._trailers
        connection.http.send_data(number, bytes(first), end_stream=last)
        if last:
            self._all_sent()
        elif self._paused and self._pending_size <= _EASY:
            self._paused = False
            if self.message is not None:
                self.message.resume()

    def _all_sent(self) -> None:
        self.sent = True
        self.message_sent()
        self.check_over()

    @abstractmethod
    def message_sent(self) -> None:
        """The message for our peer has been sent completely."""

    # -- ends ----------------------------------------------------------------------------------------

    @abstractmethod
    def check_over(self) -> None:
        """See whether the exchange is over."""

    @abstractmethod
    def peer_reset(self, code: int) -> None:
        """RST_STREAM has come."""

    @abstractmethod
    def disconnected(self) -> None:
        """The connection is gone."""

    def leave(self, code: int | None = None) -> None:
        """Nothing is left to be done; reset the stream with `code` when it is still open."""
        if self.over:
            return
        self.over = True
        self._pending.clear()
        connection = self.connection
        if connection is not None:
            connection.forget(self, code)
