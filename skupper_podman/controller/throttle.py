"""How often a claim's password may be guessed (a few times at once, then ever more rarely), and how much is said of it.

What always holds: a right password ends the count; only claims that exist are counted, so memory is bounded by the
claims of the site and, beyond that, by a fixed number; strangers cannot fill the log. Times are seconds of any clock
that never goes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FREE: Final = 5
"""Wrong passwords that cost nothing but their answer."""
LONGEST: Final = 60.0
"""Seconds between two guesses at most; 1,440 guesses a day find no password of 24 characters, nor one of eight."""
LINES: Final = 20
"""Refusals told of in a minute."""
_KEPT: Final = 4096


class Throttle:
    """Counts wrong passwords by claim."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, float]] = {}

    def closed(self, name: str, now: float) -> bool:
        """Whether no password is looked at for this claim now."""
        count, until = self._failures.get(name, (0, now))
        return count > FREE and now < until

    def failed(self, name: str, now: float) -> None:
        """A password was wrong."""
        count = self._failures.pop(name, (0, 0.0))[0] + 1
        pause = min(LONGEST, 2.0 ** min(count - FREE - 1, 16))
        self._failures[name] = (count, now + pause)
        while len(self._failures) > _KEPT:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, name: str) -> None:
        """A password was right."""
        self._failures.pop(name, None)


class Teller:
    """Passes on lines that strangers cause: so many a minute, and then only how many there were."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._minute = clock()
        self._count = 0

    def tell(self, line: str) -> None:
        """Pass ``line`` on, unless there were too many."""
        now = self._clock()
        if now - self._minute >= 60.0:
            if self._count > LINES:
                self._tell(f"{self._count - LINES} more claims were refused")
            self._minute, self._count = now, 0
        self._count += 1
        if self._count <= LINES:
            self._tell(line)
