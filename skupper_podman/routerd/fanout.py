"""One message to several sinks, and their outcomes as one.

What always holds: one outcome goes back, after all copies have theirs: rejected if any was rejected,
else accepted if any was accepted, else modified, else released; states on the way there are not passed
on, for they would speak of one copy only.
"""

from __future__ import annotations

from collections.abc import Callable

from skupper_podman.routerd.amqp.wire import ACCEPTED, MODIFIED, REJECTED
from skupper_podman.routerd.streams import RELEASED_SETTLED, Chunk, Outcome, Sink, Source, Start

_ORDER = (REJECTED, ACCEPTED, MODIFIED)


class _Copy:
    """The source as one of the sinks sees it."""

    __slots__ = ("_fan", "over")

    def __init__(self, fan: FanOut) -> None:
        self._fan = fan
        self.over = False

    def received(self, offset: int) -> None:
        """Of no meaning for several copies."""

    def outcome(self, outcome: Outcome) -> None:
        if outcome.settled and not self.over:
            self.over = True
            self._fan.collected(outcome)

    def resume(self) -> None:
        self._fan.resume()


class FanOut:
    """A sink that copies to several."""

    def __init__(self, sinks: list[Sink]) -> None:
        self._sinks = sinks
        self._outcomes: list[Outcome] = []
        self._source: Source | None = None

    def congested(self) -> bool:
        """True while any of the sinks is: the slowest sets the pace."""
        waiting = [sink.congested() for sink in self._sinks]  # each must be asked: each promises to resume us
        return any(waiting)

    def distrust(self) -> None:
        """The sender keeps to no window."""
        for sink in self._sinks:
            distrust: Callable[[], None] | None = getattr(sink, "distrust", None)
            if distrust is not None:
                distrust()

    def begin(self, start: Start, source: Source) -> None:
        """Begin every copy."""
        self._source = source
        for sink in self._sinks:
            sink.begin(start, _Copy(self))

    def write(self, chunk: Chunk) -> None:
        """Write to every copy."""
        for sink in self._sinks:
            sink.write(chunk)

    def finish(self) -> None:
        """Finish every copy."""
        for sink in self._sinks:
            sink.finish()

    def abort(self) -> None:
        """Abort every copy."""
        self._source = None
        for sink in self._sinks:
            sink.abort()

    def resume(self) -> None:
        """One sink takes octets again; the source goes on, and pauses again when another does not."""
        if self._source is not None:
            self._source.resume()

    def collected(self, outcome: Outcome) -> None:
        """One copy has its outcome."""
        self._outcomes.append(outcome)
        source = self._source
        if len(self._outcomes) < len(self._sinks) or source is None:
            return
        self._source = None
        source.outcome(_combined(self._outcomes))


def _combined(outcomes: list[Outcome]) -> Outcome:
    for state in _ORDER:
        for outcome in outcomes:
            if outcome.state == state:
                return outcome
    return RELEASED_SETTLED
