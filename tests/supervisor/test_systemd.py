"""The unit in a real ``systemctl --user``: start, stop, status, and what happens when processes are killed."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skupper_podman.platform.podman.api import PodmanApi
from tests.podmanlab import LabHost, rootless_host, unable, until
from tests.supervisor.site import ROUTER, SERVICE, make_site


def _unable() -> str:
    return unable() or ("" if Path("/lib/systemd/systemd").exists() else "needs systemd")


pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(_unable()), reason=_unable() or "-")]


class Unit:
    """A site on a host with a user's systemd, and its unit."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self.before = self.control("unavailable")
        host.start_user_systemd()
        self.api: PodmanApi = host.api()
        self.port = random.randrange(21000, 29000)
        make_site(self.api, self.port)

    def control(self, verb: str, *arguments: str) -> Any:
        done = self.host.run(
            ["env", "-u", "PODMAN_ENDPOINT", *self.host.python("-m", "tests.supervisor.unitctl", verb, *arguments)]
        )
        assert done.returncode == 0, done.stderr + (self.host.directory / "systemd.log").read_text()[-3000:]
        return json.loads(done.stdout)

    def state(self) -> Any:
        return self.control("state")

    def well(self) -> bool:
        return self.host.get(self.port, 1) == "hello" and self.host.get(self.port + 1, 1) == "hello"

    def says_well(self) -> bool:
        return str(self.state()["status"]) == "3 containers run"


@pytest.fixture(scope="module")
def unit() -> Iterator[Unit]:
    with rootless_host() as host:
        try:
            yield Unit(host)
        finally:
            print((host.directory / "systemd.log").read_text()[-6000:])


def test_absence_of_systemd_is_told(unit: Unit) -> None:
    assert unit.before == "systemd does not run this host"
    assert unit.control("unavailable") == ""


def test_install_starts_it(unit: Unit) -> None:
    path = Path(unit.control("install"))
    assert path == unit.host.home / ".config/systemd/user/skupper-podman.service"
    assert path.stat().st_mode & 0o777 == 0o644
    state = unit.state()
    assert state["loaded"]
    assert state["enabled"]
    assert (state["active"], state["sub"]) == ("active", "running")
    assert state["status"] == "3 containers run"
    assert state["main_pid"] > 0
    shown = unit.host.systemctl("show", "skupper-podman.service", "--property=NoNewPrivileges,Type,Restart").stdout
    assert set(shown.split()) == {"NoNewPrivileges=yes", "Type=notify", "Restart=always"}
    verified = unit.host.run(["systemd-analyze", "--user", "verify", str(path)])
    assert "skupper" not in verified.stderr, verified.stderr


def test_status_shows_what_is_broken_and_mended(unit: Unit) -> None:
    until(unit.well, 10, "the site answers")
    before = unit.api.container(ROUTER)
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: not unit.says_well(), 5, "the status tells")
    until(unit.well, 10, "the site answers again")
    until(unit.says_well, 10, "the status is well again")


def test_killed_supervisor_is_back_and_disturbs_nothing(unit: Unit) -> None:
    pids = [item.pid for item in unit.api.containers({"application": "skupper"})]
    first = unit.state()["main_pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: unit.state()["main_pid"] not in (0, first), 10, "it is started again")
    until(unit.says_well, 10, "it sees the site")
    assert [item.pid for item in unit.api.containers({"application": "skupper"})] == pids


def test_stopped_container_is_back(unit: Unit) -> None:
    unit.api.stop(SERVICE, 1)
    until(unit.well, 10, "the service is back")


def test_stop_and_start(unit: Unit) -> None:
    unit.control("stop")
    assert unit.state()["active"] == "inactive"
    assert not any(item.running for item in unit.api.containers())
    unit.control("start")
    until(unit.well, 10, "the site answers again")
    assert unit.state()["active"] == "active"


def test_restart_of_the_manager_leaves_the_site(unit: Unit) -> None:
    """A daemon-reexec, as after an update of systemd."""
    main = unit.state()["main_pid"]
    assert unit.host.systemctl("daemon-reexec").returncode == 0
    until(lambda: unit.state()["main_pid"] == main, 10, "the same supervisor")
    assert unit.well()


def test_hanging_supervisor_is_replaced(unit: Unit) -> None:
    unit.control("install", "WatchdogSec=60->WatchdogSec=6")
    unit.control("restart")
    main = unit.state()["main_pid"]
    os.kill(main, signal.SIGSTOP)
    until(lambda: unit.state()["main_pid"] not in (0, main), 60, "the watchdog has it replaced")
    until(unit.says_well, 20, "it sees the site")


def test_remove_leaves_nothing(unit: Unit) -> None:
    unit.control("remove")
    assert unit.control("state")["loaded"] is False
    assert list((unit.host.home / ".config/systemd/user").glob("**/skupper*")) == []
    unit.control("remove")


def test_deleted_site_ends_the_unit_for_good(unit: Unit) -> None:
    unit.control("install")
    until(unit.well, 10, "the site answers")
    for item in unit.api.containers():
        unit.api.stop(item.name, 1)
        unit.api.remove_container(item.name)
    until(lambda: unit.state()["active"] == "inactive", 60, "the unit ends")
    assert unit.host.systemctl("is-failed", "skupper-podman.service").stdout.strip() == "inactive"


def test_linger_names_the_sudo_line(unit: Unit) -> None:
    """No logind here, so the user cannot do it alone."""
    assert unit.control("enable_linger") == f"sudo loginctl enable-linger {unit.host.user}"
    assert unit.control("linger_enabled") is False
