"""Takes GOAWAY frames out of a stream of HTTP/2 frames, and refuses frames that are too long.

Why: h2 treats a connection as dead once it has seen GOAWAY, but a server that says it gracefully goes on
serving the streams it has; and it keeps a frame of any length until all of it is there, before it looks
at the length. What always holds: all other octets pass unchanged and in order, however they are cut; at
most one frame header and one GOAWAY frame are held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: The longest frame that we allow peers to send.
LONGEST: Final = 16384

_HEADER: Final = 9
_GOAWAY: Final = 7
_MEANING: Final = 8


@dataclass(frozen=True, slots=True)
class Goaway:
    """The peer will serve no stream above `last_stream`."""

    last_stream: int
    code: int


class FrameTooLongError(ValueError):
    """A frame longer than we have allowed."""


class GoawayFilter:
    """Splits octets as they arrive into what h2 shall see and GOAWAY frames."""

    def __init__(self, *, preface: bool) -> None:
        self._skip = len(PREFACE) if preface else 0
        self._held = b""

    def feed(self, data: bytes) -> list[bytes | Goaway]:
        """Octets for h2 and GOAWAY frames, in their order; raises `FrameTooLongError`."""
        data = self._held + data
        self._held = b""
        found: list[bytes | Goaway] = []
        begin, pos, size = 0, min(self._skip, len(data)), len(data)
        self._skip -= pos
        while pos < size and not self._skip:
            if size - pos < _HEADER:
                self._held = data[pos:]
                break
            length = int.from_bytes(data[pos : pos + 3])
            if length > LONGEST:
                raise FrameTooLongError(f"frame of {length} octets")
            after = pos + _HEADER + length
            if data[pos + 3] == _GOAWAY and length >= _MEANING:
                if pos > begin:
                    found.append(data[begin:pos])
                if after > size:
                    self._held = data[pos:]
                    return found
                fields = data[pos + _HEADER : pos + _HEADER + _MEANING]
                found.append(Goaway(int.from_bytes(fields[:4]) & 0x7FFFFFFF, int.from_bytes(fields[4:])))
                begin = after
            self._skip = max(0, after - size)
            pos = min(after, size)
        if pos > begin:
            found.append(data[begin:pos])
        return found
