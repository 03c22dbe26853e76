"""Peers that connect and then say little or nothing, at every kind of listener, in simulated time."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skupper_podman.routerd.amqp.security import SslProfile
from skupper_podman.routerd.management.schema import validate
from skupper_podman.routerd.message import Properties, compose
from tests.fuzz.live import Node, drained, is_closed
from tests.fuzz.wire import AMQP, SASL, begin, opened, sasl_init, sender, transfer
from tests.routerd.system.lab import credentials

MANY = 30


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.check()
    made.close()


def profile(node: Node, directory: Path) -> str:
    files = {key: str(path) for key, path in credentials(directory / "certs").items()}
    node.router.profiles["p"] = SslProfile({"name": "p", **files})
    return "p"


def listen(node: Node, kind: str, **attributes: Any) -> int:
    """Create the entity; the port it listens on."""
    node.entities.create(kind, validate(kind, {"name": "l", "host": "127.0.0.1", "port": "0", **attributes}))
    node.turn(5)
    entity: Any = (node.entities.tcp_listeners if kind == "tcpListener" else node.entities.listeners)[-1]
    if kind == "tcpListener":
        return int(entity._acceptor.ports[0])
    return int(entity.ports[0])


def connect(node: Node, port: int, octets: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setblocking(False)
    if octets:
        sock.send(octets)
    node.turn(5)
    return sock


def served(node: Node, port: int) -> bool:
    """An honest client gets a message through."""
    got: list[object] = []
    stop = node.router.subscribe("honest", lambda message: got.append(message.body))
    sock = connect(node, port)
    for octets in (AMQP + opened() + begin(), sender(0, "honest")):
        sock.send(octets)
        node.turn(5)
    sock.send(transfer(0, 0, compose(None, properties=Properties(to="honest"), body="yes")))
    node.turn(5)
    drained(sock)
    sock.close()
    node.turn(5)
    stop()
    return got == ["yes"]


BEGINNINGS = [
    b"", b"AMQ", AMQP, SASL, SASL + sasl_init()[:9], SASL + sasl_init(), AMQP + opened()[:-2], b"\x16\x03\x01\x40"
]  # fmt: skip


@pytest.mark.parametrize("role", ["normal", "inter-router", "edge"])
@pytest.mark.parametrize("limit", [0, 5])
def test_a_connection_that_does_not_open_is_given_up(node: Node, role: str, limit: int) -> None:
    port = listen(node, "listener", role=role, initialHandshakeTimeoutSeconds=limit)
    other = listen(node, "listener")
    socks = [connect(node, port, BEGINNINGS[number % len(BEGINNINGS)]) for number in range(MANY)]
    node.pass_time((limit or 60) - 1)
    assert served(node, other)
    open_ones = [sock for sock in socks if not is_closed(sock)]
    # What is no AMQP is refused at once; the others may still go on.
    assert len(open_ones) >= MANY // 2
    for sock in open_ones:
        with contextlib.suppress(OSError):
            sock.send(b"\x00")  # a little is not enough
    node.pass_time(3)
    assert all(is_closed(sock) for sock in socks)
    assert node.router.connections == {}
    assert len(node.router.unproven) == 0


def test_a_tls_handshake_that_stops_is_given_up(node: Node, tmp_path: Path) -> None:
    name = profile(node, tmp_path)
    more = {"sslProfile": name, "authenticatePeer": True, "saslMechanisms": "EXTERNAL"}
    port = listen(node, "listener", role="inter-router", **more)
    socks = [connect(node, port, hello) for hello in (b"", b"\x16\x03\x01\x02\x00\x01", b"\x16") for _ in range(10)]
    node.pass_time(59)
    assert not any(is_closed(sock) for sock in socks)
    node.pass_time(3)
    assert all(is_closed(sock) for sock in socks)
    assert node.router.connections == {}


def test_a_tls_handshake_with_a_service_is_given_up(node: Node, tmp_path: Path) -> None:
    name = profile(node, tmp_path)
    connector = {"name": "c", "host": "127.0.0.1", "port": "1", "address": "echo"}
    node.entities.create("tcpConnector", validate("tcpConnector", connector))
    port = listen(node, "tcpListener", address="echo", sslProfile=name)
    socks = [connect(node, port, b"\x16\x03\x01\x02\x00\x01") for _ in range(MANY)]
    assert len(node.router.unproven) == MANY
    node.pass_time(9)
    assert not any(is_closed(sock) for sock in socks)
    node.pass_time(2)
    assert all(is_closed(sock) for sock in socks)
    assert len(node.router.unproven) == 0
    assert node.entities.tcp_listeners[-1].opened == node.entities.tcp_listeners[-1].closed == MANY


def test_a_health_client_that_asks_nothing_is_given_up(node: Node) -> None:
    port = listen(node, "listener", http=True)
    socks = [connect(node, port, octets) for octets in (b"", b"GET /he", b"GET / HTTP/1.1\r\nX: ") for _ in range(10)]
    node.pass_time(59)
    assert not any(is_closed(sock) for sock in socks)
    node.pass_time(3)
    assert all(is_closed(sock) for sock in socks)
    assert len(node.router.unproven) == 0


def test_a_health_client_that_does_not_read_is_asked_nothing_more(node: Node) -> None:
    port = listen(node, "listener", http=True)
    client = connect(node, port)
    entity: Any = node.entities.listeners[-1]
    asked = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 1000
    for _ in range(300):
        with contextlib.suppress(OSError):
            client.send(asked)
        node.turn(2)
    (inside,) = entity._clients
    assert 0 < len(inside._out) < 10_000
    # Reading on gets the answers that were held back, and lets further ones be made.
    before = len(drained(client))
    node.turn(50)
    assert len(drained(client)) > before // 4
    client.close()
    node.turn(5)
    assert not entity._clients


def test_the_oldest_unproven_connections_go_when_descriptors_run_out(node: Node) -> None:
    port = listen(node, "listener")
    health = listen(node, "listener", http=True)
    old = [connect(node, port) for _ in range(3)] + [connect(node, health)]
    proved = connect(node, port, AMQP + opened())
    node.now += 3
    young = connect(node, port)
    node.router.unproven.shed()
    node.turn(5)
    assert all(is_closed(sock) for sock in old)
    assert not is_closed(proved)
    assert not is_closed(young)
    assert len(node.router.unproven) == 1
