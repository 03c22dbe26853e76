"""A link that loses 7 % of its packets at a round trip of one second, and goes dark for longer than the idle time."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.routerd.system.badlink import BadLink, possible
from tests.routerd.system.lab import Lab, Router, free_port, profile, read_all, tcp_connector, wait_for
from tests.routerd.system.plan import Plan, kinds

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not possible(), reason="needs root, namespaces and /dev/net/tun")]


@pytest.fixture
def bad() -> Iterator[BadLink]:
    link = BadLink()
    yield link
    link.close()


def echoes_slowly(port: int) -> bool:
    """Whether an echo comes back, however long it takes a bad network."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
        sock.settimeout(8)
        sock.sendall(b"ping")
        return sock.recv(16) == b"ping"


@pytest.mark.parametrize("pair", kinds("PP", "PS", "SP"))
def test_lossy_link_and_blackout(lab: Lab, bad: BadLink, pair: str) -> None:
    near, far = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(near).interior(far, dataConnectionCount="0")
    tls = profile(lab.directory)
    plan.entity(near, tls).entity(far, tls)
    demanding = {"sslProfile": "tls", "saslMechanisms": "EXTERNAL", "authenticatePeer": True, "host": "0.0.0.0"}
    plan.link(near, far, port=free_port(), tls=True, host=bad.here, verifyHostname=False, listening=demanding)
    server = bad.inside(lab.server)
    plan.entity(far, tcp_connector(server.port))
    front = plan.front(near)
    bad.delay, bad.loss = 0.5, 0.07
    routers = plan.start(wrap={far: bad.command})
    wait_for(lambda: echoes_slowly(front), "service", 60)

    data = bytes(range(256)) * 400
    with socket.create_connection(("127.0.0.1", front), timeout=60) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == data

    # Longer than both sides' idle time of 16 s: each has noticed, and a connection is made anew.
    bad.dark = True
    wait_for(lambda: not linked(routers[near], far), "the loss is noticed", 32)
    # Without random loss on the way back, so that the limit says something about the router and not about the dice.
    bad.dark, bad.loss = False, 0.0
    returned = time.monotonic()
    wait_for(lambda: echoes_slowly(front), "service again", 60)
    if "S" not in pair:
        assert time.monotonic() - returned < 10


def linked(router: Router, name: str) -> bool:
    """Whether a connection to a router exists."""
    return any(conn["container"] == name for conn in router.query("connection"))
