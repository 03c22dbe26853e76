"""GOAWAY frames are taken out of the stream, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.adaptors.http2_frames import LONGEST, PREFACE, FrameTooLongError, Goaway, GoawayFilter
from tests.routerd.adaptors.cuts import cut


def frame(kind: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, 0)) + (0).to_bytes(4) + payload


def goaway(last: int, code: int, words: bytes = b"") -> bytes:
    return frame(7, last.to_bytes(4) + code.to_bytes(4) + words)


def run(pieces: list[bytes], *, preface: bool = False) -> list[bytes | Goaway]:
    found: list[bytes | Goaway] = []
    feeder = GoawayFilter(preface=preface)
    for piece in pieces:
        for part in feeder.feed(piece):
            last = found[-1] if found else None
            if isinstance(part, bytes) and isinstance(last, bytes):
                found[-1] = last + part
            else:
                found.append(part)
    return found


frames = st.one_of(
    st.tuples(st.integers(0, 12).filter(lambda kind: kind != 7), st.binary(max_size=60)).map(lambda item: frame(*item)),
    st.tuples(st.integers(0, 0x7FFFFFFF), st.integers(0, 13), st.binary(max_size=20)),
)


@given(st.lists(frames, max_size=8), st.booleans(), st.data())
def test_frames_pass_however_they_are_cut(
    items: list[bytes | tuple[int, int, bytes]], preface: bool, data: st.DataObject
) -> None:
    expected: list[bytes | Goaway] = []
    wire = b""
    for item in [PREFACE, *items] if preface else items:
        if isinstance(item, tuple):
            wire += goaway(*item)
            expected.append(Goaway(item[0], item[1]))
            continue
        wire += item
        last = expected[-1] if expected else None
        if isinstance(last, bytes):
            expected[-1] = last + item
        else:
            expected.append(item)
    for pieces in ([wire], [wire[at : at + 1] for at in range(len(wire))], data.draw(cut(wire))):
        assert run(pieces, preface=preface) == expected


def test_odd_goaways_are_left_to_h2() -> None:
    short = frame(7, bytes(7))
    assert run([short]) == [short]


def test_long_frames_are_refused_by_their_header() -> None:
    longest = frame(0, bytes(LONGEST))
    assert run([longest]) == [longest]
    with pytest.raises(FrameTooLongError):
        run([longest + frame(0, bytes(LONGEST + 1))[:9]])


@given(st.binary(max_size=300), st.data())
def test_garbage_passes(garbage: bytes, data: st.DataObject) -> None:
    found = []
    for pieces in ([garbage], data.draw(cut(garbage))):
        try:
            found.append(run(pieces))
        except FrameTooLongError:
            found.append([])
    assert found[0] == found[1]
