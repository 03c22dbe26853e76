"""From a message's beginning to the sinks that take it: destination, decision, annotations on the way out.

What always holds: a message gets sinks, or an outcome that says why not; the annotations that leave are
those of the reference's section 3.2 for this router's mode; an incomplete message never travels on a
link that it would block for others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from skupper_podman.routerd.amqp.outgoing import OutDelivery
from skupper_podman.routerd.core.address import DEFAULT_PRIORITY
from skupper_podman.routerd.core.forwarding import Decision, Origin, route
from skupper_podman.routerd.core.table import Address
from skupper_podman.routerd.fanout import FanOut
from skupper_podman.routerd.message import STREAMING, RouterAnnotations
from skupper_podman.routerd.parking import MOST_OF_ALL, Parked
from skupper_podman.routerd.streams import RELEASED_SETTLED, Discard, Outcome, Sink, Start, rejected

if TYPE_CHECKING:
    from skupper_podman.routerd.amqp.connection import AmqpConnection
    from skupper_podman.routerd.amqp.links import InLink, OutLink
    from skupper_podman.routerd.router import Router

_NO_ADDRESS = rejected("amqp:precondition-failed", "Routing failure: no address present")
_INSIDE = Origin()


class Switch:
    """Finds the way for each message of one router."""

    def __init__(self, router: Router) -> None:
        self._router = router
        #: Octets that all parked messages hold together.
        self.parked = 0

    def from_link(self, link: InLink, start: Start, address: str | None, key: str | None) -> Sink | Outcome:
        """A message that came in on a link; `address` and `key` are those of a link with a target."""
        router = self._router
        head, annotations = start.head, start.annotations
        if key is None:
            to = annotations.to_override or head.to
            if not to:
                return _NO_ADDRESS
            key = router.namespace.key(to)
        elif annotations.to_override is None and link.conn.is_client:
            annotations = replace(annotations, to_override=address)
        if not start.complete and not annotations.flags & STREAMING:
            annotations = replace(annotations, flags=annotations.flags | STREAMING)
        conn = link.conn
        conn.last_delivery_at = router.loop.now
        start.annotations = router.outgoing_annotations(annotations)
        flow = router.temporaries.get(key)
        if flow is not None:
            taker: Sink = flow.sink(start)
            return taker
        return self._decided(key, start, self._origin(conn, annotations))

    def from_inside(self, key: str, start: Start, *, own: bool = False) -> Sink | Outcome:
        """A message of an adaptor or (`own`) of the router itself, whose annotations are already those to send."""
        flow = self._router.temporaries.get(key)
        if flow is not None:
            taker: Sink = flow.sink(start)
            return taker
        return self._decided(key, start, _INSIDE, own=own)

    def _origin(self, conn: AmqpConnection, annotations: RouterAnnotations) -> Origin:
        router = self._router
        router_of = router.namespace.router_of
        return Origin(
            ingress=router_of(annotations.ingress) if annotations.ingress else None,
            trace=tuple(router_of(node) for node in annotations.trace),
            in_conn=conn.identity,
            in_mesh=annotations.ingress_mesh,
            in_edge=conn.role_name == "edge",
            from_router=conn.role_name in ("inter-router", "inter-router-data"),
        )

    def _decided(
        self, key: str, start: Start, origin: Origin, *, may_wait: bool = True, own: bool = False
    ) -> Sink | Outcome:
        router = self._router
        decision = route(router.table, router.routing, key, origin, router.has_uplink)
        router.counters.count_decision(decision, origin, own=own)
        if decision.outcome == "rejected":
            return rejected(decision.condition or "amqp:not-found", decision.reason)
        if decision.outcome is not None:
            known = key[0] == "H" and router.routing is not None
            if known and may_wait and not start.settled and self.parked < MOST_OF_ALL:
                return Parked(router, key, lambda: self._decided(key, start, origin, may_wait=False))
            return RELEASED_SETTLED
        address = decision.address
        if address is not None and address.priority is not None:
            start.priority = address.priority
        sinks = self._sinks(decision, start, address)
        if not sinks:
            return RELEASED_SETTLED
        return sinks[0] if len(sinks) == 1 else FanOut(sinks)

    def _sinks(self, decision: Decision, start: Start, address: Address | None) -> list[Sink]:
        router = self._router
        sinks: list[Sink] = []
        for consumer in decision.locals:
            found: Any = consumer
            sinks.append(found.sink(start))
        for identity in decision.remotes:
            conn = router.connections.get(identity)
            delivery = to_connection(conn, start) if conn is not None else None
            if delivery is None:
                continue
            if address is not None and not start.settled and isinstance(delivery, OutDelivery):
                address.sent(identity)
                delivery.on_end = lambda number=identity: address.settled(number)
            sinks.append(delivery)
        if decision.uplink:
            uplink = router.uplink_sink(start)
            if uplink is not None:
                sinks.append(uplink)
        return sinks


def to_connection(conn: AmqpConnection, start: Start) -> OutDelivery | Discard | None:
    """A delivery towards a neighbour: on the data link of its priority, or as a stream."""
    role: Any = conn.role
    if not start.complete:
        carrier: AmqpConnection = role.stream_connection()
        return None if carrier.lost else carrier.stream(start)
    priority = DEFAULT_PRIORITY if start.priority is None else min(9, start.priority)
    link: OutLink | None = role.data_link(priority)
    if link is None:
        return None
    return link.drop(start) if link.full() else OutDelivery(link)
