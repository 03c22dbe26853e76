"""What live probes said about a site. ``ok`` is said only by a probe, never assumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from skupper_podman.model.certificate import Certificate
from skupper_podman.model.service import Service

Health = Literal["ok", "failing", "unknown"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing looked at: ``name`` (``container skupper-router``, ``router management``, ``unit``...),
    what was seen, since when (RFC 3339, or empty), and the command that mends it (or empty)."""

    name: str
    health: Health
    detail: str = ""
    since: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """The state of the local site; ``namespace`` tells it from other sites of its user, and may be empty."""

    name: str
    site_id: str
    user: str
    router_mode: str
    version: str
    router_kind: str
    image: str
    network: str
    services: int
    probes: tuple[Probe, ...] = ()
    namespace: str = ""
    certificates: tuple[Certificate, ...] = ()

    @property
    def health(self) -> Health:
        """Worst of all probes; ``unknown`` without any."""
        states = {probe.health for probe in self.probes}
        if not states:
            return "unknown"
        if "failing" in states:
            return "failing"
        return "unknown" if "unknown" in states else "ok"


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One port of a target of this site, as tried from the site's network: ``reason`` says why it cannot be reached.

    ``health`` is ``unknown`` where it could not be tried.
    """

    host: str
    port: int
    target_port: int
    health: Health
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service defined at this site, with what was seen of it: its container, its listeners, its targets here, and
    whether the network can reach it.

    ``reachable`` is True if the service's router listens for it (some connector exists in the network),
    False if not, None where the router could not be asked. ``since`` is when its container, called
    ``container``, started or ended.
    """

    service: Service
    health: Health
    detail: str = ""
    fix: str = ""
    reachable: bool | None = None
    since: str = ""
    targets: tuple[TargetStatus, ...] = ()
    container: str = ""


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """Versions of the client and of the images in use: label, image reference, digest (may be empty)."""

    client: str
    images: tuple[tuple[str, str, str], ...] = field(default=())
