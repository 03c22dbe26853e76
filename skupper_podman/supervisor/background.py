"""The supervisor on a host without systemd: two detached processes that watch each other instead of a manager.

One of them leads: it supervises the site. The other stands by; when the lead is gone it takes over and starts a new
stand-by, and the lead does so when the stand-by is gone. Who sits where is decided by two locked files, so a killed
process leaves its seat at once; removing the files ends both. What always holds: at most one process leads for a site;
ending the supervisor leaves the containers as they are. It does not survive a reboot: that is what systemd is for.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from skupper_podman.errors import PlatformError
from skupper_podman.files import remove, write_atomic
from skupper_podman.paths import Paths

ARGUMENT = "--background"
NAMESPACE_ARGUMENT = "--namespace"
_START_TIMEOUT = 10.0
_END_TIMEOUT = 15.0
_POLL = 0.25
_LOG_LIMIT = 1024 * 1024


class Seat:
    """A place one process can take: a locked file that holds its process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def provide(self) -> None:
        """Make the file of the seat, if it is not there."""
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))

    def take(self) -> bool:
        """Sit down if the seat is there and free; True if this process has it now."""
        if self._descriptor >= 0:
            return True
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return True

    def leave(self) -> None:
        """Get up; nothing happens if the seat was not taken."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def kept(self) -> bool:
        """True if the seat was taken and its file is still there; who removes the file wants the process gone."""
        try:
            return self._descriptor >= 0 and self.path.stat().st_ino == os.fstat(self._descriptor).st_ino
        except OSError:
            return False

    def holder(self) -> int:
        """The process that sits there; 0 if the seat is free."""
        if self._descriptor >= 0:
            return os.getpid()
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return 0
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(descriptor, 32, 0).decode(errors="replace")
            return int(text) if text.isdigit() else -1
        finally:
            os.close(descriptor)
        return 0


class Background:
    """The background supervisor of one site; ``env`` is what its processes get, ``python`` runs them."""

    def __init__(self, paths: Paths, env: Mapping[str, str], python: str) -> None:
        directory = paths.runtime_dir if os.access(paths.runtime_dir, os.W_OK) else paths.data_home
        self._lead = Seat(directory / f"{paths.stem}.lead")
        self._standby = Seat(directory / f"{paths.stem}.standby")
        self._status = directory / f"{paths.stem}.status"
        self._site = (NAMESPACE_ARGUMENT, paths.namespace) if paths.namespace else ()
        self._env = env
        self._python = python
        self.log = directory / f"{paths.stem}.log"
        """What the supervisor says."""

    def traces(self) -> bool:
        """Whether any of its files is there, also if it does not run."""
        return any(path.exists() for path in self._files())

    def _files(self) -> tuple[Path, ...]:
        return self._lead.path, self._standby.path, self._status, self.log

    def running(self) -> int:
        """The process that leads; 0 if none does."""
        return max(self._lead.holder(), 0)

    def tell(self, status: str) -> None:
        """Let others know how the site is; for the process that leads."""
        with contextlib.suppress(PlatformError):
            write_atomic(self._status, status.encode(), 0o600)

    def status(self) -> str:
        """What the process that leads says of the site; empty if it has not said anything."""
        try:
            return self._status.read_text(errors="replace")
        except OSError:
            return ""

    def silence(self, now: float) -> float:
        """Seconds since the process that leads last went round its loop; 0 if that is not known."""
        try:
            return max(now - self._status.stat().st_mtime, 0.0)
        except OSError:
            return 0.0

    def start(self) -> int:
        """Start it if it does not run; returns the process that leads.

        Raises:
            PlatformError: it did not come up.
        """
        if not self.running():
            # Only here: a process that was started before a stop, and comes after it, finds no seat.
            try:
                self._lead.provide()
                self._standby.provide()
                self._spawn()
            except OSError as error:
                raise PlatformError(f"cannot start the background supervisor: {error.strerror}") from error
        deadline = time.monotonic() + _START_TIMEOUT
        while not (pid := self.running()):
            if time.monotonic() > deadline:
                raise PlatformError("the background supervisor did not start", f"see {self.log}")
            time.sleep(0.05)
        return pid

    def stop(self) -> None:
        """End both processes; the containers stay as they are. They need not run.

        Raises:
            PlatformError: one of them cannot be ended.
        """
        deadline = time.monotonic() + _END_TIMEOUT
        while holders := [pid for pid in (self._standby.holder(), self._lead.holder()) if pid]:
            number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
            if time.monotonic() > deadline + _END_TIMEOUT:
                raise PlatformError(f"the background supervisor (process {holders[0]}) does not end")
            for pid in holders:
                if pid > 0:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            time.sleep(0.1)
        for place in self._files():
            remove(place)

    def serve(self, supervise: Callable[[Callable[[], bool]], int]) -> int:
        """What each of the two processes does: lead with ``supervise``, or stand by until it must.

        ``supervise`` is given what to do in every round of its loop, which says if it should go on; it returns the
        exit code.
        """
        if not self._lead.take():
            if not self._standby.take():
                return 0  # both seats are taken
            while self._standby.kept() and not self._lead.take():
                time.sleep(_POLL)
            self._standby.leave()
            if not self._lead.kept():
                return 0
        self.tell("looking for the site")
        try:
            code = supervise(self._see_to_standby)
        except BaseException:
            self._lead.leave()  # whoever stands by has a try
            raise
        self._end_standby()
        self._lead.leave()
        return code

    def _see_to_standby(self) -> bool:
        if not self._lead.kept():
            return False
        with contextlib.suppress(OSError):
            os.utime(self._status)  # so that others see that the loop goes round
        if self._standby.path.exists() and not self._standby.holder():
            with contextlib.suppress(OSError):
                self._spawn()
        return True

    def _end_standby(self) -> None:
        deadline = time.monotonic() + _END_TIMEOUT
        while (pid := self._standby.holder()) and time.monotonic() < deadline:
            if pid > 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            time.sleep(0.05)

    def _spawn(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        log = os.open(self.log, flags, 0o600)
        try:
            if os.fstat(log).st_size > _LOG_LIMIT:
                os.ftruncate(log, 0)
            subprocess.Popen(  # noqa: S603  our own interpreter and module
                [self._python, "-m", "skupper_podman.supervisor", ARGUMENT, *self._site],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self._env),
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(log)
