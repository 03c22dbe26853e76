"""Redeeming a claim: the token file holds a password, and the issuing site gives certificates for it.

What always holds: the issuer's certificate is verified against the authority in the token; the password goes only into
the body of that one request; the answer is bounded in size and time.

Protocol: ``pkg/domain/link.go`` and ``pkg/kube/claims/claim_verifier.go`` of Skupper 1.9.
"""

from __future__ import annotations

import http.client
import ssl
from typing import Final
from urllib.parse import urlencode, urlsplit

from skupper_podman import SKUPPER_VERSION
from skupper_podman.desired import tokens
from skupper_podman.errors import InvalidError, PlatformError, SkupperError
from skupper_podman.model.link import Token

TIMEOUT: Final = 30.0
_LIMIT: Final = 1 << 20


def redeem(token: Token, site_id: str, timeout: float = TIMEOUT) -> Token:
    """The connection token the issuer gives for the claim ``token``, asked for by the site ``site_id``.

    Raises:
        InvalidError: the claim was refused, is used up or expired, or the answer is no token.
        PlatformError: the issuer cannot be reached, or is not who it should be.
    """
    url = urlsplit(token.annotations.get(tokens.CLAIM_URL, ""))
    status, body = _post(token, url.geturl(), site_id, timeout)
    text = body.decode(errors="replace").strip()
    if status == 200:
        answer = tokens.parse_token(body)
        if answer.kind != "connection-token":
            raise InvalidError("could not parse connection token: the issuer answered with something else")
        return answer
    raise _refusal(token.name, status, text)


def _refusal(name: str, status: int, text: str) -> SkupperError:
    reason = text.splitlines()[0] if text else f"HTTP status {status}"
    message = f'Error processing claim "{name}": {reason}'
    if status == 404:
        return InvalidError(f"{message} (it has expired, was used up, or was deleted)", "ask for a new token")
    if status == 403:
        return InvalidError(message, "ask for a new token")
    return PlatformError(message, "try again; nothing of the link was kept")


def _post(token: Token, url: str, site_id: str, timeout: float) -> tuple[int, bytes]:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme != "https" or not host:
        raise InvalidError(f"Invalid URL defined in token: {url}", "ask for a new token")
    connection = http.client.HTTPSConnection(
        host, port or 443, timeout=timeout, context=tls_context(token.data.get("ca.crt"))
    )
    path = f"{parts.path or '/'}?{urlencode({'site-version': SKUPPER_VERSION})}"
    try:
        # A site that renews certificates gets one that must be; 1.9 does not look at it.
        headers = {"skupper-site-name": site_id, tokens.RENEWS_HEADER: "1"}
        connection.request("POST", path, body=token.data["password"], headers=headers)
        response = connection.getresponse()
        return response.status, response.read(_LIMIT)
    except ssl.SSLCertVerificationError as error:
        raise PlatformError(
            f"{host}:{port or 443} is not the site that issued the token: {error.verify_message}", "ask for a new token"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PlatformError(
            f'Error processing claim "{token.name}": {host}:{port or 443} cannot be reached ({reason})',
            "the issuing site must be in reach from here; nothing of the link was kept",
        ) from error
    finally:
        connection.close()


def tls_context(authority: bytes | None) -> ssl.SSLContext:
    """Trust in ``authority`` (PEM) alone; in the system's authorities where there is none.

    Raises:
        InvalidError: it is not PEM.
    """
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidError("ca.crt of the token is damaged", "ask for a new token") from error
    # Python 3.13 insists on extensions that 1.9's authorities do not have.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", ssl.VerifyFlags(0))
    return context
