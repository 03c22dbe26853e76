"""How a message passes through the router: from one `Source` to one `Sink`, in pieces, and outcomes back.

A source is where octets come from: an AMQP delivery being received, a TCP socket, the router itself.
A sink is where they go: an AMQP delivery being sent, a TCP socket, a handler in this process.
What always holds:

* `Sink.begin` is called once and first, `finish` or `abort` at most once each; `abort` also after
  `finish`, when the source is gone for good and will take no outcome any more;
* a chunk given to `write` is only valid during the call; a sink that needs it later copies it;
* a source that is told `congested` may write what it holds, then stops until its `resume` is called;
* outcomes go back through `Source.outcome`, the last one with `settled` set; after that the sink has
  forgotten the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from skupper_podman.routerd.amqp.wire import ACCEPTED, MODIFIED, REJECTED, RELEASED
from skupper_podman.routerd.message import Head, RouterAnnotations

Chunk = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Outcome:
    """A delivery state on its way back: state code, error, the flags of `modified`, and whether it is final."""

    state: int
    settled: bool
    condition: tuple[str, str] | None = None
    failed: bool = False
    undeliverable: bool = False


ACCEPTED_SETTLED: Final = Outcome(ACCEPTED, True)
RELEASED_SETTLED: Final = Outcome(RELEASED, True)
RELEASED_OPEN: Final = Outcome(RELEASED, False)
FAILED_SETTLED: Final = Outcome(MODIFIED, True, failed=True)
FAILED_OPEN: Final = Outcome(MODIFIED, False, failed=True)


def rejected(name: str, description: str) -> Outcome:
    """A final rejection with its AMQP error."""
    return Outcome(REJECTED, True, (name, description))


class Start:
    """The beginning of a message: what is known of it and the octets that have arrived so far.

    `rest` holds everything received behind the router-annotations section; the body begins in it at
    `body_at`. `annotations` are those to be sent on. `complete` tells that no octet will follow.
    """

    __slots__ = ("annotations", "body_at", "complete", "head", "priority", "rest", "settled")

    def __init__(
        self,
        head: Head,
        annotations: RouterAnnotations,
        rest: Chunk,
        body_at: int,
        *,
        settled: bool,
        complete: bool,
    ) -> None:
        self.head = head
        self.annotations = annotations
        self.rest = rest
        self.body_at = body_at
        self.settled = settled
        self.complete = complete
        self.priority = head.priority

    @property
    def body(self) -> Chunk:
        """The octets of the body that have arrived."""
        return memoryview(self.rest)[self.body_at :]


class Source(Protocol):
    """Where the octets of a message come from; told what became of them."""

    def received(self, offset: int) -> None:
        """The far end has taken `offset` octets of the body in all (`received` with section-offset)."""

    def outcome(self, outcome: Outcome) -> None:
        """The far end has decided; when `outcome.settled`, this is the last call."""

    def resume(self) -> None:
        """The congestion that was seen has passed."""


class Discard:
    """A sink for what a consumer that is far behind cannot take any more: released, or dropped if settled."""

    def congested(self) -> bool:
        """Nothing waits here."""
        return False

    def begin(self, _start: Start, source: Source) -> None:
        """Give the message back."""
        source.outcome(RELEASED_SETTLED)

    def write(self, _chunk: Chunk) -> None:
        """Nobody wants it."""

    def finish(self) -> None:
        """It is over already."""

    def abort(self) -> None:
        """It is over already."""


class Sink(Protocol):
    """Where the octets of a message go."""

    def congested(self) -> bool:
        """Whether the source should pause. True is also the promise to call its `resume` later."""

    def begin(self, start: Start, source: Source) -> None:
        """Take the beginning of the message."""

    def write(self, chunk: Chunk) -> None:
        """Take further octets."""

    def finish(self) -> None:
        """The message is complete."""

    def abort(self) -> None:
        """The message will never be complete, or nobody waits for its outcome any more."""
