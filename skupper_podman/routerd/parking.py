"""Replies to an edge router that this router has not heard of yet.

When routers have just met, one may know a service behind the other before the other knows the edge that
calls it: the reply then arrives before the announcement of its destination. What always holds: such a
message waits at most `LIMIT` seconds and holds at most `MOST` octets before its source must pause, and
no further one waits while all hold `MOST_OF_ALL`;
then it goes its way, or its source is told that there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from skupper_podman.routerd.streams import RELEASED_OPEN, RELEASED_SETTLED, Chunk, Outcome, Sink, Source, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

LIMIT: Final = 3.0
MOST: Final = 2 * 1024 * 1024
MOST_OF_ALL: Final = 32 * 1024 * 1024
#: What a waiting message costs besides its octets.
_OVERHEAD: Final = 4096


class Parked:
    """A sink that waits for its destination; `retry` asks for the way again."""

    def __init__(self, router: Router, key: str, retry: Callable[[], Sink | Outcome]) -> None:
        self._router = router
        self._key = key
        self._retry = retry
        self._chunks: list[bytes] = []
        self._size = 0
        self._finished = False
        self._paused = False
        self._start: Start | None = None
        self._source: Source | None = None
        self._sink: Sink | None = None
        self._watch: int | None = None
        self._timer = router.loop.call_later(LIMIT, self._give_up)

    def congested(self) -> bool:
        """True when enough is waiting."""
        if self._sink is not None:
            return self._sink.congested()
        self._paused = self._size > MOST
        return self._paused

    def begin(self, start: Start, source: Source) -> None:
        """Wait for the destination."""
        self._start = start
        self._source = source
        self._grow(_OVERHEAD + len(start.rest))
        self._watch = self._router.watch(self._key, self._reachable)

    def write(self, chunk: Chunk) -> None:
        """Keep the octets, or pass them on."""
        if self._sink is not None:
            self._sink.write(chunk)
        elif self._start is not None:
            self._chunks.append(bytes(chunk))
            self._grow(len(chunk))

    def finish(self) -> None:
        """Remember the end, or pass it on."""
        if self._sink is not None:
            self._sink.finish()
        self._finished = True

    def abort(self) -> None:
        """The source is gone."""
        sink = self._sink
        self._leave()
        if sink is not None:
            sink.abort()

    def _grow(self, size: int) -> None:
        self._size += size
        self._router.switch.parked += size

    def _leave(self) -> None:
        self._grow(-self._size)
        self._timer.cancel()
        self._start = None
        self._source = None
        self._chunks.clear()
        if self._watch is not None:
            self._router.unwatch(self._key, self._watch)
            self._watch = None

    def _reachable(self, reachable: bool) -> None:
        start, source = self._start, self._source
        if not reachable or start is None or source is None:
            return
        found = self._retry()
        if isinstance(found, Outcome):
            return
        start.rest = b"".join((start.rest, *self._chunks))
        self._leave()
        self._sink = found
        found.begin(start, source)
        if self._finished:
            found.finish()
        elif self._paused:
            source.resume()

    def _give_up(self) -> None:
        source = self._source
        self._leave()
        if source is not None:
            source.outcome(RELEASED_SETTLED if self._finished else RELEASED_OPEN)
            if not self._finished:
                source.outcome(RELEASED_SETTLED)
