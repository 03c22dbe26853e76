"""The state of containers: running, ended, paused, or ending over and over; why, since when, and what to type.

What always holds: a container that runs now but keeps ending is not well; events of Podman only add to what the listing
says (they may be lost or switched off); the last words of a container that failed are part of the reason.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Final

from skupper_podman.errors import SkupperError
from skupper_podman.model.status import Probe
from skupper_podman.platform.podman.asking import state_words
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.facts import ContainerInfo, Event

LOOP_SPAN: Final = 120.0
"""Seconds within which a container that ended :data:`LOOP_COUNT` times is ending over and over."""
LOOP_COUNT: Final = 3
_STOP_TAKES: Final = 12.0
_CALM: Final = 5.0
_STOPPED: Final = (0, 137, 143)
"""Exit codes of a program that ended because it was told to: by itself, by SIGKILL, by SIGTERM."""
_YOUNG: Final = 60.0
"""A container that has run for longer than this has stopped ending."""
_HEARD_AT_MOST: Final = 5
"""Containers whose last words are asked for; a site that is down as a whole says the same of all."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a container."""

    detail: str
    since: str = ""
    fix: str = ""


class Containers:
    """The containers of a site and what is wrong with each."""

    def __init__(
        self,
        containers: Mapping[str, ContainerInfo],
        missing_ports: Callable[[ContainerInfo], list[int]] = lambda _info: [],
        ends: Mapping[str, tuple[Event, ...]] | None = None,
        last_words: Callable[[str], str] = lambda _name: "",
    ) -> None:
        self._containers = containers
        self._missing_ports = missing_ports
        self._ends = ends or {}
        self._last_words = last_words
        self._known: dict[str, Trouble | None] = {}

    def probe(self, name: str) -> Probe:
        """Whether the container of that name is well."""
        info = self._containers.get(name)
        if info is None:
            return Probe(f"container {name}", "failing", "it does not exist", fix="skupper init")
        trouble = self.trouble(name)
        if trouble is None:
            return Probe(f"container {name}", "ok", "running", info.started_at)
        detail = trouble.detail.removeprefix(f"container {name} ").removeprefix("is ")
        return Probe(f"container {name}", "failing", detail, trouble.since, trouble.fix)

    def trouble(self, name: str) -> Trouble | None:
        """What is wrong with a container that exists; None if nothing is."""
        if name not in self._known:
            self._known[name] = self._look(self._containers[name])
        return self._known[name]

    def _look(self, info: ContainerInfo) -> Trouble | None:
        name = info.name
        ends = self._ends.get(info.id, ())
        # Podman writes down that it restarts or kills a container, not that it stops one: the exit codes must tell.
        # What keeps ending ends in the same way each time.
        ends = tuple(takewhile(lambda end: end.exit_code == ends[-1].exit_code, reversed(ends)))[::-1]
        stopped = bool(ends) and not info.running and ends[-1].exit_code in _STOPPED
        if len(ends) >= LOOP_COUNT and not stopped:
            last = ends[-1]
            code = f", last with exit code {last.exit_code}" if last.exit_code is not None else ""
            detail = f"container {name} keeps ending: {len(ends)} times in {LOOP_SPAN / 60:g} minutes{code}"
            return Trouble(self._with_words(detail, name), ends[0].time, _look_closer(name))
        if info.state == "paused":
            return Trouble(f"container {name} is paused", fix=f"podman unpause {name}")
        if not info.running:
            since = ends[-1].time if ends else ""
            detail = f"container {name} is {state_words(info)}"
            return Trouble(self._with_words(detail, name) if info.exit_code else detail, since, _look_closer(name))
        missing = self._missing_ports(info)
        if missing:
            ports = ", ".join(map(str, missing))
            detail = f"container {name} runs, but nothing listens on its port {ports}"
            return Trouble(detail, info.started_at, f"podman restart {name}")
        return None

    def _with_words(self, detail: str, name: str) -> str:
        if sum(1 for trouble in self._known.values() if trouble) >= _HEARD_AT_MOST:
            return detail
        words = self._last_words(name)
        return f"{detail}; its last words: {words}" if words else detail


def _look_closer(name: str) -> str:
    return f"podman logs --tail 20 {name}; skupper init"


def examined(context: Context, containers: Mapping[str, ContainerInfo]) -> Containers:
    """The containers as Podman, its events and the host's sockets tell of them."""
    now = context.now()
    suspicious = [info for info in containers.values() if not info.running or _is_young(info, now)]
    ends = recent_ends(context, suspicious, now) if suspicious else {}
    looping = {info.id for info in suspicious if not is_over(info, ends.get(info.id, ()), now)}
    return Containers(
        containers,
        lambda info: missing_ports(info, context.uid),
        {identity: found for identity, found in ends.items() if identity in looping},
        lambda name: last_words(context, name),
    )


def _is_young(info: ContainerInfo, now: datetime.datetime) -> bool:
    try:
        return (now - datetime.datetime.fromisoformat(info.started_at)).total_seconds() < _YOUNG
    except (ValueError, TypeError):
        return False


def is_over(info: ContainerInfo, ends: tuple[Event, ...], now: datetime.datetime) -> bool:
    """Whether a container that kept ending has run for longer than it ever did between two of its ends."""
    times = [datetime.datetime.fromisoformat(event.time) for event in ends]
    if not info.running or len(times) < LOOP_COUNT:
        return False
    longest = max(later - earlier for earlier, later in pairwise(times))
    return now - datetime.datetime.fromisoformat(info.started_at) > longest + datetime.timedelta(seconds=_CALM)


def recent_ends(
    context: Context, containers: Iterable[ContainerInfo], now: datetime.datetime
) -> dict[str, tuple[Event, ...]]:
    """When each of ``containers`` (by id) ended in the last minutes, oldest first; nothing where no events are kept."""
    wanted = {info.id for info in containers}
    since = now - datetime.timedelta(seconds=LOOP_SPAN)
    try:
        events = context.api.events(since, now, {"type": ["container"], "event": ["died", "stop", "restart"]})
    except SkupperError:
        return {}
    events = [event for event in events if event.id in wanted]
    asked_for = [event for event in events if event.action in ("stop", "restart")]
    found: dict[str, tuple[Event, ...]] = {}
    for event in events:
        if event.action == "died":
            # What was stopped on purpose has a new life: what came before does not count any more.
            on_purpose = any(_belong_together(event, other) for other in asked_for)
            found[event.id] = () if on_purpose else (*found.get(event.id, ()), event)
    return found


def _belong_together(died: Event, stop: Event) -> bool:
    """Whether the container ended because somebody stopped it: both are written down within the time a stop takes."""
    if died.id != stop.id or died.exit_code not in _STOPPED:
        return False
    apart = datetime.datetime.fromisoformat(stop.time) - datetime.datetime.fromisoformat(died.time)
    return abs(apart.total_seconds()) < _STOP_TAKES


def missing_ports(info: ContainerInfo, uid: int) -> list[int]:
    """Published ports nobody listens on. Rootless only: with root, ports may be forwarded without a listener."""
    if uid == 0 or not info.ports:
        return []
    from skupper_podman.supervisor.processes import listening_ports

    return sorted({port.host_port for port in info.ports} - set(listening_ports()))


def last_words(context: Context, name: str) -> str:
    """The last line the container wrote; empty if it cannot be had."""
    try:
        lines = [line.strip() for line in context.api.logs(name, 5).splitlines() if line.strip()]
    except SkupperError:
        return ""
    return lines[-1][:300] if lines else ""
