"""The supervisor's loop: look, let the core decide, act in threads, tell systemd, wait for the next reason to look.

What always holds: the loop itself never waits for an action, so the watchdog is fed while a container stops; the end of
a watched process ends the wait at once; a termination signal stops all containers, at the same time, and then the loop.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from skupper_podman.errors import SkupperError
from skupper_podman.locks import note_of
from skupper_podman.notify import Notifier
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.supervisor import processes
from skupper_podman.supervisor.core import Action, Supervisor, rank
from skupper_podman.supervisor.heal import STOP_TIMEOUT, Medic
from skupper_podman.supervisor.learner import Learner
from skupper_podman.supervisor.network import await_network
from skupper_podman.supervisor.observe import Observer
from skupper_podman.supervisor.renewals import Renewals
from skupper_podman.supervisor.revive import SocketUnit

TICK = 2.0
"""Seconds between looks when nothing happens."""
EXIT_STOPPED = 0
EXIT_GONE = 3
"""The site does not exist any more; the unit must not be started again."""

_WORKERS = 8
_DURATIONS = re.compile(r", next try in \d+ s| since \d+ s")
"""What changes in a status as time passes: no news for the log."""

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does what for the loop: sees, mends, tells the manager, writes the log, makes other sites' services, sees to
    certificates. ``lock_files`` are held while a command changes the site; ``socket`` is the unit behind Podman's API,
    where it is systemd's own."""

    observer: Observer
    medic: Medic
    notifier: Notifier
    log: Log
    learner: Learner
    renewals: Renewals
    lock_files: tuple[Path, ...]
    socket: SocketUnit | None = None


