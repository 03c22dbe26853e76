"""A platform that keeps a site in memory: small, but real. It is held to the same contract as the podman platform."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from skupper_podman import SKUPPER_VERSION
from skupper_podman.desired.claimrecords import rfc3339
from skupper_podman.desired.gatewaybundle import (
    Bundle,
    BundleGeneration,
    BundleRouter,
    BundleSecrets,
    BundleSite,
    make_bundle,
)
from skupper_podman.desired.tokens import (
    CLAIM_EXPIRATION,
    GENERATED_BY,
    check_token,
    claim_token,
    dump_token,
    next_link_name,
)
from skupper_podman.errors import ConflictError, NotEnabledError, NotFoundError, SkupperError, UsageError
from skupper_podman.gateway.programs import bundle_programs
from skupper_podman.model.certificate import Certificate
from skupper_podman.model.definition import Definition
from skupper_podman.model.doctor import Finding
from skupper_podman.model.events import Happening
from skupper_podman.model.gateway import GatewayRecord, GatewayRequest, GatewayStatus
from skupper_podman.model.link import Claim, IncomingLink, Link, LinkState, LinkStatus, Token
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.networkrecords import Address, Connector, Listener, Router, RouterStatus, Site
from skupper_podman.model.networkrecords import SiteStatus as NetworkSite
from skupper_podman.model.service import Service, Target
from skupper_podman.model.servicepath import Hop, ServicePath
from skupper_podman.model.site import SiteSpec
from skupper_podman.model.siteoptions import differences, merged
from skupper_podman.model.status import Probe, ServiceStatus, SiteStatus, TargetStatus, VersionInfo
from skupper_podman.model.units import SiteUnits, UnitFile
from skupper_podman.plan import Plan, Step
from skupper_podman.platform import GatewayPlan, SiteRequest, TokenPlan, TokenRequest
from skupper_podman.redact import Redactor

SITE_ID = "484cccc3-401c-4c30-a6ed-73382701b18a"
PEER_ID = "496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0"
T = TypeVar("T")
CREATED = datetime.datetime(2022, 11, 17, 15, 2, 1, tzinfo=datetime.UTC)
ISSUED = datetime.datetime(2025, 1, 31, 10, 0, 0, tzinfo=datetime.UTC)
"""When claims are issued: the time of the tests' terminal."""


def token_text(site_id: str = PEER_ID, host: str = "192.0.2.10") -> bytes:
    """A connection token as another site writes it (its certificates are not looked at here)."""
    return f"""apiVersion: v1
data:
  ca.crt: Y2E=
  tls.crt: Y2VydA==
  tls.key: a2V5
kind: Secret
metadata:
  annotations:
    edge-host: {host}
    edge-port: "45671"
    inter-router-host: {host}
    inter-router-port: "55671"
    skupper.io/generated-by: {site_id}
    skupper.io/site-version: 1.9.6
  creationTimestamp: null
  labels:
    skupper.io/type: connection-token
  name: skupper
type: kubernetes.io/tls
""".encode()


@dataclass
class MemoryDump:
    """An archive of two members, one of which could not be had in full."""

    errors: list[str] = field(default_factory=list)
    redactor: Redactor = field(default_factory=lambda: Redactor([b"hunter22"]))

    def members(self) -> Iterator[tuple[str, bytes]]:
        yield "/skupper-info/manifest.json", b"{}"
        self.errors.append("containers: Podman does not answer")
        yield "/errors.txt", b"containers: Podman does not answer\n"


