"""``switch``: which platform later commands manage."""

from __future__ import annotations

from dataclasses import dataclass

from skupper_podman.cli.argv import CommandLineError, at_most
from skupper_podman.cli.chosen import origin_in_words
from skupper_podman.cli.govalues import quote
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.files import read_bytes, remove, write_atomic
from skupper_podman.plan import Plan, Step, Verb
from skupper_podman.platform import choice
from skupper_podman.platform.choice import Switch

app = new_app()


@dataclass(frozen=True, slots=True)
class SwitchOptions:
    """``switch`` has no flags of its own."""


@command(app, "switch", SwitchOptions, usage="<platform>", rule=at_most(1), changes=True)
def switch(session: Session, _options: SwitchOptions, arguments: tuple[str, ...]) -> Result:
    """Select the platform to manage (valid platforms: kubernetes, podman, -)

    Without an argument it prints the platform in effect; "-" goes back to the one before.
    """
    path = session.world.paths.platform_file
    before = choice.load_switch(path)
    data = {"platform": session.choice.platform, "origin": session.choice.origin, "previous": before.previous}
    if not arguments:
        return Result("Platform", f"{session.choice.platform}\n", {**data})
    back = arguments[0] == "-"
    if not back and arguments[0] not in choice.PLATFORMS:
        raise CommandLineError(f'invalid argument {quote(arguments[0])} for "skupper switch"')
    after = choice.switched_back(before) if back else choice.switched(before, choice.platform_name(arguments[0]))
    current = after.current or choice.DEFAULT
    data = {"platform": current, "origin": str(path), "previous": after.previous}
    text = f"Switched to: {current}\n" if back else ""
    plan = Plan(f"Switch to {current}", _steps(session, before, after), {"warnings": _overridden(session, current)})
    return session.carry_out(plan, Outcome("Platform", {**data}, lambda _facts: text))


def _steps(session: Session, before: Switch, after: Switch) -> tuple[Step, ...]:
    if before == after:
        return ()
    path = session.world.paths.platform_file
    old = read_bytes(path)

    def undo() -> None:
        if old is None:
            remove(path)
        else:
            write_atomic(path, old, 0o644)

    verb: Verb = "create" if old is None else "update"
    return (Step(verb, f"file {path}", lambda: choice.save_switch(path, after), undo),)


def _overridden(session: Session, current: str) -> list[str]:
    """A warning if the flag or the variable keeps the switch from having an effect."""
    chosen = session.choice
    if chosen.origin not in (choice.VARIABLE,) or chosen.platform == current:
        return []
    return [
        f"commands go on using {chosen.platform}: it is chosen {origin_in_words(chosen)}, which overrides the switch"
    ]
