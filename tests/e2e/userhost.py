"""A host as an ordinary user has it: rootless Podman, a login's environment and nothing of ours in it.

What always holds: the program under test comes from a directory every user can read; settings of the lab are in the
user's own ``~/.config/containers/containers.conf``, so that no variable carries them; the host reaches the hosts of a
lab over a cable of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skupper_podman.supervisor import processes
from tests.lab import Lab
from tests.podmanlab import LabHost, rootless_host

PROJECT = Path(__file__).resolve().parents[2]
WORKLOAD = "localhost/workload:latest"
_LEFT_OUT = ("mypy*", "*__mypyc*", "ruff*", "pip", "setuptools", "hypothesis*", "grimp*", "pytest*", "__pycache__")


@dataclass(frozen=True)
class Completed:
    """What a command printed and returned."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout + self.stderr


class UserHost(LabHost):
    """A host on which :attr:`user` types commands."""

    def __init__(self, directory: Path, user: str = "") -> None:
        super().__init__(directory, user)
        self.socket = self.runtime_dir / "podman" / "podman.sock"
        self.url = f"unix://{self.socket}"
        self.address = ""
        self.bin = Path(sys.executable).parent

    @property
    def env(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "USER": self.user,
            "LOGNAME": self.user,
            "LANG": "C.UTF-8",
            "PATH": f"{self.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "XDG_RUNTIME_DIR": str(self.runtime_dir),
            # Tests of a checkout that is not the one installed are told so, and so must be what they run.
            **({"PYTHONPATH": str(PROJECT)} if os.environ.get("PYTHONPATH") else {}),
        }

    def up(self) -> None:
        self.bin = readable_programs(self.directory)
        settings = self.home / ".config" / "containers" / "containers.conf"
        settings.parent.mkdir(parents=True)
        self.socket.parent.mkdir(mode=0o700)
        settings.symlink_to(self.directory / "containers.conf")
        for path in (self.home / ".config", settings.parent, self.socket.parent):
            os.chown(path, self.uid, self.gid)
        super().up()

    def plug(self, lab: Lab, number: int) -> None:
        """Join the lab's switch as host ``number``; that number must be free there."""
        assert self._pause is not None
        self.address = f"10.77.0.{number}"
        inside = ["nsenter", "-t", str(self._pause.pid), "-n", "ip"]
        for argv in (
            ["ip", "-n", f"{lab.tag}-switch", "link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0",
             "netns", str(self._pause.pid)],
            ["ip", "-n", f"{lab.tag}-switch", "link", "set", f"p{number}", "master", "switch0", "up"],
            [*inside, "addr", "add", f"{self.address}/24", "dev", "eth0"],
            [*inside, "link", "set", "eth0", "up"],
            [*inside, "route", "add", "default", "dev", "eth0"],
        ):  # fmt: skip
            subprocess.run(argv, check=True, capture_output=True)

    # -- what the user types

    def type(self, *argv: str, expect: int | None = 0, timeout: float = 120) -> Completed:
        """Run a command; it must return ``expect`` unless that is None."""
        done = self.run(argv, timeout)
        assert expect is None or done.returncode == expect, (
            f"$ {argv}\nexit {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def skupper(self, *argv: str, expect: int | None = 0) -> Completed:
        return self.type("skupper", *argv, expect=expect)

    def podman(self, *argv: str, expect: int | None = 0) -> Completed:
        return self.type("podman", *argv, expect=expect)

    def make_workload_image(self) -> None:
        """An image of empty directories; this machine's ``/usr`` is mounted when it runs."""
        tree = self.directory / "image"
        for part in ("usr", "etc/ssl", "proc", "sys", "dev", "tmp", "run", "srv", "var/tmp"):
            (tree / part).mkdir(parents=True, exist_ok=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            if Path("/", link).is_symlink():
                (tree / link).symlink_to(f"usr/{link}")
        archive = self.directory / "image.tar"
        subprocess.run(["tar", "-C", str(tree), "-cf", str(archive), "."], check=True)
        self.podman("import", str(archive), WORKLOAD)

    def container(self, *argv: str, name: str = "", options: Sequence[str] = ()) -> Completed:
        """Run ``argv`` in a container on the site's network; in the background if it has a name."""
        how = ("--detach", "--name", name) if name else ("--rm",)
        return self.podman(
            "run", *how, "--network", "skupper", "--volume", "/usr:/usr:ro", *options, WORKLOAD, *argv,
            expect=0 if name else None,
        )  # fmt: skip

    # -- what is there

    def helpers(self, *names: str) -> list[int]:
        """This user's processes with one of these names (the kernel keeps 15 characters; one may end in ``.avx2``)."""
        short = {name[:15] for name in names}
        return [process.pid for process in self.processes() if process.name.removesuffix(".avx2") in short]

    def processes(self) -> list[processes.Process]:
        """All processes of this user that are alive."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and entry.stat().st_uid == self.uid:
                    process = processes.find(int(entry.name))
                    found += [process] if process else []
        return found

    def belongings(self) -> dict[str, set[str]]:
        """Everything of the user that a site may leave behind."""
        files = {
            str(path.relative_to(self.home))
            for path in self.home.rglob("*")
            if ".local/share/containers" not in str(path)
        }
        runtime = {path.name for path in self.runtime_dir.iterdir()}
        ports = self.run(["ss", "-Hltn"]).stdout.splitlines()
        return {
            "containers": set(self.podman("ps", "--all", "--format", "{{.Names}}").stdout.split()),
            "volumes": set(self.podman("volume", "ls", "--format", "{{.Name}}").stdout.split()),
            "networks": set(self.podman("network", "ls", "--format", "{{.Name}}").stdout.split()),
            "images": set(self.podman("images", "--format", "{{.Repository}}").stdout.split()),
            "secrets": set(self.podman("secret", "ls", "--format", "{{.Name}}").stdout.split()),
            "files": files,
            "runtime": runtime,
            "ports": {line.split()[3] for line in ports},
            "programs": {process.name for process in self.processes()},
        }


def readable_programs(directory: Path) -> Path:
    """The directory of ``skupper`` for users other than root: the environment in use, or a copy of it below
    ``directory`` if only root can read it."""
    here = Path(sys.executable).parent
    if (
        _readable(here / "skupper")
        and _readable(PROJECT / "skupper_podman")
        and _readable(Path(sys.executable).resolve())
    ):
        return here
    target = directory / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(target)], check=True, capture_output=True)
    purelib = next((target / "lib").glob("python3*")) / "site-packages"
    source = next((here.parent / "lib").glob("python3*")) / "site-packages"
    shutil.copytree(source, purelib, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_LEFT_OUT, "*skupper*"))
    shutil.copytree(PROJECT / "skupper_podman", purelib / "skupper_podman")
    for part in ("templates", "units", "gateway_bundle"):
        shutil.copytree(PROJECT / part, purelib / "skupper_podman" / part, dirs_exist_ok=True)
    for script in ("skupper", "skrouterd", "skmanage", "skstat"):
        lines = (here / script).read_text().splitlines()
        lines[0] = f"#!{target}/bin/python3"
        (target / "bin" / script).write_text("\n".join(lines) + "\n")
        (target / "bin" / script).chmod(0o755)
    return target / "bin"


def _readable(path: Path) -> bool:
    """True if every user may read ``path`` and enter the directories above it."""
    return all(place.stat().st_mode & 0o5 >= (0o5 if place.is_dir() else 0o4) for place in (path, *path.parents))


@contextlib.contextmanager
def user_host(lab: Lab, number: int, systemd: bool) -> Iterator[UserHost]:
    """A host in ``lab`` for an ordinary user, with or without the user's systemd."""
    with rootless_host(UserHost) as host:
        assert isinstance(host, UserHost)
        host.plug(lab, number)
        if systemd:
            host.start_user_systemd()
        host.make_workload_image()
        yield host
