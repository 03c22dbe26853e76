"""Steps that put the site under systemd, or take it out.

What always holds: a host without systemd is told what that means and is no failure: a background process supervises
the site there (:mod:`skupper_podman.supervisor.background`); lingering is asked for before anything starts; taking a
unit away again leaves the containers in the state they had.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from skupper_podman.plan import Step, Verb
from skupper_podman.platform.podman import quadlets
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.hostfile import deleting
from skupper_podman.supervisor.background import Background
from skupper_podman.supervisor.unit import UnitSettings, passed_on, unit_content
from skupper_podman.systemd import Systemd


def unit_steps(context: Context, site_name: str, running: Iterable[str], warnings: list[str]) -> list[Step]:
    """A step that writes, enables and starts the unit; none if it is there and runs, or there is no systemd.

    ``running`` are the containers that run already: they must run again if the unit is taken back.
    """
    systemd = _systemd(context)
    reason = systemd.unavailable()
    if reason:
        warnings.append(
            f"{reason}, so the site does not start by itself after a boot (then: skupper init); "
            "until then a process in the background watches it"
        )
        return _background_steps(context)
    if quadlets.installed(context.paths):
        warnings.append(
            "Quadlet files start the site's containers, so the supervisor's unit is not used; "
            "after a change make them anew: skupper generate unit --quadlet"
        )
        return []
    settings = UnitSettings(sys.executable, context.paths, site_name, passed_on(context.env))
    content = unit_content(settings)
    before, state = systemd.file_state(), systemd.state()
    current = before is not None and before.content == content.encode()
    active = state.active in ("active", "activating", "reloading")
    if current and state.enabled and active and not state.stale:
        return []

    def do() -> None:
        background_supervisor(context).stop()  # from a time when this host had no systemd
        systemd.write(content)
        systemd.enable()
        if active:
            systemd.renew()
        else:
            systemd.start()

    def undo() -> None:
        if before is None:
            systemd.remove()
        else:
            systemd.restore(before)
            if not state.enabled:
                systemd.disable()
            if active:
                systemd.renew()
            else:
                systemd.stop()
        # The unit stops what it supervises.
        for name in running:
            context.api.start(name)

    verb: Verb = "create" if before is None else "start" if current else "update"
    return [Step(verb, f"unit {context.paths.unit_file.name}", do, undo)]


def _background_steps(context: Context) -> list[Step]:
    """A step that starts the supervisor without systemd; none if it runs."""
    background = background_supervisor(context)
    if background.running():
        return []
    return [Step("start", "the supervisor in the background", lambda: _ignore(background.start()), background.stop)]


def background_supervisor(context: Context) -> Background:
    """The supervisor of a host without systemd."""
    return Background(context.paths, context.env, sys.executable)


def _ignore(_value: object) -> None:
    return None


def removal_steps(context: Context) -> list[Step]:
    """Steps that stop and remove the unit, or the process that stands in for it; none if there is neither."""
    background = background_supervisor(context)
    steps = []
    if background.running():
        start = background.start
        steps.append(Step("stop", "the supervisor in the background", background.stop, lambda: _ignore(start())))
    elif background.traces():
        steps.append(Step("delete", "files of the supervisor in the background", background.stop))
    steps += quadlets.removal_steps(context, quadlets.installed(context.paths))
    systemd = _systemd(context)
    before = systemd.file_state()
    dropins = [step for path in _dropins(context) if (step := deleting(path)) is not None]
    if before is None:
        return [*steps, *dropins]
    state = None if systemd.unavailable() else systemd.state()

    def undo() -> None:
        if state is None:
            context.paths.unit_file.write_bytes(before.content)
            return
        systemd.restore(before)
        if state.enabled:
            systemd.enable()
        if state.active in ("active", "activating", "reloading"):
            systemd.start()

    # Drop-ins last: undone first, they are there when the unit is started again.
    return [*steps, Step("delete", f"unit {context.paths.unit_file.name}", systemd.remove, undo), *dropins]


def _dropins(context: Context) -> list[Path]:
    """Changes to the unit made by ``systemctl edit``, which mean nothing without it."""
    return sorted(path for path in context.paths.dropin_dir.glob("*") if path.is_file())


def _systemd(context: Context) -> Systemd:
    return Systemd(context.paths, context.env, context.user)
