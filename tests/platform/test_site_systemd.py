"""``init``, repair and ``delete`` of an ordinary user's site under a real ``systemd --user``, with rootless Podman."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.podmanlab import LabHost, rootless_host, unable

UNIT = "skupper-podman.service"
REASON = unable() or ("" if Path("/lib/systemd/systemd").exists() else "needs systemd")
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON or "ready")]


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    with rootless_host() as host:
        host.start_user_systemd()
        yield host


def skupper(host: LabHost, *argv: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    command = ["env", "-u", "PODMAN_ENDPOINT", "-u", "SKUPPER_DATA_HOME", "SKUPPER_PLATFORM=podman"]
    done = host.run([*command, *host.python("-m", "skupper_podman.cli.main", *argv)])
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


def init(host: LabHost, *argv: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return skupper(host, "init", "--router", "embedded", "--ingress-host", "192.0.2.1", *argv, code=code)


def active(host: LabHost) -> str:
    return host.systemctl("is-active", UNIT).stdout.strip()


def unit_file(host: LabHost) -> Path:
    return host.home / ".config/systemd/user" / UNIT


def probes(host: LabHost) -> dict[str, str]:
    document = json.loads(skupper(host, "status", "-o", "json", code=None).stdout)
    return {probe["name"]: probe["health"] for probe in document["data"]["probes"]}


def test_a_taken_port_leaves_nothing(host: LabHost) -> None:
    done = init(host, "--bind-port", "22", code=1)
    assert "port 22 is below" in done.stderr
    assert not unit_file(host).exists()


def test_init_starts_the_unit(host: LabHost) -> None:
    port = random.randrange(21000, 29000, 2)
    done = init(host, "--bind-port", str(port), "--bind-port-edge", str(port + 1), "--site-name", "mine")
    assert "enable-linger" in done.stderr
    assert active(host) == "active"
    assert host.systemctl("is-enabled", UNIT).stdout.strip() == "enabled"
    assert set(probes(host).values()) == {"ok"}
    assert f"unit {UNIT}" in probes(host)
    assert "already been initialized" in skupper(host, "init").stdout


def test_a_stopped_unit_is_told_and_started(host: LabHost) -> None:
    host.systemctl("stop", UNIT)
    health = probes(host)
    assert health[f"unit {UNIT}"] == health["container skupper-router"] == "failing"
    skupper(host, "init")
    assert active(host) == "active"
    assert set(probes(host).values()) == {"ok"}


def test_a_lost_unit_is_written_again_and_the_site_runs_on(host: LabHost) -> None:
    router = host.api().container("skupper-router")
    host.systemctl("disable", UNIT)
    unit_file(host).unlink()
    host.systemctl("daemon-reload")
    skupper(host, "init")
    assert active(host) == "active"
    assert unit_file(host).exists()
    again = host.api().container("skupper-router")
    assert router is not None
    assert again is not None
    assert (again.id, again.started_at) == (router.id, router.started_at)


def test_delete_removes_the_unit(host: LabHost) -> None:
    skupper(host, "delete")
    assert not unit_file(host).exists()
    assert active(host) == "inactive"
    assert host.systemctl("list-unit-files", UNIT, "--no-legend").stdout == ""
    assert host.api().containers() == []
    assert host.systemctl("is-active", "podman.socket").stdout.strip() == "active"
    assert "not enabled" in skupper(host, "delete").stdout
