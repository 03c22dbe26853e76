"""What can only be seen by looking now and then: links without credit, rates, deliveries that do not move.

Management and `/metrics` report these as skupper-router does. A pass over all links every `PERIOD` seconds costs less
than keeping the numbers up to date with every message would. What always holds: what is known of a link is forgotten
with it; nothing here changes what the router does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skupper_podman.routerd.amqp.incoming import InDelivery
from skupper_podman.routerd.amqp.links import Link, OutLink
from skupper_podman.routerd.amqp.wire import lib

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

PERIOD: Final = 5.0
#: Seconds after which a delivery that has not been settled is stuck, and a link without credit blocked.
STUCK_AGE: Final = 10.0


@dataclass(slots=True)
class Sample:
    """What the last pass has seen of a link; `dry_since` is when it was first seen without credit."""

    settled: int = 0
    rate: int = 0
    dry_since: float | None = None
    stuck: int = 0
    blocked: bool = False


_NOTHING: Final = Sample()


class Samples:
    """The samples of all links of one router."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._of: dict[int, Sample] = {}
        self._last = router.loop.now
        router.loop.call_later(PERIOD, self._tick)

    @property
    def stuck(self) -> int:
        """Deliveries that have waited too long for their outcome."""
        return sum(sample.stuck for sample in self._of.values())

    @property
    def blocked(self) -> int:
        """Links on which the peer has long granted no credit."""
        return sum(sample.blocked for sample in self._of.values())

    def of(self, link: Link) -> Sample:
        """What is known of a link."""
        return self._of.get(link.identity, _NOTHING)

    def _tick(self) -> None:
        loop = self._router.loop
        loop.call_later(PERIOD, self._tick)
        elapsed = max(0.001, loop.now - self._last)
        self._last = loop.now
        stuck = self._stuck()
        present: dict[int, Sample] = {}
        for conn in self._router.connections.values():
            for link in conn.all_links():
                sample = present[link.identity] = self._of.get(link.identity) or Sample(_settled(link))
                settled = _settled(link)
                sample.rate = int((settled - sample.settled) / elapsed)
                sample.settled = settled
                sample.stuck = stuck.get(link.identity, 0)
                self._look_for_credit(link, sample)
        self._of = present

    def _stuck(self) -> dict[int, int]:
        """How many deliveries are stuck, by the link on which they came in."""
        before = self._router.loop.now - STUCK_AGE
        found: dict[int, int] = {}
        for conn in self._router.connections.values():
            for delivery in conn.deliveries.values():
                if isinstance(delivery, InDelivery) and delivery.since is not None and delivery.since < before:
                    found[delivery.link.identity] = found.get(delivery.link.identity, 0) + 1
        return found

    def _look_for_credit(self, link: Link, sample: Sample) -> None:
        dry = isinstance(link, OutLink) and link.pointer is not None and lib.pn_link_credit(link.pointer) <= 0
        if not dry:
            sample.dry_since, sample.blocked = None, False
            return
        now = self._router.loop.now
        if sample.dry_since is None:
            sample.dry_since = now
        elif not sample.blocked and now - sample.dry_since >= STUCK_AGE:
            sample.blocked = True
            words = f"[C{link.conn.identity}][L{link.identity}] Link blocked: no credit for {STUCK_AGE:.0f} seconds"
            self._router.log.info("ROUTER_CORE", words)


def _settled(link: Link) -> int:
    counters = link.counters
    return counters.presettled + counters.accepted + counters.rejected + counters.released + counters.modified
