"""What the router costs: a TCP service through two linked routers with mutual TLS, against no router at all.

Where `SKUPPER_TEST_SKROUTERD` names a skrouterd, two of those are measured the same way. Absolute figures belong to
the machine and the moment; the ratios of one run are what counts.

    python -m scripts.bench_router [--json] [--rounds N] [--hops N] [--only direct,embedded,skrouterd]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.routerd.system.lab import (
    Entity,
    connector,
    free_port,
    listener,
    profile,
    tcp_connector,
    tcp_listener,
    wait_for,
)

MEGABYTE = 1 << 20
BULK = 256 * MEGABYTE
HTTP_SECONDS = 2
AIM = 1.0
# Rows where less is better.
TIMES = ("round trip p50 µs", "connect + 1 byte p50 µs", "HTTP/1 CPU µs/req", "RSS MB")

ECHO = """
import select, socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
poll, socks = select.epoll(), {listening.fileno(): listening}
poll.register(listening, select.EPOLLIN)
buffer = bytearray(262144); view = memoryview(buffer)
while True:
    for fd, _ in poll.poll():
        if fd == listening.fileno():
            sock = listening.accept()[0]
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            socks[sock.fileno()] = sock
            poll.register(sock, select.EPOLLIN)
            continue
        sock = socks[fd]
        try:
            size = sock.recv_into(view)
            if size: sock.sendall(view[:size])
        except OSError:
            size = 0
        if not size:
            poll.unregister(fd); sock.close(); del socks[fd]
"""

NGINX = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {dir}; proxy_temp_path {dir};
  fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello from the server\\n"; }} }} }}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a client finds the two services."""

    echo: int
    http: int


