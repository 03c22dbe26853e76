"""What exists of a site on this host, read through Podman and from the files in its volumes.

What always holds: reading changes nothing and fails only if Podman or a volume cannot be read; a file that is damaged
counts as absent and is named in ``damage``, so that ``init`` can repair it; sites made by the Go command line of 1.9
are read as well as our own.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from skupper_podman.desired import names
from skupper_podman.desired.diff import ContainerState, Present
from skupper_podman.desired.names import Names
from skupper_podman.desired.records import SERVICE_FILE, origin_in, parse_spec, placed, tls_was_given
from skupper_podman.desired.recovery import recovered_services
from skupper_podman.desired.resources import (
    Container,
    Credential,
    Mount,
    Network,
    Volume,
    VolumeFile,
)
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.desired.site import site_credentials
from skupper_podman.desired.tokens import COST, LinkSecret, parse_link
from skupper_podman.errors import InvalidError
from skupper_podman.files import replacing
from skupper_podman.model.service import HostPorts, Service
from skupper_podman.model.site import CLAIMS_PORT, EDGE_PORT, INTER_ROUTER_PORT, LogLevel, SiteSpec
from skupper_podman.model.siteoptions import plain_level
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.facts import ContainerInfo, VolumeInfo
from skupper_podman.router.config import RouterConfig, RouterConfigError

if TYPE_CHECKING:
    from skupper_podman.platform.podman.issued import Issued

HOST_IMAGE_MARK = "localhost/skupper-host"
"""How the reference of every image made of the host begins."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A site as found. ``spec`` is None when there is none, or too little of it to know what it was.

    ``containers`` and ``volumes`` are all that carry our label; those containers that were inspected are detailed.
    A ``partial`` one has no containers of services, and does not know where on the host these are published.
    ``replaced`` are containers that made way for others, and should be gone: a command that replaced them was killed.
    """

    present: Present
    trees: Trees
    containers: Mapping[str, ContainerInfo] = field(default_factory=dict)
    replaced: Mapping[str, ContainerInfo] = field(default_factory=dict)
    volumes: Mapping[str, VolumeInfo] = field(default_factory=dict)
    spec: SiteSpec | None = None
    links: tuple[LinkSecret, ...] = ()
    services: tuple[Service, ...] = ()
    configs: Mapping[str, RouterConfig] = field(default_factory=dict)
    document: ServicesDocument = field(default_factory=ServicesDocument)
    damage: tuple[str, ...] = ()
    names: Names = names.DEFAULT
    partial: bool = False

    @property
    def leftovers(self) -> bool:
        """True if anything of a site is there."""
        return bool(self.containers or self.replaced or self._site_volumes())

    @property
    def blank(self) -> bool:
        """True if all there is of a site are volumes without a whole file: an ``init`` was killed as it began."""
        if self.containers or self.replaced:
            return False
        files = (path for name in self._site_volumes() for path in self.trees.tree(name).files())
        return all(replacing(path.rpartition("/")[2]) for path in files)

    def _site_volumes(self) -> list[str]:
        return [name for name, volume in self.volumes.items() if is_site_volume(self.names, volume)]

    def service(self, address: str) -> Service | None:
        """The service of this address."""
        return next((service for service in self.services if service.address == address), None)

    def service_container(self, address: str) -> ContainerInfo | None:
        """The container of the service of this address."""
        return next(
            (item for item in self.containers.values() if item.labels.get(self.names.address_label) == address), None
        )


def is_site_volume(own: Names, volume: VolumeInfo) -> bool:
    """True if the volume is one a site makes: known by its name, or a link's."""
    if not own.owns(volume.labels):
        return False
    return volume.name in own.site_volumes or volume.labels.get(own.type_label) in names.LINK_TYPES


def is_site_container(own: Names, container: ContainerInfo) -> bool:
    """True if the container is one a site makes: a component, or a service's."""
    labels = container.labels
    return own.owns(labels) and (own.component_label in labels or own.address_label in labels)


