"""The ConfigMap ``skupper-services``: a key for each address, its value the service as JSON (or YAML, for people).

What always holds: a key of a service that is not known, or asks for what a podman site does not have, is refused by
name; what is written is read back as the same service.

Format: ``api/types/types.go`` (``ServiceInterface``) of Skupper 1.9. Beside it, ``containerName``, ``hostIp`` and
``hostPorts`` say what 1.9 keeps only in containers, and ``allowedSites`` which sites may take it over; a target may be
written as ``host`` and ``targetPorts``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import yaml

from skupper_podman.desired.gojson import compact
from skupper_podman.desired.services import parse_resolver
from skupper_podman.errors import InvalidError, UsageError
from skupper_podman.model.service import (
    PROTOCOLS,
    HostPorts,
    Protocol,
    Service,
    Target,
    check_address,
    check_allowed_sites,
    check_port,
    check_target_host,
)

_KEYS: Final = frozenset(
    {
        "address", "protocol", "ports", "exposeIngress", "eventchannel", "aggregate", "labels", "targets",
        "tlsCredentials", "containerName", "hostIp", "hostPorts", "allowedSites",
    }
)  # fmt: skip
_EMPTY: Final = frozenset({"headless", "annotations", "origin", "tlsCertAuthority", "bridgeImage", "enableTls"})
"""Keys of 1.9 that mean nothing where they are empty, and something a podman site does not have where they are not."""


def parse_services(data: Mapping[str, str]) -> tuple[Service, ...]:
    """The services, by address.

    Raises:
        InvalidError: one is malformed; the message names it and the key.
    """
    return tuple(_service(address, data[address]) for address in sorted(data))


def _service(address: str, text: str) -> Service:
    try:
        entry = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise InvalidError(f"skupper-services: {address}: it is no object")
    try:
        return _parsed(address, entry)
    except UsageError as error:
        raise InvalidError(f"skupper-services: {address}: {error.message}", error.hint) from None


def _parsed(address: str, entry: Mapping[Any, Any]) -> Service:
    _check_keys(entry)
    if entry.get("address", address) != address:
        raise UsageError(f"its address is {entry['address']}")
    protocol = entry.get("protocol") or "tcp"
    if protocol not in PROTOCOLS:
        raise UsageError(f"{protocol} is not a valid mapping. Choose 'tcp', 'http' or 'http2'.")
    ports = tuple(_port(port) for port in _list(entry, "ports"))
    if not ports:
        raise UsageError("it has no ports")
    return Service(
        address=check_address(address),
        ports=ports,
        protocol=cast(Protocol, protocol),
        targets=tuple(_target(item, ports) for item in _list(entry, "targets")),
        labels={str(name): str(value) for name, value in _mapping(entry, "labels").items()},
        tls_credentials=str(entry.get("tlsCredentials") or ""),
        aggregate=str(entry.get("aggregate") or ""),
        event_channel=entry.get("eventchannel") is True,
        container_name="" if (name := str(entry.get("containerName") or "")) == address else name,
        host_ports=HostPorts(str(entry.get("hostIp") or ""), _ports(_mapping(entry, "hostPorts"))),
        ingress=_ingress(entry.get("exposeIngress") or ""),
        allowed_sites=check_allowed_sites(tuple(str(site) for site in _list(entry, "allowedSites"))),
    )


def _check_keys(entry: Mapping[Any, Any]) -> None:
    for key, value in entry.items():
        if key in _EMPTY:
            if value:
                raise UsageError(f"{key} is not supported on podman")
        elif key not in _KEYS:
            raise UsageError(f"{key} is no key of a service", f"a service has: {', '.join(sorted(_KEYS))}")


def _ingress(value: object) -> Any:
    if value not in ("", "Always", "Never"):
        raise UsageError(f"Invalid value for ingress-mode: {value}. Must be Always or Never.")
    return value


def _target(item: object, ports: tuple[int, ...]) -> Target:
    if not isinstance(item, dict):
        raise UsageError("a target is no object")
    unknown = [str(key) for key in item if key not in ("name", "host", "targetPorts", "service", "selector")]
    if unknown or item.get("selector"):
        raise UsageError(f"{'selector' if not unknown else unknown[0]} is no key of a target on podman")
    resolved = parse_resolver(str(item.get("name") or ""))
    host = str(item.get("host") or (resolved.host if resolved else "") or item.get("service") or "")
    mapping = _ports(_mapping(item, "targetPorts")) or (resolved.ports if resolved else ())
    for port, _target_port in mapping:
        if port not in ports:
            raise UsageError(f"source port not defined in service: {port}")
    return Target(check_target_host(host), mapping or tuple((port, port) for port in sorted(ports)))


def _list(entry: Mapping[Any, Any], key: str) -> list[Any]:
    value = entry.get(key)
    if value is not None and not isinstance(value, list):
        raise UsageError(f"{key} is no list")
    return value or []


def _mapping(entry: Mapping[Any, Any], key: str) -> dict[Any, Any]:
    value = entry.get(key)
    if value is not None and not isinstance(value, dict):
        raise UsageError(f"{key} is no object")
    return value or {}


def _port(value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 5:
        raise UsageError(f"{value} is not a valid port")
    return check_port(int(text))


def _ports(mapping: Mapping[Any, Any]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((_port(port), _port(other)) for port, other in mapping.items()))


def secret_name(service: Service) -> str:
    """The Secret that has the TLS files given for a service; any name but that of what the site makes itself."""
    return f"{service.address}-tls"


def dump_services(services: tuple[Service, ...]) -> dict[str, str]:
    """The values by address, each one line of JSON."""
    return {service.address: compact(_dumped(service)) for service in services}


def _dumped(service: Service) -> dict[str, Any]:
    ports = {str(port): host for port, host in service.host_ports.ports}
    values: dict[str, Any] = {
        "address": service.address,
        "protocol": service.protocol,
        "ports": list(service.ports),
        "exposeIngress": service.ingress,
        "eventchannel": service.event_channel,
        "aggregate": service.aggregate,
        "labels": dict(sorted(service.labels.items())),
        "targets": [
            {"host": target.host, "targetPorts": {str(port): to for port, to in target.ports}}
            for target in service.targets
        ],
        "tlsCredentials": secret_name(service) if service.tls_files else service.tls_credentials,
        "containerName": service.container_name,
        "hostIp": service.host_ports.ip if ports else "",
        "hostPorts": ports,
        "allowedSites": list(service.allowed_sites),
    }
    always = ("address", "protocol", "ports", "targets")
    return {key: value for key, value in values.items() if value or key in always}
