"""The programs of a bundle (``launch.py``, ``remove.py`` and what they import), as they are installed with us."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from skupper_podman.errors import PlatformError

_SUFFIXES: Final = (".py", ".sh")


def bundle_programs() -> dict[str, bytes]:
    """The files by their path in a bundle.

    Raises:
        PlatformError: this installation has none.
    """
    top = directory()
    found = {
        str(path.relative_to(top)): path.read_bytes()
        for path in sorted(top.rglob("*"))
        if path.suffix in _SUFFIXES and "__pycache__" not in path.parts
    }
    if "launch.py" not in found:
        raise PlatformError(f"{top} has no gateway bundle programs", "install skupper-podman again")
    return found


def directory() -> Path:
    """Where they are: in the package once it is built, beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "gateway_bundle"
    return inside if inside.is_dir() else package.parent / "gateway_bundle"
