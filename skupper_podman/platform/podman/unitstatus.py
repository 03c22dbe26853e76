"""Who watches the site: the unit under systemd, or the background process where there is none; and lingering."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Final

from skupper_podman.errors import SkupperError
from skupper_podman.model.status import Probe
from skupper_podman.platform.podman.context import Context

if TYPE_CHECKING:
    from skupper_podman.systemd import Systemd, UnitState

_SILENT: Final = 60.0
"""Seconds without a look at the site; as under systemd, whose watchdog then starts the supervisor again."""


def unit_probe(context: Context) -> list[Probe]:
    """Whether systemd, or where there is none a background process, supervises the site."""
    from skupper_podman.platform.podman import quadlets
    from skupper_podman.systemd import Systemd

    systemd = Systemd(context.paths, context.env, context.user)
    reason = systemd.unavailable()
    if reason:
        return [_background_probe(context, systemd, reason)]
    started_by_quadlet = quadlets.probes(context)
    if started_by_quadlet:
        return started_by_quadlet
    name = f"unit {context.paths.unit_name}"
    try:
        state, file = systemd.state(), systemd.file_state()
    except SkupperError as error:
        return [Probe(name, "unknown", error.message, fix=systemd.status_command())]
    detail, fix = _unit_fault(systemd, state, file.content if file else None)
    found = [Probe(name, "failing" if detail else "ok", detail or state.status, state.since, fix)]
    # Who disabled it meanwhile took back what init had promised; a site that never had it was told so by init.
    if context.paths.linger_mark.exists() and not systemd.linger_enabled():
        words = f"it was disabled since: the site stops with the last login of {context.user}"
        found.append(Probe("linger", "failing", words, fix=f"sudo loginctl enable-linger {context.user}"))
    return found


def _background_probe(context: Context, systemd: Systemd, reason: str) -> Probe:
    """The process that stands in for a manager that cannot be used for ``reason``."""
    from skupper_podman.platform.podman.supervise import background_supervisor
    from skupper_podman.supervisor.core import says_well

    background = background_supervisor(context)
    pid = background.running()
    if not pid:
        lost = systemd.file_state() is not None and not systemd.linger_enabled()
        fix = f"sudo loginctl enable-linger {context.user}" if lost else "skupper init"
        return Probe("supervisor", "failing", f"it does not run ({reason})", fix=fix)
    said = background.status()
    silence = background.silence(context.now().timestamp())
    if silence > _SILENT:
        detail = f"process {pid} has not looked at the site for {silence:.0f} s"
        return Probe("supervisor", "failing", detail, fix=f"kill -9 {pid}")  # its stand-by takes over
    well = says_well(said)
    fix = "" if well else f"tail {background.log}; skupper doctor --fix"
    return Probe("supervisor", "ok" if well else "failing", f"process {pid}: {said or 'it looks'}", fix=fix)


def _unit_fault(systemd: Systemd, state: UnitState, content: bytes | None) -> tuple[str, str]:
    """What is wrong with the unit, now or at its next start, and what mends it; empty if nothing is."""
    from skupper_podman.supervisor.core import says_well
    from skupper_podman.supervisor.unit import command_in, is_edited

    unit, manager = systemd.paths.unit_name, "systemctl" if systemd.paths.system else "systemctl --user"
    changed = f" (it is changed by {', '.join(state.dropins)})" if state.dropins else ""
    if state.masked:
        return "it is masked", f"{manager} unmask {unit} && skupper init"
    if content is None or not (state.loaded or state.unreadable):
        return f"its file {systemd.paths.unit_file} does not exist", "skupper init"
    if is_edited(content):
        return f"its file {systemd.paths.unit_file} was edited since init wrote it", "skupper init"
    # init writes the unit file alone. Drop-ins that leave the supervisor in its place are the user's own business.
    broken = bool(state.dropins) and (state.unreadable or state.command != command_in(content))
    undo = f"rm {' '.join(map(quote, state.dropins))}; {manager} daemon-reload; " if broken else ""
    if state.unreadable:
        return f"systemd cannot read it{changed}", f"{undo}skupper init"
    # A directory that is new is no news to systemd, and yet is read at the next boot.
    unread = [str(path) for path in systemd.paths.dropin_dir.glob("*.conf") if str(path) not in state.dropins]
    if state.stale or unread:
        which = f" ({', '.join(sorted(unread))})" if unread else changed
        return f"its files changed since systemd read them{which}", f"{manager} daemon-reload"
    if state.active != "active":
        words = f"{state.active}: {state.status}" if state.status else state.active
        start = f"{manager} start {unit}" if state.active == "inactive" else "skupper init"
        if state.active in ("inactive", "failed") or broken:
            return f"{words}{changed}", f"{undo}{start}"
        return f"{words}{changed}", systemd.status_command()
    if not says_well(state.status):
        return state.status, systemd.status_command()
    if not state.enabled:
        return "it runs, but is disabled: the site will not start at the next boot", f"{manager} enable {unit}"
    if broken:
        return f"at its next start it does not run the supervisor, but {state.command}{changed}", f"{undo}skupper init"
    return "", ""
