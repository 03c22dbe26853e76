"""``skupper certificate status``: a line a certificate, and what to do about those that are not well."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from skupper_podman.cli.render.clean import clean
from skupper_podman.model.certificate import Certificate

_HEAD = ("NAME", "KIND", "VALID UNTIL", "RENEWED", "STATE")


def overview(found: Sequence[Certificate], now: datetime.datetime) -> str:
    """All of them, in columns."""
    rows = [_HEAD, *(_row(item, now) for item in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for item in found:
        if (item.problem or item.ends_soon(now)) and item.fix:
            lines.append(clean(f"next for {item.name}: {item.fix}"))
    return "".join(f"{line}\n" for line in lines)


def _row(item: Certificate, now: datetime.datetime) -> tuple[str, ...]:
    renewed = _day(item.renews_at) if item.renews_at else "with its authority" if item.kind == "credential" else "never"
    return tuple(clean(cell) for cell in (item.name, item.kind, _day(item.not_after), renewed, _state(item, now)))


def _state(item: Certificate, now: datetime.datetime) -> str:
    if item.problem:
        return item.problem
    if item.late:
        return "valid, but its renewal is late"
    if item.ends_soon(now):
        return "valid, but it ends soon"
    if item.predecessors:
        return f"valid; trusted beside it: {item.predecessors} that it followed"
    return "valid"


def _day(time: datetime.datetime | None) -> str:
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%d") if time else "unknown"
