"""HTTP services through networks of this router (P) and real skrouterds (S)."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from tests.routerd.system.lab import SKROUTERD, Entity, Lab, connector, free_port, listener, running, wait_for
from tests.routerd.system.web import (
    RpcServer,
    WebServer,
    channel,
    check_grpc,
    check_http1,
    fetch,
    http_connector,
    http_listener,
    served,
)

pytestmark = pytest.mark.skipif(not SKROUTERD, reason="SKUPPER_TEST_SKROUTERD names no skrouterd")

LARGE = os.urandom(2_000_000)
PAIRS = [("P1", "S1"), ("S1", "P1")]
LINES = [*PAIRS, ("P1", "S1", "P2"), ("S1", "P1", "S2")]


def line(lab: Lab, names: tuple[str, ...], front: Entity, back: Entity) -> None:
    """Interior routers in a row, the listener at the first and the connector at the last."""
    entities: dict[str, list[Entity]] = {name: [] for name in names}
    entities[names[0]].append(front)
    entities[names[-1]].append(back)
    for left, right in itertools.pairwise(names):
        link = free_port()
        entities[left].append(listener("inter-router", link))
        entities[right].append(connector("inter-router", link))
    for name in names:
        lab.router(name, "interior", *entities[name])


def edge(lab: Lab, inner: str, outer: str, front: Entity, back: Entity) -> None:
    """An edge with the listener under an interior with the connector."""
    port = free_port()
    lab.router(inner, "interior", listener("edge", port), back)
    lab.router(outer, "edge", connector("edge", port), front)


@pytest.mark.parametrize("names", LINES, ids="-".join)
def test_http1(names: tuple[str, ...], tmp_path: Path) -> None:
    server, port = WebServer(), free_port()
    with running(tmp_path) as lab:
        line(lab, names, http_listener(port), http_connector(server.port))
        check_http1(port, LARGE)
        server.stop()


@pytest.mark.parametrize("names", LINES, ids="-".join)
def test_grpc(names: tuple[str, ...], tmp_path: Path) -> None:
    server, port = RpcServer(), free_port()
    http2 = {"protocolVersion": "HTTP2"}
    with running(tmp_path) as lab, channel(port) as where:
        line(lab, names, http_listener(port, **http2), http_connector(server.port, **http2))
        check_grpc(where, server, LARGE, cancel=names[-1][0] == "P")
        server.close()


@pytest.mark.parametrize(("inner", "outer"), [("P1", "S1"), ("S1", "P1")])
def test_edges(inner: str, outer: str, tmp_path: Path) -> None:
    web, rpc = WebServer(), RpcServer()
    for server, version, port in ((web, "HTTP1", free_port()), (rpc, "HTTP2", free_port())):
        directory = tmp_path / version
        directory.mkdir()
        more = {"protocolVersion": version}
        with running(directory) as lab:
            edge(lab, inner, outer, http_listener(port, **more), http_connector(server.port, **more))
            if server is web:
                check_http1(port, LARGE)
            else:
                with channel(port) as where:
                    check_grpc(where, rpc, LARGE, cancel=inner[0] == "P")
    rpc.close()


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_server_gone(names: tuple[str, ...], tmp_path: Path) -> None:
    server, port = WebServer(), free_port()
    with running(tmp_path) as lab:
        line(lab, names, http_listener(port), http_connector(server.port))
        wait_for(lambda: served(port), "HTTP service", 30)
        server.stop()

        def gone() -> bool:
            try:
                return int(fetch(port).status) == 503
            except ConnectionRefusedError:
                return True

        wait_for(gone, "service goes", 30)


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_event_channel(names: tuple[str, ...], tmp_path: Path) -> None:
    server, port = WebServer(), free_port()
    with running(tmp_path) as lab:
        front, back = http_listener(port, eventChannel=True), http_connector(server.port, eventChannel=True)
        line(lab, names, front, back)
        wait_for(lambda: fetch(port, "POST", body=b"event").status == 204, "events", 30)
        server.stop()


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_aggregation(names: tuple[str, ...], tmp_path: Path) -> None:
    servers, port = [WebServer("one"), WebServer("two")], free_port()
    with running(tmp_path) as lab:
        more = {"address": "mc/web", "aggregation": "json"}
        backs = [http_connector(server.port, **more) for server in servers]
        link = free_port()
        lab.router(names[0], "interior", listener("inter-router", link), http_listener(port, **more))
        lab.router(names[1], "interior", connector("inter-router", link), *backs)

        def labels() -> set[str]:
            return {item["body"].split()[0] for item in json.loads(fetch(port).content or b"[]")}

        wait_for(lambda: labels() == {"one", "two"}, "both servers", 30)
        for server in servers:
            server.stop()
