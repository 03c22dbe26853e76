"""The controller: event source, collector, service sync, status file and health server around one connection.

What always holds: all state lives on one event loop; the decisions are made by :mod:`.source`, :mod:`.collector` and
:mod:`.synchroniser`, this module only carries messages, time and files to and from them. A failure in one turn is
logged and ends that turn only.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from skupper_podman import SKUPPER_VERSION
from skupper_podman.controller import discovery, syncwire
from skupper_podman.controller.bus import Bus
from skupper_podman.controller.collector import Collector
from skupper_podman.controller.log import log
from skupper_podman.controller.settings import Settings
from skupper_podman.controller.source import SiteIdentity, SiteSource
from skupper_podman.controller.statusfile import Debounce, StatusFile
from skupper_podman.controller.synchroniser import Synchroniser
from skupper_podman.controller.targets import ServicesFile
from skupper_podman.model import flow
from skupper_podman.model.flow import RecordType
from skupper_podman.routerd.flowlog import wire

if TYPE_CHECKING:
    from skupper_podman.controller.claims import ClaimServer

TICK: Final = 0.1
_SERVICES_PERIOD: Final = 1.0


def _now_us() -> int:
    return time.time_ns() // 1000


class Controller:
    """Everything that runs in the container ``skupper-controller-podman``."""

    def __init__(self, settings: Settings) -> None:
        site = SiteIdentity(
            site_id=settings.site_id,
            name=settings.site_name,
            version=SKUPPER_VERSION,
            host_name=settings.host_name,
            start_us=_now_us(),
            platform=settings.platform,
            namespace=settings.namespace,
        )
        now = time.monotonic()
        self._source = SiteSource(site)
        self._collector = Collector(site.site_record(), now)
        self._bus = Bus(settings.endpoint, f"skupper-controller-{settings.site_id}", self)
        self._services = ServicesFile(settings.services_file)
        self._services_due = now
        self._file = StatusFile(settings.status_file)
        self._debounce = Debounce()
        self._revision = -1
        self._refused = 0
        self._turn_due = False
        self._pace = discovery.Pace()
        self._settings = settings
        self._claims: ClaimServer | None = None
        self._sync = Synchroniser(settings)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set."""
        self._read_services(time.monotonic())
        self._write_status(time.monotonic())
        self._bus.subscribe(self._subscriptions())
        work = [asyncio.create_task(self._bus.run())]
        if self._settings.health_port:
            work.append(asyncio.create_task(self._serve_health()))
        if self._settings.claims.port:
            work.append(asyncio.create_task(self._serve_claims()))
        try:
            while not stop.is_set():
                self._turn()
                try:
                    async with asyncio.timeout(TICK):
                        await stop.wait()
                except TimeoutError:
                    continue
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def _serve_health(self) -> None:
        """Run the health server until cancelled."""
        # Imported here: the web server takes longer to load than the site takes to be written down and connected.
        from skupper_podman.controller import expiry
        from skupper_podman.controller.health import HealthServer

        def metrics() -> str:
            return expiry.metrics(self._settings.profiles, self._settings.messaging)

        server = HealthServer(self._settings.health_host, self._settings.health_port, self.health, metrics)
        try:
            await server.start()
            await asyncio.Event().wait()
        finally:
            await server.stop()

    async def _serve_claims(self) -> None:
        """Redeem claims until cancelled."""
        from skupper_podman.controller.claims import ClaimServer

        self._claims = server = ClaimServer(self._settings.claims)
        try:
            while True:
                await server.tick()
                await asyncio.sleep(_SERVICES_PERIOD)
        finally:
            await server.stop()

    def health(self) -> tuple[list[str], dict[str, Any]]:
        """Why the controller is not healthy (nothing if it is), and facts about its work."""
        reasons = []
        if not self._bus.is_connected:
            reasons.append(f"no connection to the router: {self._bus.reason}")
        if self._claims is not None and self._claims.failure:
            reasons.append(f"claims: {self._claims.failure}")
        if self._file.failure:
            reasons.append(f"network status: {self._file.failure}")
        if self._sync.failure:
            reasons.append(f"service sync: {self._sync.failure}")
        facts = {"sources": len(self._collector.sources), "records": len(self._collector.store)}
        return reasons, facts

    # What the bus tells

    def connected(self) -> None:
        """Introduce the site, and ask for what was missed."""
        now = time.monotonic()
        self._source.connected(now)
        self._collector.connected(now)
        self._sync.connected(now)
        self._pace.reset()
        self._schedule()

    def disconnected(self) -> None:
        """The router is gone for now."""
        self._sync.disconnected()
        self._collector.disconnected()

    def received(self, address: str, octets: bytes) -> None:
        """A message from a subscription."""
        if address == self._source.command_address:
            self._source.flush()
        elif address == syncwire.ADDRESS:
            self._sync.received(octets, time.monotonic())
        elif address == discovery.MANAGEMENT:
            for identity, kind in discovery.sources(octets):
                self._collector.prime(identity, kind, time.monotonic())
        else:
            message = wire.read(octets)
            if message is not None:
                self._collector.receive(message, time.monotonic())
        self._schedule()

    # The work

    def _schedule(self) -> None:
        """Take a turn soon, once for a burst of messages, instead of waiting for the clock."""
        if not self._turn_due:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _subscriptions(self) -> frozenset[str]:
        return self._collector.subscriptions() | self._sync.subscriptions | {self._source.command_address}

    def _turn(self) -> None:
        """Let time pass for every part, and carry out what they want."""
        self._turn_due = False
        now = time.monotonic()
        try:
            self._work(now)
        except Exception as error:
            # A defect must not cost the site its controller; the next turn is 100 ms away.
            log(f"unexpected: {type(error).__name__}: {error}")

    def _work(self, now: float) -> None:
        self._read_services(now)
        self._collector.tick(now)
        services = self._sync.work(now)
        self._bus.subscribe(self._subscriptions())
        if self._bus.is_connected:
            if services is not None:
                self._bus.send(syncwire.ADDRESS, services, settled=True)
            for message in self._source.tick(now, _now_us()):
                self._bus.send(message.address, message.octets, settled=message.settled)
            for source in self._collector.take_flushes(now):
                self._bus.send(flow.direct_address(source), wire.flush(source), settled=False)
            if self._pace.due(now, self._collector.store.count(RecordType.LINK)):
                self._bus.request(discovery.MANAGEMENT, discovery.request)
        if self._collector.revision != self._revision:
            self._revision = self._collector.revision
            self._debounce.change(now)
        if self._debounce.due(now):
            self._write_status(now)
        self._file.tick(now)
        self._report_refused()

    def _write_status(self, now: float) -> None:
        self._revision = self._collector.revision
        self._file.write(self._collector.document().dump(self._source.site.site_id), now)
        self._debounce.acted(now, time.monotonic())

    def _read_services(self, now: float) -> None:
        if now < self._services_due:
            return
        self._services_due = now + _SERVICES_PERIOD
        try:
            processes = self._services.changed()
        except (OSError, ValueError) as error:
            log(f"service definitions not read: {error}")
            return
        if processes is not None:
            for record in self._source.set_processes(processes, _now_us()):
                self._collector.set_own(record, now)

    def _report_refused(self) -> None:
        refused = self._collector.store.refused
        if refused and not self._refused:
            log("more records than can be kept: the network status is incomplete")
        self._refused = refused
