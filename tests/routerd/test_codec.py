"""The AMQP codec: every value round-trips, garbage raises CodecError only, proton agrees."""

from __future__ import annotations

import contextlib
import math
import struct
import uuid
from typing import Any

import proton
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.codec import (
    MAX_DEPTH,
    Array,
    Byte,
    Char,
    CodecError,
    Decimal,
    DecodeError,
    Described,
    EncodeError,
    Float,
    Incomplete,
    Int,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
    decode,
    encode,
)


def integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low = -(1 << (bits - 1)) if signed else 0
    return st.integers(low, low + (1 << bits) - 1)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    integers(64, True),
    st.floats(allow_nan=False),
    st.floats(width=32, allow_nan=False).map(Float),
    st.text(max_size=300),
    st.binary(max_size=300),
    st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol),
    st.characters(exclude_categories=("Cs",)).map(Char),
    st.uuids(),
    integers(8, False).map(UByte),
    integers(16, False).map(UShort),
    integers(32, False).map(UInt),
    integers(64, False).map(ULong),
    integers(8, True).map(Byte),
    integers(16, True).map(Short),
    integers(32, True).map(Int),
    integers(64, True).map(Timestamp),
    st.sampled_from((4, 8, 16)).flatmap(lambda n: st.binary(min_size=n, max_size=n)).map(Decimal),
)
ARRAYS = st.one_of(
    st.lists(integers(64, True)).map(lambda items: Array(0x81, tuple(items))),
    st.lists(integers(8, True)).map(lambda items: Array(0x55, tuple(items))),
    st.lists(integers(32, False).map(UInt)).map(lambda items: Array(0x70, tuple(items), ULong(7))),
    st.lists(st.text(max_size=20)).map(lambda items: Array(0xB1, tuple(items))),
    st.lists(st.text("abc", max_size=20)).map(lambda items: Array.of_symbols(items)),
    st.lists(st.booleans()).map(lambda items: Array(0x56, tuple(items))),
    st.lists(st.lists(st.booleans(), max_size=3), max_size=4).map(lambda items: Array(0xC0, tuple(items))),
    st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=4).map(lambda items: Array(0xD0, tuple(items))),
    st.integers(0, 9).map(lambda n: Array(0x40, (None,) * n)),
)
KEYS = st.one_of(st.text(max_size=8), st.text("xyz", max_size=8).map(Symbol), integers(64, False).map(ULong))
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(KEYS, inner, max_size=5),
        st.builds(Described, st.one_of(integers(64, False).map(ULong), st.just(Symbol("a:b"))), inner),
    ),
    max_leaves=12,
)


