"""Names, dialling and accepting, with real sockets on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from skupper_podman.routerd.dns import Answer, Resolver, service_port
from skupper_podman.routerd.loop import EPOLLIN, Loop
from skupper_podman.routerd.sockets import Acceptor, Dial, peer_text


def fail(error: BaseException) -> None:
    raise AssertionError("error in a callback") from error


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(fail)
    yield made
    made.close()


def turn_until(loop: Loop, seen: list[object]) -> None:
    for _ in range(500):
        if seen:
            return
        loop.turn(0.02)
    raise AssertionError("nothing happened")


def test_service_names_and_numbers() -> None:
    assert [service_port(text) for text in ("amqp", "amqps", "8080")] == [5672, 5671, 8080]
    for bad in ("70000", "no-such-service", ""):
        with pytest.raises(ValueError, match=r"port|service"):
            service_port(bad)


def test_numeric_addresses_are_answered_at_once(loop: Loop) -> None:
    answers: list[Answer] = []
    resolver = Resolver(loop)
    resolver.lookup("127.0.0.1", "amqp", answers.append)
    resolver.lookup("::1", "80", answers.append)
    assert [answer.endpoints[0].sockaddr[:2] for answer in answers] == [("127.0.0.1", 5672), ("::1", 80)]


def test_names_are_looked_up_once_for_all_who_ask_together(loop: Loop) -> None:
    answers: list[object] = []
    resolver = Resolver(loop)
    resolver.lookup("localhost", "80", lambda answer: answers.append(("a", answer)))
    resolver.lookup("localhost", "80", lambda answer: answers.append(("b", answer)))
    assert answers == []
    turn_until(loop, answers)
    assert [name for name, _ in answers] == ["a", "b"]  # type: ignore[attr-defined]


def test_unknown_names_are_an_answer_too(loop: Loop) -> None:
    answers: list[object] = []
    Resolver(loop).lookup("no-such-host.invalid", "80", answers.append)
    turn_until(loop, answers)
    assert isinstance(answers[0], Answer)
    assert answers[0].error


def test_dial_reaches_an_acceptor(loop: Loop) -> None:
    taken: list[object] = []
    reached: list[object] = []
    resolver = Resolver(loop)
    acceptor = Acceptor(loop, resolver, ("127.0.0.1", "0"), lambda sock, address: taken.append((sock, address)))
    acceptor.start()
    assert acceptor.listening
    Dial(loop, resolver, ("127.0.0.1", str(acceptor.ports[0])), lambda sock, error: reached.append((sock, error)))
    turn_until(loop, reached)
    turn_until(loop, taken)
    for sock, _ in [*taken, *reached]:  # type: ignore[misc]
        sock.close()
    acceptor.close()
    assert not acceptor.listening


def test_dial_reports_refusal(loop: Loop) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        reached: list[object] = []
        where = ("127.0.0.1", str(unused.getsockname()[1]))
        Dial(loop, Resolver(loop), where, lambda sock, error: reached.append((sock, error)))
        turn_until(loop, reached)
    assert reached == [(None, "Connection refused")]


def test_dial_may_call_back_at_once(loop: Loop) -> None:
    reached: list[tuple[socket.socket | None, str]] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = ("127.0.0.1", str(server.getsockname()[1]))
        dial = Dial(loop, Resolver(loop), where, lambda sock, error: reached.append((sock, error)), at_once=True)
        turn_until(loop, reached)  # type: ignore[arg-type]
        assert not dial.pending
        sock, error = reached[0]
        assert sock is not None
        assert error == ""
        with sock:
            assert sock.getpeername() == server.getsockname()
            assert not sock.getblocking()
    Dial(loop, Resolver(loop), where, lambda sock, error: reached.append((sock, error)), at_once=True)
    turn_until(loop, reached[1:] or reached)  # type: ignore[arg-type]
    assert reached[1:] == [(None, "Connection refused")]
    assert loop.timers == 0 or all(entry[2].callback is None for entry in loop._timers)


def test_accepted_connections_are_tuned(loop: Loop) -> None:
    taken: list[object] = []
    acceptor = Acceptor(loop, Resolver(loop), ("127.0.0.1", "0"), lambda sock, _address: taken.append(sock))
    acceptor.start()
    with socket.create_connection(("127.0.0.1", acceptor.ports[0])):
        turn_until(loop, taken)
        for sock in taken:
            assert isinstance(sock, socket.socket)
            assert not sock.getblocking()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            sock.close()
    acceptor.close()


def test_taken_port_is_reported_once_and_bound_when_free(loop: Loop) -> None:
    errors: list[str] = []
    up: list[object] = []
    blocker = socket.create_server(("127.0.0.1", 0))
    where = ("127.0.0.1", str(blocker.getsockname()[1]))
    acceptor = Acceptor(loop, Resolver(loop), where, lambda sock, _address: sock.close())
    acceptor.on_error = errors.append
    acceptor.on_up = lambda: up.append(True)
    acceptor.start()
    acceptor.start()
    assert errors == ["Address already in use"]
    blocker.close()
    turn_until(loop, up)
    assert acceptor.error == ""
    acceptor.close()


def test_peer_text() -> None:
    assert peer_text(("::ffff:10.0.0.1", 5)) == "10.0.0.1:5"
    assert peer_text(("fe80::1", 5, 0, 0)) == "[fe80::1]:5"


def test_an_acceptor_takes_few_connections_a_turn_unless_many_have_something_to_do(loop: Loop) -> None:
    taken: list[object] = []
    acceptor = Acceptor(loop, Resolver(loop), ("127.0.0.1", "0"), lambda sock, _address: taken.append(sock))
    acceptor.start()
    clients = [socket.create_connection(("127.0.0.1", acceptor.ports[0])) for _ in range(30)]
    loop.turn(1.0)
    few = len(taken)
    busy = [socket.socketpair() for _ in range(80)]
    for inside, outside in busy:
        loop.register(inside.fileno(), EPOLLIN, lambda _events: None)
        outside.send(b"x")
    loop.turn(1.0)
    assert few < len(taken) - few
    for _ in range(20):
        loop.turn(0.0)
    assert len(taken) == len(clients)
    acceptor.close()
    for inside, _ in busy:
        loop.unregister(inside.fileno())
    for sock in (*taken, *clients, *(sock for pair in busy for sock in pair)):
        sock.close()  # type: ignore[attr-defined]
