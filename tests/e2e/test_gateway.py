"""A database server with Python 3 and systemd and nothing else joins the network of a site by one file and one command.

The machine boots; what is typed on it finds no program of ours. Each test goes on where the one before it ended.
"""

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

from tests.e2e.machine import USER, USER_ID, Machine
from tests.e2e.userhost import Completed
from tests.lab import Host, Lab
from tests.podmanlab import unable, until

pytestmark = [
    pytest.mark.skipif(bool(unable()), reason=unable() or "-"),
    pytest.mark.skipif(not Path("/lib/systemd/systemd").exists(), reason="needs systemd"),
    pytest.mark.timeout(300),
]

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
PLACE = "/var/lib/skupper/bundle/database"


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
        self.west.skupper("gateway", "generate-bundle", str(path), str(self.directory), *options)
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
            "env", "-u", "PYTHONPATH", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", words, user=user, expect=expect
        )

    def launch(self, place: str, words: str = "", *, user: str = "root", expect: int | None = 0) -> Completed:
        """Launch the bundle in that directory."""
        return self.sh(f"cd {shlex.quote(place)} && ./launch.py {words}", user=user, expect=expect)

    def echo(self, service: str = "db") -> str:
        """What a client container at the site hears from the server."""
        talk = f"exec 3<>/dev/tcp/{service}/5432 && echo hello >&3 && timeout 5 head -1 <&3"
        return self.west.in_network("skupper", "bash", "-c", talk, check=False).stdout

    def gateways(self) -> dict[str, dict[str, object]]:
        """What the site says of its gateways."""
        said = self.west.skupper("gateway", "status", "-o", "json", check=False).stdout
        return {item["name"]: item for item in json.loads(said)["data"]["gateways"]}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with Lab("west", "yard") as lab:
        west, yard = lab.hosts
        server = Machine(lab, yard, 8)
        try:
            server.make()
            server.plug()
            west.skupper("init", "--site-name", "west", "--ingress-host", west.address, "--router", "embedded")
            for service in ("db", "more"):
                west.skupper("service", "create", service, "5432")
            (server.directory / "home" / "echo.py").write_text(PROGRAM)
            server.await_boot()
            found = Scene(west, server, lab.directory)
            for port in (15432, 15433):
                start = f"ExecStart=/usr/bin/python3 /home/echo.py {port}"
                unit = f"[Service]\n{start}\n[Install]\nWantedBy=multi-user.target\n"
                found.sh(f"printf %s {shlex.quote(unit)} > /etc/systemd/system/echo{port}.service")
                found.sh(f"systemctl enable --now echo{port}")
            yield found
        finally:
            server.scrap()


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


def test_joins_by_one_command(scene: Scene) -> None:
    place = scene.bundle(definition(("db", 15432)), "--self-contained")
    assert "ok   site:" in scene.sh(f"cd '{place}' && sh launch.py --check").stdout
    planned = scene.launch(place, "--dry-run").stdout
    assert "start the gateway: it is new" in planned
    assert scene.sh("ls -A /var/lib/skupper", expect=None).returncode != 0, "a dry run left something"
    scene.launch(place)
    until(lambda: scene.echo() == "hello\n", 10, "the server answers at the site")
    gateway = scene.gateways()["database"]
    assert (gateway["connected"], gateway["generation"], gateway["problem"]) == (True, 1, None)
    assert gateway["version"]
    network = scene.west.skupper("network", "status").stdout
    assert "site name: database" in network


def test_keys_are_the_services_alone(scene: Scene) -> None:
    found = scene.sh(f"find -L {PLACE}/skupper-router-certs -printf '%m %u %y\\n'").stdout.split("\n")
    assert {line for line in found if line} == {"700 database d", "600 database f"}
    kept = scene.sh(f"find {PLACE}/bundles -name tls.key -printf '%m %u\\n'").stdout
    assert kept == "600 root\n"
    scene.sh(f"head -c1 {PLACE}/bundles/1/skupper-router-certs/conn1-profile/tls.key", user=USER, expect=1)


def test_the_unit_is_hardened_and_healed(scene: Scene) -> None:
    said = scene.sh("systemd-analyze security --no-pager database").stdout
    level = float(said.rpartition("Overall exposure level for database.service: ")[2].split()[0])
    assert level <= 1.5, said
    pid = scene.sh("systemctl show --property MainPID --value database").stdout.strip()
    scene.sh(f"kill -9 {pid}")
    until(lambda: scene.echo() == "hello\n", 20, "systemd has started it again")


