"""The interface every platform implements; nothing else of a platform is seen outside its own package.

Every change is asked for as a plan (see :mod:`skupper_podman.plan`): building it changes nothing, so the command line
can print it, and applying it either completes or restores what was there before.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # only named in annotations: a command that needs no platform must not pay for loading them
    from skupper_podman.desired.gatewaybundle import Bundle
    from skupper_podman.model.certificate import Certificate
    from skupper_podman.model.definition import Definition
    from skupper_podman.model.doctor import Finding
    from skupper_podman.model.events import Happening
    from skupper_podman.model.gateway import GatewayRecord, GatewayRequest, GatewayStatus
    from skupper_podman.model.link import Claim, IncomingLink, Link, LinkStatus, Token
    from skupper_podman.model.network import NetworkStatus
    from skupper_podman.model.service import Service, Target
    from skupper_podman.model.servicepath import ServicePath
    from skupper_podman.model.site import SiteSpec
    from skupper_podman.model.status import ServiceStatus, SiteStatus, VersionInfo
    from skupper_podman.model.units import SiteUnits
    from skupper_podman.plan import Plan, Step
    from skupper_podman.redact import Redactor


@dataclass(frozen=True, slots=True)
class SiteRequest:
    """``skupper init`` before defaults are known: empty values mean "choose for me".

    ``timeout`` in seconds limits a pull, and the wait until the site works. With ``dry_run`` the plan is only to be
    shown, and nothing may be downloaded to make it. ``given`` names the fields of the spec that an existing site is to
    take over; None stands for those that are not as in a plain :class:`SiteSpec`.
    """

    spec: SiteSpec
    endpoint: str = ""
    timeout: float = 120.0
    dry_run: bool = False
    given: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """``skupper token create``: ``kind`` empty for a claim where the site can redeem one, else a certificate.

    ``expiry`` in seconds and ``uses`` limit a claim, zero or less for no limit; an empty password is made up, an empty
    host is the site's first. ``name`` empty chooses one.
    """

    kind: Literal["", "claim", "cert"] = ""
    name: str = ""
    ingress_host: str = ""
    expiry: float = 900.0
    uses: int = 1
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TokenPlan:
    """A token about to be issued: what must be done first, and then the bytes of the file (secret)."""

    kind: Literal["claim", "cert"]
    steps: tuple[Step, ...]
    content: Callable[[], bytes]
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """A gateway about to be let in: what must be done first, and then its bundle (secret).

    ``facts`` has ``name``, ``generation``, ``host``, ``port``, ``expires``, ``warnings``, and ``undefined``: services
    of its bindings that the site does not have.
    """

    steps: tuple[Step, ...]
    bundle: Callable[[], Bundle]
    facts: Mapping[str, object] = field(default_factory=dict)


class Collected(Protocol):
    """What support needs of a site, member by member of an archive; ``errors`` is complete when they are."""

    errors: list[str]
    redactor: Redactor

    def members(self) -> Iterator[tuple[str, bytes]]:
        """Path and content of each member. Never raises for a part that cannot be had."""
        ...


class Platform(Protocol):
    """What a platform can do. Methods raise :class:`skupper_podman.errors.SkupperError` only."""

    name: str

    def close(self) -> None:
        """Let go of the site's lock and of connections, at the end of a command."""
        ...

    def plan_init(self, request: SiteRequest) -> Plan:
        """Plan to create, complete, repair or change the site; an empty plan if it is complete and as asked for."""
        ...

    def plan_delete(self) -> Plan:
        """Plan to remove everything of the site (also of a half-broken one) and nothing else."""
        ...

    def plan_update(self, *, force_restart: bool, timeout: float, dry_run: bool) -> Plan:
        """Plan to bring the site to this program's version and images; an empty plan if it is there already.

        With ``force_restart`` all containers restart. ``Plan.facts`` has ``tasks``, in 1.9's words.
        """
        ...

    def plan_revoke(self) -> Plan:
        """Plan to end all access granted so far: tokens, and links from other sites."""
        ...

    def certificates(self) -> tuple[Certificate, ...]:
        """The site's certificates and authorities, looked at now."""
        ...

    def plan_renewal(self, chosen: Collection[str] = ()) -> Plan:
        """Plan to renew the certificates that are due, or those of these names; an empty plan if there is none.

        ``Plan.facts`` has ``renewed``, their names. The certificate of a link is renewed by the site that issued it;
        one that cannot be renewed now is a warning, unless it was chosen.

        Raises:
            NotFoundError: there is none of that name. ConflictError: one that was chosen cannot be renewed.
        """
        ...

    def plan_rotation(self, chosen: Collection[str] = (), *, force: bool = False) -> Plan:
        """Plan new authorities (``local``, ``site``, ``service``; all if none is named) in the place of the present.

        The present ones stay trusted. Only with ``force`` the oldest is let go where there are too many.
        """
        ...

    def plan_retirement(self, chosen: Collection[str] = (), *, force: bool = False) -> Plan:
        """Plan to trust the present authorities only; an empty plan if that is so.

        Raises:
            ConflictError: a link of another site may depend on an old one, and ``force`` is not given.
        """
        ...

    def plan_link_create(self, token: Token, name: str, cost: int | None, *, replace: bool = False) -> Plan:
        """Plan a link; ``name`` empty chooses ``link<n>``. ``Plan.facts`` has ``name``, ``host``, ``port``.

        With ``replace`` it takes the place of the link to the same site, if there is one, and its name and cost.
        """
        ...

    def plan_link_update(self, name: str, cost: int) -> Plan:
        """Plan to give a link another cost; an empty plan if it has that cost."""
        ...

    def plan_link_delete(self, name: str) -> Plan:
        """Plan to remove a link."""
        ...

    def plan_service_create(self, service: Service) -> Plan:
        """Plan a new service, with its targets if it has any."""
        ...

    def plan_service_delete(self, address: str) -> Plan:
        """Plan to remove a service and its container."""
        ...

    def plan_service_label(self, address: str, put: Mapping[str, str], remove: Collection[str]) -> Plan:
        """Plan to change the labels of a service; removal is done before adding."""
        ...

    def plan_service_allow(self, address: str, put: Collection[str], remove: Collection[str] | None) -> Plan:
        """Plan to change which sites may take a service over, by name or id; removal is done before adding.

        ``remove`` None lets every site take it over.
        """
        ...

    def plan_bind(self, address: str, target: Target, trust: bytes = b"") -> Plan:
        """Plan to add a target to a service; an empty plan if it is there already.

        ``trust`` are the authorities (PEM) that targets' certificates must be signed by, empty to leave them.
        """
        ...

    def plan_unbind(self, address: str, host: str, *, delete_if_last: bool) -> Plan:
        """Plan to remove the target on ``host``; with ``delete_if_last`` also the service when it was the last."""
        ...

    def plan_token(self, request: TokenRequest) -> TokenPlan:
        """Plan to issue a token; the caller adds the step that writes its file."""
        ...

    def claims(self) -> tuple[Claim, ...]:
        """The claims that this site gave away and still knows, by name."""
        ...

    def plan_claim_revoke(self, name: str) -> Plan:
        """Plan to end a claim: nobody can redeem it any more."""
        ...

    def gateways(self) -> tuple[GatewayRecord, ...]:
        """The gateways that this site lets in, by name, without a probe."""
        ...

    def gateway_status(self, *, targets: bool = True) -> tuple[GatewayStatus, ...]:
        """Probe the gateways that this site lets in, local ones and those of bundles; also what they lead to."""
        ...

    def plan_gateway_bundle(self, request: GatewayRequest) -> GatewayPlan:
        """Plan to let a gateway in, or to give one that is known its next bundle; the caller writes or launches it."""
        ...

    def plan_gateway_delete(self, name: str) -> Plan:
        """Plan to revoke the credential of a gateway, alone, to end its connection and to forget it."""
        ...

    def identity(self) -> tuple[str, str]:
        """Name and id of the site, without a probe.

        Raises:
            NotEnabledError: there is none.
        """
        ...

    def definition(self) -> Definition:
        """The site, its services and links as :func:`skupper_podman.platform.apply.plan_apply` takes them (secret).

        Raises:
            NotEnabledError: there is no site.
        """
        ...

    def services(self) -> tuple[Service, ...]:
        """The services of this site, also those that came from other sites, without a probe."""
        ...

    def links(self) -> tuple[Link, ...]:
        """The site's own links, without a probe."""
        ...

    def site_certificate(self) -> tuple[bytes, bytes]:
        """The certificate that the site shows to those who link to it, and that of its authority, as PEM.

        Both are empty where the site accepts no links.
        """
        ...

    def site_status(self) -> SiteStatus:
        """Probe the site now."""
        ...

    def link_status(self) -> tuple[LinkStatus, ...]:
        """Probe the site's own links now."""
        ...

    def incoming_links(self) -> tuple[IncomingLink, ...]:
        """Links other sites made to this one, from the network status."""
        ...

    def service_status(self) -> tuple[ServiceStatus, ...]:
        """Probe the services defined at this site now."""
        ...

    def network_status(self) -> NetworkStatus:
        """The network as the controller last wrote it."""
        ...

    def site_units(self, quadlet: bool | None) -> SiteUnits:
        """The unit files of the site; Quadlet files if ``quadlet``, with None if Podman has Quadlet."""
        ...

    def doctor(self, only: Collection[str]) -> tuple[Finding, ...]:
        """Look at the host and the site; make the checks whose ids are in ``only``. Changes nothing, never raises."""
        ...

    def dump(self) -> Collected:
        """What support needs, without secrets; nothing is read before its members are asked for."""
        ...

    def events(self, since: datetime.datetime) -> tuple[tuple[Happening, ...], tuple[str, ...]]:
        """What happened since then, oldest first; and in words what could not be read of it."""
        ...

    def service_path(self, address: str) -> ServicePath:
        """Follow a service from its listeners to its servers, with a connection made now.

        Raises:
            NotFoundError: it is not defined at this site.
        """
        ...

    def plan_remedy(self, remedy: str, *, dry_run: bool = False) -> Plan:
        """Plan what a finding's remedy stands for; with ``dry_run`` the plan is only to be shown."""
        ...

    def versions(self) -> VersionInfo:
        """Versions in use; without a site only the client's."""
        ...


__all__ = ["Collected", "GatewayPlan", "Platform", "SiteRequest", "TokenPlan", "TokenRequest"]