def same(left: Any, right: Any) -> bool:
    """Equality that also compares the AMQP types of everything inside."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            same(a, b) and same(left[a], right[b]) for a, b in zip(left, right, strict=True)
        )
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Described):
        return same(left.descriptor, right.descriptor) and same(left.value, right.value)
    if isinstance(left, Array):
        return left.code == right.code and same(left.items, right.items) and same(left.descriptor, right.descriptor)
    if isinstance(left, float):
        return struct.pack(">d", left) == struct.pack(">d", right)
    return bool(left == right)


@given(VALUES)
def test_every_value_round_trips(value: Any) -> None:
    octets = encode(value)
    decoded, end = decode(octets)
    assert end == len(octets)
    assert same(decoded, value)


@given(VALUES, st.binary(max_size=5))
def test_decoding_starts_at_the_offset_and_stops_at_the_value(value: Any, around: bytes) -> None:
    octets = encode(value)
    decoded, end = decode(memoryview(around + octets + around), len(around))
    assert end == len(around) + len(octets)
    assert same(decoded, value)


@given(VALUES)
def test_every_proper_prefix_is_incomplete(value: Any) -> None:
    octets = encode(value)
    for length in range(min(len(octets), 200)):
        with pytest.raises(Incomplete):
            decode(octets[:length])


@given(st.binary(max_size=120))
def test_garbage_raises_codec_error_only(octets: bytes) -> None:
    try:
        value, end = decode(octets)
    except CodecError:
        return
    assert end <= len(octets)
    assert same_or_nan(decode(encode(value))[0], value)


@given(VALUES, st.data())
def test_damaged_values_raise_codec_error_only(value: Any, data: st.DataObject) -> None:
    octets = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CodecError):
        decode(bytes(octets))


def same_or_nan(left: Any, right: Any) -> bool:
    return same(left, right) or "nan" in repr(left)


PROTON_TYPES = {
    Symbol: proton.symbol,
    Char: proton.char,
    UByte: proton.ubyte,
    UShort: proton.ushort,
    UInt: proton.uint,
    ULong: proton.ulong,
    Byte: proton.byte,
    Short: proton.short,
    Int: proton.int32,
    Timestamp: proton.timestamp,
    Float: proton.float32,
}


def to_proton(value: Any) -> Any:
    if isinstance(value, Described):
        return proton.Described(to_proton(value.descriptor), to_proton(value.value))
    if isinstance(value, list):
        return [to_proton(item) for item in value]
    if isinstance(value, dict):
        return {to_proton(key): to_proton(item) for key, item in value.items()}
    wrap = PROTON_TYPES.get(type(value))
    return wrap(value) if wrap else value


def has_no(value: Any, *kinds: type) -> bool:
    if isinstance(value, kinds):
        return False
    if isinstance(value, Described):
        return has_no(value.value, *kinds)
    if isinstance(value, list):
        return all(has_no(item, *kinds) for item in value)
    return not isinstance(value, dict) or all(has_no(item, *kinds) for item in value.values())


@given(VALUES.filter(lambda value: has_no(value, Array, Decimal)))
def test_proton_writes_the_same_octets(value: Any) -> None:
    data = proton.Data()
    data.put_object(to_proton(value))
    assert encode(value) == data.encode()


@given(VALUES.filter(lambda value: has_no(value, Decimal)))
def test_proton_reads_every_value(value: Any) -> None:
    octets = encode(value)
    assert proton.Data().decode(octets) == len(octets)


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (None, "40"),
        (True, "41"),
        (1, "5501"),
        (-129, "81ffffffffffffff7f"),
        (UInt(0), "43"),
        (UInt(255), "52ff"),
        (ULong(0x534B50522D2D5241), "80534b50522d2d5241"),
        (Int(1795169414), "716b001c86"),
        ("id", "a1026964"),
        (Symbol("id"), "a3026964"),
        (b"", "a000"),
        ([], "45"),
        (["F", "B", "P"], "d00000000d00000003a10146a10142a10150"),
        ({}, "d10000000400000000"),
        (uuid.UUID(int=1), "98" + "00" * 15 + "01"),
    ],
)
def test_octets_of(value: Any, octets: str) -> None:
    assert encode(value).hex() == octets


@pytest.mark.parametrize(
    "octets", ["3f", "4180", "a180ff", "c00101", "c00202ff", "5602", "c10301404040", "e00100", "a301ff", "7300110000"]
)
def test_malformed_octets(octets: str) -> None:
    raw = bytes.fromhex(octets)
    if octets == "4180":
        assert decode(raw) == (True, 1)
    elif octets == "a180ff":
        with pytest.raises(Incomplete):
            decode(raw)
    else:
        with pytest.raises(DecodeError):
            decode(raw)


def test_integers_out_of_range_are_refused() -> None:
    for value in (1 << 63, UInt(-1), UInt(1 << 32), ULong(1 << 64), Int(1 << 31), UByte(256), Char("ab"), object()):
        with pytest.raises(EncodeError):
            encode(value)
    with pytest.raises(EncodeError):
        encode("\ud800")
    with pytest.raises(EncodeError):
        encode(Symbol("é"))


def test_nesting_is_bounded_alike_in_both_directions() -> None:
    value: Any = None
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode(encode(value))[0] == value
    with pytest.raises(EncodeError):
        encode([value])
    deep = b"\x00\x53\x01" * 5000 + b"\x40"
    with pytest.raises(DecodeError):
        decode(deep)


def test_an_array_cannot_claim_elements_without_octets() -> None:
    with pytest.raises(DecodeError):
        decode(bytes.fromhex("f000000005ffffffff40"))
    with pytest.raises(DecodeError):
        decode(bytes.fromhex("f000000005ffffffff70"))


def test_array_elements_must_fit_the_constructor() -> None:
    for array in (
        Array(0x55, (1000,)),
        Array(0xA3, (Symbol("x" * 300),)),
        Array(0x41, (False,)),
        Array(0x70, ("text",)),
        Array(0x3F, ()),
    ):
        with pytest.raises(EncodeError):
            encode(array)


def test_nan_survives() -> None:
    assert math.isnan(decode(encode(math.nan))[0])
