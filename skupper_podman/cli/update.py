"""``update``: the site comes to the version and the images of this program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from skupper_podman.cli.flags import flag
from skupper_podman.cli.govalues import SECOND
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session, strings
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import UsageError

app = new_app()

_EXAMPLES: Final = """\
  # What would be updated, and what would restart
  skupper update --dry-run"""


@dataclass(frozen=True, slots=True)
class Update:
    """Flags of ``update``."""

    force_restart: bool = flag("force-restart", "bool", "Restart all containers, also those that are up to date")
    verbose: bool = flag("verbose", "bool", "Print the tasks", short="v")
    timeout: int = flag("timeout", "duration", "Time limit for pulls, and for the site to work", default=120 * SECOND)


@command(app, "update", Update, changes=True, examples=_EXAMPLES)
def update(session: Session, options: Update, _arguments: tuple[str, ...]) -> Result:
    """Update skupper installation version

    Brings the containers to the images and the program of this version. What restarts is said first; a site that is up
    to date is left alone.
    """
    if options.timeout <= 0:
        raise UsageError("invalid timeout value")
    plan = session.plan(
        lambda platform: platform.plan_update(
            force_restart=options.force_restart, timeout=options.timeout / SECOND, dry_run=session.dry_run
        )
    )
    user = session.world.user
    whose = session.world.whose.removeprefix("user ")
    text = f"Skupper is now updated for {whose}.\n" if plan.changed else f"No update required for {whose}.\n"
    tasks = _tasks(strings(plan.facts.get("tasks"))) if options.verbose else ""
    action = "updated" if plan.changed else "unchanged"
    data = {"action": action, "user": user, "namespace": session.world.namespace}
    return session.carry_out(plan, Outcome("Site", {**data}, lambda _facts: tasks + text))


def _tasks(tasks: tuple[str, ...]) -> str:
    """The tasks as 1.9 lists them: those of any version, the common one first."""
    lines = [
        f"Task: {number}/{len(tasks)} - version: all - priority: {number} - {info}\n\n"
        for number, info in enumerate(tasks, 1)
    ]
    return "".join(lines) or "Nothing to do\n"
