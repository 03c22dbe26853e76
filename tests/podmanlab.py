"""Hosts for tests: each a network namespace and a mount namespace of its own with a real Podman service in it.

A rootful host has its own storage; a rootless one belongs to a user made for the test. What always holds: leaving the
``with`` block leaves no container, process, user, namespace or file of the host behind.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from skupper_podman.platform.podman.api import PodmanApi

CONTAINERS_CONF = """\
[engine]
runtime = "{runtime}"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
cgroupns = "private"
"""


def unable() -> str:
    """Why no such host can be made here; empty if it can."""
    if os.getuid() != 0:
        return "needs root to make network namespaces"
    missing = [name for name in ("podman", "ip", "nsenter", "unshare", "setpriv") if shutil.which(name) is None]
    return f"needs {', '.join(missing)}" if missing else ""


PATIENCE = 4
"""How much longer than it should take something may take while other tests and other work share the machine."""


def until(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Wait until ``condition`` is true and return how long that took; fails long after ``seconds``.

    Nothing is measured here: ``seconds`` is what it takes on a quiet machine, see ``scripts/bench`` for figures.
    """
    began = time.monotonic()
    last: object = None
    while time.monotonic() - began < seconds * PATIENCE:
        try:
            last = condition()
            if last:
                return time.monotonic() - began
        except Exception as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds * PATIENCE:.0f} s: {what} (last: {last!r})")


