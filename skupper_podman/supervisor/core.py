"""Decides what a supervised site needs, from what was seen and the time: no I/O, no clock.

What always holds: at most one action is under way for a container; a container that stays broken is tried again after
2, 4, 8, 16, then every 30 seconds; nothing is done while a skupper command changes the site; what Podman's own restart
policy mends at once is left to it; only a look that began after an action ended can judge that action.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from skupper_podman.desired import names
from skupper_podman.desired.names import Names

GRACE = 0.5
"""Seconds in which Podman's restart policy may do it by itself."""
PORT_GRACE = 1.0
"""Seconds a container that runs has for its published ports to appear; Podman opens them before it starts it."""
FIRST_DELAY = 2.0
LAST_DELAY = 30.0
CALM = 60.0
"""Seconds a container must be well before its failures are forgotten."""
READY_AT_LATEST = 45.0
"""Seconds after which a site is called up although some container still fails: the others must not suffer."""
GONE_LOOKS = 3

ActionKind = Literal["start", "restart", "reconnect"]

DNS = "*dns"
UPLINK = "*uplink"
"""Patients that are no containers; no container can have such a name."""

_STOPPED = frozenset({"created", "configured", "initialized", "exited", "stopped", "stopping", "dead", "unknown", ""})


@dataclass(frozen=True, slots=True)
class Seen:
    """One container at one look. ``state`` is Podman's word; the rest is what the host's processes and sockets say.

    ``incarnation`` changes with each start. ``process`` and ``monitor`` are False when that process is gone though the
    state is running; ``missing_ports`` are published host ports nobody listens on.
    """

    name: str
    rank: int
    state: str
    incarnation: str = ""
    process: bool = True
    monitor: bool = True
    missing_ports: tuple[int, ...] = ()
    exit_code: int = 0

    @property
    def trouble(self) -> str:
        """What is wrong with it, in a few words; empty if nothing is."""
        if self.state in _STOPPED:
            return "stopped" if not self.exit_code else f"stopped with exit code {self.exit_code}"
        if self.state != "running":
            return self.state
        if not self.process:
            return "its process is gone"
        if not self.monitor:
            return "its monitor conmon is gone"
        if self.missing_ports:
            return "nothing listens on its port " + ", ".join(map(str, self.missing_ports))
        return ""

    @property
    def grace(self) -> float:
        """Seconds the trouble may last before something is done."""
        only_ports = self.state == "running" and self.process and self.monitor
        return PORT_GRACE if only_ports else GRACE


