"""File locks (flock), so that two commands, or a command and a 1.9 program, never change the same thing at once.

What always holds: a lock is bound to the open file, so it goes away with its process however that ends; the lock file
itself stays (removing it would let two holders in). Waiting is bounded.
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


@contextlib.contextmanager
def locked(
    path: Path,
    *,
    timeout: float,
    mode: int = 0o600,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold an exclusive lock on ``path``, made with ``mode`` if absent; wait at most ``timeout`` seconds for it.

    Raises:
        ConflictError: another process still holds it after ``timeout``.
        PlatformError: the file cannot be made or opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        raise PlatformError(f"cannot open lock file {path}: {error.strerror}") from error
    with held(descriptor, str(path), timeout=timeout, clock=clock, sleep=sleep):
        yield


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
