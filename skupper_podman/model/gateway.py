"""A gateway as values: what it carries between a host that is no site and the network, and what a site knows of it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from skupper_podman.errors import UsageError

GatewayType = Literal["service", "podman", "docker"]
GATEWAY_TYPES: tuple[GatewayType, ...] = ("service", "podman", "docker")
GatewayKind = Literal["bundle", "local"]
BridgeProtocol = Literal["tcp", "http", "http2"]
BRIDGE_PROTOCOLS: tuple[BridgeProtocol, ...] = ("tcp", "http", "http2")
MANAGEMENT_PORT = 5672
ROUTER_PREFIX = "skupper-gateway-"
"""How the id of every gateway's router begins; sites of 1.9 know gateways by it."""

_LONGEST = 48
_NAME = re.compile(r"[a-z]([a-z0-9.-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Bridge:
    """One port carried: ``address`` is ``service:port`` on the network, ``host`` and ``port`` are at the gateway.

    A binding connects to ``host``; a forward listens there, on all interfaces where it is empty. ``tls_credentials`` is
    a directory with ``tls.crt``, ``tls.key`` and ``ca.crt``, ``tls_authority`` the file of an authority that signed the
    target's certificate; either makes the bridge speak TLS.
    """

    name: str
    address: str
    host: str
    port: int
    protocol: BridgeProtocol = "tcp"
    aggregate: str = ""
    event_channel: bool = False
    tls_credentials: str = ""
    tls_authority: str = ""

    @property
    def facts(self) -> dict[str, str | int]:
        """What a bundle's manifest and a status tell of it."""
        return {
            "name": self.name,
            "address": self.address,
            "protocol": self.protocol,
            "host": self.host,
            "port": self.port,
        }

    @property
    def service(self) -> str:
        """The service's address without the port."""
        return self.address.rpartition(":")[0]

    @property
    def service_port(self) -> int:
        """The port on the network."""
        return int(self.address.rpartition(":")[2])

    @property
    def speaks_tls(self) -> bool:
        """Whether the gateway's side of the bridge is encrypted."""
        return bool(self.tls_credentials or self.tls_authority)


@dataclass(frozen=True, slots=True)
class AmqpListener:
    """Where the gateway's router takes AMQP connections of its own host; ``managed`` is the one it is managed by."""

    name: str = "amqp"
    host: str = "localhost"
    port: int = MANAGEMENT_PORT

    @property
    def managed(self) -> bool:
        """Whether it is the management listener, which only the gateway's own credential opens."""
        return self.name == "amqp"


@dataclass(frozen=True, slots=True)
class GatewayDefinition:
    """A gateway as its YAML file defines it."""

    name: str
    bindings: tuple[Bridge, ...] = ()
    forwards: tuple[Bridge, ...] = ()
    listeners: tuple[AmqpListener, ...] = (AmqpListener(),)

    def with_binding(self, bridge: Bridge) -> GatewayDefinition:
        """With this binding, instead of the one of its name if there is one."""
        return replace(self, bindings=_with(self.bindings, bridge))

    def with_forward(self, bridge: Bridge) -> GatewayDefinition:
        """With this forward, instead of the one of its name if there is one."""
        return replace(self, forwards=_with(self.forwards, bridge))

    def without_binding_of(self, service: str) -> GatewayDefinition:
        """Without the bindings of a service."""
        return replace(self, bindings=tuple(bridge for bridge in self.bindings if bridge.service != service))

    def without_forward_of(self, service: str) -> GatewayDefinition:
        """Without the forwards of a service."""
        return replace(self, forwards=tuple(bridge for bridge in self.forwards if bridge.service != service))


def _with(bridges: tuple[Bridge, ...], bridge: Bridge) -> tuple[Bridge, ...]:
    others = [other for other in bridges if other.name != bridge.name]
    return tuple(sorted([*others, bridge], key=lambda item: item.name))


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """What a site keeps of a gateway it gave a credential to.

    ``generation`` counts its bundles; ``expires`` is the end of the credential of the last one. ``services`` are those
    that were made for it. ``lifetime`` is that of a credential that takes the place of the bundle's, if that one is
    good for one launch and no more; else None.
    """

    definition: GatewayDefinition
    kind: GatewayKind
    type: str
    generation: int
    created: datetime.datetime
    expires: datetime.datetime
    edge_host: str
    edge_port: int
    router_id: str
    services: tuple[str, ...] = ()
    lifetime: datetime.timedelta | None = None

    @property
    def name(self) -> str:
        """The gateway's name."""
        return self.definition.name

    @property
    def validity(self) -> datetime.timedelta:
        """How long each credential that it renews is valid."""
        return self.lifetime or self.expires - self.created

    @property
    def awaits_launch(self) -> bool:
        """Whether its bundle is good for one launch, and has not been launched."""
        return self.lifetime is not None and self.expires - self.created < self.lifetime


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """A gateway with what was seen of it now. ``connected`` is None where that cannot be known; ``version`` is the
    router's, empty while it is not connected; ``problem`` says what is wrong, empty if nothing is, and ``fix`` what to
    do. ``targets`` says of bindings, by name, whether what they lead to answers; one that is not in it is not known."""

    record: GatewayRecord
    connected: bool | None
    version: str = ""
    since: float | None = None
    address: str = ""
    problem: str = ""
    fix: str = ""
    targets: Mapping[str, bool] = field(default_factory=dict)


def is_gateway_name(name: str) -> bool:
    """Whether ``name`` may name a gateway."""
    return bool(_NAME.fullmatch(name)) and len(name) <= _LONGEST


def check_gateway_name(name: str) -> str:
    """Return ``name`` if it may name a gateway, its unit and its container.

    Raises:
        UsageError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "Gateway name must consist of lower case letters, numerals and '-'. Must start with a letter.",
            f"it is {name!r}" if name else "give it a name",
        )
    if len(name) > _LONGEST:
        raise UsageError(f"Gateway name {name} is too long", f"use at most {_LONGEST} characters")
    return name


def check_gateway_type(kind: str) -> GatewayType:
    """Return ``kind`` if it is a type of gateways.

    Raises:
        UsageError: it is not.
    """
    for known in GATEWAY_TYPES:
        if kind == known:
            return known
    raise UsageError(f"{kind} is not a valid gateway type. Choose 'service', 'docker' or 'podman'.")


DEFAULT_VALIDITY = datetime.timedelta(days=365)
"""How long the credential of a bundle is valid unless asked otherwise."""


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """A bundle asked for. ``ingress_host`` empty is the site's first; ``validity`` that of the credential.

    ``tls`` are the files of bridges that speak TLS, by directory and name. ``self_contained`` puts a router into the
    bundle, ``with_image`` the image of one. ``services`` are those made for the gateway, None for those it had. With
    ``launch_within`` the bundle's own credential is valid only that long, and exchanged by the first launch.
    """

    definition: GatewayDefinition
    kind: GatewayKind = "bundle"
    type: str = ""
    ingress_host: str = ""
    validity: datetime.timedelta = DEFAULT_VALIDITY
    tls: dict[str, bytes] = field(default_factory=dict, repr=False)
    self_contained: bool = False
    with_image: bool = False
    services: tuple[str, ...] | None = None
    launch_within: datetime.timedelta | None = None
