"""The two messages of an HTTP exchange as the router moves them: one going out, one coming in.

`OutgoingMessage` is the source of what an adaptor has read from its socket, `IncomingMessage` the sink
of what it will write there. What always holds: a message that is complete when it is sent travels as
one, any other as a stream that each hop may hold back; every incoming message gets exactly one final
outcome, or its source is gone; nothing is written after an outcome that ends the message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from skupper_podman.routerd.amqp.wire import ACCEPTED
from skupper_podman.routerd.message import STREAMING, Head, RouterAnnotations
from skupper_podman.routerd.streams import (
    ACCEPTED_SETTLED,
    FAILED_SETTLED,
    Chunk,
    Outcome,
    Sink,
    Source,
    Start,
    rejected,
)

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

_STREAM = RouterAnnotations(flags=STREAMING)
_WHOLE = RouterAnnotations()


class OutgoingMessage:
    """The source of a message. `resumed` is called when a pause is over, `decided` once with the last outcome.

    `decided` comes early, before the message is settled, when the far end has refused what it has not got yet.
    """

    def __init__(self, router: Router, resumed: Callable[[], None], decided: Callable[[Outcome], None]) -> None:
        self._router = router
        self._resumed = resumed
        self._decided: Callable[[Outcome], None] | None = decided
        self._sink: Sink | None = None
        self.begun = False
        self.finished = False

    def send(self, octets: bytes, head: Head, body: bytes, *, complete: bool) -> None:
        """Begin the message; `octets` are the sections of the head, `body` what there is of the body."""
        self.begun = True
        self.finished = complete
        router = self._router
        annotations = router.outgoing_annotations(_WHOLE if complete else _STREAM)
        start = Start(head, annotations, octets + body, len(octets), settled=False, complete=complete)
        found = router.route_local(router.namespace.key(head.to or ""), start)
        if isinstance(found, Outcome):
            self._end(found)
            return
        self._sink = found
        found.begin(start, self)
        if complete and self._sink is not None:
            self._sink.finish()

    @property
    def undecided(self) -> bool:
        """Whether the last outcome is still to come."""
        return self._decided is not None

    def write(self, sections: bytes) -> None:
        """Send further octets of the body."""
        if self._sink is not None and sections and not self.finished:
            self._sink.write(sections)

    def congested(self) -> bool:
        """Whether to pause until `resumed` is called."""
        return self._sink is not None and not self.finished and self._sink.congested()

    def finish(self) -> None:
        """The message is complete."""
        if not self.finished:
            self.finished = True
            if self._sink is not None:
                self._sink.finish()

    def forget(self) -> None:
        """Ask for no decision any more: a message that is finished goes its way, any other is broken off."""
        self._decided = None
        if not self.finished:
            self.abort()

    def abort(self) -> None:
        """Break the message off, or stop waiting for its outcome."""
        self._decided = None
        self.finished = True
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abort()

    # -- as a source -------------------------------------------------------------------------------

    def received(self, offset: int) -> None:
        """HTTP adaptors have no window of their own."""

    def outcome(self, outcome: Outcome) -> None:
        """What became of the message."""
        if outcome.settled:
            self._sink = None
            self._end(outcome)
        elif outcome.state != ACCEPTED:
            self.finish()
            self._end(outcome)

    def resume(self) -> None:
        """The pause is over."""
        if self._sink is not None and not self.finished:
            self._resumed()

    def _end(self, outcome: Outcome) -> None:
        decided, self._decided = self._decided, None
        if decided is not None:
            decided(outcome)


class Taker(Protocol):
    """Who takes an incoming message."""

    def message_begun(self, message: IncomingMessage, start: Start) -> None:
        """The head is there; raises ValueError when it is of no use."""

    def message_octets(self, message: IncomingMessage, octets: Chunk) -> None:
        """Octets of the body, with their sections; valid only during the call. Raises ValueError."""

    def message_ended(self, message: IncomingMessage) -> None:
        """The message is complete; whoever takes it settles it. Raises ValueError."""

    def message_broken(self, message: IncomingMessage) -> None:
        """The message is malformed or broken off, or nobody waits for its outcome any more."""

    def message_congested(self) -> bool:
        """Whether the source should pause; True is the promise to call `resume` of the message."""


class IncomingMessage:
    """The sink of one message for a `Taker`."""

    def __init__(self, taker: Taker) -> None:
        self._taker: Taker | None = taker
        self._source: Source | None = None
        self._settled = False

    # -- as a sink ---------------------------------------------------------------------------------

    def congested(self) -> bool:
        """Whether the taker has enough for now."""
        taker = self._taker
        return taker is not None and taker.message_congested()

    def begin(self, start: Start, source: Source) -> None:
        """Take the head and what there is of the body."""
        self._source = source
        self._settled = start.settled
        if self._taker is not None:
            try:
                self._taker.message_begun(self, start)
            except ValueError as error:
                self._refuse(error)
        if len(start.rest) > start.body_at:
            self.write(start.body)

    def write(self, chunk: Chunk) -> None:
        """Pass octets on."""
        if self._taker is not None:
            try:
                self._taker.message_octets(self, chunk)
            except ValueError as error:
                self._refuse(error)

    def finish(self) -> None:
        """Pass the end on."""
        if self._taker is not None:
            try:
                self._taker.message_ended(self)
            except ValueError as error:
                self._refuse(error)

    def abort(self) -> None:
        """The source is gone."""
        self._source = None
        self._settled = True
        self._break()

    def _refuse(self, error: ValueError) -> None:
        self._break()
        self.settle(rejected("amqp:decode-error", str(error)))

    def _break(self) -> None:
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.message_broken(self)

    # -- for the taker -----------------------------------------------------------------------------

    def resume(self) -> None:
        """Let the source go on."""
        if self._source is not None:
            self._source.resume()

    def accept(self) -> None:
        """The message has been taken completely."""
        self.settle(ACCEPTED_SETTLED)

    def fail(self) -> None:
        """Something was done with the message, and it went wrong."""
        self.settle(FAILED_SETTLED)

    def settle(self, outcome: Outcome) -> None:
        """Decide finally on the message and forget its source and its taker; the first decision counts."""
        self._taker = None
        source, self._source = self._source, None
        if source is not None and not self._settled:
            self._settled = True
            source.outcome(outcome)
