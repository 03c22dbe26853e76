"""Which platform a command works on, and whose word that was; the file ``skupper switch`` writes.

Order: ``--platform``, ``SKUPPER_PLATFORM``, ``current`` in ``platform.yaml``, ``kubernetes`` (as Skupper 1.9).
What always holds: the answer names its origin; a switch file that cannot be read or makes no sense is as good as none,
so that ``skupper switch`` can always mend it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from skupper_podman.errors import UsageError
from skupper_podman.files import make_directories, read_bytes, write_atomic

PlatformName = Literal["kubernetes", "podman"]
PLATFORMS: tuple[PlatformName, ...] = get_args(PlatformName)
DEFAULT: PlatformName = "kubernetes"
VARIABLE = "SKUPPER_PLATFORM"


@dataclass(frozen=True, slots=True)
class Choice:
    """The platform, and where it comes from: ``--platform``, ``SKUPPER_PLATFORM``, a file name, or ``default``."""

    platform: PlatformName
    origin: str


@dataclass(frozen=True, slots=True)
class Switch:
    """The content of ``platform.yaml``; an entry is None if it is absent or names no platform."""

    current: PlatformName | None = None
    previous: PlatformName | None = None


def choose(flag: str, env: Mapping[str, str], switch: Switch, switch_file: Path) -> Choice:
    """Decide; an empty ``flag`` or variable counts as not given.

    Raises:
        UsageError: the flag or the variable names no platform (a bad file is ignored).
    """
    for text, origin in ((flag, "--platform"), (env.get(VARIABLE, ""), VARIABLE)):
        if text:
            return Choice(platform_name(text, origin), origin)
    if switch.current is not None:
        return Choice(switch.current, str(switch_file))
    return Choice(DEFAULT, "default")


def platform_name(text: str, origin: str = "") -> PlatformName:
    """``text`` as a platform.

    Raises:
        UsageError: it is none; the message names the ``origin``.
    """
    if text in PLATFORMS:
        return text
    source = f" (from {origin})" if origin else ""
    raise UsageError(f"invalid platform: {text}{source}", f"one of: {', '.join(PLATFORMS)}")


def parse_switch(content: bytes | None) -> Switch:
    """Decode ``platform.yaml``; anything unusable becomes an empty entry."""
    if not content:
        return Switch()
    import yaml

    try:
        document: Any = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        return Switch()
    if not isinstance(document, dict):
        return Switch()
    return Switch(_entry(document.get("current")), _entry(document.get("previous")))


def _entry(value: object) -> PlatformName | None:
    return value if isinstance(value, str) and value in PLATFORMS else None


def render_switch(switch: Switch) -> bytes:
    """The bytes of ``platform.yaml``, keys in 1.9's order."""
    return f"current: {switch.current or DEFAULT}\nprevious: {switch.previous or DEFAULT}\n".encode()


def switched(switch: Switch, platform: PlatformName) -> Switch:
    """The switch after changing to ``platform``; what was in force before (at first the default) can be gone back to.

    Changing to what is in force already keeps what can be gone back to.
    """
    if switch.current == platform:
        return Switch(platform, switch.previous or DEFAULT)
    return Switch(platform, switch.current or DEFAULT)


def switched_back(switch: Switch) -> Switch:
    """The switch after ``skupper switch -``; without a previous platform nothing changes."""
    current = switch.current or DEFAULT
    return Switch(switch.previous or current, current)


def load_switch(path: Path) -> Switch:
    """Read ``platform.yaml``; an absent or unreadable file is an empty switch."""
    from skupper_podman.errors import PlatformError

    try:
        return parse_switch(read_bytes(path))
    except PlatformError:
        return Switch()


def save_switch(path: Path, switch: Switch) -> None:
    """Write ``platform.yaml`` and the directory it is in.

    Raises:
        PlatformError: it cannot be written.
    """
    make_directories(path.parent)
    write_atomic(path, render_switch(switch), 0o644)
