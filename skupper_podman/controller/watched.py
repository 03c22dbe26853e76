"""A file that others write, looked at from time to time.

What always holds: it is read only after it was replaced or changed, and never more of it than its limit.
"""

from __future__ import annotations

from pathlib import Path


class WatchedFile:
    """One file of at most ``limit`` bytes; it need not exist."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._seen: tuple[int, ...] | None = None

    @property
    def exists(self) -> bool:
        """Whether it was there at the last look."""
        return bool(self._seen)

    def changed(self) -> bytes | None:
        """Its content if it changed since the last call, else None. A missing file is empty.

        Raises:
            OSError: it cannot be read. ValueError: it is too large. Both are said once for each change.
        """
        try:
            facts = self._path.stat()
            seen: tuple[int, ...] = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
        except (FileNotFoundError, NotADirectoryError):
            seen = ()
        if seen == self._seen:
            return None
        self._seen = seen
        if not seen:
            return b""
        with self._path.open("rb") as file:
            content = file.read(self._limit + 1)
        if len(content) > self._limit:
            raise ValueError(f"larger than {self._limit} bytes")
        return content
