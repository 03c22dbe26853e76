"""``skupper gateway status``."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from skupper_podman.cli.render.tree import Node, draw
from skupper_podman.model.gateway import Bridge, GatewayStatus


def statuses(found: Sequence[GatewayStatus], now: datetime.datetime) -> str:
    """The gateways as 1.9 lists its own; below each, what 1.9 cannot tell."""
    if not found:
        return "No gateway definition found\n"
    return draw(Node("Gateway Definition:", children=tuple(_gateway(item, now) for item in found)))


def _gateway(item: GatewayStatus, now: datetime.datetime) -> Node:
    record = item.record
    version = item.version or "Unknown (not connected)"
    return Node(f"{record.name} type:{record.type or record.kind} version:{version}", facts(item, now), bridges(item))


def bridges(item: GatewayStatus) -> tuple[Node, ...]:
    """The ports that a gateway carries, in two lists."""
    record, children = item.record, []
    if record.definition.bindings:
        says = {True: " (answers)", False: " (does not answer)", None: ""}
        nodes = tuple(
            Node(_bridge(bridge, str(bridge.port)) + says[item.targets.get(bridge.name)])
            for bridge in record.definition.bindings
        )
        children.append(Node("Bindings:", children=nodes))
    if record.definition.forwards:
        nodes = tuple(Node(_bridge(bridge, f"{bridge.port}:{bridge.port}")) for bridge in record.definition.forwards)
        children.append(Node("Forwards:", children=nodes))
    return tuple(children)


def facts(item: GatewayStatus, now: datetime.datetime) -> dict[str, str]:
    """What is told of a gateway beside its name: link, generation, credential, what is wrong."""
    days = (item.record.expires - now).days
    return {
        "credential": f"until {item.record.expires:%Y-%m-%d} ({days} days)" if days >= 0 else "expired",
        "generation": str(item.record.generation),
        "link": _link(item),
        "problem": item.problem,
        "fix": item.fix,
    }


def _link(item: GatewayStatus) -> str:
    if item.connected is None:
        return "unknown"
    if not item.connected:
        return "not connected"
    return f"connected from {item.address}" if item.address else "connected"


def _bridge(bridge: Bridge, port: str) -> str:
    return f"{bridge.name} {bridge.protocol} {bridge.address} {bridge.host} {port}"
