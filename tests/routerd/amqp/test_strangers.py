"""Whatever a peer sends, the router loses at most that connection; nothing of it is left."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.routerd.amqp.connection import AmqpConnection, Settings
from skupper_podman.routerd.log import Log
from skupper_podman.routerd.loop import Loop
from skupper_podman.routerd.management.schema import validate
from skupper_podman.routerd.message import Properties, RouterAnnotations, compose
from skupper_podman.routerd.router import Router

HEADER = b"AMQP\x00\x01\x00\x00"


class Node:
    """A router in this process with one connection, whose other end is `peer`."""

    def __init__(self, role: str = "normal", **attributes: Any) -> None:
        self.errors: list[BaseException] = []
        self.loop = Loop(self.errors.append)
        log = Log()
        log.configure("DEFAULT", {"outputFile": "/dev/null"})
        self.router = Router(validate("router", {"id": "A", "mode": "interior"}), log, self.loop)
        self.router.report = self.errors.append  # type: ignore[method-assign]
        entity = validate("listener", {"host": "127.0.0.1", "port": "5672", "role": role, **attributes})
        self.peer, inside = socket.socketpair()
        inside.setblocking(False)
        self.peer.setblocking(False)
        self.conn = AmqpConnection(self.router, inside, Settings.of(entity), "peer", None, incoming=True)

    def feed(self, octets: bytes) -> bytes:
        """Send, let the router work, and read what it answers."""
        with contextlib.suppress(OSError):
            self.peer.sendall(octets)
        self.turn()
        try:
            return self.peer.recv(1 << 20)
        except OSError:
            return b""

    def turn(self) -> None:
        for _ in range(4):
            self.loop.turn(0.0)

    def close(self) -> None:
        self.peer.close()
        self.turn()
        assert self.errors == []
        assert self.conn.closed
        assert self.router.connections == {}
        self.loop.close()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["normal", "inter-router", "edge"]), st.booleans(), st.binary(max_size=300))
def test_any_octets(role: str, with_header: bool, octets: bytes) -> None:
    node = Node(role)
    node.feed((HEADER if with_header else b"") + octets)
    node.close()


def frame(channel: int, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4) + b"\x02\x00" + channel.to_bytes(2) + body


def described(code: int, *items: bytes) -> bytes:
    body = b"".join(items)
    return b"\x00\x53" + bytes((code,)) + b"\xd0" + (4 + len(body)).to_bytes(4) + len(items).to_bytes(4) + body


def text(value: str) -> bytes:
    return b"\xa1" + bytes((len(value),)) + value.encode()


OPEN = frame(0, described(0x10, text("peer")))
BEGIN = frame(0, described(0x11, b"\x40", b"\x43", b"\x52\xff", b"\x52\xff"))
TRUE, FALSE, NULL = b"\x41", b"\x42", b"\x40"


def attach(name: str, handle: int, target: bytes) -> bytes:
    """A sending link of the peer's."""
    source = described(0x28, NULL)
    number = b"\x52" + bytes((handle,))
    fields = (text(name), number, FALSE, b"\x50\x02", b"\x50\x00", source, target, NULL, FALSE, b"\x43")
    return frame(0, described(0x12, *fields))


def transfer(handle: int, number: int, payload: bytes, *, more: bool) -> bytes:
    fields = (b"\x52" + bytes((handle,)), b"\x52" + bytes((number,)), b"\xa0\x01" + bytes((number,)), b"\x43", FALSE)
    return frame(0, described(0x14, *fields, TRUE if more else FALSE) + payload)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["normal", "edge"]), st.lists(st.tuples(st.binary(max_size=120), st.booleans()), max_size=6))
def test_any_message_on_an_anonymous_link(role: str, pieces: list[tuple[bytes, bool]]) -> None:
    node = Node(role)
    node.feed(HEADER + OPEN + BEGIN + attach("l", 0, described(0x29, NULL)))
    number, open_ = 0, False
    for payload, more in pieces:
        node.feed(transfer(0, number, payload, more=more))
        open_ = more
        if not open_:
            number += 1
    node.close()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_message_in_pieces_reaches_its_handler(cut: int) -> None:
    node = Node("edge")
    seen: list[str] = []
    node.router.subscribe("here", lambda message: seen.append(str(message.body)))
    node.feed(HEADER + OPEN + BEGIN + attach("l", 0, described(0x29, NULL)))
    octets = compose(RouterAnnotations(), properties=Properties(to="here"), body="hello")
    for start in range(0, len(octets), cut):
        node.feed(transfer(0, 0, octets[start : start + cut], more=start + cut < len(octets)))
    assert seen == ["hello"]
    node.close()


def test_frame_that_is_too_long_ends_the_connection() -> None:
    node = Node()
    node.feed(HEADER + OPEN + (1 << 30).to_bytes(4) + b"\x02\x00\x00\x00" + bytes(100))
    node.close()


def test_many_links_and_none_left() -> None:
    node = Node("edge")
    node.feed(HEADER + OPEN + BEGIN)
    for handle in range(100):
        node.feed(attach(f"l{handle}", handle, described(0x29, text(f"address{handle}"))))
    before = [address for address in node.router.table if address.key.startswith("Maddress")]
    assert len(before) == 100
    node.peer.close()
    node.turn()
    assert [address for address in node.router.table if address.key.startswith("Maddress")] == []
    node.close()
