"""What is looked at before a link is made, in this order: the token's fields, its time, self, duplicate, DNS, TCP, TLS.

What always holds: nothing is changed here, and the first check that fails for good is raised under its own name. Only
the state of a claim is left to its redemption, since nobody but the issuer knows it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from urllib.parse import urlsplit

from skupper_podman import certs
from skupper_podman.desired import names, tokens
from skupper_podman.errors import LinkCheckError
from skupper_podman.model.link import Token
from skupper_podman.platform.podman.reach import probe

_NEW_TOKEN = "ask for a new token"  # noqa: S105  no password


def check_token(
    token: Token, site_id: str, links: Mapping[str, str], role: tokens.Role, now: datetime.datetime
) -> None:
    """All checks but those of the peer; ``links`` are the site's (name: id of the peer).

    Raises:
        LinkCheckError: one failed.
    """
    tokens.check_fields(token, role)
    _check_time(token, now)
    _check_pair(token)
    tokens.check_origin(token, site_id, links)


def check_peer(token: Token, role: tokens.Role) -> list[str]:
    """Look for the peer's router; warnings if it cannot be reached now.

    Raises:
        LinkCheckError: it is not the issuer of the token.
    """
    host, port = token.endpoint(role)
    found = probe(host, int(port), token.data)
    if found is None:
        return []
    if found.lasting:
        raise LinkCheckError(
            found.check, found.reason, f"see that {host} leads to the site that issued the token, or {_NEW_TOKEN}"
        )
    return [f"{found.reason}; the link is made as soon as it can be reached"]


def check_issuer(token: Token) -> None:
    """Look for the claims server that a claim names; without it there is no certificate, and no link.

    Raises:
        LinkCheckError: it cannot be reached, or is not the issuer of the token.
    """
    url = token.annotations[tokens.CLAIM_URL]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        parts, host, port = None, None, 0
    if parts is None or parts.scheme != "https" or not host:
        raise LinkCheckError("link-token", f"Invalid URL defined in token: {url}", _NEW_TOKEN)
    authority = {"ca.crt": token.data["ca.crt"]} if token.data.get("ca.crt") else {}
    found = probe(host, port, authority)
    if found is not None:
        hint = _NEW_TOKEN if found.lasting else "the issuing site must be in reach while its claim is redeemed"
        raise LinkCheckError(found.check, f"{found.reason}: the claim cannot be redeemed", hint)


def _check_time(token: Token, now: datetime.datetime) -> None:
    expiration = token.annotations.get(tokens.CLAIM_EXPIRATION, "") if token.kind == names.TOKEN_CLAIM else ""
    try:
        end = datetime.datetime.fromisoformat(expiration) if expiration else None
        expired = end is not None and end < now
    except (ValueError, TypeError):
        raise LinkCheckError(
            "link-expiry", f"the token's expiration time cannot be read: {expiration}", _NEW_TOKEN
        ) from None
    if expired:
        raise LinkCheckError(
            "link-expiry",
            f"the token has expired, expiration time: {expiration} (this host's clock says {_text(now)})",
            _NEW_TOKEN,
        )
    for part in ("ca.crt", "tls.crt"):
        if token.data.get(part):
            _check_certificate(token.data[part], part, now)


def _check_certificate(content: bytes, part: str, now: datetime.datetime) -> None:
    try:
        found = certs.facts(content)
    except certs.CertificateError as error:
        raise LinkCheckError("link-token", f"{part} of the token is damaged: {error.message}", _NEW_TOKEN) from error
    if not found.valid_at(now):
        state = "expired" if now > found.not_after else "is not valid before"
        when = found.not_after if now > found.not_after else found.not_before
        raise LinkCheckError(
            "link-expiry",
            f"{part} of the token {state} {when:%Y-%m-%d %H:%M:%S} UTC",
            "ask for a new token; if it is new, compare the clocks of the two hosts",
        )


def _check_pair(token: Token) -> None:
    if token.kind != names.CONNECTION_TOKEN or tokens.TEMPLATE in token.annotations:
        return
    pair = certs.KeyPair(token.data["tls.crt"], token.data["tls.key"])
    if not certs.belongs(pair):
        raise LinkCheckError("link-token", "tls.key of the token does not belong to its tls.crt", _NEW_TOKEN)
    if not certs.signed_by(pair.certificate, token.data["ca.crt"]):
        raise LinkCheckError("link-token", "tls.crt of the token is not issued by its ca.crt", _NEW_TOKEN)


def _text(time: datetime.datetime) -> str:
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
