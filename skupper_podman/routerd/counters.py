"""Totals that management and `/metrics` report."""

from __future__ import annotations

from typing import Final

from skupper_podman.routerd.amqp.wire import ACCEPTED, MODIFIED, REJECTED, RELEASED
from skupper_podman.routerd.core.forwarding import Decision, Origin

_OUTCOMES: Final = {ACCEPTED: "accepted", REJECTED: "rejected", RELEASED: "released", MODIFIED: "modified"}


class Totals:
    """Deliveries of one router since its start."""

    __slots__ = (
        "accepted",
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
        self.accepted = self.rejected = self.released = self.modified = 0

    def count_outcome(self, state: int) -> None:
        """Count a delivery by what became of it."""
        name = _OUTCOMES.get(state)
        if name is not None:
            setattr(self, name, getattr(self, name) + 1)

    def count_decision(self, decision: Decision, origin: Origin) -> None:
        """Count a delivery by where it came from and where it goes."""
        address = decision.address
        onward = bool(decision.remotes) or decision.uplink
        if origin.from_router and onward:
            self.transit += 1
            if address is not None:
                address.transit += 1
            return
        if not origin.from_router:
            self.ingress += 1
            if address is not None:
                address.ingress += 1
        if decision.locals:
            self.egress += 1
            if address is not None:
                address.egress += 1
                if any(consumer.in_process for consumer in decision.locals):
                    address.to_container += 1
