"""Service sync as a state machine: what sites offer each other, who is heard, what is sent when.

Why: the protocol (Skupper 1.9, ``pkg/service_sync``) has no acknowledgements and no goodbyes: every message is the
whole state of its sender, and silence is the only sign that a site is gone. Without sockets and clock it can be tested
through hours of that.

What always holds:

* What this site learned of another one is what that site said last; a site that is not heard for :data:`TTL` seconds
  while this one is connected has said nothing. After a restart what was learned before counts as just heard.
* Of an address that several sites offer, the one that offered it first is taken for as long as it does.
* A service whose list of sites does not have this one is not taken from the site that offers it so.
* Nothing learned is ever sent on. A message is sent at once after a change, and again every :data:`PERIOD` seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from skupper_podman.desired.learned import MAX_SERVICES, Learned, Offers, Refusal
from skupper_podman.model.service import Service

PERIOD: Final = 5.0
TTL: Final = 180.0
MAX_SITES: Final = 256


@dataclass(slots=True)
class _Peer:
    """A site that was heard, and when (seconds of the caller's clock)."""

    heard: float
    offers: Offers = field(default_factory=Offers)


class ServiceSync:
    """State of one site. ``now`` is a clock in seconds that never goes back."""

    def __init__(self, site_id: str, site_name: str) -> None:
        self._id = site_id
        self._name = site_name
        self._local: tuple[Service, ...] | None = None
        self._peers: dict[str, _Peer] = {}
        self._chosen: dict[str, str] = {}
        self._connected = False
        self._due = 0.0
        #: grows whenever :meth:`learned` may have changed
        self.revision = 0

    @property
    def peers(self) -> tuple[str, ...]:
        """The sites that are heard, by id."""
        return tuple(self._peers)

    def restore(self, services: Iterable[Service], now: float) -> None:
        """Take what was learned before a restart for just heard; of what sites say meanwhile nothing is replaced."""
        by_origin: dict[str, dict[str, Service]] = {}
        for service in services:
            by_origin.setdefault(service.origin, {})[service.address] = service
        for origin, offers in by_origin.items():
            if origin not in self._peers and origin != self._id:
                self._hear(origin, Offers(offers), now)

    def set_local(self, services: Iterable[Service]) -> None:
        """Replace the services of this site; those learned from others are left out. A change is sent at once."""
        local = tuple(service for service in services if not service.origin)
        if local != self._local:
            self._local = local
            self._due = 0.0

    def connected(self, now: float) -> None:
        """The router can be reached: everything is said at once, and the silence so far was not that of others."""
        self._connected = True
        self._due = now
        for peer in self._peers.values():
            peer.heard = now

    def disconnected(self) -> None:
        """The router cannot be reached, so nobody is heard."""
        self._connected = False

    def receive(self, origin: str, offers: Offers, now: float) -> None:
        """A message of a site; the own ones, which come back, are ignored."""
        if origin and origin != self._id:
            self._hear(origin, offers, now)

    def _hear(self, origin: str, offers: Offers, now: float) -> None:
        peer = self._peers.get(origin)
        if peer is None:
            if len(self._peers) >= MAX_SITES:
                return
            peer = self._peers[origin] = _Peer(now)
        peer.heard = now
        others = sum(len(other.offers.services) for name, other in self._peers.items() if name != origin)
        if others + len(offers.services) > MAX_SERVICES:
            kept = sorted(offers.services)[: MAX_SERVICES - others]
            offers = Offers({address: offers.services[address] for address in kept}, offers.unusable)
        if offers != peer.offers:
            peer.offers = offers
            self._choose()

    def tick(self, now: float) -> tuple[Service, ...] | None:
        """Let time pass; gives the services to announce when that is due, and they are known."""
        if not self._connected:
            return None
        silent = [origin for origin, peer in self._peers.items() if now - peer.heard >= TTL]
        for origin in silent:
            del self._peers[origin]
        if silent:
            self._choose()
        if now < self._due or self._local is None:
            return None
        self._due = now + PERIOD
        return self._local

    def _choose(self) -> None:
        """Decide anew whose service each address is."""
        self.revision += 1
        chosen: dict[str, str] = {}
        for origin, peer in self._peers.items():
            for address, service in peer.offers.services.items():
                if service.allows(self._name, self._id):
                    chosen.setdefault(address, origin)
        for address, origin in self._chosen.items():
            known = self._peers.get(origin)
            offered = known.offers.services.get(address) if known else None
            if offered is not None and offered.allows(self._name, self._id):
                chosen[address] = origin
        self._chosen = chosen

    def learned(self) -> Learned:
        """What other sites offer to this one."""
        found = ((address, self._peers[origin].offers) for address, origin in sorted(self._chosen.items()))
        services = tuple(offers.services[address] for address, offers in found)
        unusable: dict[str, Refusal] = {}
        withheld: dict[str, str] = {}
        for origin, peer in self._peers.items():
            for address, reason in peer.offers.unusable.items():
                if address not in self._chosen:
                    unusable.setdefault(address, Refusal(origin, reason))
            for address in peer.offers.services.keys() - self._chosen.keys():
                withheld.setdefault(address, origin)
        return Learned(services, unusable, withheld)
