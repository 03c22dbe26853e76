"""A machine with two sites, root's and that of a user who is not logged in, boots: all is back and nobody typed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PAGE, PROGRAMS
from tests.e2e.machine import USER, Machine
from tests.lab import Lab
from tests.podmanlab import unable, until

pytestmark = [
    pytest.mark.skipif(bool(unable()), reason=unable() or "-"),
    pytest.mark.skipif(not Path("/lib/systemd/systemd").exists(), reason="needs systemd"),
    pytest.mark.timeout(240),
]
USERS = ("root", USER)
UNIT = "skupper-podman.service"
LATE = 5.0
"""Seconds after the boot at which the cable is plugged in."""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Both sites link to a third one on another host, which has the server."""
    with Lab("east", "yard") as lab:
        east, yard = lab.hosts
        found = Machine(lab, yard, 8)
        try:
            found.make()
            found.plug()
            (lab.directory / "index.html").write_text(PAGE)
            east.skupper("init", "--site-name", "east", "--ingress-host", east.address, "--router", "embedded")
            east.run_container(
                "web", "skupper", "python3", "server.py", "8080",
                options=("--volume", f"{lab.directory}:/srv:ro", *PROGRAMS),
            )  # fmt: skip
            east.skupper("expose", "host", "web", "--address", "backend", "--port", "8080")
            found.await_boot()
            found.type("loginctl", "enable-linger", USER)
            until(
                lambda: found.type("systemctl", "--user", "is-system-running", user=USER, expect=None).returncode == 0,
                20, "the user's manager runs",
            )  # fmt: skip
            for user in USERS:
                make_site(found, user)
            yield found
        finally:
            yard.podman("rm", "--force", "--time", "0", "machine", check=False)


def make_site(machine: Machine, user: str) -> None:
    """What the user types, once."""
    token = machine.directory / "home" / f"{user}.token"
    machine.lab.hosts[0].skupper("token", "create", "--name", user, str(token))
    token.chmod(0o644)
    manager = ["systemctl"] if user == "root" else ["systemctl", "--user"]
    machine.type(*manager, "enable", "--now", "podman.socket", user=user)
    machine.type("skupper", "switch", "podman", user=user)
    said = machine.type("skupper", "init", "--ingress", "none", "--router", "embedded", user=user).text
    assert "Warning" not in said
    machine.type("skupper", "link", "create", f"/home/{user}.token", user=user)
    machine.type("skupper", "service", "create", "backend", "8080", user=user)
    await_site(machine, user, 30)


def works(machine: Machine, user: str) -> bool:
    """True if a container of the site gets the page by the service's name, and status has nothing to complain about."""
    # Through the socket: this test is no process of a session, so Podman could not place its own child in a cgroup.
    call = ("podman", "--remote", "exec", "skupper-router", "curl", "-s", "-S", "-m", "2", "http://backend:8080/")
    fetched = machine.type(*call, user=user, expect=None)
    status = machine.type("skupper", "status", user=user, expect=None)
    machine.last = f"{user}: {fetched.text}{status.text}"
    well = status.returncode == 0 and "It is connected to" in status.stdout and "no target" not in status.stdout
    return fetched.stdout == PAGE and well


def show(machine: Machine) -> None:
    """What was seen last, and what the units say, for the report of a failure."""
    print(machine.last)
    print(
        machine.type("journalctl", "-b", "--no-pager", "-n", "60", "-t", "python3", "-t", "systemd", expect=None).text
    )


def await_site(machine: Machine, user: str, seconds: float) -> None:
    try:
        until(lambda: works(machine, user), seconds, f"the site of {user} works")
    except AssertionError:
        show(machine)
        raise


def both_come_back(machine: Machine) -> None:
    for user in USERS:
        await_site(machine, user, 60)
        manager = ["systemctl"] if user == "root" else ["systemctl", "--user"]
        shown = machine.type(*manager, "status", "--no-pager", UNIT, user=user).stdout
        assert "active (running)" in shown
        assert "3 containers run" in shown
    assert machine.type("loginctl", "list-sessions", "--no-legend").stdout == "", "nobody logged in"


def test_after_a_power_cut_with_a_late_network(machine: Machine) -> None:
    machine.power_cut()
    machine.await_boot()
    time.sleep(LATE)
    machine.plug()
    both_come_back(machine)


def test_after_a_reboot(machine: Machine) -> None:
    machine.reboot()
    machine.plug()
    machine.await_boot()
    both_come_back(machine)


def test_deleted_sites_do_not_come_back(machine: Machine) -> None:
    """Runs last: what is deleted leaves no unit that a boot would start."""
    for user in USERS:
        machine.type("skupper", "delete", user=user)
        manager = ["systemctl"] if user == "root" else ["systemctl", "--user"]
        assert machine.type(*manager, "list-unit-files", "--no-legend", "skupper*", user=user, expect=None).stdout == ""
        assert machine.type("podman", "ps", "--all", "--format", "{{.Names}}", user=user).stdout == ""
        assert machine.type("podman", "volume", "ls", "--format", "{{.Name}}", user=user).stdout == ""
