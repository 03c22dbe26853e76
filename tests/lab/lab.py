"""A set of hosts joined by one switch (a bridge in a namespace of its own), each at 10.77.0.N."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from tests.lab.host import Host


def missing_requirements() -> str:
    """Why a lab cannot be made on this machine, or an empty string."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    for program in ("podman", "ip", "nsenter", "unshare", "runc"):
        if not shutil.which(program):
            return f"needs {program}"
    probe = subprocess.run(
        ["unshare", "--mount", "--net", "--propagation", "private", "true"], capture_output=True, check=False
    )
    return "" if probe.returncode == 0 else "namespaces cannot be made here (no CAP_SYS_ADMIN)"


class Lab:
    """Hosts that reach one another by ``10.77.0.N``. A context manager."""

    def __init__(self, *names: str, subnet: str = "10.77.0") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="skupper-lab-"))
        self.directory.chmod(0o755)
        self.tag = f"sk{os.getpid() % 100000}{self.directory.name[-3:]}".replace("_", "x")
        self.hosts: list[Host] = []
        self._subnet = subnet
        self._names = names
        self._kept = False

    def __enter__(self) -> Lab:
        try:
            self._switch("netns", "add", self._switch_namespace)
            self._in_switch("link", "add", "switch0", "type", "bridge")
            self._in_switch("link", "set", "switch0", "up")
            for name in self._names:
                self.add(name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _switch_namespace(self) -> str:
        return f"{self.tag}-switch"

    def add(self, name: str) -> Host:
        """Make one more host and plug it in."""
        number = len(self.hosts) + 1
        netns = f"{self.tag}-{number}"
        address = f"{self._subnet}.{number}"
        self._switch("netns", "add", netns)
        host = Host(self.directory / name, netns, name, address)
        self.hosts.append(host)
        near, far = f"p{number}", "eth0"
        self._in_switch("link", "add", near, "type", "veth", "peer", "name", far, "netns", netns)
        self._in_switch("link", "set", near, "master", "switch0", "up")
        self._switch("-n", netns, "link", "set", "lo", "up")
        self._switch("-n", netns, "addr", "add", f"{address}/24", "dev", far)
        self._switch("-n", netns, "link", "set", far, "up")
        self._switch("-n", netns, "route", "add", "default", "dev", far)
        host.start()
        return host

    def cut(self, host: Host) -> None:
        """Pull the host's cable."""
        self._in_switch("link", "set", f"p{self.hosts.index(host) + 1}", "down")

    def join(self, host: Host) -> None:
        """Plug it in again."""
        self._in_switch("link", "set", f"p{self.hosts.index(host) + 1}", "up")

    def keep(self) -> None:
        """Leave everything up when this process ends; :meth:`load` finds it again."""
        self._kept = True
        state = {
            "tag": self.tag,
            "hosts": [
                {"name": host.name, "netns": host.netns, "address": host.address, "holder": host.holder}
                for host in self.hosts
            ],
        }
        (self.directory / "lab.json").write_text(json.dumps(state), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Lab:
        """The lab that another process kept in ``directory``."""
        state = json.loads((directory / "lab.json").read_text(encoding="utf-8"))
        lab = cls.__new__(cls)
        lab.directory, lab.tag, lab._subnet, lab._names, lab._kept = directory, state["tag"], "", (), False
        lab.hosts = []
        for entry in state["hosts"]:
            host = Host(directory / entry["name"], entry["netns"], entry["name"], entry["address"])
            host.holder = entry["holder"]
            lab.hosts.append(host)
        return lab

    def close(self) -> None:
        """Remove everything, unless :meth:`keep` was called."""
        if self._kept:
            return
        for host in self.hosts:
            with contextlib.suppress(Exception):
                host.close()
            subprocess.run(["ip", "netns", "del", host.netns], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self._switch_namespace], capture_output=True, check=False)
        for mount in _mounts_below(self.directory):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _switch(self, *argv: str) -> None:
        done = subprocess.run(["ip", *argv], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"ip {' '.join(argv)}: {done.stderr.strip()}")

    def _in_switch(self, *argv: str) -> None:
        self._switch("-n", self._switch_namespace, *argv)


def _mounts_below(directory: Path) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    return sorted((point for point in points if point.startswith(f"{directory}/")), reverse=True)
