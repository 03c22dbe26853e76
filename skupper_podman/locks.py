"""File locks (flock), so that two commands, or a command and a 1.9 program, never change the same thing at once.

What always holds: a lock is bound to the open file, so it goes away with its process however that ends. A lock file of
ours is there while it is held, and no longer: its holder removes it before letting go, and who waited for a file that
was removed meanwhile holds nothing and begins anew (only a killed process leaves its own, to the next one). Waiting is
bounded. Who holds a lock may leave a note in its file for others to read: it means nothing once the lock is free, so no
note outlives who wrote it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from skupper_podman.errors import ConflictError, PlatformError

_POLL = 0.05
_NOTE_LIMIT = 1 << 16


class Lock:
    """A lock that is held."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def note(self, content: bytes) -> None:
        """Leave a note, instead of an earlier one, for as long as the lock is held.

        Raises:
            PlatformError: it cannot be written.
        """
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, content, 0)
        except OSError as error:
            raise PlatformError(f"cannot write to the lock file: {error.strerror}") from error


@contextlib.contextmanager
def locked(
    path: Path,
    *,
    timeout: float,
    mode: int = 0o600,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Lock]:
    """Hold an exclusive lock on ``path``, made with ``mode`` if absent; wait at most ``timeout`` seconds for it.

    Raises:
        ConflictError: another process still holds it after ``timeout``.
        PlatformError: the file cannot be made or opened.
    """
    deadline = clock() + timeout
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = os.open(path, flags, mode)
        except OSError as error:
            raise PlatformError(f"cannot open lock file {path}: {error.strerror}") from error
        with held(descriptor, str(path), timeout=max(deadline - clock(), 0), clock=clock, sleep=sleep):
            if not _is_at(descriptor, path):
                continue  # it was removed by who held it until now
            try:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, 0)  # the note of who held it before
                yield Lock(descriptor)
            finally:
                if _is_at(descriptor, path):
                    with contextlib.suppress(OSError):
                        path.unlink()
        return


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that ``path`` names."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False


def note_of(path: Path) -> bytes | None:
    """What the process that holds the lock noted (empty: nothing); None if nobody holds it, or it cannot be told.

    Asking never makes anybody else who asks believe that the lock is held.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return None
            # Removed since it was opened: somebody else may hold the one that is there now.
        except BlockingIOError:
            return os.pread(descriptor, _NOTE_LIMIT, 0)
        except OSError:
            return None
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def held(
    descriptor: int,
    name: str,
    *,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Lock the open file ``descriptor``, and close it at the end; ``name`` is used in messages.

    Raises:
        ConflictError: another process still holds it after ``timeout``.
    """
    try:
        _acquire(descriptor, name, timeout, clock, sleep)
        yield
    finally:
        os.close(descriptor)  # releases the lock


def _acquire(
    descriptor: int, name: str, timeout: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    deadline = clock() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if clock() >= deadline:
                raise ConflictError(
                    f"another skupper command is still at work (lock {name} is held)",
                    f"wait for it, or see who holds it: fuser -v {name}",
                ) from None
        sleep(_POLL)