@dataclass(frozen=True, slots=True)
class Look:
    """All that was seen at once. ``began`` is when looking began; ``busy`` says that a command changes the site.

    ``dns`` and ``uplink`` say if the network's DNS server and the rootless way out run; None where there is none, or it
    cannot be told. ``missing`` are components that do not exist although the site does.
    """

    began: float
    containers: tuple[Seen, ...]
    dns: bool | None = None
    uplink: bool | None = None
    busy: bool = False
    missing: tuple[str, ...] = ()

    @property
    def helper(self) -> str:
        """The container to restart for a missing DNS server: the controller, which carries no traffic, or the last."""
        ranked = sorted(self.containers, key=lambda seen: (seen.rank != 1, -seen.rank, seen.name))
        return ranked[0].name if ranked else ""


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do now: ``target`` is a container, empty for all; ``patient`` is whose trouble it mends."""

    kind: ActionKind
    target: str
    why: str
    patient: str


@dataclass(slots=True)
class _Patient:
    """What is remembered of one container, or of a network helper (see :data:`DNS`, :data:`UPLINK`)."""

    grace: float = GRACE
    broken_since: float | None = None
    well_since: float | None = None
    attempts: int = 0
    not_before: float = 0.0
    acting: bool = False
    judged_from: float = float("-inf")
    ever_well: bool = False
    error: str = ""
    trouble: str = ""
    incarnation: str = ""
    restarts: list[float] = field(default_factory=list)

    def delay(self) -> float:
        return float(min(FIRST_DELAY * 2 ** max(self.attempts - 1, 0), LAST_DELAY))


class Supervisor:
    """The state of supervision of one site."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._patients: dict[str, _Patient] = {}
        self._look: Look | None = None
        self._blind_since: float | None = None
        self._blind_why = ""
        self._empty_looks = 0
        self.ready = False

    @property
    def gone(self) -> bool:
        """True if the site no longer exists: several looks in a row saw no container, and no command was at work."""
        return self._empty_looks >= GONE_LOOKS

    def saw(self, look: Look, now: float) -> tuple[Action, ...]:
        """Take in a look and return what to do now."""
        self._look = look
        self._blind_since = None
        self._empty_looks = 0 if look.containers or look.missing or look.busy else self._empty_looks + 1
        kept = {seen.name for seen in look.containers} | {DNS, UPLINK}
        self._patients = {name: patient for name, patient in self._patients.items() if name in kept}
        for seen in look.containers:
            self._examine(seen.name, seen.trouble, seen.grace, look.began, now)
            self._count_restarts(seen, now)
        self._examine(DNS, "aardvark-dns is gone" if look.dns is False else "", GRACE, look.began, now)
        self._examine(UPLINK, "the rootless uplink is gone" if look.uplink is False else "", GRACE, look.began, now)
        self._judge_ready(look, now)
        return () if look.busy else tuple(self._decide(look, now))

    def blind(self, why: str, now: float) -> None:
        """Podman did not answer; nothing can be said or done until it does. The host's boot must not wait for that."""
        if self._blind_since is None:
            self._blind_since = now
        self._blind_why = why
        self.ready = self.ready or now - self._began >= READY_AT_LATEST

    def did(self, action: Action, error: str, now: float) -> None:
        """An action ended; ``error`` is empty if it worked."""
        for patient in self._treated(action):
            patient.acting = False
            patient.judged_from = now
            patient.incarnation = ""  # what we restarted does not count as restarting by itself
            patient.error = error
            patient.not_before = now + patient.delay()

    def due(self, now: float) -> float:
        """Seconds until something may have to be done without a new event: for the next look."""
        times = [
            _act_at(patient) - now
            for patient in self._patients.values()
            if patient.broken_since is not None and not patient.acting
        ]
        return max(min(times, default=float("inf")), 0.1)

    def status(self, now: float) -> str:
        """One line that tells the truth."""
        if self._blind_since is not None:
            return f"Podman does not answer since {now - self._blind_since:.0f} s: {self._blind_why}"
        if self._look is None:
            return "looking for the site"
        if not self._look.containers and not self._look.missing:
            return "there is no site"
        patients = sorted(self._patients.items())
        troubles = [_describe(name, patient, now) for name, patient in patients if patient.trouble]
        if not self._look.busy:
            troubles += [f"{name} does not exist (skupper init makes it again)" for name in self._look.missing]
        well = sum(1 for seen in self._look.containers if not seen.trouble)
        total = len(self._look.containers) + len(self._look.missing)
        count = f"{well} of {total} containers run" if troubles else f"{well} containers run"
        busy = "; a skupper command is changing the site" if self._look.busy else ""
        flapping = [
            f"{name} was restarted {len(patient.restarts)} times in a minute"
            for name, patient in patients
            if len(patient.restarts) > 2
        ]
        return "; ".join([count, *troubles, *flapping]) + busy

    def _examine(self, name: str, trouble: str, grace: float, began: float, now: float) -> None:
        patient = self._patients.setdefault(name, _Patient())
        if patient.acting or began < patient.judged_from:
            return
        patient.trouble = trouble
        patient.grace = grace if patient.ever_well or name in (DNS, UPLINK) else 0.0
        if trouble:
            patient.well_since = None
            if patient.broken_since is None:
                patient.broken_since = now
            return
        patient.broken_since = None
        patient.error = ""
        patient.ever_well = True
        if patient.well_since is None:
            patient.well_since = now
        elif now - patient.well_since >= CALM:
            patient.attempts = 0

    def _count_restarts(self, seen: Seen, now: float) -> None:
        patient = self._patients[seen.name]
        if seen.incarnation and patient.incarnation not in ("", seen.incarnation) and not patient.acting:
            patient.restarts.append(now)
        if seen.incarnation:
            patient.incarnation = seen.incarnation
        patient.restarts = [moment for moment in patient.restarts if now - moment < CALM]

    def _judge_ready(self, look: Look, now: float) -> None:
        """Ready when all is well; or, late, when all was tried that could be: one container must not stop the rest."""
        troubled = [seen.name for seen in look.containers if seen.trouble]
        tried = all(self._patients[name].attempts > 0 for name in troubled)
        late = now - self._began >= READY_AT_LATEST
        if look.missing and not late:
            return
        if (look.containers or look.missing) and (not troubled or (late and (tried or look.busy))):
            self.ready = True

    def _decide(self, look: Look, now: float) -> Iterable[Action]:
        if self._due(UPLINK, now) and not any(patient.acting for patient in self._patients.values()):
            yield self._begin(Action("reconnect", "", self._patients[UPLINK].trouble, UPLINK))
            return
        if self._due(DNS, now) and look.helper and not self._patients[look.helper].acting:
            yield self._begin(Action("restart", look.helper, self._patients[DNS].trouble, DNS))
        for seen in sorted(look.containers, key=lambda item: (item.rank, item.name)):
            if seen.state in ("paused", "removing") or not self._due(seen.name, now):
                continue
            if any(self._holds_up(other) for other in look.containers if other.rank < seen.rank):
                continue
            kind: ActionKind = "start" if seen.state in _STOPPED else "restart"
            yield self._begin(Action(kind, seen.name, seen.trouble, seen.name))

    def _holds_up(self, other: Seen) -> bool:
        """A container of lower rank that has not been tried yet is waited for; one that keeps failing is not."""
        patient = self._patients[other.name]
        return bool(other.trouble) and (patient.attempts == 0 or (patient.attempts == 1 and patient.acting))

    def _due(self, name: str, now: float) -> bool:
        patient = self._patients.get(name)
        return (
            patient is not None and patient.broken_since is not None and not patient.acting and now >= _act_at(patient)
        )

    def _begin(self, action: Action) -> Action:
        self._patients[action.patient].attempts += 1
        for patient in self._treated(action):
            patient.acting = True
        return action

    def _treated(self, action: Action) -> tuple[_Patient, ...]:
        """Who must not be judged while the action is under way."""
        if action.kind == "reconnect":
            return tuple(self._patients.values())
        names = {action.target, action.patient}
        return tuple(self._patients[name] for name in names if name in self._patients)


