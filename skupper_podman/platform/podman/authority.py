"""The authorities of a site as they are kept in volumes, and what they issue.

What always holds: a certificate is written together with its key and its ``ca.crt``, which is a copy of what the
authority's volume trusts; who made a file (this program or 1.9) makes no difference.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from functools import partial

from skupper_podman import certs
from skupper_podman.desired.gatewaytrust import keeping_gateways
from skupper_podman.desired.resources import Credential
from skupper_podman.errors import PlatformError
from skupper_podman.files import FileState
from skupper_podman.plan import Step
from skupper_podman.platform.podman.edits import DirectoryEdit, Trees
from skupper_podman.rotation import BRIDGES_FILE, Lineage

CERTIFICATE, KEY, TRUST = "tls.crt", "tls.key", "ca.crt"


def lineage_in(trees: Trees, volume: str) -> Lineage | None:
    """The authority kept in ``volume``; None if it cannot be used."""
    files = (trees.file(volume, name) for name in (CERTIFICATE, KEY, BRIDGES_FILE))
    trusted, key, bridges = (file.content if file else b"" for file in files)
    # The key is written first. Where that was all that a killed program came to, its certificate lies beside the old
    # one: without it the authority would be lost, and with it every link to the site.
    for certificate in (trusted, *(trees.unfinished(volume, CERTIFICATE) if key else ())):
        lineage = Lineage(certificate, key, bridges)
        if certificate and key and certs.belongs(lineage.pair):
            return lineage
    return None


def completing(trees: Trees, volumes: Iterable[str]) -> list[Step]:
    """Steps that finish what a killed program began with the authorities in ``volumes``."""
    steps = []
    for volume in volumes:
        lineage, file = lineage_in(trees, volume), trees.file(volume, CERTIFICATE)
        if lineage is not None and (file is None or file.content != lineage.trusted):
            edit, wanted = DirectoryEdit(trees, volume, ""), lineage_files(lineage)
            steps.append(
                Step("update", f"certificate authority {volume}", partial(edit.do, wanted), edit.undo, "it was cut off")
            )
    return steps


def lineage_of(trees: Trees, volume: str) -> Lineage:
    """As :func:`lineage_in`, for who cannot do without.

    Raises:
        PlatformError: the authority is missing or damaged.
    """
    found = lineage_in(trees, volume)
    if found is None:
        raise PlatformError(
            f"the certificate authority in volume {volume} is missing or damaged", "to repair it: skupper init"
        )
    return found


def lifetime(credential: Credential) -> datetime.timedelta:
    """How long a certificate of the site is valid; those of services are the ones with directories of their own."""
    return certs.SERVICE_LIFETIME if credential.directory else certs.LEAF_LIFETIME


def trust_of(trees: Trees, credential: Credential) -> bytes:
    """What the credential's ``ca.crt`` trusts now; empty if there is none."""
    file = trees.file(credential.volume, f"{credential.directory}/{TRUST}" if credential.directory else TRUST)
    return file.content if file else b""


def trust_files(authorities: bytes, before: bytes) -> dict[str, FileState]:
    """A ``ca.crt`` that trusts these authorities of the site, and the gateways it has trusted before."""
    return {TRUST: FileState(keeping_gateways(authorities, before), 0o644)}


def issued(
    credential: Credential, lineage: Lineage, key: bytes, now: datetime.datetime, trusted: bytes
) -> Mapping[str, FileState]:
    """The files of ``credential``, by name; ``trusted`` is what its ``ca.crt`` was.

    ``key`` is not used where it has no certificate.
    """
    trust = trust_files(lineage.trusted, trusted)
    if credential.ca_only:
        return trust
    pair = certs.issue(lineage.pair, credential.common_name, credential.hosts, key, now, lifetime=lifetime(credential))
    return {**trust, **pair_files(lineage.shown(pair.certificate), pair.key)}


def pair_files(certificate: bytes, key: bytes) -> dict[str, FileState]:
    """A certificate and its key; the key is written first, so that it is never there without."""
    return {KEY: FileState(key, 0o600), CERTIFICATE: FileState(certificate, 0o644)}


def lineage_files(lineage: Lineage) -> dict[str, FileState]:
    """What is kept of an authority."""
    bridges = {BRIDGES_FILE: FileState(lineage.bridges, 0o644)} if lineage.bridges else {}
    return {**bridges, **pair_files(lineage.trusted, lineage.key)}
