"""Which authorities and credentials of a site are there, whole, and fit each other."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable

from skupper_podman import certs
from skupper_podman.desired.gatewaytrust import site_part
from skupper_podman.desired.names import Names
from skupper_podman.desired.resources import Authority, Credential
from skupper_podman.errors import SkupperError
from skupper_podman.platform.podman.edits import Trees


def usable(
    own: Names,
    trees: Trees,
    volumes: Collection[str],
    credentials: Iterable[Credential],
    now: datetime.datetime | None = None,
) -> frozenset[Authority | Credential]:
    """The usable ones among the site's authorities and ``credentials``; ``volumes`` are those that exist.

    With ``now`` one that has ended is not usable; one that is not valid yet is: then the clock is wrong.
    """
    found: set[Authority | Credential] = set()
    authorities: dict[str, bytes] = {}
    for name in own.authorities:
        pair = _pair(trees, name, "") if name in volumes else None
        if pair is not None and certs.belongs(pair) and not _ended(pair, now):
            authorities[name] = pair.certificate
            found.add(Authority(name))
    for credential in credentials:
        authority = authorities.get(credential.authority)
        if authority is not None and credential.volume in volumes and _is_usable(trees, credential, authority, now):
            found.add(credential)
    return frozenset(found)


def _is_usable(trees: Trees, credential: Credential, authority: bytes, now: datetime.datetime | None) -> bool:
    prefix = f"{credential.directory}/" if credential.directory else ""
    if site_part(_read(trees, credential.volume, f"{prefix}ca.crt")) != authority:
        return False
    if credential.ca_only:
        return True
    pair = _pair(trees, credential.volume, prefix)
    if pair is None or not certs.belongs(pair) or not certs.signed_by(pair.certificate, authority):
        return False
    return certs.facts(pair.certificate).dns_names == credential.hosts and not _ended(pair, now)


def _ended(pair: certs.KeyPair, now: datetime.datetime | None) -> bool:
    return now is not None and certs.facts(pair.certificate).not_after < now


def _pair(trees: Trees, volume: str, prefix: str) -> certs.KeyPair | None:
    certificate, key = (_read(trees, volume, f"{prefix}{name}") for name in ("tls.crt", "tls.key"))
    return certs.KeyPair(certificate, key) if certificate and key else None


def _read(trees: Trees, volume: str, path: str) -> bytes:
    try:
        file = trees.file(volume, path)
    except SkupperError:
        return b""
    return file.content if file else b""
