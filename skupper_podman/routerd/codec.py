"""AMQP 1.0 types: Python values to octets and back.

Why: router messages begin with a section that general AMQP libraries drop, and routing messages must
match other routers octet for octet, so the router owns its codec (OASIS AMQP 1.0 part 1, sections 1.2-1.6).

What always holds:

* ``decode(encode(v))`` gives ``v`` back, wrapper types included.
* Any octets either decode or raise `CodecError`; nothing else escapes. Nesting (`MAX_DEPTH`) and the number of
  elements that occupy no octets (`MAX_EMPTY_ELEMENTS`) are bounded, so memory stays proportional to the input.
* Scalars take their shortest form. Compound values take the 32-bit form, an empty list the form without
  octets: the choice of qpid-proton, hence of every router in the field.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from skupper_podman.routerd.amqptypes import (
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

MAX_DEPTH = 32
"""Most lists, maps, arrays and described values that may enclose a value."""

MAX_EMPTY_ELEMENTS = 256
"""Most elements of an array whose constructor needs no octets per element."""


_U8, _U16, _U32, _U64 = (struct.Struct(">" + c) for c in "BHIQ")
_S8, _S16, _S32, _S64 = (struct.Struct(">" + c) for c in "bhiq")
_F32, _F64 = struct.Struct(">f"), struct.Struct(">d")
_COMPOUND = struct.Struct(">BII")
_CODE_U8 = struct.Struct(">BB")
_CODE_U32 = struct.Struct(">BI")

# ---------------------------------------------------------------------------------------------- encoding

_Encoder: TypeAlias = Callable[[bytearray, Any, int], None]


def encode(value: object) -> bytes:
    """Octets of one value.

    Python's own types map to null, boolean, long, double, string, binary, map, list and uuid; every other AMQP
    type has a wrapper in this module. Raises `EncodeError` for values outside their type's range, for other
    Python types and for nesting beyond `MAX_DEPTH`.
    """
    out = bytearray()
    encode_into(out, value)
    return bytes(out)


def encode_into(out: bytearray, value: object, depth: int = 0) -> None:
    """Append the octets of ``value`` to ``out``; on `EncodeError` ``out`` may hold a part of them."""
    encoder = _ENCODERS.get(type(value)) or _inherited_encoder(value)
    if depth > MAX_DEPTH:
        raise EncodeError(f"value nested deeper than {MAX_DEPTH}")
    try:
        encoder(out, value, depth)
    except struct.error as error:
        raise EncodeError(f"{type(value).__name__} out of range: {error}") from None
    except UnicodeEncodeError as error:
        raise EncodeError(f"text has no encoding: {error.reason}") from None


def _inherited_encoder(value: object) -> _Encoder:
    for base in type(value).__mro__:
        encoder = _ENCODERS.get(base)
        if encoder is not None:
            return encoder
    raise EncodeError(f"{type(value).__name__} has no AMQP type")


def _fixed(code: int, form: struct.Struct) -> _Encoder:
    def encoder(out: bytearray, value: Any, _depth: int) -> None:
        octets = form.pack(value)
        out.append(code)
        out += octets

    return encoder


def _put_bool(out: bytearray, value: bool, _depth: int) -> None:
    out.append(0x41 if value else 0x42)


def _unsigned(zero: int, small: int, large: int, form: struct.Struct) -> _Encoder:
    def encoder(out: bytearray, value: int, _depth: int) -> None:
        if value == 0:
            out.append(zero)
        elif 0 < value < 256:
            out += _CODE_U8.pack(small, value)
        else:
            octets = form.pack(value)
            out.append(large)
            out += octets

    return encoder


def _signed(small: int, large: int, form: struct.Struct) -> _Encoder:
    def encoder(out: bytearray, value: int, _depth: int) -> None:
        if -128 <= value < 128:
            out += _CODE_U8.pack(small, value & 0xFF)
        else:
            octets = form.pack(value)
            out.append(large)
            out += octets

    return encoder


def _put_variable(out: bytearray, short: int, long: int, octets: bytes) -> None:
    size = len(octets)
    out += _CODE_U8.pack(short, size) if size < 256 else _CODE_U32.pack(long, size)
    out += octets


def _put_string(out: bytearray, value: str, _depth: int) -> None:
    _put_variable(out, 0xA1, 0xB1, value.encode())


def _put_symbol(out: bytearray, value: str, _depth: int) -> None:
    _put_variable(out, 0xA3, 0xB3, value.encode("ascii"))


def _put_binary(out: bytearray, value: bytes, _depth: int) -> None:
    _put_variable(out, 0xA0, 0xB0, value)


def _put_char(out: bytearray, value: str, _depth: int) -> None:
    if len(value) != 1:
        raise EncodeError("a char is exactly one character")
    out.append(0x73)
    out += value.encode("utf-32-be")


_DECIMAL_CODES = {4: 0x74, 8: 0x84, 16: 0x94}


def _put_decimal(out: bytearray, value: bytes, _depth: int) -> None:
    code = _DECIMAL_CODES.get(len(value))
    if code is None:
        raise EncodeError("a decimal has 4, 8 or 16 octets")
    out.append(code)
    out += value


def _put_uuid(out: bytearray, value: uuid.UUID, _depth: int) -> None:
    out.append(0x98)
    out += value.bytes


def _put_list(out: bytearray, value: list[Any] | tuple[Any, ...], depth: int) -> None:
    if not value:
        out.append(0x45)
        return
    start = _open_compound(out)
    for item in value:
        encode_into(out, item, depth + 1)
    _close_compound(out, start, 0xD0, len(value))


def _put_map(out: bytearray, value: Mapping[Any, Any], depth: int) -> None:
    start = _open_compound(out)
    for key, item in value.items():
        encode_into(out, key, depth + 1)
        encode_into(out, item, depth + 1)
    _close_compound(out, start, 0xD1, 2 * len(value))


def _open_compound(out: bytearray) -> int:
    start = len(out)
    out += bytes(9)
    return start


def _close_compound(out: bytearray, start: int, code: int, count: int) -> None:
    _COMPOUND.pack_into(out, start, code, len(out) - start - 5, count)


def _put_described(out: bytearray, value: Described, depth: int) -> None:
    out.append(0x00)
    encode_into(out, value.descriptor, depth + 1)
    encode_into(out, value.value, depth + 1)


def _put_array(out: bytearray, value: Array, depth: int) -> None:
    start = _open_compound(out)
    if value.descriptor is not None:
        out.append(0x00)
        encode_into(out, value.descriptor, depth + 1)
    out.append(value.code)
    if value.code not in _READERS:
        raise EncodeError(f"no type has the constructor 0x{value.code:02x}")
    if value.code in _NO_OCTETS and len(value.items) > MAX_EMPTY_ELEMENTS:
        raise EncodeError(f"array of more than {MAX_EMPTY_ELEMENTS} elements without octets")
    for item in value.items:
        out += _element(value.code, item, depth + 1)
    _close_compound(out, start, 0xF0, len(value.items))


def _element(code: int, item: object, depth: int) -> bytes:
    """Octets of one array element: its value in the form of ``code``, without the constructor."""
    scratch = bytearray()
    encode_into(scratch, item, depth)
    own = scratch[0]
    if own == code:
        return bytes(scratch[1:])
    if _FAMILIES.get(own) != _FAMILIES.get(code, -1):
        raise EncodeError(f"{type(item).__name__} in an array of constructor 0x{code:02x}")
    return _reform(code, own, scratch, item)


def _reform(code: int, own: int, scratch: bytearray, item: Any) -> bytes:
    """Re-encode a scalar, string or compound of the same type in the width that ``code`` demands."""
    form = _NUMERIC_FORMS.get(code)
    if form is not None:
        return form.pack(item)
    if code in _NO_OCTETS or code in _SHORT_VARIABLE:
        raise EncodeError("element does not fit the constructor of its array")
    if code in _LONG_VARIABLE:
        return _U32.pack(len(scratch) - 2) + bytes(scratch[2:])
    if own == 0x45:
        return b"\x01\x00" if code == 0xC0 else _COMPOUND.pack(0, 4, 0)[1:]
    size, count = len(scratch) - 9, _U32.unpack_from(scratch, 5)[0]
    if code in _SHORT_COMPOUND and size < 255 and count < 256:
        return bytes((size + 1, count)) + bytes(scratch[9:])
    raise EncodeError("element does not fit the constructor of its array")


_ENCODERS: dict[type, _Encoder] = {
    type(None): lambda out, _value, _depth: out.append(0x40),
    bool: _put_bool,
    int: _signed(0x55, 0x81, _S64),
    float: _fixed(0x82, _F64),
    str: _put_string,
    bytes: _put_binary,
    bytearray: _put_binary,
    memoryview: lambda out, value, depth: _put_binary(out, bytes(value), depth),
    dict: _put_map,
    list: _put_list,
    tuple: _put_list,
    uuid.UUID: _put_uuid,
    Symbol: _put_symbol,
    Char: _put_char,
    UByte: _fixed(0x50, _U8),
    UShort: _fixed(0x60, _U16),
    UInt: _unsigned(0x43, 0x52, 0x70, _U32),
    ULong: _unsigned(0x44, 0x53, 0x80, _U64),
    Byte: _fixed(0x51, _S8),
    Short: _fixed(0x61, _S16),
    Int: _signed(0x54, 0x71, _S32),
    Timestamp: _fixed(0x83, _S64),
    Float: _fixed(0x72, _F32),
    Decimal: _put_decimal,
    Described: _put_described,
    Array: _put_array,
}

# ---------------------------------------------------------------------------------------------- decoding

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
    try:
        return dict(zip(items[::2], items[1::2], strict=True))
    except TypeError:
        raise DecodeError("map key is a compound value") from None


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

# Constructors of one type: what an array may hold elements of, whatever form a lone value would take.
_NO_OCTETS = frozenset((0x40, 0x41, 0x42, 0x43, 0x44, 0x45))
_SHORT_VARIABLE, _LONG_VARIABLE = frozenset((0xA0, 0xA1, 0xA3)), frozenset((0xB0, 0xB1, 0xB3))
_SHORT_COMPOUND = frozenset((0xC0, 0xC1, 0xE0))
_TYPE_FORMS = (
    (0x41, 0x42, 0x56), (0x43, 0x52, 0x70), (0x44, 0x53, 0x80), (0x54, 0x71), (0x55, 0x81), (0xA0, 0xB0),
    (0xA1, 0xB1), (0xA3, 0xB3), (0x45, 0xC0, 0xD0), (0xC1, 0xD1), (0xE0, 0xF0),
)  # fmt: skip
_FAMILIES = {code: family for family, codes in enumerate(_TYPE_FORMS) for code in codes}
_NUMERIC_FORMS = {
    0x52: _U8, 0x53: _U8, 0x54: _S8, 0x55: _S8, 0x56: _U8, 0x70: _U32, 0x71: _S32, 0x80: _U64, 0x81: _S64,
}  # fmt: skip
