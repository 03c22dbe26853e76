"""What management shows of the running router, one provider a type.

What always holds: attribute names are those of the schema; a provider reads the live objects each time
it is asked and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.adaptors.http_listener import HttpListener
from skupper_podman.routerd.amqp.connection import VERSION, AmqpConnection
from skupper_podman.routerd.amqp.links import InLink, Link, OutLink
from skupper_podman.routerd.amqp.wire import lib
from skupper_podman.routerd.amqptypes import ULong
from skupper_podman.routerd.core.address import DEFAULT_PRIORITY
from skupper_podman.routerd.core.table import Address
from skupper_podman.routerd.entities import Entities
from skupper_podman.routerd.health import service_connections
from skupper_podman.routerd.log_entities import LogProvider, LogStatsProvider
from skupper_podman.routerd.management.agent import Agent
from skupper_podman.routerd.management.provider import BAD_REQUEST, ManagementError
from skupper_podman.routerd.pools import AllocatorProvider, memory
from skupper_podman.routerd.samples import Sample

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

Entity = dict[str, Any]
_HTTP_NAMES: Final = {"http1": ("http/1.x", "HTTP/1.x Adaptor"), "http2": ("http2", "HttpAdaptor")}
_TREATMENTS: Final = ("flood", "multicast", "closest", "balanced", "unavailable")


class _Plain:
    def __init__(self, router: Router, entities: Entities) -> None:
        self.router = router
        self.entities_ = entities


class RouterProvider(_Plain):
    """The router entity with its totals."""

    def entities(self) -> Iterator[Entity]:
        """One."""
        router = self.router
        totals = router.counters
        virtual, resident = memory()
        conns = list(router.connections.values())
        yield {
            **router.attributes,
            "name": router.id,
            "identity": "1",
            "id": router.id,
            "mode": router.mode,
            "area": "0",
            "version": VERSION,
            "addrCount": len(router.table),
            "linkCount": sum(len(conn.links) for conn in conns),
            "nodeCount": len(router.routing.nodes()) if router.routing is not None else 0,
            "autoLinkCount": 0,
            "connectionCount": router.connection_count(),
            "deliveriesDelayed1Sec": totals.delayed_1sec,
            "deliveriesDelayed10Sec": totals.delayed_10sec,
            "deliveriesStuck": router.samples.stuck,
            "linksBlocked": router.samples.blocked,
            "presettledDeliveries": totals.presettled,
            "droppedPresettledDeliveries": totals.dropped,
            "acceptedDeliveries": totals.accepted,
            "rejectedDeliveries": totals.rejected,
            "releasedDeliveries": totals.released,
            "modifiedDeliveries": totals.modified,
            "deliveriesIngress": totals.ingress,
            "deliveriesEgress": totals.egress,
            "deliveriesTransit": totals.transit,
            **dict.fromkeys(
                (
                    "deliveriesIngressRouteContainer", "deliveriesEgressRouteContainer",
                    "deliveriesRedirectedToFallback",
                ),
                0,
            ),
            "uptimeSeconds": int(router.uptime()),
            "memoryUsage": virtual,
            "residentMemoryUsage": resident,
            "workerThreads": 1,
            "connectionCounters": {kind: ULong(count) for kind, count in service_connections(router).items()},
        }  # fmt: skip


class ConnectionProvider(_Plain):
    """Connections of all protocols."""

    def entities(self) -> Iterator[Entity]:
        """AMQP first."""
        for conn in self.router.connections.values():
            yield self._amqp(conn)
        for flow, connector in self._flows():
            direction = "out" if connector else "in"
            yield {
                "name": f"connection/{flow.peer}",
                "identity": str(flow.identity),
                "host": flow.peer,
                "role": "normal",
                "protocol": "tcp_lite" if flow.lite else "tcp",
                "dir": direction,
                "container": "TcpAdaptor",
                "sasl": "",
                "user": "",
                "sslSsf": 0,
                "properties": {"qd.adaptor": "tcp_lite" if flow.lite else "tcp"},
                "isAuthenticated": False,
                "isEncrypted": flow.owner.tls is not None,
                "ssl": flow.owner.tls is not None,
                "opened": flow.sock is not None,
                "active": True,
                "adminStatus": "enabled",
                "operStatus": "up",
                "uptimeSeconds": int(self.router.loop.now - flow.opened_at),
                "enableProtocolTrace": False,
            }
        bridges: list[Any] = [*self.entities_.http_listeners, *self.entities_.http_connectors]
        for bridge in bridges:
            for end in list(bridge.clients if isinstance(bridge, HttpListener) else bridge.pool.connections):
                yield self._http(end, encrypted=bridge.tls is not None)

    def _http(self, end: Any, *, encrypted: bool) -> Entity:
        protocol, container = _HTTP_NAMES[end.protocol]
        return {
            "name": f"connection/{end.peer}",
            "identity": f"{end.record}",
            "host": end.peer,
            "role": "normal",
            "protocol": protocol,
            "dir": end.direction,
            "container": container,
            "isAuthenticated": False,
            "isEncrypted": encrypted,
            "ssl": encrypted,
            "opened": True,
            "active": True,
            "adminStatus": "enabled",
            "operStatus": "up",
            "uptimeSeconds": int(self.router.loop.now - end.opened_at),
            "enableProtocolTrace": False,
        }

    def _flows(self) -> Iterator[tuple[Any, bool]]:
        for listener in self.entities_.tcp_listeners:
            yield from ((flow, False) for flow in list(listener.flows))
        for connector in self.entities_.tcp_connectors:
            yield from ((flow, True) for flow in list(connector.flows))

    def _amqp(self, conn: AmqpConnection) -> Entity:
        now = self.router.loop.now
        opened = conn.opened_at
        last = conn.last_delivery_at
        return {
            "name": f"connection/{conn.peer}",
            "identity": str(conn.identity),
            "host": conn.peer,
            "role": conn.role_name,
            "protocol": "amqp",
            "dir": "in" if conn.incoming else "out",
            "container": conn.container,
            "properties": conn.remote_properties,
            "opened": opened is not None,
            "active": conn.active and opened is not None,
            "adminStatus": "enabled",
            "operStatus": "up",
            "uptimeSeconds": int(now - opened) if opened is not None else 0,
            "lastDlvSeconds": int(now - last) if last is not None else None,
            "enableProtocolTrace": conn.tracing,
            "meshId": conn.mesh,
            **conn.describe(),
        }

    def update(self, entity: Mapping[str, Any], attributes: Entity) -> Entity:
        """Close the connection, or trace its frames."""
        for conn in self.router.connections.values():
            if str(conn.identity) != entity.get("identity"):
                continue
            if attributes.get("adminStatus") == "deleted":
                conn.close()
                return {"adminStatus": "deleted", "operStatus": "closing"}
            if "enableProtocolTrace" in attributes:
                conn.trace(bool(attributes["enableProtocolTrace"]))
            return dict(attributes)
        raise ManagementError(BAD_REQUEST, "Bad Request")


class LinkProvider(_Plain):
    """Links of AMQP connections."""

    def entities(self) -> Iterator[Entity]:
        """All links of all connections."""
        for conn in self.router.connections.values():
            for link in conn.all_links():
                yield _link(conn, link, self.router.samples.of(link))

    def update(self, entity: Mapping[str, Any], attributes: Entity) -> Entity:
        """Detach the link when its `adminStatus` becomes `disabled`."""
        if attributes.get("adminStatus") == "disabled":
            for conn in self.router.connections.values():
                for link in conn.all_links():
                    if str(link.identity) == entity.get("identity"):
                        link.close("qd:forced", "Closed by management request")
        return dict(attributes)


def _link(conn: AmqpConnection, link: Link, sample: Sample) -> Entity:
    now = conn.loop.now
    counters = link.counters
    outgoing = isinstance(link, OutLink)
    unsettled = link.outstanding if isinstance(link, OutLink) else 0
    return {
        "name": link.name,
        "identity": str(link.identity),
        "linkName": link.name,
        "linkType": link.kind,
        "linkDir": "in" if isinstance(link, InLink) else "out",
        "owningAddr": link.owning_key,
        "capacity": link.capacity,
        "peer": None,
        "undeliveredCount": lib.pn_link_queued(link.pointer) if outgoing and link.pointer is not None else 0,
        "unsettledCount": unsettled,
        "deliveryCount": counters.deliveries,
        "connectionId": str(conn.identity),
        "adminStatus": "enabled",
        "operStatus": "up",
        "presettledCount": counters.presettled,
        "droppedPresettledCount": counters.dropped,
        "acceptedCount": counters.accepted,
        "rejectedCount": counters.rejected,
        "releasedCount": counters.released,
        "modifiedCount": counters.modified,
        "deliveriesDelayed1Sec": counters.delayed_1sec,
        "deliveriesDelayed10Sec": counters.delayed_10sec,
        "deliveriesStuck": sample.stuck,
        "openMovedStreams": 0,
        "priority": DEFAULT_PRIORITY if link.priority is None else link.priority,
        "settleRate": sample.rate,
        "creditAvailable": max(0, lib.pn_link_credit(link.pointer)) if link.pointer is not None else 0,
        "zeroCreditSeconds": int(now - sample.dry_since) if sample.dry_since is not None else 0,
    }


class AddressProvider(_Plain):
    """The address table."""

    def entities(self) -> Iterator[Entity]:
        """All addresses."""
        for address in self.router.table:
            yield _address(address)


def _address(address: Address) -> Entity:
    in_process = address.in_process
    distribution = _TREATMENTS[address.treatment]
    return {
        "name": address.key,
        "identity": address.key,
        "key": address.key,
        "distribution": distribution,
        "inProcess": in_process,
        "subscriberCount": len(address.consumers) - in_process,
        "remoteCount": len(address.remotes),
        "remoteHostRouters": sorted(address.remotes),
        "deliveriesIngress": address.ingress,
        "deliveriesEgress": address.egress,
        "deliveriesTransit": address.transit,
        "deliveriesToContainer": address.to_container,
        "deliveriesFromContainer": address.from_container,
        "deliveriesEgressRouteContainer": 0,
        "deliveriesIngressRouteContainer": 0,
        "transitOutstanding": sorted(address.outstanding.values()) if distribution == "balanced" else None,
        "trackedDeliveries": address.tracked,
        "priority": -1 if address.priority is None else address.priority,
        "deliveriesRedirectedToFallback": 0,
        "watch": bool(address.watches),
    }


class NodeProvider(_Plain):
    """Interior routers of the network."""

    def entities(self) -> Iterator[Entity]:
        """This router first; none on other than interior routers."""
        routing = self.router.routing
        if routing is None:
            return
        own = self.router.id
        changed = int(self.router.topology_changed)
        own_node = _node(own, routing.instance, sorted(routing.own_links), "(self)", [], 0, None)
        yield {**own_node, "lastTopoChange": changed}
        for index, node in enumerate(routing.nodes(), 1):
            hop = routing.next_hop_id(node.id)
            peers = sorted(node.peers)
            cost = routing.cost(node.id)
            origins = sorted(routing.valid_origins(node.id))
            entity = _node(node.id, node.instance, peers, None if hop == node.id else hop, origins, index, cost)
            entity["routerLink"] = index - 1 if hop == node.id else None
            yield entity


def _node(
    name: str, instance: int | None, peers: list[str], hop: str | None, origins: list[str], index: int, cost: int | None
) -> Entity:
    return {
        "id": name,
        "protocolVersion": 1,
        "instance": instance or 0,
        "linkState": peers,
        "nextHop": hop,
        "validOrigins": origins,
        "address": f"amqp:/_topo/0/{name}",
        "routerLink": None,
        "cost": cost,
        "lastTopoChange": None,
        "index": index,
        "name": f"router.node/{name}",
        "identity": f"router.node/{name}",
    }


class ConfiguredProvider(_Plain):
    """Entities that can be created and deleted."""

    def __init__(self, router: Router, entities: Entities, kind: str) -> None:
        super().__init__(router, entities)
        self.kind = kind

    def entities(self) -> Iterable[Entity]:
        """All that exist."""
        made = self.entities_
        if self.kind == "sslProfile":
            return [profile.attributes for profile in self.router.profiles.values()]
        if self.kind == "listener":
            return [listener.attributes for listener in made.listeners]
        if self.kind == "connector":
            return [
                {
                    **connector.attributes,
                    "failoverUrls": connector.urls,
                    "connectionStatus": connector.status,
                    "connectionMsg": connector.message,
                }
                for connector in made.connectors
            ]
        if self.kind == "tcpListener":
            return [{**_bridge(item), "operStatus": item.oper_status} for item in made.tcp_listeners]
        if self.kind == "tcpConnector":
            return [_bridge(item) for item in made.tcp_connectors]
        if self.kind == "httpListener":
            return [{**item.attributes, "operStatus": item.oper_status} for item in made.http_listeners]
        if self.kind == "httpConnector":
            return [item.attributes for item in made.http_connectors]
        if self.kind == "router.config.address":
            return [attributes for attributes, _ in made.rules]
        return list(made.passive.get(self.kind, ()))

    def create(self, attributes: Entity) -> Entity:
        """Create and put in force."""
        return self.entities_.create(self.kind, attributes)

    def delete(self, entity: Mapping[str, Any]) -> None:
        """Take out of force."""
        self.entities_.delete(self.kind, entity)


def _bridge(item: Any) -> Entity:
    return {
        **item.attributes,
        "connectionsOpened": item.opened,
        "connectionsClosed": item.closed,
        "bytesIn": item.octets_in,
        "bytesOut": item.octets_out,
    }


class TcpConnectionProvider(_Plain):
    """TCP connections with their octets."""

    def entities(self) -> Iterator[Entity]:
        """All flows of all listeners and connectors."""
        now = self.router.loop.now
        bridges: list[Any] = [*self.entities_.tcp_listeners, *self.entities_.tcp_connectors]
        for bridge in bridges:
            for flow in list(bridge.flows):
                yield {
                    "name": flow.origin or flow.peer,
                    "identity": str(flow.identity),
                    "address": bridge.address,
                    "host": flow.peer,
                    "direction": flow.direction,
                    "bytesIn": flow.octets_in & 0xFFFFFFFF,
                    "bytesOut": flow.octets_out & 0xFFFFFFFF,
                    "uptimeSeconds": int(now - flow.opened_at),
                    "lastInSeconds": int(now - flow.last_in) if flow.last_in is not None else 0,
                    "lastOutSeconds": int(now - flow.last_out) if flow.last_out is not None else 0,
                }


class HttpRequestProvider(_Plain):
    """Counts of HTTP requests."""

    def entities(self) -> Iterator[Entity]:
        """One for each client host and server site."""
        return (info.describe() for info in self.router.http.infos())


class PolicyProvider(ConfiguredProvider):
    """The policy, with how many connections have come and are here."""

    def entities(self) -> Iterable[Entity]:
        """One."""
        current = sum(conn.incoming for conn in self.router.connections.values())
        counts = {"connectionsProcessed": self.router.counters.accepted_connections, "connectionsCurrent": current}
        return [{**entity, **counts} for entity in super().entities()]


def provide_all(agent: Agent, router: Router, entities: Entities) -> None:
    """Give the agent a provider for every type this router has."""
    plain: dict[str, type[Any]] = {
        "router": RouterProvider,
        "connection": ConnectionProvider,
        "router.link": LinkProvider,
        "router.address": AddressProvider,
        "router.node": NodeProvider,
        "tcpConnection": TcpConnectionProvider,
        "httpRequestInfo": HttpRequestProvider,
    }
    for kind, provider in plain.items():
        agent.provide(kind, provider(router, entities))
    agent.provide("allocator", AllocatorProvider(router))
    agent.provide("log", LogProvider(router.log))
    agent.provide("logStats", LogStatsProvider(router.log))
    for kind in (
        "sslProfile", "listener", "connector", "tcpListener", "tcpConnector", "httpListener", "httpConnector",
        "router.config.address", "vhost",
    ):  # fmt: skip
        agent.provide(kind, ConfiguredProvider(router, entities, kind))
    agent.provide("policy", PolicyProvider(router, entities, "policy"))
