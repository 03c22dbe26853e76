"""The one gateway to systemd: the unit that supervises a site, and lingering, without which it stops at logout.

What always holds: the manager of the user is meant for a rootless site, the system manager for root's; each call has a
time limit; a host without systemd is a normal case, told by :meth:`Systemd.unavailable`, not an error.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skupper_podman.errors import InvalidError, PlatformError
from skupper_podman.files import FileState, Tree, make_directories
from skupper_podman.paths import Paths, linger_file
from skupper_podman.process import Completed, run

QUERY_TIMEOUT = 10.0
CHANGE_TIMEOUT = 60.0
"""Seconds a change to what the manager knows may take: on a busy host it reads all its units again."""
_POLL = 0.2
START_TIMEOUT = 120.0
"""Seconds a start or stop may take: it waits until the unit says that the site runs, or has stopped."""


@dataclass(frozen=True, slots=True)
class UnitState:
    """What the manager says about the unit; ``active`` is its ActiveState (active, inactive, failed, activating...),
    ``status`` the unit's own words, ``since`` when it entered that state (empty if never).

    ``stale`` says that files of the unit changed since the manager read them, ``unreadable`` that it cannot make sense
    of them. ``command`` is what it runs at the next start; ``dropins`` are the files that change this unit alone.
    """

    loaded: bool
    enabled: bool
    active: str
    sub: str = ""
    status: str = ""
    main_pid: int = 0
    since: str = ""
    masked: bool = False
    unreadable: bool = False
    stale: bool = False
    command: str = ""
    dropins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Systemd:
    """The manager of one user (or of the system, for root) and the site's unit in it. ``env`` is this process's."""

    paths: Paths
    env: Mapping[str, str] = field(repr=False)
    user: str = ""

    def unavailable(self) -> str:
        """Why the manager cannot be used, in one sentence; empty if it can."""
        if not Path("/run/systemd/system").is_dir():
            return "systemd does not run this host"
        try:
            completed = self._systemctl(
                "list-units", "--no-pager", "--no-legend", self.paths.unit_name, timeout=QUERY_TIMEOUT
            )
        except PlatformError as error:
            return error.message
        if completed.ok:
            return ""
        whose = "of the system" if self.paths.system else "of this user"
        return f"the systemd manager {whose} cannot be reached: {completed.complaint}"

    def file_state(self) -> FileState | None:
        """The unit file as it is, None if there is none, or a link (as ``systemctl mask`` makes) in its place."""
        try:
            return Tree(self.paths.unit_dir).state(self.paths.unit_name)
        except InvalidError:
            return None

    def write(self, content: str) -> None:
        """Write the unit file (0644) and let the manager read it.

        Raises:
            PlatformError: it cannot be written, or the manager refused.
        """
        make_directories(self.paths.unit_dir)
        Tree(self.paths.unit_dir).write(self.paths.unit_name, content.encode(), 0o644)
        self.reload()

    def restore(self, state: FileState | None) -> None:
        """Put the unit file back as it was (None: there was none) and let the manager read that."""
        tree = Tree(self.paths.unit_dir)
        if state is None:
            tree.remove(self.paths.unit_name)
        else:
            tree.write(self.paths.unit_name, state.content, state.mode)
        self.reload()

    def reload(self) -> None:
        """Let the manager read changed unit files."""
        self._do("daemon-reload", timeout=CHANGE_TIMEOUT)

    def enable(self) -> None:
        """Start the unit at every boot (or login, without linger)."""
        self._do("enable", self.paths.unit_name, timeout=CHANGE_TIMEOUT)

    def disable(self) -> None:
        """No longer start it by itself; it may be unknown."""
        self._systemctl("disable", self.paths.unit_name, timeout=CHANGE_TIMEOUT)

    def start(self) -> None:
        """Start the unit and wait until it is up.

        Raises:
            PlatformError: it did not come up; the hint shows its journal.
        """
        self._do("start", self.paths.unit_name, timeout=START_TIMEOUT)

    def restart(self) -> None:
        """Stop and start the unit and wait until it is up. Raises as :meth:`start`."""
        self._do("restart", self.paths.unit_name, timeout=2 * START_TIMEOUT)

    def renew(self) -> None:
        """Give the unit a new process, so that a changed unit file takes effect, and leave alone what it supervises.

        Told to stop, the supervisor would stop the site; killed, it is simply started again.

        Raises:
            PlatformError: no new process came up.
        """
        old = self.state().main_pid
        self._do("kill", "--kill-who=main", "--signal=SIGKILL", self.paths.unit_name, timeout=QUERY_TIMEOUT)
        deadline = time.monotonic() + START_TIMEOUT
        while not ((now := self.state()).active == "active" and now.main_pid not in (0, old)):
            if time.monotonic() > deadline:
                raise PlatformError(f"{self.paths.unit_name} did not come up again", self.status_command())
            time.sleep(_POLL)

    def stop(self) -> None:
        """Stop the unit and wait until all it supervises has stopped; it may be unknown or stopped."""
        if self.state().active != "inactive":
            self._do("stop", self.paths.unit_name, timeout=START_TIMEOUT)

    def remove(self) -> None:
        """Stop and disable the unit, remove its file, and let the manager forget it. Nothing of it need exist.

        Raises:
            PlatformError: it cannot be stopped, or its file cannot be removed.
        """
        usable = not self.unavailable()
        if usable:
            self.stop()
            self.disable()
        else:
            for wanted in self.paths.unit_dir.glob(f"*.wants/{self.paths.unit_name}"):
                wanted.unlink(missing_ok=True)
        Tree(self.paths.unit_dir).remove(self.paths.unit_name)
        if usable:
            self.reload()
            self._systemctl("reset-failed", self.paths.unit_name, timeout=QUERY_TIMEOUT)

    def is_active(self, unit: str) -> bool:
        """Whether another unit runs.

        Raises:
            PlatformError: the manager cannot be reached.
        """
        return self._systemctl("is-active", "--quiet", unit, timeout=QUERY_TIMEOUT).ok

    def start_units(self, units: Sequence[str]) -> None:
        """Start other units and wait until they are up. Raises as :meth:`start`."""
        if units:
            self._do("start", *units, timeout=START_TIMEOUT)

    def stop_units(self, units: Sequence[str]) -> None:
        """Stop other units, known or not, and wait until they have.

        Raises:
            PlatformError: one of them does not stop.
        """
        loaded = [unit for unit in units if self._systemctl("cat", unit, timeout=QUERY_TIMEOUT).ok]
        if loaded:
            self._do("stop", *loaded, timeout=START_TIMEOUT)

    def state(self) -> UnitState:
        """What the manager says about the unit.

        Raises:
            PlatformError: the manager cannot be reached.
        """
        names = "LoadState,UnitFileState,ActiveState,SubState,StatusText,MainPID,StateChangeTimestamp"
        names += ",NeedDaemonReload,ExecStart,DropInPaths"
        completed = self._do("show", self.paths.unit_name, f"--property={names}", timeout=QUERY_TIMEOUT)
        values = dict(line.partition("=")[::2] for line in completed.stdout.splitlines())
        pid, own = values.get("MainPID", ""), f"/{self.paths.unit_name}.d/"
        return UnitState(
            loaded=values.get("LoadState") == "loaded",
            enabled=values.get("UnitFileState") in ("enabled", "enabled-runtime"),
            active=values.get("ActiveState", ""),
            sub=values.get("SubState", ""),
            status=values.get("StatusText", ""),
            main_pid=int(pid) if pid.isdigit() else 0,
            since=values.get("StateChangeTimestamp", ""),
            masked=values.get("LoadState") == "masked",
            unreadable=values.get("LoadState") in ("bad-setting", "error"),
            stale=values.get("NeedDaemonReload") == "yes",
            command=values.get("ExecStart", "").partition("argv[]=")[2].partition(" ;")[0],
            dropins=tuple(path for path in values.get("DropInPaths", "").split() if own in path),
        )

    def status_command(self) -> str:
        """What a user types to see the unit."""
        return f"systemctl {'' if self.paths.system else '--user '}status {self.paths.unit_name}"

    def linger_enabled(self) -> bool:
        """True if the user's manager runs without a login; for the system manager always."""
        return self.paths.system or not self.user or linger_file(self.user).exists()

    def enable_linger(self) -> str:
        """Let the user's manager start at boot; empty if it does now, else the command an administrator must run.

        Never an error: a site works without, but not after the last logout.
        """
        if self.linger_enabled():
            return ""
        command = ["loginctl", "--no-ask-password", "enable-linger", self.user]
        try:
            if run(command, timeout=QUERY_TIMEOUT, env=self.env).ok and self.linger_enabled():
                return ""
        except PlatformError:
            pass
        return f"sudo loginctl enable-linger {self.user}"

    def disable_linger(self) -> None:
        """Take back :meth:`enable_linger`; failure is ignored, since somebody else may rely on it."""
        try:
            run(["loginctl", "--no-ask-password", "disable-linger", self.user], timeout=QUERY_TIMEOUT, env=self.env)
        except PlatformError:
            return

    def _do(self, *words: str, timeout: float) -> Completed:
        completed = self._systemctl(*words, timeout=timeout)
        if not completed.ok:
            mode = "" if self.paths.system else " --user"
            raise PlatformError(
                f"systemctl{mode} {' '.join(words[:2])} failed: {completed.complaint}",
                f"journalctl{mode} -u {self.paths.unit_name} -n 20 --no-pager",
            )
        return completed

    def _systemctl(self, *words: str, timeout: float) -> Completed:
        mode = [] if self.paths.system else ["--user"]
        return run(["systemctl", *mode, "--no-ask-password", *words], timeout=timeout, env=self._environment())

    def _environment(self) -> dict[str, str]:
        """A user's manager is found through the runtime directory, which ``su`` and cron do not set."""
        environment = dict(self.env)
        environment.setdefault("PATH", os.defpath)
        if not self.paths.system and not environment.get("XDG_RUNTIME_DIR"):
            environment["XDG_RUNTIME_DIR"] = str(self.paths.runtime_dir)
        return environment
