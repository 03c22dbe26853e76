"""How the rootless uplink is remembered. That it comes back is tested in tests/e2e/test_rootless.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from skupper_podman.supervisor import processes
from skupper_podman.supervisor.core import says_well
from skupper_podman.supervisor.uplink import Uplink, command_of, revive, staying
from tests.podmanlab import until


def test_command_is_kept_without_descriptors() -> None:
    script = [sys.executable, "-c", "input()"]
    options = ["--mtu=65520", "-c", "-r", "3", "--exit-fd=4", "--netns-type=path", "/run/netns/x", "tap0"]
    with subprocess.Popen([*script, *options], stdin=subprocess.PIPE) as process:
        # The kernel shows the command line a moment after the start.
        until(lambda: processes.running((*script, *options), os.getuid()), 10, "it runs")
        kept = command_of(process.pid)
        found = processes.running((*script, *options), os.getuid())
        assert found is not None
        assert found.pid == process.pid
        process.communicate(b"\n")
    assert kept == (*script, "--mtu=65520", "-c", "--netns-type=path", "/run/netns/x", "tap0")
    assert command_of(process.pid) == ()


def test_pasta_stays_the_process_that_was_started() -> None:
    """Whoever started it may know it by its first process; Podman's own pasta leaves that one."""
    command = ("/usr/bin/pasta", "--config-net", "--pid", "/run/x", "--netns", "/run/y")
    assert staying(command) == ("/usr/bin/pasta", "--foreground", *command[1:])
    script = [sys.executable, "-c", "input()"]
    with subprocess.Popen([*script, "--foreground", *command[1:]], stdin=subprocess.PIPE) as process:
        until(lambda: processes.running((*script, "--foreground", *command[1:]), os.getuid()), 10, "it runs")
        assert command_of(process.pid) == (*script, *command[1:])
        process.communicate(b"\n")
    assert staying(("/usr/bin/slirp4netns", "tap0")) == ("/usr/bin/slirp4netns", "tap0")


def test_nothing_is_started_without_podmans_namespaces(tmp_path: Path) -> None:
    gone = Uplink(("slirp4netns", "tap0"), tmp_path / "pid", tmp_path / "pause.pid")
    assert revive(gone, os.getuid()) is False
    (tmp_path / "pause.pid").write_text("no number")
    assert revive(gone, os.getuid()) is False
    assert not gone.pid_file.exists()


def test_what_says_that_a_site_is_well() -> None:
    for status in ("3 containers run", "3 containers run; backend was restarted 3 times in a minute",
                   "2 containers run; a skupper command is changing the site"):  # fmt: skip
        assert says_well(status)
    for status in ("", "there is no site", "2 of 3 containers run; backend: stopped", "looking for the site",
                   "3 of 3 containers run; aardvark-dns is gone; a skupper command is changing the site",
                   "Podman does not answer since 4 s: timed out; 3 containers run"):  # fmt: skip
        assert not says_well(status)
