"""Fixtures of the system tests."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.routerd.system.lab import (
    Lab,
    Server,
    connector,
    echo,
    free_port,
    listener,
    profile,
    running,
    tcp_connector,
    tcp_listener,
    wait_for,
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab of one test."""
    with running(tmp_path) as made:
        yield made


class Chain:
    """edge - interior - interior - edge with mutual TLS: what two Podman sites with a service look like."""

    def __init__(self, directory: Path) -> None:
        self.lab = Lab(directory)
        self.server: Server = self.lab.server()
        self.front = free_port()
        link, edge_a, edge_b = free_port(), free_port(), free_port()
        tls = profile(directory)
        lab = self.lab
        self.site_a = lab.router(
            "A", "interior", tls, listener("inter-router", link, tls=True), listener("edge", edge_a, tls=True)
        )
        self.site_b = lab.router(
            "B", "interior", tls, connector("inter-router", link, tls=True), listener("edge", edge_b, tls=True)
        )
        self.client_edge = lab.router(
            "A-svc", "edge", tls, connector("edge", edge_a, tls=True), tcp_listener(self.front)
        )
        self.server_edge = lab.router(
            "B-svc", "edge", tls, connector("edge", edge_b, tls=True), tcp_connector(self.server.port)
        )


class Swap:
    """Puts another server in the place of the chain's echo server; None for none."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def __call__(self, handler: Callable[[socket.socket], None] | None) -> None:
        chain = self._chain
        port = chain.server.port
        chain.server.close()
        if handler is not None:
            chain.server = Server(handler, port)
            chain.lab.servers.append(chain.server)

    def restore(self) -> None:
        """The echo server again."""
        self._chain.server.close()
        self._chain.server = wait_for(lambda: Server(echo, self._chain.server.port), "port of the server")
        self._chain.lab.servers.append(self._chain.server)


@pytest.fixture
def swapped(chain: Chain) -> Iterator[Swap]:
    """A way to replace the chain's server during one test."""
    swap = Swap(chain)
    yield swap
    swap.restore()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The chain, shared by the tests of a module."""
    made = Chain(tmp_path_factory.mktemp("chain"))
    try:
        yield made
    finally:
        made.lab.close()
