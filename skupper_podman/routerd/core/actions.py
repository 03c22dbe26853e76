"""What the core asks its caller to do.

Why: the core has no I/O; every effect is one of these values, so tests read decisions as data and the runtime
performs them in order.

What always holds: actions are immutable and complete; performing them in the order given, before the next event, is
all the caller has to do. ``conn`` is the caller's number of a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from skupper_podman.routerd.core.address import Treatment
from skupper_podman.routerd.message import RoutingStyle

Body: TypeAlias = Mapping[Any, Any]

# ----------------------------------------------------------------------------------------- from `Routing`


@dataclass(frozen=True, slots=True)
class SendOnLink:
    """Send a routing message on the control link of one connection."""

    conn: int
    to: str
    opcode: str
    body: Body
    style: RoutingStyle


@dataclass(frozen=True, slots=True)
class SendToRouter:
    """Send a routing message towards a router: on the control link of ``Routing.next_hop(router_id)``."""

    router_id: str
    to: str
    opcode: str
    body: Body
    style: RoutingStyle


@dataclass(frozen=True, slots=True)
class Flood:
    """Send a routing message on each control link of ``Routing.flood_connections()``."""

    to: str
    opcode: str
    body: Body
    style: RoutingStyle


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """A router has gained (or changed) or lost its consumers of an address: `AddressTable.set_remote`."""

    router_id: str
    key: str
    treatment: Treatment | None
    mesh: str | None
    present: bool


@dataclass(frozen=True, slots=True)
class RouterLost:
    """A router is out of reach or gone; its addresses were taken back by `RemoteAddress` actions before this one."""

    router_id: str


@dataclass(frozen=True, slots=True)
class PathsChanged:
    """Next hops, costs or valid origins are new."""


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the router's log: module as in reference section 7.4, level in lower case."""

    module: str
    level: str
    text: str


RoutingAction: TypeAlias = SendOnLink | SendToRouter | Flood | RemoteAddress | RouterLost | PathsChanged | Log

# ------------------------------------------------------------------------------------ from `AddressTable`


@dataclass(frozen=True, slots=True)
class AnnounceUp:
    """An address has its first local consumer: `Routing.address_up`, or on an edge `EdgeProxies.consumers_up`."""

    key: str
    treatment: Treatment
    in_links: int
    mesh: str | None


@dataclass(frozen=True, slots=True)
class AnnounceChanged:
    """The number of producers or the sole mesh of an announced address changed: `Routing.address_changed`."""

    key: str
    treatment: Treatment
    in_links: int
    mesh: str | None


@dataclass(frozen=True, slots=True)
class AnnounceDown:
    """An address has lost its last local consumer: `Routing.address_down` or `EdgeProxies.consumers_down`."""

    key: str


@dataclass(frozen=True, slots=True)
class SourceUp:
    """A mobile address has its first local producer or watcher: `EdgeProxies.sources_up`; of no use elsewhere."""

    key: str


@dataclass(frozen=True, slots=True)
class SourceDown:
    """A mobile address has lost its last local producer and watcher: `EdgeProxies.sources_down`."""

    key: str


@dataclass(frozen=True, slots=True)
class Reachable:
    """A watched address has become reachable or unreachable for the watcher."""

    key: str
    watcher_id: int
    reachable: bool


TableAction: TypeAlias = AnnounceUp | AnnounceChanged | AnnounceDown | SourceUp | SourceDown | Reachable
