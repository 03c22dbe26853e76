"""How often a claim's password may be guessed: a few times at once, then ever more rarely.

What always holds: a right password ends the count; only claims that exist are counted, so memory is bounded by the
claims of the site and, beyond that, by a fixed number. Times are seconds of any clock that never goes back.
"""

from __future__ import annotations

from typing import Final

FREE: Final = 5
"""Wrong passwords that cost nothing but their answer."""
LONGEST: Final = 60.0
"""Seconds between two guesses at most; 1,440 guesses a day find no password of 24 characters, nor one of eight."""
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
