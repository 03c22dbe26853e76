"""Brings slirp4netns or pasta back: the way out of all bridge networks of a rootless user.

Podman starts it (Podman 4 the one, Podman 5 the other) with the first container on such a network and never again while
one of them runs, also one of the user's own; so restarting the site's containers does not help. Started here with the
words Podman used, it serves the network as it is, and no connection inside the network notices.

What always holds: the new process has mounts of its own, because its sandbox unmounts what it does not need, and that
would reach Podman's network namespaces; it belongs to Podman as the old one did (Podman's pid file names it), so it
ends with the network.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from skupper_podman.errors import PlatformError
from skupper_podman.files import write_atomic
from skupper_podman.locks import held
from skupper_podman.process import run
from skupper_podman.supervisor import processes

_SLIRP, _PASTA = "slirp4netns", "pasta"
NAMES = (_SLIRP, _PASTA)
"""How the names of the programs begin; pasta's end in what the processor can."""
_STAY = "--foreground"
"""To pasta: else its first process ends at once, and a manager takes the others for what was left over."""
_UNIT = "skupper-podman-uplink"
_START_TIMEOUT = 10.0
_APPEAR = 2.0
_DESCRIPTORS = ("-r", "--ready-fd", "-e", "--exit-fd")
"""Options whose values are open files of the process that started it."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """How Podman started the uplink, its pid file, and the file that names the process holding Podman's namespaces."""

    command: tuple[str, ...]
    pid_file: Path
    pause_file: Path


def command_of(pid: int) -> tuple[str, ...]:
    """The command line of uplink ``pid`` without what only Podman could give it; empty if it cannot be read."""
    words = iter(processes.arguments(pid))
    kept = []
    for word in words:
        if word in _DESCRIPTORS:
            next(words, None)
        elif word == _STAY:
            continue
        elif not word.startswith(tuple(f"{option}=" for option in _DESCRIPTORS)):
            kept.append(word)
    return tuple(kept)


def revive(uplink: Uplink, uid: int, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Start the uplink of user ``uid`` again; True if it runs.

    Raises:
        ConflictError: the supervisor of another site of the user is at it, and does not finish.
    """
    try:
        pause = uplink.pause_file.read_text().strip()
        descriptor = os.open(uplink.pause_file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    # The uplink is the user's, not the site's: each site's supervisor misses it, and one of them starts it.
    with held(descriptor, str(uplink.pause_file), timeout=2 * _START_TIMEOUT, sleep=sleep):
        return bool(uplink.command) and pause.isdigit() and _started(uplink, uid, pause, sleep)


def _started(uplink: Uplink, uid: int, pause: str, sleep: Callable[[float], None]) -> bool:
    if _noted(uplink, uid):
        return True
    enter = ("nsenter", "--target", pause, "--user", "--mount", "--preserve-credentials", "--")
    argv = (*enter, "unshare", "--mount", "--propagation", "private", "--", *staying(uplink.command))
    for launch in (_by_manager, _by_itself):
        if not launch(argv):
            continue
        for _ in range(int(_APPEAR / 0.1)):
            sleep(0.1)
            if _noted(uplink, uid):
                return True
    return False


def _noted(uplink: Uplink, uid: int) -> bool:
    """Whether it runs; if so, Podman's pid file names it."""
    found = processes.running(uplink.command, uid) or processes.running(staying(uplink.command), uid)
    if found is not None:
        write_atomic(uplink.pid_file, str(found.pid).encode(), 0o644)
    return found is not None


def staying(command: tuple[str, ...]) -> tuple[str, ...]:
    """The command whose first process is the uplink."""
    program, *words = command
    return (program, _STAY, *words) if Path(program).name.startswith(_PASTA) else command


def _by_manager(argv: Sequence[str]) -> bool:
    """As a unit of its own: a child of our unit would end with it, and may not enter namespaces."""
    how = ("systemd-run", "--user", "--no-ask-password", "--quiet", "--collect", f"--unit={_UNIT}")
    try:
        return run([*how, "--service-type=exec", "--", *argv], timeout=_START_TIMEOUT).ok
    except PlatformError:
        return False


def _by_itself(argv: Sequence[str]) -> bool:
    """Where there is no manager, as a detached process."""
    nothing = subprocess.DEVNULL
    try:
        subprocess.Popen(list(argv), stdin=nothing, stdout=nothing, stderr=nothing, cwd="/", start_new_session=True)  # noqa: S603
    except OSError:
        return False
    return True
