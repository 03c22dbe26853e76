"""Steps on single files of the host, outside volumes."""

from __future__ import annotations

import contextlib
from itertools import takewhile
from pathlib import Path

from skupper_podman.files import make_directories, read_bytes, remove, write_atomic
from skupper_podman.paths import NAMESPACES, PROGRAM
from skupper_podman.plan import Step

_OWN_DIRECTORIES = ("skupper", NAMESPACES)


def writing(path: Path, content: bytes, mode: int = 0o644) -> Step:
    """A step that writes ``path``; its undo puts back what was there, directories included."""
    before = read_bytes(path)
    old_mode = path.stat().st_mode & 0o7777 if before is not None else mode
    made: list[Path] = []

    def do() -> None:
        made.extend(make_directories(path.parent))
        write_atomic(path, content, mode)

    def undo() -> None:
        if before is not None:
            write_atomic(path, before, old_mode)
            return
        remove(path)
        for directory in reversed(made):
            with contextlib.suppress(OSError):  # somebody else put something there meanwhile
                directory.rmdir()

    return Step("create" if before is None else "update", f"file {path}", do, undo)


def deleting(path: Path) -> Step | None:
    """A step that removes ``path``, None if there is none; Skupper's own directories around it go too if empty."""
    before = read_bytes(path)
    if before is None:
        return None
    content, mode = before, path.stat().st_mode & 0o7777

    def do() -> None:
        remove(path)
        remove_empty_directories(path)

    def undo() -> None:
        make_directories(path.parent)
        write_atomic(path, content, mode)

    return Step("delete", f"file {path}", do, undo)


def remove_empty_directories(path: Path) -> None:
    """Remove Skupper's own directories around ``path``, which is gone, as far as nothing else is in them."""
    with contextlib.suppress(OSError):  # other files of ours, or somebody else's, are in it
        for directory in takewhile(_is_own, path.parents):
            directory.rmdir()


def _is_own(directory: Path) -> bool:
    """Whether nobody but Skupper makes such a directory: of data, of one site's data, of changes to a unit."""
    changes = directory.name.startswith(PROGRAM) and directory.name.endswith(".service.d")
    return directory.name in _OWN_DIRECTORIES or directory.parent.name == NAMESPACES or changes
