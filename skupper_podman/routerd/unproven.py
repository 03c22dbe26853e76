"""Connections whose peer has not shown yet who it is: not opened, no handshake finished, nothing asked.

Why: every listener gives such a peer a while, and one that opens many connections and says nothing on them could use up
all descriptors for that while. What always holds: when descriptors run out, the oldest of these connections are given
up first, and none that is younger than `GRACE` seconds or has proved itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from skupper_podman.routerd.loop import Loop

GRACE: Final = 2.0
#: Connections given up at a time.
_BATCH: Final = 32


class Unproven:
    """The unproven connections of one router, in the order of their coming."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: dict[object, tuple[float, Callable[[], None]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, connection: object, close: Callable[[], None]) -> None:
        """A connection was accepted; `close` gives it up."""
        self._waiting[connection] = (self._loop.now, close)

    def remove(self, connection: object) -> None:
        """It has proved itself, or is gone; unknown ones are ignored."""
        self._waiting.pop(connection, None)

    def shed(self) -> None:
        """Descriptors have run out: give the oldest up."""
        old = [item for item in self._waiting.items() if self._loop.now - item[1][0] >= GRACE]
        for connection, (_, close) in old[:_BATCH]:
            self.remove(connection)
            close()
