"""Whom the site's router lets in: whoever its authority signed for, and each gateway by an authority of its own.

A router asks nobody whether a certificate was revoked. So every gateway has an authority that signs for it alone, and
that authority stands in the router's ``ca.crt`` after those of the site, known by its subject. Taking it out revokes
that gateway and nobody else. What always holds: the part of the site is never changed here.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Final

from skupper_podman import certs

PREFIX: Final = "skupper-gateway-ca-"
"""How the subject of the authority of a gateway begins; the gateway's name follows."""

_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\r?\n?", re.DOTALL)


def authority_name(name: str) -> str:
    """The subject of the authority of a gateway."""
    return PREFIX + name


def authority_until(
    kept: certs.KeyPair, name: str, now: datetime.datetime, until: datetime.datetime, new_key: Callable[[], bytes]
) -> certs.KeyPair:
    """The authority of gateway ``name`` for a credential until then: ``kept``, if it is one and lasts that long.

    One that does not gets a new certificate for its key, so that the credentials it signed remain those of somebody who
    is let in; the files of ``kept`` are empty where there was none.
    """
    own = bool(kept.key) and certs.belongs(kept)
    if own and certs.facts(kept.certificate).not_after >= until:
        return kept
    key = kept.key if own else new_key()
    return certs.issue_authority(authority_name(name), key, now, lifetime=certs.GATEWAY_AUTHORITY_LIFETIME)


def gateways_in(trust: bytes) -> dict[str, bytes]:
    """The authorities of gateways, by the gateways' names."""
    if trust.count(b"-----BEGIN CERTIFICATE-----") < 2:
        return {}  # by far the most: nothing needs to be taken apart
    return {name: block for block in _BLOCK.findall(trust) if (name := _gateway(block))}


def is_let_in(name: str, authority: bytes, trust: bytes) -> bool:
    """Whether this very authority of gateway ``name`` is trusted: not one that it has been prolonged from."""
    return gateways_in(trust).get(name, b"").strip() == authority.strip()


def _gateway(certificate: bytes) -> str:
    try:
        subject = certs.facts(certificate).subject
    except certs.CertificateError:
        return ""
    return subject.removeprefix(PREFIX) if subject.startswith(PREFIX) else ""


def site_part(trust: bytes) -> bytes:
    """What is trusted besides gateways."""
    for block in gateways_in(trust).values():
        trust = trust.replace(block, b"")
    return trust


def with_gateways(trust: bytes, gateways: Mapping[str, bytes]) -> bytes:
    """``trust`` with exactly these gateways."""
    site = site_part(trust)
    blocks = [gateways[name] for name in sorted(gateways)]
    return b"".join(_ended(part) for part in (site, *blocks)) if blocks else site


def keeping_gateways(new: bytes, old: bytes) -> bytes:
    """``new`` with the gateways of ``old``: for who renews what the site itself trusts."""
    return with_gateways(new, gateways_in(old))


def _ended(text: bytes) -> bytes:
    return text if text.endswith(b"\n") or not text else text + b"\n"
