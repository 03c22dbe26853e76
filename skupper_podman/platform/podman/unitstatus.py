"""Who watches the site: the unit under systemd, or the background process where there is none; and lingering."""

from __future__ import annotations

from typing import Final

from skupper_podman.errors import SkupperError
from skupper_podman.model.status import Probe
from skupper_podman.platform.podman.context import Context

_SILENT: Final = 60.0
"""Seconds without a look at the site; as under systemd, whose watchdog then starts the supervisor again."""


def unit_probe(context: Context) -> list[Probe]:
    """Whether systemd, or where there is none a background process, supervises the site."""
    from skupper_podman.platform.podman import quadlets
    from skupper_podman.platform.podman.supervise import background_supervisor
    from skupper_podman.supervisor.core import says_well
    from skupper_podman.systemd import Systemd

    systemd = Systemd(context.paths, context.env, context.user)
    reason = systemd.unavailable()
    name = f"unit {context.paths.unit_file.name}"
    if reason:
        background = background_supervisor(context)
        pid = background.running()
        if not pid:
            return [Probe("supervisor", "failing", f"it does not run ({reason})", fix="skupper init")]
        said = background.status()
        silence = background.silence(context.now().timestamp())
        if silence > _SILENT:
            detail = f"process {pid} has not looked at the site for {silence:.0f} s"
            return [Probe("supervisor", "failing", detail, fix=f"kill -9 {pid}")]  # its stand-by takes over
        well = says_well(said)
        fix = "" if well else f"tail {background.log}; skupper doctor --fix"
        return [Probe("supervisor", "ok" if well else "failing", f"process {pid}: {said or 'it looks'}", fix=fix)]
    started_by_quadlet = quadlets.probes(context)
    if started_by_quadlet:
        return started_by_quadlet
    try:
        state = systemd.state()
    except SkupperError as error:
        return [Probe(name, "unknown", error.message, fix=systemd.status_command())]
    manager = "systemctl" if context.paths.system else "systemctl --user"
    if state.masked:
        return [Probe(name, "failing", "it is masked", state.since, f"{manager} unmask {name[5:]} && skupper init")]
    if not state.loaded:
        return [Probe(name, "failing", "it does not exist", state.since, "skupper init")]
    if state.active != "active" or not says_well(state.status):
        detail = state.active if state.active != "active" else state.status
        words = f"{state.active}: {state.status}" if state.status and detail == state.active else detail
        fixes = {"inactive": f"{manager} start {name[5:]}", "failed": "skupper init"}
        return [Probe(name, "failing", words, state.since, fixes.get(state.active, systemd.status_command()))]
    if not state.enabled:
        detail = "it runs, but is disabled: the site will not start at the next boot"
        return [Probe(name, "failing", detail, state.since, f"{manager} enable {name[5:]}")]
    return [Probe(name, "ok", state.status, state.since)]
