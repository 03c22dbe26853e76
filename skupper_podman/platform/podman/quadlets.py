"""Quadlet files of the site that are in place: a user preferred them to the supervisor's unit.

What always holds: a file counts only if ``skupper generate unit`` wrote it; before one is removed, its unit is stopped,
since a unit whose container is taken away starts it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from skupper_podman.desired.names import Names
from skupper_podman.errors import PlatformError
from skupper_podman.files import read_bytes, remove, write_atomic
from skupper_podman.model.status import Probe
from skupper_podman.paths import Paths
from skupper_podman.plan import Step
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.quadlet import mark, service_unit
from skupper_podman.systemd import Systemd

_KINDS = (".container", ".network", ".volume")


def installed(paths: Paths) -> tuple[Path, ...]:
    """The site's files where Podman's generator reads them, those of containers first."""
    try:
        found = [path for path in paths.quadlet_dir.glob("skupper*") if path.suffix in _KINDS and path.is_file()]
        begin = mark(Names(paths.namespace)).encode()
        ours = [path for path in found if path.read_bytes().startswith(begin)]
    except OSError:
        return ()
    return tuple(sorted(ours, key=lambda path: (_KINDS.index(path.suffix), path.name)))


def missing_note(paths: Paths) -> list[str]:
    """What to tell who adds a container to a site that Quadlet files start; nothing where there are none."""
    if not installed(paths):
        return []
    directory = paths.quadlet_dir
    return [
        "Quadlet files start this site's containers, and this one has none: "
        f"skupper generate unit --quadlet --output-directory {directory}"
    ]


def file_of(paths: Paths, container: str) -> Path | None:
    """The file that starts the container of a service, if there is one."""
    name = f"{service_unit(container)}.container"
    return next((path for path in installed(paths) if path.name == name), None)


def unit_name(path: Path) -> str:
    """The unit that Podman's generator makes of a file."""
    suffix = "" if path.suffix == ".container" else f"-{path.suffix[1:]}"
    return f"{path.stem}{suffix}.service"


def removal_steps(context: Context, files: Iterable[Path]) -> list[Step]:
    """A step that stops the units of these files and removes the files; none if there are none."""
    paths = tuple(files)
    if not paths:
        return []
    systemd = Systemd(context.paths, context.env, context.user)
    usable = not systemd.unavailable()
    kept = {path: read_bytes(path) or b"" for path in paths}
    units = [unit_name(path) for path in paths]
    active = [unit for unit in units if usable and systemd.is_active(unit)]

    def do() -> None:
        if usable:
            systemd.stop_units(units)
        for path in paths:
            remove(path)
        if usable:
            systemd.reload()

    def undo() -> None:
        for path, content in kept.items():
            write_atomic(path, content, 0o644)
        if usable:
            systemd.reload()
            systemd.start_units(active)

    names = ", ".join(path.name for path in paths)
    return [Step("delete", f"Quadlet file{'s' if len(paths) > 1 else ''} {names}", do, undo)]


def probes(context: Context) -> list[Probe]:
    """Whether systemd runs each container that has a file; none if there are no files."""
    systemd = Systemd(context.paths, context.env, context.user)
    containers = [path for path in installed(context.paths) if path.suffix == ".container"]
    return [_probe(context, systemd, unit_name(path)) for path in containers]


def _probe(context: Context, systemd: Systemd, unit: str) -> Probe:
    name, manage = f"unit {unit}", "systemctl" if context.paths.system else "systemctl --user"
    try:
        active = systemd.is_active(unit)
    except PlatformError as error:
        return Probe(name, "unknown", error.message, fix=f"{manage} status {unit}")
    if active:
        return Probe(name, "ok", "active, as a Quadlet unit")
    return Probe(name, "failing", "it is not active", fix=f"{manage} daemon-reload && {manage} restart {unit}")
