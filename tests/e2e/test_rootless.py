"""The product in the hands of an ordinary user with rootless Podman: with a systemd of the user's, and without any.

Every process of the site is killed in turn while a client in a container keeps calling a service by name and ``status``
is asked over and over: the service must be back within ten seconds, and status must never say that all is well while no
call succeeds. The tests of a site build on one another; the last one deletes it. One more test is of the real router
from its image, where ``SKUPPER_TEST_ROUTER_IMAGE_TAR`` names archives of it (see test_interop.py).
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.conftest import PAGE
from tests.e2e.userhost import UserHost, user_host
from tests.lab import Host, Lab
from tests.podmanlab import unable, until

SYSTEMD = Path("/lib/systemd/systemd")
BACK = 10.0
"""Seconds in which the service must be back."""
PROGRAMS = Path(__file__).parent
UNIT = "skupper-podman.service"
ROUTER, CONTROLLER, SERVICE = "skupper-router", "skupper-controller-podman", "backend"
IMAGES = os.environ.get("SKUPPER_TEST_ROUTER_IMAGE_TAR", "")

pytestmark = [pytest.mark.skipif(bool(unable()), reason=unable() or "-"), pytest.mark.timeout(240)]


@dataclass
class Place:
    """A user's site that accepts a link, and a site of root's on another host that opens it and has the server."""

    lab: Lab
    east: Host
    host: UserHost
    systemd: bool
    router: str = "embedded"
    before: dict[str, set[str]] = field(default_factory=dict)
    said: str = ""

    @property
    def calls_file(self) -> Path:
        return self.host.directory / "calls" / "log"

    def make(self) -> None:
        """What the user types, up to the service."""
        host, east = self.host, self.east
        host.skupper("switch", "podman")
        self.before = host.belongings()
        # Its output is captured: a background process that held it open would keep this from returning.
        self.said = host.skupper("init", "--ingress-host", host.address, "--router", self.router).text
        token = host.home / "west.token"
        host.skupper("token", "create", str(token))
        carried = self.lab.directory / "west.token"
        carried.write_bytes(token.read_bytes())
        token.unlink()
        east.skupper("init", "--site-name", "east", "--ingress", "none", "--router", "embedded")
        east.skupper("link", "create", str(carried))
        (self.lab.directory / "index.html").write_text(PAGE)
        east.run_container(
            "web", "skupper", "python3", "server.py", "8080",
            options=("--volume", f"{self.lab.directory}:/srv:ro", "--volume", f"{PROGRAMS}:/p:ro", "--workdir", "/p"),
        )  # fmt: skip
        east.skupper("expose", "host", "web", "--address", SERVICE, "--port", "8080")
        host.skupper("service", "create", SERVICE, "8080")

    def call(self) -> None:
        """Start the client that calls all the time."""
        self.calls_file.parent.mkdir()
        self.calls_file.touch()
        for path in (self.calls_file.parent, self.calls_file):
            os.chown(path, self.host.uid, self.host.gid)
        mounts = ("--volume", f"{PROGRAMS}:/p:ro", "--volume", f"{self.calls_file.parent}:/out", "--workdir", "/p")
        # A resolver that waits five seconds would show fewer outages.
        script = f"exec python3 client.py calls {SERVICE} 8080 100 > /out/log"
        self.host.container("sh", "-c", script, name="caller", options=("--dns-option", "timeout:1", *mounts))

    def status(self) -> tuple[bool, str]:
        """Whether ``skupper status`` says that all is well, and what it said."""
        done = self.host.skupper("status", expect=None)
        return done.returncode == 0 and "no target" not in done.stdout, done.text

    def inspect(self, name: str, what: str) -> int:
        done = self.host.podman("inspect", "--format", f"{{{{.State.{what}}}}}", name, expect=None)
        return int(done.stdout) if done.returncode == 0 else 0

    def supervisor(self) -> list[int]:
        if self.systemd:
            pid = int(self.host.systemctl("show", "--property=MainPID", "--value", UNIT).stdout)
        else:
            lead = self.host.runtime_dir / "skupper-podman.lead"
            pid = int(lead.read_text() or 0)
        return [pid] if pid else []

    def processes(self, part: str) -> list[int]:
        """The processes that are this part of the site."""
        if part == "supervisor":
            return self.supervisor()
        kind, _, name = part.rpartition(" of ")
        if kind:
            pid = self.inspect(name, {"process": "Pid", "conmon": "ConmonPid"}[kind])
            return [pid] if pid else []
        return self.host.helpers(*part.split(" or "))


class Watch:
    """Asks for the status until the end of the block, and reads what the client saw."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.asked: list[tuple[float, float, bool, str]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._end.wait(0.2):
            began = time.monotonic()
            well, text = self.place.status()
            self.asked.append((began, time.monotonic(), well, text))

    def calls(self, since: float = 0.0) -> list[tuple[float, float, str]]:
        """Calls that ended after ``since``: when each began, when it ended, how."""
        found = []
        for line in self.place.calls_file.read_text().splitlines():
            began, ended, outcome = line.split(" ", 2)
            if float(ended) > since:
                found.append((float(began), float(ended), outcome))
        return found

    def served(self) -> bool:
        """True if the last calls succeeded."""
        last = self.calls(time.monotonic() - 2.0)[-5:]
        return len(last) == 5 and all(outcome == "ok" for _, _, outcome in last)

    def well(self, since: float = 0.0) -> bool:
        """True if the last answer said all was well, and was asked for after ``since``."""
        return bool(self.asked) and self.asked[-1][2] and self.asked[-1][0] > since

    def lies(self) -> list[str]:
        """Answers that said all was well, though no call succeeded while they were made."""
        good = [(began, ended) for began, ended, outcome in self.calls() if outcome == "ok"]

        def worked(since: float, until: float) -> bool:
            return any(began <= until and ended >= since for began, ended in good)

        return [text for began, ended, well, text in self.asked if well and not worked(began, ended)]


