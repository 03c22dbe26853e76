"""The one gateway to files others read: atomic replacement with an explicit mode, and no way out of a directory tree.

What always holds: a reader sees the old content or the new, never a part; a new file has its mode from the first byte
(so a key is never readable for a moment); below a :class:`Tree` no symbolic link is followed, whoever put it there,
because a container may write the same directory; what a killed writer left is removed by the next change of that file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from skupper_podman.errors import InvalidError, NotFoundError, PlatformError

READ_LIMIT = 64 * 1024 * 1024
"""Largest file read into memory, in bytes; nothing a site keeps comes near it."""

_PLAIN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DIRECTORY = _PLAIN_DIRECTORY | os.O_NOFOLLOW


def write_atomic(path: Path, content: bytes, mode: int) -> None:
    """Replace ``path`` by ``content`` with permission bits ``mode``; a link at ``path`` is replaced, not followed.

    Raises:
        PlatformError: the directory is missing or not writable, or the disk is full.
    """
    try:
        directory = os.open(path.parent, _PLAIN_DIRECTORY)
    except OSError as error:
        raise _failure("open", path.parent, error) from error
    try:
        _replace(directory, path.name, content, mode)
    except OSError as error:
        raise _failure("write", path, error) from error
    finally:
        os.close(directory)


def read_bytes(path: Path) -> bytes | None:
    """Content of ``path``, None if there is no such file.

    Raises:
        PlatformError: it exists but cannot be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _failure("read", path, error) from error


def remove(path: Path) -> bool:
    """Remove the file or link ``path``; False if there was none.

    Raises:
        PlatformError: it exists but cannot be removed.
    """
    try:
        directory = os.open(path.parent, _PLAIN_DIRECTORY)
        try:
            _sweep(directory, path.name)
            os.unlink(path.name, dir_fd=directory)
        finally:
            os.close(directory)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _failure("remove", path, error) from error
    return True


