"""Steps that put the site under systemd, or take it out."""

from __future__ import annotations

from skupper_podman.plan import Step
from skupper_podman.platform.podman.context import Context
from skupper_podman.systemd import Systemd


def removal_steps(context: Context) -> list[Step]:
    """Steps that stop and remove the unit; none if there is none."""
    systemd = Systemd(context.paths, context.env, context.user)
    before = systemd.file_state()
    if before is None:
        return []
    usable = not systemd.unavailable()
    state = systemd.state() if usable else None

    def undo() -> None:
        if not usable:
            systemd.restore(before)
            return
        systemd.restore(before)
        if state is not None and state.enabled:
            systemd.enable()
        if state is not None and state.active in ("active", "activating"):
            systemd.start()

    return [Step("delete", f"unit {context.paths.unit_file.name}", systemd.remove, undo)]
