"""Messages of service sync as octets and back.

What always holds: a message has a properties section, application properties with ``origin`` and ``version``, and one
string as its body, because receivers written in Go depend on all of these without a check. Reading accepts any octets.

Format: ``pkg/service_sync/encoding.go`` of Skupper 1.9.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from skupper_podman.desired.learned import Offers, announced, offered
from skupper_podman.errors import InvalidError
from skupper_podman.model.service import Service
from skupper_podman.routerd.codec import Described, ULong, encode
from skupper_podman.routerd.flowlog import wire

ADDRESS: Final = "mc/$skupper-service-sync"
SUBJECT: Final = "service-sync-update-v2"
_LONGEST_ID: Final = 200
_PROPERTIES, _APPLICATION_PROPERTIES, _VALUE = ULong(0x73), ULong(0x74), ULong(0x77)


@dataclass(frozen=True, slots=True)
class Update:
    """All that a site offers: its id, its version (for people), its services."""

    origin: str
    version: str
    offers: Offers


def update(origin: str, version: str, services: Iterable[Service]) -> bytes:
    """The message that announces ``services``."""
    sections = (
        Described(_PROPERTIES, [None, None, None, SUBJECT]),
        Described(_APPLICATION_PROPERTIES, {"origin": origin, "version": version}),
        Described(_VALUE, announced(services)),
    )
    return b"".join(encode(section) for section in sections)


def read(octets: bytes) -> Update:
    """Read a message.

    Raises:
        InvalidError: it is none of service sync.
    """
    message = wire.read(octets)
    if message is None:
        raise InvalidError("a message without subject")
    if message.subject != SUBJECT:
        raise InvalidError(f"a message with subject {message.subject!r}")
    origin = message.text("origin")
    if not 0 < len(origin) <= _LONGEST_ID:
        raise InvalidError("a message without origin")
    if not isinstance(message.body, str):
        raise InvalidError(f"a message of site {origin} without text")
    return Update(origin, message.text("version"), offered(message.body, origin))