@contextlib.contextmanager
def process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended at the end."""
    with log.open("ab") as out:
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(5)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextlib.contextmanager
def servers(directory: Path) -> Iterator[Ports]:
    """An echo server and, where nginx and wrk are installed, an HTTP server (else its port is 0)."""
    echo, http = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(process([sys.executable, "-c", ECHO, str(echo)], directory / "echo.log"))
        if shutil.which("nginx") and shutil.which("wrk"):
            config = directory / "nginx.conf"
            config.write_text(NGINX.format(dir=directory, port=http))
            stack.enter_context(process(["nginx", "-c", str(config)], directory / "nginx.log"))
        else:
            http = 0
        for port in (echo, http):
            if port:
                wait_for(lambda port=port: socket.create_connection(("127.0.0.1", port)).close() or True, "server")
        yield Ports(echo, http)


@contextlib.contextmanager
def routers(directory: Path, command: list[str], back: Ports, hops: int = 1) -> Iterator[tuple[Ports, list[int]]]:
    """A line of routers with both TCP services: the client's ports and the routers' process ids."""
    front = Ports(free_port(), free_port() if back.http else 0)
    names = [("echo", front.echo, back.echo)] + ([("http", front.http, back.http)] if back.http else [])
    listeners = [tcp_listener(port, f"{name}:1") for name, port, _ in names]
    connectors = [tcp_connector(port, f"{name}:1") for name, _, port in names]
    with line(directory, command, listeners, connectors, hops) as pids:
        yield front, pids


@contextlib.contextmanager
def line(
    directory: Path, command: list[str], listeners: list[Entity], connectors: list[Entity], hops: int = 1
) -> Iterator[list[int]]:
    """A line of interior routers, mutual TLS between them, services from one end to the other: their process ids."""
    directory.mkdir()
    entities: list[list[Entity]] = [[profile(directory)] for _ in range(hops + 1)]
    entities[0] += listeners
    entities[-1] += connectors
    for near, far in itertools.pairwise(entities):
        port = free_port()
        near.append(listener("inter-router", port, tls=True))
        far.append(connector("inter-router", port, tls=True))
    with contextlib.ExitStack() as stack:
        pids = []
        for number, configured in enumerate(entities):
            name = f"R{number}"
            config = directory / f"{name}.json"
            config.write_text(json.dumps([["router", {"id": name, "mode": "interior"}], *map(list, configured)]))
            started = stack.enter_context(process([*command, "-c", str(config)], directory / f"{name}.log"))
            pids.append(started.pid)
        for _, attributes in listeners:
            port = int(attributes["port"])
            wait_for(lambda port=port: socket.create_connection(("127.0.0.1", port)).close() or True, "service", 60)
        time.sleep(0.5)
        yield pids


def client(port: int) -> socket.socket:
    """A connected client."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def round_trip(port: int, count: int = 3000) -> float:
    """Median microseconds for 64 octets there and back on an open connection."""
    with client(port) as sock:
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            sock.sendall(bytes(64))
            got = 0
            while got < 64:
                got += len(sock.recv(64))
            times.append(time.perf_counter() - begun)
    return statistics.median(times[count // 10 :]) * 1e6


def bulk(port: int) -> float:
    """Megabytes a second through an echo, one stream."""
    with client(port) as sock:
        block = os.urandom(MEGABYTE)

        def send() -> None:
            for _ in range(BULK // MEGABYTE):
                sock.sendall(block)

        begun = time.perf_counter()
        sender = threading.Thread(target=send)
        sender.start()
        buffer, got = bytearray(262144), 0
        while got < BULK:
            got += sock.recv_into(buffer)
        taken = time.perf_counter() - begun
        sender.join()
    return BULK / taken / 1e6


def connect_one(port: int) -> float:
    """Seconds to connect and get one octet back."""
    begun = time.perf_counter()
    with client(port) as sock:
        sock.sendall(b"x")
        sock.recv(1)
        return time.perf_counter() - begun


def connect_latency(port: int, count: int = 400) -> float:
    """Median microseconds to connect and get one octet back, one at a time."""
    return statistics.median([connect_one(port) for _ in range(count)]) * 1e6


def connection_rate(port: int, seconds: float = 2.0) -> float:
    """Connections a second, sixteen clients at a time, one octet each."""
    deadline = time.monotonic() + seconds
    counts = [0] * 16

    def work(index: int) -> None:
        while time.monotonic() < deadline:
            connect_one(port)
            counts[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(counts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def http_rate(port: int, connections: int, *options: str) -> float:
    """Requests a second by wrk with so many connections."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{HTTP_SECONDS}s", *options, f"http://127.0.0.1:{port}/"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in output.splitlines() if line.startswith("Requests/sec"))
    return float(line.split()[1])


def resident(pids: list[int]) -> float:
    """Largest resident memory in MB."""
    size = os.sysconf("SC_PAGE_SIZE")
    return max(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * size for pid in pids) / 1e6


def measure(ports: Ports, pids: list[int]) -> dict[str, float]:
    """All rows once."""
    rows = {
        "round trip p50 µs": round_trip(ports.echo),
        "echo MB/s": bulk(ports.echo),
        "connect + 1 byte p50 µs": connect_latency(ports.echo),
        "connections/s": connection_rate(ports.echo),
    }
    if ports.http:
        for connections in (1, 10, 100):
            rows[f"HTTP req/s c={connections}"] = http_rate(ports.http, connections)
    if pids:
        rows["RSS MB"] = resident(pids)
    return rows


def best(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The best of several rounds, row by row: what other processes of the machine take away is left out."""
    return {row: (min if row in TIMES else max)(found[row] for found in rounds) for row in rounds[0]}


def ratio(row: str, ours: float, theirs: float) -> float:
    """How good ours is: 1 is equal, 2 twice as good."""
    return theirs / ours if row in TIMES else ours / theirs


def figures(rounds: int = 2, only: frozenset[str] = frozenset(), hops: int = 1) -> dict[str, dict[str, Any]]:
    """Every row: the figure of each subject and the embedded router's ratio to the others."""
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-router-") as name, servers(Path(name)) as back:
        for number in range(rounds):
            if not only or "direct" in only:
                found.setdefault("direct", []).append(measure(back, []))
            for subject, command in commands().items():
                if only and subject not in only:
                    continue
                with routers(Path(name) / f"{subject}{number}", command, back, hops) as (front, pids):
                    found.setdefault(subject, []).append(measure(front, pids))
    return compared({subject: best(measured) for subject, measured in found.items()})


def commands() -> dict[str, list[str]]:
    """The routers that are measured: ours, and skrouterd where there is one."""
    real = os.environ.get("SKUPPER_TEST_SKROUTERD")
    ours = {"embedded": [sys.executable, "-m", "skupper_podman.routerd"]}
    return ours | {"skrouterd": [real]} if real else ours


def compared(subjects: dict[str, dict[str, float]]) -> dict[str, dict[str, Any]]:
    """The figures of all subjects row by row, with the embedded router's ratio to each other one."""
    table: dict[str, dict[str, Any]] = {}
    for subject, rows in subjects.items():
        for row, value in rows.items():
            table.setdefault(row, {})[subject] = round(value, 1)
    for row, values in table.items():
        for other in ("direct", "skrouterd"):
            if other in values and "embedded" in values:
                values[f"ratio to {other}"] = round(ratio(row, values["embedded"], values[other]), 2)
        if "ratio to skrouterd" in values:
            values["aim"] = f"at least {AIM}"
    return table


def main() -> int:
    """Print the figures."""
    return command_line("router", __doc__ or "", figures)


def command_line(group: str, about: str, measured: Callable[..., dict[str, dict[str, Any]]]) -> int:
    """Read the arguments, and print the figures of a group."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=2, help="how often each subject is measured; the best counts")
    parser.add_argument("--only", default="", help="subjects, separated by commas")
    parser.add_argument("--hops", type=int, default=1, help="links between the client's router and the server's")
    arguments = parser.parse_args()
    only = frozenset(filter(None, arguments.only.split(",")))
    table = measured(arguments.rounds, only, arguments.hops)
    if arguments.json:
        sys.stdout.write(json.dumps({group: table}, indent=2, ensure_ascii=False) + "\n")
        return 0
    columns = ["direct", "embedded", "skrouterd", "ratio to direct", "ratio to skrouterd"]
    sys.stdout.write(f"{'':26}" + "".join(f"{column:>20}" for column in columns) + "\n")
    for row, values in table.items():
        sys.stdout.write(f"{row:26}" + "".join(f"{values.get(column, ''):>20}" for column in columns) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
