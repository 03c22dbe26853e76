"""Services through networks of this router (P) and real skrouterds (S)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.routerd.system.lab import (
    SKROUTERD,
    Lab,
    Server,
    connect,
    connector,
    echo,
    echoes,
    exchange,
    free_port,
    listener,
    profile,
    read_all,
    reset,
    running,
    tcp_connector,
    tcp_listener,
    wait_for,
)

pytestmark = pytest.mark.skipif(not SKROUTERD, reason="SKUPPER_TEST_SKROUTERD names no skrouterd")

Build = Callable[[Lab, Path, int, int, dict[str, str]], None]


def two(front: str, back: str, *, front_listens: bool) -> Build:
    """tcpListener on one, tcpConnector on the other."""

    def build(lab: Lab, directory: Path, port: int, server: int, more: dict[str, str]) -> None:
        link = free_port()
        tls = profile(directory)
        ends = [listener("inter-router", link, tls=True), connector("inter-router", link, tls=True)]
        first, second = ends if front_listens else reversed(ends)
        lab.router(front, "interior", tls, first, tcp_listener(port, **more))
        lab.router(back, "interior", tls, second, tcp_connector(server, **more))

    return build


def line(front: str, middle: str, back: str) -> Build:
    """A router between those of the service."""

    def build(lab: Lab, directory: Path, port: int, server: int, more: dict[str, str]) -> None:
        link = free_port()
        lab.router(middle, "interior", listener("inter-router", link))
        lab.router(front, "interior", connector("inter-router", link), tcp_listener(port, **more))
        lab.router(back, "interior", connector("inter-router", link), tcp_connector(server, **more))

    return build


def edges(front: str, inner: str, inner_back: str, back: str) -> Build:
    """edge - interior - interior - edge with mutual TLS."""

    def build(lab: Lab, directory: Path, port: int, server: int, more: dict[str, str]) -> None:
        link, edge_a, edge_b = free_port(), free_port(), free_port()
        tls = profile(directory)
        lab.router(inner, "interior", tls, listener("inter-router", link, tls=True), listener("edge", edge_a, tls=True))
        lab.router(
            inner_back, "interior", tls, connector("inter-router", link, tls=True), listener("edge", edge_b, tls=True)
        )
        lab.router(front, "edge", tls, connector("edge", edge_a, tls=True), tcp_listener(port, **more))
        lab.router(back, "edge", tls, connector("edge", edge_b, tls=True), tcp_connector(server, **more))

    return build


NETWORKS: dict[str, Build] = {
    "P-S": two("P1", "S1", front_listens=True),
    "P-S connecting": two("P1", "S1", front_listens=False),
    "S-P": two("S1", "P1", front_listens=True),
    "S-P connecting": two("S1", "P1", front_listens=False),
    "S-P-S": line("S1", "P1", "S2"),
    "P-S-P": line("P1", "S1", "P2"),
    "edge P on S": edges("P1", "S1", "S2", "P2"),
    "edge S on P": edges("S1", "P1", "P2", "S2"),
}


class Network:
    """One network with its service."""

    def __init__(self, lab: Lab, directory: Path, build: Build, more: dict[str, str]) -> None:
        self.lab = lab
        self.server = lab.server()
        self.port = free_port()
        build(lab, directory, self.port, self.server.port, more)
        wait_for(lambda: echoes(self.port), "service", 30)

    def serve(self, handler: Callable[[socket.socket], None] | None) -> None:
        """Replace the server."""
        self.server.close()
        if handler is not None:
            self.server = wait_for(lambda: Server(handler, self.server.port), "port of the server")
            self.lab.servers.append(self.server)


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    directory = tmp_path_factory.mktemp("interop")
    with running(directory) as lab:
        yield Network(lab, directory, NETWORKS[request.param], {})


@pytest.fixture(autouse=True)
def echoing(network: Network) -> Iterator[None]:
    yield
    network.serve(echo)


def test_large_both_ways(network: Network) -> None:
    data = os.urandom(20_000_000)
    sock = connect(network.port)
    sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
    sender.start()
    assert read_all(sock) == data
    sender.join()
    sock.close()


def test_server_speaks_first_and_ends_first(network: Network) -> None:
    received: list[bytes] = []
    done = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.sendall(b"greeting")
        sock.shutdown(socket.SHUT_WR)
        received.append(read_all(sock))
        done.set()

    network.serve(serve)
    with connect(network.port) as sock:
        assert read_all(sock) == b"greeting"
        sock.sendall(b"still here")
        sock.shutdown(socket.SHUT_WR)
        assert done.wait(10)
    assert received == [b"still here"]


def test_client_reset_ends_the_server(network: Network) -> None:
    done = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.sendall(sock.recv(100))
        with contextlib.suppress(ConnectionResetError):
            sock.recv(100)
        done.set()

    network.serve(serve)
    sock = connect(network.port)
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    reset(sock)
    assert done.wait(10)


def test_server_reset_ends_the_client(network: Network) -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(100)
        reset(sock)

    network.serve(serve)
    with connect(network.port) as sock:
        sock.sendall(b"x")
        sock.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""


def test_refused(network: Network) -> None:
    network.serve(None)
    with connect(network.port) as sock:
        sock.sendall(b"anybody?")
        sock.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""


def test_many_at_once(network: Network) -> None:
    failures: list[str] = []

    def one(number: int) -> None:
        data = os.urandom(20_000)
        try:
            if exchange(network.port, data) != data:
                failures.append(f"{number}: wrong octets")
        except OSError as error:
            failures.append(f"{number}: {error!r}")

    for _ in range(3):
        threads = [threading.Thread(target=one, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert failures == []


def test_nothing_is_left(network: Network) -> None:
    for router in network.lab.routers:
        if router.name.startswith("P"):
            wait_for(lambda router=router: not router.query("tcpConnection"), f"flows of {router.name} end")
            assert "Internal error" not in router.log
