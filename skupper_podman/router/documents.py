"""The router configurations a podman site consists of, built from values.

One document for the site's router, one for the edge router of each service, and the pieces that a link or
a target adds to them, with names, order and attributes of Skupper 1.9. Pure: the same arguments always give
the same document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from skupper_podman.router.config import Entity, JsonValue, RouterConfig, RouterConfigError, SiteMetadata

CERTIFICATES_PATH: Final = "/etc/skupper-router-certs"
"""Where the router's container mounts its TLS credentials, one directory a credential."""

AMQP_PORT: Final = 5672
AMQPS_PORT: Final = 5671
HEALTH_PORT: Final = 9090
INTER_ROUTER_PORT: Final = 55671
EDGE_PORT: Final = 45671

AMQPS_PROFILE: Final = "skupper-amqps"
SERVICE_CLIENT_PROFILE: Final = "skupper-service-client"
INTERNAL_PROFILE: Final = "skupper-internal"
SERVICE_TLS_PREFIX: Final = "skupper-tls-"
UPLINK: Final = "uplink"
SITE_ROUTER_HOST: Final = "skupper-router"

INTERIOR_LISTENER: Final = "interior-listener"
EDGE_LISTENER: Final = "edge-listener"

PROTOCOLS: Final = ("tcp", "http", "http2")


@dataclass(frozen=True, slots=True)
class SiteRouter:
    """What the configuration of a site's router depends on.

    ``logging`` maps a log module (empty for all of them) to its level. Frame size in octets, session window in
    frames; zero leaves the router's default.
    """

    router_id: str
    site: SiteMetadata
    edge: bool = False
    hello_max_age: int = 3
    data_connection_count: str = ""
    drop_tcp_connections: bool = False
    logging: Mapping[str, str] | None = None
    max_frame_size: int = 16384
    max_session_frames: int = 640
    mutual_tls: bool = True


@dataclass(frozen=True, slots=True)
class ServiceRouter:
    """What the configuration of a service's own edge router depends on.

    ``host`` is where its listeners listen (the service container's name) and ``tls_credentials`` the name of the
    profile its bridges use, empty for none; ``tls`` tells whether the service's own credential is defined, ``listens``
    whether clients at this site can call the service.
    """

    site_router_id: str
    site: SiteMetadata
    address: str
    ports: tuple[int, ...]
    protocol: str = "tcp"
    host: str = ""
    tls: bool = False
    tls_credentials: str = ""
    aggregation: str = ""
    event_channel: bool = False
    listens: bool = True


def ssl_profile(name: str, *, client_only: bool = False, directory: str = CERTIFICATES_PATH) -> Entity:
    """The profile of a credential mounted under its own name; ``client_only`` trusts its authority and no more."""
    base = f"{directory}/{name}"
    files: dict[str, JsonValue] = {"name": name, "caCertFile": f"{base}/ca.crt"}
    if not client_only:
        files |= {"certFile": f"{base}/tls.crt", "privateKeyFile": f"{base}/tls.key"}
    return Entity.of("sslProfile", files)


def log_entity(module: str, level: str) -> Entity:
    """Logging of one module ("" for all) at this level and above, unless the level says otherwise already."""
    return Entity.of("log", {"module": module or "DEFAULT", "enable": level if level.endswith("+") else f"{level}+"})


def with_log_levels(config: RouterConfig, levels: Mapping[str, str]) -> RouterConfig:
    """With exactly these log levels; modules not named lose theirs."""
    for entity in config.of_type("log"):
        config = config.remove("log", entity.key or "")
    return config.put_all(log_entity(module, level) for module, level in levels.items() if level)


def initial_config(router: SiteRouter) -> RouterConfig:
    """The router entity and its logging, which every configuration begins with."""
    entity = Entity.of(
        "router",
        {
            "id": router.router_id,
            "mode": "edge" if router.edge else "interior",
            "helloMaxAgeSeconds": str(router.hello_max_age),
            "dataConnectionCount": router.data_connection_count,
            "dropTcpConnections": router.drop_tcp_connections,
            "metadata": router.site.dump(),
        },
    )
    return with_log_levels(RouterConfig.of([entity]), router.logging or {})


def site_config(router: SiteRouter) -> RouterConfig:
    """The configuration of the site's router, without links."""
    profiles = [ssl_profile(AMQPS_PROFILE), ssl_profile(SERVICE_CLIENT_PROFILE, client_only=True)]
    listeners = [
        Entity.of(
            "listener",
            {
                "role": "normal",
                "port": HEALTH_PORT,
                "http": True,
                "httpRootDir": "disabled",
                "healthz": True,
                "metrics": True,
            },
        ),
        Entity.of("listener", {"name": "amqp", "host": "localhost", "port": AMQP_PORT}),
        Entity.of(
            "listener",
            {
                "name": "amqps",
                "port": AMQPS_PORT,
                "sslProfile": AMQPS_PROFILE,
                "saslMechanisms": "EXTERNAL",
                "authenticatePeer": True,
            },
        ),
    ]
    if not router.edge:
        profiles.append(ssl_profile(INTERNAL_PROFILE))
        listeners.append(_router_listener(INTERIOR_LISTENER, "inter-router", INTER_ROUTER_PORT, router))
        listeners.append(_router_listener(EDGE_LISTENER, "edge", EDGE_PORT, router))
    multicast = Entity.of("address", {"prefix": "mc", "distribution": "multicast"})
    return initial_config(router).put_all([*profiles, *listeners, multicast])


