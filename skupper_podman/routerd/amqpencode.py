"""The encoding half of `codec`: Python values to AMQP 1.0 octets.

Why: see `codec`, which is what others import; the halves are apart only because neither needs the other.

What always holds: output is what `codec.decode` reads back as the same value, or `EncodeError` is raised.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from skupper_podman.routerd.amqptypes import (
    MAX_DEPTH,
    MAX_EMPTY_ELEMENTS,
    Array,
    Byte,
    Char,
    Decimal,
    Described,
    EncodeError,
    Float,
    Int,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

_U8, _U32, _U64 = struct.Struct(">B"), struct.Struct(">I"), struct.Struct(">Q")
_S8, _S32, _S64 = struct.Struct(">b"), struct.Struct(">i"), struct.Struct(">q")
_U16, _S16 = struct.Struct(">H"), struct.Struct(">h")
_F32, _F64 = struct.Struct(">f"), struct.Struct(">d")
_COMPOUND = struct.Struct(">BII")
_CODE_U8 = struct.Struct(">BB")
_CODE_U32 = struct.Struct(">BI")

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
_CONSTRUCTORS = frozenset(_FAMILIES) | {
    0x40, 0x50, 0x51, 0x60, 0x61, 0x72, 0x73, 0x74, 0x82, 0x83, 0x84, 0x94, 0x98,
}  # fmt: skip

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
    if value.code not in _CONSTRUCTORS:
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
