"""Conditions to wait for, as words of a command line: ``ready``, ``links``, ``link X``, ``service X``, ``sites=N``.

What always holds: a condition is judged by the same values the status commands print; what cannot be told counts as not
met, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from skupper_podman.errors import NotFoundError, UsageError
from skupper_podman.model.link import LinkStatus
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.status import ServiceStatus, SiteStatus

Subject = Literal["ready", "links", "link", "service", "sites"]
FORMS: Final = "ready, links, 'link NAME connected', 'service NAME reachable' or sites=N"
_STATES: Final = {"link": "connected", "service": "reachable"}


@dataclass(frozen=True, slots=True)
class Condition:
    """What is waited for: ``name`` of a link or service, or how many sites (``count``) the network must have."""

    subject: Subject
    name: str = ""
    count: int = 0

    def __str__(self) -> str:
        if self.subject == "sites":
            return f"sites={self.count}"
        return f"{self.subject} {self.name} {_STATES[self.subject]}" if self.name else self.subject


def parse_condition(text: str) -> Condition:
    """Read one condition.

    Raises:
        UsageError: it is none.
    """
    words = text.replace("/", " ", 1).split()
    match words:
        case ["ready"]:
            return Condition("ready")
        case ["links"] | ["links", "connected"]:
            return Condition("links")
        case ["link", name] | ["link", name, "connected"]:
            return Condition("link", name)
        case ["service", name] | ["service", name, "reachable"]:
            return Condition("service", name)
        case [word] if word.startswith("sites=") and word[6:].isdigit() and word.isascii():
            return Condition("sites", count=int(word[6:][:9]))
    raise UsageError(f"invalid condition {text!r}: it must be {FORMS}")


def ready(site: SiteStatus) -> str:
    """Why the site is not ready; empty if it is."""
    wrong = [probe for probe in site.probes if probe.health != "ok"]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return f"{wrong[0].name}: {wrong[0].detail or wrong[0].health}{more}"
    return "" if site.probes else "nothing could be checked"


def linked(links: Iterable[LinkStatus], name: str = "") -> str:
    """Why not all links (or the one of that name) are connected; empty if they are.

    Raises:
        NotFoundError: there is no link of that name.
    """
    chosen = [status for status in links if name in ("", status.link.name)]
    if name and not chosen:
        raise NotFoundError(f'No such link "{name}"', "to see the links: skupper link status")
    wrong = [status for status in chosen if status.state != "connected"]
    return f"link {wrong[0].link.name}: {wrong[0].reason or wrong[0].state}" if wrong else ""


def served(services: Iterable[ServiceStatus], name: str) -> str:
    """Why the service cannot be reached; empty if it can.

    Raises:
        NotFoundError: it is not defined.
    """
    status = next((status for status in services if status.service.address == name), None)
    if status is None:
        raise NotFoundError(f"Service {name} not defined", "to see the services: skupper service status")
    if status.health == "ok" and status.reachable:
        return ""
    return f"service {name}: {status.detail or status.health}"


def populated(network: NetworkStatus, count: int) -> str:
    """Why the network does not have that many sites; empty if it has."""
    return "" if len(network.sites) >= count else f"the network has {len(network.sites)} of {count} sites"
