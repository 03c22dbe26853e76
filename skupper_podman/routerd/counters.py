"""Totals that management and `/metrics` report."""

from __future__ import annotations

from typing import Final

from skupper_podman.routerd.amqp.wire import ACCEPTED, MODIFIED, REJECTED, RELEASED
from skupper_podman.routerd.core.forwarding import Decision, Origin

_OUTCOMES: Final = {ACCEPTED: "accepted", REJECTED: "rejected", RELEASED: "released", MODIFIED: "modified"}


class Totals:
    """Deliveries, and AMQP connections that came in, of one router since its start."""

    __slots__ = (
        "accepted",
        "accepted_connections",
        "delayed_1sec",
        "delayed_10sec",
        "dropped",
        "egress",
        "ingress",
        "modified",
        "presettled",
        "rejected",
        "released",
        "transit",
    )

    def __init__(self) -> None:
        self.ingress = self.egress = self.transit = 0
        self.presettled = self.dropped = 0
        self.accepted_connections = 0
        self.delayed_1sec = self.delayed_10sec = 0
        self.accepted = self.rejected = self.released = self.modified = 0

    def count_outcome(self, state: int) -> None:
        """Count a delivery by what became of it."""
        name = _OUTCOMES.get(state)
        if name is not None:
            setattr(self, name, getattr(self, name) + 1)

    def count_decision(self, decision: Decision, origin: Origin, *, own: bool = False) -> None:
        """Count a delivery by where it came from and where it goes; `own` ones are the router's own messages."""
        address = decision.address
        onward = bool(decision.remotes) or decision.uplink
        if origin.from_router and onward:
            self.transit += 1
            if address is not None:
                address.transit += 1
            return
        if own:
            if address is not None:
                address.from_container += 1
        elif not origin.from_router:
            self.ingress += 1
            if address is not None:
                address.ingress += 1
        if decision.locals:
            consumers = decision.locals
            inside = consumers[0].in_process if len(consumers) == 1 else any(each.in_process for each in consumers)
            if not inside or len(consumers) > 1:
                self.egress += 1
                if address is not None:
                    address.egress += 1
            if inside and address is not None:
                address.to_container += 1
