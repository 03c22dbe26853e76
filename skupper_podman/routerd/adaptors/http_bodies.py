"""Bodies of HTTP messages in AMQP messages: chunked coding inside data sections, trailers in a footer.

Why: skupper-router's HTTP/1 adaptor carries a chunked body as it is on the wire, sizes and trailers
included, and its HTTP/2 adaptor carries trailers as a footer section behind the data.

What always holds: results do not depend on how the octets are cut; work and memory are in proportion
to what was fed; malformed input raises `BodyError` or `DecodeError`, nothing else; nothing that follows
the end of a body is ever taken for a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from skupper_podman.routerd.codec import DecodeError, Symbol, ULong, encode
from skupper_podman.routerd.message import MAX_HEAD, BodyReader, data_section_header
from skupper_podman.routerd.sections import FOOTER, map_pairs

Pairs = list[tuple[str, str]]
Trailers = Sequence[tuple[bytes, bytes]]

#: Octets of a line that gives the size of a chunk, extensions included, and of all trailers together.
MAX_SIZE_LINE: Final = 1024
MAX_TRAILERS: Final = 16384

_LAST_CHUNK: Final = b"0\r\n"
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


class BodyError(ValueError):
    """A chunked body that is not one."""


def chunk(data: bytes | bytearray | memoryview) -> bytes:
    """Octets of one chunk; none for no data, which would end the body."""
    return b"".join((b"%x\r\n" % len(data), data, b"\r\n")) if len(data) else b""


def last_chunk(trailers: Trailers) -> bytes:
    """Octets that end a chunked body."""
    lines = [b"%s: %s\r\n" % pair for pair in trailers]
    return b"".join((_LAST_CHUNK, *lines, b"\r\n"))


class ChunkDecoder:
    """Takes the chunked coding off a body; `done` after the last chunk and the trailers."""

    def __init__(self) -> None:
        self.done = False
        self.trailers: list[tuple[bytes, bytes]] = []
        self._left = 0
        self._line = bytearray()
        self._between = False
        self._in_trailers = False
        self._trailer_size = 0

    def feed(self, data: bytes | bytearray | memoryview) -> list[memoryview]:
        """Payload pieces of `data` in their order; raises `BodyError`."""
        view = memoryview(data)
        pieces = []
        pos, size = 0, len(view)
        while pos < size:
            if self.done:
                raise BodyError("octets behind the end of a chunked body")
            if self._left:
                stop = min(size, pos + self._left)
                pieces.append(view[pos:stop])
                self._left -= stop - pos
                self._between = not self._left
                pos = stop
            else:
                pos = self._take_line(view, pos)
        return pieces

    def _take_line(self, view: memoryview, pos: int) -> int:
        """Collect a line up to its end, and do what it says once it is there."""
        limit = MAX_TRAILERS if self._in_trailers else MAX_SIZE_LINE
        line = self._line
        window = bytes(view[pos : pos + limit + 2 - len(line)])
        end = window.find(b"\n")
        if end < 0:
            line += window
            if len(line) > limit:
                raise BodyError("line too long in a chunked body")
            return pos + len(window)
        line += window[:end]
        if not line.endswith(b"\r"):
            raise BodyError("line of a chunked body does not end with CR LF")
        text = bytes(line[:-1])
        line.clear()
        self._line_ended(text)
        return pos + end + 1

    def _line_ended(self, text: bytes) -> None:
        if self._between:
            if text:
                raise BodyError("chunk is longer than its size says")
            self._between = False
        elif not self._in_trailers:
            digits = text.partition(b";")[0].strip(b" \t")
            if not digits or len(digits) > 15 or not _HEX.issuperset(digits):
                raise BodyError("size of a chunk is not a hexadecimal number")
            self._left = int(digits, 16)
            self._in_trailers = not self._left
        elif text:
            self._trailer(text)
        else:
            self.done = True

    def _trailer(self, text: bytes) -> None:
        self._trailer_size += len(text) + 2
        name, colon, value = text.partition(b":")
        if self._trailer_size > MAX_TRAILERS or not colon or not name or name.strip() != name:
            raise BodyError("trailer of a chunked body is malformed")
        self.trailers.append((name, value.strip(b" \t")))


class FooterReader(BodyReader):
    """A `BodyReader` that keeps the footer, at most `MAX_HEAD` octets of it."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        super().__init__()
        self._tail: bytearray | None = None

    def _after(self, rest: memoryview) -> None:
        if self._tail is None:
            self._tail = bytearray()
        self._tail += rest
        if len(self._tail) > MAX_HEAD:
            raise DecodeError(f"message footer exceeds {MAX_HEAD} octets")

    @property
    def footer(self) -> list[tuple[Any, Any]]:
        """The footer of a complete message; raises `DecodeError` when it is cut or malformed."""
        return map_pairs(self._tail or b"") if self._footer else []


def data_section(data: bytes | bytearray | memoryview) -> bytes:
    """A data section with its octets."""
    return b"".join((data_section_header(len(data)), data))


def map_of(pairs: Sequence[tuple[object, object]]) -> bytes:
    """An encoded map with its pairs in this order; keys may repeat, as names of headers do."""
    return map_with(b"".join([encoded_item(item) for pair in pairs for item in pair]), 2 * len(pairs))


def map_with(items: bytes, count: int) -> bytes:
    """An encoded map of so many encoded items: its keys and values."""
    return b"\xd1" + (4 + len(items)).to_bytes(4) + count.to_bytes(4) + items


def encoded_item(item: object) -> bytes:
    """As `encode`, which takes longer for what is nearly always here: nothing, short text or a small number."""
    if item is None:
        return b"\x40"
    kind = type(item)
    if kind is str or kind is Symbol:
        octets = str(item).encode()
        if len(octets) < 256:
            return bytes((0xA1 if kind is str else 0xA3, len(octets))) + octets
    elif isinstance(item, ULong) and 0 < item < 256:
        return bytes((0x53, item))
    return encode(item)


def footer_section(trailers: Pairs) -> bytes:
    """A footer section with its trailers."""
    return bytes((0, 0x53, FOOTER)) + map_of(trailers)
