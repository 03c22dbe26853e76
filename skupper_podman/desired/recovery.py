"""Services read back from their routers' configurations, for when ``skupper-services.json`` is lost or cut off.

What always holds: a service is recovered with its ports, protocol and targets as its router has them; what only the
lost file had (labels) is not made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from skupper_podman.model.service import Protocol, Service, Target
from skupper_podman.router.config import Entity, RouterConfig


def recovered_services(configs: Mapping[str, RouterConfig]) -> tuple[Service, ...]:
    """The services that these configurations (by address, the site's own under the empty one) were made for."""
    found = (_service(address, config) for address, config in sorted(configs.items()) if address)
    return tuple(service for service in found if service is not None)


def _service(address: str, config: RouterConfig) -> Service | None:
    listeners = config.of_type("tcpListener", "httpListener")
    ports = tuple(sorted({port for listener in listeners if (port := _port(listener.text("address"), address))}))
    if not ports:
        return None
    first = listeners[0]
    protocol = "tcp" if first.type == "tcpListener" else "http2" if first.text("protocolVersion") else "http"
    return Service(
        address=address,
        ports=ports,
        protocol=cast("Protocol", protocol),
        targets=_targets(address, config.of_type("tcpConnector", "httpConnector")),
        tls_credentials=first.text("sslProfile"),
        aggregate=first.text("aggregation"),
        event_channel=first.get("eventChannel") is True,
    )


def _targets(address: str, connectors: tuple[Entity, ...]) -> tuple[Target, ...]:
    hosts: dict[str, dict[int, int]] = {}
    for connector in connectors:
        port, to = _port(connector.text("address"), address), connector.text("port")
        if port and to.isdigit():
            hosts.setdefault(connector.text("host"), {})[port] = int(to)
    return tuple(Target(host, tuple(sorted(ports.items()))) for host, ports in hosts.items())


def _port(text: str, address: str) -> int:
    name, _, port = text.rpartition(":")
    return int(port) if name == address and port.isdigit() else 0
