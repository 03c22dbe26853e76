"""An HTTP/2 connection, to a client or to a server: h2 between a socket and the streams.

What always holds: output of one turn goes out together; a peer that does not read is not read from; the
window of the connection is always open, those of streams are not, so one slow stream holds up no other;
whatever a peer sends ends at most its own connection.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.http2_frames import LONGEST, FrameTooLongError, Goaway, GoawayFilter
from skupper_podman.routerd.adaptors.http2_messages import MAX_HEADERS
from skupper_podman.routerd.adaptors.http2_stream import CANCEL, PENDING, Stream
from skupper_podman.routerd.adaptors.http_flows import connection_record
from skupper_podman.routerd.adaptors.http_socket import HttpSocket

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

MAX_STREAMS: Final = 100
STREAM_WINDOW: Final = PENDING
#: Room that the connection's window has at all times; opened again by halves.
CONNECTION_WINDOW: Final = 4 * 1024 * 1024
#: Resets of a peer in so many seconds that end its connection: the rapid reset attack.
RESETS: Final = 1000
RESET_SECONDS: Final = 10.0
#: Seconds for the first SETTINGS, and without any stream and any octet.
START_LIMIT: Final = 30.0
IDLE_LIMIT: Final = 300.0

_Setting = h2.settings.SettingCodes


class Http2Connection(ABC):
    """What both ends share."""

    protocol = "http2"

    def __init__(
        self, router: Router, sock: Any, parent: str, source: dict[Attribute, Any], *, client_side: bool
    ) -> None:
        self.router = router
        self.opened_at = router.loop.now
        self.streams: dict[int, Stream] = {}
        self.over = False
        self.started = False
        self._active: dict[Stream, None] = {}
        self._flush_due = False
        self._flow = 0
        self._payload = 0
        attributes = {**source, Attribute.WINDOW_SIZE: STREAM_WINDOW}
        self.record = connection_record(router, parent, attributes, lambda: self._payload)
        self._resets = 0
        self._resets_since = router.loop.now
        self._filter = GoawayFilter(preface=not client_side)
        config = h2.config.H2Configuration(client_side=client_side, header_encoding=None)
        self.http = h2.connection.H2Connection(config)
        self.http.local_settings = h2.settings.Settings(
            client=client_side,
            initial_values={
                _Setting.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                _Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                _Setting.MAX_FRAME_SIZE: LONGEST,
                _Setting.MAX_HEADER_LIST_SIZE: MAX_HEADERS,
                _Setting.ENABLE_PUSH: 0,
            },
        )
        self._handlers: dict[type, Callable[[Any], None]] = {
            h2.events.RemoteSettingsChanged: self._settings,
            h2.events.DataReceived: self._data,
            h2.events.TrailersReceived: self._trailers,
            h2.events.StreamEnded: self._stream_ended,
            h2.events.StreamReset: self._reset,
            h2.events.WindowUpdated: self._window,
        }
        self.socket = HttpSocket(router.loop, sock, self, router.report)
        self.http.initiate_connection()
        self.http.increment_flow_control_window(CONNECTION_WINDOW)
        self.flush_soon()
        self.socket.want_read(True)

    # -- the socket's side ---------------------------------------------------------------------------

    def received(self, data: memoryview) -> None:
        """Octets of frames."""
        try:
            for part in self._filter.feed(bytes(data)):
                if isinstance(part, Goaway):
                    self.goaway(part)
                elif not self.over:
                    self._take(part)
        except (h2.exceptions.ProtocolError, FrameTooLongError) as error:
            self.problem(str(error) or type(error).__name__)
            self.finish()
            return
        for stream in list(self._active):
            stream.commit()
        if self._flow >= CONNECTION_WINDOW // 2 and not self.over:
            self.http.increment_flow_control_window(self._flow)
            self._flow = 0
        self.flush_soon()

    def _take(self, octets: bytes) -> None:
        for event in self.http.receive_data(octets):
            handler = self._handlers.get(type(event))
            if handler is not None and not self.over:
                handler(event)

    def ended(self) -> None:
        """The peer has closed: HTTP/2 knows no half-closed connections."""
        self.abort()

    def writable(self) -> None:
        """The peer reads again."""
        self._touch_all()
        self.socket.want_read(True)

    def lost(self) -> None:
        """The connection is gone."""
        self._end()

    # -- events --------------------------------------------------------------------------------------

    def _settings(self, _event: h2.events.RemoteSettingsChanged) -> None:
        self.started = True
        self._touch_all()

    def _data(self, event: h2.events.DataReceived) -> None:
        flow = event.flow_controlled_length or 0
        self._flow += flow
        self._payload += len(event.data or b"")
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.peer_data(event.data or b"", flow)
            self.touch(stream)

    def _trailers(self, event: h2.events.TrailersReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            self.stream_trailers(stream, event)
            self.touch(stream)

    def _stream_ended(self, event: h2.events.StreamEnded) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.peer_end()
            self.touch(stream)

    def _reset(self, event: h2.events.StreamReset) -> None:
        now = self.router.loop.now
        if now - self._resets_since > RESET_SECONDS:
            self._resets, self._resets_since = 0, now
        self._resets += 1
        stream = self.streams.pop(event.stream_id, None)
        if stream is not None:
            stream.connection = None
            self._active.pop(stream, None)
            stream.peer_reset(int(event.error_code or 0))
            self.stream_over(stream)
        if self._resets > RESETS:
            self.problem("too many resets")
            self.finish()

    def _window(self, event: h2.events.WindowUpdated) -> None:
        if event.stream_id == 0:
            self._touch_all()
        else:
            stream = self.streams.get(event.stream_id)
            if stream is not None and stream.has_more:
                self.touch(stream)

    # -- output --------------------------------------------------------------------------------------

    def open_window(self, stream: Stream, size: int) -> None:
        """Let the peer send so much more on a stream."""
        if self.over or stream.number not in self.streams:
            return
        try:
            self.http.increment_flow_control_window(size, stream.number)
        except h2.exceptions.ProtocolError:
            return  # closed already
        self.flush_soon()

    def touch(self, stream: Stream) -> None:
        """Serve the stream at the end of this turn."""
        self._active[stream] = None
        self.flush_soon()

    def _touch_all(self) -> None:
        for stream in self.streams.values():
            if stream.has_more:
                self.touch(stream)

    def flush_soon(self) -> None:
        """Send at the end of this turn what h2 has to send."""
        if not self._flush_due and not self.over:
            self._flush_due = True
            self.router.loop.at_turn_end(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        if self.over:
            return
        active, self._active = self._active, {}
        for stream in active:
            self._pump(stream)
        if self.over:
            return
        self.socket.write(self.http.data_to_send())
        if self.socket.full:
            self.socket.want_read(False)

    def _pump(self, stream: Stream) -> None:
        if stream.over or self.over:
            return
        try:
            if stream.number is None and not self.open(stream):
                return
            stream.pump(self)
        except h2.exceptions.ProtocolError as error:
            self.problem(str(error) or type(error).__name__)
            stream.disconnected()
            stream.leave(CANCEL)

    # -- ends ----------------------------------------------------------------------------------------

    def forget(self, stream: Stream, code: int | None) -> None:
        """The stream is over; reset it with `code` when it is still open."""
        stream.connection = None
        self._active.pop(stream, None)
        number = stream.number
        if number is not None and self.streams.pop(number, None) is not None and code is not None and not self.over:
            with contextlib.suppress(h2.exceptions.ProtocolError):  # closed already
                self.http.reset_stream(number, code)
            self.flush_soon()
        self.stream_over(stream)

    def finish(self) -> None:
        """End after what has been written, with GOAWAY."""
        if self.over:
            return
        with contextlib.suppress(h2.exceptions.ProtocolError):  # h2 has said GOAWAY already
            self.http.close_connection()
        self.socket.write(self.http.data_to_send())
        self.socket.finish()
        self._end()

    def abort(self) -> None:
        """End at once."""
        self.socket.abort()
        self._end()

    def _end(self) -> None:
        if self.over:
            return
        self.over = True
        self._active.clear()
        streams, self.streams = list(self.streams.values()), {}
        for stream in streams:
            stream.connection = None
            stream.disconnected()
        self.router.records.end(self.record)
        self.connection_over()

    def check_time(self, now: float) -> None:
        """End the connection when it is of no use to its peer."""
        quiet = now - self.socket.progress
        if (not self.started and now - self.opened_at > START_LIMIT) or (self.socket.waiting and quiet > IDLE_LIMIT):
            self.abort()
        elif not self.streams and quiet > IDLE_LIMIT:
            self.finish()

    # -- what the ends add ---------------------------------------------------------------------------

    @abstractmethod
    def open(self, stream: Stream) -> bool:
        """Give the stream its number; False when it cannot have one."""

    @abstractmethod
    def goaway(self, frame: Goaway) -> None:
        """The peer is going away."""

    @abstractmethod
    def stream_trailers(self, stream: Stream, event: h2.events.TrailersReceived) -> None:
        """Trailers have come on a stream."""

    @abstractmethod
    def stream_over(self, stream: Stream) -> None:
        """A stream has ended."""

    @abstractmethod
    def connection_over(self) -> None:
        """The connection has ended, and all its streams."""

    @abstractmethod
    def problem(self, words: str) -> None:
        """Say what is wrong."""
