"""A machine with two sites, root's and that of a user who is not logged in, boots: all is back and nobody typed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bootsites import USERS, booted_sites, both_come_back, journal, manager
from tests.e2e.machine import Machine
from tests.podmanlab import unable

pytestmark = [
    pytest.mark.skipif(bool(unable()), reason=unable() or "-"),
    pytest.mark.skipif(not Path("/lib/systemd/systemd").exists(), reason="needs systemd"),
    pytest.mark.timeout(240),
]
LATE = 5.0
"""Seconds after the boot at which the cable is plugged in."""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with booted_sites() as found:
        yield found


def test_after_a_power_cut_with_a_late_network(machine: Machine) -> None:
    machine.power_cut()
    time.sleep(LATE)
    machine.plug()
    machine.await_boot()
    both_come_back(machine)
    for user in USERS:
        assert "waiting for the network" in journal(machine, user)


def test_after_a_reboot(machine: Machine) -> None:
    machine.reboot()
    machine.plug()
    machine.await_boot()
    both_come_back(machine)


def test_deleted_sites_do_not_come_back(machine: Machine) -> None:
    """Runs last: what is deleted leaves no unit that a boot would start."""
    for user in USERS:
        machine.type("skupper", "delete", user=user)
        listing = (*manager(user), "list-unit-files", "--no-legend", "skupper*")
        assert machine.type(*listing, user=user, expect=None).stdout == ""
        assert machine.type("podman", "ps", "--all", "--format", "{{.Names}}", user=user).stdout == ""
        assert machine.type("podman", "volume", "ls", "--format", "{{.Name}}", user=user).stdout == ""
