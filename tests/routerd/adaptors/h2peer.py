"""A blocking HTTP/2 peer for tests: a client, or a server on a connection that it was given."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

Headers = list[tuple[str, str]]

REQUEST: Headers = [(":method", "GET"), (":path", "/a?b=c"), (":scheme", "http"), (":authority", "x")]


class Stream:
    """What has come on one stream."""

    def __init__(self) -> None:
        self.headers: Headers = []
        self.body = b""
        self.trailers: Headers = []
        self.ended = False
        self.reset: int | None = None

    @property
    def status(self) -> str:
        return dict(self.headers).get(":status", "")


class Peer:
    """One end of a connection. `windows` False keeps the windows shut."""

    def __init__(self, sock: socket.socket, *, client: bool, windows: bool = True, most: int = 100) -> None:
        self.sock = sock
        self.windows = windows
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client, header_encoding="utf-8", validate_inbound_headers=False)
        )
        self.streams: dict[int, Stream] = {}
        self.goaway: int | None = None
        self.closed = False
        self.http.local_settings = h2.settings.Settings(
            client=client, initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: most}
        )
        self.http.initiate_connection()
        self.flush()

    def flush(self) -> None:
        data = self.http.data_to_send()
        if data:
            self.sock.sendall(data)

    def request(self, headers: Headers | None = None, body: bytes = b"", *, end: bool = True) -> int:
        """Begin a request; its stream."""
        number = self.http.get_next_available_stream_id()
        self.streams[number] = Stream()
        self.http.send_headers(number, headers or REQUEST, end_stream=end and not body)
        if body:
            self.data(number, body, end=end)
        self.flush()
        return number

    def data(self, number: int, body: bytes, *, end: bool = False) -> None:
        """Send a body as the windows allow."""
        while body:
            room = min(self.http.local_flow_control_window(number), self.http.max_outbound_frame_size)
            if room <= 0:
                self.step()
                continue
            piece, body = body[:room], body[room:]
            self.http.send_data(number, piece, end_stream=end and not body)
            self.flush()

    def step(self) -> bool:
        """Read once; False at the end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.http.receive_data(data):
            self._take(event)
        self.flush()
        return True

    def until(self, condition: Callable[[], Any]) -> bool:
        """Read until something holds; False when the connection ends before."""
        while not condition():
            if not self.step():
                return bool(condition())
        return True

    def answer_of(self, number: int) -> Stream:
        """Read until the stream is over."""
        stream = self.streams[number]
        self.until(lambda: stream.ended or stream.reset is not None)
        return stream

    def _take(self, event: Any) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = int(event.error_code)
            return
        number = getattr(event, "stream_id", None)
        if not number:
            return
        stream = self.streams.setdefault(number, Stream())
        if isinstance(event, h2.events.RequestReceived | h2.events.ResponseReceived):
            stream.headers = list(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            if self.windows and event.flow_controlled_length:
                with contextlib.suppress(h2.exceptions.StreamClosedError):
                    self.http.acknowledge_received_data(event.flow_controlled_length, number)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = int(event.error_code)


def serving(handler: Callable[[Peer, int, Stream], None]) -> Callable[[socket.socket], None]:
    """A server that answers each request when it is complete."""

    def serve(sock: socket.socket) -> None:
        peer = Peer(sock, client=False)
        done: set[int] = set()
        while peer.step():
            for number, stream in list(peer.streams.items()):
                if stream.ended and number not in done:
                    done.add(number)
                    handler(peer, number, stream)
                    peer.flush()

    return serve


def respond(
    peer: Peer, number: int, body: bytes, headers: Headers | None = None, trailers: Headers | None = None
) -> None:
    """Answer a request."""
    peer.http.send_headers(number, [(":status", "200"), *(headers or [])], end_stream=not body and not trailers)
    if body:
        peer.data(number, body, end=not trailers)
    if trailers:
        peer.http.send_headers(number, trailers, end_stream=True)
    peer.flush()


def echoing(peer: Peer, number: int, stream: Stream) -> None:
    """Answer with what has come."""
    respond(peer, number, stream.body or dict(stream.headers)[":path"].encode())
