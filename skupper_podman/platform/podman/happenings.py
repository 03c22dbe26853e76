"""What happened at a site, from Podman's events and the words of whoever watches it.

What always holds: a source that cannot be read is a warning, and the others are told; foreign containers are left out.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from skupper_podman.errors import PlatformError, SkupperError
from skupper_podman.files import read_bytes
from skupper_podman.model.events import Happening
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.facts import Event
from skupper_podman.process import run
from skupper_podman.systemd import Systemd

_JOURNAL_LIMIT = 10.0
_LINES = 2000
_ACTIONS = frozenset(("create", "start", "died", "stop", "kill", "pause", "unpause", "restart", "remove", "rename"))
_JOURNAL_LINE = re.compile(r"(\S+) \S+ [^:]+: (.*)")


def happenings(context: Context, since: datetime.datetime) -> tuple[tuple[Happening, ...], tuple[str, ...]]:
    """All since then, oldest first; and in words what could not be read."""
    found: list[Happening] = []
    problems: list[str] = []
    for source in (_podman, _supervisor):
        try:
            found += source(context, since)
        except SkupperError as error:
            problems.append(error.message)
    return tuple(sorted(found, key=lambda item: item.time)), tuple(problems)


def _podman(context: Context, since: datetime.datetime) -> Iterator[Happening]:
    own = context.names
    volumes = {volume.name for volume in context.api.volumes(own.labels)}
    for event in context.api.events(since, context.now(), {"type": ["container", "volume", "network"]}):
        ours = (
            own.owns(event.labels)
            if event.kind == "container"
            else (event.name in volumes or event.id in volumes or event.id in own.site_volumes)
        )
        if ours and event.action in _ACTIONS:
            moment = datetime.datetime.fromisoformat(event.time)
            yield Happening(moment, f"{event.kind.capitalize()}Event", _words(event))


def _words(event: Event) -> str:
    code = f" with exit code {event.exit_code}" if event.exit_code is not None else ""
    return f"{event.kind} {event.name or event.id}: {event.action}{code}"


def _supervisor(context: Context, since: datetime.datetime) -> Iterator[Happening]:
    for line in supervisor_log(context, since).splitlines():
        match = _JOURNAL_LINE.match(line)
        moment = _moment(match[1]) if match else None
        if match is not None and moment is not None:
            yield Happening(moment, "Supervisor", match[2])


def supervisor_log(context: Context, since: datetime.datetime) -> str:
    """The words of the unit in the journal, or those of the background process.

    Raises:
        PlatformError: they cannot be read.
    """
    systemd = Systemd(context.paths, context.env, context.user)
    if systemd.unavailable():
        from skupper_podman.platform.podman.supervise import background_supervisor

        content = (read_bytes(background_supervisor(context).log) or b"").decode(errors="replace")
        return "\n".join(content.splitlines()[-_LINES:])
    mode = [] if context.paths.system else ["--user"]
    words = ["journalctl", *mode, "-u", context.paths.unit_file.name, "-o", "short-iso", "--no-pager", "-q"]
    done = run([*words, "--since", f"@{int(since.timestamp())}", "-n", str(_LINES)], timeout=_JOURNAL_LIMIT)
    if not done.ok:
        raise PlatformError(f"the journal cannot be read: {done.complaint}", "sudo usermod -aG systemd-journal USER")
    return done.stdout


def _moment(text: str) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
