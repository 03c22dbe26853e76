"""A client's HTTP/2 connection: every stream is a request that goes into the network on its own.

What always holds: a request that nobody takes is answered 503, one that the far end cannot understand
400, while no response has begun; after that the stream is reset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h2.events

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.http2_connection import Http2Connection
from skupper_podman.routerd.adaptors.http2_frames import Goaway
from skupper_podman.routerd.adaptors.http2_messages import head_of, response_headers, trailers_of
from skupper_podman.routerd.adaptors.http2_stream import INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM, Stream
from skupper_podman.routerd.adaptors.http_flows import ExchangeRecord
from skupper_podman.routerd.adaptors.http_heads import Envelope, HttpHead, NotHttpError, read_head
from skupper_podman.routerd.adaptors.http_streams import IncomingMessage
from skupper_podman.routerd.amqp.wire import ACCEPTED, REJECTED
from skupper_podman.routerd.sockets import peer_text
from skupper_podman.routerd.streams import Outcome, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.adaptors.http_listener import HttpListener

#: Seconds that a response may come later than the settlement of its request.
_REPLY_LIMIT = 10.0


class Http2Client(Http2Connection):
    """One connection, from accept to its end."""

    direction = "in"

    def __init__(self, listener: HttpListener, sock: Any, address: tuple[object, ...]) -> None:
        self.listener = listener
        self.peer = peer_text(address)
        self.host = str(address[0])
        self._closing = False
        source: dict[Attribute, Any] = {Attribute.SOURCE_HOST: self.host, Attribute.SOURCE_PORT: str(address[1])}
        super().__init__(listener.router, sock, listener.record, source, client_side=False)
        self._handlers[h2.events.RequestReceived] = self._request

    def _request(self, event: h2.events.RequestReceived) -> None:
        number = event.stream_id
        if self._closing:
            self.http.reset_stream(number, REFUSED_STREAM)
            return
        try:
            head = head_of(event.headers or [], ":method")
        except NotHttpError:
            self.http.reset_stream(number, INTERNAL_ERROR)
            return
        if (head.header("expect") or "").lower() == "100-continue":
            # Nothing carries it across the network, and servers ask for bodies by their windows.
            self.http.send_headers(number, [(b":status", b"100")])
            head = HttpHead(head.subject, head.start, [pair for pair in head.headers if pair[0] != "expect"])
        stream = ClientStream(self, number, head)
        self.streams[number] = stream
        self.touch(stream)

    def stream_trailers(self, stream: Stream, event: h2.events.TrailersReceived) -> None:
        """Trailers of a request."""
        stream.peer_trailers(trailers_of(event.headers or []))

    def open(self, stream: Stream) -> bool:
        """Streams of clients have their numbers."""
        return True

    def goaway(self, frame: Goaway) -> None:
        """The client will not take pushes, of which there are none."""

    def stream_over(self, stream: Stream) -> None:
        """Close when that was the last one to wait for."""
        if self._closing and not self.streams:
            self.router.loop.call_soon(self.finish)

    def close_when_idle(self) -> None:
        """Begin no further request."""
        self._closing = True
        if not self.streams:
            self.finish()

    def connection_over(self) -> None:
        """Nothing is left of the connection."""
        self.listener.client_ended(self)

    def problem(self, words: str) -> None:
        """The client does not speak HTTP/2 as it should."""
        self.router.log.debug("HTTP_ADAPTOR", f"Listener {self.listener.name}: {self.peer}: {words}")


class ClientStream(Stream):
    """A request of a client."""

    def __init__(self, client: Http2Client, number: int, head: HttpHead) -> None:
        super().__init__(client.router)
        self._client = client
        self.connection = client
        self.number = number
        self.head_received = head
        self._key, self._reply_to = client.router.temporary(self)
        self.record = ExchangeRecord(
            client.router, client.record, {Attribute.METHOD: head.subject, Attribute.STREAM_ID: number}
        )
        self.record.method = head.subject

    def envelope(self) -> Envelope:
        """To the listener's address, with a reply address of this stream alone."""
        listener = self._client.listener
        flow = self.record.identity if self.record is not None else ""
        return Envelope(listener.address, flow, reply_to=self._reply_to, site=listener.site_id)

    def sink(self, _start: Start) -> IncomingMessage:
        """A response has come."""
        message = IncomingMessage(self)
        if self.message is None:
            self.message = message
        return message

    def message_begun(self, message: IncomingMessage, start: Start) -> None:
        """Send the head of the response."""
        if message is not self.message or self.over:
            raise NotHttpError("a response has come already")
        head = read_head(start.head)
        self.head_due = response_headers(head)
        if self.record is not None:
            self.record.site = start.head.group_id or ""
            self.record.answered(head.subject, counter=head.flow_id)
        self.touch()

    def message_broken(self, message: IncomingMessage) -> None:
        """The response will never be complete."""
        if message is self.message:
            self._give_up("503")

    def message_sent(self) -> None:
        """The client has its response."""
        if self.message is not None:
            self.message.accept()

    def decided(self, outcome: Outcome) -> None:
        """The request was refused, or has been served."""
        if outcome.state != ACCEPTED:
            self._give_up("400" if outcome.state == REJECTED else "503")
        elif self.message is None and not self.over:
            self.router.loop.call_later(_REPLY_LIMIT, self._no_reply)

    def _no_reply(self) -> None:
        if self.message is None and not self.over:
            self._give_up("503")

    def _give_up(self, status: str) -> None:
        """Answer on behalf of the server, or reset the stream when it is too late for that."""
        if self.over or self.sent:
            return
        if self.message is not None:
            self.message.fail()
        if self.head_sent or self._client.over or self.number not in self._client.streams:
            self.out.abort()
            self._end(INTERNAL_ERROR)
            return
        self.out.abort()
        if self.record is not None:
            self.record.answered(status)
        self.head_due = [(b":status", status.encode()), (b"content-length", b"0")]
        self._pending.clear()
        self._pending_size = 0
        self._trailers = []
        self._ended = True
        self.touch()

    def check_over(self) -> None:
        """Over when the response is complete; the rest of the request is of no use then."""
        if self.sent:
            self.out.forget()
            self._end(None if self.peer_ended else NO_ERROR)

    def peer_reset(self, code: int) -> None:
        """The client has lost interest."""
        self.disconnected()

    def disconnected(self) -> None:
        """The client is gone."""
        self.out.abort()
        if self.message is not None:
            self.message.fail()
        self._end(None)

    def _end(self, code: int | None) -> None:
        if not self.over and self.record is not None:
            self.router.forget_temporary(self._key)
            self.record.over(self._client.listener.address, self._client.host, incoming=True)
        self.leave(code)
