"""The narrow waist to proton's C engine: the cffi library, its constants, and values in and out of it.

Why not the proton package's classes: each event would build several Python wrappers around C
pointers; here the pointers themselves (cffi objects, hashable by address) are the keys of our
dictionaries. What always holds: nothing here keeps a pointer; strings that C returns are copied at
once; AMQP values pass as octets of our own codec, so their exact types survive in both directions.
"""

from __future__ import annotations

import base64
import os
from typing import Any, Final

import cproton  # noqa: F401 - initialises the library as a side effect
from cproton_ffi import ffi as ffi
from cproton_ffi import lib as lib

from skupper_podman.routerd.amqptypes import Array
from skupper_podman.routerd.codec import CodecError, Symbol, decode, encode

Pointer = Any
"""A cffi pointer into proton; it compares and hashes by address."""

NULL: Final[Pointer] = ffi.NULL

RECEIVED: Final[int] = lib.PN_RECEIVED
ACCEPTED: Final[int] = lib.PN_ACCEPTED
REJECTED: Final[int] = lib.PN_REJECTED
RELEASED: Final[int] = lib.PN_RELEASED
MODIFIED: Final[int] = lib.PN_MODIFIED

END_OF_STREAM: Final = -1
ABORTED: Final = -11

#: Octets read from or given to a socket in one system call.
READ_SIZE: Final = 256 * 1024
WRITE_SIZE: Final = 256 * 1024

# One buffer each for all connections: the loop has one thread, and no buffer's content outlives a callback.
receive_buffer: Final[Pointer] = ffi.new("char[]", READ_SIZE)
receive_view: Final[memoryview] = memoryview(ffi.buffer(receive_buffer))
send_buffer: Final[Pointer] = ffi.new("char[]", WRITE_SIZE)
send_view: Final[memoryview] = memoryview(ffi.buffer(send_buffer))
message_buffer: Final[Pointer] = ffi.new("char[]", READ_SIZE)
message_view: Final[memoryview] = memoryview(ffi.buffer(message_buffer))


def text(pointer: Pointer) -> str | None:
    """A C string as str; None for NULL. Octets that are no UTF-8 are replaced."""
    if not pointer:
        return None
    return str(ffi.string(pointer).decode("utf-8", "replace"))


def cstring(value: str | None) -> Pointer:
    """A str for a `const char *` argument; NULL for None."""
    return NULL if value is None else value.encode("utf-8")


def put_value(data: Pointer, value: object) -> None:
    """Replace the content of a `pn_data_t` by one value; raises `CodecError` when proton refuses it."""
    octets = encode(value)
    lib.pn_data_clear(data)
    if lib.pn_data_decode(data, octets, len(octets)) < 0:
        raise CodecError("value refused by the engine")


def get_value(data: Pointer) -> Any:
    """The first value of a `pn_data_t`; None when it is empty or cannot be read."""
    if not data:
        return None
    lib.pn_data_rewind(data)
    size = lib.pn_data_encoded_size(data)
    if size <= 0:
        return None
    buffer = ffi.new("char[]", size)
    written = lib.pn_data_encode(data, buffer, size)
    if written <= 0:
        return None
    try:
        return decode(bytes(ffi.buffer(buffer, written)))[0]
    except CodecError:
        return None


def drop_damaged(data: Pointer) -> None:
    """Empty a `pn_data_t` that holds half of a malformed array: proton keeps it, and would crash writing it."""
    if lib.pn_data_encoded_size(data) < 0:
        lib.pn_data_clear(data)


def symbols(data: Pointer) -> frozenset[str]:
    """A capability list: one bare symbol or an array of them."""
    value = get_value(data)
    if isinstance(value, str):
        return frozenset((str(value),))
    items = value.items if isinstance(value, Array) else value if isinstance(value, list) else ()
    return frozenset(str(item) for item in items if isinstance(item, str))


def put_symbol(data: Pointer, name: str) -> None:
    """Make a capability list of one bare symbol."""
    put_value(data, Symbol(name))


def get_condition(condition: Pointer) -> tuple[str, str] | None:
    """Name and description of an AMQP error; None when there is none."""
    if not condition or not lib.pn_condition_is_set(condition):
        return None
    return text(lib.pn_condition_get_name(condition)) or "", text(lib.pn_condition_get_description(condition)) or ""


def set_condition(condition: Pointer, name: str, description: str) -> None:
    """Fill an AMQP error in."""
    lib.pn_condition_set_name(condition, cstring(name))
    lib.pn_condition_set_description(condition, cstring(description))


_random = ""


def discriminator(length: int = 15) -> str:
    """Random characters of the set that routers use in link names and temporary addresses."""
    global _random
    if len(_random) < length:
        # For many at once: each TCP connection has an address of its own.
        _random = base64.b64encode(os.urandom(3072), b"+_").decode("ascii")
    taken, _random = _random[:length], _random[length:]
    return taken
