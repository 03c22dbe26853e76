"""The containers of a site as values: the router, the controller, and one edge router a service.

What always holds: a service's container mounts what the site's router mounts, because it uses the same certificates;
names, labels, environment and aliases are those of 1.9. The controller does not get Podman's socket: with it, whoever
takes over the controller would own the user's containers, and ours has no need of it.

Format: ``pkg/domain/podman/site.go`` (``prepare...Deployment``) and ``service.go`` of Skupper 1.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from skupper_podman.desired import names
from skupper_podman.desired.names import Names
from skupper_podman.desired.resources import Container, Mount, PublishedPort
from skupper_podman.model.service import Service
from skupper_podman.model.site import CLAIMS_PORT, EDGE_PORT, INTER_ROUTER_PORT, SiteSpec

PROGRAM_VERSION: Final = "SKUPPER_PODMAN_VERSION"
"""In the environment of containers that run this program: its version when they were made."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the containers run on.

    ``kind`` says whether the router is an upstream image or the embedded one. ``host_image`` is the image made of the
    host, ``host_mounts`` what it needs of the host, ``python`` the interpreter as seen in such a container;
    ``host_name`` is what the site reports as the name of its host, ``program`` the version of this program that runs.
    """

    kind: Literal["image", "embedded"]
    router_image: str
    host_image: str
    host_mounts: tuple[Mount, ...]
    python: str
    host_name: str = ""
    program: str = ""

    @property
    def router_env(self) -> dict[str, str]:
        """What tells the version of a router that is our own."""
        return self.program_env if self.kind == "embedded" else {}

    @property
    def program_env(self) -> dict[str, str]:
        """What tells the version of a container that runs this program."""
        return {PROGRAM_VERSION: self.program} if self.program else {}

    @property
    def router_mounts(self) -> tuple[Mount, ...]:
        """What a router's container needs of the host."""
        return self.host_mounts if self.kind == "embedded" else ()


def router_container(spec: SiteSpec, runtime: Runtime) -> Container:
    """The site's router, published on the host unless ingress is none."""
    return Container(
        name=Names.of(spec).router,
        image=runtime.router_image,
        env={
            "APPLICATION_NAME": names.ROUTER,
            "QDROUTERD_CONF": f"{names.CONFIG_PATH}/{names.ROUTER_CONFIG_FILE}",
            "QDROUTERD_CONF_TYPE": "json",
            "SKUPPER_SITE_ID": spec.site_id,
            **runtime.router_env,
        },
        labels=_component(spec, names.ROUTER),
        network=spec.network,
        aliases=(names.ROUTER, names.LOCAL_HOST),
        mounts=(*_router_volumes(spec), *runtime.router_mounts),
        ports=ingress_ports(spec),
        selinux_disabled=runtime.kind == "embedded",
        memory_bytes=spec.router_memory_bytes,
        cpu_millis=spec.router_cpu_millis,
    )


def controller_container(spec: SiteSpec, runtime: Runtime) -> Container:
    """The site's controller."""
    own = Names.of(spec)
    volumes = (
        Mount(own.local_client, names.MESSAGING_PATH),
        Mount(own.console_users, names.CONSOLE_USERS_PATH),
        Mount(own.console_certs, names.CONSOLE_CERTS_PATH),
        Mount(own.services, names.SERVICES_PATH),
        Mount(own.network_status, names.STATUS_PATH),
        *_claims_volumes(spec),
    )
    return Container(
        name=own.controller,
        image=runtime.host_image,
        command=(runtime.python, "-m", "skupper_podman.controller"),
        env={
            "SKUPPER_SITE_NAME": spec.name,
            "SKUPPER_SITE_ID": spec.site_id,
            "SKUPPER_ROUTER_MODE": spec.router_mode,
            "SKUPPER_PLATFORM": "podman",
            "FLOW_USERS": names.CONSOLE_USERS_PATH,
            "METRICS_USERS": names.CONSOLE_USERS_PATH,
            **({"SKUPPER_HOST_NAME": runtime.host_name} if runtime.host_name else {}),
            **({"SKUPPER_CLAIMS_PORT": str(CLAIMS_PORT)} if spec.serves_claims else {}),
            **runtime.program_env,
        },
        labels=_component(spec, names.CONTROLLER),
        network=spec.network,
        aliases=(names.CONSOLE_HOST, names.CONTROLLER),
        mounts=(*_router_volumes(spec), *volumes, *runtime.host_mounts),
        ports=claims_ports(spec),
        selinux_disabled=True,
        memory_bytes=spec.controller_memory_bytes,
        cpu_millis=spec.controller_cpu_millis,
    )


