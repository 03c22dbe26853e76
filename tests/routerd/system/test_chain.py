"""Bytes through edge - interior - interior - edge with mutual TLS."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
import threading
import time

import pytest

from tests.routerd.system.conftest import Chain, Swap
from tests.routerd.system.lab import connect, echoes, exchange, read_all, reset, wait_for

MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def ready(chain: Chain) -> None:
    wait_for(lambda: echoes(chain.front), "the chain echoes")


def test_echo(chain: Chain) -> None:
    assert exchange(chain.front, b"hello" * 1000) == b"hello" * 1000


def test_empty_stream(chain: Chain) -> None:
    assert exchange(chain.front, b"") == b""


def test_bulk_arrives_unchanged(chain: Chain) -> None:
    total = 96 * MEGABYTE
    block = random.Random(1).randbytes(MEGABYTE)
    sent, got = hashlib.sha1(), hashlib.sha1()
    sock = connect(chain.front)

    def send() -> None:
        for number in range(total // MEGABYTE):
            piece = bytes((number,)) + block[1:]
            sent.update(piece)
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    count = 0
    while data := sock.recv(262144):
        got.update(data)
        count += len(data)
    sender.join()
    sock.close()
    assert count == total
    assert got.digest() == sent.digest()


def test_server_half_close_leaves_the_other_direction_open(chain: Chain, swapped: Swap) -> None:
    received: list[bytes] = []
    done = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.sendall(b"greeting")
        sock.shutdown(socket.SHUT_WR)
        received.append(read_all(sock))
        done.set()

    swapped(serve)
    with connect(chain.front) as sock:
        assert read_all(sock) == b"greeting"
        sock.sendall(b"still here")
        sock.shutdown(socket.SHUT_WR)
        assert done.wait(10)
    assert received == [b"still here"]


def test_client_reset_reaches_the_server(chain: Chain, swapped: Swap) -> None:
    outcome: list[str] = []
    seen = threading.Event()
    done = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.sendall(sock.recv(100))
        seen.set()
        try:
            outcome.append("end" if not sock.recv(100) else "data")
        except ConnectionResetError:
            outcome.append("reset")
        done.set()

    swapped(serve)
    sock = connect(chain.front)
    sock.sendall(b"x")
    assert sock.recv(10) == b"x"
    assert seen.wait(10)
    reset(sock)
    assert done.wait(10)
    assert outcome == ["reset"]


def test_server_reset_reaches_the_client(chain: Chain, swapped: Swap) -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(100)
        reset(sock)

    swapped(serve)
    with connect(chain.front) as sock:
        sock.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            sock.recv(100)


def test_refused_connection_closes_the_client(chain: Chain, swapped: Swap) -> None:
    swapped(None)
    with connect(chain.front) as sock:
        sock.sendall(b"anybody?")
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""


def test_two_hundred_at_once(chain: Chain) -> None:
    count, size = 200, 64 * 1024
    failures: list[str] = []
    barrier = threading.Barrier(count)

    def one(number: int) -> None:
        data = os.urandom(size)
        try:
            sock = connect(chain.front)
            barrier.wait(30)
            with sock:
                sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
                sender.start()
                if read_all(sock) != data:
                    failures.append(f"{number}: wrong octets")
                sender.join()
        except (OSError, threading.BrokenBarrierError) as error:
            failures.append(f"{number}: {error!r}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_stalled_reader_costs_one_window_and_disturbs_nobody(chain: Chain) -> None:
    routers = chain.lab.routers
    exchange(chain.front, os.urandom(4 * MEGABYTE))
    before = [router.memory() for router in routers]
    stalled = connect(chain.front)
    stalled.setblocking(False)
    pushed, quiet = 0, 0
    block = bytes(65536)
    while quiet < 50:
        try:
            pushed += stalled.send(block)
            quiet = 0
        except BlockingIOError:
            quiet += 1
            time.sleep(0.02)
    assert echoes(chain.front)
    assert exchange(chain.front, os.urandom(MEGABYTE))
    grown = [now.memory() - then for now, then in zip(routers, before, strict=True)]
    assert max(grown) < 16 * MEGABYTE, grown
    stalled.setblocking(True)
    stalled.settimeout(30)
    threading.Thread(target=lambda: stalled.shutdown(socket.SHUT_WR), daemon=True).start()
    assert len(read_all(stalled)) == pushed
    stalled.close()


def test_many_short_connections_leave_nothing(chain: Chain) -> None:
    def state() -> list[tuple[int, int, int]]:
        found = []
        for router in chain.lab.routers:
            links = len(router.query("router.link"))
            found.append((router.descriptors(), links, len(router.query("tcpConnection"))))
        return found

    def burst(count: int) -> None:
        for number in range(count):
            with connect(chain.front) as sock:
                sock.sendall(b"%d" % number)
                assert sock.recv(16) == b"%d" % number

    burst(20)
    wait_for(lambda: all(flows == 0 for _, _, flows in state()), "flows end")
    before = state()
    memory = [router.memory() for router in chain.lab.routers]
    workers = [threading.Thread(target=burst, args=(250,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wait_for(lambda: all(flows == 0 for _, _, flows in state()), "flows end")
    after = state()
    for then, now in zip(before, after, strict=True):
        assert now[0] <= then[0] + 2
        assert now[1] <= then[1] + 100  # those kept for the next streams, not one for each of a thousand
    grown = [router.memory() - then for router, then in zip(chain.lab.routers, memory, strict=True)]
    assert max(grown) < 4 * MEGABYTE, grown
