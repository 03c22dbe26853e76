"""What an idle connection costs the router: thousands that have opened, and thousands that say nothing.

    python -m scripts.bench_idle [--json] [--connections N]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.wire import AMQP, begin, opened, sender
from tests.routerd.system.lab import Lab, Router, running, wait_for

CONNECTIONS = 10_000
_HELLO = AMQP + opened() + begin() + sender(0, "idle")
_KEEP_ALIVE = b"\x00\x00\x00\x08\x02\x00\x00\x00"


def figures(connections: int = CONNECTIONS) -> dict[str, dict[str, object]]:
    """All figures of this group."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(connections, (hard if hard != resource.RLIM_INFINITY else 1 << 20) - 200)
    with tempfile.TemporaryDirectory(prefix="bench-idle-") as name, running(Path(name)) as lab:
        found = {f"{count} opened": measure(lab, "opened", count, _HELLO)}
        found[f"{count} silent"] = measure(lab, "silent", count, b"")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return found


def measure(lab: Lab, name: str, count: int, octets: bytes) -> dict[str, object]:
    """Memory of each, processor time while nothing happens, and how long another client takes to open meanwhile."""
    router = lab.router(name, "interior")
    wait_for(lambda: socket.create_connection(("127.0.0.1", router.port)).close() or True, "router")
    before = router.memory()
    with connections(router, count, octets) as (socks, seconds):
        held = router.memory() - before
        start, cpu = time.monotonic(), ticks(router)
        for sock in socks if octets else ():
            with contextlib.suppress(OSError):
                sock.send(_KEEP_ALIVE)
        time.sleep(5)
        busy = 100 * (ticks(router) - cpu) / (time.monotonic() - start)
        asked = []
        for _ in range(20):
            begun = time.monotonic()
            with socket.create_connection(("127.0.0.1", router.port), timeout=30) as sock:
                sock.sendall(_HELLO)
                sock.recv(65536)
            asked.append(time.monotonic() - begun)
    wait_for(lambda: router.descriptors() < 100, "connections gone", 60)
    return {
        "connections/s": round(count / seconds),
        "kB each": round(held / count / 1024, 1),
        "CPU %": round(busy, 1),
        "open ms": round(1000 * statistics.median(asked), 1),
        "MB left": round((router.memory() - before) / (1 << 20), 1),
    }


@contextlib.contextmanager
def connections(router: Router, count: int, octets: bytes) -> Iterator[tuple[list[socket.socket], float]]:
    """So many connections, each with these octets sent and answered."""
    socks: list[socket.socket] = []
    start = time.monotonic()
    try:
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", router.port), timeout=30)
            sock.sendall(octets)
            socks.append(sock)
        for sock in socks if octets else ():
            sock.recv(65536)
        wait_for(lambda: router.descriptors() >= count, "connections accepted", 60)
        yield socks, time.monotonic() - start
    finally:
        for sock in socks:
            sock.close()


def ticks(router: Router) -> float:
    """Processor time of a router in seconds."""
    assert router.process is not None
    fields = Path(f"/proc/{router.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    arguments = parser.parse_args()
    table = figures(arguments.connections)
    if arguments.json:
        sys.stdout.write(json.dumps({"idle": table}, indent=2) + "\n")
        return 0
    from scripts.bench_all import lines

    sys.stdout.write("\n".join(lines("idle", table)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