class LabHost:
    """A host: run programs on it with :meth:`run` and :meth:`popen`, talk to its Podman at :attr:`url`."""

    def __init__(self, directory: Path, user: str = "") -> None:
        self.directory = directory
        self.user = user
        self.uid = pwd.getpwnam(user).pw_uid if user else 0
        self.gid = pwd.getpwnam(user).pw_gid if user else 0
        self.home = Path(f"/home/{user}") if user else directory / "home"
        self.runtime_dir = Path(f"/run/user/{self.uid}") if user else Path("/run")
        self.socket = (self.runtime_dir if user else directory) / "podman.sock"
        self.url = f"unix://{self.socket}"
        self._pause: subprocess.Popen[bytes] | None = None
        self._service: subprocess.Popen[bytes] | None = None
        self._children: list[subprocess.Popen[bytes]] = []
        self._groups: list[Path] = []

    @property
    def env(self) -> dict[str, str]:
        """The environment of this host's user."""
        return {
            "HOME": str(self.home),
            "USER": self.user or "root",
            "LOGNAME": self.user or "root",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "XDG_RUNTIME_DIR": str(self.runtime_dir),
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
            "SKUPPER_DATA_HOME": str(self.directory / "data"),
            "PODMAN_ENDPOINT": self.url,
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        }

    def api(self, timeout: float = 60.0) -> PodmanApi:
        """A client for this host's Podman; made for its user."""
        return PodmanApi(self.url, timeout, uid=self.uid, gid=self.gid)

    def up(self) -> None:
        """Make the namespaces and start Podman's API service."""
        runtime = "runc" if shutil.which("runc") else "crun"
        (self.directory / "containers.conf").write_text(CONTAINERS_CONF.format(runtime=runtime))
        for place in (self.directory / "home", self.directory / "data"):
            place.mkdir(exist_ok=True)
            os.chown(place, self.uid, self.gid)
        # Podman keeps what its DNS server serves below /run/containers whatever its own directories are: a private one.
        # Podman's locks are in /dev/shm: a new host with an empty store frees those of all others.
        # A private /run/systemd decides whether this host has systemd, whatever the machine has.
        places = "/run/containers /run/systemd /dev/shm"
        mount = f"for place in {places}; do mkdir -p $place && mount -t tmpfs tmpfs $place || exit; done"
        private = f"mount --make-rprivate / && {mount} && mount --make-rshared /"
        # A way out, though it leads nowhere: on a machine that has just booted the supervisor waits for one.
        wire = "ip link add stub0 type veth peer name wire0 && ip link set wire0 up && ip link set stub0 up"
        way_out = f"{wire} && ip addr add 198.51.100.2/24 dev stub0 && ip route add default dev stub0 metric 1000"
        self._pause = subprocess.Popen(
            [
                "unshare",
                "--net",
                "--mount",
                "sh",
                "-c",
                f"{private} && ip link set lo up && {way_out} && echo up && exec sleep infinity",
            ],
            stdout=subprocess.PIPE,
        )
        assert self._pause.stdout is not None
        assert self._pause.stdout.readline() == b"up\n"
        self.start_service()

    def start_service(self) -> None:
        """Start Podman's API service and wait for its socket."""
        own = [] if self.user else self.own_directories()
        with (self.directory / "podman.log").open("ab") as log:
            self._service = self.popen(
                ["podman", *own, "system", "service", "-t", "0", self.url], stdout=log, stderr=log
            )
        until(lambda: self.api(5).info(), 30, "Podman answers")

    def stop_service(self) -> None:
        """Kill Podman's API service; containers go on."""
        assert self._service is not None
        self._service.kill()
        self._service.wait(10)
        if self.user:  # it runs in a child that joined the user namespace
            for pid in _pids_of(self.uid):
                words = _cmdline(pid)
                if words[:1] == ["podman"] and "service" in words:
                    _kill(pid)
        until(lambda: not _accepts(self.socket), 10, "nobody listens")

    def start_user_systemd(self) -> None:
        """Start the user's systemd, and Podman's socket unit in place of the service started so far.

        PID 1 need not be systemd: the user's cgroups are made here, and this mount namespace says that systemd runs.
        """
        assert self.user
        assert self._pause is not None
        self.stop_service()
        groups = [
            Path(f"/sys/fs/cgroup/{kind}/user.slice/user-{self.uid}.slice/user@{self.uid}.service")
            for kind in ("systemd", "unified")
            if Path(f"/sys/fs/cgroup/{kind}").is_dir()
        ] or [Path(f"/sys/fs/cgroup/user.slice/user-{self.uid}.slice/user@{self.uid}.service")]
        for group in groups:
            group.mkdir(parents=True, exist_ok=True)
            for place in (group, *group.iterdir()):
                os.chown(place, self.uid, self.gid)
        join = "; ".join(f"echo $$ > {group}/cgroup.procs" for group in groups)
        become = f"setpriv --reuid={self.uid} --regid={self.gid} --init-groups"
        script = f"mkdir -p /run/systemd/system; {join}; exec {become} /lib/systemd/systemd --user --log-target=console"
        with (self.directory / "systemd.log").open("ab") as log:
            manager = subprocess.Popen(
                ["nsenter", "-t", str(self._pause.pid), "-n", "-m", "sh", "-c", script],
                env={key: value for key, value in self.env.items() if key != "PODMAN_ENDPOINT"},
                cwd="/",
                stdout=log,
                stderr=log,
            )
        self._children.append(manager)
        self._groups = groups
        until(lambda: self.systemctl("is-system-running").stdout.strip() in ("running", "degraded"), 30, "systemd runs")
        assert self.systemctl("enable", "--now", "podman.socket").returncode == 0
        self.socket = self.runtime_dir / "podman" / "podman.sock"
        self.url = f"unix://{self.socket}"

    def systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``systemctl --user`` on this host."""
        return self.run(["systemctl", "--user", *words])

    def own_directories(self) -> list[str]:
        """Arguments of ``podman`` that give it the storage of this host."""
        places = {"--root": "root", "--runroot": "run", "--network-config-dir": "net", "--tmpdir": "tmp"}
        return [word for key, name in places.items() for word in (key, str(self.directory / name))] + [
            "--storage-driver",
            "overlay",
        ]

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs ``argv`` on this host as its user."""
        assert self._pause is not None
        enter = ["nsenter", "-t", str(self._pause.pid), "-n", "-m", "--"]
        become = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups"] if self.user else []
        return [*enter, *become, *argv]

    def popen(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.Popen[bytes]:
        """Start ``argv`` on this host; it is ended with the host."""
        child = subprocess.Popen(self.inside(argv), env={**self.env, **(env or {})}, cwd="/", **options)  # type: ignore[call-overload]
        self._children.append(child)
        return child  # type: ignore[no-any-return]

    def run(self, argv: Sequence[str], timeout: float = 60, **options: object) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` on this host."""
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            self.inside(argv), env=self.env, cwd="/", timeout=timeout, capture_output=True, text=True, **options
        )

    def python(self, *argv: str) -> list[str]:
        """The command that runs our Python with ``argv``."""
        return [sys.executable, *argv]

    def get(self, port: int, timeout: float = 2.0) -> str:
        """The body of http://127.0.0.1:port/ as seen on this host; empty if that fails."""
        completed = self.run(["curl", "-s", "--max-time", str(timeout), f"http://127.0.0.1:{port}/"], timeout + 5)
        return completed.stdout

    def down(self) -> None:
        """End everything."""
        with contextlib.suppress(Exception):
            api = self.api(20)
            for container in api.containers():
                api.stop(container.name, 0)
                api.remove_container(container.name)
        for child in reversed(self._children):
            if child.poll() is None:
                child.kill()
            child.wait(10)
        if self._pause is not None:
            for pid in _pids_in(self._pause.pid):
                _kill(pid)
            self._pause.wait(10)
        if self.user:
            for _ in range(3):
                for pid in _pids_of(self.uid):
                    _kill(pid)
        for group in self._groups:
            _remove_group(group.parent)


def _remove_group(group: Path) -> None:
    """Remove a cgroup and those in it; they are empty by now, or about to be."""
    if group.is_dir():
        for inner in group.iterdir():
            if inner.is_dir():
                _remove_group(inner)
        with contextlib.suppress(OSError):
            group.rmdir()


def _accepts(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    except OSError:
        return False
    return True


def _cmdline(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _pids_of(uid: int) -> list[int]:
    """Processes of the user made for the test."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                found.append(int(entry.name))
    return found


def _pids_in(pause: int) -> list[int]:
    """Processes in the mount namespace of process ``pause``, itself last."""
    wanted = os.readlink(f"/proc/{pause}/ns/mnt")
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "ns" / "mnt") == wanted and int(entry.name) != pause:
                found.append(int(entry.name))
    return [*found, pause]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _directory() -> Path:
    """A short path (Podman puts sockets below it, whose paths are limited) that every user may enter."""
    directory = Path(tempfile.mkdtemp(prefix="sk-", dir="/tmp"))
    directory.chmod(0o755)
    return directory


@contextlib.contextmanager
def rootful_host() -> Iterator[LabHost]:
    """A host whose Podman runs as root."""
    directory = _directory()
    host = LabHost(directory)
    try:
        host.up()
        yield host
    finally:
        host.down()
        _remove(directory)


@contextlib.contextmanager
def rootless_host(kind: type[LabHost] = LabHost) -> Iterator[LabHost]:
    """A host whose Podman runs as an ordinary user made for it; ``kind`` may refine what a host is."""
    directory = _directory()
    user = f"skt{secrets.token_hex(4)}"
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", user], check=True, capture_output=True)
    host = None
    try:
        host = kind(directory, user)
        host.runtime_dir.mkdir(parents=True, exist_ok=True)
        os.chown(host.runtime_dir, host.uid, host.gid)
        host.runtime_dir.chmod(0o700)
        Path("/dev/net/tun").chmod(0o666)
        host.up()
        yield host
    finally:
        if host is not None:
            host.down()
            _remove(host.runtime_dir)
        subprocess.run(["userdel", "--remove", "--force", user], capture_output=True, check=False)
        _remove(directory)


def _remove(directory: Path) -> None:
    if directory.exists():
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((m for m in mounts if m.startswith(f"{directory}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], capture_output=True, check=False)
        shutil.rmtree(directory, ignore_errors=True)
