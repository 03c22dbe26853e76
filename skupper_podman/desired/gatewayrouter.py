"""The configuration of a gateway's router: one edge connector to the site, and a bridge for each port.

It is a template: ``${QDR_CONF_DIR}``, ``${ROUTER_NAME}``, ``${ROUTER_ID}`` and ``${MANAGEMENT_PORT}`` are known only on
the host that runs it, and filled in there by the bundle's ``launch.py``. What always holds: whoever manages the router
must have the gateway's own key (1.9 lets every user of the host do it).
"""

from __future__ import annotations

from typing import Final

from skupper_podman.model.gateway import Bridge, GatewayDefinition
from skupper_podman.router.config import Entity, JsonValue, RouterConfig, SiteMetadata

DIRECTORY: Final = "${QDR_CONF_DIR}"
ROUTER_NAME: Final = "${ROUTER_NAME}"
ROUTER_ID: Final = "${ROUTER_ID}"
MANAGEMENT_PORT: Final = "${MANAGEMENT_PORT}"

CERTIFICATES: Final = "skupper-router-certs"
LINK: Final = "conn1"
LINK_PROFILE: Final = "conn1-profile"
MANAGEMENT_PROFILE: Final = "management-profile"
OWN_AUTHORITY: Final = "gateway-ca.crt"
"""Beside the link's ``ca.crt`` (the site's), the authority of the gateway itself."""


def gateway_config(definition: GatewayDefinition, host: str, port: int, version: str, platform: str) -> RouterConfig:
    """The template for a gateway that links to ``host`` and ``port``; ``version`` and ``platform`` are the site's."""
    directory = f"{DIRECTORY}/{CERTIFICATES}/{LINK_PROFILE}"
    files: dict[str, JsonValue] = {
        "certFile": f"{directory}/tls.crt",
        "privateKeyFile": f"{directory}/tls.key",
    }
    entities = [
        Entity.of(
            "router",
            {
                "id": ROUTER_NAME,
                "mode": "edge",
                "helloMaxAgeSeconds": "3",
                "metadata": SiteMetadata(ROUTER_ID, version, platform).dump(),
            },
        ),
        Entity.of("sslProfile", {"name": LINK_PROFILE, "caCertFile": f"{directory}/ca.crt", **files}),
        Entity.of("sslProfile", {"name": MANAGEMENT_PROFILE, "caCertFile": f"{directory}/{OWN_AUTHORITY}", **files}),
        *(entity for bridge in (*definition.bindings, *definition.forwards) for entity in _profile(bridge)),
        Entity.of(
            "connector",
            {
                "name": LINK,
                "role": "edge",
                "host": host,
                "port": str(port),
                "cost": 1,
                "maxFrameSize": 16384,
                "maxSessionFrames": 640,
                "sslProfile": LINK_PROFILE,
            },
        ),
        *_listeners(definition),
        *(_bridge(bridge, "Connector") for bridge in definition.bindings),
        *(_bridge(bridge, "Listener") for bridge in definition.forwards),
    ]
    return RouterConfig.of(entities)


def _listeners(definition: GatewayDefinition) -> list[Entity]:
    found = []
    for listener in definition.listeners:
        if listener.managed:
            attributes: dict[str, JsonValue] = {
                "name": listener.name,
                "host": listener.host,
                "port": MANAGEMENT_PORT,
                "sslProfile": MANAGEMENT_PROFILE,
                "saslMechanisms": "EXTERNAL",
                "authenticatePeer": True,
                "requireSsl": True,
            }
        else:
            attributes = {"name": listener.name, "host": listener.host, "port": listener.port}
        found.append(Entity.of("listener", attributes))
    return found


def tls_directory(bridge: Bridge) -> str:
    """Directory of a bridge's TLS files, and the name of its profile."""
    return f"bridge-{bridge.name.replace(':', '-')}"


def _profile(bridge: Bridge) -> tuple[Entity, ...]:
    if not bridge.speaks_tls:
        return ()
    name = tls_directory(bridge)
    base = f"{DIRECTORY}/{CERTIFICATES}/{name}"
    files: dict[str, JsonValue] = {"name": name, "caCertFile": f"{base}/ca.crt"}
    if bridge.tls_credentials:
        files |= {"certFile": f"{base}/tls.crt", "privateKeyFile": f"{base}/tls.key"}
    return (Entity.of("sslProfile", files),)


def _bridge(bridge: Bridge, end: str) -> Entity:
    attributes: dict[str, JsonValue] = {
        "name": bridge.name,
        "address": bridge.address,
        "host": bridge.host,
        "port": str(bridge.port),
        "siteId": ROUTER_ID,
    }
    if bridge.speaks_tls:
        attributes["sslProfile"] = tls_directory(bridge)
        if end == "Connector":
            attributes["verifyHostname"] = bool(bridge.tls_authority)
    if bridge.protocol == "tcp":
        return Entity.of(f"tcp{end}", attributes)
    version = "HTTP2" if bridge.protocol == "http2" else "HTTP1"
    attributes |= {"protocolVersion": version}
    attributes |= {"aggregation": bridge.aggregate, "eventChannel": bridge.event_channel}
    return Entity.of(f"http{end}", attributes)