def make_directories(path: Path, mode: int = 0o755) -> tuple[Path, ...]:
    """Make ``path`` and its missing parents with ``mode``; returns those made, outermost first (so they can be undone).

    Raises:
        PlatformError: one of them cannot be made.
    """
    missing = []
    probe = path
    while not probe.is_dir() and probe != probe.parent:
        missing.append(probe)
        probe = probe.parent
    made = []
    for directory in reversed(missing):
        try:
            directory.mkdir(mode=mode)
            directory.chmod(mode)
        except FileExistsError:
            if not directory.is_dir():
                raise PlatformError(f"{directory} is in the way: it is not a directory") from None
            continue
        except OSError as error:
            raise _failure("make directory", directory, error) from error
        made.append(directory)
    return tuple(made)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was: what is needed to put it back."""

    content: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory tree below ``root``; every path is relative to it, and none leads out of it."""

    root: Path

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes | None:
        """Content of ``path``, None if there is no such file.

        Raises:
            InvalidError: ``path`` leads out of the tree or through a link, is no regular file, or too large.
            PlatformError: it cannot be read.
        """
        state = self.state(path, limit)
        return None if state is None else state.content

    def state(self, path: str, limit: int = READ_LIMIT) -> FileState | None:
        """Content and permission bits of ``path``, None if there is no such file. Raises as :meth:`read`."""
        with self._errors("read", path), self._parent(path, create=None) as (directory, name):
            if directory is None:
                return None
            try:
                # O_NONBLOCK: a fifo put here by a container must not block us.
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                facts = os.fstat(descriptor)
                if not stat.S_ISREG(facts.st_mode):
                    raise InvalidError(f"{self.root / path} is not a regular file")
                content = file.read(limit + 1)
                if len(content) > limit:
                    raise InvalidError(f"{self.root / path} is larger than {limit} bytes")
                return FileState(content, stat.S_IMODE(facts.st_mode))

    def mode(self, path: str) -> int | None:
        """Permission bits of ``path`` (a file or directory), None if there is none. Raises as :meth:`read`."""
        with self._errors("look at", path), self._parent(path, create=None) as (directory, name):
            if directory is None:
                return None
            try:
                return stat.S_IMODE(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
            except FileNotFoundError:
                return None

    def write(self, path: str, content: bytes, mode: int, directory_mode: int = 0o755) -> None:
        """Replace ``path`` by ``content`` with ``mode``; missing directories are made with ``directory_mode``.

        Raises:
            InvalidError: ``path`` leads out of the tree or through a link.
            PlatformError: it cannot be written, or the disk is full (the old content is kept then).
        """
        with self._errors("write", path), self._parent(path, create=directory_mode) as (directory, name):
            assert directory is not None
            _replace(directory, name, content, mode)

    def write_together(self, directory: str, files: Mapping[str, FileState], directory_mode: int = 0o755) -> None:
        """Replace several files of one directory (``files`` by name), all written before the first is exchanged.

        So a reader finds a certificate beside another's key for no longer than two renames take. If one cannot be
        written, none is replaced. Raises as :meth:`write`.
        """
        path = f"{directory}/.x" if directory else ".x"
        with self._errors("write", path), self._parent(path, create=directory_mode) as (descriptor, _):
            assert descriptor is not None
            with contextlib.ExitStack() as stack:
                ready = [
                    (stack.enter_context(_written(descriptor, name, state.content, state.mode)), name)
                    for name, state in files.items()
                ]
                for temporary, name in ready:
                    os.rename(temporary, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)

    def remove(self, path: str) -> bool:
        """Remove the file or link ``path``; False if there was none. Raises as :meth:`write`."""
        with self._errors("remove", path), self._parent(path, create=None) as (directory, name):
            if directory is None:
                return False
            try:
                _sweep(directory, name)
                os.unlink(name, dir_fd=directory)
            except FileNotFoundError:
                return False
            return True

    def remove_directory(self, path: str) -> bool:
        """Remove the directory ``path`` with all it holds; False if there was none. Raises as :meth:`write`."""
        with self._errors("remove", path), self._parent(path, create=None) as (directory, name):
            if directory is None:
                return False
            try:
                inner = os.open(name, _DIRECTORY, dir_fd=directory)
            except FileNotFoundError:
                return False
            try:
                _empty(inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=directory)
            return True

    def names(self, path: str = "") -> tuple[str, ...]:
        """Names in directory ``path``, sorted; empty if there is none. Raises as :meth:`read`."""
        with self._errors("list", path), self._parent(f"{path}/.x" if path else ".x", create=None) as (directory, _):
            return () if directory is None else tuple(sorted(_names(directory)))

    def files(self, path: str = "") -> tuple[str, ...]:
        """Paths of all regular files below directory ``path``, sorted, relative to the root. Raises as :meth:`read`."""
        found: list[str] = []
        for name in self.names(path):
            inner = f"{path}/{name}" if path else name
            with self._parent(inner, create=None) as (directory, last):
                if directory is None:
                    continue
                try:
                    mode = os.stat(last, dir_fd=directory, follow_symlinks=False).st_mode
                except FileNotFoundError:  # gone since it was listed
                    continue
            if stat.S_ISDIR(mode):
                found += self.files(inner)
            elif stat.S_ISREG(mode):
                found.append(inner)
        return tuple(found)

    def open_lock(self, path: str, mode: int = 0o666) -> int:
        """Open ``path`` for locking, made with ``mode`` (less the umask, as 1.9 does) if absent; the caller closes it.

        Raises as :meth:`write`.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with self._errors("open", path), self._parent(path, create=0o755) as (directory, name):
            return os.open(name, flags, mode, dir_fd=directory)

    @contextlib.contextmanager
    def _errors(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise InvalidError(f"{self.root / path} goes through a link or a file") from error
            raise _failure(verb, self.root / path, error) from error

    @contextlib.contextmanager
    def _parent(self, path: str, create: int | None) -> Iterator[tuple[int | None, str]]:
        """The directory that holds ``path``, opened without following a link (None if absent), and the last name."""
        parts = _parts(path)
        try:
            descriptor = os.open(self.root, _PLAIN_DIRECTORY)
        except FileNotFoundError:
            if create is not None:
                raise NotFoundError(f"{self.root} does not exist") from None
            yield None, parts[-1]
            return
        try:
            for part in parts[:-1]:
                inner = _enter(descriptor, part, create)
                os.close(descriptor)
                descriptor = inner
                if inner < 0:
                    yield None, parts[-1]
                    return
            yield descriptor, parts[-1]
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def _parts(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise InvalidError(f"not a path inside a directory tree: {path!r}")
    return parts


def _enter(descriptor: int, name: str, create: int | None) -> int:
    """Open directory ``name`` in ``descriptor``; -1 if it is absent and ``create`` is None."""
    try:
        return os.open(name, _DIRECTORY, dir_fd=descriptor)
    except FileNotFoundError:
        if create is None:
            return -1
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, create, dir_fd=descriptor)
    inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
    os.fchmod(inner, create)  # whatever the umask
    return inner


def _replace(directory: int, name: str, content: bytes, mode: int) -> None:
    with _written(directory, name, content, mode) as temporary:
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)


@contextlib.contextmanager
def _written(directory: int, name: str, content: bytes, mode: int) -> Iterator[str]:
    """What shall be called ``name``, written under another name, which is given; if it is not taken, nothing is left.

    It is locked meanwhile, so that nobody takes it for something that a killed writer left.
    """
    _sweep(directory, name)
    temporary, descriptor = _temporary(directory, name, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            yield temporary
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


_TEMPORARY = ".{}.{}.tmp"


def replacing(name: str) -> str:
    """Which file of its directory a temporary one, that may have been left by a killed writer, was to replace; empty
    for a name that is not a temporary one's."""
    found = re.fullmatch(r"\.(.+)\.[0-9a-f]{12}\.tmp", name)
    return found[1] if found else ""


def _temporary(directory: int, name: str, mode: int) -> tuple[str, int]:
    """A new file beside ``name``, locked for as long as its writer lives."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        temporary = _TEMPORARY.format(name[:200], secrets.token_hex(6))
        descriptor = os.open(temporary, flags, mode & 0o700, dir_fd=directory)
        with contextlib.suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)  # somebody swept it before it was locked


def _sweep(directory: int, name: str) -> None:
    """Remove what writers of ``name`` left that were killed: nobody holds the lock any more."""
    begin, end = _TEMPORARY.format(name[:200], "*").split("*")
    for found in _names(directory):
        if len(found) != len(begin) + 12 + len(end) or not (found.startswith(begin) and found.endswith(end)):
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(found, dir_fd=directory)
            finally:
                os.close(descriptor)


def _names(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries]


def _empty(directory: int) -> None:
    for name in _names(directory):
        if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            inner = os.open(name, _DIRECTORY, dir_fd=directory)
            try:
                _empty(inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=directory)
        else:
            os.unlink(name, dir_fd=directory)


def _failure(verb: str, path: Path, error: OSError) -> PlatformError:
    hint = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"free some space: df -h {path.parent}; df -i {path.parent}"
    elif error.errno in (errno.EACCES, errno.EPERM):
        hint = f"see who owns it: ls -ld {path}"
    return PlatformError(f"cannot {verb} {path}: {error.strerror}", hint)
