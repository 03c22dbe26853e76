"""Flow records of the router's own objects: which exist, with the time of their beginning and end.

What always holds: a neighbour has one link record while it is a neighbour, an edge router's uplink one
while it is open; whoever starts a record ends it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.amqp.connection import VERSION, AmqpConnection
from skupper_podman.routerd.amqp.wire import discriminator
from skupper_podman.routerd.core.routing import Routing
from skupper_podman.routerd.flowlog.log import FlowLog, source_id
from skupper_podman.routerd.log import Log
from skupper_podman.routerd.probes import Measured, Probes, Rate

_UNTOLD: Final = frozenset({Attribute.RECORD_TYPE, Attribute.IDENTITY, Attribute.START_TIME, Attribute.END_TIME})


class _Begun(NamedTuple):
    """What a record begins with."""

    kind: RecordType
    parent: str
    attributes: Mapping[Attribute, Any]
    measure: Callable[[], Measured] | None
    rate: Callable[[], Rate] | None
    at: int


class Records:
    """The flow log of one router, fed with the present time."""

    def __init__(self, node: str, mode: str, out: Log) -> None:
        self._out = out
        source = source_id(os.environ.get("HOSTNAME", ""), discriminator(5))
        attributes = {Attribute.NAME: node, Attribute.MODE: mode, Attribute.BUILD_VERSION: VERSION}
        self.log = FlowLog(source, _now_us(), os.environ, attributes)
        #: Flows that nobody collects: most of them end before somebody does.
        self._dormant: dict[str, _Begun] = {}
        self._flow_probes = Probes(self.log.update)
        self._other_probes = Probes(self.log.update)
        self._neighbours: dict[str, str] = {}
        self._uplinks: dict[int, str] = {}

    def start(
        self,
        kind: RecordType,
        parent: str,
        attributes: Mapping[Attribute, Any],
        measure: Callable[[], Measured] | None = None,
        rate: Callable[[], Rate] | None = None,
    ) -> str:
        """Begin a record; gives its identity. `measure` is asked for what changes as long as the record lives."""
        identity = self.log.reserve()
        begun = _Begun(kind, parent, attributes, measure, rate, _now_us())
        if kind is RecordType.FLOW and measure is not None and not self._flows_matter():
            self._dormant[identity] = begun
        else:
            self._begin(identity, begun)
        return identity

    def _flows_matter(self) -> bool:
        return self.log.flows_wanted or self._out.enabled("FLOW_LOG", "debug")

    def _begin(self, identity: str, begun: _Begun) -> None:
        kind, parent, attributes, measure, rate, at = begun
        self.log.start(kind, parent, attributes, at, later=measure is not None, identity=identity)
        if measure is not None:
            probes = self._flow_probes if kind is RecordType.FLOW else self._other_probes
            probes.add(identity, measure, rate() if rate is not None else None)
        self._tell(identity, kind, "BEGIN")

    def told(self, identity: str) -> bool:
        """Whether somebody may hear of the record: not of a flow that has been a note only."""
        return identity not in self._dormant

    def update(self, identity: str, attributes: Mapping[Attribute, Any]) -> None:
        """Set attributes of a record."""
        self.log.update(identity, attributes)

    def end(self, identity: str) -> None:
        """End a record."""
        if self._dormant.pop(identity, None) is not None:
            return
        self._flow_probes.remove(identity)
        self._other_probes.remove(identity)
        kind = self.log.values(identity).get(Attribute.RECORD_TYPE)
        if kind is not None:
            self._tell(identity, RecordType(int(kind)), "END")
        self.log.end(identity, _now_us())

    def look(self) -> None:
        """Look at a part of what goes on; called at each tick of the flow log, and idle while nobody collects."""
        if self._dormant and self._flows_matter():
            dormant, self._dormant = self._dormant, {}
            for identity, begun in dormant.items():
                self._begin(identity, begun)
        if self.log.flows_wanted:
            self._flow_probes.look()
        if self.log.records_wanted:
            self._other_probes.look()

    def neighbours_changed(self, routing: Routing, connections: Mapping[int, AmqpConnection]) -> None:
        """Begin and end the records of links to other interior routers."""
        present = routing.neighbours()
        for router_id in [router_id for router_id in self._neighbours if router_id not in present]:
            self.end(self._neighbours.pop(router_id))
        for router_id, identity in present.items():
            conn = connections.get(identity)
            if router_id not in self._neighbours and conn is not None:
                cost = routing.own_links.get(router_id) or conn.settings.cost
                self._neighbours[router_id] = self._link(conn, router_id, "interior", cost)

    def uplink_opened(self, conn: AmqpConnection) -> None:
        """Begin the record of an edge router's connection to an interior."""
        self._uplinks[conn.identity] = self._link(conn, conn.container, "edge", None)

    def uplink_closed(self, conn: AmqpConnection) -> None:
        """End it."""
        record = self._uplinks.pop(conn.identity, None)
        if record is not None:
            self.end(record)

    def _tell(self, identity: str, kind: RecordType, what: str) -> None:
        """Write a record's beginning or end to the log of this process, flows only where it is asked for everything."""
        level = "debug" if kind is RecordType.FLOW else "info"
        if self._out.enabled("FLOW_LOG", level):
            values = self.log.values(identity).items()
            shown = (f"{_word(key)}={value}" for key, value in sorted(values) if key not in _UNTOLD)
            self._out.write("FLOW_LOG", level, " ".join([f"{kind.name} [{identity}] {what}", *shown]))

    def _link(self, conn: AmqpConnection, peer: str, mode: str, cost: int | None) -> str:
        attributes: dict[Attribute, Any] = {
            Attribute.MODE: mode,
            Attribute.NAME: peer,
            Attribute.DIRECTION: "incoming" if conn.incoming else "outgoing",
        }
        if cost is not None:
            attributes[Attribute.LINK_COST] = cost
        if not conn.incoming:
            attributes[Attribute.LOCATION] = conn.settings.name
        return self.start(RecordType.LINK, "", attributes)


def _word(key: Attribute) -> str:
    """An attribute's name as logs spell it: `vanAddress`."""
    first, *rest = key.name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


def _now_us() -> int:
    return int(time.time() * 1_000_000)