def test_again_and_updated_without_a_cut(scene: Scene) -> None:
    place = "/root/my gateway"
    assert "already running, generation 1" in scene.launch(place).stdout
    with open_connection(scene) as client:
        assert said(client, b"one\n") == b"one\n"
        pid = scene.sh("systemctl show --property MainPID --value database").stdout
        newer = scene.bundle(definition(("db", 15432), ("more", 15433)), "--self-contained", into="newer")
        assert "add tcpConnector more, without a restart" in scene.launch(newer, "--dry-run").stdout
        scene.launch(newer)
        assert said(client, b"two\n") == b"two\n"
        until(lambda: scene.echo("more") == "hello\n", 10, "the second service answers")
        assert scene.sh("systemctl show --property MainPID --value database").stdout == pid
        refused = scene.launch(place, expect=9)
        assert "this bundle is generation 1, installed is 2" in refused.stderr
        scene.launch(newer, "--rollback")
        until(lambda: scene.echo("more") == "", 10, "the second service is gone")
        assert said(client, b"three\n") == b"three\n"
        scene.launch(newer)
        assert said(client, b"four\n") == b"four\n"


def test_status_tells_the_truth(scene: Scene) -> None:
    place = "/root/newer"
    found = json.loads(scene.launch(place, "--status --json").stdout)
    assert (found["running"], found["link"], found["generation"], found["problems"]) == (True, "up", 2, [])
    scene.sh("systemctl stop echo15433")
    assert "localhost:15433 for more:5432 does not answer" in scene.launch(place, "--status").stdout
    scene.sh("systemctl start echo15433")
    scene.sh("systemctl stop database")
    assert "not running" in scene.launch(place, "--status", expect=6).stdout
    scene.sh("systemctl start database")
    until(lambda: scene.launch(place, "--status", expect=None).returncode == 0, 10, "it is back")


def test_back_after_a_reboot(scene: Scene) -> None:
    scene.server.reboot()
    scene.server.plug()
    scene.server.await_boot()
    until(lambda: scene.echo() == "hello\n", 30, "the server answers at the site after the boot")


def test_what_is_wrong_has_its_own_code(scene: Scene) -> None:
    place = scene.bundle(definition(("db", 15432), ("more", 15433)), "--self-contained", into="broken")
    cases = {
        4: "echo >> launch.sh && ./launch.py",
        2: "./launch.py -t mock",
        3: "./launch.py -t docker",
    }
    for code, words in cases.items():
        done = scene.sh(f"rm -rf /tmp/c && cp -a '{place}' /tmp/c && cd /tmp/c && {words}", expect=code)
        assert done.stderr.startswith("Error: ")
    scene.sh(f"rm -rf /tmp/c && cp -a '{place}' /tmp/c && rm /tmp/c/config/skrouterd.json")
    assert "cannot be read" in scene.sh("/tmp/c/launch.py", expect=4).stderr
    assert scene.echo() == "hello\n", "nothing of this touched what runs"


def test_an_ordinary_user_beside_it(scene: Scene) -> None:
    """A second bundle on the host, of a user, whose management port is taken by the first."""
    scene.sh(f"loginctl enable-linger {USER}")
    ready = "systemctl --user is-system-running"
    until(lambda: scene.sh(ready, user=USER, expect=None).stdout.strip() in ("running", "degraded"), 20, "the manager")
    place = scene.bundle(definition(("db", 15432), name="second"), "--self-contained", user=USER)
    scene.launch(place, user=USER)
    assert scene.gateways()["second"]["connected"] is True
    data = f"/home/{USER}/.local/share/skupper/bundle/second"
    modes = scene.sh(f"find {data} -name tls.key -printf '%m %U\\n'").stdout.split("\n")
    assert set(filter(None, modes)) == {f"600 {USER_ID}"}
    assert json.loads(scene.sh(f"cat {data}/state.json").stdout)["managementPort"] != 5672
    scene.sh(f"cd '{place}' && ./remove.py", user=USER)
    assert scene.sh(f"ls -A {data}", expect=None).returncode != 0
    assert scene.sh("systemctl --user list-unit-files second.service --no-legend", user=USER, expect=None).stdout == ""


def test_revoked_alone(scene: Scene) -> None:
    other = scene.bundle(definition(("more", 15433), name="other"), "--self-contained", into="other")
    scene.launch(other)
    scene.west.skupper("gateway", "delete", "database")
    until(lambda: scene.echo() == "", 20, "nobody answers any more")
    assert scene.gateways().keys() >= {"other"}
    assert scene.gateways()["other"]["connected"] is True
    said = scene.launch("/root/newer", "--check", expect=7).stderr
    assert "does not accept the credential" in said
    until(lambda: scene.launch("/root/newer", "--status", expect=None).returncode == 7, 20, "it sees no link")


def test_let_in_again_by_a_fresh_bundle(scene: Scene) -> None:
    place = scene.bundle(definition(("db", 15432)), "--self-contained", into="fresh")
    scene.launch(place)  # its generations begin anew
    until(lambda: scene.echo() == "hello\n", 20, "the server answers again")


def test_removed_without_a_trace(scene: Scene) -> None:
    for place in ("/root/fresh", "/root/other"):
        scene.sh(f"cd {place} && sh ./remove.sh")
        assert "nothing of it is on this host" in scene.sh(f"cd {place} && ./remove.py").stdout
    for path in ("/var/lib/skupper", "/var/lib/private/skupper", "/etc/systemd/system/database.service"):
        assert scene.sh(f"ls -d {path}", expect=None).returncode != 0, path
    assert scene.sh("systemctl is-active echo15432").stdout == "active\n"
