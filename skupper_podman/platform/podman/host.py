"""What preflight asks of the host, and the real host's answers.

What always holds: looking changes nothing (a port is tried by binding and closing it at once); what an ordinary user
may not see, like the name of another user's process, is left out, not guessed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from skupper_podman.platform.podman.hostimage import unreadable

BindProblem = Literal["", "taken", "forbidden", "absent", "invalid"]
"""Why an address cannot be bound: in use, privileged port, no such address on this host, not an address."""

_HELPER_DIRECTORIES = (
    "/usr/libexec/podman", "/usr/lib/podman", "/usr/local/libexec/podman", "/usr/local/lib/podman",
    "/usr/libexec/cni", "/usr/lib/cni", "/usr/local/lib/cni", "/opt/cni/bin",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Owner:
    """Who listens on a port; ``pid`` 0 and ``name`` empty where this user may not see the process."""

    user: str
    pid: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    """Room in the file system of ``path`` (the nearest directory that exists): free bytes and inodes for this user.

    ``free_inodes`` is None where the file system has no fixed number; ``writable`` says if this user may write there;
    ``device`` tells file systems apart.
    """

    path: str
    free_bytes: int
    free_inodes: int | None
    writable: bool
    device: int = 0


@dataclass(frozen=True, slots=True)
class SubIds:
    """Subordinate ids: how many this user has, and the end of the last range anybody has; ``known`` False where the
    files are not the source (``subid`` in nsswitch.conf)."""

    count: int
    last: int
    known: bool = True


class Host(Protocol):
    """The questions of preflight. Any answer may be out of date a moment later."""

    uid: int
    gid: int
    user: str

    def runtime_dir(self) -> Path:
        """The user's runtime directory, whether it exists or not."""
        ...

    def is_directory(self, path: Path) -> bool:
        """True if ``path`` is a directory this user can enter."""
        ...

    def try_bind(self, ip: str, port: int) -> BindProblem:
        """Try to listen on ``ip`` (empty for all addresses) and ``port``; empty if that works."""
        ...

    def port_owner(self, port: int) -> Owner | None:
        """Who listens on ``port``, None if nobody is seen to."""
        ...

    def addresses(self) -> tuple[str, ...]:
        """Addresses of the host's interfaces."""
        ...

    def lookup(self, name: str) -> tuple[str, ...]:
        """Addresses of the host called ``name``; none if it has none."""
        ...

    def space(self, path: Path) -> Space | None:
        """Room for files below ``path``; None if it cannot be told."""
        ...

    def has_program(self, name: str) -> bool:
        """True if ``name`` is on PATH or where Podman keeps its helpers."""
        ...

    def sub_ids(self, kind: Literal["subuid", "subgid"]) -> SubIds:
        """The user's subordinate ids."""
        ...

    def uptime(self) -> float | None:
        """Seconds since the host booted."""
        ...

    def kernel(self) -> str:
        """Release of the running kernel."""
        ...

    def lowest_port(self) -> int:
        """The lowest port an ordinary user may listen on."""
        ...

    def unreadable(self) -> str:
        """The first file of our Python installation that containers could not read; empty if there is none."""
        ...

    def installer(self) -> str:
        """The command that installs a package: ``apt install`` or ``dnf install`` with sudo where needed."""
        ...


