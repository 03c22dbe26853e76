"""Fuzz targets on a running router in this process: octets at its listeners, in a time that the fuzzer advances.

The promise, in one sentence: whatever a peer sends, the router loses at most that connection, keeps nothing of it once
it is gone, reports no fault of its own, and goes on serving others.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from skupper_podman.routerd.adaptors.tls_socket import ServerTls
from skupper_podman.routerd.amqp.connection import AmqpConnection, Settings
from skupper_podman.routerd.amqp.security import SslProfile
from skupper_podman.routerd.entities import Entities
from skupper_podman.routerd.health import HttpListener
from skupper_podman.routerd.log import Log
from skupper_podman.routerd.loop import Loop
from skupper_podman.routerd.management.schema import validate
from skupper_podman.routerd.message import Properties, RouterAnnotations, compose
from skupper_podman.routerd.router import Router
from skupper_podman.routerd.services import FlowRecords, Management
from tests.routerd.system.lab import credentials

from . import decoders, wire
from .wire import AMQP, SASL, begin, close, detach, disposition, end, flow, opened, receiver, sender, transfer

ROLES = ("normal", "inter-router", "edge")


class Node:
    """A router whose clock stands still unless it is advanced."""

    def __init__(self, mode: str = "interior", **attributes: Any) -> None:
        self.errors: list[BaseException] = []
        self.now = 1000.0
        self.loop = Loop(self.errors.append, lambda: self.now)
        log = Log()
        log.configure("DEFAULT", {"outputFile": "/dev/null"})
        self.router = Router(validate("router", {"id": "A", "mode": mode, **attributes}), log, self.loop)
        self.router.report = self.errors.append  # type: ignore[method-assign]
        self.entities = Entities(self.router)
        FlowRecords(self.router)
        Management(self.router, self.entities)
        self.turn()

    def listener(self, role: str = "normal", **attributes: Any) -> Settings:
        """The settings of an AMQP listener."""
        return Settings.of(validate("listener", {"host": "127.0.0.1", "port": "5672", "role": role, **attributes}))

    def connect(self, settings: Settings, profile: SslProfile | None = None) -> tuple[socket.socket, AmqpConnection]:
        """A connection as a listener accepts it, and its other end."""
        peer, inside = socket.socketpair()
        inside.setblocking(False)
        peer.setblocking(False)
        return peer, AmqpConnection(self.router, inside, settings, "peer", profile, incoming=True)

    def turn(self, times: int = 3) -> None:
        for _ in range(times):
            self.loop.turn(0.0)

    def pass_time(self, seconds: float) -> None:
        """Let time pass in small steps."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 0.25)
            self.turn(2)

    def feed(self, peer: socket.socket, octets: bytes) -> bytes:
        """Send, let the router work, and read what it answers."""
        with contextlib.suppress(OSError):
            peer.sendall(octets)
        self.turn()
        return drained(peer)

    def check(self) -> None:
        """Raise what the router has reported of itself."""
        errors, self.errors[:] = self.errors[:], []
        if errors:
            raise errors[0]

    def close(self) -> None:
        """End it."""
        self.entities.close()
        for conn in list(self.router.connections.values()):
            conn.lose("end")
        self.turn()
        self.loop.close()


def drained(peer: socket.socket) -> bytes:
    """Everything that can be read now."""
    found = bytearray()
    with contextlib.suppress(OSError):
        while octets := peer.recv(1 << 16):
            found += octets
    return bytes(found)


