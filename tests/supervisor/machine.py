"""A machine that boots: systemd as init in a privileged container, with this host's programs; a restart is a reboot."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.podmanlab import LabHost, rootful_host, until

PROJECT = Path(__file__).resolve().parents[2]
_MASKED = (
    "systemd-firstboot.service",
    "postgresql.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "logrotate.timer",
)
_EMPTY = (
    "etc",
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "usr",
    "var/tmp",
    "var/lib",
    "var/log",
    "var/cache",
    "home",
    "root",
    "opt",
    "srv",
)


class Machine:
    """A booted machine with an ordinary user; enter it with :meth:`root` and :meth:`login`."""

    def __init__(self, host: LabHost, user: str) -> None:
        self.host = host
        self.user = user
        self.uid = 0
        self._podman = ["podman", "--remote", "--url", host.url]

    def build(self) -> None:
        """Make the machine's disk and switch it on."""
        tree = self.host.directory / "tree"
        for place in _EMPTY:
            (tree / place).mkdir(parents=True)
        for place in ("tmp", "var/tmp"):
            (tree / place).chmod(0o1777)
        for link in ("bin", "sbin", "lib", "lib64"):
            (tree / link).symlink_to(f"usr/{link}")
        # Other tests make and remove users meanwhile: files come and go below it, locks among them.
        copy = ["cp", "-a", "/etc/.", str(tree / "etc")]
        until(lambda: subprocess.run(copy, check=False).returncode == 0, 10, "a copy of /etc")
        for lock in (tree / "etc").glob("*.lock"):
            lock.unlink()
        for name in ("hostname", "resolv.conf", "hosts"):
            (tree / "etc" / name).unlink(missing_ok=True)
        (tree / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
        for name in _MASKED:
            unit = tree / "etc/systemd/system" / name
            unit.unlink(missing_ok=True)
            unit.symlink_to("/dev/null")
        archive = self.host.directory / "tree.tar"
        subprocess.run(["tar", "-C", str(tree), "-cf", str(archive), "."], check=True)
        self._run("import", str(archive), "localhost/machine")
        shutil.rmtree(tree)
        prefixes = {Path(sys.prefix), Path(sys.base_prefix), PROJECT} - {Path("/usr")}
        shared = [word for path in ("/usr", *map(str, sorted(prefixes))) for word in ("-v", f"{path}:{path}:ro")]
        self._run(
            "run", "--detach", "--name", "machine", "--hostname", "machine", "--privileged", "--systemd=always",
            "--cgroupns=private", "--tmpfs", "/run:rw,mode=755", "--tmpfs", "/tmp:rw,mode=1777", *shared,
            "-v", "containers:/var/lib/containers", "-v", "programs:/usr/local/bin",
            "localhost/machine", "/lib/systemd/systemd",
        )  # fmt: skip
        self.await_boot()
        self.root("useradd", "--create-home", self.user)
        self.uid = int(self.root("id", "-u", self.user).stdout)

    def await_boot(self) -> None:
        """Wait until the machine has booted."""
        done = ("running", "degraded")
        until(
            lambda: self.root("systemctl", "is-system-running", check=False).stdout.strip() in done, 90, "it has booted"
        )

    def reboot(self) -> None:
        """Shut the machine down, boot it again, and wait until it has; nobody logs in.

        Fails if the shutdown had to be cut short after a minute (137: SIGKILL).
        """
        self._run("stop", "--time", "60", "machine")
        assert self._run("inspect", "--format", "{{.State.ExitCode}}", "machine").stdout.strip() != "137"
        self._run("start", "machine")
        self.await_boot()

    def root(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` as root."""
        return self._enter([], argv, {"HOME": "/root", "USER": "root"}, check)

    def login(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``argv`` as the user, who has logged in."""
        env = {"HOME": f"/home/{self.user}", "USER": self.user, "XDG_RUNTIME_DIR": f"/run/user/{self.uid}"}
        return self._enter(["--user", self.user], argv, env, check)

    def _enter(
        self, options: list[str], argv: tuple[str, ...], env: dict[str, str], check: bool
    ) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/sbin:/usr/bin"
        project = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
        every = {**env, "PATH": path, "SKUPPER_PLATFORM": "podman", **project}
        words = [f"{key}={value}" for key, value in every.items()]
        return self._run("exec", *options, "machine", "env", "-C", "/", *words, *argv, check=check)

    def _run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = self.host.run([*self._podman, *words], timeout=180)
        assert done.returncode == 0 or not check, (words, done.returncode, done.stdout, done.stderr)
        return done

    def off(self) -> None:
        """Switch it off and throw it away."""
        self._run("rm", "--force", "--time", "2", "machine", check=False)
        self._run("volume", "rm", "--force", "containers", "programs", check=False)


@contextlib.contextmanager
def booted() -> Iterator[Machine]:
    """A machine that has booted, with an ordinary user who has not logged in yet."""
    with rootful_host() as host:
        machine = Machine(host, "alice")
        try:
            machine.build()
            yield machine
        finally:
            machine.off()
