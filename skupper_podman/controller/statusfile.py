"""Writes the network status file: rarely, wholly, and only when it says something new.

What always holds: readers see a complete document at any time; a burst of changes costs one write; a failed write is
tried again every second and said once.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from skupper_podman.controller.log import log
from skupper_podman.errors import SkupperError
from skupper_podman.files import write_atomic

#: A change waits this long for more, but never longer than LATEST after the first one (seconds).
QUIET: Final = 0.25
LATEST: Final = 0.5
#: After an action, rest this many times as long as it took.
REST: Final = 5.0
#: An unchanged file's time is renewed this often, so that its age shows whether the controller lives.
_TOUCH: Final = 30.0
_RETRY: Final = 1.0


class Debounce:
    """When to act on changes that come in bursts. Times in seconds of any clock that never goes back."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._last = 0.0
        self._rest = 0.0

    def acted(self, began: float, ended: float) -> None:
        """The action took this long; in a huge network it may use a sixth of the time, not all of it."""
        self._rest = ended + REST * (ended - began)

    def change(self, now: float) -> None:
        """Something changed."""
        self._first = now if self._first is None else self._first
        self._last = now

    def due(self, now: float) -> bool:
        """Whether to act now; then the burst is over."""
        if self._first is None or now < max(self._rest, min(self._last + QUIET, self._first + LATEST)):
            return False
        self._first = None
        return True


class StatusFile:
    """The file, and what was last written to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: bytes | None = None
        self._wanted: bytes | None = None
        self._retry = 0.0
        self._touched = 0.0
        #: why the file could not be written, empty when it was
        self.failure = "not written yet"

    def write(self, text: str, now: float) -> None:
        """Write the document unless the file has it already."""
        self._wanted = text.encode("utf-8", "replace")
        self._retry = now
        self.tick(now)

    def tick(self, now: float) -> None:
        """Try again what failed; renew the time of an unchanged file."""
        if self._wanted is None or now < self._retry:
            return
        if self._wanted != self._written:
            self._try(self._wanted, now)
        elif now - self._touched >= _TOUCH:
            try:
                if self._path.stat().st_size != len(self._wanted):
                    raise OSError("cut off")
                os.utime(self._path)
                self._touched = now
            except OSError:
                # Removed, cut off or replaced by someone: write it again.
                self._try(self._wanted, now)

    def _try(self, content: bytes, now: float) -> None:
        try:
            write_atomic(self._path, content, 0o644)
        except SkupperError as error:
            if error.message != self.failure:
                log(error.message)
            self.failure = error.message
            self._written = None
            self._retry = now + _RETRY
            return
        self._written, self._touched, self.failure = content, now, ""
