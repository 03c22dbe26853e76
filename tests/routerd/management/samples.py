"""A small router's entities for tests: real providers over lists, with no router behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from skupper_podman.routerd.management.agent import Agent, ManagementError

PREFIX = "io.skupper.router."


class Table:
    """A provider of entities that only can be looked at."""

    def __init__(self, *entities: dict[str, Any]) -> None:
        self.rows = list(entities)

    def entities(self) -> Iterable[Mapping[str, Any]]:
        return self.rows


class Changeable(Table):
    """A provider whose entities can be changed."""

    def update(self, entity: Mapping[str, Any], attributes: dict[str, Any]) -> Mapping[str, Any]:
        row = next(row for row in self.rows if row["identity"] == entity["identity"])
        row.update(attributes)
        return row


class Configured(Table):
    """A provider whose entities can be created and deleted."""

    def create(self, attributes: dict[str, Any]) -> Mapping[str, Any]:
        if attributes.get("port") == "in-use":
            raise ManagementError(500, "Address already in use")
        if attributes.get("port") == "bug":
            raise ZeroDivisionError("division by zero")
        self.rows.append({**attributes, "operStatus": "down"} if "port" in attributes else dict(attributes))
        return self.rows[-1]

    def delete(self, entity: Mapping[str, Any]) -> None:
        self.rows = [row for row in self.rows if row["identity"] != entity["identity"]]


def connection(number: int, **attributes: Any) -> dict[str, Any]:
    host = f"127.0.0.1:{50000 + number}"
    return {
        "name": f"connection/{host}", "identity": str(number), "host": host, "role": "normal", "protocol": "amqp",
        "dir": "in", "container": f"client-{number}", "isAuthenticated": False, "isEncrypted": False, "opened": True,
        "active": True, "adminStatus": "enabled", "operStatus": "up", "uptimeSeconds": 3700, "properties": {},
        **attributes,
    }  # fmt: skip


def link(number: int, **attributes: Any) -> dict[str, Any]:
    return {
        "name": f"link-{number}", "identity": str(number), "linkName": f"link-{number}", "linkType": "endpoint",
        "linkDir": "in", "owningAddr": "M$management", "capacity": 250, "connectionId": "1", "priority": 4,
        "adminStatus": "enabled", "operStatus": "up", "deliveryCount": 7, "deliveriesDelayed1Sec": 1,
        "deliveriesDelayed10Sec": 0, "zeroCreditSeconds": 0, "creditAvailable": 250, **attributes,
    }  # fmt: skip


def node(router_id: str, **attributes: Any) -> dict[str, Any]:
    return {
        "id": router_id, "name": f"router.node/{router_id}", "identity": f"router.node/{router_id}",
        "protocolVersion": 1, "instance": 0, "linkState": [], "validOrigins": [], "lastTopoChange": 1700000000,
        "address": f"amqp:/_topo/0/{router_id}", "routerLink": 0, "cost": 1, "index": 1, **attributes,
    }  # fmt: skip


def router() -> dict[str, Any]:
    return {
        "name": "A", "identity": "1", "id": "A", "mode": "interior", "area": "0", "version": "2.7.6",
        "workerThreads": 1, "uptimeSeconds": 90061, "memoryUsage": 1536, "residentMemoryUsage": 12 * 1024 * 1024,
        "addrCount": 12, "linkCount": 3, "nodeCount": 1, "autoLinkCount": 0, "connectionCount": 2,
        "connectionCounters": {"tcp": 4, "amqp": 2},
    }  # fmt: skip


def sample_agent() -> Agent:
    """An agent of interior router A with a neighbour B."""
    lines = [("ROUTER", "info", f"line {number}", None, None, 1700000000 + number) for number in range(5)]
    agent = Agent(lambda limit: lines[-limit:] if limit else lines)
    providers: dict[str, Table] = {
        "router": Table(router()),
        "connection": Changeable(
            connection(1),
            connection(
                2, role="edge", container="E", isEncrypted=True, sslProto="TLSv1.3", sslCipher="TLS_AES_256",
                isAuthenticated=True, sasl="EXTERNAL", user="CN=e", lastDlvSeconds=5,
            ),
        ),
        "router.link": Changeable(link(1), link(2, linkDir="out", owningAddr=None, zeroCreditSeconds=3661)),
        "router.node": Table(node("B"), node("A", nextHop="(self)", cost=0)),
        "router.address": Table(
            {"name": "Mecho:9090", "identity": "Mecho:9090", "key": "Mecho:9090", "distribution": "balanced",
             "inProcess": 0, "subscriberCount": 1, "remoteCount": 1, "deliveriesIngress": 1234567, "priority": -1,
             "watch": True},
            {"name": "Lqdhello", "identity": "Lqdhello", "key": "Lqdhello", "distribution": "flood", "inProcess": 1,
             "subscriberCount": 0, "remoteCount": 0, "priority": 9, "watch": False},
        ),
        "listener": Configured(),
        "sslProfile": Configured(),
        "tcpListener": Configured(),
        "tcpConnector": Configured(),
        "router.config.address": Configured({"name": "mc", "identity": "1", "prefix": "mc", "priority": -1}),
        "log": Changeable(
            {"module": "ROUTER", "name": "log/ROUTER", "identity": "log/ROUTER", "enable": "info+"},
            {"module": "DEFAULT", "name": "log/DEFAULT", "identity": "log/DEFAULT"},
        ),
        "policy": Table({"name": "policy", "identity": "policy", "maxConnections": 65535, "policyDir": "",
                         "defaultVhost": "$default", "enableVhostPolicy": False, "connectionsProcessed": 3}),
        "allocator": Table(
            {"name": "qd_bitmask_t", "identity": "allocator/qd_bitmask_t", "typeSize": 24, "transferBatchSize": 64,
             "localFreeListMax": 128, "totalAllocFromHeap": 1000, "totalFreeToHeap": 10, "heldByThreads": 64},
            {"name": "unused", "identity": "allocator/unused", "totalAllocFromHeap": 0},
        ),
    }  # fmt: skip
    for name, provider in providers.items():
        agent.provide(name, provider)
    return agent
