"""What can be told about a token without trying it: where it leads, until when, and what its issuer, if here, knows.

What always holds: nothing secret of the token is in the report.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from skupper_podman import certs, rotation
from skupper_podman.cli.documents import timestamp
from skupper_podman.cli.result import Json
from skupper_podman.desired.tokens import CLAIM_EXPIRATION, CLAIM_URL, CLAIM_USES
from skupper_podman.model.link import Claim, Token


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is shown of a certificate. ``authority_key`` is its AuthorityKeyId, or empty."""

    issuer: str
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    authority_key: bytes
    not_after: datetime.datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of the token with the site that issued it."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Local:
    """What this site knows: its id (empty without a site), its certificate and authority, the claims it gave away."""

    site_id: str = ""
    served: tuple[bytes, bytes] = (b"", b"")
    claims: Mapping[str, Claim] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenReport:
    """A token, explained. ``served`` and ``claim`` are known only for a token that this site issued.

    ``state`` is ``unknown`` for a claim of another site that has not expired: only its issuer knows.
    """

    name: str
    file: str
    kind: str
    version: str
    generated_by: str
    local: bool
    endpoints: tuple[tuple[str, str, str], ...]
    url: str
    expiry: str
    expired: bool
    certificate: Certificate | None = None
    authority_fingerprint: str = ""
    served: Certificate | None = None
    checks: tuple[Check, ...] = ()
    uses: str = ""
    claim: Claim | None = None
    state: str = "valid"

    @property
    def usable(self) -> bool:
        """Whether nothing that was looked at keeps it from working."""
        return self.state in ("valid", "unknown") and all(check.ok for check in self.checks)

    def document(self) -> dict[str, Json]:
        """Data of ``TokenStatus``."""
        return {
            "name": self.name,
            "file": self.file,
            "type": self.kind,
            "version": self.version,
            "local": self.local,
            "generatedBy": self.generated_by,
            "endpoints": [{"role": role, "host": host, "port": port} for role, host, port in self.endpoints],
            "url": self.url,
            "expiry": self.expiry or None,
            "expired": self.expired,
            "fingerprint": self.authority_fingerprint,
            "uses": int(self.uses) if self.uses.isdecimal() else None,
            "state": self.state,
            "claimsMade": self.claim.made if self.claim else None,
            "claimsRemaining": self.claim.remaining if self.claim else None,
            "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in self.checks],
        }


def report(token: Token, file: str, local: Local, now: datetime.datetime) -> TokenReport:
    """Explain ``token`` with what this site knows."""
    own = certificate(token.data.get("tls.crt", b""))
    authority = certificate(token.data.get("ca.crt", b""))
    claim = token.kind == "token-claim"
    expiry = token.annotations.get(CLAIM_EXPIRATION, "") if claim else timestamp(own.not_after if own else None) or ""
    site = certificate(local.served[0])
    ours = bool(local.site_id) and token.generated_by == local.site_id
    known = local.claims.get(token.name) if claim and ours else None
    expired = _is_past(expiry, now)
    return TokenReport(
        name=token.name,
        file=file,
        kind="claim" if claim else "cert",
        version=token.site_version,
        generated_by=token.generated_by,
        local=ours,
        endpoints=tuple((role, *token.endpoint(role)) for role in ("inter-router", "edge") if token.endpoint(role)[0]),
        url=token.annotations.get(CLAIM_URL, ""),
        expiry=expiry,
        expired=expired,
        certificate=own,
        authority_fingerprint=authority.fingerprint if authority else "",
        served=site,
        checks=_checks(token, local.served, site, own) if ours else (),
        uses=token.annotations.get(CLAIM_USES, ""),
        claim=known,
        state=_state(claim=claim, ours=ours, known=known, expired=expired, now=now),
    )


def _state(*, claim: bool, ours: bool, known: Claim | None, expired: bool, now: datetime.datetime) -> str:
    if not claim or not ours:
        return "expired" if expired else "unknown" if claim else "valid"
    if known is None:
        return "revoked"
    return known.state(now)


def certificate(pem: bytes) -> Certificate | None:
    """What is shown of a PEM certificate; None if there is none that can be read."""
    if not pem:
        return None
    try:
        facts = certs.facts(pem)
    except certs.CertificateError:
        return None
    return Certificate(
        facts.issuer, facts.dns_names, facts.ip_addresses, _authority_key(pem), facts.not_after, facts.fingerprint
    )


def _authority_key(pem: bytes) -> bytes:
    from cryptography import x509

    try:
        loaded = x509.load_pem_x509_certificate(pem)
        return loaded.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier or b""
    except (ValueError, x509.ExtensionNotFound):
        return b""


def _is_past(time: str, now: datetime.datetime) -> bool:
    try:
        return bool(time) and datetime.datetime.fromisoformat(time) < now
    except (ValueError, TypeError):
        return False


def _url_host(token: Token) -> str:
    """The host at which a claim is redeemed."""
    try:
        return urlsplit(token.annotations.get(CLAIM_URL, "")).hostname or ""
    except ValueError:
        return ""


def _checks(
    token: Token, served: tuple[bytes, bytes], site: Certificate | None, own: Certificate | None
) -> tuple[Check, ...]:
    # A token made before the authority had a successor trusts fewer, and works all the same.
    same = rotation.trusts(served[1], token.data.get("ca.crt", b""))
    ca = "Token matches skupper-site-server" if same else "does not match"
    host = token.endpoint("inter-router")[0] or token.endpoint("edge")[0] or _url_host(token)
    names = {*(site.dns if site else ()), *(site.addresses if site else ())}
    found = f"{host} {'found' if host in names else 'not found'} in SANs list"
    checks = [Check("CA", same, ca), Check("hostname", host in names, found)]
    if site and own and site.issuer == own.issuer:
        checks.append(Check("Issuer", True, f"{own.issuer} for both"))
    return tuple(checks)
