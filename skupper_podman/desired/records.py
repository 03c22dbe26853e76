"""Two small files of our own beside those of 1.9, which keep what 1.9 keeps only in containers.

With them a site whose containers are gone can be repaired to what it was. 1.9 ignores them. What always holds: a file
that is damaged or of another version is as good as none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from skupper_podman.desired.gojson import compact
from skupper_podman.model.service import HostPorts, Service
from skupper_podman.model.site import LogLevel, SiteSpec

SERVICE_FILE: Final = "skupper-podman-service.json"
"""Beside a service's router configuration: its container's name, the ports published, whether TLS files were given,
the site it came from."""


_LIMITS: Final = {
    "routerCpuMillis": "router_cpu_millis",
    "routerMemoryBytes": "router_memory_bytes",
    "controllerCpuMillis": "controller_cpu_millis",
    "controllerMemoryBytes": "controller_memory_bytes",
}


def dump_placement(service: Service, container: str) -> bytes:
    """Where a service's container is and what it publishes, as JSON."""
    ports = [list(pair) for pair in service.host_ports.ports]
    value: dict[str, Any] = {"container": container, "hostIp": service.host_ports.ip, "hostPorts": ports}
    value |= {"tls": "given"} if service.tls_files else {}
    value |= {"origin": service.origin} if service.origin else {}
    return compact(value).encode()


def origin_in(content: bytes) -> str:
    """The site that a service came from, as :func:`dump_placement` wrote; empty for one of this site."""
    try:
        return str(json.loads(content).get("origin") or "")
    except (ValueError, AttributeError, RecursionError):
        return ""


def tls_was_given(content: bytes) -> bool:
    """Whether the service's certificate is not the site's to make, as :func:`dump_placement` wrote."""
    try:
        return bool(json.loads(content).get("tls") == "given")
    except (ValueError, AttributeError, RecursionError):
        return False


def placed(service: Service, content: bytes, usual: str) -> Service:
    """The service with what :func:`dump_placement` wrote; unchanged where that cannot be used.

    ``usual`` is what its container is called if it has no name of its own.
    """
    try:
        value = json.loads(content)
        ports = tuple((int(port), int(host)) for port, host in value["hostPorts"])
        name, ip = str(value["container"]), str(value["hostIp"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return service
    return replace(service, container_name="" if name == usual else name, host_ports=HostPorts(ip, ports))


def dump_spec(spec: SiteSpec) -> bytes:
    """What was asked of init, as JSON, so that a broken site can be repaired to what it was."""
    document: dict[str, Any] = {
        "version": 1,
        "name": spec.name,
        "id": spec.site_id,
        "routerMode": spec.router_mode,
        "ingress": spec.ingress,
        "ingressHosts": list(spec.ingress_hosts),
        "bindIps": list(spec.bind_ips),
        "interRouterPort": spec.inter_router_port,
        "edgePort": spec.edge_port,
        "claimsPort": spec.claims_port,
        "network": spec.network,
        "ipv6": spec.ipv6,
        "routerLogging": [[level.module, level.level] for level in spec.router_logging],
        "router": spec.router,
        "labels": dict(sorted(spec.labels.items())),
    }
    if spec.claims_port is None:  # a site of an earlier release; its file stays what it is
        del document["claimsPort"]
    # Only where there are any, so that the file of a site made before there were limits is still the same.
    document |= {key: getattr(spec, name) for key, name in _LIMITS.items() if getattr(spec, name)}
    document |= {"serviceSync": True} if spec.service_sync else {}
    return (json.dumps(document, indent=2) + "\n").encode()


def parse_spec(content: bytes) -> SiteSpec | None:
    """What :func:`dump_spec` wrote, or None where it cannot be used."""
    try:
        value = json.loads(content)
        if value["version"] != 1:
            return None
        limits: dict[str, Any] = {name: int(value.get(key, 0)) for key, name in _LIMITS.items()}
        return SiteSpec(
            name=str(value["name"]),
            site_id=str(value["id"]),
            router_mode="edge" if value["routerMode"] == "edge" else "interior",
            ingress="none" if value["ingress"] == "none" else "external",
            ingress_hosts=_texts(value["ingressHosts"]),
            bind_ips=_texts(value["bindIps"]),
            inter_router_port=int(value["interRouterPort"]),
            edge_port=int(value["edgePort"]),
            claims_port=int(value["claimsPort"]) if "claimsPort" in value else None,
            network=str(value["network"]),
            ipv6=value["ipv6"] is True,
            router_logging=tuple(LogLevel(str(module), str(level)) for module, level in value["routerLogging"]),
            router=value["router"] if value["router"] in ("image", "embedded") else "auto",
            labels={str(key): str(item) for key, item in value["labels"].items()},
            service_sync=value.get("serviceSync") is True,
            **limits,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
