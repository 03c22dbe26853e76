"""What happens when things break: killed processes, a stalled reader, interrupts, and hosts that are not ready."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import PAGE, PROGRAMS, Sites
from tests.lab import Host
from tests.podmanlab import until


def container_pid(host: Host, name: str) -> int:
    return int(host.podman("inspect", "--format", "{{.State.Pid}}", name).stdout)


def status_says_ok(host: Host) -> bool:
    result = host.skupper("status", check=False)
    return result.returncode == 0 and result.stdout.startswith("Skupper is enabled")


@pytest.mark.parametrize(
    ("side", "container"),
    [
        ("west", "skupper-router"),
        ("west", "backend"),
        ("west", "skupper-controller-podman"),
        ("east", "skupper-router"),
        ("east", "backend"),
        ("east", "skupper-controller-podman"),
    ],
)
def test_killed_process_is_back(sites: Sites, side: str, container: str) -> None:
    host: Host = getattr(sites, side)
    until(lambda: sites.fetch() == PAGE and status_says_ok(host), 20, "all well before")
    before = container_pid(host, container)
    os.kill(before, signal.SIGKILL)
    until(lambda: container_pid(host, container) not in (0, before), 10, f"{container} runs again")
    until(lambda: sites.fetch() == PAGE, 10, f"the service after {container} on {side} was killed")
    until(lambda: status_says_ok(host), 20, "status is well again")


def test_status_is_not_ok_while_the_router_is_gone(sites: Sites) -> None:
    sites.west.podman("pause", "skupper-router")
    try:
        result = sites.west.skupper("status", check=False)
        assert result.returncode == 1
        assert "skupper-router" in result.stdout + result.stderr
        until(
            lambda: sites.east.skupper("link", "status", "link1", check=False).returncode == 1, 30, "link seen as down"
        )
    finally:
        sites.west.podman("unpause", "skupper-router")
    until(lambda: sites.fetch() == PAGE, 30, "the service after the pause")


def test_cut_cable_is_mended_without_a_command(sites: Sites) -> None:
    sites.lab.cut(sites.east)
    until(lambda: sites.fetch(timeout=2) == "", 20, "the cut is felt")
    sites.lab.join(sites.east)
    until(lambda: sites.fetch() == PAGE, 30, "the service after the cable is back")


def resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_stalled_readers_cost_bounded_memory(sites: Sites) -> None:
    names = [(host, name) for host in (sites.west, sites.east) for name in ("skupper-router", "backend")]
    until(lambda: sites.fetch() == PAGE, 20, "all well before")
    before = {key: resident_kib(container_pid(*key)) for key in names}
    stalled = [
        sites.west.podman(
            "run", "--detach", "--rm", "--network", "skupper", *sites.west.workload_arguments(), *PROGRAMS,
            sites.west.workload_image(), "python3", "client.py", "stall", "backend", "8080", "40",
        ).stdout.strip()
        for _ in range(4)
    ]  # fmt: skip
    time.sleep(8)
    sizes = {key: resident_kib(container_pid(*key)) for key in names}
    time.sleep(8)
    later = {key: resident_kib(container_pid(*key)) for key in names}
    assert sites.fetch() == PAGE
    sites.west.podman("rm", "--force", "--time", "0", *stalled, check=False)
    for key in names:
        # The window is 1.4 MiB a stream and direction; buffers on the way may hold it a few times over.
        assert sizes[key] - before[key] < 4 * 8 * 1024, (key, before, sizes)
        assert later[key] - sizes[key] < 4 * 1024, (key, sizes, later)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_init_leaves_nothing(host: Host, number: signal.Signals) -> None:
    """At many points in time; the step-by-step proof is in tests/platform."""
    untouched = everything(host)
    for delay in (0.3, 0.6, 0.9, 1.2, 1.6, 2.0, 2.5, 3.0):
        process = host.popen(
            "skupper",
            "init",
            "--router",
            "embedded",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        timer = threading.Timer(delay, process.send_signal, [number])
        timer.start()
        output, _ = process.communicate(timeout=60)
        timer.cancel()
        if b"Fatal Python error" in output:
            continue  # on a busy machine the interpreter itself had not started
        assert b"Traceback" not in output
        if b"now installed" in output:
            # The signal came when all was done: the site stands, whatever the last moment's exit code.
            host.skupper("delete")
        else:
            assert process.returncode == 130, output
        assert everything(host) == untouched, f"after {delay} s: {output.decode()}"


def everything(host: Host) -> dict[str, str]:
    """All that a site may leave on a host."""
    state = {
        kind: host.podman(*argv).stdout
        for kind, argv in {
            "containers": ("ps", "--all", "--format", "{{.Names}}"),
            "volumes": ("volume", "ls", "--format", "{{.Name}}"),
            "networks": ("network", "ls", "--format", "{{.Name}}"),
        }.items()
    }
    state["files"] = host.run("find", "/usr/local/bin", "/etc/systemd/system", "-name", "*skupper*").stdout
    state["endpoint"] = host.run("find", "/usr/local/bin", "-name", "podman.yaml").stdout
    return state


def test_killed_init_is_repaired_or_deleted(host: Host) -> None:
    for delay in (0.7, 1.4):
        process = host.popen("skupper", "init", "--router", "embedded", "--site-name", "solo", stdin=subprocess.DEVNULL)
        time.sleep(delay)
        process.kill()
        process.wait()
        host.skupper("init", "--router", "embedded", "--site-name", "solo")
        assert status_says_ok(host)
        host.skupper("delete")
        assert host.labelled() == []


def test_half_broken_site_is_repaired(host: Host) -> None:
    host.skupper("init", "--router", "embedded", "--site-name", "solo")
    host.skupper("service", "create", "db", "5432")
    host.podman("rm", "--force", "--time", "0", "skupper-controller-podman", "db")
    host.podman("volume", "rm", "--force", "skupper-network-status")
    result = host.skupper("status", check=False)
    assert result.returncode == 1
    host.skupper("init", "--router", "embedded", "--site-name", "solo")
    until(lambda: status_says_ok(host), 20, "status after the repair")
    assert "container db" in host.labelled()


def test_taken_port_names_its_owner(host: Host) -> None:
    untouched = everything(host)
    server = host.popen("python3", "-m", "http.server", "55671", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: "55671" in host.run("ss", "-ltn").stdout, 10, "the port is taken")
        result = host.skupper("init", "--router", "embedded", expect=1)
    finally:
        server.kill()
        server.wait()
    assert "55671" in result.stderr
    assert "python" in result.stderr
    assert everything(host) == untouched


def test_no_podman_service(host: Host) -> None:
    host.stop_podman()
    result = host.skupper("init", expect=1)
    assert "Error:" in result.stderr
    assert "podman" in result.stderr
    assert "Traceback" not in result.stderr
    host.start_podman()


def test_network_without_dns(host: Host) -> None:
    host.podman("network", "create", "--disable-dns", "skupper")
    untouched = everything(host)
    result = host.skupper("init", "--router", "embedded", expect=1)
    assert "DNS" in result.stderr
    assert everything(host) == untouched
