"""A site with its services and links as one value: what ``skupper apply`` is given and ``skupper export`` writes."""

from __future__ import annotations

from dataclasses import dataclass, field

from skupper_podman.model.link import Token
from skupper_podman.model.service import Service
from skupper_podman.model.site import SiteSpec


@dataclass(frozen=True, slots=True)
class Definition:
    """What is to be there. ``site`` is None where nothing is said of it, else ``given`` names the options that are.

    The name of a link is that of its token; ``needs`` are addresses of services whose TLS files (secret) are elsewhere.
    """

    site: SiteSpec | None = None
    given: frozenset[str] = frozenset()
    services: tuple[Service, ...] = ()
    links: tuple[Token, ...] = ()
    needs: frozenset[str] = field(default=frozenset())
