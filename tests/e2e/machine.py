"""A machine that boots: systemd as process 1 of a privileged container on a host of the lab, with Podman of its own.

Its ``/usr`` and the project are this machine's, read-only; ``/etc`` is a selection of this machine's; what it keeps
over a reboot is below one directory. It has no network until its cable is plugged, so that it can come up late.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.userhost import PROJECT, Completed
from tests.lab import Host, Lab

USER = "ann"
USER_ID = 2000
_IMAGE = "localhost/machine:latest"
_NAME = "machine"
_SETTINGS = (
    "passwd", "group", "nsswitch.conf", "pam.d", "security", "login.defs", "ssl", "pki", "crypto-policies",
    "authselect", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "containers", "dbus-1", "os-release",
    "protocols", "services", "environment", "localtime", "shells",
)  # fmt: skip
_CONTAINERS_CONF = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
cgroupns = "private"
"""


class Machine:
    """The machine; it runs on ``host`` and is host ``number`` of ``lab``."""

    def __init__(self, lab: Lab, host: Host, number: int, disk: Path | None = None, root: Path = Path("/")) -> None:
        """``disk`` is where root's containers are, if not with the rest; ``root`` is of another distribution."""
        self.disk = disk
        self.root = root
        self.lab = lab
        self.host = host
        self.number = number
        self.address = f"10.77.0.{number}"
        self.directory = lab.directory / "machine"
        self.last = ""
        """What was seen of it last."""

    def make(self) -> None:
        """Make the image and boot for the first time."""
        tree = self.directory / "tree"
        for part in ("etc/systemd/system", "etc/containers", "usr", "proc", "sys", "dev", "tmp", "run", "root", "home",
                     "opt", "var/lib", "var/log/journal", "var/tmp"):  # fmt: skip
            (tree / part).mkdir(parents=True)
        for part in ("tmp", "var/tmp"):
            (tree / part).chmod(0o1777)
        for link in ("bin", "sbin", "lib", "lib32", "lib64"):
            if (self.root / link).is_symlink():
                (tree / link).symlink_to(f"usr/{link}")
        self._settings(tree / "etc")
        archive = self.directory / "image.tar"
        subprocess.run(["tar", "-C", str(tree), "-cf", str(archive), "."], check=True)
        self.host.podman("import", str(archive), _IMAGE)
        kept = {"/var/lib/containers": "containers", "/usr/local/bin": "local", "/home": "home"}
        volumes = [f"{self.root / 'usr'}:/usr:ro", *(f"{path}:{path}:ro" for path in _programs())]
        for place, name in kept.items():
            if name == "containers" and self.disk:
                (self.directory / name).symlink_to(self.disk)
            else:
                (self.directory / name).mkdir()
            volumes.append(f"{(self.directory / name).resolve()}:{place}")
        home = self.directory / "home" / USER
        home.mkdir(mode=0o700)
        shutil.chown(home, USER_ID, USER_ID)
        # Podman's own --systemd mounts the machine's cgroups at another place than the kernel says they are.
        self.host.podman(
            "create", "--name", _NAME, "--hostname", _NAME, "--privileged", "--cgroupns", "private",
            "--network", "none", "--systemd", "false", "--env", "container=podman", "--stop-signal", "SIGRTMIN+3",
            *(word for path in ("/run", "/run/lock", "/tmp") for word in ("--tmpfs", path)),
            *(word for volume in volumes for word in ("--volume", volume)),
            _IMAGE, "/lib/systemd/systemd",
        )  # fmt: skip
        self.host.podman("start", _NAME)

    def _settings(self, etc: Path) -> None:
        for name in _SETTINGS:
            source = self.root / "etc" / name
            if source.is_dir():
                shutil.copytree(source, etc / name, symlinks=True, dirs_exist_ok=True)
            elif source.exists():
                shutil.copy2(source, etc / name, follow_symlinks=False)
        users = (etc / "passwd").read_text() + f"{USER}:x:{USER_ID}:{USER_ID}::/home/{USER}:/bin/sh\n"
        (etc / "passwd").write_text(users)
        (etc / "group").write_text((etc / "group").read_text() + f"{USER}:x:{USER_ID}:\n")
        # Nobody has a password here, and none of this machine's is copied.
        shadow = "".join(f"{line.split(':')[0]}:*:19000:0:99999:7:::\n" for line in users.splitlines())
        files = {
            "shadow": shadow,
            "subuid": f"{USER}:500000:65536\n",
            "subgid": f"{USER}:500000:65536\n",
            "hostname": f"{_NAME}\n",
            "hosts": f"127.0.0.1 localhost\n127.0.1.1 {_NAME}\n",
            "machine-id": "",
            "resolv.conf": "nameserver 192.0.2.1\n",
            "containers/containers.conf": _CONTAINERS_CONF,
        }
        for name, content in files.items():
            (etc / name).unlink(missing_ok=True)
            (etc / name).write_text(content)
        (etc / "shadow").chmod(0o640)
        (etc / "systemd/system/default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")

    def scrap(self) -> None:
        """Throw it away."""
        self.host.podman("rm", "--force", "--time", "0", _NAME, check=False)

    # -- power and cable

    def power_cut(self) -> None:
        """Stop it as a power cut does, and switch it on again."""
        self.off()
        self.on()

    def off(self) -> None:
        """Cut the power; what is on its disk can be tampered with then."""
        self.host.podman("kill", _NAME)
        self.host.podman("wait", _NAME)

    def on(self) -> None:
        """Switch it on."""
        self.host.podman("start", _NAME)

    def storage(self, user: str) -> Path:
        """Where the containers of that user are on its disk, seen from outside."""
        rootless = self.directory / "home" / USER / ".local/share/containers"
        return (self.directory / "containers" if user == "root" else rootless) / "storage"

    def reboot(self) -> None:
        """Shut it down in order, and boot."""
        self.host.podman("restart", "--time", "60", _NAME, timeout=90)

    def plug(self) -> None:
        """Plug the cable in; to be done after each boot."""
        switch, near, pid = f"{self.lab.tag}-switch", f"p{self.number}", str(self._pid())
        inside = ["nsenter", "-t", pid, "-n", "ip"]
        # The kernel takes its time to remove the cable of the life before.
        subprocess.run(["ip", "-n", switch, "link", "del", near], check=False, capture_output=True)
        for argv in (
            ["ip", "-n", switch, "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", pid],
            ["ip", "-n", switch, "link", "set", near, "master", "switch0", "up"],
            [*inside, "addr", "add", f"{self.address}/24", "dev", "eth0"],
            [*inside, "link", "set", "eth0", "up"],
            [*inside, "route", "add", "default", "dev", "eth0"],
        ):
            subprocess.run(argv, check=True, capture_output=True)

    def _pid(self) -> int:
        return int(self.host.podman("inspect", "--format", "{{.State.Pid}}", _NAME).stdout)

    # -- commands

    def type(self, *argv: str, user: str = "root", expect: int | None = 0, timeout: float = 120) -> Completed:
        """Run a command on it as root or as :data:`USER`; it must return ``expect`` unless that is None."""
        # Not podman exec: systemd has moved the container's processes to cgroups of its own.
        enter = ["nsenter", "-t", str(self._pid()), "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        path = f"PATH={Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        common = ["LANG=C.UTF-8", path]
        if "PYTHONPATH" in os.environ:  # the project is not the installed one
            common.append(f"PYTHONPATH={os.environ['PYTHONPATH']}")
        login = ["env", "-i", "--chdir=/", "HOME=/root", "USER=root", *common]
        if user != "root":
            become = ["setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--init-groups"]
            own = [f"HOME=/home/{user}", f"USER={user}", f"XDG_RUNTIME_DIR=/run/user/{USER_ID}"]
            login = [*become, "env", "-i", "--chdir=/", *own, *common]
        done = subprocess.run(
            [*enter, *login, *argv],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert expect is None or done.returncode == expect, f"{user}$ {argv}\n{done.stdout}{done.stderr}"
        return Completed(done.returncode, done.stdout, done.stderr)

    def await_boot(self, seconds: float = 240) -> None:
        """Wait until systemd says that it is up, well or not."""
        end = time.monotonic() + seconds
        state = ""
        while state not in ("running", "degraded"):
            assert time.monotonic() < end, f"the machine did not boot: {state}"
            with contextlib.suppress(AssertionError):
                state = self.type("systemctl", "is-system-running", expect=None).stdout.strip()
            time.sleep(0.2)


def _programs() -> list[str]:
    """Directories that the program under test needs besides ``/usr``; none lies in another."""
    wanted = sorted({PROJECT, Path(sys.prefix), Path(sys.base_prefix)}, key=lambda path: len(path.parts))
    outer: list[Path] = [Path("/usr")]
    for path in wanted:
        if not any(place == path or place in path.parents for place in outer):
            outer.append(path)
    return [str(path) for path in outer[1:]]
