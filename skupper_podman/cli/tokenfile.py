"""Token files on this host: read with care, written so that nobody else can read them.

What always holds: a token is written with mode 0600 by a temporary file and rename; a file that is no token is never
overwritten; what is in a token never appears in a message.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from skupper_podman.errors import ConflictError, InvalidError, NotFoundError, PlatformError, SkupperError
from skupper_podman.files import FileState, remove, write_atomic
from skupper_podman.model.link import Token
from skupper_podman.plan import Step

MODE: Final = 0o600
_LIMIT: Final = 1 << 20


def read_bytes_of(path: Path) -> bytes:
    """Content of a token file, which may be a pipe.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: it cannot be read, or is too large to be a token.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
    except FileNotFoundError:
        raise NotFoundError(f"Could not read connection token: {path} does not exist") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidError(f"Could not read connection token: {path}: {reason}") from None
    if len(content) > _LIMIT:
        raise InvalidError(f"Could not parse connection token: {path} is too large")
    return content


def read_token(path: Path) -> Token:
    """The token in a file.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: it cannot be read, or is no token.
    """
    from skupper_podman.desired.tokens import parse_token

    return parse_token(read_bytes_of(path))


def writing(path: Path, content: Callable[[], bytes], *, force: bool) -> Step:
    """The step that writes a token; its undo puts back what was there.

    Raises:
        ConflictError: the file exists, is no token, and ``force`` is not given.
        NotFoundError: its directory does not exist.
    """
    special = _is_special(path)
    before = None if special else _state(path)
    if before is not None and before.content.strip() and not force and not _is_token(before.content):
        raise ConflictError(f"{path} exists and is no token", "choose another file, or overwrite it with --force")
    if not special and not path.parent.is_dir():
        raise NotFoundError(f"directory {path.parent} does not exist", f"mkdir -p {path.parent}")

    def do() -> None:
        if special:
            _write_special(path, content())
        else:
            write_atomic(path, content(), MODE)

    def undo() -> None:
        if special:
            return
        if before is None:
            remove(path)
        else:
            write_atomic(path, before.content, before.mode)

    return Step("create" if before is None else "update", f"token file {path}", do, undo, "mode 0600")


def _is_special(path: Path) -> bool:
    """Whether it is a terminal, pipe or device, which cannot be replaced by a file."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    if stat.S_ISDIR(mode):
        raise ConflictError(f"{path} is a directory", "name the file to write the token to")
    return not stat.S_ISREG(mode)


def _write_special(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PlatformError(f"cannot write {path}: {error.strerror}") from None


def _state(path: Path) -> FileState | None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        with path.open("rb") as file:
            return FileState(file.read(), mode)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PlatformError(f"cannot write {path}: {reason}") from None


def _is_token(content: bytes) -> bool:
    from skupper_podman.desired.tokens import parse_token

    try:
        parse_token(content)
    except SkupperError:
        return False
    return True
