"""What the host's processes and sockets say, read from /proc: is it alive, is it still the same, who listens where.

What always holds: a zombie counts as dead, and a process id that was given to another process as gone; a process that
becomes another program (exec) is still the same.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process told apart from a later one with the same id by its start time (in clock ticks since boot)."""

    pid: int
    started: int
    name: str = field(compare=False)
    """Its program; not compared, because a container's first process is runc, then a shell, then the program."""

    @property
    def age(self) -> float:
        """Seconds since it began, by a clock that nobody can set, and that goes on while the host sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.started / os.sysconf("SC_CLK_TCK")

    def alive(self) -> bool:
        """True if it still runs."""
        return find(self.pid) == self


def find(pid: int) -> Process | None:
    """The process ``pid``; None if there is none or it is a zombie."""
    if pid <= 0:
        return None
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # proc(5): pid (name) state ppid ... ; the name may hold blanks and brackets, so count from the last bracket.
    name = text[text.find("(") + 1 : text.rfind(")")]
    fields = text[text.rfind(")") + 2 :].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return Process(pid, int(fields[19]), name)


def from_pid_file(path: Path, names: tuple[str, ...]) -> Process | None:
    """The process a pid file names, if it runs and its name begins with one of ``names``."""
    try:
        text = path.read_text().strip()
    except (OSError, ValueError):
        return None
    process = find(int(text)) if text.isdigit() else None
    return process if process is not None and process.name.startswith(names) else None


def option(pid: int, name: str) -> str:
    """The value of command line option ``name`` of process ``pid``; empty if it cannot be read or has none."""
    words = arguments(pid)
    return words[words.index(name) + 1] if name in words[:-1] else ""


def arguments(pid: int) -> tuple[str, ...]:
    """The command line of process ``pid``; empty if it cannot be read."""
    try:
        content = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(content.decode(errors="replace").removesuffix("\0").split("\0")) if content else ()


def named(name: str, uid: int) -> tuple[Process, ...]:
    """The processes of user ``uid`` called ``name`` (the kernel keeps 15 characters of a name)."""
    found = []
    for entry in _PROC.iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                process = find(int(entry.name))
                found += [process] if process is not None and process.name == name[:15] else []
    return tuple(found)


def running(command: tuple[str, ...], uid: int) -> Process | None:
    """A process of user ``uid`` that runs exactly ``command``."""
    for entry in _PROC.iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == uid and arguments(int(entry.name)) == command:
                return find(int(entry.name))
    return None


def listening_ports() -> dict[int, set[int]]:
    """TCP ports somebody listens on, each with the inodes of those sockets (proc(5): state 0A is LISTEN)."""
    found: dict[int, set[int]] = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "self" / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == "0A":
                found.setdefault(int(fields[1].rpartition(":")[2], 16), set()).add(int(fields[9]))
    return found


def holders(inodes: set[int], name: str, uid: int) -> tuple[Process, ...]:
    """The processes of user ``uid`` called ``name`` that hold one of the sockets ``inodes`` open."""
    wanted = {Path(f"socket:[{inode}]") for inode in inodes}
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            process = find(int(entry.name))
            if process is None or process.name != name or entry.stat().st_uid != uid:
                continue
            if any(_link(descriptor) in wanted for descriptor in (entry / "fd").iterdir()):
                found.append(process)
    return tuple(found)


def _link(descriptor: Path) -> Path | None:
    try:
        return descriptor.readlink()
    except OSError:
        return None


def has_default_route() -> bool:
    """True if this host has a way out, over IPv4 or IPv6."""
    for name, destination, mask in (("route", 1, 7), ("ipv6_route", 0, 1)):
        try:
            lines = (_PROC / "self" / "net" / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) < 10 or set(fields[destination]) != {"0"} or set(fields[mask]) != {"0"}:
                continue
            if name == "route" or fields[9] != "lo":
                return True
    return False


def uptime() -> float:
    """Seconds since this host booted, which is when its first process began; infinite if it cannot be told.

    A host that is itself a container (or LXC) booted later than the kernel it runs on.
    """
    try:
        kernel = float((_PROC / "uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return float("inf")
    first = find(1)
    return kernel - (first.started / os.sysconf("SC_CLK_TCK") if first else 0.0)
