"""HTTP/1 from client to server through one router: every kind of body, and everything that goes wrong."""

from __future__ import annotations

import contextlib
import email
import json
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skupper_podman.routerd.adaptors.http_socket import FULL
from tests.routerd.adaptors.httpbench import Bench, bench, dial, read_request, read_until, replying, settle
from tests.routerd.system.lab import Server, read_all, reset, wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def router() -> Iterator[Bench]:
    with bench() as made:
        yield made


def ask(port: int, request: bytes) -> bytes:
    """Send a request that ends the connection, and read everything."""
    with dial(port) as sock:
        sock.sendall(request)
        return read_all(sock)


def served_once(port: int) -> None:
    """See that the service works."""
    with dial(port) as sock:
        sock.sendall(GET)
        assert read_until(sock, b"ok") == OK


def test_requests_and_responses_pass(router: Bench) -> None:
    seen: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        while request := read_request(sock):
            seen.append(request)
            sock.sendall(OK)

    server = router.serve(serve)
    port = router.listen()
    with dial(port) as sock:
        for _ in range(3):
            sock.sendall(GET)
            assert read_until(sock, b"ok") == OK
    assert seen == [GET] * 3
    assert len(server.connections) == 1
    router.quiet()


def test_pipelined_requests_are_answered_in_order(router: Bench) -> None:
    def serve(sock: socket.socket) -> None:
        while request := read_request(sock):
            path = request.split()[1]
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    router.serve(serve)
    port = router.listen()
    with dial(port) as sock:
        sock.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(50)))
        sock.shutdown(socket.SHUT_WR)
        paths = [line for line in read_all(sock).replace(b"HTTP/1.1", b"\r\n").split(b"\r\n") if line[:1] == b"/"]
    assert paths == [b"/%d" % number for number in range(50)]


def test_host_override(router: Bench) -> None:
    seen: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(OK)

    router.serve(serve, hostOverride="other.example")
    assert ask(router.listen(), GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).endswith(b"ok")
    assert b"\r\nHost: other.example\r\n" in seen[0]
    assert b"Connection" not in seen[0]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_response_without_length(router: Bench, version: bytes) -> None:
    def serve(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nto the end")

    router.serve(serve)
    port = router.listen()
    got = ask(port, b"GET / HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n" % version)
    if version == b"1.0":
        assert got.endswith(b"\r\n\r\nto the end")
        assert b"ransfer-" not in got
    else:
        assert got.endswith(b"a\r\nto the end\r\n0\r\n\r\n")


def test_chunks_and_trailers_both_ways(router: Bench) -> None:
    seen: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        seen.append(read_until(sock, b"\r\n\r\n0\r\nA: b\r\n\r\n") or b"")
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nC: d\r\n\r\n")

    router.serve(serve)
    body = b"5;x=y\r\nhello\r\n2\r\n\r\n\r\n0\r\nA: b\r\n\r\n"
    request = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    got = ask(router.listen(), request + body)
    assert got.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\nC: d\r\n\r\n")
    assert seen[0].endswith(b"\r\n\r\n5\r\nhello\r\n2\r\n\r\n\r\n0\r\nA: b\r\n\r\n")


def test_client_of_1_0_gets_no_chunks(router: Bench) -> None:
    router.serve(replying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nC: d\r\n\r\n"))
    got = ask(router.listen(), b"GET / HTTP/1.0\r\n\r\n")
    assert got.endswith(b"\r\n\r\nabc")
    assert b"chunked" not in got


def test_expect_100_continue(router: Bench) -> None:
    def serve(sock: socket.socket) -> None:
        assert b"100-continue" in read_request(sock)
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert read_until(sock, b"body") == b"body"
        sock.sendall(OK)

    router.serve(serve)
    with dial(router.listen()) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 100 Continue\r\n")
        sock.sendall(b"body")
        assert read_until(sock, b"ok") == OK


def test_expectation_that_is_refused(router: Bench) -> None:
    router.serve(replying(b"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"))
    with dial(router.listen()) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert read_all(sock).endswith(b"no")


@pytest.mark.parametrize(
    ("method", "response"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
    ],
)
def test_responses_without_body(router: Bench, method: bytes, response: bytes) -> None:
    router.serve(replying(response))
    with dial(router.listen()) as sock:
        for _ in range(2):
            sock.sendall(GET.replace(b"GET", method))
            assert read_until(sock, b"\r\n\r\n") == response


def test_upgrade_is_not_passed_on(router: Bench) -> None:
    seen: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        while request := read_request(sock):
            seen.append(request)
            sock.sendall(OK)

    router.serve(serve)
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with dial(router.listen()) as sock:
        for _ in range(2):
            sock.sendall(upgrade)
            assert read_until(sock, b"ok") == OK
    assert not any(b"pgrade" in request for request in seen)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"what is this?\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 100_000, b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"501"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 4\r\n\r\n", b"400"),
    ],
)
def test_bad_requests_are_answered(router: Bench, request_: bytes, status: bytes) -> None:
    router.serve(replying(OK))
    got = ask(router.listen(), request_)
    assert got.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close\r\n" in got
    router.quiet()


