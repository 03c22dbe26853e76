"""``doctor``: named checks from the host to bytes through the router, each with the command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from skupper_podman.cli import documents
from skupper_podman.cli.flags import flag
from skupper_podman.cli.render import doctor as render
from skupper_podman.cli.result import Json, Result
from skupper_podman.cli.session import Session, plan_text, strings
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import SkupperError, UsageError
from skupper_podman.model.doctor import Finding, is_well, selected
from skupper_podman.plan import Plan
from skupper_podman.platform import Platform

app = new_app()

_SETTLE: Final = 15.0
"""Seconds that what was mended has to come up: routers connect, the controller sees them."""
_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Doctor:
    """Flags of ``doctor``."""

    check: tuple[str, ...] = flag("check", "strings", "Make only this check, or those of this group (repeatable)")
    fix: bool = flag("fix", "bool", "Mend what can be mended safely, and look again")


@dataclass(frozen=True, slots=True)
class Mending:
    """What became of one remedy: its plan, and the failure if it could not be planned or applied."""

    remedy: str
    plan: Plan | None = None
    failure: str = ""


@command(
    app,
    "doctor",
    Doctor,
    changes=True,
    examples="  skupper doctor\n  skupper doctor --check links --check traffic\n  skupper doctor --fix --dry-run",
)
def doctor(session: Session, options: Doctor, _arguments: tuple[str, ...]) -> Result:
    """Check the host and the site, and say what mends what is broken

    Each check has a name, and tells ok, warn, fail, unknown (it could not be made) or skipped. The exit code is 1 if
    one of them failed or is unknown. With --fix what can be mended without risk is, step by step, each with its undo;
    then everything is looked at again. --fix --dry-run prints the steps.
    """
    if session.dry_run and not options.fix:
        raise UsageError("--dry-run goes with --fix: without it doctor changes nothing")
    only = selected(options.check)
    platform = session.platform()
    findings = _look(session, platform, only)
    mendings: list[Mending] = []
    if options.fix:
        mendings = list(_mend(session, platform, findings))
        if mendings and not session.dry_run:
            findings = _settled(session, platform, only, is_well)
    changed = not session.dry_run and any(item.plan and item.plan.changed and not item.failure for item in mendings)
    text = _plans(mendings) if session.dry_run else render.mended([_line(item) for item in mendings])
    text += render.report(findings, session.world.now())
    data = documents.doctor(findings)
    data["remedies"] = [_document(item) for item in mendings]
    warnings = tuple(warning for item in mendings if item.plan for warning in strings(item.plan.facts.get("warnings")))
    return Result("Doctor", text, data, changed, warnings, 0 if is_well(findings) else 1)


def _look(session: Session, platform: Platform, only: frozenset[str]) -> tuple[Finding, ...]:
    with session.progress() as progress:
        progress("Looking at this host and its site")
        return platform.doctor(only)


def _settled(
    session: Session, platform: Platform, only: frozenset[str], enough: Callable[[tuple[Finding, ...]], bool]
) -> tuple[Finding, ...]:
    """Look again until it is ``enough``, or what was mended has had its time to come up."""
    deadline = session.world.monotonic() + _SETTLE
    while True:
        findings = _look(session, platform, only)
        if enough(findings) or session.world.monotonic() >= deadline:
            return findings
        session.world.sleep(_PAUSE)


def _mend(session: Session, platform: Platform, findings: tuple[Finding, ...]) -> Iterator[Mending]:
    """Apply each remedy that is still needed after those before it; one that fails is undone and stops no other one."""
    order = ("unpause", "init", "restart", "linger")
    wanted = dict.fromkeys(finding.remedy for finding in findings if finding.remedy)
    first = True
    for remedy in sorted(wanted, key=lambda item: order.index(item.split()[0])):
        if not first and not session.dry_run:
            checks = frozenset(finding.check for finding in findings if finding.remedy == remedy)
            gone = _without(remedy)
            if gone(_settled(session, platform, checks, gone)):
                continue
        first = False
        yield _apply(session, platform, remedy)


def _without(remedy: str) -> Callable[[tuple[Finding, ...]], bool]:
    return lambda found: all(finding.remedy != remedy for finding in found)


def _apply(session: Session, platform: Platform, remedy: str) -> Mending:
    plan = None
    try:
        plan = platform.plan_remedy(remedy, dry_run=session.dry_run)
        if not session.dry_run:
            with session.progress() as progress:
                plan.apply(lambda step: progress(str(step)))
    except SkupperError as error:
        return Mending(remedy, plan, error.message)
    return Mending(remedy, plan)


def _plans(mendings: list[Mending]) -> str:
    return "".join(plan_text(item.plan) if item.plan else f"{item.remedy}: {item.failure}\n" for item in mendings)


def _line(item: Mending) -> str:
    title = item.plan.title if item.plan else item.remedy
    if item.failure:
        return f"{title}: failed: {item.failure}"
    return f"{title}: {'done' if item.plan and item.plan.changed else 'nothing to do'}"


def _document(item: Mending) -> Json:
    return {
        "remedy": item.remedy,
        "title": item.plan.title if item.plan else "",
        "steps": [str(step) for step in item.plan.steps] if item.plan else [],
        "error": item.failure,
    }
