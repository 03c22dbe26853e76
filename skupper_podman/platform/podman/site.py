"""The podman platform: one object behind the Platform protocol, each method kept in its own module."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping

from skupper_podman.model.certificate import Certificate
from skupper_podman.model.definition import Definition
from skupper_podman.model.doctor import Finding
from skupper_podman.model.events import Happening
from skupper_podman.model.gateway import GatewayRecord, GatewayRequest, GatewayStatus
from skupper_podman.model.link import Claim, IncomingLink, Link, LinkStatus, Token
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.service import Service, Target
from skupper_podman.model.servicepath import ServicePath
from skupper_podman.model.status import ServiceStatus, SiteStatus, VersionInfo
from skupper_podman.model.units import SiteUnits
from skupper_podman.plan import Plan
from skupper_podman.platform import GatewayPlan, SiteRequest, TokenPlan, TokenRequest
from skupper_podman.platform.podman import (
    certstatus,
    doctor,
    dump,
    happenings,
    init,
    links,
    plain,
    remedies,
    remove,
    renewal,
    revoke,
    serviceedits,
    servicepath,
    services,
    status,
    tokens,
    update,
)
from skupper_podman.platform.podman.context import Context, real_context


class PodmanPlatform:
    """The site of one user on this host. See :class:`skupper_podman.platform.Platform` for what the methods do.

    A method that plans a change takes the site's lock; it is held until :meth:`close` or the end of the process, so
    that what was planned is what is applied.
    """

    name = "podman"

    def __init__(
        self, endpoint: str = "", env: Mapping[str, str] | None = None, context: Context | None = None
    ) -> None:
        """Use the Podman API at ``endpoint``, by default the one that ``env`` (the process's environment) leads to."""
        self.context = context or real_context(env, endpoint)

    def close(self) -> None:
        """Release the lock and the connections."""
        self.context.close()

    def plan_init(self, request: SiteRequest) -> Plan:
        """Plan to create, complete or repair the site."""
        return init.plan_init(self.context, request)

    def plan_delete(self) -> Plan:
        """Plan to remove the site."""
        return remove.plan_delete(self.context)

    def plan_update(self, *, force_restart: bool, timeout: float, dry_run: bool) -> Plan:
        """Plan to bring the site up to date."""
        return update.plan_update(self.context, force_restart=force_restart, timeout=timeout, dry_run=dry_run)

    def plan_revoke(self) -> Plan:
        """Plan to end all access granted so far."""
        return revoke.plan_revoke(self.context)

    def certificates(self) -> tuple[Certificate, ...]:
        """The certificates of the site."""
        return certstatus.certificates(self.context.site(), self.context.now())

    def plan_renewal(self, chosen: Collection[str] = ()) -> Plan:
        """Plan to renew certificates."""
        return renewal.plan_renewal(self.context, chosen)

    def plan_rotation(self, chosen: Collection[str] = (), *, force: bool = False) -> Plan:
        """Plan new authorities."""
        return renewal.plan_rotation(self.context, chosen, force=force)

    def plan_retirement(self, chosen: Collection[str] = (), *, force: bool = False) -> Plan:
        """Plan the end of trust in old authorities."""
        return renewal.plan_retirement(self.context, chosen, force=force)

    def plan_link_create(self, token: Token, name: str, cost: int | None, *, replace: bool = False) -> Plan:
        """Plan a link."""
        return links.plan_link_create(self.context, token, name, cost, replacing=replace)

    def plan_link_update(self, name: str, cost: int) -> Plan:
        """Plan to give a link another cost."""
        return links.plan_link_update(self.context, name, cost)

    def plan_link_delete(self, name: str) -> Plan:
        """Plan to remove a link."""
        return links.plan_link_delete(self.context, name)

    def plan_service_create(self, service: Service) -> Plan:
        """Plan a new service."""
        return services.plan_service_create(self.context, service)

    def plan_service_delete(self, address: str) -> Plan:
        """Plan to remove a service."""
        return services.plan_service_delete(self.context, address)

    def plan_service_label(self, address: str, put: Mapping[str, str], remove: Collection[str]) -> Plan:
        """Plan to change the labels of a service."""
        return serviceedits.plan_service_label(self.context, address, put, remove)

    def plan_service_allow(self, address: str, put: Collection[str], remove: Collection[str] | None) -> Plan:
        """Plan to change which sites may use a service."""
        return serviceedits.plan_service_allow(self.context, address, put, remove)

    def plan_bind(self, address: str, target: Target, trust: bytes = b"") -> Plan:
        """Plan to add a target to a service."""
        return services.plan_bind(self.context, address, target, trust)

    def plan_unbind(self, address: str, host: str, *, delete_if_last: bool) -> Plan:
        """Plan to remove the target on ``host``."""
        return services.plan_unbind(self.context, address, host, delete_if_last=delete_if_last)

    def plan_token(self, request: TokenRequest) -> TokenPlan:
        """Plan to issue a token."""
        return tokens.plan_token(self.context, request)

    def claims(self) -> tuple[Claim, ...]:
        """The claims that this site gave away."""
        return tokens.claims(self.context)

    def plan_claim_revoke(self, name: str) -> Plan:
        """Plan to end a claim."""
        return tokens.plan_claim_revoke(self.context, name)

    def gateways(self) -> tuple[GatewayRecord, ...]:
        """The gateways that this site lets in."""
        from skupper_podman.platform.podman import gateways  # not needed by other commands

        return gateways.records(self.context)

    def gateway_status(self, *, targets: bool = True) -> tuple[GatewayStatus, ...]:
        """Probe the gateways."""
        from skupper_podman.platform.podman import gatewaystatus

        return gatewaystatus.gateway_statuses(self.context, targets=targets)

    def plan_gateway_bundle(self, request: GatewayRequest) -> GatewayPlan:
        """Plan to let a gateway in."""
        from skupper_podman.platform.podman import gatewayissue

        return gatewayissue.plan_gateway_bundle(self.context, request)

    def plan_gateway_delete(self, name: str) -> Plan:
        """Plan to revoke a gateway."""
        from skupper_podman.platform.podman import gatewayrevoke

        return gatewayrevoke.plan_gateway_delete(self.context, name)

    def identity(self) -> tuple[str, str]:
        """Name and id of the site."""
        return plain.identity(self.context)

    def links(self) -> tuple[Link, ...]:
        """The site's own links, not probed."""
        return plain.links(self.context)

    def definition(self) -> Definition:
        """The site with its services and links."""
        return plain.definition(self.context)

    def services(self) -> tuple[Service, ...]:
        """The services defined at this site, not probed."""
        return plain.services(self.context)

    def site_certificate(self) -> tuple[bytes, bytes]:
        """The certificate the site shows, and its authority's."""
        return plain.site_certificate(self.context)

    def site_status(self) -> SiteStatus:
        """Probe the site."""
        return status.site_status(self.context)

    def link_status(self) -> tuple[LinkStatus, ...]:
        """Probe the links."""
        return status.link_status(self.context)

    def incoming_links(self) -> tuple[IncomingLink, ...]:
        """Links other sites made to this one."""
        return status.incoming_links(self.context)

    def service_status(self) -> tuple[ServiceStatus, ...]:
        """Probe the services."""
        return status.service_status(self.context)

    def network_status(self) -> NetworkStatus:
        """The network as the controller last wrote it."""
        return status.network_status(self.context)

    def site_units(self, quadlet: bool | None) -> SiteUnits:
        """The unit files of the site."""
        from skupper_podman.platform.podman import generate  # not needed by any other command

        return generate.site_units(self.context, quadlet)

    def doctor(self, only: Collection[str]) -> tuple[Finding, ...]:
        """Make the checks."""
        return doctor.examine(self.context, only)

    def dump(self) -> dump.Dump:
        """What support needs."""
        return dump.Dump(self.context)

    def events(self, since: datetime.datetime) -> tuple[tuple[Happening, ...], tuple[str, ...]]:
        """What happened."""
        return happenings.happenings(self.context, since)

    def service_path(self, address: str) -> ServicePath:
        """Follow a service."""
        return servicepath.service_path(self.context, address)

    def plan_remedy(self, remedy: str, *, dry_run: bool = False) -> Plan:
        """Plan what mends a finding."""
        return remedies.plan_remedy(self.context, remedy, dry_run=dry_run)

    def versions(self) -> VersionInfo:
        """Versions in use."""
        return status.versions(self.context)