def test_listener_is_open_only_while_a_server_is_there(router: Bench) -> None:
    port = router.listen()
    settle()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    server = router.serve(replying(OK))
    served_once(port)
    server.close()

    def refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_for(refused, "listener closes")
    again = wait_for(lambda: Server(replying(OK), server.port), "port of the server")
    dial(port).close()
    again.close()


def test_no_server_is_503(router: Bench) -> None:
    server = router.serve(replying(OK))
    with dial(router.listen()) as sock:
        sock.sendall(GET)
        assert read_until(sock, b"ok") == OK
        server.close()
        sock.sendall(GET)
        assert read_all(sock).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    router.quiet()


def test_server_that_says_nothing_is_503(router: Bench) -> None:
    def serve(sock: socket.socket) -> None:
        read_request(sock)

    router.serve(serve)
    assert ask(router.listen(), GET).startswith(b"HTTP/1.1 503")
    router.quiet()


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", b"\x00" * 100]
)
def test_server_that_is_none_is_503(router: Bench, garbage: bytes) -> None:
    router.serve(replying(garbage))
    assert ask(router.listen(), GET).startswith(b"HTTP/1.1 503")
    router.quiet()


def test_cut_response_does_not_look_complete(router: Bench) -> None:
    def serve(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    router.serve(serve)
    got = b""
    with dial(router.listen()) as sock:
        sock.sendall(GET)
        with contextlib.suppress(ConnectionResetError):
            got = read_all(sock)
    assert b"0\r\n\r\n" not in got
    router.quiet()


def test_stale_connection_costs_nothing(router: Bench) -> None:
    connections = 0

    def serve(sock: socket.socket) -> None:
        nonlocal connections
        connections += 1
        read_request(sock)
        sock.sendall(OK)
        read_request(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    router.serve(serve)
    with dial(router.listen()) as sock:
        for _ in range(4):
            sock.sendall(GET)
            assert read_until(sock, b"ok") == OK
    assert connections >= 2


def test_requests_of_one_connection_are_balanced(router: Bench) -> None:
    for number in range(2):
        router.serve(replying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n-%d" % number), f"c{number}")
    port = router.listen()
    wait_for(lambda: len(router.router.table.get("Mweb:80").consumers) == 2, "both servers")  # type: ignore[union-attr]
    answers = []
    with dial(port) as sock:
        for _ in range(20):
            sock.sendall(GET)
            answers.append(sock.recv(65536)[-2:])
    assert set(answers) == {b"-0", b"-1"}


def test_requests_at_the_same_time_do_not_wait_for_each_other(router: Bench) -> None:
    release = threading.Event()

    def serve(sock: socket.socket) -> None:
        while request := read_request(sock):
            if b"/slow" in request:
                release.wait(10)
            sock.sendall(OK)

    router.serve(serve)
    port = router.listen()
    with dial(port) as slow, dial(port) as quick:
        slow.sendall(GET.replace(b"/a", b"/slow"))
        settle()
        quick.sendall(GET)
        assert read_until(quick, b"ok") == OK
        release.set()
        assert read_until(slow, b"ok") == OK


def test_server_that_serves_one_connection_at_a_time(router: Bench) -> None:
    one = threading.Lock()

    def serve(sock: socket.socket) -> None:
        with one:
            while read_request(sock):
                settle()
                sock.sendall(OK)

    router.serve(serve)
    port = router.listen()
    with dial(port) as first, dial(port) as second:
        first.sendall(GET)
        second.sendall(GET)
        assert read_until(first, b"ok") == OK
        assert read_until(second, b"ok") == OK


def test_client_gone_ends_the_request(router: Bench) -> None:
    asked, ended = threading.Event(), threading.Event()

    def serve(sock: socket.socket) -> None:
        read_request(sock)
        asked.set()
        with contextlib.suppress(ConnectionResetError):
            sock.recv(1)
        ended.set()

    router.serve(serve)
    sock = dial(router.listen())
    sock.sendall(GET)
    assert asked.wait(10)
    reset(sock)
    assert ended.wait(10)
    router.quiet()


def test_client_gone_in_its_request(router: Bench) -> None:
    ended = threading.Event()

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(ConnectionResetError):
            read_all(sock)
        ended.set()

    router.serve(serve)
    sock = dial(router.listen())
    sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this")
    settle()
    sock.close()
    assert ended.wait(10)
    router.quiet()


def test_client_gone_in_its_response(router: Bench) -> None:
    ended = threading.Event()

    def serve(sock: socket.socket) -> None:
        read_request(sock)
        with contextlib.suppress(OSError):
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                sock.sendall(bytes(10000))
        ended.set()

    router.serve(serve)
    sock = dial(router.listen())
    sock.sendall(GET)
    assert sock.recv(1)
    reset(sock)
    assert ended.wait(10)
    router.quiet()


def test_half_closed_client_gets_its_response(router: Bench) -> None:
    router.serve(replying(OK))
    with dial(router.listen()) as sock:
        sock.sendall(GET)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).endswith(b"ok")


def test_early_response(router: Bench) -> None:
    def serve(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")

    router.serve(serve)
    with dial(router.listen()) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
        assert read_all(sock).endswith(b"no")
    router.quiet()


@pytest.mark.parametrize("upload", [True, False])
def test_memory_is_bounded_when_a_peer_does_not_read(router: Bench, upload: bool) -> None:
    go = threading.Event()
    size = 20_000_000
    received = []

    def serve(sock: socket.socket) -> None:
        if not (sock.recv(30) if upload else read_request(sock)):
            return
        if not upload:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            sock.sendall(bytes(size))
            return
        go.wait(20)
        rest = 0
        while rest < size:
            rest += len(sock.recv(1 << 20))
        received.append(rest)
        sock.sendall(OK)

    router.serve(serve)
    with dial(router.listen()) as sock:
        sender = threading.Thread(target=lambda: sock.sendall(bytes(size)), daemon=True)
        if upload:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            sender.start()
        else:
            sock.sendall(GET)

        def waiting() -> int:
            ends = [
                *router.entities.http_listeners[0].clients,
                *router.entities.http_connectors[0].pool.connections,
            ]
            return max(end.socket.waiting for end in ends)

        wait_for(lambda: router.do(waiting) > FULL // 2, "octets wait")
        settle()
        assert router.do(waiting) < 2 * FULL
        go.set()
        if upload:
            assert read_until(sock, b"ok").endswith(b"ok")
            assert received
        else:
            got = 0
            while got < size:
                got += len(sock.recv(1 << 20))
    router.quiet()


def test_slow_loris(router: Bench) -> None:
    router.serve(replying(OK))
    port = router.listen()
    with dial(port) as head, dial(port) as idle, dial(port) as body:
        head.sendall(b"GET / HTTP/1.1\r\n")
        body.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1")
        idle.sendall(GET)
        assert read_until(idle, b"ok") == OK
        wait_for(lambda: router.counts()["exchanges"] == 1, "request with a body")

        def later(seconds: float) -> None:
            now = router.loop.now
            for client in list(router.entities.http_listeners[0].clients):
                client.check_time(now + seconds)

        router.do(lambda: later(31))
        assert read_all(head).startswith(b"HTTP/1.1 408")
        router.do(lambda: later(125))
        assert read_all(body).startswith(b"HTTP/1.1 408")
        router.do(lambda: later(301))
        assert read_all(idle) == b""
    router.quiet()


def test_event_channel(router: Bench) -> None:
    seen = []

    def serve(sock: socket.socket) -> None:
        seen.append(read_until(sock, b"event"))
        sock.sendall(OK)

    router.serve(serve, eventChannel=True)
    port = router.listen(eventChannel=True)
    with dial(port) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nevent")
        assert read_until(sock, b"\r\n\r\n") == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert seen[0].endswith(b"event")
    assert ask(port, GET).startswith(b"HTTP/1.1 405")


def test_connector_deleted_while_its_server_is_away(router: Bench) -> None:
    server = router.serve(replying(OK))
    port = router.listen()
    served_once(port)
    with dial(port) as sock:
        server.close()
        sock.sendall(GET)
        wait_for(lambda: router.counts()["exchanges"] == 1, "request waits")
        router.do(lambda: router.entities.delete("httpConnector", {"identity": "c"}))
        assert read_all(sock).startswith(b"HTTP/1.1 503")
    router.quiet()


def test_deleted_connector_serves_what_it_has(router: Bench) -> None:
    asked, release = threading.Event(), threading.Event()

    def serve(sock: socket.socket) -> None:
        read_request(sock)
        asked.set()
        release.wait(10)
        sock.sendall(OK)
        read_all(sock)

    server = router.serve(serve)
    with dial(router.listen()) as sock:
        sock.sendall(GET)
        assert asked.wait(10)
        router.do(lambda: router.entities.delete("httpConnector", {"identity": "c"}))
        release.set()
        assert read_until(sock, b"ok") == OK
    wait_for(lambda: not server.connections, "connections end")
    router.quiet()


def multicast(router: Bench, form: str, *handlers: Callable[[socket.socket], None]) -> int:
    """A service of several servers whose responses are put together."""
    router.do(lambda: router.entities.create("router.config.address", {"prefix": "mc", "distribution": "multicast"}))
    for number, handler in enumerate(handlers):
        router.serve(handler, f"c{number}", address="mc/web", aggregation=form)
    port = router.listen(address="mc/web", aggregation=form)
    table = router.router.table
    wait_for(lambda: len(table.get("Mmc/web").consumers) == len(handlers), "all servers")  # type: ignore[union-attr]
    return port


def numbered(number: int) -> Callable[[socket.socket], None]:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-N: %d\r\n\r\n4\r\nbody\r\n1\r\n%d\r\n0\r\n\r\n"
    return replying(chunks % (number, number))


def test_aggregation_as_json(router: Bench) -> None:
    port = multicast(router, "json", numbered(1), numbered(2))
    with dial(port) as sock:
        for _ in range(3):
            sock.sendall(GET)
            head, _, body = read_until(sock, b"]").partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            found = {item["body"]: item for item in json.loads(body)}
            assert {name: item["X-N"] for name, item in found.items()} == {"body1": "1", "body2": "2"}
            assert found["body1"][":path"] == "/a?b=c"
    router.quiet()


def test_aggregation_as_multipart(router: Bench) -> None:
    def refuse(sock: socket.socket) -> None:
        read_request(sock)

    port = multicast(router, "multipart", numbered(1), numbered(2), refuse)
    got = ask(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    parsed = email.message_from_bytes(got.partition(b"\r\n")[2])
    assert parsed.get_content_type() == "multipart/mixed"
    parts = {part["X-N"]: part.get_payload() for part in parsed.get_payload()}  # type: ignore[union-attr]
    assert parts == {"1": "body1", "2": "body2"}
    router.quiet()


def test_aggregation_of_nothing(router: Bench) -> None:
    def refuse(sock: socket.socket) -> None:
        read_request(sock)

    port = multicast(router, "json", refuse, refuse)
    assert ask(port, GET.replace(b"1.1", b"1.0")).startswith(b"HTTP/1.1 204")
    router.quiet()


def test_a_server_that_cannot_be_dialled_at_all_is_tried_again_later(router: Bench) -> None:
    """The kernel refuses this address within the call, so that nothing is being dialled when the call is over."""
    router.connect(80, host="255.255.255.255")
    (connector,) = router.entities.http_connectors
    assert router.do(lambda: (connector._dialling, connector._dials)) == (0, {})
    wait_for(lambda: connector._dials_made > 2, "further attempts")


def test_deleted_listener_ends_when_its_requests_have(router: Bench) -> None:
    release = threading.Event()

    def serve(sock: socket.socket) -> None:
        read_request(sock)
        release.wait(10)
        sock.sendall(OK)

    router.serve(serve)
    port = router.listen()
    with dial(port) as busy, dial(port) as idle:
        busy.sendall(GET)
        wait_for(lambda: router.counts()["exchanges"] == 1, "request")
        router.do(lambda: router.entities.delete("httpListener", {"identity": "l"}))
        assert read_all(idle) == b""
        release.set()
        assert read_all(busy).endswith(b"ok")
    router.quiet()


octets = st.one_of(st.binary(max_size=80), st.sampled_from([GET, b"\r\n\r\n", b"5\r\nhello\r\n", OK]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([GET, b"\r\n\r\n", b"5\r\nhello\r\n", OK])), max_size=6)
)
def test_garbage_of_clients_and_servers(router: Bench, pieces: list[bytes]) -> None:
    if not router.entities.http_connectors:
        router.garbage: list[bytes] = []  # type: ignore[attr-defined]

        def serve(sock: socket.socket) -> None:
            sock.recv(1000)
            for piece in router.garbage:  # type: ignore[attr-defined]
                sock.sendall(piece)

        router.serve(serve)
        router.port = router.listen()  # type: ignore[attr-defined]
    router.garbage = pieces  # type: ignore[attr-defined]
    for requests in (pieces, [GET]):
        with dial(router.port) as sock, contextlib.suppress(OSError):  # type: ignore[attr-defined]
            for piece in requests:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
            read_all(sock)
    router.quiet()
    assert router.errors == []
