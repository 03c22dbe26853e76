"""A gateway on this very host: a bundle that is launched where it was made, by its own programs.

What always holds: a local gateway is exactly what a bundle would be, so both are changed, updated and removed by the
same code; a change that fails leaves the gateway as it was.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from skupper_podman.desired.gatewaybundle import Bundle
from skupper_podman.errors import PlatformError, UsageError
from skupper_podman.model.gateway import check_gateway_name
from skupper_podman.plan import Step
from skupper_podman.process import Completed, run

_LINK_LATE: Final = 7
_PATIENCE: Final = 300.0


def default_name(host: str, user: str) -> str:
    """The name of the gateway of a user of a host, as 1.9 makes it, without what a unit's name cannot have.

    Raises:
        UsageError: nothing is left of it.
    """
    name = re.sub(r"[^a-z0-9.-]", "-", f"{host}-{''.join(user.split())}".lower())[:48].strip("-.")
    try:
        return check_gateway_name(name if name[:1].isalpha() else f"g-{name}"[:48].strip("-."))
    except UsageError as error:
        raise UsageError(f"{error.message} (made of host and user)", "give one: --name NAME") from None


def data_directory(uid: int, env: Mapping[str, str], home: Path) -> Path:
    """Where the gateways of a user are installed; the same as ``gateway_bundle/installer/places.py`` says."""
    if uid == 0:
        return Path("/var/lib/skupper")
    return Path(env.get("XDG_DATA_HOME") or Path(env.get("HOME") or home) / ".local" / "share") / "skupper"


def directory(name: str, uid: int, env: Mapping[str, str], home: Path) -> Path:
    """Where a local gateway is installed."""
    return data_directory(uid, env, home) / "cluster" / name


def launching(place: Path, bundle: Callable[[], Bundle], kind: str, warnings: list[str]) -> Step:
    """A step that launches a bundle as type ``kind`` of the gateway installed at ``place``."""
    new = not place.exists()

    def do() -> None:
        made = bundle()
        with TemporaryDirectory(prefix="skupper-gateway-") as temporary:
            unpack(made, Path(temporary))
            done = _program(Path(temporary) / "launch.py", "-t", kind, *_router(kind))
        if done.exit_code == _LINK_LATE:
            warnings.append(_reason(done)[0])
        elif not done.ok:
            message, hint = _reason(done)
            raise PlatformError(message, hint)
        elif "Warning: " in done.stdout:
            warnings.extend(re.findall(r"^Warning: (.*)$", done.stdout, re.MULTILINE))

    def undo() -> None:
        if not place.exists():
            return  # a launch that fails takes itself back
        program = _kept(place, "remove.py" if new else "launch.py")
        _program(program, *([] if new else ["--rollback"]))

    return Step("create" if new else "update", f"gateway on this host, type {kind}", do, undo, waits=True)


def _router(kind: str) -> list[str]:
    """The router of a service: skrouterd of this host, but not the command of that name which is ours.

    Ours is bound to this installation, which the service may not see; the bundle's own router is the same.
    """
    found = shutil.which("skrouterd")
    foreign = found is not None and Path(found).parent != Path(sys.executable).parent
    return [] if kind != "service" or foreign else ["--router", "embedded"]


def removing(place: Path) -> Step | None:
    """A step that removes the gateway installed at ``place``; None if there is none."""
    if not place.exists():
        return None

    def do() -> None:
        done = _program(_kept(place, "remove.py"))
        if not done.ok:
            raise PlatformError(*_reason(done))

    return Step("delete", f"gateway on this host, {place}", do)


def unpack(bundle: Bundle, place: Path) -> None:
    """Write the files of a bundle, as tar would."""
    for path, (content, mode) in bundle.files.items():
        target = place / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode & 0o700)
        with os.fdopen(handle, "wb") as file:
            file.write(content)


def _kept(place: Path, program: str) -> Path:
    kept = sorted((place / "bundles").glob(f"[0-9]*/{program}"), key=lambda path: int(path.parent.name))
    if not kept:
        raise PlatformError(f"{place} is damaged: it has no {program}", f"remove it: rm -r {place}")
    return kept[-1]


def _program(program: Path, *words: str) -> Completed:
    return run([sys.executable, str(program), *words], timeout=_PATIENCE)


def _reason(done: Completed) -> tuple[str, str]:
    """What the program complained of, and its hint."""
    lines = done.stderr.splitlines()
    message = next((line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")), done.complaint)
    hint = next((line.removeprefix("Hint: ") for line in lines if line.startswith("Hint: ")), "")
    return message, hint
