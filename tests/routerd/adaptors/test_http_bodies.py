"""Chunked coding and footers: whole, cut anywhere, and broken."""

from __future__ import annotations

import contextlib

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.adaptors.http_bodies import (
    MAX_SIZE_LINE,
    MAX_TRAILERS,
    BodyError,
    ChunkDecoder,
    FooterReader,
    chunk,
    data_section,
    footer_section,
    last_chunk,
    map_of,
)
from skupper_podman.routerd.codec import CodecError, Symbol, encode
from skupper_podman.routerd.sections import map_pairs
from tests.routerd.adaptors.cuts import cut

names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(str.encode)
values = st.text("abcXYZ 0123=;", max_size=20).map(lambda text: text.strip().encode())
trailers = st.lists(st.tuples(names, values), max_size=4)


def decoded(pieces: list[bytes]) -> tuple[bytes, list[tuple[bytes, bytes]], bool]:
    decoder = ChunkDecoder()
    body = b"".join(bytes(part) for piece in pieces for part in decoder.feed(piece))
    return body, decoder.trailers, decoder.done


@given(st.lists(st.binary(max_size=300)), trailers, st.data())
def test_chunks_pass_however_they_are_cut(
    parts: list[bytes], ends: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    wire = b"".join(map(chunk, parts)) + last_chunk(ends)
    expected = (b"".join(parts), ends, True)
    assert decoded([wire]) == expected
    assert decoded([wire[at : at + 1] for at in range(len(wire))]) == expected
    assert decoded(data.draw(cut(wire))) == expected


@given(st.lists(st.binary(min_size=1, max_size=300)), trailers)
def test_h11_agrees(parts: list[bytes], ends: list[tuple[bytes, bytes]]) -> None:
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Transfer-Encoding", "chunked")]))
    wire = b"".join(http.send(h11.Data(data=part)) or b"" for part in parts)
    assert wire == b"".join(map(chunk, parts))
    wire += http.send(h11.EndOfMessage(headers=ends)) or b""
    assert decoded([wire]) == (b"".join(parts), ends, True)


@pytest.mark.parametrize(
    "wire",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"5 5\r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\nhelloo\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"1" * 16 + b"\r\n",
        b"0\r\n no name\r\n",
        b"0\r\nname : value\r\n",
        b"0\r\nnothing\r\n",
        b"0\r\n\r\nmore",
        b"1;" + b"x" * (MAX_SIZE_LINE + 1),
        b"0\r\na: " + b"x" * (MAX_TRAILERS + 1),
        b"0\r\n" + b"a: b\r\n" * 4000,
    ],
)
def test_broken_chunks_are_refused(wire: bytes) -> None:
    with pytest.raises(BodyError):
        decoded([wire])
    with pytest.raises(BodyError):
        decoded([wire[at : at + 1] for at in range(len(wire))])


def test_extensions_are_dropped() -> None:
    assert decoded([b"3;name=value\r\nabc\r\n0;last\r\n\r\n"]) == (b"abc", [], True)


@given(st.binary(max_size=200), st.data())
def test_garbage_raises_nothing_else(garbage: bytes, data: st.DataObject) -> None:
    results = []
    for pieces in ([garbage], [garbage[at : at + 1] for at in range(len(garbage))], data.draw(cut(garbage))):
        try:
            results.append(decoded(pieces))
        except BodyError:
            results.append(None)
    assert results.count(results[0]) == len(results)


pairs = st.lists(st.tuples(st.text(max_size=10), st.text(max_size=300)), max_size=8)


@given(pairs)
def test_maps_keep_order_and_repetitions(items: list[tuple[str, str]]) -> None:
    assert map_pairs(map_of(items)) == items
    body = b"".join(encode(item) for pair in items for item in pair)
    assert map_of(items) == b"\xd1" + (len(body) + 4).to_bytes(4) + (2 * len(items)).to_bytes(4) + body
    symbols = [(Symbol("set-cookie"), "a"), (Symbol("set-cookie"), "b")]
    assert map_pairs(map_of(symbols)) == symbols
    assert {type(key) for key, _ in map_pairs(map_of(symbols))} == {Symbol}


@given(st.binary(max_size=100))
def test_map_of_garbage(garbage: bytes) -> None:
    with contextlib.suppress(CodecError):
        map_pairs(garbage)


@given(st.lists(st.binary(max_size=300), max_size=5), pairs, st.data())
def test_footers_are_read_however_they_are_cut(
    parts: list[bytes], items: list[tuple[str, str]], data: st.DataObject
) -> None:
    wire = b"".join(map(data_section, parts)) + footer_section(items)
    for pieces in ([wire], [wire[at : at + 1] for at in range(len(wire))], data.draw(cut(wire))):
        reader = FooterReader()
        assert b"".join(bytes(part) for piece in pieces for part in reader.feed(piece)) == b"".join(parts)
        assert reader.footer == items


def test_no_footer_and_half_a_footer() -> None:
    reader = FooterReader()
    reader.feed(data_section(b"x"))
    assert reader.footer == []
    reader.feed(footer_section([("a", "b")])[:-1])
    with pytest.raises(CodecError):
        _ = reader.footer


def test_endless_footer_is_refused() -> None:
    reader = FooterReader()
    reader.feed(footer_section([])[:3])
    with pytest.raises(CodecError):
        for _ in range(10):
            reader.feed(bytes(10_000))