def _router_listener(name: str, role: str, port: int, router: SiteRouter) -> Entity:
    attributes: dict[str, JsonValue] = {
        "name": name,
        "role": role,
        "port": port,
        "sslProfile": INTERNAL_PROFILE,
        "maxFrameSize": router.max_frame_size,
        "maxSessionFrames": router.max_session_frames,
    }
    if router.mutual_tls:
        attributes |= {"saslMechanisms": "EXTERNAL", "authenticatePeer": True}
    return Entity.of("listener", attributes)


def link_profile_name(name: str) -> str:
    """The name of the TLS profile that the link of this name uses."""
    return f"{name}-profile"


def link_entities(name: str, host: str, port: int | str, *, cost: int = 1, edge: bool = False) -> tuple[Entity, Entity]:
    """The profile and the connector of a link, in the order in which a running router must be given them."""
    profile = ssl_profile(link_profile_name(name))
    connector = Entity.of(
        "connector",
        {
            "name": name,
            "role": "edge" if edge else "inter-router",
            "host": host,
            "port": str(port),
            "cost": cost,
            "sslProfile": link_profile_name(name),
            "verifyHostname": True,
        },
    )
    return profile, connector


def without_link(config: RouterConfig, name: str) -> RouterConfig:
    """Without the link's connector and profile."""
    return config.remove("connector", name).remove("sslProfile", link_profile_name(name))


def service_address(address: str, port: int) -> str:
    """The network-wide address of one port of a service, the same on every platform."""
    return f"{address}:{port}"


def connector_name(address: str, host: str, port: int, target_port: int) -> str:
    """The name of the bridge connector from a service port to one target."""
    return f"{address}@{host}:{port}:{target_port}"


def service_config(
    service: ServiceRouter, *, log: Iterable[Entity] = (), uplinks: Iterable[Entity] | None = None
) -> RouterConfig:
    """The configuration of a service's edge router, without targets; ``log`` is what the site's router has.

    It connects to the site's router, unless that is an edge itself: then ``uplinks`` are the site's links, and each
    service uses them by itself.
    """
    base = SiteRouter(f"{service.site_router_id}-{service.address}", service.site, edge=True)
    entities = [ssl_profile(INTERNAL_PROFILE)] if uplinks is None else []
    if service.tls:
        entities.append(ssl_profile(f"{SERVICE_TLS_PREFIX}{service.address}"))
    entities += [_uplink()] if uplinks is None else list(uplinks)
    entities.append(Entity.of("listener", {"name": "amqp", "host": "127.0.0.1", "port": AMQP_PORT}))
    entities += bridge_listeners(service)
    return initial_config(base).put_all([*entities, *log])


def _uplink() -> Entity:
    return Entity.of(
        "connector",
        {
            "name": UPLINK,
            "role": "edge",
            "host": SITE_ROUTER_HOST,
            "port": str(EDGE_PORT),
            "sslProfile": INTERNAL_PROFILE,
        },
    )


def bridge_listeners(service: ServiceRouter) -> tuple[Entity, ...]:
    """The bridge listeners for clients at this site, one for each port; none if it does not offer the service."""
    return tuple(_bridge_listener(service, port) for port in service.ports) if service.listens else ()


def target_connectors(service: ServiceRouter, host: str, ports: Mapping[int, int]) -> tuple[Entity, ...]:
    """The bridge connectors to one target host, one for each service port; ``ports`` maps it to the target's port."""
    return tuple(_bridge_connector(service, host, port, target) for port, target in ports.items())


def _bridge_listener(service: ServiceRouter, port: int) -> Entity:
    address = service_address(service.address, port)
    attributes: dict[str, JsonValue] = {
        "name": address,
        "address": address,
        "host": service.host or service.address,
        "port": str(port),
        "siteId": service.site.id,
    }
    kind = "tcpListener" if service.protocol == "tcp" else "httpListener"
    return Entity.of(kind, attributes | _protocol_attributes(service))


def _bridge_connector(service: ServiceRouter, host: str, port: int, target_port: int) -> Entity:
    attributes: dict[str, JsonValue] = {
        "name": connector_name(service.address, host, port, target_port),
        "address": service_address(service.address, port),
        "host": host,
        "port": str(target_port),
        "siteId": f"{service.site.id}-{service.address}",
    }
    if service.protocol != "http":
        attributes["verifyHostname"] = False
    kind = "tcpConnector" if service.protocol == "tcp" else "httpConnector"
    return Entity.of(kind, attributes | _protocol_attributes(service))


def _protocol_attributes(service: ServiceRouter) -> dict[str, JsonValue]:
    if service.protocol not in PROTOCOLS:
        raise RouterConfigError(f"{service.protocol!r} is not a protocol of services; use {', '.join(PROTOCOLS)}")
    attributes: dict[str, JsonValue] = {}
    if service.protocol != "http":
        attributes["sslProfile"] = service.tls_credentials
    if service.protocol != "tcp":
        attributes |= {"aggregation": service.aggregation, "eventChannel": service.event_channel}
    if service.protocol == "http2":
        attributes["protocolVersion"] = "HTTP2"
    return attributes
