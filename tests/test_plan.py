"""Plans: every step or none, whatever happens in the middle."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.errors import InterruptedByUser, PlatformError
from skupper_podman.plan import Plan, Step


class Log:
    """What steps did, in order; it remembers what is in effect."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.effects: list[int] = []

    def step(self, number: int, fault: object = None, waits: bool = False, undo_fault: Exception | None = None) -> Step:
        def do() -> None:
            self.events.append(f"do {number}")
            self.effects.append(number)
            if isinstance(fault, BaseException):
                raise fault
            if callable(fault):
                fault()
                self.events.append(f"done {number}")

        def undo() -> None:
            self.events.append(f"undo {number}")
            if undo_fault:
                raise undo_fault
            self.effects.remove(number)

        return Step("create", f"thing {number}", do, undo, waits=waits)


def send(number: int = signal.SIGINT, times: int = 1) -> None:
    for _ in range(times):
        os.kill(os.getpid(), number)


def test_all_steps_run_in_order_and_are_announced() -> None:
    log, seen = Log(), list[str]()
    Plan("p", tuple(log.step(number) for number in range(3))).apply(lambda step: seen.append(str(step)))
    assert log.effects == [0, 1, 2]
    assert seen == ["create thing 0", "create thing 1", "create thing 2"]


@given(st.integers(1, 8).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1))))
def test_a_failure_anywhere_undoes_everything_begun(where: tuple[int, int]) -> None:
    count, failing = where
    log = Log()
    error = PlatformError("broken", "mend it")
    steps = tuple(log.step(number, error if number == failing else None) for number in range(count))
    with pytest.raises(PlatformError, match="broken"):
        Plan("p", steps).apply()
    assert log.effects == []
    assert log.events == [f"do {n}" for n in range(failing + 1)] + [f"undo {n}" for n in range(failing, -1, -1)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_step_finish_and_then_undoes(number: int) -> None:
    log = Log()
    steps = (log.step(0), log.step(1, lambda: send(number)), log.step(2))
    with pytest.raises(InterruptedByUser) as caught:
        Plan("p", steps).apply()
    assert caught.value.exit_code == 130
    assert log.events == ["do 0", "do 1", "done 1", "undo 1", "undo 0"]
    assert log.effects == []


def test_a_signal_ends_a_step_that_waits_at_once() -> None:
    log = Log()
    with pytest.raises(InterruptedByUser):
        Plan("p", (log.step(0, send, waits=True),)).apply()
    assert log.events == ["do 0", "undo 0"]


def test_a_second_signal_ends_any_step() -> None:
    log = Log()
    with pytest.raises(InterruptedByUser):
        Plan("p", (log.step(0, lambda: send(times=2)),)).apply()
    assert log.events == ["do 0", "undo 0"]


def test_a_signal_in_the_last_step_counts() -> None:
    log = Log()
    with pytest.raises(InterruptedByUser):
        Plan("p", (log.step(0, send),)).apply()
    assert log.effects == []


def test_signals_do_not_disturb_the_undo() -> None:
    log = Log()

    def undo() -> None:
        send(signal.SIGINT, 3)
        send(signal.SIGTERM)
        log.events.append("undone")

    steps = (Step("create", "a", lambda: None, undo), log.step(1, PlatformError("broken")))
    with pytest.raises(PlatformError):
        Plan("p", steps).apply()
    assert log.events == ["do 1", "undo 1", "undone"]


def test_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    Plan("p", (Log().step(0),)).apply()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_ignored_signal_stays_ignored() -> None:
    log = Log()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        Plan("p", (log.step(0, lambda: send(signal.SIGHUP)),)).apply()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert log.effects == [0]


def test_what_could_not_be_undone_is_said_and_the_rest_is_undone() -> None:
    log = Log()
    steps = (log.step(0), log.step(1, undo_fault=OSError("stuck")), log.step(2, PlatformError("broken", "mend it")))
    with pytest.raises(PlatformError) as caught:
        Plan("p", steps).apply()
    assert caught.value.hint == "mend it; could not undo 'create thing 1': stuck"
    assert log.effects == [1]


def test_other_errors_pass_through() -> None:
    log = Log()
    with pytest.raises(ZeroDivisionError):
        Plan("p", (log.step(0, ZeroDivisionError()),)).apply()
    assert log.effects == []


def test_a_plan_prints_itself() -> None:
    plan = Plan("p", (Step("create", "a", lambda: None, detail="why"), Step("check", "b", lambda: None)))
    assert plan.lines() == ["create a: why", "check b"]
    assert plan.changed
    assert not Plan("p", plan.steps[1:]).changed
    assert not Plan("p").changed
