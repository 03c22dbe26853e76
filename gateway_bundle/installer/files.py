"""Writing files so that they are never half there, and taking it back when what follows fails."""

import contextlib
import fcntl
import functools
import os
import shutil
import tempfile
from typing import Callable, Iterator, List, Optional


class Changes:
    """File changes that were made, with their undos."""

    def __init__(self) -> None:
        self._undos: List[Callable[[], None]] = []

    def write(self, path: str, content: bytes, mode: int) -> None:
        """Replace a file; its owner is that of its directory."""
        before = read(path)
        before_mode = os.stat(path).st_mode & 0o777 if before is not None else mode
        write(path, content, mode)
        if before is None:
            self._undos.append(lambda: os.unlink(path))
        else:
            kept = before
            self._undos.append(lambda: write(path, kept, before_mode))

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        before = read(path)
        if before is None:
            return
        mode = os.stat(path).st_mode & 0o777
        kept = before
        os.unlink(path)
        self._undos.append(lambda: write(path, kept, mode))

    def directory(self, path: str, mode: int) -> None:
        """Make a directory and those above it, as far as they are missing."""
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for place in reversed(missing):
            os.mkdir(place, mode)
            os.chmod(place, mode)
            self._undos.append(functools.partial(shutil.rmtree, place, ignore_errors=True))

    def undo(self) -> None:
        """Put everything back, the last change first."""
        while self._undos:
            try:
                self._undos.pop()()
            except OSError:
                continue  # the others still count

    def keep(self) -> None:
        """From now on nothing is taken back."""
        self._undos = []


def read(path: str) -> Optional[bytes]:
    """Content of a file, None if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def write(path: str, content: bytes, mode: int) -> None:
    """Replace a file at once, or fail and leave what was there."""
    directory = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=directory)  # 0600 from the first byte
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        owner = os.stat(directory)
        if os.getuid() == 0 and owner.st_uid != 0:
            os.chown(temporary, owner.st_uid, owner.st_gid)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextlib.contextmanager
def held(directory: str) -> Iterator[None]:
    """Keep others who do the same out of a directory, as long as they are at work. No file is left of it."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
