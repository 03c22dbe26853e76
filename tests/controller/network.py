"""A network in memory: real flow logs and site sources on one side, real collectors on the other, and a clock.

Messages travel as octets, exactly as they would over AMQP; a multicast address reaches every subscriber that the
sending side knows of. What it knows is set by ``reach``, because routers learn of a receiver later than its own router
does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from skupper_podman.controller.collector import Collector
from skupper_podman.controller.source import SiteIdentity, SiteSource
from skupper_podman.model import flow
from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.flowlog import wire
from skupper_podman.routerd.flowlog.log import FlowLog

START_US = 1_732_096_800_000_000


def identity(name: str, start: float = 0.0) -> SiteIdentity:
    return SiteIdentity(f"id-{name}", name, "1.9.6", f"{name}.example", START_US + int(start * 1e6))


@dataclass
class Router:
    log: FlowLog
    links: dict[str, str] = field(default_factory=dict)
    alive: bool = True


@dataclass
class Network:
    now: float = 0.0
    routers: dict[str, Router] = field(default_factory=dict)
    sites: dict[str, SiteSource] = field(default_factory=dict)
    collectors: dict[str, Collector] = field(default_factory=dict)
    reach: Callable[[str, str], bool] = lambda _collector, _sender: True
    loses_flushes: bool = False
    flushes: list[tuple[str, str]] = field(default_factory=list)

    @property
    def now_us(self) -> int:
        return START_US + int(self.now * 1e6)

    def router(self, source: str, name: str, site: str) -> Router:
        attributes = {Attribute.NAME: f"0/{name}", Attribute.MODE: "interior"}
        log = FlowLog(source, self.now_us, {"SKUPPER_SITE_ID": f"id-{site}"}, attributes)
        self.routers[source] = Router(log)
        return self.routers[source]

    def site(self, name: str) -> SiteSource:
        source = SiteSource(identity(name, self.now))
        source.connected(self.now)
        self.sites[name] = source
        return source

    def collector(self, name: str) -> Collector:
        collector = Collector(identity(name, self.now).site_record(), self.now)
        collector.connected(self.now)
        self.collectors[name] = collector
        return collector

    def link(self, first: str, second: str) -> None:
        for end, peer, direction in ((first, second, "outgoing"), (second, first, "incoming")):
            router = self.routers[end]
            peer_name = self._name(peer)
            attributes = {
                Attribute.NAME: peer_name, Attribute.MODE: "interior", Attribute.LINK_COST: 1,
                Attribute.DIRECTION: direction,
            }  # fmt: skip
            router.links[peer] = router.log.start(RecordType.LINK, "", attributes, self.now_us)

    def unlink(self, end: str, peer: str) -> None:
        router = self.routers[end]
        router.log.end(router.links.pop(peer), self.now_us)

    def _name(self, source: str) -> str:
        log = self.routers[source].log
        return str(log._records.entries[log.router_identity].values[Attribute.NAME]).partition("/")[2]

    def run(self, seconds: float, step: float = 0.2) -> None:
        for _ in range(round(seconds / step)):
            self.now += step
            self._step()

    def _step(self) -> None:
        for source, router in self.routers.items():
            if router.alive:
                for address, octets in router.log.tick(
                    self.now_us, lambda name, key=source: self._consumers(name, key)
                ):
                    self._multicast(source, address, octets)
        for name, site in self.sites.items():
            for message in site.tick(self.now, self.now_us):
                self._multicast(name, message.address, message.octets)
        for name, collector in self.collectors.items():
            collector.tick(self.now)
            for target in collector.take_flushes(self.now):
                self.flushes.append((name, target))
                if not self.loses_flushes:
                    self._command(target)

    def _consumers(self, address: str, sender: str) -> int:
        return sum(
            address in collector.subscriptions() and self.reach(name, sender)
            for name, collector in self.collectors.items()
        )

    def _multicast(self, sender: str, address: str, octets: bytes) -> None:
        message = wire.read(octets)
        assert message is not None
        for name, collector in self.collectors.items():
            if address in collector.subscriptions() and self.reach(name, sender):
                collector.receive(message, self.now)

    def _command(self, target: str) -> None:
        for router in self.routers.values():
            if router.log.direct_address == flow.direct_address(target) and router.alive:
                router.log.flush()
        for site in self.sites.values():
            if site.command_address == flow.direct_address(target):
                site.flush()
