"""Mends what is broken: starts, restarts, and does by hand what Podman cannot when its own helpers were killed.

Tried against Podman 4.3.1, where
- a container whose monitor (conmon) died can be neither stopped nor restarted: Podman waits for the exit code that
  conmon would have left in a file. So that file is written here, after the container's process is killed.
- the restart policy of a rootless container with published ports ends in a crash of ``podman container cleanup``,
  which leaves a port forwarder behind that holds the port, and a network without a forwarder of its own. So stray
  forwarders are ended before a start, and a container without its port is stopped and started once more.
- netavark takes a dead aardvark-dns for alive while its process is a zombie, and starts none. So the pid file of a
  helper that does not run is removed before a start.

What always holds: only processes of this user are ended, and only those that belong to the container.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from skupper_podman.errors import PlatformError, SkupperError
from skupper_podman.files import remove, write_atomic
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.supervisor import processes
from skupper_podman.supervisor.observe import Vitals
from skupper_podman.supervisor.uplink import Uplink, revive

STOP_TIMEOUT = 10
RESTART_TIMEOUT = 3
"""Seconds a broken container gets to stop by itself."""
_KILLED = "137"
"""What a process ended by SIGKILL leaves as exit code (128 + 9)."""
_AT_ONCE = 16
_LAST_WORDS = 5
_LONGEST_LINE = 500


class Medic:
    """Acts on containers of this user."""

    def __init__(
        self,
        api: PodmanApi,
        uid: int,
        stale: Callable[[], tuple[Path, ...]],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Act through ``api`` for user ``uid``; ``stale`` names pid files of network helpers that do not run."""
        self._api = api
        self._uid = uid
        self._stale = stale
        self._clock = clock
        self._sleep = sleep

    def last_words(self, container: ContainerInfo) -> list[str]:
        """The last lines the container wrote, without what a terminal would take for a command.

        Raises:
            SkupperError: Podman could not tell.
        """
        lines = self._api.logs(container.name, _LAST_WORDS).splitlines()[-_LAST_WORDS:]
        return ["".join(letter if letter.isprintable() else "?" for letter in line)[:_LONGEST_LINE] for line in lines]

    def start(self, container: ContainerInfo, vitals: Vitals | None, exit_dir: str) -> None:
        """Start a stopped container and see that its ports are there.

        Raises:
            SkupperError: Podman could not.
        """
        if container.state == "stopping":
            self._bury(container, vitals, exit_dir)
        try:
            self._start(container)
        except SkupperError:
            # Left half-way by an attempt that was killed: stopping it lets Podman tidy up, then it may start.
            self._api.stop(container.name, RESTART_TIMEOUT)
            self._start(container)
        self._open_ports(container)

    def restart(self, container: ContainerInfo, vitals: Vitals | None, exit_dir: str) -> None:
        """Stop and start a container that does not work, whatever is left of it.

        Not by Podman's restart, which may keep the network as it is, broken.

        Raises:
            SkupperError: Podman could not.
        """
        if vitals is None or vitals.monitor is None or not vitals.monitor.alive() or not self._stopped(container):
            self._bury(container, vitals, exit_dir)
        self._start(container)
        self._open_ports(container)

    def _stopped(self, container: ContainerInfo) -> bool:
        try:
            self._api.stop(container.name, RESTART_TIMEOUT)
        except SkupperError:
            return False
        return True

    def _start(self, container: ContainerInfo) -> None:
        """Start it when nothing is in the way: forwarders that hold its ports, helpers that only seem to run."""
        self._clear_ports(container)
        for path in self._stale():
            remove(path)
        self._api.start(container.name)

    def reconnect(self, containers: Iterable[ContainerInfo], lost: Uplink | None) -> None:
        """Bring back the rootless way out, as it was if that is known, else by stopping and starting everything.

        Raises:
            SkupperError: it could not be brought back.
        """
        if lost is not None and revive(lost, self._uid):
            return
        ordered = list(containers)
        names = {container.name for container in ordered}
        others = [
            info.name for info in self._api.containers() if info.running and info.networks and info.name not in names
        ]
        if others and lost is not None:
            # Podman 4 does not take the network down while they are on it: our connections would be cut for nothing.
            raise PlatformError(f"it comes back when {', '.join(sorted(others))} and the site were stopped together")
        self.restart_all(ordered)

    def restart_all(self, containers: Iterable[ContainerInfo]) -> None:
        """Stop all, so that Podman takes down the network they share, then start all in the given order.

        Raises:
            SkupperError: one of them could not be started; the others were.
        """
        ordered = list(containers)
        self.stop_all(ordered, RESTART_TIMEOUT)
        errors = []
        for container in ordered:
            try:
                self._start(container)
                self._open_ports(container)
            except SkupperError as error:
                errors.append(error.message)
        if errors:
            raise PlatformError("; ".join(errors))

    def stop_all(self, containers: Iterable[ContainerInfo], timeout: int = STOP_TIMEOUT) -> tuple[str, ...]:
        """Stop all at the same time, with SIGKILL after ``timeout`` seconds; returns what went wrong, a line each."""
        names = [container.name for container in containers]

        def stop(name: str) -> str:
            try:
                self._api.stop(name, timeout)
            except SkupperError as error:
                return error.message
            return ""

        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            return tuple(filter(None, pool.map(stop, names)))

    def _bury(self, container: ContainerInfo, vitals: Vitals | None, exit_dir: str) -> None:
        """Make Podman see that a container without monitor has ended: end it, and leave the exit code conmon would."""
        process = vitals.process if vitals else None
        if process is not None and process.alive():
            _signal(process, signal.SIGKILL)
        directory = Path((vitals.exit_dir if vitals else "") or exit_dir or "/nonexistent")
        with contextlib.suppress(PlatformError):
            write_atomic(directory / container.id, _KILLED.encode(), 0o644)
            return
        # Podman gives up waiting for the exit code after five seconds, complains, and takes it for stopped then.
        with contextlib.suppress(SkupperError):
            self._api.kill(container.name)

    def _clear_ports(self, container: ContainerInfo) -> None:
        """End port forwarders that outlived the container they forwarded to."""
        if self._uid == 0 or not container.ports:
            return
        listening = processes.listening_ports()
        inodes = {inode for port in container.ports for inode in listening.get(port.host_port, ())}
        strays = processes.holders(inodes, "rootlessport", self._uid) if inodes else ()
        for stray in strays:
            _signal(stray, signal.SIGTERM)
        self._wait(lambda: not any(stray.alive() for stray in strays), 1.0)

    def _open_ports(self, container: ContainerInfo) -> None:
        """See that a rootless container has its port forwarder; if not, stop and start it once more.

        With root, the monitor holds the ports, and a start fails if they are taken.
        """
        if self._uid == 0:
            return
        wanted = {port.host_port for port in container.ports}

        def there() -> bool:
            return wanted <= set(processes.listening_ports())

        if not wanted or self._wait(there, 1.0):
            return
        self._api.stop(container.name, RESTART_TIMEOUT)
        self._start(container)
        if not self._wait(there, 1.0):
            raise PlatformError(f"{container.name} runs, but nothing listens on its port")

    def _wait(self, condition: Callable[[], bool], limit: float) -> bool:
        deadline = self._clock() + limit
        while not condition():
            if self._clock() >= deadline:
                return False
            self._sleep(0.05)
        return True


def _signal(process: processes.Process, number: signal.Signals) -> None:
    if process.alive():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)
