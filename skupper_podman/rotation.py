"""Authorities that follow one another: what is trusted, and what is shown, so that a change of authority ends nothing.

An authority is kept as 1.9 keeps it, certificate and key, with two additions that 1.9 reads past. Its certificate is
followed by those of its predecessors that are still trusted, so that a file that is a copy of it (every ``ca.crt``,
those in tokens too) trusts them all. And each predecessor has signed its successor: these bridges, shown after a
certificate of the new authority, let it be verified by who has only heard of an old one. So both sides of a connection
accept each other whichever of them has the new authority already, also a 1.9 site that never hears of it.

What always holds: nothing here reads a clock or a file; the newest certificate is the first.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Final

from skupper_podman import certs

MOST: Final = 5
"""How many authorities of one name are trusted at the same time; a chain must fit into a handshake."""

BRIDGES_FILE: Final = "cross.crt"
"""Beside an authority's ``tls.crt`` and ``tls.key``."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """An authority with those it followed: ``trusted`` are certificates, ``bridges`` their signatures on each other.

    The first of ``bridges`` is the present authority's certificate as signed by its predecessor, and so on.
    """

    trusted: bytes
    key: bytes = field(repr=False)
    bridges: bytes = b""

    @property
    def pair(self) -> certs.KeyPair:
        """What signs."""
        return certs.KeyPair(self.trusted, self.key)

    @property
    def current(self) -> bytes:
        """The certificate of the authority that signs; empty if it cannot be read."""
        return next(iter(certs.each(self.trusted)), b"")

    @property
    def predecessors(self) -> tuple[bytes, ...]:
        """Certificates of those that are only trusted, the last one first."""
        return certs.each(self.trusted)[1:]

    def shown(self, certificate: bytes) -> bytes:
        """A certificate of this authority with all that others may need to verify it."""
        return certificate + self.bridges


def succeeded(old: Lineage, name: str, key: bytes, now: datetime.datetime) -> Lineage:
    """The lineage with a new authority of this name and key at its head.

    The last of more than :data:`MOST` is not trusted any more.

    Raises:
        CertificateError: the old one cannot be read.
    """
    new = certs.issue_authority(name, key, now)
    bridge = certs.cross_certificate(old.pair, new.certificate, now)
    return _joined(certs.each(new.certificate + old.trusted), key, certs.each(bridge + old.bridges), MOST)


def without_ended(lineage: Lineage, now: datetime.datetime) -> Lineage:
    """The lineage without predecessors that have ended, and what came before those; itself where none has."""
    trusted = certs.each(lineage.trusted)
    count = 1
    while count < len(trusted) and certs.facts(trusted[count]).not_after > now:
        count += 1
    return lineage if count >= len(trusted) else _joined(trusted, lineage.key, certs.each(lineage.bridges), count)


def alone(lineage: Lineage) -> Lineage:
    """The authority that signs, and no other one trusted; itself where that is so."""
    return _joined(certs.each(lineage.trusted), lineage.key, (), 1) if lineage.predecessors else lineage


def trusts(authorities: bytes, others: bytes) -> bool:
    """True if every certificate of ``others`` is among ``authorities``, and there is one."""
    wanted = certs.each(others)
    return bool(wanted) and set(wanted) <= set(certs.each(authorities))


def united(authorities: bytes, others: bytes) -> bytes:
    """All certificates of both, those of ``authorities`` first, each once."""
    return b"".join(dict.fromkeys((*certs.each(authorities), *certs.each(others))))


def _joined(trusted: tuple[bytes, ...], key: bytes, bridges: tuple[bytes, ...], count: int) -> Lineage:
    return Lineage(b"".join(trusted[:count]), key, b"".join(bridges[: count - 1]))
