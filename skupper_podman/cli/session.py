"""One command at work: its surroundings, the platform chosen for it, and the one way to carry out a plan.

What always holds: a plan is either printed (``--dry-run``) or applied, never both, and what it gives back is a
Result. What a plan interrupts (its fact ``ahead``) is said before the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skupper_podman.cli import documents, output
from skupper_podman.cli.progress import Progress
from skupper_podman.cli.result import Json, Result

if TYPE_CHECKING:
    from skupper_podman.cli.world import World
    from skupper_podman.plan import Plan, Step
    from skupper_podman.platform import Platform
    from skupper_podman.platform.choice import Choice


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an applied plan is reported: kind and data of the result, and its text from the plan's facts."""

    kind: str
    data: Mapping[str, Json]
    text: Callable[[Mapping[str, object]], str]


@dataclass(frozen=True, slots=True)
class Session:
    """What a command is given. ``given`` names the flags on the command line, ``notices`` are due on stderr."""

    world: World
    choice: Choice
    given: frozenset[str] = frozenset()
    notices: tuple[str, ...] = ()
    dry_run: bool = False
    _opened: dict[str, Platform] = field(default_factory=dict, repr=False, compare=False)

    def platform(self, endpoint: str = "") -> Platform:
        """The platform, ready to be asked; ``endpoint`` overrides where its API is.

        It is the same one each time: two of them would wait for each other's lock of the site.

        Raises:
            SkupperError: it cannot be used.
        """
        if endpoint not in self._opened:
            self._opened[endpoint] = self.world.open_platform(self.world, endpoint)
        return self._opened[endpoint]

    def close(self) -> None:
        """Let go of what the platform holds: a lock file goes with who holds it, and only then."""
        for platform in self._opened.values():
            platform.close()

    def plan(self, make: Callable[[Platform], Plan], endpoint: str = "") -> Plan:
        """The plan that ``make`` asks the platform for.

        Raises:
            SkupperError: nothing can be planned.
        """
        with self.progress() as progress:
            progress("Looking at this host and its site")
            return make(self.platform(endpoint))

    def progress(self) -> Progress:
        """A progress display, to be entered as a context."""
        return Progress(self.world.write_err if self.world.err_is_terminal else None)

    def carry_out(self, plan: Plan, outcome: Outcome) -> Result:
        """Print the plan, or apply it and report.

        Raises:
            SkupperError: a step failed, and what was begun has been undone.
        """
        warnings = strings(plan.facts.get("warnings"))
        ahead = strings(plan.facts.get("ahead"))
        if self.dry_run:
            return Result("Plan", plan_text(plan), documents.plan(plan), warnings=(*ahead, *warnings))
        for line in ahead:
            output.print_notices(self.world, (f"Warning: {line}",))
        total = len(plan.steps)
        with self.progress() as progress:
            count = 0

            def announce(step: Step) -> None:
                nonlocal count
                count += 1
                progress(f"[{count}/{total}] {step}")

            plan.apply(announce)
        notes = "".join(f"{note}\n" for note in strings(plan.facts.get("notes")))
        data = {**outcome.data, "facts": documents.facts(plan.facts)}
        # Applying may add to the facts and so to the warnings, such as a unit that could not be started.
        warnings = strings(plan.facts.get("warnings"))
        return Result(outcome.kind, notes + outcome.text(plan.facts), data, changed=plan.changed, warnings=warnings)


def plan_text(plan: Plan) -> str:
    """A plan as ``--dry-run`` prints it."""
    notes = [f"note: {note}" for note in strings(plan.facts.get("notes"))]
    lines = [plan.title, *(f"  {line}" for line in [*plan.lines(), *notes])]
    lines.append("Nothing has been changed." if plan.steps else "Nothing to do.")
    return "".join(f"{line}\n" for line in lines if line)


def strings(value: object) -> tuple[str, ...]:
    """A fact that holds texts: one, several, or none."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()