def observe(
    api: PodmanApi,
    own: Names,
    inspect: Iterable[str] | None = (),
    *,
    certificates: bool = False,
    network: str = "",
    now: datetime.datetime | None = None,
    partial: bool = False,
) -> Observation:
    """Look at the site called by the names ``own``; at containers named in ``inspect`` in detail, at all if it is None.

    With ``certificates`` each authority and credential is checked too, which takes a while; one that has ended ``now``
    counts as absent. ``network`` is the one to look for if there is no site: it may have been kept for other containers
    when a site was deleted. With ``partial`` the containers of services are left out: :func:`completed` adds them.
    """
    wanted_labels: dict[str, str | None] = {**own.labels, own.component_label: None} if partial else {**own.labels}
    with ThreadPoolExecutor(max_workers=2) as pool:
        listing = pool.submit(api.containers, wanted_labels)
        volumes = {volume.name: volume for volume in api.volumes(own.labels)}
        listed = {item.name: item for item in listing.result() if is_site_container(own, item)}
    containers, replaced = _told_apart(_inspected(api, listed, inspect))
    trees = Trees(api.volume, {name: volume.mountpoint for name, volume in volumes.items()})
    reader = _Reader(own, trees, volumes, containers)
    reader.read(own.authorities + own.credentials if certificates else (own.local_client,))
    spec = reader.spec()
    wanted_network = spec.network if spec else network
    on_host = api.network(wanted_network) if wanted_network else None
    found = _issued(trees, volumes, spec, reader.services(), now) if spec and certificates else None
    present = Present(
        networks={on_host.name: Network(on_host.name, on_host.ipv6, on_host.labels)} if on_host else {},
        volumes={name: Volume(name, volume.labels) for name, volume in volumes.items()},
        files=reader.files,
        issued=frozenset(found.usable) if found else frozenset(),
        ended=frozenset(found.ended) if found else frozenset(),
        containers={
            name: ContainerState(container_of(info), info.running)
            for name, info in {**containers, **replaced}.items()
            if info.detailed
        },
    )
    return Observation(
        present,
        trees,
        containers,
        replaced,
        volumes,
        spec,
        reader.links(),
        reader.services(),
        reader.configs,
        reader.document,
        tuple(reader.damage),
        own,
        partial,
    )


def completed(api: PodmanApi, site: Observation) -> Observation:
    """A partial observation with the containers of services, which take Podman longer than all else."""
    own = site.names
    listed = {item.name: item for item in api.containers(own.labels) if is_site_container(own, item)}
    containers, replaced = _told_apart(listed)
    reader = _Reader(own, site.trees, site.volumes, containers)
    reader.files, reader.document = dict(site.present.files), site.document
    return replace(site, containers=containers, replaced=replaced, services=reader.services(), partial=False)


def _told_apart(
    listed: Mapping[str, ContainerInfo],
) -> tuple[dict[str, ContainerInfo], dict[str, ContainerInfo]]:
    """The containers of a site, and those that made way for others."""
    kept = {name: info for name, info in listed.items() if not names.is_aside(name)}
    return kept, {name: info for name, info in listed.items() if name not in kept}


def _issued(
    trees: Trees,
    volumes: Mapping[str, VolumeInfo],
    spec: SiteSpec,
    services: Iterable[Service],
    now: datetime.datetime | None,
) -> Issued:
    from skupper_podman.platform.podman import issued  # loads cryptography, which few commands need

    return issued.look(Names.of(spec), trees, volumes.keys(), credentials_of(spec, services), now)


def _inspected(
    api: PodmanApi, containers: Mapping[str, ContainerInfo], wanted: Iterable[str] | None
) -> dict[str, ContainerInfo]:
    chosen = list(containers) if wanted is None else [name for name in wanted if name in containers]
    if not chosen:
        return dict(containers)
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = [info for info in pool.map(api.container, chosen) if info is not None]
    return {**containers, **{info.name: info for info in found}}


def container_of(info: ContainerInfo) -> Container:
    """The container as a value that can be compared with a wanted one, and made again."""
    network = next(iter(info.networks), "")
    attachment = info.networks.get(network)
    return Container(
        name=info.name,
        image=info.image,
        command=info.command,
        env=info.env,
        labels=info.labels,
        network=network,
        aliases=attachment.aliases if attachment else (),
        mounts=info.mounts,
        ports=info.ports,
        selinux_disabled=any(mount.source.startswith("/") for mount in info.mounts),
        memory_bytes=info.memory_bytes,
        cpu_millis=info.cpu_millis,
    )


