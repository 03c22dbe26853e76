"""Python forms of the AMQP 1.0 types that Python lacks, and the codec's errors.

Why: `codec` gives values back as they were on the wire; a plain int could not tell an AMQP int from a long.

What always holds: every wrapper equals (and hashes as) the plain value it wraps, so ``body["id"]`` finds the
string key as well as the symbol key, and an ``Int(1)`` compares equal to 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 32
"""Most lists, maps, arrays and described values that may enclose a value."""

MAX_EMPTY_ELEMENTS = 256
"""Most elements of an array whose constructor needs no octets per element."""

MAX_UUID_KEYS = 64
"""Most uuids among the keys of a map: their hashes are not salted, so that whoever sends many can make them collide."""


class CodecError(ValueError):
    """Octets or a value that AMQP 1.0 does not allow, or that exceed a limit of this codec."""


class EncodeError(CodecError):
    """A Python value without an AMQP representation."""


class DecodeError(CodecError):
    """Octets that are no AMQP value, whatever may follow them."""


class Incomplete(CodecError):  # noqa: N818 - not a fault: the normal state of a stream
    """Octets that end before the value does; more octets may make it a value."""


class Symbol(str):
    """AMQP symbol; equal to the str of the same text, so that either works as a key."""

    __slots__ = ()


class Char(str):
    """AMQP char: one Unicode scalar value."""

    __slots__ = ()


class UByte(int):
    """AMQP ubyte, 0 to 255."""

    __slots__ = ()


class UShort(int):
    """AMQP ushort, 0 to 65535."""

    __slots__ = ()


class UInt(int):
    """AMQP uint, 32 bits unsigned."""

    __slots__ = ()


class ULong(int):
    """AMQP ulong, 64 bits unsigned."""

    __slots__ = ()


class Byte(int):
    """AMQP byte, -128 to 127."""

    __slots__ = ()


class Short(int):
    """AMQP short, 16 bits signed."""

    __slots__ = ()


class Int(int):
    """AMQP int, 32 bits signed."""

    __slots__ = ()


class Timestamp(int):
    """AMQP timestamp: milliseconds since the epoch."""

    __slots__ = ()


class Float(float):
    """AMQP float, IEEE 754 binary32; the value is rounded to it when encoded."""

    __slots__ = ()


class Decimal(bytes):
    """AMQP decimal32, decimal64 or decimal128 as its 4, 8 or 16 octets, uninterpreted."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A value with a descriptor, normally a `ULong` code or a `Symbol`."""

    descriptor: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Array:
    """Elements of one type: ``code`` is the element constructor of the wire, for example 0xA3 for short symbols.

    ``descriptor`` describes every element when it is not None.
    """

    code: int
    items: tuple[Any, ...]
    descriptor: Any = None

    @classmethod
    def of_symbols(cls, names: Iterable[str]) -> Array:
        """Array of symbols in the short form; each name has at most 255 octets."""
        return cls(0xA3, tuple(Symbol(name) for name in names))
