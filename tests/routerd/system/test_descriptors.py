"""A router that runs out of file descriptors goes on, does not spin, and accepts again."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.wire import AMQP, opened
from tests.routerd.system.lab import Router, free_port, wait_for

LIMIT = 64


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    """A router whose hard limit is so low that it cannot lift it."""
    made = Router(tmp_path, "A", "interior", ("listener", {"host": "127.0.0.1", "port": free_port(), "http": True}))
    made.config.write_text(json.dumps([list(entity) for entity in made.entities]))
    with made.log_file.open("ab") as log:
        made.process = subprocess.Popen(
            [sys.executable, "-m", "skupper_podman.routerd", "-c", str(made.config)],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)),
        )
    wait_for(lambda: socket.create_connection(("127.0.0.1", made.port)).close() or True, "router", 30)
    yield made
    made.kill()


def ticks(router: Router) -> float:
    """Processor time of the router in seconds."""
    assert router.process is not None
    fields = Path(f"/proc/{router.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answers(router: Router) -> bool:
    with contextlib.suppress(Exception):
        return bool(router.query("router"))
    return False


def crowd(port: int, octets: bytes) -> list[socket.socket]:
    found = []
    for _ in range(2 * LIMIT):
        with contextlib.suppress(OSError):
            sock = socket.create_connection(("127.0.0.1", port), timeout=5)
            found.append(sock)
            sock.send(octets)
    return found


def test_silent_connections_do_not_keep_others_out(router: Router) -> None:
    held = crowd(router.port, b"AMQP")
    wait_for(lambda: router.descriptors() >= LIMIT - 4 or "out of file descriptors" in router.log, "a full table", 30)
    # They may stay silent for a minute; a client that opens is served long before.
    wait_for(lambda: answers(router), "an answer", 45)
    for sock in held:
        sock.close()


def test_a_full_table_costs_no_time_and_ends(router: Router) -> None:
    held = crowd(router.port, AMQP + opened())
    wait_for(lambda: "out of file descriptors" in router.log, "a full table", 30)
    before, began = ticks(router), time.monotonic()
    time.sleep(3)
    assert ticks(router) - before < (time.monotonic() - began) / 2
    for sock in held:
        sock.close()
    wait_for(lambda: answers(router), "an answer", 45)
    assert router.process is not None
    assert router.process.poll() is None
    assert "Internal error" not in router.log


def test_the_soft_limit_is_lifted_to_the_hard_one(tmp_path: Path) -> None:
    made = Router(tmp_path, "A", "interior")
    made.config.write_text(json.dumps([list(entity) for entity in made.entities]))

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, 1000))

    with made.log_file.open("ab") as log:
        made.process = subprocess.Popen(
            [*made.command, "-c", str(made.config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=lower
        )
    try:
        wait_for(lambda: socket.create_connection(("127.0.0.1", made.port)).close() or True, "router", 30)
        limits = Path(f"/proc/{made.process.pid}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        assert line.split()[3:5] == ["1000", "1000"]
    finally:
        made.kill()