class Amqp:
    """The AMQP listeners of an interior or edge router with services behind them."""

    def __init__(self, mode: str = "interior", *, bare: bool = False) -> None:
        self._node = Node(mode)
        self._bare = bare
        for name, where in (("plain", "echo"), ("lite", "lite")):
            attributes = {"name": name, "host": "127.0.0.1", "port": "1", "address": where}
            self._node.entities.create("tcpConnector", validate("tcpConnector", attributes))
        self._settings = [self._node.listener(role) for role in ROLES]
        self._node.turn()
        self._random = Random(1)
        self._cases = 0
        self._baseline = {address.key for address in self._node.router.table}

    def feed(self, octets: bytes) -> None:
        node = self._node
        self._cases += 1
        self._random.seed(octets)
        settings = self._settings[0 if self._bare else octets[-1] % 3 if octets else 0]
        peer, conn = node.connect(settings)
        try:
            for part in self._portions(octets):
                node.feed(peer, part)
            node.now += self._random.choice((0.0, 0.05, 1.1))
            node.turn()
            drained(peer)
        finally:
            peer.close()
            node.turn()
        assert conn.closed
        node.check()
        if self._cases % 250 == 0:
            self._look()

    def _portions(self, octets: bytes) -> Iterator[bytes]:
        """Mostly frame by frame, as answers are awaited; sometimes several at once, or one in two."""
        kept = b""
        for piece in wire.pieces(octets):
            kept += piece
            chance = self._random.random()
            if chance < 0.1:
                continue
            if chance < 0.2:
                cut = self._random.randrange(len(kept) + 1)
                yield kept[:cut]
                kept = kept[cut:]
            yield kept
            kept = b""
        yield kept

    def _look(self) -> None:
        """Nothing of the peers is left, and an honest one is served."""
        node = self._node
        node.pass_time(6)
        assert not node.router.connections
        assert not node.router.temporaries
        assert {address.key for address in node.router.table} == self._baseline
        assert not any(flows.flows for flows in node.entities.tcp_connectors)
        got: list[object] = []
        stop = node.router.subscribe("honest", lambda found: got.append(found.body))
        peer, _ = node.connect(self._settings[0])
        node.feed(peer, AMQP + opened() + begin() + sender(0, "honest"))
        node.feed(peer, transfer(0, 0, compose(None, properties=Properties(to="honest"), body="yes")))
        assert got == ["yes"], got
        stop()
        peer.close()
        node.turn()
        node.check()


class Security:
    """An AMQP listener that wants TLS, and one that demands SASL."""

    def __init__(self) -> None:
        self._node = Node()
        self._directory = tempfile.TemporaryDirectory()
        files = credentials(Path(self._directory.name) / "certs")
        self._profile = SslProfile({"name": "p", **{key: str(path) for key, path in files.items()}})
        self._tls = ServerTls(self._profile, demand=False)
        self._settings = [
            self._node.listener("inter-router", sslProfile="p", authenticatePeer=True, saslMechanisms="EXTERNAL"),
            self._node.listener(authenticatePeer=True, saslMechanisms="ANONYMOUS"),
        ]

    def feed(self, octets: bytes) -> None:
        node = self._node
        kind = octets[-1] % 3 if octets else 0
        if kind == 2:
            self._handshake(octets)
            return
        secured = kind == 0
        peer, conn = node.connect(self._settings[kind], self._profile if secured else None)
        for at in range(0, len(octets), 64):
            node.feed(peer, octets[at : at + 64])
        assert not secured or not conn.remote_open
        peer.close()
        node.turn()
        assert conn.closed
        node.check()

    def _handshake(self, octets: bytes) -> None:
        """The listener of a TCP service with TLS."""
        node = self._node
        peer, inside = socket.socketpair()
        inside.setblocking(False)
        peer.setblocking(False)
        done: list[object] = []
        self._tls_accept(inside, done)
        node.feed(peer, octets)
        peer.close()
        node.turn()
        assert done == [None]
        node.check()

    def _tls_accept(self, inside: socket.socket, done: list[object]) -> None:
        self._tls.accept(self._node.loop, inside, done.append)


class Health:
    """The HTTP listener with `/healthz` and `/metrics`."""

    def __init__(self) -> None:
        self._node = Node()
        attributes = validate("listener", {"host": "127.0.0.1", "port": "0", "http": True})
        self._listener = HttpListener(self._node.router, attributes)

    def feed(self, octets: bytes) -> None:
        node = self._node
        peer, inside = socket.socketpair()
        inside.setblocking(False)
        peer.setblocking(False)
        self._listener._accepted(inside, ("peer", 1))
        half = len(octets) // 2
        answered = node.feed(peer, octets[:half]) + node.feed(peer, octets[half:])
        peer.close()
        node.turn(4)
        assert not self._listener._clients
        assert not answered or answered.startswith(b"HTTP/1.1 ")
        node.check()


# ------------------------------------------------------------------------------------------ seeds


def _message(to: str | None, body: object = "text", **more: Any) -> bytes:
    return compose(more.pop("annotations", None), properties=Properties(to=to, **more), body=body)


