"""What happened at a site: Podman's events and what its watcher wrote, as one list; grouped as 1.9 groups events."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

MESSAGES: Final = 5
"""Messages kept of each group, as in 1.9."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened: ``name`` tells the kind (``ContainerEvent``, ``Supervisor``...)."""

    time: datetime.datetime
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Count:
    """How often the same message occurred, and when last."""

    message: str
    count: int
    last: datetime.datetime


@dataclass(frozen=True, slots=True)
class EventGroup:
    """All happenings of one name; ``counts`` are its newest messages, newest first."""

    name: str
    total: int
    last: datetime.datetime
    counts: tuple[Count, ...] = field(default=())


def grouped(happenings: Iterable[Happening]) -> tuple[EventGroup, ...]:
    """The groups, the one with the newest happening first."""
    by_name: dict[str, list[Happening]] = {}
    for item in happenings:
        by_name.setdefault(item.name, []).append(item)
    groups = [_group(name, items) for name, items in by_name.items()]
    return tuple(sorted(groups, key=lambda group: group.last, reverse=True))


def _group(name: str, items: list[Happening]) -> EventGroup:
    by_message: dict[str, list[datetime.datetime]] = {}
    for item in items:
        by_message.setdefault(item.message, []).append(item.time)
    counts = [Count(message, len(times), max(times)) for message, times in by_message.items()]
    counts.sort(key=lambda count: count.last, reverse=True)
    return EventGroup(name, len(items), max(item.time for item in items), tuple(counts[:MESSAGES]))
