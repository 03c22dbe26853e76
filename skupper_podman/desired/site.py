"""From a site, its links and its services to every resource that must exist on a podman host.

What always holds: the list is complete and in an order in which it can be created; the same arguments give the same
list; the invariants by which the Go command line of 1.9 recognises a site (podman-site reference, I1 to I10) follow
from it. What an existing router configuration has beyond our own entities is kept.

Format: ``pkg/domain/podman/site.go`` and ``pkg/domain/site.go`` of Skupper 1.9.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from skupper_podman import SKUPPER_VERSION
from skupper_podman.desired import names
from skupper_podman.desired.containers import Runtime, controller_container, router_container, service_container
from skupper_podman.desired.gojson import compact
from skupper_podman.desired.names import Names
from skupper_podman.desired.records import SERVICE_FILE, dump_placement, dump_spec
from skupper_podman.desired.resources import (
    Authority,
    Credential,
    Network,
    Resource,
    Volume,
    VolumeFile,
)
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.desired.tokens import LinkSecret, Role, metadata_label
from skupper_podman.model.service import Service
from skupper_podman.model.site import SiteSpec
from skupper_podman.router.config import Entity, RouterConfig, SiteMetadata
from skupper_podman.router.documents import (
    ServiceRouter,
    SiteRouter,
    link_entities,
    link_profile_name,
    service_config,
    site_config,
    target_connectors,
    without_link,
)

CONNECT_JSON: Final = b"""
{
    "scheme": "amqps",
    "host": "skupper-router-local",
    "port": "5671",
    "tls": {
        "ca": "/etc/messaging/ca.crt",
        "cert": "/etc/messaging/tls.crt",
        "key": "/etc/messaging/tls.key",
        "verify": true
    }
}
"""
"""How clients on the site's network reach the router; byte for byte what 1.9 writes."""


@dataclass(frozen=True, slots=True)
class SiteState:
    """Everything the resources of a site follow from.

    ``configs`` are the router configurations that exist already, by service address, the site's own under the empty
    address; ``document`` is the existing services file. ``services`` are those to be there.
    """

    spec: SiteSpec
    runtime: Runtime
    links: tuple[LinkSecret, ...] = ()
    services: tuple[Service, ...] = ()
    configs: Mapping[str, RouterConfig] = field(default_factory=dict)
    document: ServicesDocument = field(default_factory=ServicesDocument)

    def with_service(self, service: Service) -> SiteState:
        """With this service, instead of the one of its address if there is one."""
        others = tuple(other for other in self.services if other.address != service.address)
        return replace(self, services=tuple(sorted((*others, service), key=lambda item: item.address)))

    def without_service(self, address: str) -> SiteState:
        """Without the service of this address."""
        return replace(self, services=tuple(service for service in self.services if service.address != address))

    def service(self, address: str) -> Service | None:
        """The service of this address."""
        return next((service for service in self.services if service.address == address), None)

    def with_link(self, link: LinkSecret) -> SiteState:
        """With one more link."""
        return replace(self, links=(*self.links, link))

    def without_link(self, name: str) -> SiteState:
        """Without the link of this name, also in the router's configuration."""
        configs = dict(self.configs)
        if "" in configs:
            configs[""] = without_link(configs[""], name)
        return replace(self, links=tuple(link for link in self.links if link.name != name), configs=configs)

    def link(self, name: str) -> LinkSecret | None:
        """The link of this name."""
        return next((link for link in self.links if link.name == name), None)


def site_resources(state: SiteState, only: Collection[str] | None = None) -> tuple[Resource, ...]:
    """Every resource of the site, in an order in which it can be created.

    With ``only``, services of other addresses are left out but for their entries in the services file: a command that
    changes one of five hundred services need not compute them all.
    """
    spec, own = state.spec, Names.of(state.spec)
    services = [item for item in state.services if only is None or item.address in only]
    # What the site is to be comes first: an init that was killed is completed by the next one.
    resources: list[Resource] = [
        Volume(own.internal, _labels(spec)),
        VolumeFile(own.internal, names.SITE_FILE, dump_spec(spec)),
        Network(spec.network, spec.ipv6, _labels(spec, _NETWORK_LABELS)),
    ]
    resources += [volume for volume in _site_volumes(spec) if volume.name != own.internal]
    resources += [Authority(name) for name in own.authorities]
    resources += site_credentials(spec)
    resources.append(VolumeFile(own.local_client, "connect.json", CONNECT_JSON))
    for link in state.links:
        resources += link_resources(state, link)
    # After the links' certificates, so that a router that starts meanwhile never finds a link without them.
    config = site_router_config(state)
    resources.append(VolumeFile(own.internal, names.ROUTER_CONFIG_FILE, config.dump().encode()))
    for service in services:
        resources += _service_files(state, service, config)
    resources.append(router_container(spec, state.runtime))
    resources.append(controller_container(spec, state.runtime))
    resources += [service_container(spec, state.runtime, service) for service in services]
    resources.append(services_file(state))
    return tuple(resources)


