"""Tokens and links: what one site gives another so that a connection may be made, and the connection's state."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Literal

TokenKind = Literal["connection-token", "token-claim"]
ClaimState = Literal["valid", "used up", "expired", "damaged"]


@dataclass(frozen=True, slots=True)
class Token:
    """A token file of 1.9 (a Kubernetes Secret as YAML), parsed: ``data`` is decoded, secret, and never printed."""

    name: str
    kind: TokenKind
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    data: dict[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def generated_by(self) -> str:
        """Id of the site that issued it, or empty."""
        return self.annotations.get("skupper.io/generated-by", "")

    @property
    def site_version(self) -> str:
        """Skupper version of the issuing site, or empty."""
        return self.annotations.get("skupper.io/site-version", "")

    def endpoint(self, role: Literal["inter-router", "edge"]) -> tuple[str, str]:
        """Host and port to connect to in that role, empty where the token has none."""
        return self.annotations.get(f"{role}-host", ""), self.annotations.get(f"{role}-port", "")


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that this site gave away, without its password.

    ``expires`` is None for never, ``remaining`` None for any number of uses; ``made`` counts those there were.
    """

    name: str
    expires: datetime.datetime | None = None
    remaining: int | None = None
    made: int = 0
    host: str = ""
    created: datetime.datetime | None = None
    damaged: bool = False

    def state(self, now: datetime.datetime) -> ClaimState:
        """Whether it can be redeemed at ``now``, and if not, why."""
        if self.damaged:
            return "damaged"
        if self.expires is not None and self.expires < now:
            return "expired"
        return "used up" if self.remaining is not None and self.remaining <= 0 else "valid"


@dataclass(frozen=True, slots=True)
class Link:
    """An outgoing link of a site, as configured."""

    name: str
    kind: TokenKind
    host: str
    port: str
    cost: int
    peer_site_id: str
    created: datetime.datetime | None = None


LinkState = Literal["connected", "not connected", "unknown"]


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """A configured link and what a live probe of the router said about it.

    ``state`` is ``connected`` only if the router reports an active connection to the link's host and port, and the
    router at its other end answered through it; ``unknown`` if one of them did not answer. ``reason`` says why,
    ``since`` when it connected or was lost (if known), ``fix`` what to type next.
    """

    link: Link
    state: LinkState
    reason: str = ""
    peer: str = ""
    since: datetime.datetime | None = None
    fix: str = ""


@dataclass(frozen=True, slots=True)
class IncomingLink:
    """A connected link that another site made to this one; ``site_id`` is empty while the peer is not identified."""

    site_id: str
    site_name: str = ""
    namespace: str = ""
