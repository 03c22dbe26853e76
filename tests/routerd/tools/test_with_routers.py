"""The tools against embedded routers that run as processes: an interior and an edge router."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skupper_podman.errors import ManagementError
from skupper_podman.router.config import Entity, RouterConfig
from skupper_podman.router.management import ManagementClient, node_address
from skupper_podman.routerd.tools import skmanage, skstat

VIEWS = {
    "-g": "Router Statistics",
    "-c": "Connections",
    "-l": "Router Links",
    "-n": "Routers in the Network",
    "-e": "Connections",
    "-a": "Router Addresses",
    "-m": "Memory Pools",
    "-p": "Policy Configuration",
    "--autolinks": "AutoLinks",
    "--vhosts": "No Vhosts",
    "--vhostgroups": "No Vhosts",
    "--vhoststats": "No Vhost Stats",
    "--all-entities": "Router Links",
}


@dataclass(frozen=True, slots=True)
class Network:
    interior: str
    edge: str


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def configuration(router_id: str, mode: str, *entities: tuple[str, dict[str, Any]]) -> RouterConfig:
    router = Entity.of("router", {"id": router_id, "mode": mode, "metadata": '{"id":"site"}'})
    return RouterConfig.of([router, *(Entity.of(kind, attributes) for kind, attributes in entities)])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    directory = tmp_path_factory.mktemp("routers")
    interior, uplink, edge = free_ports(3)
    local = {"name": "amqp", "host": "127.0.0.1"}
    documents = {
        "A": configuration(
            "A", "interior", ("listener", {**local, "port": interior}),
            ("listener", {"name": "edge", "host": "127.0.0.1", "port": uplink, "role": "edge"}),
            ("address", {"prefix": "mc", "distribution": "multicast"}),
        ),
        "E": configuration(
            "E", "edge", ("listener", {**local, "port": edge}),
            ("connector", {"name": "uplink", "host": "127.0.0.1", "port": uplink, "role": "edge"}),
        ),
    }  # fmt: skip
    processes = []
    for name, document in documents.items():
        path = directory / f"{name}.json"
        path.write_text(document.dump())
        log = (directory / f"{name}.log").open("wb")
        command = [sys.executable, "-m", "skupper_podman.routerd", "-c", str(path)]
        processes.append(subprocess.Popen(command, stdout=log, stderr=log))
    try:
        _wait_for_edge(interior, directory)
        yield Network(f"127.0.0.1:{interior}", f"127.0.0.1:{edge}")
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


def _wait_for_edge(port: int, directory: Path) -> None:
    """Wait until the edge router answers through the interior one."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with ManagementClient(f"127.0.0.1:{port}", timeout=2) as client:
                client.query("router", node=node_address(edge_router="E"))
                return
        except ManagementError:
            if time.monotonic() > deadline:
                pytest.fail("\n".join(path.read_text() for path in directory.glob("*.log")))
            time.sleep(0.1)


def run(capsys: pytest.CaptureFixture[str], tool: Any, *arguments: str, status: int = 0) -> str:
    assert tool.main(list(arguments)) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


@pytest.mark.parametrize("option", VIEWS)
def test_every_view_of_an_interior_router(network: Network, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert VIEWS[option] in run(capsys, skstat, "-b", network.interior, option).splitlines()


def test_views_of_an_edge_router_through_the_interior(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, skstat, "-b", network.interior, "-d", "E", "-g")
    assert text.splitlines()[1] == "E"
    assert "Router is Standalone - No Router List" in run(capsys, skstat, "-b", network.edge, "-n")
    assert run(capsys, skstat, "-b", network.edge, "-r", "A", "-n").splitlines()[1] == "A"


def test_what_skupper_reads_of_connections(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, skmanage, "query", "--type", "connection", "-b", network.interior))
    (edge,) = [row for row in rows if row["role"] == "edge"]
    assert (edge["container"], edge["operStatus"], edge["active"], edge["dir"]) == ("E", "up", True, "in")
    rows = json.loads(run(capsys, skmanage, "query", "--type", "connection", "-d", "E", "-b", network.interior))
    (uplink,) = [row for row in rows if row["role"] == "edge"]
    assert (uplink["container"], uplink["active"], uplink["dir"]) == ("A", True, "out")


def test_bridges_come_and_go(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    name = "backend@target:8080:9090"
    words = ["address=backend:8080", "host=127.0.0.1", "port=9090", "siteId=s-backend", "verifyHostname=false"]
    bus = ["-b", network.edge]
    created = json.loads(run(capsys, skmanage, "create", "--type", "tcpConnector", "--name", name, *words, *bus))
    assert (created["name"], created["port"], created["verifyHostname"]) == (name, "9090", False)
    assert {"connectionsOpened", "bytesIn"} <= set(created)
    listed = json.loads(run(capsys, skmanage, "query", "--type", "tcpConnector", "name", *bus))
    assert listed == [{"name": name}]
    again = run(capsys, skmanage, "create", "--type", "tcpConnector", "--name", name, *words, *bus, status=1)
    assert again.startswith("BadRequestStatus: ")
    run(capsys, skmanage, "delete", "--type", "tcpConnector", "--name", name, *bus)
    assert json.loads(run(capsys, skmanage, "query", "--type", "tcpConnector", *bus)) == []


def test_logging_changes_at_run_time(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--type", "log", "--name", "log/ROUTER_CORE", "enable=debug+", "-b", network.interior]
    assert json.loads(run(capsys, skmanage, "update", *words))["enable"] == "debug+"


def test_the_router_tells_its_site(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    (router,) = json.loads(run(capsys, skmanage, "query", "--type", "router", "-b", network.interior))
    assert (router["id"], router["mode"], router["metadata"]) == ("A", "interior", '{"id":"site"}')


def test_refused_by_an_absent_router(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    line = run(capsys, skmanage, "query", "--type", "router", "-r", "gone", "-b", network.interior, status=1)
    assert line.startswith("SendException: RELEASED: ")


def test_a_client_left_alone_past_the_idle_timeout_connects_again(network: Network) -> None:
    with ManagementClient(network.interior) as client:
        assert client.query("router", ["id"]).rows == (("A",),)
        first = client._wire
        assert first is not None
        first._used -= 3600  # as if an hour had passed since the last frame; the router allows 16 s
        assert client.query("router", ["id"]).rows == (("A",),)
        assert client._wire is not first
