"""Two sites on a machine that boots, root's and that of a user who is not logged in; both link to a third one.

Shared by the tests and by ``scripts/reboots``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.conftest import PAGE, PROGRAMS
from tests.e2e.machine import USER, Machine
from tests.lab import Lab
from tests.podmanlab import until

USERS = ("root", USER)
UNIT = "skupper-podman.service"


def manager(user: str) -> list[str]:
    """The words that reach the user's manager."""
    return ["systemctl"] if user == "root" else ["systemctl", "--user"]


@contextlib.contextmanager
def booted_sites(disk: Path | None = None) -> Iterator[Machine]:
    """The machine with its sites; the third one, on another host, has the server. ``disk`` as for :class:`Machine`."""
    with Lab("east", "yard") as lab:
        east, yard = lab.hosts
        found = Machine(lab, yard, 8, disk)
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
            found.scrap()


def make_site(machine: Machine, user: str) -> None:
    """What the user types, once."""
    token = machine.directory / "home" / f"{user}.token"
    machine.lab.hosts[0].skupper("token", "create", "--name", user, str(token))
    token.chmod(0o644)
    machine.type(*manager(user), "enable", "--now", "podman.socket", user=user)
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


def journal(machine: Machine, user: str) -> str:
    """What ``journalctl -u`` tells an operator."""
    words = ["-u", UNIT] if user == "root" else ["--user", "-u", UNIT]
    return machine.type("journalctl", "-b", "--no-pager", "-o", "cat", *words, user=user, expect=None).text


def show(machine: Machine) -> None:
    """What was seen last, and what the units say, for the report of a failure."""
    print(machine.last)
    print(machine.type("journalctl", "-b", "--no-pager", "-n", "60", "-t", "skupper-podman", expect=None).text)


def await_site(machine: Machine, user: str, seconds: float) -> None:
    """Wait until the site works."""
    try:
        until(lambda: works(machine, user), seconds, f"the site of {user} works")
    except AssertionError:
        show(machine)
        raise


def both_come_back(machine: Machine, seconds: float = 60) -> None:
    """Wait until both sites work, under units that say so, without a login."""
    for user in USERS:
        await_site(machine, user, seconds)
        shown = machine.type(*manager(user), "status", "--no-pager", UNIT, user=user).stdout
        assert "active (running)" in shown
        assert "3 containers run" in shown
    assert machine.type("loginctl", "list-sessions", "--no-legend").stdout == "", "nobody logged in"
