"""Shows what a command is doing, on stderr, only on a terminal, and only once it has taken a second.

What always holds: a command that is quick, or whose stderr is a file, shows nothing; what was shown stays as lines.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

PATIENCE: Final = 1.0
"""Seconds of silence before the first line."""


class Progress:
    """Announces the current activity. ``say`` is None where nothing may be shown."""

    def __init__(self, say: Callable[[str], None] | None, patience: float = PATIENCE) -> None:
        self._say = say
        self._patience = patience
        self._lock = threading.Lock()
        self._current = ""
        self._late = False
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        if self._say is not None:
            self._timer = threading.Timer(self._patience, self._overdue)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._say = None

    def __call__(self, activity: str) -> None:
        """``activity`` begins now."""
        with self._lock:
            self._current = activity
            if self._late:
                self._show()

    def _overdue(self) -> None:
        with self._lock:
            self._late = True
            self._show()

    def _show(self) -> None:
        if self._say is None or not self._current:
            return
        try:
            self._say(f"{self._current}\n")
        except OSError:  # the terminal is gone; that is no reason to stop the work
            self._say = None
