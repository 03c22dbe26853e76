"""One HTTP/1 request of a client and what comes back for it.

What always holds: the request is settled or broken off when the exchange is over, and so is the response;
the client sees one final response at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import h11

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.http1_messages import (
    BodyParser,
    BodyWriter,
    is_chunked,
    request_head,
    to_client,
)
from skupper_podman.routerd.adaptors.http1_parse import RequestHead
from skupper_podman.routerd.adaptors.http_bodies import Trailers
from skupper_podman.routerd.adaptors.http_flows import ExchangeRecord
from skupper_podman.routerd.adaptors.http_heads import Envelope, compose_head, read_head
from skupper_podman.routerd.adaptors.http_streams import IncomingMessage, OutgoingMessage
from skupper_podman.routerd.amqp.wire import ACCEPTED
from skupper_podman.routerd.codec import ULong
from skupper_podman.routerd.streams import Chunk, Outcome, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.adaptors.http1_client import Http1Client

#: Seconds that a response may come later than the settlement of its request.
_REPLY_LIMIT: Final = 10.0


class ClientExchange:
    """A request, from its head to the end of its response."""

    def __init__(self, client: Http1Client, asked: RequestHead, number: int) -> None:
        self._client = client
        self.number = number
        self.request_ended = False
        self.record = ExchangeRecord(client.router, client.record, {Attribute.METHOD: asked.method.decode("latin-1")})
        self._head = request_head(asked)
        self.record.method = self._head.subject
        self._modern = asked.version >= b"1.1"
        self._writer = BodyWriter(chunked=is_chunked(self._head))
        self._first = bytearray()
        self._request = OutgoingMessage(client.router, client.resumed, self._decided)
        self._response: IncomingMessage | None = None
        self._parser = BodyParser(chunked=False)
        self._over = False

    # -- request: client to network ------------------------------------------------------------------

    def data(self, payload: bytes | bytearray) -> None:
        """Take a piece of the body."""
        self._pass_on(self._writer.data(payload))

    def end(self, trailers: Trailers) -> None:
        """The request is complete."""
        self._pass_on(self._writer.end(trailers))
        self.request_ended = True
        if self._request.begun:
            self._request.finish()

    def _pass_on(self, sections: bytes) -> None:
        if self._request.begun:
            self._request.write(sections)
        else:
            self._first += sections

    def send(self) -> None:
        """Begin the message, with as much of the request as there is; does nothing when that is done."""
        if self._request.begun or self._over:
            return
        client = self._client
        listener = client.listener
        envelope = Envelope(
            listener.address,
            self.record.identity,
            reply_to=None if listener.event_channel else client.reply_to,
            message_id=ULong(self.number),
            site=listener.site_id,
        )
        octets, head = compose_head(self._head, envelope, symbols=True)
        first, self._first = bytes(self._first), bytearray()
        self._request.send(octets, head, first, complete=self.request_ended)

    def request_congested(self) -> bool:
        """Whether the network takes no more of the request for now."""
        return self._request.congested()

    def request_broken(self) -> bool:
        """The rest of the request will not come; tells whether it had begun."""
        begun = self._request.begun
        if not self.request_ended:
            self._request.abort()
        return begun

    def _decided(self, outcome: Outcome) -> None:
        client = self._client
        if outcome.state != ACCEPTED:
            client.router.log.debug("HTTP_ADAPTOR", f"Request to {client.listener.address}: outcome {outcome.state}")
            client.respond(503)
        elif client.listener.event_channel:
            self._no_content()
        elif self._response is None:
            client.router.loop.call_later(_REPLY_LIMIT, self._no_reply)

    def _no_content(self) -> None:
        self.record.answered("204", "No Content")
        self._write(h11.Response(status_code=204, headers=[], reason=b"No Content"))
        self._write(h11.EndOfMessage())
        self._client.response_ended()

    def _no_reply(self) -> None:
        if self._response is None and not self._over:
            self._client.respond(503)

    # -- response: network to client -----------------------------------------------------------------

    def response_message(self) -> IncomingMessage:
        """A sink for the response, or for an informational one before it."""
        return IncomingMessage(self)

    def _write(self, event: Any) -> None:
        self.record.octets_out += self._client.send(event)

    def resume_response(self) -> None:
        """The client reads again."""
        if self._response is not None:
            self._response.resume()

    def message_begun(self, message: IncomingMessage, start: Start) -> None:
        """Write the head."""
        if self._over or self._response is not None:
            raise ValueError("a response has come already")
        self._response = message
        head = read_head(start.head)
        response = to_client(head)
        if response.status < 200:
            self._response = None
            if self._modern:
                self.record.octets_out += self._client.send_head(response)
            return
        self.record.site = start.head.group_id or ""
        self.record.answered(head.subject, dict(head.start).get(":reason"))
        bodiless = self._head.subject == "HEAD" or response.status in (204, 304)
        self._parser = BodyParser(chunked=not bodiless and is_chunked(head))
        self.record.octets_out += self._client.send_head(response)

    def message_octets(self, message: IncomingMessage, octets: Chunk) -> None:
        """Write a piece of the body."""
        if message is not self._response:
            return
        for piece in self._parser.feed(octets):
            self.record.octets_out += self._client.send_data(piece)

    def message_ended(self, message: IncomingMessage) -> None:
        """Write the end."""
        if message is not self._response:
            message.accept()
            return
        trailers = self._parser.end()
        self.record.octets_out += self._client.send_end(trailers if self._modern else ())
        message.accept()
        self._client.response_ended()

    def message_broken(self, message: IncomingMessage) -> None:
        """End the connection, so that what the client has got does not look complete."""
        if message is self._response and not self._over:
            self._client.respond(503)

    def message_congested(self) -> bool:
        """Whether the client does not read."""
        return self._client.socket.full

    # -- ends ----------------------------------------------------------------------------------------

    def over(self) -> None:
        """The response is complete."""
        if not self._over:
            self._over = True
            self._request.forget()
            self.record.over(self._client.listener.address, self._client.host, incoming=True)

    def broken(self) -> None:
        """The connection has ended before the response."""
        if self._over:
            return
        self._request.abort()
        if self._response is not None:
            self._response.fail()
        self.over()
