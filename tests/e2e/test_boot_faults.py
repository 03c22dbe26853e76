"""A machine that boots with something broken: the site comes back, or its unit says why, and a command mends it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bootsites import UNIT, await_site, booted_sites, both_come_back, journal, manager
from tests.e2e.faults import Fault, run
from tests.e2e.machine import USER, Machine
from tests.e2e.unitfaults import FAULTS, UnitBench
from tests.podmanlab import unable, until

pytestmark = [
    pytest.mark.skipif(bool(unable()), reason=unable() or "-"),
    pytest.mark.skipif(not Path("/lib/systemd/systemd").exists(), reason="needs systemd"),
    pytest.mark.timeout(600),
]
CONFIG = "volumes/skupper-internal/_data/skrouterd.json"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Root's containers are on a small disk. It is mounted first: the hosts of the lab see what was there then."""
    disk = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=755", "tmpfs", disk], check=True)
    try:
        with booted_sites(disk) as found:
            yield found
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def says(machine: Machine, user: str) -> str:
    """What the unit of the user says of itself."""
    shown = machine.type(*manager(user), "show", "--property=StatusText", "--value", UNIT, user=user, expect=None)
    return shown.stdout.strip()


def boot(machine: Machine) -> None:
    machine.on()
    machine.plug()
    machine.await_boot()


def test_a_disabled_socket_stale_locks_and_half_written_files(machine: Machine) -> None:
    for user in ("root", USER):
        machine.type(*manager(user), "disable", "podman.socket", user=user)
        machine.type("skupper", "status", user=user, expect=None)
    machine.off()
    stale = [machine.directory / "home" / USER / ".local/share/skupper", machine.directory / "local"]
    for directory in stale:
        (directory / ".skupper-podman.lock").touch()
        (directory / ".podman.yaml.1234abcd").write_text("endpo")
    for user in ("root", USER):
        config = machine.storage(user) / CONFIG
        half = config.with_name(".skrouterd.json.1234abcd")
        half.write_bytes(config.read_bytes()[:100])
        os.chown(half, config.stat().st_uid, config.stat().st_gid)
    boot(machine)
    both_come_back(machine)
    for user in ("root", USER):
        enabled = machine.type(*manager(user), "is-enabled", "podman.socket", user=user, expect=None).stdout
        assert enabled.strip() == "disabled", "as found"
        machine.type(*manager(user), "enable", "podman.socket", user=user)


def test_a_full_disk(machine: Machine) -> None:
    """Full when it boots; the site comes back when there is room, and nobody typed."""
    machine.off()
    filler = machine.storage("root") / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(1 << 16))
    try:
        boot(machine)
        until(
            lambda: "is full" in says(machine, "root") or "no space left" in says(machine, "root"),
            60, "the unit says why",
        )  # fmt: skip
        await_site(machine, USER, 60)
    finally:
        filler.unlink()
    await_site(machine, "root", 90)


def test_a_truncated_configuration(machine: Machine) -> None:
    machine.off()
    config = machine.storage(USER) / CONFIG
    config.write_bytes(config.read_bytes()[: config.stat().st_size // 2])
    boot(machine)
    until(lambda: "skupper-router: stopped with exit code" in says(machine, USER), 60, "the unit says what fails")
    until(lambda: "skupper-router said:" in journal(machine, USER), 30, "its journal tells what the router said")
    assert "Cannot read the router configuration: invalid JSON" in journal(machine, USER)
    machine.type("skupper", "init", user=USER)
    await_site(machine, USER, 60)


def test_containers_and_image_pruned(machine: Machine) -> None:
    """As ``podman system prune`` does to what is stopped: only volumes are left."""
    machine.type("systemctl", "stop", UNIT)
    machine.type("podman", "container", "prune", "--force")
    machine.type("podman", "image", "prune", "--all", "--force")
    machine.off()
    boot(machine)
    until(lambda: "skupper-router does not exist (skupper init" in says(machine, "root"), 60, "the unit says why")
    assert machine.type("systemctl", "is-active", UNIT, expect=None).stdout.strip() in ("active", "activating")
    machine.type("skupper", "init")
    await_site(machine, "root", 60)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.quick], ids=lambda fault: fault.id)
def test_a_broken_unit(machine: Machine, fault: Fault) -> None:
    """The quick ones of a table; ``scripts/faults`` injects all of it."""
    report = run(UnitBench(machine), fault)
    assert report.passed and not report.spoilt, (report.said, report.hint, report.trouble)
