"""Steps on single files of the host, outside volumes."""

from __future__ import annotations

import contextlib
from pathlib import Path

from skupper_podman.files import make_directories, read_bytes, remove, write_atomic
from skupper_podman.paths import UNIT_NAME
from skupper_podman.plan import Step

_OWN_DIRECTORY = "skupper"


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
    """A step that removes ``path``, None if there is none; its directory goes too if it is Skupper's own and empty."""
    before = read_bytes(path)
    if before is None:
        return None
    content, mode = before, path.stat().st_mode & 0o7777

    def do() -> None:
        remove(path)
        if path.parent.name in (_OWN_DIRECTORY, f"{UNIT_NAME}.d"):
            with contextlib.suppress(OSError):  # other files of ours, or somebody else's, are in it
                path.parent.rmdir()

    def undo() -> None:
        make_directories(path.parent)
        write_atomic(path, content, mode)

    return Step("delete", f"file {path}", do, undo)
