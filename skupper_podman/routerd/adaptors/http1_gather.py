"""A client's request to all servers of a multicast address, answered when all of them have.

What always holds: the request is answered when it is settled, which far ends do after their response was;
servers that fail are left out; no response at all is answered 204.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11

from skupper_podman.routerd.adaptors.http1_aggregate import FORMS, MOST_OCTETS, Part
from skupper_podman.routerd.adaptors.http1_exchange import ClientExchange
from skupper_podman.routerd.adaptors.http1_messages import BodyParser, is_chunked, to_client
from skupper_podman.routerd.adaptors.http1_parse import RequestHead
from skupper_podman.routerd.adaptors.http_heads import HttpHead, read_head
from skupper_podman.routerd.adaptors.http_streams import IncomingMessage
from skupper_podman.routerd.amqp.wire import discriminator
from skupper_podman.routerd.streams import Chunk, Outcome, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.adaptors.http1_client import Http1Client


class _Collected:
    """A response that is coming."""

    def __init__(self, head: HttpHead, parser: BodyParser) -> None:
        self.head = head
        self.parser = parser
        self.body = bytearray()


class GatheringExchange(ClientExchange):
    """A request whose responses are put together."""

    def __init__(self, client: Http1Client, asked: RequestHead, number: int) -> None:
        super().__init__(client, asked, number)
        self._coming: dict[IncomingMessage, _Collected] = {}
        self._parts: list[Part] = []
        self._octets = 0

    def message_begun(self, message: IncomingMessage, start: Start) -> None:
        """Another server answers."""
        head = read_head(start.head)
        response = to_client(head)
        if self._over or response.status < 200:
            return
        self.record.site = start.head.group_id or ""
        bodiless = self._head.subject == "HEAD" or response.status in (204, 304)
        self._coming[message] = _Collected(head, BodyParser(chunked=not bodiless and is_chunked(head)))

    def message_octets(self, message: IncomingMessage, octets: Chunk) -> None:
        """Keep a piece of its body."""
        collected = self._coming.get(message)
        if collected is None:
            return
        for piece in collected.parser.feed(octets):
            self._octets += len(piece)
            if self._octets > MOST_OCTETS:
                raise ValueError("responses are too large to be put together")
            collected.body += piece

    def message_ended(self, message: IncomingMessage) -> None:
        """It is complete."""
        collected = self._coming.pop(message, None)
        if collected is not None:
            collected.parser.end()
            self._parts.append(Part(collected.head, bytes(collected.body)))
        message.accept()

    def message_broken(self, message: IncomingMessage) -> None:
        """It will not be complete."""
        self._coming.pop(message, None)

    def message_congested(self) -> bool:
        """What comes is kept, up to the limit."""
        return False

    def _decided(self, _outcome: Outcome) -> None:
        """All have answered, or there is nobody to answer."""
        if self._over:
            return
        if not self._parts:
            self._no_content()
            return
        self.record.answered("200")
        content_type, body = FORMS[self._client.listener.aggregation](self._parts, discriminator())
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        self._write(h11.Response(status_code=200, headers=headers, reason=b"OK"))
        if self._head.subject != "HEAD":
            self._write(h11.Data(data=body))
        self._write(h11.EndOfMessage())
        self._client.response_ended()

    def broken(self) -> None:
        """The client is gone."""
        for message in list(self._coming):
            message.fail()
        self._coming.clear()
        super().broken()
