"""A service address and its targets, as kept in ``skupper-services.json`` of a 1.9 site."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal

from skupper_podman.errors import UsageError

Protocol = Literal["tcp", "http", "http2"]
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "http", "http2")

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SITE = re.compile(r"[^\s,|$/]{1,253}")
_HOSTNAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Target:
    """A server that answers for a service: ``ports`` maps each service port to the port it listens on."""

    host: str
    ports: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class HostPorts:
    """Service ports published on the host: ``ports`` maps service port to host port, ``ip`` is empty for all."""

    ip: str = ""
    ports: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the network. ``origin`` is empty for one defined at this site, else the id of the site it came from.

    ``container_name`` is empty where its container has the name that the site gives it. ``tls_files`` are certificate,
    key and authority that were given for it, by file name; empty where the site makes them itself. ``ingress`` says
    whether a site that has targets offers the service, too; empty is as good as Always. ``allowed_sites`` are names or
    ids of the sites that may take it over by service sync; empty for all.
    """

    address: str
    ports: tuple[int, ...]
    protocol: Protocol = "tcp"
    targets: tuple[Target, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    origin: str = ""
    tls_credentials: str = ""
    aggregate: str = ""
    event_channel: bool = False
    container_name: str = ""
    host_ports: HostPorts = HostPorts()
    ingress: Literal["", "Always", "Never"] = ""
    tls_files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    allowed_sites: tuple[str, ...] = ()

    def allows(self, site_name: str, site_id: str) -> bool:
        """Whether the site of this name and id may use it."""
        return not self.allowed_sites or site_name in self.allowed_sites or site_id in self.allowed_sites

    @property
    def listens(self) -> bool:
        """Whether clients can call it at this site."""
        return self.ingress != "Never" or not self.targets


HOST_NAME = "host.containers.internal"
"""What Podman calls the host inside containers."""


def seen_from_container(host: str) -> str:
    """The target as a container sees it: what is the host itself to the user has another name there."""
    plain = host.rstrip(".").lower()
    try:
        own = plain in ("localhost", "localhost.localdomain") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = False
    return HOST_NAME if own else host


def check_address(name: str) -> str:
    """Return ``name`` if it may be a service address (a DNS-1035 label).

    Raises:
        UsageError: it is not.
    """
    problems = []
    if not _DNS_1035.fullmatch(name):
        problems.append(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        )
    if len(name) > 63:
        problems.append("must be no more than 63 characters")
    if problems:
        quoted = " ".join(f'"{problem}"' for problem in problems)
        raise UsageError(f"Invalid service name: [{quoted}]")
    return name


def check_allowed_sites(sites: tuple[str, ...]) -> tuple[str, ...]:
    """Return names and ids of sites in order, each once.

    Raises:
        UsageError: one cannot be a site's name or id.
    """
    for site in sites:
        if not _SITE.fullmatch(site):
            raise UsageError(f"invalid site {site!r}: give the name or the id of a site")
    return tuple(sorted(set(sites)))


def check_port(port: int) -> int:
    """Return ``port`` if it is a usable TCP port (1 to 65535).

    Raises:
        UsageError: it is not.
    """
    if not 0 < port < 65536:
        raise UsageError(f"Port {port} is outside valid range.")
    return port


def check_target_host(host: str) -> str:
    """Return ``host`` if it is an IP address or a bare host name.

    Raises:
        UsageError: it is neither.
    """
    if not host:
        raise UsageError("a hostname or IP is required")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOSTNAME.fullmatch(host) or len(host) > 253:
            raise UsageError("invalid hostname or ip") from None
    return host


def map_ports(
    service_ports: tuple[int, ...], mappings: tuple[str, ...], kind: str = "target"
) -> tuple[tuple[int, int], ...]:
    """Map each service port by ``P`` (positional) or ``servicePort:P`` strings; without any, each port maps to itself.

    ``kind`` is ``target`` or ``host`` and only changes the wording of errors.

    Raises:
        UsageError: a count that does not match, or a malformed or unknown port.
    """
    if not mappings:
        return tuple((port, port) for port in service_ports)
    if len(mappings) != len(service_ports):
        raise UsageError(
            f"service defines {len(service_ports)} ports but only {len(mappings)} mapped (all ports must be mapped)"
        )
    left_word = "source" if kind == "target" else "service"
    result: dict[int, int] = {}
    for port, text in zip(service_ports, mappings, strict=True):
        left, colon, right = text.rpartition(":")
        source = _port(left, f"invalid {left_word} port: {left}") if colon else port
        target = _port(right, f"invalid {kind} port: {right}")
        if source not in service_ports:
            raise UsageError(
                f"source port not defined in service: {source}"
                if kind == "target"
                else f"{source} is not a valid service port"
            )
        result[source] = target
    if set(result) != set(service_ports):
        raise UsageError(
            f"service defines {len(service_ports)} ports but only {len(result)} mapped (all ports must be mapped)"
        )
    return tuple(sorted(result.items()))


def _port(text: str, message: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise UsageError(message)
    return int(text)
