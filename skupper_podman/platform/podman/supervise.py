"""Steps that put the site under systemd, or take it out.

What always holds: a host without systemd is told what that means and is no failure: a background process supervises
the site there (:mod:`skupper_podman.supervisor.background`); lingering is asked for before anything starts; taking a
unit away again leaves the containers in the state they had.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from skupper_podman.plan import Step, Verb
from skupper_podman.platform.podman.context import Context
from skupper_podman.supervisor.background import Background
from skupper_podman.supervisor.unit import UnitSettings, passed_on, unit_content
from skupper_podman.systemd import Systemd


def linger_steps(context: Context, warnings: list[str]) -> list[Step]:
    """A step that lets the user's units run without a login; what an administrator must do goes to ``warnings``."""
    systemd = _systemd(context)
    if systemd.linger_enabled() or systemd.unavailable():
        return []

    def do() -> None:
        if systemd.enable_linger():
            warnings.extend(linger_warning(context))

    def undo() -> None:
        if systemd.linger_enabled():
            systemd.disable_linger()

    return [Step("update", f"lingering of user {context.user}", do, undo)]


def linger_warning(context: Context) -> list[str]:
    """What to do where lingering is not enabled; nothing where it is, or does not matter."""
    systemd = _systemd(context)
    if systemd.linger_enabled() or systemd.unavailable():
        return []
    return [
        f"It is recommended to enable lingering for {context.user}, otherwise Skupper may not start on boot: "
        f"sudo loginctl enable-linger {context.user}"
    ]


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
    settings = UnitSettings(sys.executable, context.paths, site_name, passed_on(context.env))
    content = unit_content(settings)
    before, state = systemd.file_state(), systemd.state()
    current = before is not None and before.content == content.encode()
    active = state.active in ("active", "activating", "reloading")
    if current and state.enabled and active:
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
    systemd = _systemd(context)
    before = systemd.file_state()
    if before is None:
        return steps
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

    return [*steps, Step("delete", f"unit {context.paths.unit_file.name}", systemd.remove, undo)]


def _systemd(context: Context) -> Systemd:
    return Systemd(context.paths, context.env, context.user)
