"""A site and a machine that boots, with servers on loopback and no program of ours: what a gateway is made for."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.machine import USER, Machine
from tests.e2e.userhost import Completed
from tests.lab import Host, Lab
from tests.podmanlab import unable, until

MARKS = [
    pytest.mark.skipif(bool(unable()), reason=unable() or "-"),
    pytest.mark.skipif(not Path("/lib/systemd/systemd").exists(), reason="needs systemd"),
    pytest.mark.timeout(900),
]
PATIENCE = 400
"""Seconds after which a command on a very busy machine is taken to hang."""

PROGRAM = """\
import socketserver, sys
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""
POSTGRES = next(iter(sorted(str(path.parent) for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))), "")
LOW_PORT = "forwards:\n  - {name: web, host: 127.0.0.1, service: {address: 'db:5432'}, target_ports: [81]}\n"
"""A forward for which a router needs a right of its own."""


def definition(*bindings: tuple[str, int], name: str = "database") -> str:
    lines = [
        f'  - {{name: {service}, host: localhost, service: {{address: "{service}:5432"}}, target_ports: [{port}]}}\n'
        for service, port in bindings
    ]
    return f"name: {name}\nbindings:\n{''.join(lines)}qdr-listeners:\n  - {{name: amqp, host: localhost, port: 5672}}\n"


@dataclass
class Scene:
    """West is the site; ``server`` is the machine, with an echo server at ports 15432 and 15433 of loopback."""

    west: Host
    server: Machine
    directory: Path

    def bundle(self, text: str, *options: str, user: str = "root", into: str = "my gateway") -> str:
        """Make a bundle at the site, carry it over and unpack it; gives the (fresh) directory on the machine."""
        path = self.directory / "gateway.yaml"
        path.write_text(text)
        self.west.skupper("gateway", "generate-bundle", str(path), str(self.directory), *options, timeout=PATIENCE)
        name = text.split()[1]
        archive = self.server.directory / "home" / f"{name}.tar.gz"
        shutil.copy(self.directory / f"{name}.tar.gz", archive)
        archive.chmod(0o644)
        home = "/root" if user == "root" else f"/home/{user}"
        place = f"{home}/{into}"
        quoted = shlex.quote(place)
        self.sh(f"rm -rf {quoted} && mkdir {quoted} && tar -xzf /home/{name}.tar.gz -C {quoted}", user=user)
        return place

    def sh(self, words: str, *, user: str = "root", expect: int | None = 0) -> Completed:
        """Type something at the machine's own shell."""
        return self.server.type(
            "env", "-u", "PYTHONPATH", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", words,
            user=user, expect=expect, timeout=PATIENCE,
        )  # fmt: skip

    def state_of_user(self) -> str:
        """What the systemd of the machine's user says of itself."""
        return self.sh("systemctl --user is-system-running", user=USER, expect=None).stdout.strip()

    def launch(self, place: str, words: str = "", *, user: str = "root", expect: int | None = 0) -> Completed:
        """Launch the bundle in that directory."""
        patience = "" if "--wait" in words else "--wait 120"
        return self.sh(f"cd {shlex.quote(place)} && ./launch.py {patience} {words}", user=user, expect=expect)

    def echo(self, service: str = "db", port: int = 5432) -> str:
        """What a client container at the site hears from the server."""
        talk = f"exec 3<>/dev/tcp/{service}/{port} && echo hello >&3 && timeout 5 head -1 <&3"
        return self.west.in_network("skupper", "bash", "-c", talk, check=False).stdout

    def hears(self, port: int) -> bool:
        """Whether a server answers at that port of the machine's loopback."""
        connect = f"import socket; s = socket.create_connection(('127.0.0.1', {port}), 5)"
        talk = f"{connect}; s.sendall(b'hi\\n'); print(s.recv(9))"
        return self.sh(f"python3 -c {shlex.quote(talk)}", expect=None).stdout == "b'hi\\n'\n"

    def gateways(self) -> dict[str, dict[str, object]]:
        """What the site says of its gateways."""
        said = self.west.skupper("gateway", "status", "-o", "json", check=False).stdout
        return {item["name"]: item for item in json.loads(said)["data"]["gateways"]}


@contextlib.contextmanager
def site_and_server(*services: str, root: Path = Path("/")) -> Iterator[Scene]:
    """A site with these services, and a machine that has booted the system in ``root`` and has nothing of ours."""
    with Lab("west", "yard") as lab:
        west, yard = lab.hosts
        server = Machine(lab, yard, 8, root=root)
        try:
            server.make()
            server.plug()
            west.skupper("init", "--site-name", "west", "--ingress-host", west.address, "--router", "embedded")
            for service in services:
                west.skupper("service", "create", service, "5432")
            (server.directory / "home" / "echo.py").write_text(PROGRAM)
            server.await_boot()
            yield Scene(west, server, lab.directory)
        finally:
            server.scrap()


@contextlib.contextmanager
def database_server() -> Iterator[Scene]:
    """As :func:`site_and_server`, with two echo servers that the machine's systemd runs."""
    with site_and_server("db", "more") as found:
        for port in (15432, 15433):
            start = f"ExecStart=/usr/bin/python3 /home/echo.py {port}"
            unit = f"[Service]\n{start}\n[Install]\nWantedBy=multi-user.target\n"
            found.sh(f"printf %s {shlex.quote(unit)} > /etc/systemd/system/echo{port}.service")
            found.sh(f"systemctl enable --now echo{port}")
        found.sh(f"loginctl enable-linger {USER}")
        until(lambda: found.state_of_user() in ("running", "degraded"), 60, "the user's own systemd is up")
        yield found


RELAY = """\
import socket
server = socket.create_connection(("db", 5432))
while True:
    server.sendall(input().encode() + b"\\n")
    print(server.recv(99).decode(), end="", flush=True)
"""

Client = subprocess.Popen[bytes]


@contextlib.contextmanager
def open_connection(scene: Scene) -> Iterator[Client]:
    """A connection from a container of the site to the server, which is open as long as the block."""
    west = scene.west
    process = west.popen(
        "env", "-u", "CONTAINER_HOST", *west.podman_argv(), "run", "--rm", "--interactive", "--network", "skupper",
        *west.workload_arguments(), west.workload_image(), "python3", "-c", RELAY,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def said(client: Client, words: bytes) -> bytes:
    """What the server answers to a line."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(words)
    client.stdin.flush()
    return client.stdout.readline()


def said_back(client: Client, words: bytes) -> bool:
    """Whether the server answers to a line with it."""
    return said(client, words) == words