@dataclass
class MemoryPlatform:
    """The site of one user. Tests set the fields marked below to decide what probes say."""

    user: str = "jdoe"
    name: str = "podman"
    spec: SiteSpec | None = None
    links_by_name: dict[str, Link] = field(default_factory=dict)
    services_by_address: dict[str, Service] = field(default_factory=dict)
    claims_by_name: dict[str, Claim] = field(default_factory=dict)
    requests: list[SiteRequest] = field(default_factory=list)
    # what probes say
    probes: tuple[Probe, ...] = (Probe("container skupper-router", "ok", "running"),)
    link_state: LinkState = "connected"
    link_reason: str = ""
    service_health: ServiceStatus | None = None
    network: NetworkStatus | None = None
    network_error: SkupperError | None = None
    incoming: tuple[IncomingLink, ...] = ()
    certificate: tuple[bytes, bytes] = (b"", b"")
    known_certificates: tuple[Certificate, ...] = ()
    predecessors: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = (Finding("site", "ok", "west"), Finding("link", "ok", "connected", subject="link1"))
    examined: list[frozenset[str]] = field(default_factory=list)
    happenings: tuple[Happening, ...] = ()
    event_problems: tuple[str, ...] = ()
    # what a plan says beside its steps, and a step that fails
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    tokens: dict[str, Token] = field(default_factory=dict)
    gateways_by_name: dict[str, GatewayRecord] = field(default_factory=dict)
    connected: frozenset[str] = frozenset()
    trust: bytes = b""
    broken_step: BaseException | None = None
    closed: bool = False

    def _site(self) -> SiteSpec:
        if self.spec is None:
            raise NotEnabledError(f"Skupper is not enabled for user '{self.user}'", "to create a site: skupper init")
        return self.spec

    def _plan(self, title: str, steps: tuple[Step, ...], **facts: object) -> Plan:
        if self.broken_step is not None and steps:
            steps = (*steps, Step("run", "what goes wrong", self._break))
        return Plan(title, steps, {**facts, "warnings": self.warnings, "notes": self.notes})

    def _break(self) -> None:
        assert self.broken_step is not None
        raise self.broken_step

    def plan_init(self, request: SiteRequest) -> Plan:
        self.requests.append(request)
        if self.spec is not None:
            return self._changed(self.spec, request)
        spec = replace(request.spec, name=request.spec.name or "vm1-jdoe-c3d98", site_id=SITE_ID)

        def do() -> None:
            self.spec = spec

        def undo() -> None:
            self.spec = None

        steps = (Step("create", f"site {spec.name}", do, undo),)
        return self._plan(f"Create site {spec.name}", steps, name=spec.name, existed=False)

    def site_units(self, quadlet: bool | None) -> SiteUnits:
        name = self._site().name
        if not quadlet:
            content = f"# Written by skupper init\n[Unit]\nDescription={name}\n"
            file = UnitFile("skupper-podman.service", content)
            return SiteUnits("unit", "it was asked for", "/units", (file,), ("systemctl start skupper-podman",))
        content = "# Written by skupper generate unit\n"
        files = (UnitFile("skupper.network", content), UnitFile("skupper-router.container", content))
        return SiteUnits("quadlet", "it was asked for", "/quadlets", files, ("systemctl x",), self.warnings)

    def _changed(self, found: SiteSpec, request: SiteRequest) -> Plan:
        wanted = merged(request.spec, found, request.given)
        lines = [str(item) for item in differences(found, wanted)]
        if not lines:
            return self._plan(f"Site {found.name} is complete", (), existed=True)

        def put(spec: SiteSpec) -> None:
            self.spec = spec

        step = Step("update", f"site {found.name}", lambda: put(wanted), lambda: put(found))
        plan = self._plan(f"Change site {found.name}", (step,), existed=True, changes=lines, ahead=self.ahead)
        return replace(plan, facts={**plan.facts, "notes": (*self.notes, *lines)})

    def plan_delete(self) -> Plan:
        spec = self._site()
        links, services = self.links_by_name, self.services_by_address

        def do() -> None:
            self.spec, self.links_by_name, self.services_by_address = None, {}, {}

        def undo() -> None:
            self.spec, self.links_by_name, self.services_by_address = spec, links, services

        return self._plan(f"Delete site {spec.name}", (Step("delete", f"site {spec.name}", do, undo),))

    def plan_update(self, *, force_restart: bool, timeout: float, dry_run: bool) -> Plan:
        site = self._site()
        steps = (Step("run", "restart of everything", lambda: None),) if force_restart or self.tasks else ()
        tasks = self.tasks
        self.tasks = () if not dry_run else tasks
        title = f"Update site {site.name}" if steps else f"Site {site.name} is up to date"
        return self._plan(title, steps, tasks=tasks, ahead=self.ahead, timeout=timeout)

    def gateways(self) -> tuple[GatewayRecord, ...]:
        self._site()
        return tuple(self.gateways_by_name[name] for name in sorted(self.gateways_by_name))

    def gateway_status(self, *, targets: bool = True) -> tuple[GatewayStatus, ...]:
        return tuple(
            GatewayStatus(record, True, "2.7.3", 60.0, "192.0.2.77:4711", targets={"db": True})
            if record.name in self.connected
            else GatewayStatus(record, False, problem="it is not connected")
            for record in self.gateways()
        )

    def plan_gateway_bundle(self, request: GatewayRequest) -> GatewayPlan:
        site = self._site()
        name, before = request.definition.name, self.gateways_by_name.get(request.definition.name)
        generation = before.generation + 1 if before else 1
        expires = ISSUED + (request.launch_within or request.validity)
        lifetime = request.validity if request.launch_within else None
        kept = before.services if before else ()
        record = GatewayRecord(
            request.definition, request.kind, request.type, generation, ISSUED, expires, "192.0.2.5", 45671,
            f"skupper-gateway-{name}", kept if request.services is None else request.services,
            lifetime,
        )  # fmt: skip

        def do() -> None:
            self.gateways_by_name[name] = record

        def undo() -> None:
            self.gateways_by_name.pop(name, None)
            if before:
                self.gateways_by_name[name] = before

        def bundle() -> Bundle:
            return make_bundle(
                BundleGeneration(request.definition, generation, ISSUED, request.kind, lifetime),
                BundleSite(SITE_ID, site.name, "192.0.2.5", 45671, "1.9.6"),
                BundleSecrets(b"CERT", b"KEY", b"OWN", b"CA", expires, request.tls),
                BundleRouter("image"), bundle_programs(),
            )  # fmt: skip

        step = Step("create", f"record of gateway {name}", do, undo)
        named = {bridge.service for bridge in request.definition.bindings}
        facts: dict[str, object] = {"name": name, "generation": generation, "warnings": self.warnings}
        facts["undefined"] = sorted(named - self.services_by_address.keys())
        return GatewayPlan((step,), bundle, facts)

    def plan_gateway_delete(self, name: str) -> Plan:
        self._site()
        if name not in self.gateways_by_name:
            raise NotFoundError(f'No such gateway "{name}"', "to see them: skupper gateway status")
        record = self.gateways_by_name[name]

        def do() -> None:
            del self.gateways_by_name[name]

        def undo() -> None:
            self.gateways_by_name[name] = record

        step = Step("delete", f"record of gateway {name}", do, undo)
        return self._plan(f"Revoke and delete gateway {name}", (step,), name=name)

    def plan_revoke(self) -> Plan:
        site = self._site()
        step = Step("create", "certificate authority skupper-site-ca", lambda: None)
        return self._plan(f"Revoke access to site {site.name}", (step,), ahead=self.ahead)

    def certificates(self) -> tuple[Certificate, ...]:
        self._site()
        return self.known_certificates

    def plan_renewal(self, chosen: Collection[str] = ()) -> Plan:
        self._site()
        unknown = set(chosen) - {item.name for item in self.known_certificates}
        if unknown:
            raise NotFoundError(f"no such certificate: {', '.join(sorted(unknown))}")
        names = [item.name for item in self.known_certificates if item.name in chosen or (not chosen and item.late)]
        steps = tuple(Step("update", f"certificate {name}", lambda: None) for name in names)
        return self._plan("Renew certificates" if steps else "No certificate is due", steps, renewed=names)

    def plan_rotation(self, chosen: Collection[str] = (), *, force: bool = False) -> Plan:
        self._site()
        names = self._authorities(chosen)
        self.predecessors |= {name: self.predecessors.get(name, 0) + 1 for name in names}
        steps = tuple(Step("update", f"certificate authority {name}", lambda: None) for name in names)
        return self._plan("Rotate certificate authorities", steps, renewed=names)

    def plan_retirement(self, chosen: Collection[str] = (), *, force: bool = False) -> Plan:
        self._site()
        names = [name for name in self._authorities(chosen) if self.predecessors.pop(name, 0)]
        steps = tuple(Step("update", f"certificate authority {name}", lambda: None) for name in names)
        return self._plan("Retire certificate authorities" if steps else "Nothing to retire", steps, renewed=names)

    @staticmethod
    def _authorities(chosen: Collection[str]) -> list[str]:
        known = {"local": "skupper-local-ca", "site": "skupper-site-ca", "service": "skupper-service-ca"}
        if unknown := set(chosen) - known.keys():
            raise UsageError(f"no such authority: {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
        return [name for short, name in known.items() if not chosen or short in chosen]

    def plan_link_create(self, token: Token, name: str, cost: int | None, *, replace: bool = False) -> Plan:
        site = self._site()
        old = next((link for link in self.links_by_name.values() if link.peer_site_id == token.generated_by), None)
        if replace and old is not None:
            removal = self.plan_link_delete(old.name)
            removal.apply()
            made = self.plan_link_create(token, name or old.name, cost or old.cost)
            removal.steps[0].undo()
            return self._plan(
                f"Replace link {old.name}", (*removal.steps, *made.steps), **{**made.facts, "replaced": old.name}
            )
        name = name or next_link_name(tuple(self.links_by_name))
        if name in self.links_by_name:
            raise ConflictError(f"link {name} already exists")
        peers = {link.name: link.peer_site_id for link in self.links_by_name.values()}
        check_token(token, site.site_id, peers)
        host, port = token.endpoint("inter-router")
        link = Link(name, token.kind, host, port, cost or 1, token.generated_by, CREATED)
        step = self._put(self.links_by_name, name, link, f"link {name}")
        return self._plan(f"Create link {name}", (step,), name=name, host=host, port=port, cost=link.cost)

    def plan_link_update(self, name: str, cost: int) -> Plan:
        self._site()
        if name not in self.links_by_name:
            raise NotFoundError(f'no such link "{name}"', "to see the links: skupper link status")
        link = self.links_by_name[name]
        if link.cost == cost:
            return self._plan(f"Link {name} has cost {cost} already", (), name=name)
        return self._plan(f"Change link {name}", (self._recost(link, cost),), name=name, cost=cost)

    def _recost(self, link: Link, cost: int) -> Step:
        put: Callable[[Link], None] = lambda value: self.links_by_name.update({value.name: value})  # noqa: E731
        return Step("update", f"link {link.name}", lambda: put(replace(link, cost=cost)), lambda: put(link))

    def plan_link_delete(self, name: str) -> Plan:
        self._site()
        if name not in self.links_by_name:
            raise NotFoundError(f'no such link "{name}"', "to see the links: skupper link status")
        return self._plan(f"Delete link {name}", (self._drop(self.links_by_name, name, f"link {name}"),), name=name)

    def plan_service_create(self, service: Service) -> Plan:
        self._site()
        if service.address in self.services_by_address:
            raise ConflictError(f"Service {service.address} already defined")
        step = self._put(self.services_by_address, service.address, service, f"service {service.address}")
        return self._plan(f"Create service {service.address}", (step,), address=service.address)

    def plan_service_delete(self, address: str) -> Plan:
        self._service(address)
        step = self._drop(self.services_by_address, address, f"service {address}")
        return self._plan(f"Delete service {address}", (step,), address=address)

    def plan_service_label(self, address: str, put: Mapping[str, str], remove: Collection[str]) -> Plan:
        service = self._service(address)
        labels = {name: value for name, value in service.labels.items() if name not in remove} | dict(put)
        if labels == service.labels:
            return self._plan(f"Service {address} has these labels already", ())
        return self._plan(f"Change labels of service {address}", (self._change(replace(service, labels=labels)),))

    def plan_service_allow(self, address: str, put: Collection[str], remove: Collection[str] | None) -> Plan:
        service = self._service(address)
        kept = [] if remove is None else [site for site in service.allowed_sites if site not in remove]
        allowed = tuple(sorted({*kept, *put}))
        if remove is not None and service.allowed_sites and not allowed:
            raise UsageError(f"no site would be left that may use service {address}")
        if allowed == service.allowed_sites:
            return self._plan(f"Service {address} is for these sites already", ())
        step = self._change(replace(service, allowed_sites=allowed))
        return self._plan(f"Change the sites of service {address}", (step,))

    def plan_bind(self, address: str, target: Target, trust: bytes = b"") -> Plan:
        self.trust = trust
        service = self._service(address)
        if target in service.targets:
            return self._plan(f"{target.host} is a target of {address} already", (), address=address)
        changed = replace(service, targets=(*service.targets, target))
        return self._plan(f"Add target {target.host}", (self._change(changed),), address=address)

    def plan_unbind(self, address: str, host: str, *, delete_if_last: bool) -> Plan:
        service = self._service(address)
        left = tuple(target for target in service.targets if target.host != host)
        if left == service.targets:
            raise NotFoundError(f"Could not find target {host} for service interface {address}")
        if delete_if_last and not left:
            return self.plan_service_delete(address)
        return self._plan(f"Remove target {host}", (self._change(replace(service, targets=left)),), address=address)

    def _service(self, address: str) -> Service:
        self._site()
        if address not in self.services_by_address:
            raise NotFoundError(f"Service {address} not defined", "to see the services: skupper service status")
        return self.services_by_address[address]

    def _change(self, service: Service) -> Step:
        before = self.services_by_address[service.address]
        put: Callable[[Service], None] = lambda value: self.services_by_address.update({value.address: value})  # noqa: E731
        return Step("update", f"service {service.address}", lambda: put(service), lambda: put(before))

    @staticmethod
    def _put(table: dict[str, T], key: str, value: T, what: str) -> Step:
        return Step("create", what, lambda: table.update({key: value}), lambda: table.pop(key, None) and None)

    @staticmethod
    def _drop(table: dict[str, T], key: str, what: str) -> Step:
        before = table[key]
        return Step("delete", what, lambda: table.pop(key) and None, lambda: table.update({key: before}))

    def plan_token(self, request: TokenRequest) -> TokenPlan:
        site = self._site()
        name, ingress_host = request.name or "skupper", request.ingress_host
        hosts = site.ingress_hosts if site.ingress != "none" else ()
        if not hosts:
            raise UsageError("tokens cannot be generated for sites initialized with ingress type none")
        if ingress_host and ingress_host not in hosts:
            raise UsageError(f"tokens can only be generated for the available ingress hosts: [{' '.join(hosts)}]")
        text = token_text(site.site_id, ingress_host or hosts[0]).replace(
            b"55671", str(site.inter_router_port).encode()
        )
        if request.kind == "claim" or (not request.kind and site.claims_port):
            return self._plan_claim(site, request, ingress_host or hosts[0])
        content = text.replace(b"  name: skupper", f"  name: {name}".encode())
        return TokenPlan("cert", (), lambda: content, {"name": name})

    def _plan_claim(self, site: SiteSpec, request: TokenRequest, host: str) -> TokenPlan:
        name = request.name or f"claim-{len(self.claims_by_name) + 1}"
        if name in self.claims_by_name:
            raise ConflictError(f'a claim called "{name}" already exists')
        expires = ISSUED + datetime.timedelta(seconds=request.expiry) if request.expiry > 0 else None
        claim = Claim(name, expires, request.uses if request.uses > 0 else None, 0, host, ISSUED)
        url = f"https://{host}:{site.claims_port}/{name}"
        token = claim_token(name, site.site_id, url, (request.password or "secret").encode(), b"ca")
        limits = {CLAIM_EXPIRATION: rfc3339(expires)} if expires else {}
        token = replace(token, annotations={**token.annotations, **limits})
        step = self._put(self.claims_by_name, name, claim, f"claim {name}")
        return TokenPlan("claim", (step,), lambda: dump_token(token), {"name": name, "url": url})

    def claims(self) -> tuple[Claim, ...]:
        self._site()
        return tuple(self.claims_by_name[name] for name in sorted(self.claims_by_name))

    def plan_claim_revoke(self, name: str) -> Plan:
        self._site()
        if name not in self.claims_by_name:
            raise NotFoundError(f'No such claim "{name}"', "to see the claims: skupper token list")
        return self._plan(f"Revoke claim {name}", (self._drop(self.claims_by_name, name, f"claim {name}"),), name=name)

    def close(self) -> None:
        self.closed = True

    def identity(self) -> tuple[str, str]:
        return self._site().name, self._site().site_id

    def links(self) -> tuple[Link, ...]:
        self._site()
        return tuple(self.links_by_name[name] for name in sorted(self.links_by_name))

    def definition(self) -> Definition:
        site = self._site()
        return Definition(site, frozenset(), self.services(), tuple(self.tokens[name] for name in sorted(self.tokens)))

    def services(self) -> tuple[Service, ...]:
        self._site()
        return tuple(self.services_by_address[address] for address in sorted(self.services_by_address))

    def site_certificate(self) -> tuple[bytes, bytes]:
        self._site()
        return self.certificate

    def site_status(self) -> SiteStatus:
        site = self._site()
        return SiteStatus(
            site.name, site.site_id, self.user, site.router_mode, SKUPPER_VERSION, "embedded", "localhost/host:1",
            site.network, len(self.services_by_address), self.probes, certificates=self.known_certificates,
        )  # fmt: skip

    def link_status(self) -> tuple[LinkStatus, ...]:
        return tuple(LinkStatus(link, self.link_state, self.link_reason, "peer") for link in self.links())

    def incoming_links(self) -> tuple[IncomingLink, ...]:
        self._site()
        if self.network_error:
            raise self.network_error
        return self.incoming

    def service_status(self) -> tuple[ServiceStatus, ...]:
        template = self.service_health
        if template is None:
            return tuple(
                ServiceStatus(service, "ok", "reachable", reachable=True, targets=_tried(service))
                for service in self.services()
            )
        return tuple(replace(template, service=service) for service in self.services())

    def network_status(self) -> NetworkStatus:
        site = self._site()
        if self.network_error:
            raise self.network_error
        return self.network if self.network is not None else self._own_network(site)

    def _own_network(self, site: SiteSpec) -> NetworkStatus:
        names = [
            (f"{service.address}:{port}", service.protocol, service)
            for service in self.services()
            for port in service.ports
        ]
        router = RouterStatus(
            Router(name=f"0/{site.name}", mode="interior"),
            listeners=tuple(Listener(address=name, name=name) for name, _protocol, _service in names),
            connectors=tuple(
                Connector(address=name, host=target.host)
                for name, _protocol, service in names
                for target in service.targets
            ),
        )
        local = Site(identity=site.site_id, name=site.name, platform="podman", version=SKUPPER_VERSION)
        addresses = tuple(Address(name=name, protocol=protocol) for name, protocol, _service in names)
        return NetworkStatus(addresses, (NetworkSite(local, (router,)),))

    def doctor(self, only: Collection[str]) -> tuple[Finding, ...]:
        self.examined.append(frozenset(only))
        none = (Finding("site", "fail", "there is no site", "skupper init"),)
        found = self.findings if self.spec is not None else none
        return tuple(finding for finding in found if finding.check in only)

    def plan_remedy(self, remedy: str, *, dry_run: bool = False) -> Plan:
        before = self.findings

        def undo() -> None:
            self.findings = before

        def do() -> None:
            self.findings = tuple(
                replace(finding, result="ok", remedy="") if finding.remedy == remedy else finding
                for finding in self.findings
            )

        return self._plan(f"Apply {remedy}", (Step("run", remedy, do, undo),))

    def dump(self) -> MemoryDump:
        return MemoryDump()

    def events(self, since: datetime.datetime) -> tuple[tuple[Happening, ...], tuple[str, ...]]:
        self._site()
        return tuple(item for item in self.happenings if item.time >= since), self.event_problems

    def service_path(self, address: str) -> ServicePath:
        service = self._service(address)
        hops = tuple(Hop("target", target.host, "ok", "open") for target in service.targets)
        wrong = () if hops else ("There are no egress bindings",)
        return ServicePath(address, service.protocol, service.ports, hops, wrong)

    def versions(self) -> VersionInfo:
        return VersionInfo(SKUPPER_VERSION)


def _tried(service: Service) -> tuple[TargetStatus, ...]:
    return tuple(TargetStatus(target.host, port, to, "ok") for target in service.targets for port, to in target.ports)


def remote_network(site: SiteSpec) -> NetworkStatus:
    """A network of the given site and one more that is linked to it."""
    from skupper_podman.model.networkrecords import Link as NetworkLink

    local = Site(identity=site.site_id, name=site.name, platform="podman", version=SKUPPER_VERSION)
    peer = Site(identity=PEER_ID, name="east", namespace="east", platform="kubernetes", version=SKUPPER_VERSION)
    links = (NetworkLink(name="east-router", direction="outgoing", mode="interior"),)
    back = (NetworkLink(name=site.name, direction="incoming", mode="interior"),)
    return NetworkStatus(
        sites=(
            NetworkSite(local, (RouterStatus(Router(name=f"0/{site.name}", mode="interior"), links),)),
            NetworkSite(peer, (RouterStatus(Router(name="0/east-router", mode="interior"), back),)),
        )
    )


__all__ = ["CREATED", "GENERATED_BY", "PEER_ID", "SITE_ID", "MemoryPlatform", "remote_network", "token_text"]
