"""Peers that mean harm: each costs the router at most its own connection, and a bounded amount of memory."""

from __future__ import annotations

import pytest

from skupper_podman.routerd.amqp.wire import lib
from skupper_podman.routerd.codec import Described, UByte, UInt, ULong, encode
from tests.fuzz.live import Node
from tests.fuzz.wire import AMQP, begin, opened


def attach_with(capabilities: bytes) -> bytes:
    """An attach whose target has these octets for its capabilities."""
    source = encode(Described(ULong(0x28), [None] * 10))
    target = b"\x40" * 6 + capabilities
    target = b"\x00\x53\x29\xd0" + (4 + len(target)).to_bytes(4) + (7).to_bytes(4) + target
    items = [encode("s"), encode(UInt(3)), encode(False), encode(UByte(2)), encode(UByte(0)), source, target]
    body = b"".join(items)
    body = b"\x00\x53\x12\xd0" + (4 + len(body)).to_bytes(4) + len(items).to_bytes(4) + body
    return (8 + len(body)).to_bytes(4) + b"\x02\x00\x00\x00" + body


@pytest.mark.parametrize("role", ["normal", "inter-router", "edge"])
def test_half_an_array_is_not_echoed(role: str) -> None:
    """Proton keeps an array that claims more elements than it has, and used to crash when we sent it back."""
    node = Node()
    peer, conn = node.connect(node.listener(role))
    node.feed(peer, AMQP + opened() + begin())
    node.feed(peer, attach_with(bytes.fromhex("f00000000b00000002a304") + b"qd.x"))
    link = lib.pn_link_head(conn.connection, 0)
    assert lib.pn_data_encoded_size(lib.pn_terminus_capabilities(lib.pn_link_target(link))) == 0
    assert not conn.closed
    node.check()
    node.close()


def test_a_second_open_ends_the_connection() -> None:
    """Proton passes it on; it must not make a second role beside the first."""
    node = Node()
    peer, conn = node.connect(node.listener("inter-router"))
    node.feed(peer, AMQP + opened() + begin())
    answer = node.feed(peer, opened("other"))
    assert b"open sent twice" in answer
    assert conn.container == "peer"
    node.pass_time(2)
    assert conn.closed
    node.check()
    node.close()


def test_a_fault_of_ours_costs_one_connection() -> None:
    node = Node()
    peer, conn = node.connect(node.listener())
    _, other = node.connect(node.listener())

    def faulty(_session: object) -> None:
        raise ZeroDivisionError

    conn.on_session_open = faulty  # type: ignore[method-assign]
    node.feed(peer, AMQP + opened() + begin())
    assert conn.closed
    assert not other.closed
    assert [type(error) for error in node.errors] == [ZeroDivisionError]
    node.close()
