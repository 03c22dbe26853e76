"""What ``expose`` and ``service create`` have in common: the flags that shape a service, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from skupper_podman.cli.flags import flag
from skupper_podman.cli.tlsfiles import tls_files
from skupper_podman.errors import UsageError
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
    map_ports,
)

TARGET_TYPE = "host"


@dataclass(frozen=True, slots=True)
class ServiceFlags:
    """Flags that shape a service."""

    protocol: str = flag(
        "protocol", "string", "The protocol to proxy (tcp, http, or http2).", default="tcp", choices=PROTOCOLS
    )
    aggregate: str = flag(
        "aggregate", "string", "Aggregate the answers of all targets: json, multipart (http only)",
        choices=("json", "multipart"),
    )  # fmt: skip
    event_channel: bool = flag("event-channel", "bool", "Send each request to all targets without answer (http only)")
    generate_tls_secrets: bool = flag(
        "generate-tls-secrets", "bool", "Encrypt between routers and targets with credentials made for this service"
    )
    tls_cert: str = flag(
        "tls-cert", "string", "Encrypt with the certificate in this directory: tls.crt, tls.key and ca.crt"
    )
    enable_tls: bool = flag("enable-tls", "bool", "", hidden=True, deprecated="use 'generate-tls-secrets' instead")
    container_name: str = flag("container-name", "string", "Name of the service's container (default: the address)")
    host_ip: str = flag("host-ip", "string", "Address of this host to publish the service at")
    host_port: tuple[str, ...] = flag(
        "host-port", "strings", "Port of this host to publish the service at: hostport or port:hostport (repeatable)"
    )
    allow_site: tuple[str, ...] = flag(
        "allow-site", "strings", "Name or id of a site that may take the service over by service sync (repeatable)"
    )
    label: tuple[tuple[str, str], ...] = flag("label", "stringToString", "Labels of the service: key=value,...")


def build_service(
    address: str,
    ports: tuple[int, ...],
    flags: ServiceFlags,
    targets: tuple[Target, ...] = (),
    *,
    trust: str = "",
    ingress: str = "",
) -> Service:
    """The service the flags describe, checked.

    Raises:
        UsageError: a value is out of its range, or two do not go together.
    """
    check_address(address)
    for port in ports:
        check_port(port)
    if len(set(ports)) != len(ports):
        raise UsageError(f"a port is given twice: {', '.join(map(str, ports))}")
    _check_mapping(flags)
    generate = flags.generate_tls_secrets or flags.enable_tls
    files = tls_files(flags.tls_cert, trust, generate)
    return Service(
        address=address,
        ports=ports,
        protocol=cast(Protocol, flags.protocol),
        targets=targets,
        labels=dict(flags.label),
        tls_credentials=f"skupper-tls-{address}" if generate or files else "",
        aggregate=flags.aggregate,
        event_channel=flags.event_channel,
        container_name=flags.container_name,
        host_ports=_host_ports(ports, flags),
        ingress=check_ingress(ingress),
        tls_files=files,
        allowed_sites=check_allowed_sites(flags.allow_site),
    )


def check_ingress(mode: str) -> Literal["", "Always", "Never"]:
    """``Always`` or ``Never`` in any case, or empty.

    Raises:
        UsageError: it is something else.
    """
    match mode.lower():
        case "":
            return ""
        case "always":
            return "Always"
        case "never":
            return "Never"
    raise UsageError(f"Invalid value for ingress-mode: {mode}. Must be Always or Never.")


def _check_mapping(flags: ServiceFlags) -> None:
    if flags.aggregate and flags.event_channel:
        raise UsageError("Only one of aggregate and event-channel can be specified for a given service.")
    if flags.aggregate and flags.aggregate not in ("json", "multipart"):
        raise UsageError(f"{flags.aggregate} is not a valid aggregation strategy. Choose 'json' or 'multipart'.")
    if flags.protocol not in PROTOCOLS:
        raise UsageError(f"{flags.protocol} is not a valid mapping. Choose 'tcp', 'http' or 'http2'.")
    if flags.aggregate and flags.protocol != "http":
        raise UsageError("The aggregate option is currently only valid for http")
    if flags.event_channel and flags.protocol != "http":
        raise UsageError("The event-channel option is currently only valid for http")


def _host_ports(ports: tuple[int, ...], flags: ServiceFlags) -> HostPorts:
    """Where the service is published on the host: nowhere unless a flag asks for it."""
    if not flags.host_ip and not flags.host_port:
        return HostPorts()
    if flags.host_ip:
        import ipaddress

        try:
            ipaddress.ip_address(flags.host_ip)
        except ValueError:
            raise UsageError(f"invalid --host-ip: {flags.host_ip} is not an address") from None
    return HostPorts(flags.host_ip, map_ports(ports, flags.host_port, "host"))


def check_target(kind: str, host: str) -> str:
    """Return ``host`` if ``kind`` is a target type of this platform and it may be a target.

    Raises:
        UsageError: it is not.
    """
    if kind != TARGET_TYPE:
        raise UsageError(f"invalid target type: {kind} - valid target types are: [{TARGET_TYPE}]")
    return check_target_host(host)
