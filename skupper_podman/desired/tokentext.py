"""The head of a token file: YAML comments that tell a person what the token is, where it leads and until when.

What always holds: nothing secret is in it, and no line of it can end the comment, whatever a name contains. 1.9 and
Kubernetes skip comments.
"""

from __future__ import annotations

from collections.abc import Iterable

from skupper_podman.desired.tokens import CLAIM_EXPIRATION, CLAIM_URL, CLAIM_USES
from skupper_podman.model.link import Token


def token_head(token: Token, site: str, host: str, ports: tuple[int, int], fingerprint: str, until: str) -> bytes:
    """Comment lines for ``token`` of the site called ``site``, whose routers are reached at ``host`` and ``ports``.

    ``fingerprint`` is that of the issuing authority's certificate, ``until`` how long the token is good.
    """
    claim = token.kind == "token-claim"
    title = "a claim: who redeems it gets a certificate" if claim else "a certificate: who has it can link"
    rows = [("site", f"{site} ({token.generated_by})"), ("links to", f"{_bracketed(host)}:{ports[0]}")]
    rows += [("edges link to", f"{_bracketed(host)}:{ports[1]}")]
    if claim:
        rows += [("redeemed at", token.annotations.get(CLAIM_URL, ""))]
        rows += [("expires", token.annotations.get(CLAIM_EXPIRATION, "never"))]
        rows += [("uses", token.annotations.get(CLAIM_USES, "any number"))]
    else:
        rows += [("expires", until), ("uses", "any number")]
    rows += [("issuer sha256", fingerprint)]
    lines = [f"Skupper token, {title}. Keep it secret.", *_table(rows)]
    lines.append("To look at it: skupper token status FILE. To use it on another host: skupper link create FILE.")
    return "".join(f"# {_one_line(line)}\n" for line in lines).encode()


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"  {name + ':':<15}{value}" for name, value in rows]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
