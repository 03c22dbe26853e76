"""AMQP 1.0 types: Python values to octets and back.

Why: router messages begin with a section that general AMQP libraries drop, and routing messages must
match other routers octet for octet, so the router owns its codec (OASIS AMQP 1.0 part 1, sections 1.2-1.6).

What always holds:

* ``decode(encode(v))`` gives ``v`` back, wrapper types included.
* Any octets either decode or raise `CodecError`; nothing else escapes. Nesting (`MAX_DEPTH`) and the number of
  elements that occupy no octets (`MAX_EMPTY_ELEMENTS`) are bounded, so memory stays proportional to the input; so
  does time, since keys of maps are of types whose hashes a sender cannot make collide (few of them, for uuids).
* Scalars take their shortest form. Compound values take the 32-bit form, an empty list the form without
  octets: the choice of qpid-proton, hence of every router in the field.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

from skupper_podman.routerd.amqpencode import encode, encode_into
from skupper_podman.routerd.amqptypes import (
    MAX_DEPTH,
    MAX_EMPTY_ELEMENTS,
    MAX_UUID_KEYS,
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
)

__all__ = [
    "MAX_DEPTH",
    "MAX_EMPTY_ELEMENTS",
    "MAX_UUID_KEYS",
    "Array",
    "Buffer",
    "Byte",
    "Char",
    "CodecError",
    "Decimal",
    "DecodeError",
    "Described",
    "EncodeError",
    "Float",
    "Incomplete",
    "Int",
    "Short",
    "Symbol",
    "Timestamp",
    "UByte",
    "UInt",
    "ULong",
    "UShort",
    "decode",
    "encode",
    "encode_into",
]

Buffer: TypeAlias = bytes | bytearray | memoryview

_U8, _U16, _U32, _U64 = (struct.Struct(">" + c) for c in "BHIQ")
_S8, _S16, _S32, _S64 = (struct.Struct(">" + c) for c in "bhiq")
_F32, _F64 = struct.Struct(">f"), struct.Struct(">d")
_NO_OCTETS = frozenset((0x40, 0x41, 0x42, 0x43, 0x44, 0x45))

_NUMBERS = (int, UByte, UShort, UInt, ULong, Byte, Short, Int, Timestamp, float, Float)
_KEY_TYPES = frozenset((str, Symbol, Char, bytes, Decimal, bool, type(None), uuid.UUID, *_NUMBERS))

_Reader: TypeAlias = Callable[[Buffer, int, int, int], tuple[Any, int]]


def decode(buffer: Buffer, offset: int = 0) -> tuple[Any, int]:
    """Read one value at ``offset``; gives the value and the offset behind it.

    Raises `Incomplete` when the buffer ends inside the value and `DecodeError` when it is malformed.
    """
    return _read(buffer, offset, len(buffer), 0)


def _read(buffer: Buffer, pos: int, end: int, depth: int) -> tuple[Any, int]:
    if pos >= end:
        raise Incomplete("value expected")
    if depth > MAX_DEPTH:
        raise DecodeError(f"value nested deeper than {MAX_DEPTH}")
    code = buffer[pos]
    reader = _READERS.get(code)
    if reader is not None:
        return reader(buffer, pos + 1, end, depth)
    if code != 0:
        raise DecodeError(f"no type has the constructor 0x{code:02x}")
    descriptor, pos = _read(buffer, pos + 1, end, depth + 1)
    value, pos = _read(buffer, pos, end, depth + 1)
    return Described(descriptor, value), pos


def _constant(value: object) -> _Reader:
    def reader(_buffer: Buffer, pos: int, _end: int, _depth: int) -> tuple[Any, int]:
        return value, pos

    return reader


def _number(form: struct.Struct, wrap: Callable[[Any], Any] | None = None) -> _Reader:
    width = form.size

    def reader(buffer: Buffer, pos: int, end: int, _depth: int) -> tuple[Any, int]:
        after = pos + width
        if after > end:
            raise Incomplete("number cut short")
        value = form.unpack_from(buffer, pos)[0]
        return (value if wrap is None else wrap(value)), after

    return reader


def _octets(width: int, wrap: Callable[[bytes], Any]) -> _Reader:
    def reader(buffer: Buffer, pos: int, end: int, _depth: int) -> tuple[Any, int]:
        after = pos + width
        if after > end:
            raise Incomplete("value cut short")
        return wrap(bytes(buffer[pos:after])), after

    return reader


def _variable(width: int, wrap: Callable[[Buffer], Any]) -> _Reader:
    form = _U8 if width == 1 else _U32

    def reader(buffer: Buffer, pos: int, end: int, _depth: int) -> tuple[Any, int]:
        start = pos + width
        if start > end:
            raise Incomplete("size cut short")
        after = start + form.unpack_from(buffer, pos)[0]
        if after > end:
            raise Incomplete("value cut short")
        return wrap(buffer[start:after]), after

    return reader


def _bool(value: int) -> bool:
    if value > 1:
        raise DecodeError("boolean octet is neither 0 nor 1")
    return value == 1


def _text(octets: Buffer) -> str:
    try:
        return str(octets, "utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError(f"string is not UTF-8: {error.reason}") from None


def _symbol(octets: Buffer) -> Symbol:
    try:
        return Symbol(str(octets, "ascii"))
    except UnicodeDecodeError:
        raise DecodeError("symbol is not ASCII") from None


def _char(octets: bytes) -> Char:
    try:
        return Char(octets.decode("utf-32-be"))
    except UnicodeDecodeError:
        raise DecodeError("char is no Unicode scalar value") from None


_Content: TypeAlias = Callable[[Buffer, int, int, int, int], Any]


def _compound(width: int, content: _Content) -> _Reader:
    form = _U8 if width == 1 else _U32

    def reader(buffer: Buffer, pos: int, end: int, depth: int) -> tuple[Any, int]:
        start = pos + width
        if start > end:
            raise Incomplete("size cut short")
        after = start + form.unpack_from(buffer, pos)[0]
        if after > end:
            raise Incomplete("compound value cut short")
        if start + width > after:
            raise DecodeError("compound value too small for its count")
        count = form.unpack_from(buffer, start)[0]
        try:
            return content(buffer, start + width, after, count, depth + 1), after
        except Incomplete as error:
            raise DecodeError(f"element exceeds its compound value: {error}") from None

    return reader


def _read_list(buffer: Buffer, pos: int, end: int, count: int, depth: int) -> list[Any]:
    if count > end - pos:
        raise DecodeError("list count exceeds its size")
    items = []
    for _ in range(count):
        item, pos = _read(buffer, pos, end, depth)
        items.append(item)
    if pos != end:
        raise DecodeError("list size exceeds its elements")
    return items


def _read_map(buffer: Buffer, pos: int, end: int, count: int, depth: int) -> dict[Any, Any]:
    items = _read_list(buffer, pos, end, count, depth)
    if count % 2:
        raise DecodeError("map with a key without value")
    keys = items[::2]
    kinds = set(map(type, keys))
    if not kinds <= _KEY_TYPES:
        # An array or a described value hashes as its content, which its sender chooses.
        raise DecodeError("map key is a compound value")
    if uuid.UUID in kinds and sum(type(key) is uuid.UUID for key in keys) > MAX_UUID_KEYS:
        raise DecodeError(f"map with more than {MAX_UUID_KEYS} uuids as keys")
    return dict(zip(keys, items[1::2], strict=True))


def _read_array(buffer: Buffer, pos: int, end: int, count: int, depth: int) -> Array:
    if pos >= end:
        raise DecodeError("array without constructor")
    descriptor = None
    if buffer[pos] == 0:
        descriptor, pos = _read(buffer, pos + 1, end, depth)
        if pos >= end:
            raise DecodeError("array without constructor")
    code = buffer[pos]
    reader = _READERS.get(code)
    if reader is None:
        raise DecodeError(f"no type has the constructor 0x{code:02x}")
    if depth > MAX_DEPTH:
        raise DecodeError(f"value nested deeper than {MAX_DEPTH}")
    pos += 1
    if count > (MAX_EMPTY_ELEMENTS if code in _NO_OCTETS else end - pos):
        raise DecodeError("array count exceeds its size")
    items = []
    for _ in range(count):
        item, pos = reader(buffer, pos, end, depth)
        items.append(item)
    if pos != end:
        raise DecodeError("array size exceeds its elements")
    return Array(code, tuple(items), descriptor)


def _read_list0(_buffer: Buffer, pos: int, _end: int, _depth: int) -> tuple[Any, int]:
    return [], pos


_READERS: dict[int, _Reader] = {
    0x40: _constant(None),
    0x41: _constant(True),
    0x42: _constant(False),
    0x43: _constant(UInt(0)),
    0x44: _constant(ULong(0)),
    0x45: _read_list0,
    0x50: _number(_U8, UByte),
    0x51: _number(_S8, Byte),
    0x52: _number(_U8, UInt),
    0x53: _number(_U8, ULong),
    0x54: _number(_S8, Int),
    0x55: _number(_S8),
    0x56: _number(_U8, _bool),
    0x60: _number(_U16, UShort),
    0x61: _number(_S16, Short),
    0x70: _number(_U32, UInt),
    0x71: _number(_S32, Int),
    0x72: _number(_F32, Float),
    0x73: _octets(4, _char),
    0x74: _octets(4, Decimal),
    0x80: _number(_U64, ULong),
    0x81: _number(_S64),
    0x82: _number(_F64),
    0x83: _number(_S64, Timestamp),
    0x84: _octets(8, Decimal),
    0x94: _octets(16, Decimal),
    0x98: _octets(16, lambda octets: uuid.UUID(bytes=octets)),
    0xA0: _variable(1, bytes),
    0xA1: _variable(1, _text),
    0xA3: _variable(1, _symbol),
    0xB0: _variable(4, bytes),
    0xB1: _variable(4, _text),
    0xB3: _variable(4, _symbol),
    0xC0: _compound(1, _read_list),
    0xC1: _compound(1, _read_map),
    0xD0: _compound(4, _read_list),
    0xD1: _compound(4, _read_map),
    0xE0: _compound(1, _read_array),
    0xF0: _compound(4, _read_array),
}
