"""``skupper debug events`` and ``debug service``."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Sequence

from skupper_podman.cli.render.clean import clean
from skupper_podman.model.events import EventGroup
from skupper_podman.model.servicepath import ServicePath

_WIDTH = 60


def events(groups: Sequence[EventGroup], now: datetime.datetime) -> str:
    """The groups as a table: name, count, message, age."""
    rows = [("NAME", "COUNT", "", "AGE")]
    for group in groups:
        rows.append((clean(group.name), str(group.total), "", _age(now - group.last)))
        for count in group.counts:
            first, *more = textwrap.wrap(clean(count.message), _WIDTH) or [""]
            rows.append(("", str(count.count), first, _age(now - count.last)))
            rows += [("", "", line, "") for line in more]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [" ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "".join(f"{line}\n" for line in lines)


def _age(span: datetime.timedelta) -> str:
    """A span as Go prints a duration rounded to seconds."""
    seconds = max(round(span.total_seconds()), 0)
    hours, rest = divmod(seconds, 3600)
    minutes, second = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{second}s"
    return f"{minutes}m{second}s" if minutes else f"{second}s"


def service_path(path: ServicePath) -> str:
    """Each hop, then what is wrong."""
    ports = " ".join(map(str, path.ports))
    lines = [f"Service {path.address} ({path.protocol}), port {ports}"]
    for hop in path.hops:
        detail = f": {hop.detail}" if hop.detail else ""
        lines.append(clean(f"  {hop.health:<7}  {hop.kind} {hop.name}{detail}"))
    lines.append("")
    if not path.observations:
        lines.append("No issues found")
    lines += [clean(observation) for observation in path.observations]
    lines += [clean(f"next: {path.fix}")] if path.fix else []
    return "".join(f"{line}\n" for line in lines)
