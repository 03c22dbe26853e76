"""Each process behind a running site is killed in turn; the supervisor has it back within ten seconds.

Real Podman, rootful and rootless; the service manager is a socket of the test, held to sd_notify(3).
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.supervisor import processes
from tests.podmanlab import LabHost, rootful_host, rootless_host, unable, until
from tests.supervisor.site import CONTROLLER, ROUTER, SERVICE, make_site, resolves

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(unable()), reason=unable() or "-")]
BACK = 10.0
"""Seconds in which a killed part of a site must be back."""


class Manager:
    """The service manager's end of sd_notify: remembers all it was told."""

    def __init__(self, path: Path) -> None:
        self.messages: list[str] = []
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o666)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                self.messages += self._socket.recv(65536).decode().splitlines()
            except OSError:
                return

    @property
    def ready(self) -> bool:
        return "READY=1" in self.messages

    @property
    def status(self) -> str:
        statuses = [line.removeprefix("STATUS=") for line in self.messages if line.startswith("STATUS=")]
        return statuses[-1] if statuses else ""

    def close(self) -> None:
        self._socket.close()


class Site:
    """A site under supervision on a host."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self.api: PodmanApi = host.api()
        self.port = random.randrange(21000, 29000)
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.manager = Manager(host.directory / "notify.sock")
        make_site(self.api, self.port)

    def supervise(self) -> None:
        self.manager.messages.clear()
        env = {"NOTIFY_SOCKET": str(self.manager.path), "WATCHDOG_USEC": "60000000"}
        log = (self.host.directory / "supervisor.log").open("ab")
        self.supervisor = self.host.popen(self.host.python("-m", "skupper_podman.supervisor"), env=env, stderr=log)
        until(lambda: self.manager.ready, 30, "the supervisor is ready")

    def well(self) -> bool:
        running = all(item.running for item in self.api.containers({"application": "skupper"}))
        return running and self.answers()

    def answers(self) -> bool:
        return self.host.get(self.port, 1) == "hello" and self.host.get(self.port + 1, 1) == "hello"

    def kill(self, pid: int) -> None:
        assert pid > 0
        os.kill(pid, signal.SIGKILL)

    def helpers(self, name: str) -> list[int]:
        """This user's processes called ``name`` on this host (not those of other tests)."""
        assert self.host._pause is not None
        found = []
        for entry in Path("/proc").iterdir():
            process = processes.find(int(entry.name)) if entry.name.isdigit() else None
            if process is None or process.name[:15] != name[:15] or entry.stat().st_uid != self.host.uid:
                continue
            if self.host.user or _same_mounts(process.pid, self.host._pause.pid):
                found.append(process.pid)
        return found


def _same_mounts(one: int, other: int) -> bool:
    return os.readlink(f"/proc/{one}/ns/mnt") == os.readlink(f"/proc/{other}/ns/mnt")


@pytest.fixture(scope="module", params=["rootful", "rootless"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with (rootful_host if request.param == "rootful" else rootless_host)() as host:
        found = Site(host)
        try:
            until(found.well, 30, "the site answers")
            found.supervise()
            yield found
        finally:
            print((host.directory / "supervisor.log").read_text())
            found.manager.close()


@pytest.mark.parametrize("name", [ROUTER, CONTROLLER, SERVICE])
def test_container_process(site: Site, name: str) -> None:
    before = site.api.container(name)
    assert before is not None
    site.kill(before.pid)
    until(lambda: _started_again(site, name, before.pid), BACK, f"{name} runs again")
    until(site.well, BACK, "the site answers again")
    until(lambda: site.manager.status == "3 containers run", BACK, "status says so")


def _started_again(site: Site, name: str, pid: int) -> bool:
    found = site.api.container(name)
    return found is not None and found.running and found.pid not in (0, pid)


@pytest.mark.parametrize("name", [ROUTER, SERVICE])
def test_monitor(site: Site, name: str) -> None:
    before = site.api.container(name)
    assert before is not None
    site.kill(before.conmon_pid)
    until(lambda: _started_again(site, name, before.pid), BACK, f"{name} runs again")
    until(site.well, BACK, "the site answers again")


def test_monitor_and_process(site: Site) -> None:
    before = site.api.container(ROUTER)
    assert before is not None
    site.kill(before.conmon_pid)
    site.kill(before.pid)
    until(lambda: _started_again(site, ROUTER, before.pid), BACK, "the router runs again")
    until(site.well, BACK, "the site answers again")


def test_dns_server(site: Site) -> None:
    found = site.helpers("aardvark-dns")
    assert len(found) == 1
    router = site.api.container(ROUTER)
    site.kill(found[0])
    until(lambda: site.helpers("aardvark-dns") not in ([], found), BACK, "aardvark-dns is back")
    assert resolves(site.api, SERVICE)
    until(site.well, BACK, "the site answers")
    after = site.api.container(ROUTER)
    assert router is not None
    assert after is not None
    assert after.pid == router.pid, "traffic must not be disturbed"


def test_port_forwarder(site: Site) -> None:
    if site.host.uid == 0:
        assert site.helpers("rootlessport") == []
        return
    for pid in site.helpers("rootlessport"):
        site.kill(pid)
    until(site.answers, BACK, "the ports are back")
    until(site.well, BACK, "the site is well")


def test_uplink(site: Site) -> None:
    found = [pid for name in ("slirp4netns", "pasta") for pid in site.helpers(name)]
    if site.host.uid == 0:
        assert found == []
        return
    for pid in found:
        site.kill(pid)
    until(lambda: [pid for name in ("slirp4netns", "pasta") for pid in site.helpers(name)], BACK, "the uplink is back")
    until(site.well, BACK, "the site answers again")


def test_stopped_container_is_started(site: Site) -> None:
    site.api.stop(SERVICE, 1)
    until(site.well, BACK, "the service is back")


def test_podman_service(site: Site) -> None:
    site.host.stop_service()
    until(lambda: "does not answer" in site.manager.status, 30, "the status says that Podman is silent")
    assert site.answers()
    site.host.start_service()
    until(lambda: site.manager.status == "3 containers run", 30, "the supervisor goes on")


def test_supervisor_itself(site: Site) -> None:
    assert site.supervisor is not None
    site.supervisor.kill()
    site.supervisor.wait(10)
    assert site.well()
    site.supervise()
    assert site.manager.status == "3 containers run"


def test_foreign_containers_are_left_alone(site: Site) -> None:
    assert site.api.containers({"application": "skupper"}) == [
        item for item in site.api.containers() if item.labels.get("application") == "skupper"
    ]


def test_stop_and_start(site: Site) -> None:
    assert site.supervisor is not None
    site.supervisor.send_signal(signal.SIGTERM)
    assert site.supervisor.wait(40) == 0
    assert site.manager.status == "stopped"
    assert not any(item.running for item in site.api.containers())
    site.supervise()
    until(site.well, BACK, "the site answers again")


def test_site_is_deleted(site: Site) -> None:
    assert site.supervisor is not None
    for item in site.api.containers():
        site.api.stop(item.name, 1)
        site.api.remove_container(item.name)
    assert site.supervisor.wait(60) == 3
    assert "no site" in site.manager.status
