"""The event loop: order, errors, timers, other threads."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from skupper_podman.routerd.loop import EPOLLIN, Descriptor, Loop


class Clock:
    """A clock that the test turns."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loop(errors: list[BaseException], clock: Clock) -> Iterator[Loop]:
    made = Loop(errors.append, clock)
    yield made
    made.close()


def test_timers_run_in_order_of_time_and_then_of_creation(loop: Loop, clock: Clock) -> None:
    seen: list[str] = []
    loop.call_later(2.0, lambda: seen.append("late"))
    loop.call_later(1.0, lambda: seen.append("first"))
    loop.call_later(1.0, lambda: seen.append("second"))
    loop.turn()
    assert seen == []
    clock.now += 1.5
    loop.turn()
    assert seen == ["first", "second"]
    clock.now += 1.0
    loop.turn()
    assert seen == ["first", "second", "late"]


def test_cancelled_timers_do_not_run_and_do_not_pile_up(loop: Loop, clock: Clock) -> None:
    seen: list[int] = []
    for number in range(50_000):
        loop.call_later(5.0, lambda number=number: seen.append(number)).cancel()
    loop.call_later(5.0, lambda: seen.append(-1))
    assert len(loop._timers) < 5_000
    clock.now += 6.0
    loop.turn()
    assert seen == [-1]


def test_deferred_calls_come_before_the_end_of_the_turn(loop: Loop) -> None:
    seen: list[str] = []
    loop.at_turn_end(lambda: seen.append("end"))
    loop.call_soon(lambda: (seen.append("soon"), loop.call_soon(lambda: seen.append("sooner")))[0])
    loop.turn()
    assert seen == ["soon", "sooner", "end"]


def test_errors_are_reported_and_stop_nothing(loop: Loop, errors: list[BaseException], clock: Clock) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise ValueError("broken")

    reader, writer = socket.socketpair()
    Descriptor(loop, reader.fileno(), EPOLLIN, lambda _events: fail())
    writer.send(b"x")
    loop.call_soon(fail)
    loop.call_soon(lambda: seen.append("after"))
    loop.call_later(1.0, fail)
    clock.now += 2.0
    loop.turn()
    assert seen == ["after"]
    assert len(errors) == 3
    loop.unregister(reader.fileno())
    reader.close()
    writer.close()


def test_output_need_not_wait_for_all_events_of_a_turn(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(20)]
    seen: list[str] = []

    def handle() -> None:
        seen.append("event")
        if len(seen) == 1:
            loop.at_turn_end(lambda: seen.append("output"))

    for inside, outside in pairs:
        loop.register(inside.fileno(), EPOLLIN, lambda _events: handle())
        outside.send(b"x")
    loop.turn()
    assert seen.count("event") == len(pairs)
    assert 0 < seen.index("output") < len(pairs) // 2
    for pair in pairs:
        loop.unregister(pair[0].fileno())
        pair[0].close()
        pair[1].close()


def test_what_was_ready_under_a_number_is_not_told_to_who_has_it_now(loop: Loop) -> None:
    """A handler closes another's descriptor and opens one, which gets its number."""
    pairs = [socket.socketpair() for _ in range(2)]
    seen: list[str] = []
    made: list[socket.socket] = []

    def handle(index: int) -> None:
        seen.append("old")
        if made:
            return
        other = pairs[1 - index][0]
        number = other.fileno()
        loop.forget(number)
        other.close()
        made.extend(socket.socketpair())
        assert made[0].fileno() == number
        loop.register(number, EPOLLIN, lambda _events: seen.append("new"))

    for index, pair in enumerate(pairs):
        loop.register(pair[0].fileno(), EPOLLIN, lambda _events, index=index: handle(index))
        pair[1].send(b"x")
    loop.turn()
    assert seen == ["old"]
    made[1].send(b"x")
    loop.turn()
    assert seen.count("new") == 1
    for sock in (*made, *(sock for pair in pairs for sock in pair)):
        if sock.fileno() >= 0:
            loop.unregister(sock.fileno())
        sock.close()


def test_a_handler_may_unregister_another_that_is_ready(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    seen: list[int] = []

    def handle(index: int) -> None:
        seen.append(index)
        descriptors[1 - index].close()

    descriptors = [
        Descriptor(loop, pair[0].fileno(), EPOLLIN, lambda _events, index=index: handle(index))
        for index, pair in enumerate(pairs)
    ]
    for pair in pairs:
        pair[1].send(b"x")
    loop.turn()
    loop.turn()
    assert len(set(seen)) == 1
    for pair in pairs:
        pair[0].close()
        pair[1].close()


def test_calls_from_other_threads_wake_the_loop(loop: Loop) -> None:
    seen: list[str] = []

    def call() -> None:
        loop.call_threadsafe(lambda: (seen.append(threading.current_thread().name), loop.stop())[0])

    other = threading.Thread(target=call)
    other.start()
    loop.run()
    other.join()
    assert seen == [threading.current_thread().name]


def test_signals_arrive_as_calls(loop: Loop) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    loop.on_signal(signal.SIGUSR1, loop.stop)
    os.kill(os.getpid(), signal.SIGUSR1)
    loop.run()
    signal.signal(signal.SIGUSR1, before)
