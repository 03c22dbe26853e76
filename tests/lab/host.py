"""One host of the lab: its own network, its own view of the file system where sites keep state, its own Podman."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CONTAINERS_CONF = """\
[engine]
runtime = "runc"
events_logger = "file"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
cgroupns = "private"
"""

PRIVATE_DIRECTORIES = ("/usr/local/bin", "/etc/systemd/system")
"""Where a root's site keeps files: each host sees its own copy on write."""


@dataclass(frozen=True)
class Completed:
    """What a command printed and returned."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


class CommandFailed(AssertionError):
    """A command on a lab host returned another code than expected."""

    def __init__(self, host: str, result: Completed) -> None:
        super().__init__(f"{host}$ {shlex.join(result.argv)}\nexit {result.returncode}\n{result.stdout}{result.stderr}")
        self.result = result


class Host:
    """A host with the address ``address``. Enter it by hand with :meth:`enter_command`."""

    def __init__(self, directory: Path, netns: str, name: str, address: str) -> None:
        self.directory = directory
        self.netns = netns
        self.name = name
        self.address = address
        self.socket = directory / "podman.sock"
        self.containers_conf = directory / "containers.conf"
        self.holder = 0
        self.variables: dict[str, str] = {}
        """What the environment of commands has besides the usual."""
        self._service: subprocess.Popen[bytes] | None = None

    # -- life

    def start(self) -> None:
        """Make the mount namespace and start the Podman service."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.containers_conf.write_text(CONTAINERS_CONF, encoding="utf-8")
        (self.directory / "runtime").mkdir(mode=0o700, exist_ok=True)
        ready = self.directory / "ready"
        script = self.directory / "enter-mounts"
        script.write_text(self._mount_script(ready), encoding="utf-8")
        holder = subprocess.Popen(
            [
                "nsenter",
                f"--net=/run/netns/{self.netns}",
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                str(script),
            ],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.holder = holder.pid
        _wait_for(ready.exists, 10, f"the mount namespace of {self.name}")
        self.start_podman()

    def start_podman(self) -> None:
        """Start the API service (again)."""
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        log = (self.directory / "podman.log").open("ab")
        self._service = subprocess.Popen(
            self._entered([*self.podman_argv(), "system", "service", "-t", "0", f"unix://{self.socket}"]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self._local_environment(),
            start_new_session=True,
        )
        _wait_for(self._podman_listens, 60, f"the Podman service of {self.name}")

    def _podman_listens(self) -> bool:
        """True once a client gets through: for a moment the socket is there and nothing listens."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    def stop_podman(self, number: int = signal.SIGTERM) -> None:
        """Stop the API service; containers go on."""
        if self._service:
            self._service.send_signal(number)
            self._service.wait(20)
            self._service = None

    def close(self) -> None:
        """Remove every container, stop the service and drop the mounts. Also for a host made by another process."""
        if not self.holder:
            return
        if Path(f"/proc/{self.holder}").exists():
            self.podman("rm", "--all", "--force", "--time", "0", check=False, timeout=120)
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.holder, 0)
        if self._service:
            self._service.wait(10)
            self._service = None
        self.holder = 0

    def _processes(self) -> list[int]:
        """Every process in this host's mount namespace: conmon, aardvark-dns, the holder itself."""
        try:
            mine = Path(f"/proc/{self.holder}/ns/mnt").readlink()
        except OSError:
            return []
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if (entry / "ns/mnt").readlink() == mine:
                        found.append(int(entry.name))
        return found

    def _mount_script(self, ready: Path) -> str:
        lines = ["set -e"]
        for index, path in enumerate(PRIVATE_DIRECTORIES):
            store = self.directory / f"private{index}"
            lines += [
                f"mkdir -p {path} {store}",
                f"mount -t tmpfs -o mode=0755 none {store}",
                f"mkdir {store}/upper {store}/work",
                f"mount -t overlay -o lowerdir={path},upperdir={store}/upper,workdir={store}/work none {path}",
            ]
        # Root's aardvark-dns keeps its state here whatever --runroot says: shared, one host would answer for all.
        lines += ["mkdir -p /run/containers", "mount -t tmpfs none /run/containers"]
        # A lab host is one without systemd, whatever the machine under it runs.
        lines.append("if [ -d /run/systemd ]; then mount -t tmpfs none /run/systemd; fi")
        # Podman's locks live there, and a new host that starts with an empty store frees the locks of all others.
        lines.append("mount -t tmpfs none /dev/shm")
        lines.append(f"touch {ready}")
        lines.append("exec sleep infinity")
        return "\n".join(lines) + "\n"

    # -- commands

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a login on this host."""
        keep = {key: value for key, value in os.environ.items() if key in ("HOME", "LANG", "LC_ALL", "TERM", "USER")}
        bin_directory = str(Path(sys.executable).parent)
        return {
            **keep,
            "PATH": f"{bin_directory}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "CONTAINERS_CONF": str(self.containers_conf),
            "CONTAINER_HOST": f"unix://{self.socket}",
            "SKUPPER_PLATFORM": "podman",
            "XDG_RUNTIME_DIR": str(self.directory / "runtime"),
            # This checkout, wherever the interpreter's own installation points.
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            **self.variables,
            **(extra or {}),
        }

    def restart(self, container: str) -> None:
        """End the container and have it started again, by this command or by the site's supervisor, who is as quick."""
        done = self.podman("restart", "--time", "2", container, check=False)
        if done.returncode and "already running" not in done.stderr:
            raise CommandFailed(self.name, done)

    def _local_environment(self) -> dict[str, str]:
        """For Podman itself: with CONTAINER_HOST it would be a client of its own service."""
        return {key: value for key, value in self.environment().items() if key != "CONTAINER_HOST"}

    def _entered(self, argv: Sequence[str]) -> list[str]:
        assert self.holder, f"{self.name} is not started"
        return [
            "nsenter",
            f"--net=/run/netns/{self.netns}",
            f"--mount=/proc/{self.holder}/ns/mnt",
            f"--wd={Path.cwd()}",
            *argv,
        ]

    def enter_command(self) -> str:
        """What to type to get a shell on this host."""
        names = ("CONTAINERS_CONF", "CONTAINER_HOST", "SKUPPER_PLATFORM", "XDG_RUNTIME_DIR", "PATH")
        environment = self.environment()
        settings = " ".join(f"{name}={shlex.quote(environment[name])}" for name in names)
        return f"env {settings} {shlex.join(self._entered(['bash', '--norc']))}"

    def run(
        self,
        *argv: str,
        check: bool = True,
        expect: int = 0,
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> Completed:
        """Run a command on the host and return what it printed.

        Raises:
            CommandFailed: ``check`` and it returned another code than ``expect``.
        """
        done = subprocess.run(
            self._entered(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=self.environment(env),
            check=False,
        )
        result = Completed(tuple(argv), done.returncode, done.stdout, done.stderr)
        if check and done.returncode != expect:
            raise CommandFailed(self.name, result)
        return result

    def popen(self, *argv: str, env: Mapping[str, str] | None = None, **options: object) -> subprocess.Popen[bytes]:
        """Start a command on the host; the caller waits for it."""
        return subprocess.Popen(self._entered(argv), env=self.environment(env), **options)  # type: ignore[call-overload,no-any-return]

    def skupper(
        self,
        *argv: str,
        check: bool = True,
        expect: int = 0,
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run ``skupper`` on the host."""
        return self.run("skupper", *argv, check=check, expect=expect, timeout=timeout, env=env)

    def podman_argv(self) -> list[str]:
        """The local Podman of this host (not its API)."""
        directory = self.directory
        return [
            shutil.which("podman") or "podman",
            "--root", str(directory / "root"),
            "--runroot", str(directory / "run"),
            "--network-config-dir", str(directory / "net"),
            "--tmpdir", str(directory / "tmp"),
            "--storage-driver", "overlay",
            "--cgroup-manager", "cgroupfs",
        ]  # fmt: skip

    def podman(self, *argv: str, check: bool = True, timeout: float = 60) -> Completed:
        """Run this host's Podman directly, not through the socket."""
        result = subprocess.run(
            self._entered([*self.podman_argv(), *argv]),
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            env=self._local_environment(),
            check=False,
        )
        done = Completed(("podman", *argv), result.returncode, result.stdout, result.stderr)
        if check and result.returncode:
            raise CommandFailed(self.name, done)
        return done

    # -- containers that are not a site's

    def workload_image(self) -> str:
        """Name of an image made of this machine (its ``/usr`` is mounted at run time), for servers and clients."""
        name = "localhost/workload:latest"
        if self.podman("image", "exists", name, check=False).returncode:
            tree = self.directory / "image"
            for part in ("usr", "etc/ssl", "proc", "sys", "dev", "tmp", "run", "srv", "var/tmp"):
                (tree / part).mkdir(parents=True, exist_ok=True)
            for link in ("bin", "sbin", "lib", "lib64"):
                target = tree / link
                if not target.is_symlink() and Path("/", link).is_symlink():
                    target.symlink_to(f"usr/{link}")
            archive = self.directory / "image.tar"
            subprocess.run(["tar", "-C", str(tree), "-cf", str(archive), "."], check=True)
            self.podman("import", str(archive), name)
        return name

    def workload_arguments(self) -> list[str]:
        """``podman run`` arguments that let this machine's programs run in the workload image."""
        mounts = ["/usr", "/etc/ssl", "/etc/ld.so.cache"]
        arguments = []
        for path in mounts:
            if Path(path).exists():
                arguments += ["--volume", f"{path}:{path}:ro"]
        return [*arguments, "--cap-drop", "all"]

    def run_container(self, name: str, network: str, *argv: str, options: Sequence[str] = ()) -> Completed:
        """Start a container in the background."""
        return self.podman(
            "run", "--detach", "--name", name, "--network", network,
            *self.workload_arguments(), *options, self.workload_image(), *argv,
        )  # fmt: skip

    def in_network(
        self, network: str, *argv: str, check: bool = True, timeout: float = 60, options: Sequence[str] = ()
    ) -> Completed:
        """Run a command in a throw-away container on ``network``."""
        return self.podman(
            "run", "--rm", "--network", network, *self.workload_arguments(), *options, self.workload_image(), *argv,
            check=check, timeout=timeout,
        )  # fmt: skip

    def labelled(self) -> list[str]:
        """Everything on this host that carries ``application=skupper``."""
        flt = ("--filter", "label=application=skupper")
        found = []
        for kind, argv in {
            "container": ("ps", "--all", *flt, "--format", "{{.Names}}"),
            "volume": ("volume", "ls", *flt, "--format", "{{.Name}}"),
            "network": ("network", "ls", *flt, "--format", "{{.Name}}"),
        }.items():
            found += [f"{kind} {line}" for line in self.podman(*argv).stdout.split()]
        return found


def _wait_for(condition: object, seconds: float, what: str) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come up within {seconds:.0f} s")
        time.sleep(0.02)
