"""Which authorities and credentials of a site are there, whole, and fit each other."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from skupper_podman import certs
from skupper_podman.desired.names import Names
from skupper_podman.desired.resources import Authority, Credential
from skupper_podman.errors import SkupperError
from skupper_podman.platform.podman.authority import CERTIFICATE, KEY, TRUST, lineage_in
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.rotation import Lineage, trusts


@dataclass(slots=True)
class Issued:
    """``usable`` are authorities and credentials that can be used now; ``ended`` credentials are whole but over."""

    usable: set[Authority | Credential] = field(default_factory=set)
    ended: set[Credential] = field(default_factory=set)


def look(
    own: Names,
    trees: Trees,
    volumes: Collection[str],
    credentials: Iterable[Credential],
    now: datetime.datetime | None = None,
) -> Issued:
    """What there is of the site's authorities and ``credentials``; ``volumes`` are those that exist.

    Without ``now`` nothing has ended; what is not valid yet can be used: then the clock is wrong.
    """
    found = Issued()
    authorities: dict[str, Lineage] = {}
    for name in own.authorities:
        lineage = lineage_in(trees, name) if name in volumes else None
        if lineage is not None and not _ended(lineage.trusted, now):
            authorities[name] = lineage
            found.usable.add(Authority(name))
    for credential in credentials:
        authority = authorities.get(credential.authority)
        if authority is None or credential.volume not in volumes or not _is_whole(trees, credential, authority):
            continue
        if not credential.ca_only and _ended(_read(trees, credential, CERTIFICATE), now):
            found.ended.add(credential)
        else:
            found.usable.add(credential)
    return found


def _is_whole(trees: Trees, credential: Credential, authority: Lineage) -> bool:
    # Gateways are trusted besides; and while an authority is exchanged, a little more than its own file says.
    if not trusts(_read(trees, credential, TRUST), authority.trusted):
        return False
    if credential.ca_only:
        return True
    pair = certs.KeyPair(_read(trees, credential, CERTIFICATE), _read(trees, credential, KEY))
    if not certs.belongs(pair) or not certs.signed_by(pair.certificate, authority.trusted):
        return False
    return certs.facts(pair.certificate).dns_names == credential.hosts


def _ended(certificate: bytes, now: datetime.datetime | None) -> bool:
    return now is not None and certs.facts(certificate).not_after < now


def _read(trees: Trees, credential: Credential, name: str) -> bytes:
    try:
        file = trees.file(credential.volume, f"{credential.directory}/{name}" if credential.directory else name)
    except SkupperError:
        return b""
    return file.content if file else b""
