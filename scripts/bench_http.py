"""What the HTTP adaptors cost: services through two linked routers with mutual TLS, against no router at all.

Where `SKUPPER_TEST_SKROUTERD` names a skrouterd, two of those are measured the same way. Small requests come from wrk
and, for HTTP/2, from h2load, and nginx answers them; large bodies pass between sockets of our own. "Varied" requests
differ from each other in their path and headers, as those of a browser do.

    python -m scripts.bench_http [--json] [--rounds N] [--hops N] [--only direct,embedded,skrouterd]
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench_router import (
    HTTP_SECONDS,
    MEGABYTE,
    best,
    client,
    command_line,
    commands,
    compared,
    http_rate,
    line,
    process,
    resident,
)
from tests.routerd.system.lab import free_port, wait_for
from tests.routerd.system.web import http_connector, http_listener

BULK = 128 * MEGABYTE

# Answers GET with many octets and everything else when it has come completely; by length, or in chunks.
BODIES = f"""
import socket, sys, threading
SIZE, BLOCK = {BULK}, bytes(1 << 18)
def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data, view = b"", memoryview(bytearray(1 << 18))
    while True:
        while b"\\r\\n\\r\\n" not in data:
            more = sock.recv(65536)
            if not more: return
            data += more
        head, _, data = data.partition(b"\\r\\n\\r\\n")
        if head.startswith(b"GET"):
            chunked = b"chunked" in head.split(b"\\r\\n")[0]
            framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
            sock.sendall(b"HTTP/1.1 200 OK\\r\\n%s\\r\\n\\r\\n" % framing)
            for _ in range(SIZE // len(BLOCK)):
                sock.sendall(b"%x\\r\\n%s\\r\\n" % (len(BLOCK), BLOCK) if chunked else BLOCK)
            if chunked: sock.sendall(b"0\\r\\n\\r\\n")
            continue
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length:")]
        left, data = int(lengths[0]) - len(data), b""
        while left:
            left -= sock.recv_into(view, min(left, len(view)))
        sock.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()
"""

NGINX = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {dir}; proxy_temp_path {dir};
  fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir}; default_type text/plain;
  server {{ listen 127.0.0.1:{http1}; location / {{ return 200 "hello from the server\\n"; }} }}
  server {{ listen 127.0.0.1:{http2} http2; location / {{ return 200 "hello from the server\\n"; }} }} }}
"""

VARIED = """
local count = 0
request = function()
  count = count + 1
  local headers = {["X-Request-Id"] = string.format("%016x", count * 7919), ["Cookie"] = "session=" .. count % 1000}
  return wrk.format("GET", "/items/" .. count .. "?page=" .. count % 10, headers)
end
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a client finds the services."""

    http1: int
    http2: int
    bodies: int


@contextlib.contextmanager
def servers(directory: Path) -> Iterator[Ports]:
    """nginx for both versions, and a server for large bodies."""
    ports = Ports(free_port(), free_port(), free_port())
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(dir=directory, http1=ports.http1, http2=ports.http2))
    with (
        process(["nginx", "-c", str(config)], directory / "nginx.log"),
        process([sys.executable, "-c", BODIES, str(ports.bodies)], directory / "bodies.log"),
    ):
        for port in (ports.http1, ports.http2, ports.bodies):
            wait_for(lambda port=port: socket.create_connection(("127.0.0.1", port)).close() or True, "server")
        yield ports


@contextlib.contextmanager
def routers(directory: Path, command: list[str], back: Ports, hops: int) -> Iterator[tuple[Ports, list[int]]]:
    """A line of routers with the three services: the client's ports and the routers' process ids."""
    front = Ports(free_port(), free_port(), free_port())
    named = [(name, getattr(front, name), getattr(back, name)) for name in Ports.__slots__]
    more: dict[str, dict[str, Any]] = {"http2": {"protocolVersion": "HTTP2"}}
    listeners = [http_listener(port, f"{name}:80", **more.get(name, {})) for name, port, _ in named]
    connectors = [http_connector(port, f"{name}:80", **more.get(name, {})) for name, _, port in named]
    with line(directory, command, listeners, connectors, hops) as pids:
        yield front, pids


