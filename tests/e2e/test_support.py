"""What an operator types when something is wrong, on two real sites: status --wait, doctor, debug."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path

from skupper_podman.redact import Redactor
from tests.e2e.conftest import Sites
from tests.lab import Host
from tests.podmanlab import until


def secrets(host: Host) -> list[bytes]:
    """All that must not leave the host: keys, passwords, and every line of them."""
    volumes = host.directory / "root" / "volumes"
    found = [path.read_bytes() for path in volumes.rglob("*") if path.name in ("tls.key", "password")]
    found += [path.read_bytes() for path in volumes.rglob("skupper-console-users/_data/*")]
    assert len(found) > 5
    return [secret for secret in found if secret.strip()]


def forms(secret: bytes) -> set[bytes]:
    lines = {line for line in secret.splitlines() if len(line) >= 16 and b"-----" not in line}
    return {secret.strip(), base64.b64encode(secret), base64.b64encode(secret.strip()), *lines}


def test_all_is_well_and_doctor_says_so(sites: Sites) -> None:
    for host in (sites.west, sites.east):
        host.skupper("status", "--wait", "ready", "--wait", "sites=2", "--timeout", "60s")
        report = json.loads(host.skupper("doctor", "-o", "json").stdout)["data"]
        results = {check["id"]: check["result"] for check in report["checks"]}
        assert results["traffic"] == "ok"
        assert results["drift"] == "ok"
        assert report["summary"]["fail"] == report["summary"]["unknown"] == 0
    sites.east.skupper("link", "status", "--wait", "link link1 connected", "--timeout", "30s")
    sites.west.skupper("service", "status", "--wait", "service backend reachable", "--timeout", "30s")


def test_the_archive_has_everything_and_no_secret(sites: Sites, tmp_path: Path) -> None:
    # A password in a log, in an environment variable and in a file that is kept.
    sites.east.run(
        "sh", "-c", f"echo hunter2-hunter2 > {sites.east.directory}/root/volumes/skupper-console-users/_data/admin"
    )
    file = tmp_path / "east"
    said = sites.east.skupper("debug", "dump", str(file))
    assert said.stdout == f"Skupper dump details written to compressed archive:  {file}.tar.gz\n"
    archive = tmp_path / "east.tar.gz"
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as tar:
        members = {entry.name.lstrip("/"): tar.extractfile(entry) for entry in tar.getmembers()}
        content = {name: stream.read() for name, stream in members.items() if stream}
    for name in (
        "skupper-info/manifest.json", "skupper-info/podman-info.json", "skupper-info/doctor.json", "errors.txt",
        "containers/skupper-router/inspect.json", "containers/skupper-router/logs/skupper-router-logs.txt",
        "containers/backend/logs/backend-logs.txt", "files/skupper-internal/skrouterd.json",
        "files/skupper-internal/backend/skrouterd.json", "files/skupper-services/skupper-services.json",
        "files/skupper-network-status/skupper-network-status.json", "routers/skupper-router.json",
        "routers/backend.json",
        "certs/certificates.json", "networks/skupper.json", "volumes/link1.json", "events/events.txt",
        "systemd/supervisor.txt",
    ):  # fmt: skip
        assert content[name] or name == "errors.txt", name
    assert content["errors.txt"] == b""
    everything = b"\n".join(content.values())
    for secret in [*secrets(sites.east), b"hunter2-hunter2"]:
        for form in forms(secret):
            assert form not in everything
    assert b"PRIVATE KEY" not in everything
    tables = json.loads(content["routers/skupper-router.json"])
    assert {"connection", "router.address", "router.node", "router.link", "listener", "connector"} <= set(tables)
    assert tables["connection"]
    assert json.loads(content["routers/backend.json"])["tcpConnector"]
    assert json.loads(content["skupper-info/doctor.json"])["kind"] == "Doctor"


def test_an_archive_of_a_broken_site(sites: Sites, tmp_path: Path) -> None:
    sites.east.podman("pause", "backend")
    try:
        sites.east.skupper("debug", "dump", str(tmp_path / "broken"))
    finally:
        sites.east.podman("unpause", "backend")
    with tarfile.open(tmp_path / "broken.tar.gz") as tar:
        content = {entry.name.lstrip("/"): tar.extractfile(entry) for entry in tar.getmembers()}
        errors = content["errors.txt"]
        assert errors is not None
        assert b"router of service backend" in errors.read()
        assert content["routers/skupper-router.json"] is not None


def test_without_podman_there_is_still_an_archive(host: Host, tmp_path: Path) -> None:
    host.stop_podman()
    done = host.skupper("debug", "dump", str(tmp_path / "none"))
    assert "not in the archive" in done.stderr
    with tarfile.open(tmp_path / "none.tar.gz") as tar:
        names = {entry.name.lstrip("/") for entry in tar.getmembers()}
    assert {"skupper-info/manifest.json", "skupper-info/doctor.json", "errors.txt"} <= names
    report = json.loads(host.skupper("doctor", "-o", "json", expect=1).stdout)["data"]
    by_id = {check["id"]: check["result"] for check in report["checks"]}
    assert by_id["podman-endpoint"] == "fail"
    assert by_id["site"] == by_id["traffic"] == "skipped"


def test_debug_service_follows_the_path(sites: Sites) -> None:
    found = json.loads(sites.west.skupper("debug", "service", "backend", "-o", "json").stdout)["data"]
    hops = {hop["kind"]: hop["health"] for hop in found["hops"]}
    assert hops == dict.fromkeys(("container", "router", "listener", "address", "site", "test"), "ok")
    sites.east.podman("stop", "--time", "0", "web")
    try:
        done = sites.west.skupper("debug", "service", "backend", expect=1)
        assert "ended at once" in done.stdout
        done = sites.east.skupper("debug", "service", "backend", expect=1)
        assert "target web:8080" in done.stdout
    finally:
        sites.east.podman("start", "web")


def test_events_tell_what_happened(sites: Sites) -> None:
    sites.west.podman("kill", "backend")
    until(
        lambda: "container backend: died with exit code 137" in sites.west.skupper("debug", "events").stdout, 20, "told"
    )
    sites.west.skupper("status", "--wait", "ready", "--timeout", "60s")


def test_fix_continues_what_is_paused(sites: Sites) -> None:
    sites.west.podman("pause", "skupper-router")
    shown = sites.west.skupper("doctor", "--fix", "--dry-run", expect=1)
    assert "start paused container skupper-router" in shown.stdout
    done = json.loads(sites.west.skupper("doctor", "--fix", "-o", "json").stdout)
    assert done["changed"] is True
    assert [item["remedy"] for item in done["data"]["remedies"]] == ["unpause skupper-router"]
    assert Redactor().value(done["data"]["summary"])["fail"] == 0
