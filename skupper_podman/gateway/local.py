"""A gateway on this very host: a bundle that is launched where it was made, by its own programs.

What always holds: a local gateway is exactly what a bundle would be, so both are changed, updated and removed by the
same code; a change that fails leaves the gateway as it was. What a command leaves that is killed is finished, or swept,
by the next one.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final

from skupper_podman.desired.gatewaybundle import (
    Bundle,
    BundleGeneration,
    BundleRouter,
    BundleSecrets,
    BundleSite,
    make_bundle,
)
from skupper_podman.errors import PlatformError, UsageError
from skupper_podman.gateway.programs import bundle_programs
from skupper_podman.model.gateway import GatewayDefinition, check_gateway_name
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
    new = installed_generation(place) is None

    def do() -> None:
        made = bundle()
        with _unpacked(made, place.name) as temporary:
            done = _program(temporary / "launch.py", "-t", kind, *_router(kind))
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
        if new:
            _remove(place)
        elif (program := _kept(place, "launch.py")) is not None:
            _program(program, "--rollback")

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
    if not (place.exists() or _half_removed(place).exists() or left_behind(place.name)):
        return None

    def do() -> None:
        done = _remove(place)
        if not done.ok:
            raise PlatformError(*_reason(done))

    return Step("delete", f"gateway on this host, {place}", do)


def installed_generation(place: Path) -> int | None:
    """The generation that was launched at ``place`` last; 0 if that launch was cut short, None if there was none."""
    try:
        state = json.loads((place / "state.json").read_bytes())
        unfinished = dict(state.get("unfinished") or {})
        if unfinished.get("new"):
            return None
        return 0 if unfinished else int(state["generation"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def left_behind(name: str) -> list[Path]:
    """Bundles of this gateway that commands of this user unpacked and left when they were killed."""
    found = []
    for path in Path(gettempdir()).glob(f"{_prefix(name)}????????"):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid() and path.is_dir() and not path.is_symlink():
                found.append(path)
    return found


def _remove(place: Path) -> Completed:
    """Remove what is installed at ``place`` by its own program; what has none yet was hardly begun, and one will do."""
    program = _kept(place, "remove.py")
    if program is not None:
        done = _program(program)
    else:
        with _unpacked(_without_credential(place.name), place.name) as temporary:
            done = _program(temporary / "remove.py")
    for left in left_behind(place.name):
        shutil.rmtree(left, ignore_errors=True)
    return done


def _without_credential(name: str) -> Bundle:
    """A bundle that can only be removed."""
    epoch = datetime.datetime.fromtimestamp(0, datetime.UTC)
    return make_bundle(
        BundleGeneration(GatewayDefinition(name), 0, epoch, "local"), BundleSite("", "", "", 0, ""),
        BundleSecrets(b"", b"", b"", b"", epoch), BundleRouter(""), bundle_programs(),
    )  # fmt: skip


def _half_removed(place: Path) -> Path:
    """What ``gateway_bundle/installer/places.py`` calls a gateway's directory while it is removed."""
    return place.with_name(f".{place.name}.removed")


@contextlib.contextmanager
def _unpacked(bundle: Bundle, name: str) -> Iterator[Path]:
    """The bundle of gateway ``name`` in a directory for as long as it is needed; it holds keys."""
    for left in left_behind(name):
        shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=_prefix(name)) as temporary:
        unpack(bundle, Path(temporary))
        yield Path(temporary)


def _prefix(name: str) -> str:
    return f"skupper-gateway-{name}-"


def unpack(bundle: Bundle, place: Path) -> None:
    """Write the files of a bundle, as tar would."""
    for path, (content, mode) in bundle.files.items():
        target = place / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode & 0o700)
        with os.fdopen(handle, "wb") as file:
            file.write(content)


def _kept(place: Path, program: str) -> Path | None:
    """The program of the last bundle that was launched; None if none was kept as a whole."""
    found = (path for path in (place / "bundles").glob(f"*/{program}") if path.parent.name.isdigit())
    return max(found, key=lambda path: int(path.parent.name), default=None)


def _program(program: Path, *words: str) -> Completed:
    return run([sys.executable, str(program), *words], timeout=_PATIENCE)


def _reason(done: Completed) -> tuple[str, str]:
    """What the program complained of, and its hint."""
    lines = done.stderr.splitlines()
    message = next((line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")), done.complaint)
    hint = next((line.removeprefix("Hint: ") for line in lines if line.startswith("Hint: ")), "")
    return message, hint
