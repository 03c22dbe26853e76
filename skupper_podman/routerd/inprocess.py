"""Addresses served inside the router: management, routing, flow records.

What always holds: a handler gets complete messages only, none larger than `MAX_MESSAGE`; a handler that
raises costs its message a rejection and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from skupper_podman.routerd.codec import CodecError
from skupper_podman.routerd.message import Message, RouterAnnotations
from skupper_podman.routerd.streams import ACCEPTED_SETTLED, Chunk, Outcome, Source, Start, rejected

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

MAX_MESSAGE: Final = 4 * 1024 * 1024

Handler = Callable[[Message], None]


class Subscription:
    """An in-process consumer of one address."""

    conn = None
    mesh = None
    is_edge = False
    in_process = True
    capacity = 1 << 30

    def __init__(self, router: Router, key: str, handler: Handler) -> None:
        self.router = router
        self.key = key
        self.handler = handler

    def backlog(self) -> int:
        """Handlers finish at once."""
        return 0

    def sink(self, _start: Start) -> HandlerSink:
        """A sink for one message."""
        return HandlerSink(self)


class HandlerSink:
    """Collects one message for a handler."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._octets = bytearray()
        self._source: Source | None = None
        self._annotations: RouterAnnotations | None = None
        self._over = False

    def congested(self) -> bool:
        """Handlers take what comes."""
        return False

    def begin(self, start: Start, source: Source) -> None:
        """Start collecting."""
        self._source = source
        self._annotations = start.head.annotations
        self.write(start.rest)

    def write(self, chunk: Chunk) -> None:
        """Collect, up to the limit."""
        if self._over:
            return
        self._octets += chunk
        if len(self._octets) > MAX_MESSAGE:
            self._end(rejected("amqp:link:message-size-exceeded", "message too large"))

    def finish(self) -> None:
        """Hand the message over."""
        if self._over:
            return
        try:
            message = Message.decode(bytes(self._octets))
        except CodecError as error:
            self._end(rejected("amqp:decode-error", str(error)))
            return
        octets = bytes(self._octets)
        self._end(ACCEPTED_SETTLED)
        self._hand_over(replace(message, annotations=self._annotations), octets)

    def _hand_over(self, message: Message, _octets: bytes) -> None:
        self._subscription.router.handle_safely(lambda: self._subscription.handler(message))

    def abort(self) -> None:
        """Forget the message."""
        self._over = True
        self._source = None
        self._octets.clear()

    def _end(self, outcome: Outcome) -> None:
        self._over = True
        self._octets = bytearray()
        source, self._source = self._source, None
        if source is not None:
            source.outcome(outcome)


class ControlSink(HandlerSink):
    """Collects a routing message that came over a neighbour's control link."""

    def __init__(self, router: Router, conn: int) -> None:
        super().__init__(Subscription(router, "", lambda _message: None))
        self._conn = conn

    def _hand_over(self, message: Message, octets: bytes) -> None:
        router = self._subscription.router
        neighbours = router.neighbours
        if neighbours is not None:
            router.handle_safely(lambda: neighbours.message(self._conn, message, octets))


class NoSource:
    """The source of what the router itself sends presettled: it waits for nothing."""

    def received(self, offset: int) -> None:
        """Of no interest."""

    def outcome(self, outcome: Outcome) -> None:
        """Of no interest."""

    def resume(self) -> None:
        """Nothing was paused."""


NO_SOURCE: Final = NoSource()
