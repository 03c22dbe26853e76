"""The path of a service, hop by hop, from who calls it to who answers, as ``debug service`` shows it."""

from __future__ import annotations

from dataclasses import dataclass

from skupper_podman.model.status import Health


@dataclass(frozen=True, slots=True)
class Hop:
    """One thing on the way: ``kind`` (``container``, ``router``, ``listener``, ``address``, ``target``, ``site``,
    ``test``...), its name, and how it is."""

    kind: str
    name: str
    health: Health
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ServicePath:
    """All hops of a service in order, and in ``observations`` what is wrong, in words (none: nothing is)."""

    address: str
    protocol: str
    ports: tuple[int, ...]
    hops: tuple[Hop, ...] = ()
    observations: tuple[str, ...] = ()
    fix: str = ""