def service_container(spec: SiteSpec, runtime: Runtime, service: Service) -> Container:
    """The edge router of a service, reached on the site's network by the service's address."""
    own = Names.of(spec)
    name = own.service(service)
    return Container(
        name=name,
        image=runtime.router_image,
        env={
            "APPLICATION_NAME": spec.site_id,
            "SKUPPER_SITE_ID": spec.site_id,
            "QDROUTERD_CONF": f"{names.CONFIG_PATH}/{service.address}/{names.ROUTER_CONFIG_FILE}",
            "QDROUTERD_CONF_TYPE": "json",
            **runtime.router_env,
        },
        labels={
            **spec.labels,
            **service.labels,
            **own.labels,
            own.address_label: service.address,
        },
        network=spec.network,
        aliases=(name,) if name == service.address else (name, service.address),
        mounts=(*_router_volumes(spec), *runtime.router_mounts),
        ports=tuple(PublishedPort(port, host, service.host_ports.ip) for port, host in service.host_ports.ports),
        selinux_disabled=runtime.kind == "embedded",
        memory_bytes=spec.router_memory_bytes,  # as in 1.9, a service's router has the limits of the site's
        cpu_millis=spec.router_cpu_millis,
    )


def _component(spec: SiteSpec, name: str) -> dict[str, str]:
    own = Names.of(spec)
    return {**spec.labels, **own.labels, own.component_label: name}


def _router_volumes(spec: SiteSpec) -> tuple[Mount, ...]:
    own = Names.of(spec)
    mounts = [
        Mount(own.internal, names.CONFIG_PATH),
        Mount(own.router_certs, names.CERTIFICATES_PATH),
        Mount(own.local_server, names.LOCAL_SERVER_PATH),
        # 1.9 forgets this one, so that its router's profile of that name points at nothing.
        Mount(own.service_client, names.SERVICE_CLIENT_PATH),
    ]
    if spec.router_mode != "edge":
        mounts.append(Mount(own.site_server, names.SITE_SERVER_PATH))
    return tuple(mounts)


def _claims_volumes(spec: SiteSpec) -> tuple[Mount, ...]:
    """What the controller has only if it redeems claims: their records, and the authorities it signs with."""
    if not spec.serves_claims:
        return ()
    own = Names.of(spec)
    return (
        Mount(own.claims, names.CLAIMS_PATH),
        Mount(own.site_ca, names.SITE_CA_PATH, read_only=True),
        Mount(own.gateways, names.GATEWAYS_PATH, read_only=True),
    )


def claims_ports(spec: SiteSpec) -> tuple[PublishedPort, ...]:
    """The port claims are redeemed at, as published on the host."""
    if not spec.serves_claims or spec.claims_port is None:
        return ()
    return tuple(PublishedPort(CLAIMS_PORT, spec.claims_port, ip) for ip in spec.bind_ips or ("",))


def ingress_ports(spec: SiteSpec) -> tuple[PublishedPort, ...]:
    """The ports other sites' routers connect to, as published on the host."""
    if not spec.accepts_links:
        return ()
    pairs = ((INTER_ROUTER_PORT, spec.inter_router_port), (EDGE_PORT, spec.edge_port))
    return tuple(PublishedPort(inner, outer, ip) for ip in spec.bind_ips or ("",) for inner, outer in pairs)