def _streams() -> list[bytes]:
    """What honest clients, routers and edges send, and some that are less so."""
    start = AMQP + opened() + begin()
    annotated = RouterAnnotations(flags=0, to_override="echo", ingress="0/B", trace=("0/B",))
    streamed = RouterAnnotations(flags=7, ingress="0/B", trace=("0/B",))
    sasl = SASL + wire.sasl_init()
    routed = decoders.routing_seeds()
    control = (
        AMQP
        + opened("N1", {"qd.annotations-version": 2, "qd.inter-router-cost": 5}, ["ANONYMOUS-RELAY"])
        + begin()
        + receiver(0, None, "qd.router")
        + sender(1, None, "qd.router")
        + receiver(2, None, "qd.router-data")
        + sender(3, None, "qd.router-data")
        + flow(0, 250)
        + flow(2, 250)
    )
    hello = routed[0]
    updates = b"".join(transfer(1, n, octets, settled=True) for n, octets in enumerate([hello, *routed[1:], hello]))
    request = decoders.management_seeds()[0]
    tcp = compose(
        streamed,
        properties=Properties(to="echo", reply_to="r", subject="s"),
        application_properties={":flowid": "f"},
    )
    return [
        b"",
        start + sender(0, None) + transfer(0, 0, _message("echo")) + close(),
        start + sender(0, "mc/x") + receiver(1, "mc/x") + flow(1, 10) + transfer(0, 0, _message("mc/x"), settled=True)
        + disposition(0, 0) + detach(0) + detach(1) + end() + close(),
        sasl + start + receiver(0, None, dynamic=True) + flow(0, 5) + sender(1, "$management")
        + transfer(1, 0, request),
        start + sender(0, None) + transfer(0, 0, b"\x00\x53\x75\xb0\x00\x01\x00\x00" + bytes(4000), more=True)
        + transfer(0, 0, bytes(4000), more=True) + detach(0),
        start + begin(1) + sender(0, "a", channel=1) + end(1) + begin(1) + flow(None, 0, echo=True, channel=1),
        start + sender(0, "_$qd.mesh_discovery") + receiver(1, "_$qd.edge_addr_tracking")
        + receiver(2, "E", "qd.router-edge-downlink") + sender(3, "far/away") + flow(1, 9) + flow(2, 9)
        + transfer(0, 0, compose(annotated, application_properties={"meshid": "m" * 15}), settled=True),
        start + sender(0, None) + transfer(0, 0, tcp + b"\x00\x53\x75\xa0\x05hello", more=True)
        + transfer(0, 0, b"\x00\x53\x75\xa0\x02hi"),
        control + updates,
        control + updates + transfer(3, 50, _message("echo", annotations=annotated), settled=True),
        AMQP + opened("N1", {"qd.inter-router-role": 4, "qd.group-correlator": "g"}) + begin() + sender(0, None),
        start + sender(0, "sfe.x:0") + transfer(0, 0, decoders.flow_seeds()[-1]) + receiver(1, "mc/sfe.all")
        + flow(1, 99),
    ]  # fmt: skip


def seeds() -> dict[str, list[bytes]]:
    """What the corpus of every target is made of."""
    hello = bytes.fromhex("160301005f0100005b0303") + bytes(32) + bytes.fromhex(
        "00000813011302c02bc02f0100002a000a00040002001d000d000a0008040304010804"
        "08070010000b000908687474702f312e31002b0003020304"
    )
    return {
        "amqp": _streams(),
        "amqp-bare": [AMQP, SASL, wire.TLS, SASL + wire.sasl_init("PLAIN", b"\0u\0p"), SASL + wire.sasl_init() + AMQP],
        "amqp-edge": _streams(),
        "security": [
            hello, wire.TLS + hello, SASL + wire.sasl_init("EXTERNAL", b""), AMQP + opened(), SASL + wire.sasl_init()
        ],
        "health": [
            b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            b"POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
            b"HEAD /x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        ],
    }  # fmt: skip


TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "amqp": lambda: Amqp().feed,
    "amqp-bare": lambda: Amqp(bare=True).feed,
    "amqp-edge": lambda: Amqp("edge").feed,
    "security": lambda: Security().feed,
    "health": lambda: Health().feed,
}


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side has ended or reset the connection; what is left of it is read."""
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