@pytest.fixture(scope="module", params=["systemd", "background"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    systemd = request.param == "systemd"
    if systemd and not SYSTEMD.exists():
        pytest.skip("needs systemd")
    with Lab("east") as lab, user_host(lab, 9, systemd) as host:
        found = Place(lab, lab.hosts[0], host, systemd)
        found.make()
        yield found
        for log in ("systemd.log", "calls/log"):
            if (host.directory / log).exists():
                print((host.directory / log).read_text()[-3000:])


def test_init_says_who_watches_the_site(place: Place) -> None:
    assert "Skupper is now installed for user" in place.said
    report = json.loads(place.host.skupper("status", "-o", "json").stdout)["data"]
    probes = {probe["name"]: probe for probe in report["probes"]}
    assert report["health"] == "ok"
    if not place.systemd:
        assert "systemd does not run this host" in place.said
        assert "background" in place.said
        assert probes["supervisor"]["health"] == "ok"
        return
    assert f"sudo loginctl enable-linger {place.host.user}" in place.said
    assert probes[f"unit {UNIT}"]["health"] == "ok"
    unit = place.host.home / ".config/systemd/user" / UNIT
    assert unit.stat().st_mode & 0o777 == 0o644
    assert place.host.systemctl("is-enabled", UNIT).stdout.strip() == "enabled"
    shown = place.host.systemctl("status", "--no-pager", UNIT)
    assert shown.returncode == 0
    assert "active (running)" in shown.stdout
    said = "3 containers run"
    until(lambda: said in place.host.systemctl("status", "--no-pager", UNIT).stdout, 10, "the unit says so")


def test_service_is_called_by_name_from_both_sides(place: Place) -> None:
    place.call()
    with Watch(place) as watch:
        until(watch.served, 30, "the service of the other site answers here")
    place.host.container(
        "python3", "server.py", "9090", name="own",
        options=("--volume", f"{place.lab.directory}:/srv:ro", "--volume", f"{PROGRAMS}:/p:ro", "--workdir", "/p"),
    )  # fmt: skip
    place.host.skupper("expose", "host", "own", "--address", "front", "--port", "9090")
    place.east.skupper("service", "create", "front", "9090")

    def fetch() -> str:
        return place.east.in_network("skupper", "curl", "-s", "-m", "2", "http://front:9090/", check=False).stdout

    until(lambda: fetch() == PAGE, 20, "the service of this site answers there")
    for command, wanted in (("link", "Incoming link from site"), ("service", "front:9090"), ("network", "east")):
        assert wanted in place.host.skupper(command, "status").stdout


@pytest.mark.parametrize(
    "part",
    [
        f"process of {ROUTER}",
        f"process of {CONTROLLER}",
        f"process of {SERVICE}",
        f"conmon of {ROUTER}",
        f"conmon of {SERVICE}",
        "aardvark-dns",
        "slirp4netns or pasta",
        "rootlessport",
        "supervisor",
    ],
)
def test_killed_process_is_back(place: Place, part: str) -> None:
    with Watch(place) as watch:
        until(lambda: watch.served() and watch.well(), 20, "all is well before")
        before = place.processes(part)
        assert before
        at = time.monotonic()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        until(lambda: set(place.processes(part)) - set(before), BACK, f"there is a new {part}")
        until(watch.served, BACK, "calls succeed")
        mended = time.monotonic()
        until(lambda: watch.well(mended), 20, "status says that all is well")
    failed = [ended - at for began, ended, outcome in watch.calls(at) if outcome != "ok"]
    assert not failed or failed[-1] < BACK
    assert watch.lies() == []


def test_all_supervisors_at_once(place: Place) -> None:
    """What is killed while nobody watches is mended by whoever comes back; in the background one of two stays."""
    with Watch(place) as watch:
        until(lambda: watch.served() and watch.well(), 20, "all is well before")
        before = place.processes(f"conmon of {SERVICE}")
        for pid in place.supervisor() + before:
            os.kill(pid, signal.SIGKILL)
        until(lambda: set(place.processes(f"conmon of {SERVICE}")) - set(before), 2 * BACK, "it is mended")
        until(watch.served, BACK, "calls succeed")
        mended = time.monotonic()
        until(lambda: watch.well(mended), 20, "status says that all is well")
    assert watch.lies() == []


def test_unit_is_stopped_and_started(place: Place) -> None:
    host = place.host
    if not place.systemd:
        assert not (host.home / ".config/systemd/user" / UNIT).exists()
        return
    assert host.systemctl("stop", UNIT).returncode == 0
    running = host.podman("ps", "--format", "{{.Names}}").stdout.split()
    assert sorted(running) == ["caller", "own"]
    shown = host.systemctl("status", "--no-pager", UNIT)
    assert shown.returncode == 3
    assert "inactive (dead)" in shown.stdout
    done = host.skupper("status", expect=1)
    assert "systemctl --user" in done.text
    assert host.systemctl("start", UNIT).returncode == 0
    with Watch(place) as watch:
        until(lambda: watch.served() and watch.well(), 20, "all is well again")


def test_delete_leaves_nothing(place: Place) -> None:
    host = place.host
    socket = host.systemctl("show", "--property=ActiveState,UnitFileState,ActiveEnterTimestamp", "podman.socket").stdout
    host.podman("rm", "--force", "--time", "0", "caller", "own")
    assert f"Skupper is now removed for user '{host.user}'." in host.skupper("delete").stdout
    after = host.belongings()
    after["runtime"] -= {"netns", "runc", "crun"}  # Podman's own, which it makes for the first container
    after["programs"] -= {"podman"}  # the API service, which comes and goes with who asks it
    place.before["programs"] &= after["programs"]
    left = {kind: sorted(found - place.before[kind]) for kind, found in after.items() if found - place.before[kind]}
    lost = {kind: sorted(known - after[kind]) for kind, known in place.before.items() if known - after[kind]}
    assert (left, lost) == ({}, {})
    if place.systemd:
        now = host.systemctl("show", "--property=ActiveState,UnitFileState,ActiveEnterTimestamp", "podman.socket")
        assert now.stdout == socket
        assert host.systemctl("list-units", "--all", "--plain", "--no-legend", "skupper*").stdout == ""
    assert "not enabled" in host.skupper("status", expect=None).text


@pytest.mark.skipif(not IMAGES, reason="SKUPPER_TEST_ROUTER_IMAGE_TAR names no archive of images")
def test_router_image_of_an_ordinary_user() -> None:
    """The image's own user is 10000. Mapped to the user of the host, the router reads keys that nobody else can."""
    with Lab("east") as lab, user_host(lab, 9, systemd=False) as host:
        for archive in IMAGES.split(os.pathsep):
            host.type("podman", "load", "--quiet", "--input", archive, timeout=600)
        place = Place(lab, lab.hosts[0], host, systemd=False, router="image")
        place.make()
        for name in (ROUTER, SERVICE):
            assert "quay.io/skupper/skupper-router" in host.podman("inspect", "--format", "{{.ImageName}}", name).stdout
            status = Path(f"/proc/{place.inspect(name, 'Pid')}/status").read_text()
            assert f"\nUid:\t{host.uid}\t{host.uid}\t" in status
            # As it sees itself: not root, and with no capability.
            assert host.podman("exec", name, "id", "-u").stdout.strip() == str(host.uid)
            assert "CapEff:\t0000000000000000" in status
        keys = list((host.home / ".local/share/containers/storage/volumes").rglob("tls.key"))
        assert len(keys) >= 6
        assert {(key.stat().st_uid, key.stat().st_mode & 0o777) for key in keys} == {(host.uid, 0o600)}
        place.call()
        with Watch(place) as watch:
            until(lambda: watch.served() and watch.well(), 60, "the service answers, and status says so")
        assert "Incoming link from site" in host.skupper("link", "status").stdout
        host.podman("rm", "--force", "--time", "0", "caller")
        host.skupper("delete")
        assert host.belongings()["volumes"] == place.before["volumes"]
