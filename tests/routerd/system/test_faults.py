"""Routers that are killed and come back, peers that fall silent, interiors that take over."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time

import pytest
from proton import Message
from proton.utils import BlockingConnection

from tests.routerd.system.conftest import Chain
from tests.routerd.system.lab import (
    Lab,
    connect,
    connector,
    echoes,
    exchange,
    free_port,
    listener,
    tcp_connector,
    tcp_listener,
    wait_for,
)


@pytest.mark.parametrize("index", range(4))
def test_each_router_is_killed_and_comes_back(chain: Chain, index: int) -> None:
    wait_for(lambda: echoes(chain.front), "the chain echoes")
    victim = chain.lab.routers[index]
    held = connect(chain.front)
    held.sendall(b"held")
    assert held.recv(10) == b"held"
    victim.kill()
    held.settimeout(5)
    with contextlib.suppress(ConnectionResetError):
        assert held.recv(10) == b""
    held.close()
    victim.start()
    wait_for(lambda: echoes(chain.front), "the chain echoes again", 10)
    assert exchange(chain.front, os.urandom(100_000))


def test_server_that_comes_back_at_another_time(chain: Chain) -> None:
    chain.server.close()
    with connect(chain.front) as sock:
        sock.sendall(b"x")
        with pytest.raises(AssertionError):
            wait_for(lambda: sock.recv(10) == b"x", "nothing", 0.1)
    from tests.routerd.system.lab import Server, echo

    chain.server = wait_for(lambda: Server(echo, chain.server.port), "port")
    chain.lab.servers.append(chain.server)
    wait_for(lambda: echoes(chain.front), "served again", 5)


def test_frozen_neighbour_is_dropped_in_time(lab: Lab) -> None:
    link = free_port()
    a = lab.router("A", "interior", listener("inter-router", link))
    b = lab.router("B", "interior", connector("inter-router", link))
    wait_for(lambda: len(a.query("router.node")) == 2, "A and B meet")
    assert b.process is not None
    b.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: a.query("router.node")[0]["linkState"] == [], "A drops B", 8)
    finally:
        b.process.send_signal(signal.SIGCONT)
    wait_for(lambda: a.query("router.node")[0]["linkState"] == ["B"], "A knows B again", 10)


def test_frozen_neighbour_is_dropped_although_its_socket_is_full(lab: Lab) -> None:
    server = lab.server()
    link, front = free_port(), free_port()
    quick = {"idleTimeoutSeconds": 2}
    side, other = listener("inter-router", link), connector("inter-router", link)
    a = lab.router("A", "interior", (side[0], side[1] | quick), tcp_listener(front))
    b = lab.router("B", "interior", (other[0], other[1] | quick), tcp_connector(server.port))
    wait_for(lambda: echoes(front), "service")
    assert b.process is not None
    b.process.send_signal(signal.SIGSTOP)
    sock = connect(front)
    sock.settimeout(10)
    with pytest.raises(ConnectionError):
        while True:
            sock.sendall(bytes(1 << 20))
    sock.close()
    assert not [conn for conn in a.query("connection") if conn["container"] == "B"]
    b.process.send_signal(signal.SIGCONT)
    wait_for(lambda: echoes(front), "service again", 10)


def test_client_gets_credit_again_when_its_address_is_served_again(lab: Lab) -> None:
    router = lab.router("A", "interior")
    wait_for(lambda: router.query("router"), "router answers")
    here = BlockingConnection(f"127.0.0.1:{router.port}", timeout=5)
    there = BlockingConnection(f"127.0.0.1:{router.port}", timeout=5)
    sender = here.create_sender("queue")
    for number in range(3):
        receiver = there.create_receiver("queue", credit=10)
        sending = threading.Thread(target=sender.send, args=(Message(body=number),))
        sending.start()
        assert receiver.receive().body == number
        receiver.accept()
        receiver.close()
        sending.join(5)
        assert not sending.is_alive()
    here.close()
    there.close()


def test_edge_moves_to_another_interior(lab: Lab) -> None:
    server = lab.server()
    front, link, edge_a, edge_b = (free_port() for _ in range(4))
    a = lab.router("A", "interior", listener("inter-router", link), listener("edge", edge_a))
    lab.router("B", "interior", connector("inter-router", link), listener("edge", edge_b), tcp_connector(server.port))
    edge = lab.router(
        "E",
        "edge",
        connector("edge", edge_a, name="first"),
        connector("edge", edge_b, name="second"),
        tcp_listener(front),
    )
    wait_for(lambda: echoes(front), "service through either interior")
    active = [conn["container"] for conn in edge.query("connection") if conn["role"] == "edge" and conn["active"]]
    assert len(active) == 1
    if active == ["A"]:
        a.kill()
    else:
        lab.routers[1].kill()
        lab.routers[1].start()
    wait_for(lambda: echoes(front), "service through the other interior", 10)


def test_ring_survives_a_cut(lab: Lab) -> None:
    server = lab.server()
    front, one, two = free_port(), free_port(), free_port()
    lab.router("A", "interior", listener("inter-router", one), tcp_listener(front))
    b = lab.router("B", "interior", connector("inter-router", one, cost=1), listener("inter-router", two))
    lab.router(
        "C",
        "interior",
        connector("inter-router", one, cost=5, name="direct"),
        connector("inter-router", two, name="around"),
        tcp_connector(server.port),
    )
    wait_for(lambda: echoes(front), "service")
    b.kill()
    wait_for(lambda: echoes(front), "service over the direct link", 10)


def test_sigterm_ends_cleanly_under_load(lab: Lab) -> None:
    server = lab.server()
    front = free_port()
    router = lab.router("A", "interior", tcp_listener(front), tcp_connector(server.port))
    sock = connect(front)
    pusher = threading.Thread(target=_push, args=(sock,), daemon=True)
    pusher.start()
    time.sleep(0.2)
    assert router.process is not None
    router.process.send_signal(signal.SIGHUP)
    assert echoes(front)
    assert router.stop() == 0
    pusher.join(5)
    assert "Internal error" not in router.log


def _push(sock: socket.socket) -> None:
    try:
        while True:
            sock.sendall(bytes(65536))
            sock.recv(262144)
    except OSError:
        return
