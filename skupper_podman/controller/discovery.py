"""Asks the router which event sources it knows, so that a new collector need not wait for their beacons.

Why: a skrouterd sends its first beacon eight seconds after a collector appeared, but every source announces its command
address (``sfe.<id>``) to all interior routers from the start. The router's address table names them all.

What always holds: this only speeds things up. A router that does not answer, or an answer that makes no sense, costs
nothing: beacons do the same later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from skupper_podman.model import flow
from skupper_podman.routerd.codec import CodecError, Described, Symbol, UInt, ULong, decode, encode

MANAGEMENT: Final = "$management"
_MOST: Final = 2000
_FIRST: Final = 1.0
_LONGEST: Final = 30.0
#: A key of the address table: mobile class, then the command address of a source.
_KEY: Final = re.compile(r"Msfe\.(?P<id>[^/]{1,200})")
_ROUTER_ID: Final = re.compile(r".{1,20}:0")


class Pace:
    """When to ask: soon after the network changed, ever more rarely while it does not. Times in seconds."""

    def __init__(self) -> None:
        self._seen: object = None
        self._due = 0.0
        self._pause = _FIRST

    def reset(self) -> None:
        """A new connection: ask at once."""
        self._due, self._pause = 0.0, _FIRST

    def due(self, now: float, shape: object) -> bool:
        """Whether to ask now; ``shape`` is anything that differs when the network changed."""
        if shape != self._seen:
            self._seen, self._pause = shape, _FIRST
            self._due = min(self._due, now + _FIRST)
        if now < self._due:
            return False
        self._due = now + self._pause
        self._pause = min(self._pause * 2, _LONGEST)
        return True


def request(reply_to: str) -> bytes:
    """The management request for the router's addresses."""
    properties: dict[str, Any] = {
        "operation": "QUERY",
        "type": "org.amqp.management",
        "entityType": "io.skupper.router.router.address",
        "name": "self",
        "offset": UInt(0),
        "count": UInt(_MOST),
    }
    sections = (
        Described(ULong(0x73), [ULong(1), None, MANAGEMENT, None, reply_to, ULong(1)]),
        Described(ULong(0x74), properties),
        Described(ULong(0x77), {"attributeNames": ["name", "key"]}),
    )
    return b"".join(encode(section) for section in sections)


def sources(octets: bytes) -> list[tuple[str, str]]:
    """Identity and source type of the event sources in an answer; empty when it is none."""
    found = dict.fromkeys(
        match["id"] for text in _texts(octets) if isinstance(text, str) and (match := _KEY.fullmatch(text))
    )
    return [
        (identity, flow.ROUTER_SOURCE if _ROUTER_ID.fullmatch(identity) else flow.CONTROLLER_SOURCE)
        for identity in found
    ]


def _texts(octets: bytes) -> Iterator[Any]:
    """All values of all rows."""
    offset = 0
    try:
        while offset < len(octets):
            section, offset = decode(octets, offset)
            if isinstance(section, Described) and section.descriptor in (ULong(0x77), Symbol("amqp:amqp-value:*")):
                rows = section.value.get("results") if isinstance(section.value, dict) else None
                for row in rows if isinstance(rows, list) else ():
                    yield from row if isinstance(row, list) else ()
    except CodecError:
        return
