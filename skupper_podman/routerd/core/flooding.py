"""Which copies of a message to all routers are passed on.

Why: such a message is passed to every neighbour that it has not met. Where many paths lead everywhere, the number of
copies grows with the number of paths, which is exponential in the number of routers; one copy for each is enough.

What always holds: of equal messages within `MEMORY` seconds one is passed on, and another only when it has come a
shorter way: its trace reaches routers that the first one's could not. At most `MOST` messages are remembered.
"""

from __future__ import annotations

from typing import Final

MEMORY: Final = 1.0
MOST: Final = 4096


class Floods:
    """What one router has passed on lately, by a hash of the message without its router annotations."""

    def __init__(self) -> None:
        self._passed: dict[int, tuple[float, int]] = {}

    def fresh(self, digest: int, hops: int, now: float) -> bool:
        """Whether a message that has come over ``hops`` routers is to be passed on; then it is remembered."""
        known = self._passed.get(digest)
        if known is not None and now - known[0] < MEMORY and hops >= known[1]:
            return False
        if len(self._passed) >= MOST:
            self._passed = {key: entry for key, entry in self._passed.items() if now - entry[0] < MEMORY}
            if len(self._passed) >= MOST:
                self._passed.clear()
        self._passed[digest] = (now, hops)
        return True