class Loop:
    """Supervises one site until it is told to stop, or the site is gone."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._core = Supervisor(time.monotonic())
        self._done: queue.SimpleQueue[tuple[Action, str]] = queue.SimpleQueue()
        self._stop = False
        self._ready_told = False
        self._status = ""
        self._read_wake, self._write_wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self, each_round: Callable[[], bool] | None = None, leave_running: bool = False) -> int:
        """Supervise; returns the exit code.

        ``each_round`` is called in every round and says if there should be another one; ``leave_running`` keeps the
        containers when the supervisor is stopped.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._await_network()
        if not self._stop:
            self._crew.renewals.before_start()
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            while not self._stop:
                self._collect()
                if self._core.ready:
                    self._crew.renewals.tick(pool.submit)
                for action in self._look():
                    self._crew.log(f"{action.kind} {action.target or 'all containers'}: {action.why}")
                    pool.submit(self._quote, action)
                    pool.submit(self._act, action)
                if self._core.ready and self._crew.learner.due(time.monotonic()):
                    pool.submit(self._crew.learner.work)
                self._tell()
                if self._core.gone:
                    return self._leave()
                if each_round and not each_round():
                    break
                self._wait()
            self._crew.notifier.stopping("stopping")
            self._crew.notifier.extend(STOP_TIMEOUT * 4)
            self._crew.learner.stop()
        if not leave_running:
            self._stop_all()  # when no action is under way any more that could start one again
        return EXIT_STOPPED

    def _look(self) -> tuple[Action, ...]:
        busy = any(_is_held(path) for path in self._crew.lock_files)
        try:
            look = self._crew.observer.look(busy)
        except SkupperError as error:
            self._core.blind(error.message + self._crew.observer.full_disk(), time.monotonic())
            if self._crew.socket is not None and self._crew.socket.revive(time.monotonic()):
                self._crew.log("podman.socket had failed; it is started again")
            return ()
        return self._core.saw(look, time.monotonic())

    def _act(self, action: Action) -> None:
        error = ""
        try:
            self._treat(action)
        except SkupperError as failure:
            error = failure.message
        except Exception as failure:
            # A defect in mending must not leave the container unwatched for ever.
            error = f"{type(failure).__name__}: {failure}"
        self._done.put((action, error))
        self._wake()

    def _quote(self, action: Action) -> None:
        """Tell the unit's log what a container that failed said last, so that one journal says why."""
        container = self._crew.observer.containers.get(action.target)
        if container is None or container.running or not container.exit_code:
            return
        with contextlib.suppress(SkupperError):
            for line in self._crew.medic.last_words(container):
                self._crew.log(f"{container.name} said: {line}")

    def _treat(self, action: Action) -> None:
        if action.kind == "reconnect":
            self._crew.medic.reconnect(self._ordered(), self._crew.observer.uplink)
            return
        container = self._crew.observer.containers.get(action.target)
        if container is None:
            return
        vitals, exit_dir = self._crew.observer.vitals(action.target), self._crew.observer.exit_dir()
        treat = self._crew.medic.start if action.kind == "start" else self._crew.medic.restart
        treat(container, vitals, exit_dir)

    def _ordered(self) -> list[ContainerInfo]:
        seen = self._crew.observer
        return sorted(seen.containers.values(), key=lambda item: (rank(seen.own, item.labels), item.name))

    def _collect(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                action, error = self._done.get_nowait()
                self._core.did(action, error, time.monotonic())
                outcome = f"failed: {error}" if error else "done"
                self._crew.log(f"{action.kind} {action.target or 'all containers'} {outcome}")

    def _tell(self) -> None:
        self._crew.notifier.alive()
        status = self._core.status(time.monotonic())
        self._crew.notifier.status(status)
        lasting = _DURATIONS.sub("", status)
        if lasting != self._status:
            self._status = lasting
            self._crew.log(status)
        if self._core.ready and not self._ready_told:
            self._ready_told = True
            self._crew.notifier.ready()
        elif not self._ready_told:
            self._crew.notifier.extend(max(self._crew.notifier.watchdog, 30.0))

    def _wait(self) -> None:
        """Wait for a signal, an action's end, the end of a watched process, or the time of the next look."""
        timeout = min(TICK, self._core.due(time.monotonic()))
        with selectors.DefaultSelector() as selector, _pidfds(self._crew.observer.watched()) as descriptors:
            selector.register(self._read_wake, selectors.EVENT_READ)
            for descriptor in descriptors:
                selector.register(descriptor, selectors.EVENT_READ)
            ended = selector.select(timeout)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read_wake, 4096)
        if ended and not self._stop:
            time.sleep(0.05)  # several processes usually end together; let Podman note it

    def _await_network(self) -> None:
        """At boot, wait a little for the way out; the log says when it was waited for, and in vain."""

        def waiting(left: float) -> bool:
            if not told:
                told.append(f"waiting for the network, at most {left:.0f} s")
                self._crew.log(told[0])
            self._crew.notifier.status(f"waiting for the network, at most {left:.0f} s more")
            self._crew.notifier.alive()
            return not self._stop

        told: list[str] = []
        if not await_network(waiting) and told and not self._stop:
            self._crew.log("there is no network yet; starting without")

    def _stop_all(self) -> None:
        self._crew.log("stopping all containers")
        with contextlib.suppress(SkupperError):
            self._crew.observer.look(busy=True)
        for problem in self._crew.medic.stop_all(self._ordered(), STOP_TIMEOUT):
            self._crew.log(problem)
        self._crew.notifier.status("stopped")

    def _leave(self) -> int:
        text = "there is no site any more; nothing to supervise"
        self._crew.log(text)
        self._crew.notifier.stopping(text)
        return EXIT_GONE

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._write_wake, b"x")


def _is_held(lock_file: Path) -> bool:
    """True while a skupper command changes the site."""
    return note_of(lock_file) is not None


@contextlib.contextmanager
def _pidfds(watched: tuple[processes.Process, ...]) -> Iterator[list[int]]:
    """Descriptors that become readable when those processes end; one that has just ended is left to the next look."""
    descriptors = []
    try:
        for process in watched:
            with contextlib.suppress(OSError):
                descriptors.append(os.pidfd_open(process.pid))
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
