"""The responses of several servers to one multicast request, as one response: JSON or multipart.

Both forms are those of skupper-router 2.7. What always holds: every response that was complete in time
is in it, in the order in which they ended; their bodies together are bounded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from skupper_podman.routerd.adaptors.http_bodies import Pairs
from skupper_podman.routerd.adaptors.http_heads import FLOW_ID, HttpHead, text

#: Octets of all bodies together; a request whose responses are larger fails.
MOST_OCTETS: Final = 16 * 1024 * 1024

Combined = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Part:
    """One server's response."""

    head: HttpHead
    body: bytes


def as_json(parts: Sequence[Part], _boundary: str) -> Combined:
    """A list of objects with what the messages say, and their bodies as text."""
    items = []
    for part in parts:
        flow: Pairs = [(str(FLOW_ID), part.head.flow_id)] if part.head.flow_id else []
        item = dict([*flow, *part.head.start, *part.head.headers])
        if part.body:
            item["body"] = text(part.body)
        items.append(item)
    return "application/json", json.dumps(items, indent=4).encode()


def as_multipart(parts: Sequence[Part], boundary: str) -> Combined:
    """A multipart/mixed document, each part with the headers of its response."""
    pieces = []
    for part in parts:
        lines = [f"{name}: {value}\r\n" for name, value in part.head.headers if name.lower() not in _FRAMING]
        pieces += [f"\r\n--{boundary}\r\n{''.join(lines)}\r\n".encode(), part.body]
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    return f"multipart/mixed; boundary={boundary}", b"".join(pieces)


_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
FORMS: Final[dict[str, Callable[[Sequence[Part], str], Combined]]] = {"json": as_json, "multipart": as_multipart}
