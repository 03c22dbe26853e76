"""The socket of the HTTP adaptors: pauses, ends and failures, on a real socket pair."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from skupper_podman.routerd.adaptors.http_socket import FULL, HttpSocket
from skupper_podman.routerd.loop import Loop


class Bench:
    """A socket between a handler and a peer."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.calls: list[str] = []
        self.octets = b""
        self.fails = False
        self.loop = Loop(self.errors.append)
        inside, self.peer = socket.socketpair()
        inside.setblocking(False)
        self.peer.settimeout(5)
        self.socket = HttpSocket(self.loop, inside, self, self.errors.append)

    def received(self, data: memoryview) -> None:
        self.octets += data
        if self.fails:
            raise RuntimeError("handler fails")

    def ended(self) -> None:
        self.calls.append("ended")

    def writable(self) -> None:
        self.calls.append("writable")

    def lost(self) -> None:
        self.calls.append("lost")

    def turn(self, times: int = 4) -> None:
        for _ in range(times):
            self.loop.turn(0.001)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.socket.abort()
    made.peer.close()
    made.loop.close()


def test_octets_pass(bench: Bench) -> None:
    bench.peer.sendall(b"in")
    bench.turn()
    assert bench.octets == b""
    bench.socket.want_read(True)
    bench.socket.write(b"o")
    bench.socket.write(b"ut")
    bench.turn()
    assert bench.octets == b"in"
    assert bench.peer.recv(10) == b"out"
    assert (bench.socket.octets_in, bench.socket.octets_out) == (2, 3)


def test_full_and_writable(bench: Bench) -> None:
    size = 3 * FULL
    assert not bench.socket.full
    bench.socket.write(bytes(size))
    bench.turn()
    assert bench.socket.full
    assert bench.calls == []
    got = 0
    while got < size:
        got += len(bench.peer.recv(1 << 20))
        bench.turn(2)
    assert not bench.socket.full
    assert bench.calls == ["writable"]
    assert bench.socket.waiting == 0


def test_end_of_the_peer_is_told_once(bench: Bench) -> None:
    bench.socket.want_read(True)
    bench.peer.shutdown(socket.SHUT_WR)
    bench.turn()
    assert bench.calls == ["ended"]
    bench.socket.write(b"still")
    bench.turn()
    assert bench.peer.recv(10) == b"still"


def test_finish_sends_what_waits_and_reads_on(bench: Bench) -> None:
    bench.socket.want_read(True)
    bench.socket.write(b"last words")
    bench.socket.finish()
    bench.socket.write(b"too late")
    bench.peer.sendall(bytes(100_000))
    bench.turn(10)
    assert bench.peer.recv(100) == b"last words"
    assert bench.peer.recv(100) == b""
    assert not bench.socket.closed
    bench.peer.close()
    bench.turn()
    assert bench.socket.closed
    assert (bench.calls, bench.octets) == ([], b"")


def test_peer_gone_is_told(bench: Bench) -> None:
    bench.peer.close()
    bench.socket.write(b"x")
    bench.turn()
    assert bench.calls == ["lost"]
    assert bench.socket.closed


def test_handler_that_fails_costs_its_connection(bench: Bench) -> None:
    bench.fails = True
    bench.socket.want_read(True)
    bench.peer.sendall(b"x")
    bench.turn()
    assert bench.socket.closed
    assert bench.calls == ["lost"]
    assert [str(error) for error in bench.errors] == ["handler fails"]
    assert bench.peer.recv(10) == b""


def test_push_sends_before_the_turn_ends(bench: Bench) -> None:
    bench.peer.setblocking(False)
    bench.socket.push()
    bench.socket.write(b"head")
    bench.socket.write(b"body")
    with pytest.raises(BlockingIOError):
        bench.peer.recv(10)
    bench.socket.push()
    assert bench.peer.recv(10) == b"headbody"
    assert bench.socket.waiting == 0
    bench.turn()
    assert (bench.calls, bench.errors) == ([], [])


def test_push_to_a_peer_that_does_not_read_keeps_the_rest(bench: Bench) -> None:
    size = 2 * FULL
    bench.socket.write(bytes(size))
    bench.socket.push()
    assert 0 < bench.socket.waiting < size
    got = 0
    while got < size:
        bench.turn()
        bench.socket.push()
        got += len(bench.peer.recv(1 << 20))
    assert bench.socket.octets_out == size


def test_push_to_a_peer_that_is_gone_is_told_at_the_end_of_the_turn(bench: Bench) -> None:
    bench.peer.close()
    bench.socket.write(b"nobody")
    bench.socket.push()
    assert bench.calls == []
    bench.turn()
    assert bench.calls == ["lost"]
