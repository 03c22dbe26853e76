"""HTTP/2 from client to server through one router: streams, windows, resets, and everything that goes wrong."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skupper_podman.routerd.adaptors.http2_connection import RESETS, STREAM_WINDOW
from skupper_podman.routerd.adaptors.http2_frames import PREFACE
from skupper_podman.routerd.adaptors.http2_stream import CANCEL, REFUSED_STREAM
from tests.routerd.adaptors.h2peer import REQUEST, Headers, Peer, Stream, echoing, respond, serving
from tests.routerd.adaptors.httpbench import Bench, bench, dial, settle
from tests.routerd.system.lab import read_all, reset, wait_for

POST: Headers = [(":method", "POST"), *REQUEST[1:]]
GOAWAY = struct.Struct(">HBBBIII")


@pytest.fixture
def router() -> Iterator[Bench]:
    with bench() as made:
        yield made


class Service:
    """The router with a server behind it and a client in front."""

    def __init__(self, router: Bench, handler: Callable[[socket.socket], None], **more: Any) -> None:
        router.serve(handler, protocolVersion="HTTP2", **more)
        self.port = router.listen(protocolVersion="HTTP2")

    def client(self, *, windows: bool = True) -> Peer:
        return Peer(dial(self.port), client=True, windows=windows)


def goaway(last: int, code: int = 0) -> bytes:
    return GOAWAY.pack(0, 8, 7, 0, 0, last, code)


def test_requests_and_responses_pass(router: Bench) -> None:
    seen: list[Headers] = []

    def handle(peer: Peer, number: int, stream: Stream) -> None:
        seen.append(stream.headers)
        respond(peer, number, b"body", [("set-cookie", "a"), ("set-cookie", "b")], [("x-trail", "t")])

    client = Service(router, serving(handle)).client()
    got = client.answer_of(client.request([*REQUEST, ("x-req", "a"), ("te", "trailers")]))
    assert got.headers == [(":status", "200"), ("set-cookie", "a"), ("set-cookie", "b")]
    assert (got.body, got.trailers, got.reset) == (b"body", [("x-trail", "t")], None)
    assert seen == [[*REQUEST, ("x-req", "a"), ("te", "trailers")]]
    client.sock.close()
    router.quiet()


def test_host_override(router: Bench) -> None:
    def handle(peer: Peer, number: int, stream: Stream) -> None:
        respond(peer, number, dict(stream.headers)[":authority"].encode())

    client = Service(router, serving(handle), hostOverride="other").client()
    assert client.answer_of(client.request()).body == b"other"


def test_many_streams_at_once(router: Bench) -> None:
    client = Service(router, serving(echoing)).client()
    client.until(lambda: client.http.remote_settings.max_concurrent_streams <= 100)
    bodies = {}
    for _ in range(100):
        body = os.urandom(3000)
        bodies[client.request(POST, body)] = body
    assert {number: client.answer_of(number).body for number in bodies} == bodies


def test_large_bodies_both_ways(router: Bench) -> None:
    client = Service(router, serving(echoing)).client()
    data = os.urandom(3_000_000)
    assert client.answer_of(client.request(POST, data)).body == data


def test_trailers_only_is_one_frame(router: Bench) -> None:
    def handle(peer: Peer, number: int, _stream: Stream) -> None:
        respond(peer, number, b"", [("grpc-status", "5")])

    client = Service(router, serving(handle)).client()
    number = client.request()
    got = client.streams[number]
    assert client.until(lambda: got.headers)
    assert got.ended  # in the same frame
    assert (got.headers, got.body, got.trailers) == ([(":status", "200"), ("grpc-status", "5")], b"", [])


def test_both_directions_at_once(router: Bench) -> None:
    def serve(sock: socket.socket) -> None:
        peer = Peer(sock, client=False)
        if not peer.until(lambda: any(stream.headers for stream in peer.streams.values())):
            return
        number, stream = next(iter(peer.streams.items()))
        peer.http.send_headers(number, [(":status", "200")])
        peer.flush()
        sent = 0
        while not stream.ended:
            if not peer.step():
                return
            if len(stream.body) > sent:
                peer.data(number, stream.body[sent:].upper())
                sent = len(stream.body)
        peer.http.send_headers(number, [("x-count", str(sent))], end_stream=True)
        peer.flush()

    client = Service(router, serve).client()
    number = client.request(POST, end=False)
    stream = client.streams[number]
    assert client.until(lambda: stream.status == "200")
    for word in (b"one", b"two", b"three"):
        before = stream.body
        client.data(number, word)
        assert client.until(lambda before=before, word=word: stream.body == before + word.upper())
    client.http.end_stream(number)
    client.flush()
    assert client.answer_of(number).trailers == [("x-count", "11")]


def test_expect_100_continue(router: Bench) -> None:
    client = Service(router, serving(echoing)).client()
    number = client.request([*POST, ("expect", "100-continue")], end=False)
    client.data(number, b"body", end=True)
    assert client.answer_of(number).body == b"body"


def test_client_reset_reaches_the_server(router: Bench) -> None:
    resets: list[int] = []
    asked, done = threading.Event(), threading.Event()

    def serve(sock: socket.socket) -> None:
        peer = Peer(sock, client=False)
        peer.until(lambda: any(stream.ended for stream in peer.streams.values()))
        if not peer.streams:
            return
        asked.set()
        stream = next(iter(peer.streams.values()))
        peer.until(lambda: stream.reset is not None)
        resets.append(stream.reset or 0)
        done.set()

    client = Service(router, serve).client()
    number = client.request()
    assert asked.wait(10)
    client.http.reset_stream(number, CANCEL)
    client.flush()
    assert done.wait(10)
    assert resets == [CANCEL]
    client.sock.close()
    router.quiet()


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("code", [REFUSED_STREAM, 2])
def test_server_reset_reaches_the_client(router: Bench, begun: bool, code: int) -> None:
    def handle(peer: Peer, number: int, _stream: Stream) -> None:
        if begun:
            peer.http.send_headers(number, [(":status", "200")])
            peer.data(number, b"some")
            settle()
        peer.http.reset_stream(number, code)

    client = Service(router, serving(handle)).client()
    got = client.answer_of(client.request())
    if begun:
        assert got.reset is not None
        assert not got.ended
    else:
        assert got.status == "503"
    client.sock.close()
    router.quiet()


def test_early_response_ends_the_request(router: Bench) -> None:
    def serve(sock: socket.socket) -> None:
        peer = Peer(sock, client=False)
        peer.until(lambda: any(stream.headers for stream in peer.streams.values()))
        for number in peer.streams:
            respond(peer, number, b"enough")
        while peer.step():
            pass

    client = Service(router, serve).client()
    number = client.request(POST, b"begin", end=False)
    got = client.streams[number]
    client.until(lambda: got.ended and got.reset is not None)
    assert (got.body, got.reset) == (b"enough", 0)
    client.sock.close()
    router.quiet()


def test_no_server_is_503(router: Bench) -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(10)

    service = Service(router, serve)
    client = service.client()
    got = client.answer_of(client.request())
    assert got.status == "503"
    client.sock.close()
    router.quiet()


def test_server_going_away_serves_what_it_has(router: Bench) -> None:
    connections: list[Peer] = []

    def serve(sock: socket.socket) -> None:
        peer = Peer(sock, client=False)
        connections.append(peer)
        if len(connections) > 1:
            while peer.step():
                for number, stream in list(peer.streams.items()):
                    if stream.ended and number in peer.http.streams:
                        respond(peer, number, b"new")
            return
        peer.until(lambda: any(stream.ended for stream in peer.streams.values()))
        peer.sock.sendall(goaway(0x7FFFFFFF) + goaway(1))
        settle()
        respond(peer, 1, b"old")
        while peer.step():
            pass

    client = Service(router, serve).client()
    first = client.request()
    wait_for(lambda: len(connections) > 1, "another connection")
    second = client.request()
    assert client.answer_of(second).body == b"new"
    assert client.answer_of(first).body == b"old"
    client.sock.close()
    router.quiet()


def test_requests_beyond_the_servers_limit_wait(router: Bench) -> None:
    most = 0

    def serve(sock: socket.socket) -> None:
        nonlocal most
        peer = Peer(sock, client=False, most=2)
        while peer.step():
            ready = [number for number, stream in peer.streams.items() if stream.ended and number in peer.http.streams]
            most = max(most, peer.http.open_inbound_streams)
            for number in ready:
                respond(peer, number, b"ok")

    client = Service(router, serve).client()
    client.until(lambda: client.http.remote_settings.max_concurrent_streams <= 100)
    settle()
    numbers = [client.request() for _ in range(20)]
    assert {client.answer_of(number).body for number in numbers} == {b"ok"}
    assert most <= 2


def test_memory_is_bounded_when_the_client_does_not_read(router: Bench) -> None:
    def handle(peer: Peer, number: int, _stream: Stream) -> None:
        peer.http.send_headers(number, [(":status", "200")])
        peer.data(number, bytes(4_000_000), end=True)

    client = Service(router, serving(handle)).client(windows=False)
    number = client.request()
    stream = client.streams[number]
    client.until(lambda: len(stream.body) >= 65535)

    def pending() -> int:
        ends = [*router.entities.http_listeners[0].clients, *router.entities.http_connectors[0].pool.connections]
        return sum(stream._pending_size + len(stream._first) for end in ends for stream in end.streams.values())

    wait_for(lambda: router.do(pending) > STREAM_WINDOW, "octets wait")
    settle()
    assert router.do(pending) < 4 * STREAM_WINDOW
    client.windows = True
    client.http.acknowledge_received_data(65535, number)
    client.flush()
    assert len(client.answer_of(number).body) == 4_000_000


def test_slow_stream_does_not_hold_up_others(router: Bench) -> None:
    release = threading.Event()

    def serve(sock: socket.socket) -> None:
        peer = Peer(sock, client=False, windows=False)
        peer.until(lambda: len(peer.streams) == 2 and any(stream.ended for stream in peer.streams.values()))
        for number, stream in peer.streams.items():
            if stream.ended:
                respond(peer, number, b"quick")
        release.wait(10)

    client = Service(router, serve).client()
    slow = client.request(POST, end=False)
    client.data(slow, bytes(150_000))
    quick = client.request()
    assert client.answer_of(quick).body == b"quick"
    release.set()


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", PREFACE + b"\xff" * 50, PREFACE + b"\0\0\4\10\0\0\0\0\0\0\0\0\0"],
)
def test_client_that_speaks_otherwise_is_let_go(router: Bench, garbage: bytes) -> None:
    service = Service(router, serving(echoing))
    with dial(service.port) as sock:
        sock.sendall(garbage)
        assert b"\0\0\0\0" in read_all(sock)
    router.quiet()


def test_rapid_resets_end_the_connection(router: Bench) -> None:
    client = Service(router, serving(echoing)).client()
    with contextlib.suppress(OSError):
        for _ in range(RESETS + 50):
            client.http.reset_stream(client.request(POST, end=False), CANCEL)
            client.flush()
    while client.step():
        pass
    assert client.closed
    router.quiet()


def test_silent_clients_are_let_go(router: Bench) -> None:
    service = Service(router, serving(echoing))
    idle = service.client()
    assert idle.answer_of(idle.request()).status == "200"
    with dial(service.port) as silent:
        wait_for(lambda: router.counts()["clients"] == 2, "both clients")

        def later(seconds: float) -> None:
            for client in list(router.entities.http_listeners[0].clients):
                client.check_time(router.loop.now + seconds)

        router.do(lambda: later(31))
        with contextlib.suppress(ConnectionResetError):
            read_all(silent)
    assert router.counts()["clients"] == 1
    router.do(lambda: later(301))
    idle.until(lambda: False)
    assert idle.goaway == 0
    router.quiet()


def test_client_gone(router: Bench) -> None:
    client = Service(router, serving(lambda *_: None)).client()
    for _ in range(5):
        client.request()
    wait_for(lambda: router.counts()["exchanges"] == 5, "requests")
    reset(client.sock)
    router.quiet()


def test_deleted_listener_ends_when_its_requests_have(router: Bench) -> None:
    release = threading.Event()

    def handle(peer: Peer, number: int, _stream: Stream) -> None:
        release.wait(10)
        respond(peer, number, b"late")

    service = Service(router, serving(handle))
    busy, idle = service.client(), service.client()
    number = busy.request()
    wait_for(lambda: router.counts()["exchanges"] == 1, "request")
    router.do(lambda: router.entities.delete("httpListener", {"identity": "l"}))
    idle.until(lambda: False)
    refused = busy.request()
    assert busy.answer_of(refused).reset == REFUSED_STREAM
    release.set()
    assert busy.answer_of(number).body == b"late"
    busy.until(lambda: False)
    router.quiet()


frames = st.tuples(st.integers(0, 10), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=40)).map(
    lambda item: len(item[3]).to_bytes(3) + bytes(item[:2]) + item[2].to_bytes(4) + item[3]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(frames, st.binary(max_size=60)), max_size=6), st.booleans())
def test_garbage_of_clients_and_servers(router: Bench, pieces: list[bytes], to_server: bool) -> None:
    if not router.entities.http_connectors:
        router.garbage: list[bytes] = []  # type: ignore[attr-defined]

        def serve(sock: socket.socket) -> None:
            sock.recv(1000)
            for piece in router.garbage:  # type: ignore[attr-defined]
                sock.sendall(piece)

        router.service = Service(router, serve)  # type: ignore[attr-defined]
    router.garbage = pieces  # type: ignore[attr-defined]
    with dial(router.service.port) as sock, contextlib.suppress(OSError):  # type: ignore[attr-defined]
        if to_server:
            client = Peer(sock, client=True)
            client.request()
        else:
            sock.sendall(PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"".join(pieces))
        sock.shutdown(socket.SHUT_WR)
        read_all(sock)
    router.quiet()
    assert router.errors == []
