"""What is read from /proc, on this machine's own."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from skupper_podman.supervisor import network, processes
from tests.podmanlab import until

SUPERVISOR = Path(processes.__file__).parent


def test_a_process_that_becomes_another_program_is_the_same() -> None:
    """As a container's first process does: runc, sh, python. Taken for gone, it would be restarted for nothing."""
    script = "read line; exec sleep 60"
    with subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE) as child:
        try:
            before = processes.find(child.pid)
            assert before is not None
            assert before.name == "sh"
            assert child.stdin is not None
            child.stdin.write(b"go\n")
            child.stdin.close()
            until(lambda: processes.named("sleep", os.getuid()) and _name(child.pid) == "sleep", 10, "it became sleep")
            assert before.alive()
        finally:
            child.kill()
    assert not before.alive()


def _name(pid: int) -> str:
    found = processes.find(pid)
    return found.name if found else ""


def test_a_host_booted_when_its_first_process_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is a container shows the uptime of the kernel it shares."""
    ticks = os.sysconf("SC_CLK_TCK")
    (tmp_path / "1").mkdir()
    (tmp_path / "uptime").write_text("5000.50 9000.00\n")
    fields = ["S", *["0"] * 18, str(4990 * ticks), "0"]
    (tmp_path / "1" / "stat").write_text(f"1 (systemd) {' '.join(fields)}\n")
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    assert processes.uptime() == pytest.approx(10.5)
    (tmp_path / "1" / "stat").unlink()  # a user who may not see others' processes
    assert processes.uptime() == pytest.approx(5000.5)
    (tmp_path / "uptime").unlink()
    assert processes.uptime() == float("inf")


def test_the_network_is_waited_for_only_after_a_boot_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_POLL", 0.01)
    monkeypatch.setattr(network, "LONGEST", 0.1)
    monkeypatch.setattr(processes, "has_default_route", lambda: False)
    monkeypatch.setattr(processes, "uptime", lambda: network.FRESH_BOOT + 1)
    assert network.await_network() is False
    monkeypatch.setattr(processes, "uptime", lambda: 1.0)
    left: list[float] = []
    assert network.await_network(lambda seconds: bool(left.append(seconds) is None)) is False
    assert left
    assert network.await_network(lambda _seconds: False) is False
    ways = iter([False, True])
    monkeypatch.setattr(processes, "has_default_route", lambda: next(ways))
    assert network.await_network() is True


def test_no_decision_depends_on_the_wall_clock() -> None:
    """A host without a battery boots in 1970 and jumps when it has heard of the time."""
    for path in sorted(SUPERVISOR.glob("[!_]*.py")):  # __main__ stamps lines of the log, and decides nothing
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("time", "time"), ("time", "time_ns")}, path.name
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert "datetime" not in names, path.name