class LocalHost:
    """This host."""

    def __init__(self, uid: int, gid: int, user: str, runtime_dir: Path) -> None:
        self.uid = uid
        self.gid = gid
        self.user = user
        self._runtime_dir = runtime_dir

    def runtime_dir(self) -> Path:
        """The user's runtime directory, whether it exists or not."""
        return self._runtime_dir

    def is_directory(self, path: Path) -> bool:
        """True if ``path`` is a directory this user can enter."""
        return path.is_dir() and os.access(path, os.X_OK)

    def try_bind(self, ip: str, port: int) -> BindProblem:
        """Try to listen on ``ip`` (empty for all addresses) and ``port``; empty if that works."""
        try:
            family = socket.AF_INET6 if ":" in ip else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # As Podman does: addresses in TIME_WAIT do not count, but listeners do.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                socket.inet_pton(family, ip or "0.0.0.0")
                probe.bind((ip, port))
                probe.listen(1)
        except OSError as error:
            return _bind_problem(error)
        return ""

    def port_owner(self, port: int) -> Owner | None:
        """Who listens on ``port``, None if nobody is seen to."""
        for inode, uid in _listeners(port):
            pid = _holder(inode)
            return Owner(_user_name(uid), pid, _process_name(pid))
        return None

    def addresses(self) -> tuple[str, ...]:
        """Addresses of the host's interfaces."""
        import netifaces

        found = []
        for name in netifaces.interfaces():
            for family in (netifaces.AF_INET, netifaces.AF_INET6):
                for entry in netifaces.ifaddresses(name).get(family, []):
                    found.append(str(entry.get("addr", "")).partition("%")[0])
        return tuple(dict.fromkeys(filter(None, found)))

    def lookup(self, name: str) -> tuple[str, ...]:
        """Addresses of the host called ``name``; none if it has none."""
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return ()
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    def space(self, path: Path) -> Space | None:
        """Room for files below ``path``; None if it cannot be told."""
        while not path.exists() and path != path.parent:
            path = path.parent
        try:
            facts = os.statvfs(path)
        except OSError:
            return None
        inodes = facts.f_favail if facts.f_files else None
        writable = os.access(path, os.W_OK | os.X_OK)
        return Space(str(path), facts.f_bavail * facts.f_frsize, inodes, writable, path.stat().st_dev)

    def has_program(self, name: str) -> bool:
        """True if ``name`` is on PATH or where Podman keeps its helpers."""
        places = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", *_HELPER_DIRECTORIES))
        return shutil.which(name, path=places) is not None

    def sub_ids(self, kind: Literal["subuid", "subgid"]) -> SubIds:
        """The user's subordinate ids."""
        count = last = 0
        for line in _lines(Path("/etc") / kind):
            who, _, rest = line.partition(":")
            start, _, size = rest.partition(":")
            if not start.isdigit() or not size.isdigit():
                continue
            last = max(last, int(start) + int(size))
            if who in (self.user, str(self.uid)):
                count += int(size)
        known = not any(line.split("#")[0].strip().startswith("subid:") for line in _lines(Path("/etc/nsswitch.conf")))
        return SubIds(count, last, known)

    def uptime(self) -> float | None:
        """Seconds since the host booted."""
        words = "".join(_lines(Path("/proc/uptime"))).split()
        return float(words[0]) if words else None

    def kernel(self) -> str:
        """Release of the running kernel."""
        return os.uname().release

    def lowest_port(self) -> int:
        """The lowest port an ordinary user may listen on."""
        text = "".join(_lines(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start"))).strip()
        return int(text) if text.isdigit() else 1024

    def unreadable(self) -> str:
        """The first file of our Python installation that containers could not read; empty if there is none."""
        return unreadable(self.uid, self.gid)

    def installer(self) -> str:
        """The command that installs a package: ``apt install`` or ``dnf install`` with sudo where needed."""
        program = "dnf" if shutil.which("dnf") and not shutil.which("apt") else "apt"
        return f"{'' if self.uid == 0 else 'sudo '}{program} install"


def local_host(runtime_dir: Path) -> LocalHost:
    """This host as seen by the running user."""
    uid = os.getuid()
    return LocalHost(uid, os.getgid(), _user_name(uid), runtime_dir)


def _bind_problem(error: OSError) -> BindProblem:
    if error.errno == errno.EADDRINUSE:
        return "taken"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "forbidden"
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH):
        return "absent"
    return "invalid"


def _listeners(port: int) -> Iterator[tuple[int, int]]:
    """Inode and uid of each TCP socket listening on ``port`` (proc(5): state 0A is LISTEN)."""
    for name in ("tcp", "tcp6"):
        for line in _lines(Path("/proc/net") / name)[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield int(fields[9]), int(fields[7])


def _holder(inode: int) -> int:
    """The process that holds the socket; 0 if it is another user's, or gone."""
    wanted = Path(f"socket:[{inode}]")
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if descriptor.readlink() == wanted:
                        return int(process.name)
    return 0


def _process_name(pid: int) -> str:
    return "".join(_lines(Path(f"/proc/{pid}/comm"))).strip() if pid else ""


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
