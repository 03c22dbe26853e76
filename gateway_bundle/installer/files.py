"""Writing files so that they are never half there, and taking it back when what follows fails.

What always holds: of one file there is one writer at a time, by :func:`installer.state.locked` or :func:`held`. So what
lies beside it under a temporary name was left by one that was killed, and the next one sweeps it.
"""

import contextlib
import fcntl
import functools
import glob
import os
import shutil
import tempfile
from typing import Callable, Iterator, List, Optional, Tuple

File = Tuple[str, bytes, int]
"""Path, content and mode."""


class Changes:
    """File changes that were made, with their undos."""

    def __init__(self) -> None:
        self._undos: List[Callable[[], None]] = []

    def write(self, path: str, content: bytes, mode: int) -> None:
        """Replace a file; its owner is that of its directory."""
        self.write_together([(path, content, mode)])

    def write_together(self, files: List[File]) -> None:
        """Replace files that belong together, so that they are of one kind at almost any moment."""
        for path, _content, _mode in files:
            before = read(path)
            if before is None:
                self._undos.append(functools.partial(os.unlink, path))
            else:
                mode = os.stat(path).st_mode & 0o777
                self._undos.append(functools.partial(write, path, before, mode))
        write_together(files)

    def undone_by(self, undo: Callable[[], None]) -> None:
        """Remember how a change is undone that is about to be made elsewhere; it may never be made."""
        self._undos.append(undo)

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
    write_together([(path, content, mode)])


def write_together(files: List[File]) -> None:
    """Replace files; all are on the disk before the first takes its place."""
    with contextlib.ExitStack() as stack:
        staged = [(stack.enter_context(_staged(*file)), file[0]) for file in files]
        for temporary, path in staged:
            os.rename(temporary, path)


@contextlib.contextmanager
def _staged(path: str, content: bytes, mode: int) -> Iterator[str]:
    """What is to be at `path`, on the disk beside it; if it is not taken, nothing is left."""
    directory, name = os.path.split(path)
    sweep(path)
    handle, temporary = tempfile.mkstemp(prefix=_beside(name), dir=directory)  # 0600 from the first byte
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        owner = os.stat(directory)
        if os.getuid() == 0 and owner.st_uid != 0:
            os.chown(temporary, owner.st_uid, owner.st_gid)
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _beside(name: str) -> str:
    """How the temporary names of a file begin."""
    return ".%s.new-" % name


def left_beside(path: str) -> List[str]:
    """What writers of this file left that were killed."""
    directory, name = os.path.split(path)
    return glob.glob(os.path.join(glob.escape(directory), glob.escape(_beside(name)) + "*"))


def sweep(path: str) -> None:
    """Remove what writers of this file left that were killed."""
    for left in left_beside(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(left)


@contextlib.contextmanager
def held(directory: str) -> Iterator[None]:
    """Keep others who do the same out of a directory, as long as they are at work. No file is left of it."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
