"""Faults that are put into two linked sites, one at a time, and what status and doctor must make of each.

For each fault: status never says that all is well; the right probe or check names the right cause; and what its hint
says, typed on that host, mends it. Meanwhile the supervisors of both hosts are frozen, so that nobody else mends it.
Run by ``test_fault_table.py`` (the quick ones) and ``scripts/faults`` (all, with a report).
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skupper_podman import certs
from tests.e2e.conftest import PROGRAMS, Sites, make_sites
from tests.lab import Host, Lab
from tests.podmanlab import until

NOTICE = 20.0
"""Seconds until the cause must be named."""
MENDED = 40.0
"""Seconds until all is well after the hint was typed."""
ROUTER, CONTROLLER, SERVICE = "skupper-router", "skupper-controller-podman", "backend"


@dataclass(frozen=True)
class Fault:
    """``inject`` makes it at ``host``; ``probe`` is a probe of status or a check of doctor there, whose detail must
    match ``cause``. ``person`` does what the hint says where that is no command of this host; the hint then must match
    ``hint``. ``well`` says that the site is to be rebuilt afterwards when the hint cannot be typed in a lab."""

    id: str
    inject: Callable[[Bench], None]
    probe: str
    cause: str
    host: str = "east"
    hint: str = ""
    person: Callable[[Bench], None] | None = None
    clean: Callable[[Bench], None] | None = None
    quick: bool = False
    supervised: bool = False


@dataclass
class Report:
    """What came of one fault."""

    fault: Fault
    never_ok: bool = False
    named: bool = False
    mended: bool = False
    said: str = ""
    hint: str = ""
    seconds: float = 0.0
    trouble: list[str] = field(default_factory=list)
    spoilt: bool = False
    """The two sites cannot be used for another fault."""

    @property
    def passed(self) -> bool:
        return self.never_ok and self.named and self.mended


class Bench:
    """The two sites; ``host`` is the one the fault is at."""

    def __init__(self, sites: Sites) -> None:
        self.sites = sites
        self.lab = sites.lab
        self.west, self.east = sites.west, sites.east
        self.hosts: Sequence[Host] = (sites.west, sites.east)
        self.host = sites.east
        self.stopped: set[int] = set()
        self.children: list[subprocess.Popen[bytes]] = []

    # -- looking

    def status(self, host: Host | None = None) -> tuple[int, dict[str, Any]]:
        done = (host or self.host).skupper("status", "-o", "json", check=False)
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, {}

    def well(self, host: Host) -> bool:
        code, document = self.status(host)
        return code == 0 and document["data"]["health"] == "ok"

    def steady(self) -> None:
        until(lambda: all(map(self.well, self.hosts)), 30, "all sites are well")

    def findings_text(self) -> str:
        """What is wrong, in a line."""
        found = [*self.of_status(self.status()[1]), *self.of_doctor()]
        return "; ".join(f"{item['name']}: {item['detail']}" for item in found if item["bad"])

    def of_status(self, document: dict[str, Any]) -> list[dict[str, str]]:
        """What status says, as name, detail and fix."""
        found = []
        if document.get("kind") == "Error":
            error = document["error"]
            found.append({"name": "error", "detail": error["message"], "fix": error["hint"], "bad": "yes"})
        for probe in document.get("data", {}).get("probes", ()):
            bad = "yes" if probe["health"] != "ok" else ""
            found.append({"name": probe["name"], "detail": probe["detail"], "fix": probe["fix"], "bad": bad})
        return found

    def of_doctor(self) -> list[dict[str, str]]:
        """What doctor says, alike."""
        found = []
        done = self.host.skupper("doctor", "-o", "json", check=False)
        for check in json.loads(done.stdout)["data"]["checks"]:
            name = f"{check['id']} {check['subject']}".strip()
            bad = "yes" if check["result"] in ("fail", "unknown") else ""
            found.append({"name": name, "detail": check["cause"], "fix": check["fix"], "bad": bad})
        return found

    # -- doing

    def podman(self, *words: str) -> None:
        self.host.podman(*words)

    def pid(self, container: str) -> int:
        return int(self.host.podman("inspect", "--format", "{{.State.Pid}}", container).stdout)

    def freeze(self, container: str) -> None:
        os.kill(self.pid(container), signal.SIGSTOP)

    def file(self, volume: str, path: str) -> Path:
        return self.host.directory / "root" / "volumes" / volume / "_data" / path

    def type(self, line: str) -> None:
        """What the hint says, typed into a shell of the host; ``podman`` there is that of the host."""
        script = f'podman() {{ command podman --remote --url "unix://{self.host.socket}" "$@"; }}\n{line}'
        self.host.run("sh", "-c", script, check=False, timeout=180)

    def supervisors(self) -> Iterator[int]:
        for host in (self.west, self.east):
            for seat in ("lead", "standby"):
                with contextlib.suppress(OSError, ValueError):
                    yield int((host.directory / "runtime" / f"skupper-podman.{seat}").read_text())

    def still(self) -> None:
        """Freeze the supervisors, so that they mend nothing."""
        for pid in self.supervisors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self.stopped.add(pid)

    def thaw(self) -> None:
        for pid in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.stopped.clear()

    def new_token(self, _bench: Bench | None = None) -> None:
        """At west: token create FILE; at east: link delete link1 && link create FILE."""
        token = self.lab.directory / "again.token"
        token.unlink(missing_ok=True)
        self.west.skupper("token", "create", str(token))
        self.east.skupper("link", "delete", "link1")
        self.east.skupper("link", "create", str(token), "--name", "link1")


def run(bench: Bench, fault: Fault) -> Report:
    """Put the fault in, look, type the hint, look again; whatever happens, all is well afterwards."""
    report = Report(fault)
    began = time.monotonic()
    bench.host = next(host for host in bench.hosts if host.name == fault.host)
    if not fault.supervised:
        bench.still()
    try:
        fault.inject(bench)
        _look(bench, fault, report)
        _mend(bench, fault, report)
    except Exception as error:
        report.trouble.append(f"{type(error).__name__}: {error}")
    finally:
        _restore(bench, fault, report)
    report.seconds = time.monotonic() - began
    return report


def _look(bench: Bench, fault: Fault, report: Report) -> None:
    """Until the cause is named; status must not say OK at any time."""
    report.never_ok = True
    deadline = time.monotonic() + NOTICE
    while not report.named and time.monotonic() < deadline:
        code, document = bench.status()
        if code == 0 or document.get("data", {}).get("health") == "ok":
            report.never_ok = False
            report.trouble.append("status says that all is well")
        found = bench.of_status(document)
        if not _found(found, fault, report):
            found += bench.of_doctor()
            if not _found(found, fault, report):
                report.said = "; ".join(f"{item['name']}: {item['detail']}" for item in found if item["bad"])
    if report.named:
        return
    report.trouble.append(f"the cause is not named: {report.said}")


def _found(found: list[dict[str, str]], fault: Fault, report: Report) -> bool:
    for item in found:
        if item["bad"] and fault.probe in item["name"] and re.search(fault.cause, item["detail"]):
            report.named, report.said, report.hint = True, f"{item['name']}: {item['detail']}", item["fix"]
            return True
    return False


def _mend(bench: Bench, fault: Fault, report: Report) -> None:
    if fault.person is not None:
        if not re.search(fault.hint, report.hint):
            report.trouble.append(f"the hint does not say it: {report.hint}")
            return
        fault.person(bench)
    elif report.hint:
        bench.type(report.hint)
    try:
        until(lambda: bench.well(bench.host), MENDED / 4, "all is well")
        report.mended = True
    except AssertionError as error:
        report.trouble.append(f"not mended by '{report.hint}': {bench.findings_text()} {str(error)[:80]}")


def _restore(bench: Bench, fault: Fault, report: Report) -> None:
    if fault.clean is not None:
        with contextlib.suppress(Exception):
            fault.clean(bench)
    bench.thaw()
    for child in bench.children:
        child.kill()
        child.wait()
    bench.children.clear()
    for host in bench.hosts:
        if not bench.well(host):
            host.skupper("init", check=False)
    try:
        bench.steady()
    except AssertionError:
        report.spoilt = True
        for host in bench.hosts:
            bench.host = host
            report.trouble.append(f"{host.name} is not well afterwards: {bench.findings_text()}")


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """Two sites that are well."""
    with Lab("west", "east") as lab:
        made = Bench(make_sites(lab))
        try:
            made.steady()
            yield made
        finally:
            made.thaw()
            for pid in made.supervisors():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


# -- what is broken


def _write(volume: str, path: str, content: bytes) -> Callable[[Bench], None]:
    return lambda bench: _ignore(bench.file(volume, path).write_bytes(content))


def _unlink(volume: str, path: str) -> Callable[[Bench], None]:
    return lambda bench: bench.file(volume, path).unlink()


def _cut_off(volume: str, path: str) -> Callable[[Bench], None]:
    def inject(bench: Bench) -> None:
        file = bench.file(volume, path)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return inject


def _podman(*words: str) -> Callable[[Bench], None]:
    return lambda bench: bench.podman(*words)


def _ignore(_value: object) -> None:
    return None


def _aged(volume: str, days: int, directory: str = "") -> Callable[[Bench], None]:
    """The certificate of a volume as if issued so many days ago (or, negative, to come), by the same authority."""

    def inject(bench: Bench) -> None:
        authority = "skupper-site-ca" if volume == "skupper-site-server" else "skupper-local-ca"
        pair = certs.KeyPair(
            bench.file(authority, "tls.crt").read_bytes(), bench.file(authority, "tls.key").read_bytes()
        )
        shown = bench.file(volume, f"{directory}tls.crt")
        facts = certs.facts(shown.read_bytes())
        key = bench.file(volume, f"{directory}tls.key").read_bytes()
        then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
        shown.write_bytes(certs.issue(pair, facts.subject, facts.dns_names, key, then).certificate)

    return inject


def _link_certificate(days: int) -> Callable[[Bench], None]:
    """The link's certificates, all of another authority, issued so many days ago."""

    def inject(bench: Bench) -> None:
        then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
        key = certs.new_key()
        authority = certs.issue_authority("skupper-site-ca", key, then)
        pair = certs.issue(authority, "skupper", (bench.west.address,), key, then)
        for volume, directory in (("skupper-router-certs", "link1-profile/"), ("link1", "")):
            for name, content in (
                ("ca.crt", authority.certificate), ("tls.crt", pair.certificate), ("tls.key", pair.key),
            ):  # fmt: skip
                bench.file(volume, f"{directory}{name}").write_bytes(content)
        if not days:
            bench.podman("restart", "--time", "1", ROUTER)

    return inject