def _act_at(patient: _Patient) -> float:
    """When a trouble has lasted long enough, and the last attempt is long enough ago."""
    return max((patient.broken_since or 0.0) + patient.grace, patient.not_before)


def _describe(name: str, patient: _Patient, now: float) -> str:
    text = patient.trouble if name in (DNS, UPLINK) else f"{name}: {patient.trouble}"
    if patient.acting:
        return f"{text} (being mended)"
    error = f" ({patient.error})" if patient.error else ""
    wait = patient.not_before - now
    return f"{text}{error}, next try in {wait:.0f} s" if patient.attempts and wait > 0.5 else f"{text}{error}"


def says_well(status: str) -> bool:
    """True if that is what :meth:`Supervisor.status` says of a site that is well, or was mended."""
    count, *notes = status.split("; ")
    harmless = ("a skupper command is changing the site", "times in a minute")
    return count.endswith(" containers run") and " of " not in count and all(note.endswith(harmless) for note in notes)


def rank(own: Names, labels: Mapping[str, str]) -> int:
    """Order of starting: the router, then the controller, then everything else."""
    return {names.ROUTER: 0, names.CONTROLLER: 1}.get(labels.get(own.component_label, ""), 2)


def belongs(own: Names, name: str, labels: Mapping[str, str]) -> bool:
    """True for a container of the site: a component under its own name, or the container of a service.

    One under another name is an old one, kept by a command until the new one works.
    """
    if not own.owns(labels) or names.is_aside(name):
        return False
    if labels.get(own.component_label):
        return own.is_component(name, labels)
    return bool(labels.get(own.address_label))
