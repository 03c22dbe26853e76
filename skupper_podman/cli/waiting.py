"""``--wait CONDITION --timeout DURATION`` of the status commands.

What always holds: it looks at least once, and ends as soon as all conditions hold or the time is over; the exit code is
then about the conditions alone: 0 if all hold, 1 if not. A failure to look counts as "not yet" until the time is over,
unless it cannot change by waiting (no site, no such link).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from skupper_podman.cli.flags import flag
from skupper_podman.cli.session import Session
from skupper_podman.errors import NotEnabledError, NotFoundError, SkupperError, UsageError
from skupper_podman.model import conditions
from skupper_podman.model.conditions import FORMS, Condition
from skupper_podman.platform import Platform

_FIRST: Final = 0.5
_SLOWEST: Final = 2.0
"""Seconds between two looks: each enters a container, which Podman remembers for five minutes."""


def wait_flag() -> Any:
    """The flag ``--wait``."""
    return flag("wait", "strings", f"Wait until this holds: {FORMS} (repeatable)")


def timeout_flag() -> Any:
    """The flag ``--timeout``."""
    return flag("timeout", "duration", "How long --wait waits", default=60_000_000_000)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How waiting ended: the exit code, and a warning for each condition that does not hold."""

    exit_code: int = 0
    warnings: tuple[str, ...] = ()


def wait(session: Session, wanted: tuple[str, ...], timeout: int) -> Outcome | None:
    """Wait for all conditions; None without any. ``timeout`` in nanoseconds.

    Raises:
        UsageError: a condition is malformed. NotEnabledError, NotFoundError: waiting cannot help.
    """
    if timeout < 0:
        raise UsageError("invalid value for --timeout: it is negative")
    parsed = tuple(conditions.parse_condition(text) for text in wanted)
    if not parsed:
        return None
    world, platform = session.world, session.platform()
    deadline = world.monotonic() + timeout / 1e9
    pause = _FIRST
    with session.progress() as progress:
        while True:
            reasons = [reason for condition in parsed if (reason := _reason(platform, condition))]
            left = deadline - world.monotonic()
            if not reasons:
                return Outcome()
            if left <= 0:
                return Outcome(1, tuple(f"not within {timeout / 1e9:g} s: {reason}" for reason in reasons))
            progress(f"Waiting: {reasons[0]}")
            world.sleep(min(pause, left))
            pause = min(pause * 1.5, _SLOWEST)


def _reason(platform: Platform, condition: Condition) -> str:
    """Why the condition does not hold now; empty if it does."""
    try:
        match condition.subject:
            case "ready":
                return conditions.ready(platform.site_status())
            case "links" | "link":
                return conditions.linked(platform.link_status(), condition.name)
            case "service":
                return conditions.served(platform.service_status(), condition.name)
            case _:
                return conditions.populated(platform.network_status(), condition.count)
    except (NotEnabledError, NotFoundError) as error:
        if isinstance(error, NotFoundError) and condition.subject in ("ready", "sites"):
            return error.message  # the controller has not written its file yet
        raise
    except SkupperError as error:
        return error.message
