"""A site as a user asks for it: the flags of ``skupper init``, validated, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from skupper_podman.errors import UsageError

RouterMode = Literal["interior", "edge"]
Ingress = Literal["external", "none"]
RouterKind = Literal["auto", "image", "embedded"]

INTER_ROUTER_PORT = 55671
EDGE_PORT = 45671
CLAIMS_PORT = 8081
FLOW_COLLECTOR_PORT = 8010
DEFAULT_NETWORK = "skupper"
"""What stands for the network that is named as the site."""


@dataclass(frozen=True, slots=True)
class LogLevel:
    """One ``--router-logging`` element: ``module`` is empty for all modules, ``level`` as typed (``debug+``)."""

    module: str
    level: str


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """What a site must be. Ports are host ports; hosts are the names and addresses put into certificates and tokens.

    CPU is limited in thousandths of one, memory in bytes; zero means no limit. Services' containers have the router's.

    ``namespace`` tells it from the other sites of its user, and is empty for the one with the names of 1.9.
    ``claims_port`` is 0 for a site that redeems no claims because that was asked for, and None for one made by a
    release that knew of none. ``service_sync``: services are taken over from other sites, and offered to them.
    """

    name: str
    site_id: str
    router_mode: RouterMode = "interior"
    ingress: Ingress = "external"
    ingress_hosts: tuple[str, ...] = ()
    bind_ips: tuple[str, ...] = ()
    inter_router_port: int = INTER_ROUTER_PORT
    edge_port: int = EDGE_PORT
    claims_port: int | None = CLAIMS_PORT
    network: str = DEFAULT_NETWORK
    ipv6: bool = False
    router_logging: tuple[LogLevel, ...] = ()
    router: RouterKind = "auto"
    platform: str = "podman"
    labels: dict[str, str] = field(default_factory=dict)
    router_cpu_millis: int = 0
    router_memory_bytes: int = 0
    controller_cpu_millis: int = 0
    controller_memory_bytes: int = 0
    namespace: str = ""
    service_sync: bool = False

    @property
    def accepts_links(self) -> bool:
        """Whether other sites may link to it."""
        return self.ingress != "none" and self.router_mode != "edge"

    @property
    def serves_claims(self) -> bool:
        """Whether its controller redeems claims."""
        return self.accepts_links and bool(self.claims_port)


LOG_LEVELS = ("trace", "debug", "info", "notice", "warning", "error", "critical")
LOG_MODULES = (
    "ROUTER", "ROUTER_CORE", "ROUTER_HELLO", "ROUTER_LS", "ROUTER_MA", "MESSAGE", "SERVER", "AGENT", "AUTHSERVICE",
    "CONTAINER", "ERROR", "POLICY", "HTTP", "CONN_MGR", "PYTHON", "PROTOCOL", "TCP_ADAPTOR", "HTTP_ADAPTOR", "DEFAULT",
)  # fmt: skip


def parse_router_logging(text: str) -> tuple[LogLevel, ...]:
    """Parse ``[module:]level[+],...`` as 1.9 does.

    Raises:
        UsageError: an unknown module or level.
    """
    levels = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        module, _, level = part.rpartition(":")
        if module and module not in LOG_MODULES:
            raise UsageError(f"Bad value for --router-logging: Invalid logging module for router: {module}")
        if level.removesuffix("+") not in LOG_LEVELS:
            raise UsageError(f"Bad value for --router-logging: Invalid logging level for router: {level}")
        levels.append(LogLevel(module, level))
    return tuple(levels)


def check_site_ports(spec: SiteSpec) -> None:
    """Check that every port is one, and is one thing only.

    Raises:
        UsageError: it is not; the message names the flags.
    """
    ports = {"--bind-port": spec.inter_router_port, "--bind-port-edge": spec.edge_port}
    ports |= {"--bind-port-claims": spec.claims_port} if spec.claims_port else {}
    used: dict[int, str] = {}
    for flag, port in ports.items():
        if not 0 < port < 65536:
            raise UsageError(f"Port {port} is outside valid range.")
        if used.setdefault(port, flag) != flag:
            raise UsageError(f"{used[port]} and {flag} are both {port}: they must differ")


def check_site_name(name: str) -> str:
    """Return ``name`` if it may name a site and its router.

    Raises:
        UsageError: it is empty, has white space, or a character a router id must not have.
    """
    if not name:
        raise UsageError("invalid skupper site name: value is empty")
    if re.search(r"\s", name):
        raise UsageError("invalid skupper site name: value contains spaces")
    if re.search(r"[|$/]", name):
        raise UsageError("invalid skupper site name: value contains one of | $ /")
    return name
