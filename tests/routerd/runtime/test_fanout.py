"""Copies of one message and their common outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.amqp.wire import ACCEPTED, MODIFIED, REJECTED, RELEASED
from skupper_podman.routerd.fanout import FanOut
from skupper_podman.routerd.message import Head, RouterAnnotations
from skupper_podman.routerd.streams import Chunk, Outcome, Source, Start


class Taker:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.source: Source | None = None
        self.octets = b""
        self.ended = ""
        self.full = False

    def congested(self) -> bool:
        return self.full

    def begin(self, start: Start, source: Source) -> None:
        self.source = source
        self.octets += bytes(start.rest)

    def write(self, chunk: Chunk) -> None:
        self.octets += bytes(chunk)

    def finish(self) -> None:
        self.ended = "finished"

    def abort(self) -> None:
        self.ended = "aborted"


class Giver:
    """A source that remembers."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.resumed = 0

    def received(self, offset: int) -> None:
        raise AssertionError("one copy's progress is not passed on")

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def resume(self) -> None:
        self.resumed += 1


def begun(count: int) -> tuple[FanOut, list[Taker], Giver]:
    takers, giver = [Taker() for _ in range(count)], Giver()
    fan = FanOut(list(takers))
    fan.begin(Start(Head(), RouterAnnotations(), b"head", 4, settled=False, complete=False), giver)
    return fan, takers, giver


@given(st.lists(st.sampled_from([ACCEPTED, REJECTED, RELEASED, MODIFIED]), min_size=2, max_size=6))
def test_one_outcome_after_all_copies(states: list[int]) -> None:
    _, takers, giver = begun(len(states))
    for taker, state in zip(takers, states, strict=True):
        assert giver.outcomes == []
        assert taker.source is not None
        taker.source.received(5)
        taker.source.outcome(Outcome(state, False))
        taker.source.outcome(Outcome(state, True))
        taker.source.outcome(Outcome(state, True))
    order = [REJECTED, ACCEPTED, MODIFIED, RELEASED]
    assert [outcome.state for outcome in giver.outcomes] == [next(state for state in order if state in states)]
    assert giver.outcomes[0].settled


def test_every_copy_gets_every_octet() -> None:
    fan, takers, _ = begun(3)
    fan.write(memoryview(b"-body"))
    fan.finish()
    assert [(taker.octets, taker.ended) for taker in takers] == [(b"head-body", "finished")] * 3


@pytest.mark.parametrize("slow", range(2))
def test_the_slowest_copy_sets_the_pace(slow: int) -> None:
    fan, takers, giver = begun(2)
    takers[slow].full = True
    assert fan.congested()
    assert takers[slow].source is not None
    takers[slow].source.resume()
    assert giver.resumed == 1
    fan.abort()
    assert [taker.ended for taker in takers] == ["aborted", "aborted"]