_NETWORK_LABELS: Final = {"app.kubernetes.io/part-of": "skupper"}


def _labels(spec: SiteSpec, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Labels asked for at init, then our own, which always win."""
    return {**spec.labels, **(extra or {}), **Names.of(spec).labels}


def _typed(spec: SiteSpec, name: str, kind: str) -> Volume:
    metadata = compact({"name": name, "creationTimestamp": None})
    return Volume(name, _labels(spec, {Names.of(spec).type_label: kind, names.METADATA_LABEL: metadata}))


def site_volume_names(spec: SiteSpec) -> tuple[str, ...]:
    """The volumes that this site has, whatever its links."""
    own = Names.of(spec)
    return (*own.authorities, *own.credentials, *own.plain_volumes, *_claims_volumes(spec))


def _claims_volumes(spec: SiteSpec) -> tuple[str, ...]:
    own = Names.of(spec)
    return (own.claims, own.gateways) if spec.serves_claims else ()


def _site_volumes(spec: SiteSpec) -> list[Volume]:
    own = Names.of(spec)
    volumes = [_typed(spec, name, names.AUTHORITY_TYPE) for name in own.authorities]
    volumes += [_typed(spec, name, names.CREDENTIAL_TYPE) for name in own.credentials]
    plain = (*own.plain_volumes, *_claims_volumes(spec))
    return [*volumes, *(Volume(name, _labels(spec)) for name in plain)]


def site_credentials(spec: SiteSpec) -> list[Credential]:
    """The credentials of the site; the first host of ``skupper-site-server`` is never an ingress host (I6)."""
    hosts, own = spec.ingress_hosts if spec.accepts_links else (), Names.of(spec)
    return [
        Credential(own.local_server, own.local_ca, names.LOCAL_HOST, (names.LOCAL_HOST,)),
        Credential(own.local_client, own.local_ca, names.LOCAL_HOST),
        Credential(own.service_client, own.service_ca, "", ca_only=True),
        Credential(own.console_certs, own.local_ca, names.CONSOLE_HOST, ("flow-collector", *hosts)),
        Credential(own.site_server, own.site_ca, names.ROUTER, (names.ROUTER, *hosts)),
    ]


def site_router_config(state: SiteState) -> RouterConfig:
    """The configuration of the site's router: what is there already, with everything the site needs."""
    spec = state.spec
    logging = {log.module: log.level for log in spec.router_logging}
    wanted = site_config(SiteRouter(spec.name, _metadata(spec), edge=is_edge(spec), logging=logging))
    for link in state.links:
        wanted = wanted.put_all(link_connector(spec, link))
    return _merged(state.configs.get(""), wanted)


def is_edge(spec: SiteSpec) -> bool:
    """Whether the site's router is an edge of other sites' routers."""
    return spec.router_mode == "edge"


def link_role(spec: SiteSpec) -> Role:
    """The role of the site's own links."""
    return "edge" if is_edge(spec) else "inter-router"


def link_connector(spec: SiteSpec, link: LinkSecret) -> tuple[Entity, ...]:
    """The profile and the connector of a link; nothing for a claim that was not redeemed."""
    if link.kind != names.CONNECTION_TOKEN:
        return ()
    host, port = link.endpoint(link_role(spec))
    return link_entities(link.name, host, port, cost=link.cost, edge=is_edge(spec))


def service_uplinks(state: SiteState) -> tuple[Entity, ...] | None:
    """What the routers of services connect by; None for the site's own router.

    An edge router takes no connections of other edges, so on an edge site each service uses the links itself.
    """
    if not is_edge(state.spec):
        return None
    return tuple(entity for link in state.links for entity in link_connector(state.spec, link))


def _metadata(spec: SiteSpec) -> SiteMetadata:
    return SiteMetadata(spec.site_id, SKUPPER_VERSION, "podman")


def _merged(present: RouterConfig | None, wanted: RouterConfig) -> RouterConfig:
    """``wanted`` put into ``present``: attributes we have no opinion on stay, and so does the version of the site."""
    if present is None:
        return wanted
    config = present
    for entity in wanted:
        old = config.get(entity.type, entity.key) if entity.key is not None else None
        if old is not None:
            kept = dict(old.attributes)
            if entity.type == "router" and config.site.id == wanted.site.id:
                entity = entity.changed(metadata=old.text("metadata"))
            entity = type(entity).of(entity.type, {**kept, **entity.attributes})
        config = config.put(entity)
    return config


def link_resources(state: SiteState, link: LinkSecret) -> list[Resource]:
    """The volume of a link with its files, and the same files where the router reads them."""
    own = Names.of(state.spec)
    labels = {own.type_label: link.kind, names.METADATA_LABEL: metadata_label(link)}
    volume = own.own(link.name)
    resources: list[Resource] = [Volume(volume, _labels(state.spec, labels))]
    resources += [_secret_file(volume, name, content) for name, content in sorted(link.data.items())]
    if link.kind == names.CONNECTION_TOKEN:
        profile = link_profile_name(link.name)
        resources += [
            _secret_file(own.router_certs, f"{profile}/{name}", content) for name, content in sorted(link.data.items())
        ]
    return resources


def _secret_file(volume: str, path: str, content: bytes) -> VolumeFile:
    secret = not path.endswith(".crt")
    return VolumeFile(volume, path, content, 0o600 if secret else 0o644, secret)


def service_router_config(state: SiteState, service: Service, site: RouterConfig) -> RouterConfig:
    """The configuration of a service's own edge router: exactly its uplinks and targets, and what else is there.

    ``site`` is the configuration of the site's router, whose logging it takes over.
    """
    router = service_router(state.spec, service)
    uplinks = service_uplinks(state)
    wanted = service_config(router, log=site.of_type("log"), uplinks=uplinks)
    for target in service.targets:
        wanted = wanted.put_all(target_connectors(router, target.host, dict(target.ports)))
    present = state.configs.get(service.address)
    if present is None:
        return wanted
    for connector in present.of_type("tcpConnector", "httpConnector"):
        present = present.remove(connector.type, connector.key or "")
    for listener in present.of_type("tcpListener", "httpListener"):
        if wanted.get(listener.type, listener.key or "") is None:
            present = present.remove(listener.type, listener.key or "")
    return _merged(present if uplinks is None else _without_uplinks(present), wanted)


def _without_uplinks(config: RouterConfig) -> RouterConfig:
    for connector in config.of_type("connector"):
        config = config.remove("sslProfile", connector.text("sslProfile"))
        config = config.remove("connector", connector.key or "")
    return config


def service_router(spec: SiteSpec, service: Service) -> ServiceRouter:
    """What the service's router configuration depends on."""
    return ServiceRouter(
        spec.name,
        _metadata(spec),
        service.address,
        service.ports,
        service.protocol,
        Names.of(spec).service(service),
        tls=bool(service.tls_credentials),
        tls_credentials=service.tls_credentials,
        aggregation=service.aggregate,
        event_channel=service.event_channel,
        listens=service.listens,
    )


def _service_files(state: SiteState, service: Service, site: RouterConfig) -> list[Resource]:
    address, own = service.address, Names.of(state.spec)
    config = service_router_config(state, service, site).dump().encode()
    resources: list[Resource] = [VolumeFile(own.internal, f"{address}/{names.ROUTER_CONFIG_FILE}", config)]
    if service.container_name or service.host_ports.ports or service.tls_files or service.origin:
        resources.append(
            VolumeFile(own.internal, f"{address}/{SERVICE_FILE}", dump_placement(service, own.service(service)))
        )
    directory = names.tls_directory(address)
    if service.tls_files:
        resources += [
            _secret_file(own.router_certs, f"{directory}/{name}", content) for name, content in service.tls_files
        ]
    elif service.tls_credentials:
        resources.append(Credential(own.router_certs, own.service_ca, address, (address,), directory))
    return resources


def services_file(state: SiteState) -> VolumeFile:
    """The services file with exactly the services of ``state``."""
    document = state.document
    known = {service.address: service for service in document.services()}
    wanted = {service.address: service for service in state.services}
    for address in known.keys() - wanted.keys():
        document = document.remove(address)
    for address, service in wanted.items():
        if address not in known or _defined(known[address]) != _defined(service):
            document = document.put(service)
    return VolumeFile(Names.of(state.spec).services, names.SERVICES_FILE, document.dump().encode())


def _defined(service: Service) -> Service:
    """The part of a service that its file keeps."""
    return replace(service, container_name="", host_ports=type(service.host_ports)(), tls_files=())