def multiplexed(port: int, connections: int, streams: int) -> float:
    """Requests a second by h2load with so many connections and streams on each; only those that succeeded."""
    load = ["h2load", "-D", str(HTTP_SECONDS), "-c", str(connections), "-m", str(streams), f"http://127.0.0.1:{port}/"]
    output = subprocess.run(load, capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) succeeded", output)
    return int(found[1]) / HTTP_SECONDS if found else 0.0


def download(port: int, path: str) -> float:
    """Megabytes a second of one large response."""
    buffer = bytearray(1 << 18)
    with client(port) as sock:
        begun = time.perf_counter()
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        got = 0
        while got < BULK:
            got += _some(sock, buffer)
        return BULK / (time.perf_counter() - begun) / 1e6


def upload(port: int) -> float:
    """Megabytes a second of one large request."""
    block = bytes(1 << 18)
    with client(port) as sock:
        begun = time.perf_counter()
        sock.sendall(b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % BULK)
        for _ in range(BULK // len(block)):
            sock.sendall(block)
        _some(sock, bytearray(1024))
        return BULK / (time.perf_counter() - begun) / 1e6


def _some(sock: socket.socket, buffer: bytearray) -> int:
    size = sock.recv_into(buffer)
    if not size:
        raise RuntimeError("connection ended")
    return size


def cpu_seconds(pids: list[int]) -> float:
    """Processor time that the processes have taken: unlike rates it tells little of what else the machine does."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def measure(ports: Ports, pids: list[int], varied: Path) -> dict[str, float]:
    """All rows once."""
    spent = cpu_seconds(pids)
    rows = {f"HTTP/1 req/s c={count}": http_rate(ports.http1, count) for count in (1, 10, 100)}
    if pids:
        rows["HTTP/1 CPU µs/req"] = (cpu_seconds(pids) - spent) / (sum(rows.values()) * HTTP_SECONDS) * 1e6
    rows["HTTP/1 varied req/s c=10"] = http_rate(ports.http1, 10, "-s", str(varied))
    rows["HTTP/1 download MB/s"] = download(ports.bodies, "/")
    rows["HTTP/1 chunked MB/s"] = download(ports.bodies, "/chunked")
    rows["HTTP/1 upload MB/s"] = upload(ports.bodies)
    if shutil.which("h2load"):
        rows["HTTP/2 req/s c=1 m=1"] = multiplexed(ports.http2, 1, 1)
        rows["HTTP/2 req/s c=1 m=20"] = multiplexed(ports.http2, 1, 20)
        rows["HTTP/2 req/s c=10 m=10"] = multiplexed(ports.http2, 10, 10)
    if pids:
        rows["RSS MB"] = resident(pids)
    return rows


def figures(rounds: int = 2, only: frozenset[str] = frozenset(), hops: int = 1) -> dict[str, dict[str, Any]]:
    """Every row: the figure of each subject and the embedded router's ratio to the others."""
    if not (shutil.which("nginx") and shutil.which("wrk")):
        raise RuntimeError("nginx and wrk are not installed")
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-http-") as name, servers(Path(name)) as back:
        varied = Path(name, "varied.lua")
        varied.write_text(VARIED)
        for number in range(rounds):
            if not only or "direct" in only:
                found.setdefault("direct", []).append(measure(back, [], varied))
            for subject, command in commands().items():
                if not only or subject in only:
                    with routers(Path(name) / f"{subject}{number}", command, back, hops) as (front, pids):
                        found.setdefault(subject, []).append(measure(front, pids, varied))
    return compared({subject: best(measured) for subject, measured in found.items()})


def main() -> int:
    """Print the figures."""
    return command_line("http", __doc__ or "", figures)


if __name__ == "__main__":
    sys.exit(main())