def host_mounts_of(info: ContainerInfo) -> tuple[Mount, ...]:
    """What a container sees of the host."""
    return tuple(mount for mount in info.mounts if mount.source.startswith("/"))


def credentials_of(spec: SiteSpec, services: Iterable[Service]) -> list[Credential]:
    """Every credential that the site issues to itself."""
    own = Names.of(spec)
    tls = [
        Credential(own.router_certs, own.service_ca, item.address, (item.address,), names.tls_directory(item.address))
        for item in services
        if item.tls_credentials and not item.tls_files
    ]
    return [*site_credentials(spec), *tls]


class _Reader:
    """Reads the files of a site; every question is answered from what :meth:`read` collected."""

    def __init__(
        self, own: Names, trees: Trees, volumes: Mapping[str, VolumeInfo], containers: Mapping[str, ContainerInfo]
    ) -> None:
        self._own = own
        self._trees = trees
        self._volumes = volumes
        self._containers = containers
        self.files: dict[tuple[str, str], VolumeFile] = {}
        self.configs: dict[str, RouterConfig] = {}
        self.document = ServicesDocument()
        self.damage: list[str] = []

    def read(self, more: Iterable[str]) -> None:
        for name in (self._own.internal, self._own.services, self._own.router_certs, *more, *self._link_volumes()):
            if name in self._volumes:
                for file in self._trees.files(name):
                    self.files[name, file.path] = file
        for (volume, path), file in self.files.items():
            if volume == self._own.internal and path.rpartition("/")[2] == names.ROUTER_CONFIG_FILE:
                self._read_config(path, file)
        if self._own.services in self._volumes:
            self._read_services(self.files.get((self._own.services, names.SERVICES_FILE)))

    def _link_volumes(self) -> list[str]:
        return [
            name
            for name, volume in self._volumes.items()
            if volume.labels.get(self._own.type_label) in names.LINK_TYPES
        ]

    def _read_services(self, file: VolumeFile | None) -> None:
        """The services file; where it cannot be used, the services are those that routers were configured for."""
        reason = "it is empty" if file else "it does not exist"
        if file and file.content.strip():
            try:
                self.document = ServicesDocument.parse(file.content)
                return
            except InvalidError as error:
                reason = error.message
        found = recovered_services(self.configs)
        if found or (file and file.content.strip()):
            self.damage.append(f"{self._own.services}:{names.SERVICES_FILE}: {reason}")
        for service in found:
            kept = self.files.get((self._own.internal, f"{service.address}/{SERVICE_FILE}"))
            self.document = self.document.put(replace(service, origin=origin_in(kept.content) if kept else ""))

    def _read_config(self, path: str, file: VolumeFile) -> None:
        try:
            self.configs[path.rpartition("/")[0]] = RouterConfig.parse(file.content.decode())
        except (RouterConfigError, UnicodeDecodeError) as error:
            self.damage.append(f"{self._own.internal}:{path}: {error}")

    def links(self) -> tuple[LinkSecret, ...]:
        found = []
        for name in self._link_volumes():
            files = {path: file for (volume, path), file in self.files.items() if volume == name}
            data = {path: file.content for path, file in files.items() if not replacing(path)}
            data |= self._cut_off(data, [file.content for path, file in files.items() if replacing(path) == "tls.crt"])
            link = parse_link(self._own.plain(name), self._volumes[name].labels, data, self._own)
            if link is not None:
                link = link if link.created else replace(link, created=_created(self._volumes[name]))
                found.append(self._at_its_cost(link))
        return tuple(found)

    @staticmethod
    def _cut_off(data: Mapping[str, bytes], waiting: Iterable[bytes]) -> dict[str, bytes]:
        """The certificate of a link that lies beside the old one, if it is that of the key: its renewal was killed."""
        for certificate in waiting:
            from skupper_podman import certs

            if certs.belongs(certs.KeyPair(certificate, data.get("tls.key", b""))):
                return {"tls.crt": certificate}
        return {}

    def _at_its_cost(self, link: LinkSecret) -> LinkSecret:
        """Labels of a volume are fixed: a cost that was changed later is in the router's configuration."""
        config = self.configs.get("")
        connector = config.get("connector", link.name) if config else None
        cost = connector.text("cost") if connector is not None else ""
        return replace(link, annotations={**link.annotations, COST: cost}) if cost else link

    def services(self) -> tuple[Service, ...]:
        by_address = {info.labels.get(self._own.address_label): info for info in self._containers.values()}
        return tuple(
            self._with_tls(self._placed(service, by_address.get(service.address)))
            for service in self.document.services()
        )

    def _with_tls(self, service: Service) -> Service:
        """With the TLS files that were given for it, as they are."""
        kept = self.files.get((self._own.internal, f"{service.address}/{SERVICE_FILE}"))
        if kept is None or not tls_was_given(kept.content):
            return service
        prefix = f"{names.tls_directory(service.address)}/"
        found = [
            (path.removeprefix(prefix), file.content)
            for (volume, path), file in self.files.items()
            if volume == self._own.router_certs and path.startswith(prefix)
        ]
        return replace(service, tls_files=tuple(sorted(found)))

    def _placed(self, service: Service, container: ContainerInfo | None) -> Service:
        if container is not None:
            ports = tuple(sorted((port.container_port, port.host_port) for port in container.ports))
            ip = container.ports[0].host_ip if container.ports else ""
            name = container.name if container.name != self._own.own(service.address) else ""
            return replace(service, container_name=name, host_ports=HostPorts(ip, ports))
        kept = self.files.get((self._own.internal, f"{service.address}/{SERVICE_FILE}"))
        return placed(service, kept.content, self._own.own(service.address)) if kept else service

    def spec(self) -> SiteSpec | None:
        """What the site is: as our file says, else read back from its resources as 1.9 does."""
        config = self.configs.get("")
        kept = self.files.get((self._own.internal, names.SITE_FILE))
        spec = parse_spec(kept.content) if kept else None
        if spec is not None and (config is None or config.site.id == spec.site_id):
            return replace(spec, namespace=self._own.namespace)
        name, site_id = (config.router_id, config.site.id) if config else self._identity()
        return self._recovered(name, site_id, config) if name and site_id else None

    def _identity(self) -> tuple[str, str]:
        controller = self._containers.get(self._own.controller)
        env = controller.env if controller else {}
        return env.get("SKUPPER_SITE_NAME", ""), env.get("SKUPPER_SITE_ID", "")

    def _recovered(self, name: str, site_id: str, config: RouterConfig | None) -> SiteSpec:
        router, controller = self._containers.get(self._own.router), self._containers.get(self._own.controller)
        ports = {port.container_port: port.host_port for port in router.ports} if router else {}
        bind_ips = dict.fromkeys(port.host_ip for port in router.ports if port.host_ip) if router else {}
        logs = config.of_type("log") if config else ()
        embedded = router is not None and router.image.startswith(HOST_IMAGE_MARK)
        return SiteSpec(
            name=name,
            site_id=site_id,
            namespace=self._own.namespace,
            router_mode="edge" if config is not None and config.is_edge else "interior",
            ingress="none" if router is not None and not ports else "external",
            ingress_hosts=self._ingress_hosts(),
            bind_ips=tuple(bind_ips),
            inter_router_port=ports.get(INTER_ROUTER_PORT, INTER_ROUTER_PORT),
            edge_port=ports.get(EDGE_PORT, EDGE_PORT),
            claims_port=self._claims_port(),
            network=next(iter(router.networks), self._own.network) if router else self._own.network,
            router_logging=tuple(plain_level(LogLevel(log.text("module"), log.text("enable"))) for log in logs),
            router="embedded" if embedded else "image",
            router_cpu_millis=router.cpu_millis if router else 0,
            router_memory_bytes=router.memory_bytes if router else 0,
            controller_cpu_millis=controller.cpu_millis if controller else 0,
            controller_memory_bytes=controller.memory_bytes if controller else 0,
        )

    def _claims_port(self) -> int | None:
        controller = self._containers.get(self._own.controller)
        ports = {port.container_port: port.host_port for port in controller.ports} if controller else {}
        return ports.get(CLAIMS_PORT)

    def _ingress_hosts(self) -> tuple[str, ...]:
        from skupper_podman import certs

        file = self._trees.file(self._own.site_server, "tls.crt") if self._own.site_server in self._volumes else None
        try:
            return certs.facts(file.content).dns_names[1:] if file else ()
        except certs.CertificateError:
            return ()


def _created(volume: VolumeInfo) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(volume.created_at).astimezone(datetime.UTC)
    except ValueError:
        return None
