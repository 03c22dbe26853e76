"""What systemd is given to run a site, as values: unit files, and where they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file for systemd, or for Podman's generator of units."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class SiteUnits:
    """The files that run a site. ``directory`` is where they take effect, ``reason`` why they are of this kind.

    ``kind`` is ``unit`` for the supervisor's unit, ``quadlet`` for files that Podman's generator turns into units;
    ``commands`` put them to work once they are in the directory.
    """

    kind: Literal["unit", "quadlet"]
    reason: str
    directory: str
    files: tuple[UnitFile, ...]
    commands: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


__all__ = ["SiteUnits", "UnitFile"]