def _crash_loop(path: str, container: str) -> Callable[[Bench], None]:
    def inject(bench: Bench) -> None:
        bench.file("skupper-internal", path).write_bytes(b'[["router", {"id"')
        os.kill(bench.pid(container), signal.SIGKILL)

    return inject


def _in_router(container: str, operation: str, kind: str, name: str) -> Callable[[Bench], None]:
    requests = json.dumps([[operation, f"io.skupper.router.{kind}", name, {}]])
    return _podman("exec", container, "python3", "-m", "skupper_podman.router.batch", "10", requests)


def _steal_port(bench: Bench) -> None:
    bench.podman("stop", "--time", "1", ROUTER)
    server = bench.host.popen(
        "python3", "-m", "http.server", "55671", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    bench.children.append(server)
    until(lambda: "55671" in bench.host.run("ss", "-ltn").stdout, 10, "the port is taken")


def _give_port_back(bench: Bench) -> None:
    for child in bench.children:
        child.kill()
        child.wait()
    bench.host.skupper("init")


def _other_port(bench: Bench) -> None:
    """The server's container runs, but its server listens elsewhere."""
    bench.podman("rm", "--force", "--time", "0", "web")
    bench.host.run_container("web", "skupper", "python3", "server.py", "8081", options=_web(bench))


def _web(bench: Bench) -> tuple[str, ...]:
    return ("--volume", f"{bench.lab.directory / 'pages'}:/srv:ro", *PROGRAMS)


def _right_server(bench: Bench) -> None:
    bench.host.podman("rm", "--force", "--time", "0", "web", check=False)
    bench.host.run_container("web", "skupper", "python3", "server.py", "8080", options=_web(bench))


def _fill(path: Callable[[Bench], Path], options: str) -> Callable[[Bench], None]:
    return lambda bench: _ignore(bench.host.run("mount", "-t", "tmpfs", "-o", options, "none", str(path(bench))))


def _unmount(path: Callable[[Bench], Path]) -> Callable[[Bench], None]:
    """Take away what :func:`_fill` mounted, and nothing that was there before (the lab mounts places, too)."""

    def undo(bench: Bench) -> None:
        place = str(path(bench)).rstrip("/")
        mounts = [line.split()[:3] for line in bench.host.run("cat", "/proc/self/mounts").stdout.splitlines()]
        over = [kind for _, where, kind in mounts if where == place]
        if over[-1:] == ["tmpfs"]:
            bench.host.run("umount", place)

    return undo


def _data_home(_bench: Bench) -> Path:
    return Path("/usr/local/bin")


def _status_volume(bench: Bench) -> Path:
    return bench.file("skupper-network-status", "")


def _kill_dns(bench: Bench) -> None:
    for pid in bench.host._processes():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().startswith("aardvark"):
                os.kill(pid, signal.SIGKILL)


def _kill_supervisors(bench: Bench) -> None:
    for seat in ("standby", "lead"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((bench.host.directory / "runtime" / f"skupper-podman.{seat}").read_text()), signal.SIGKILL)


def _hung_supervisor(bench: Bench) -> None:
    lead = int((bench.host.directory / "runtime" / "skupper-podman.lead").read_text())
    os.kill(lead, signal.SIGSTOP)
    bench.stopped.add(lead)
    status = bench.host.directory / "runtime" / "skupper-podman.status"
    past = time.time() - 120
    os.utime(status, (past, past))


def _no_api(bench: Bench) -> None:
    bench.host.stop_podman(signal.SIGKILL)


def _api(bench: Bench) -> None:
    bench.host.start_podman()


def _wrong_endpoint(bench: Bench) -> None:
    bench.host.run("sh", "-c", "sed -i 's/podman.sock/nowhere.sock/' /usr/local/bin/podman.yaml")


def _right_endpoint(bench: Bench) -> None:
    bench.host.run("sh", "-c", "sed -i 's/nowhere.sock/podman.sock/' /usr/local/bin/podman.yaml")


def _at_west(*words: str) -> Callable[[Bench], None]:
    return lambda bench: _ignore(bench.west.podman(*words))


def _doctor_at_west(bench: Bench) -> None:
    bench.west.skupper("doctor", "--fix", check=False)


def _strange_peer(bench: Bench) -> None:
    """West shows a certificate of an authority of its own."""
    bench.host = bench.west
    key, now = certs.new_key(), datetime.datetime.now(datetime.UTC)
    authority = certs.issue_authority("skupper-site-ca", key, now)
    pair = certs.issue(authority, "skupper-router", ("skupper-router", bench.west.address), key, now)
    for name, content in (("ca.crt", authority.certificate), ("tls.crt", pair.certificate), ("tls.key", pair.key)):
        bench.file("skupper-site-server", name).write_bytes(content)
    bench.west.podman("restart", "--time", "1", ROUTER, SERVICE)
    bench.host = bench.east


def _cut(bench: Bench) -> None:
    bench.lab.cut(bench.east)


def _join(bench: Bench) -> None:
    bench.lab.join(bench.east)
    bench.east.run("ip", "route", "replace", "default", "dev", "eth0", check=False)


def _half_open(bench: Bench) -> None:
    """What containers at east send to west is lost on the way; no end of the connection is told."""
    bench.east.run("iptables", "-I", "FORWARD", "-d", bench.west.address, "-j", "DROP")


def _whole(bench: Bench) -> None:
    bench.east.run("iptables", "-D", "FORWARD", "-d", bench.west.address, "-j", "DROP", check=False)


def _clock_off(days: int) -> Callable[[Bench], None]:
    """Commands of the host see a clock that is off by so many days."""

    def inject(bench: Bench) -> None:
        place = bench.lab.directory / "clock"
        place.mkdir(exist_ok=True)
        (place / "sitecustomize.py").write_text(
            f"import datetime, time\nOFF = {days} * 86400\nclock, real = time.time, datetime.datetime\n"
            "class Shifted(real):\n"
            "    @classmethod\n"
            "    def now(cls, tz=None):\n"
            "        return real.fromtimestamp(clock() + OFF, tz)\n"
            "time.time, datetime.datetime = lambda: clock() + OFF, Shifted\n"
        )
        bench.host.variables["PYTHONPATH"] = f"{place}:{bench.host.environment()['PYTHONPATH']}"

    return inject


def _clock_right(bench: Bench) -> None:
    bench.host.variables.pop("PYTHONPATH", None)


STOPPED = r"exited|stopped"
GONE = "does not exist"
INTERNAL, SERVICES, STATUS = "skupper-internal", "skupper-services", "skupper-network-status"
FAULTS = (
    # Containers
    Fault("router-stopped", _podman("stop", "--time", "1", ROUTER), f"container {ROUTER}", STOPPED, quick=True),
    Fault("controller-stopped", _podman("stop", "--time", "1", CONTROLLER), f"container {CONTROLLER}", STOPPED),
    Fault("service-stopped", _podman("stop", "--time", "1", SERVICE), f"service {SERVICE}", STOPPED, quick=True),
    Fault("router-removed", _podman("rm", "-f", "-t", "1", ROUTER), f"container {ROUTER}", GONE),
    Fault("controller-removed", _podman("rm", "-f", "-t", "1", CONTROLLER), f"container {CONTROLLER}", GONE),
    Fault("service-removed", _podman("rm", "-f", "-t", "1", SERVICE), f"service {SERVICE}", GONE, quick=True),
    Fault("router-paused", _podman("pause", ROUTER), f"container {ROUTER}", "paused", quick=True),
    Fault("controller-paused", _podman("pause", CONTROLLER), f"container {CONTROLLER}", "paused"),
    Fault("service-paused", _podman("pause", SERVICE), f"service {SERVICE}", "paused"),
    Fault("router-frozen", lambda b: b.freeze(ROUTER), "router", "no answer|did not answer|No answer"),
    Fault("controller-frozen", lambda b: b.freeze(CONTROLLER), "controller", "no answer"),
    Fault("service-frozen", lambda b: b.freeze(SERVICE), f"service {SERVICE}", "does not answer"),
    Fault("router-crash-loop", _crash_loop("skrouterd.json", ROUTER), f"container {ROUTER}",
          "keeps ending.*exit code [1-9]", supervised=True),
    Fault("service-crash-loop", _crash_loop("backend/skrouterd.json", SERVICE), f"service {SERVICE}",
          "keeps ending.*exit code [1-9]", supervised=True),
    # Files
    Fault("router-config-cut-off", _cut_off(INTERNAL, "skrouterd.json"), "skrouterd.json", "damaged", quick=True),
    Fault("router-config-empty", _write(INTERNAL, "skrouterd.json", b""), "skrouterd.json", "damaged"),
    Fault("router-config-gone", _unlink(INTERNAL, "skrouterd.json"), "skrouterd.json", GONE),
    Fault("service-config-cut-off", _cut_off(INTERNAL, "backend/skrouterd.json"), "backend/skrouterd.json", "damaged"),
    Fault("service-config-gone", _unlink(INTERNAL, "backend/skrouterd.json"), "backend/skrouterd.json", GONE),
    Fault("services-file-empty", _write(SERVICES, "skupper-services.json", b""), "skupper-services.json", "empty",
          quick=True),
    Fault("services-file-cut-off", _cut_off(SERVICES, "skupper-services.json"), "skupper-services.json", "damaged"),
    Fault("services-file-gone", _unlink(SERVICES, "skupper-services.json"), "skupper-services.json", GONE),
    Fault("status-file-gone", _unlink(STATUS, "skupper-network-status.json"), "network", "not written"),
    # Certificates
    Fault("certificate-expired", _aged("skupper-site-server", 1900), "certificate skupper-site-server", "expired",
          quick=True),
    Fault("local-certificate-expired", _aged("skupper-local-client", 1900), "certificate skupper-local-client",
          "expired"),
    Fault("certificate-of-next-year", _aged("skupper-site-server", -365), "certificate skupper-site-server",
          "clock is wrong", hint="timedatectl", person=_aged("skupper-site-server", 0)),
    Fault("certificate-damaged", _write("skupper-site-server", "tls.crt", b"-----BEGIN CERTIFICATE-----\nMII"),
          "certificate skupper-site-server", "damaged"),
    Fault("key-gone", _unlink("skupper-site-server", "tls.key"), "certificate skupper-site-server", "key is missing"),
    Fault("key-of-another", _write("skupper-local-server", "tls.key", certs.new_key()),
          "certificate skupper-local-server", "key"),
    Fault("authority-damaged", _cut_off("skupper-local-ca", "tls.crt"), "certificate skupper-local-ca", "damaged"),
    Fault("link-certificate-expired", _link_certificate(1900), "certificate link1", "expired",
          hint="skupper token create", person=Bench.new_token),
    Fault("link-key-gone", _unlink("skupper-router-certs", "link1-profile/tls.key"), "certificate link1", "missing"),
    # Links
    Fault("link-certificate-of-a-stranger", _link_certificate(0), "link link1", "certificate|alert|tls|TLS|SSL",
          hint="skupper token create", person=Bench.new_token),
    Fault("peer-paused", _at_west("pause", ROUTER), "link link1", "silent", hint="at site .*skupper doctor --fix",
          person=_doctor_at_west, quick=True),
    Fault("peer-stopped", _at_west("stop", "--time", "1", ROUTER), "link link1", "refused|no connection",
          hint="at site .*skupper doctor --fix", person=_doctor_at_west),
    Fault("peer-with-another-certificate", _strange_peer, "link link1", "certificate",
          hint="", person=_doctor_at_west),
    Fault("cable-cut", _cut, "link link1", "silent|no connection", hint="on the way", person=_join, clean=_join),
    Fault("link-half-open", _half_open, "link link1", "silent|no connection", hint="on the way", person=_whole,
          clean=_whole),
    Fault("link-unknown-to-router", _in_router(ROUTER, "delete", "connector", "link1"), "link link1",
          "does not know the link"),
    Fault("port-stolen", _steal_port, "port-taken", "55671.*python", host="west", hint="stop it: kill",
          person=_give_port_back),
    # Services
    Fault("target-stopped", _podman("stop", "--time", "1", "web"), f"service {SERVICE}", "resolved|refused|route",
          hint="start", person=_podman("start", "web"), quick=True),
    Fault("target-on-another-port", _other_port, f"service {SERVICE}", "refused", hint="start what listens",
          person=_right_server, clean=_right_server),
    Fault("target-unknown-to-router", _in_router(SERVICE, "delete", "tcpConnector", "backend@web:8080:8080"),
          f"service {SERVICE}", "does not answer for its targets"),
    Fault("listener-gone", _in_router(SERVICE, "delete", "tcpListener", "backend:8080"), f"service {SERVICE}",
          "nothing listens on its port 8080"),
    Fault("service-off-the-network", _podman("network", "disconnect", "-f", "skupper", SERVICE), f"service {SERVICE}",
          "not on network|not connected"),
    Fault("dns-gone", _kill_dns, "network skupper", "DNS"),
    # Host
    Fault("api-gone", _no_api, "podman-endpoint", "not available|did not answer", hint="podman system service",
          person=_api),
    Fault("endpoint-wrong", _wrong_endpoint, "podman-endpoint", "nowhere.sock.*podman.yaml", hint="podman",
          person=_right_endpoint),
    Fault("data-home-full", _fill(_data_home, "size=64k"), "disk", "MiB left", hint="df -h",
          person=_unmount(_data_home), clean=_unmount(_data_home), quick=True),
    Fault("no-inodes", _fill(_data_home, "nr_inodes=1"), "disk", "no inodes", hint="df -i",
          person=_unmount(_data_home), clean=_unmount(_data_home)),
    Fault("volumes-full", _fill(_status_volume, "size=64k"), "disk", "volumes of Podman.*MiB left", hint="prune",
          person=_unmount(_status_volume), clean=_unmount(_status_volume)),
    Fault("clock-a-year-ahead", _clock_off(365), "clock", "set on by 36[45] days", hint="timedatectl",
          person=_clock_right, clean=_clock_right),
    Fault("clock-a-year-behind", _clock_off(-365), "clock", "the clock is wrong", hint="timedatectl",
          person=_clock_right, clean=_clock_right),
    # Supervision
    Fault("supervisor-killed", _kill_supervisors, "supervisor", "does not run", supervised=True),
    Fault("supervisor-hung", _hung_supervisor, "supervisor", "has not looked", supervised=True),
)  # fmt: skip
