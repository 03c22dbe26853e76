"""The site controller as an event source: it tells the network which site this is.

Why: without a SITE record no program on the network can show the routers of this site. Collectors of other Skupper
versions read these messages, so they are what Skupper 1.9 sends (``pkg/flow/controller.go``), value by value.

What always holds: a SITE record has a start time and a name, a PROCESS record a name and a group; one record a message.
A FLUSH is answered by the site, all live processes, and the host. Time is an argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from skupper_podman.model import flow
from skupper_podman.model.flow import Attribute, Record, RecordType, Value
from skupper_podman.routerd.flowlog import wire

BEACON_PERIOD: Final = 10.0
HEARTBEAT_PERIOD: Final = 2.0


@dataclass(frozen=True, slots=True)
class SiteIdentity:
    """What this site says about itself. ``start_us`` is when its controller started."""

    site_id: str
    name: str
    version: str
    host_name: str
    start_us: int
    platform: str = "podman"
    namespace: str = ""

    def site_record(self) -> Record:
        """The SITE record; hosts have no policy engine, so the policy is always ``disabled``."""
        attributes: dict[Attribute, Value] = {
            Attribute.NAME: self.name,
            Attribute.NAMESPACE: self.namespace,
            Attribute.PLATFORM: self.platform,
            Attribute.VERSION: self.version,
            Attribute.POLICY: "disabled",
        }
        return Record(RecordType.SITE, self.site_id, "", self.start_us, 0, self.site_id, attributes)

    def host_record(self) -> Record:
        """The HOST record, named by the site."""
        attributes: dict[Attribute, Value] = {Attribute.NAME: self.host_name, Attribute.PLATFORM: self.platform}
        return Record(RecordType.HOST, self.name, self.site_id, self.start_us, 0, self.site_id, attributes)


@dataclass(frozen=True, slots=True)
class TargetProcess:
    """A server given as an IP address: no container of ours, but a process to the network."""

    service: str
    ip: str

    @property
    def identity(self) -> str:
        """Identity and name of the process."""
        return f"{self.service}-{self.ip}"

    def record(self, site_id: str, start_us: int, end_us: int = 0) -> Record:
        """Its PROCESS record."""
        attributes: dict[Attribute, Value] = {
            Attribute.NAME: self.identity,
            Attribute.GROUP: self.service,
            Attribute.HOST_NAME: self.ip,
            Attribute.SOURCE_HOST: self.ip,
            Attribute.MODE: "external",
        }
        return Record(RecordType.PROCESS, self.identity, site_id, start_us, end_us, site_id, attributes)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send. ``settled`` ones may be lost."""

    address: str
    octets: bytes
    settled: bool


class SiteSource:
    """Decides what to send when. ``now`` is a clock in seconds that never goes back, ``now_us`` the time of day."""

    def __init__(self, site: SiteIdentity) -> None:
        self.site = site
        self._processes: dict[TargetProcess, int] = {}
        self._ended: list[Record] = []
        self._new: list[TargetProcess] = []
        self._beacon_due = 0.0
        self._heartbeat_due = 0.0
        self._flush_due = True

    @property
    def command_address(self) -> str:
        """Where FLUSH messages to this source arrive."""
        return flow.direct_address(self.site.site_id)

    def connected(self, now: float) -> None:
        """The connection to the router is up: say everything at once."""
        self._beacon_due = self._heartbeat_due = now
        self._flush_due = True

    def flush(self) -> None:
        """Answer a FLUSH with the next tick; several at once get one answer."""
        self._flush_due = True

    def set_processes(self, processes: Iterable[TargetProcess], now_us: int) -> list[Record]:
        """Replace the set of target processes; gives the records that begin or end."""
        wanted = set(processes)
        gone = [process for process in self._processes if process not in wanted]
        ended = [process.record(self.site.site_id, self._processes.pop(process), now_us) for process in gone]
        new = sorted(wanted - self._processes.keys(), key=lambda process: process.identity)
        for process in new:
            self._processes[process] = now_us
        self._ended += ended
        self._new += new
        return ended + [self._process_record(process) for process in new]

    def tick(self, now: float, now_us: int) -> list[Outgoing]:
        """What to send now, in order."""
        site_id = self.site.site_id
        messages = []
        if now >= self._beacon_due:
            self._beacon_due = now + BEACON_PERIOD
            octets = wire.beacon(site_id, flow.CONTROLLER_SOURCE, body=self._beacon_body())
            messages.append(Outgoing(flow.BEACONS, octets, settled=True))
        if now >= self._heartbeat_due:
            self._heartbeat_due = now + HEARTBEAT_PERIOD
            octets = wire.heartbeat(site_id, now_us)
            messages.append(Outgoing(flow.heartbeats_address(site_id), octets, settled=True))
        return messages + [self._message(record) for record in self._due_records()]

    def _due_records(self) -> list[Record]:
        ended, new = self._ended, [process for process in self._new if process in self._processes]
        self._ended, self._new = [], []
        if not self._flush_due:
            return ended + [self._process_record(process) for process in new]
        self._flush_due = False
        alive = [self._process_record(process) for process in self._processes]
        return [self.site.site_record(), *ended, *alive, self.site.host_record()]

    def _process_record(self, process: TargetProcess) -> Record:
        return process.record(self.site.site_id, self._processes[process])

    def _message(self, record: Record) -> Outgoing:
        address = flow.records_address(self.site.site_id)
        values = flow.record_map(record)
        if record.type in (RecordType.PROCESS, RecordType.HOST):
            # These two always carry their end time, 0 while alive.
            values.setdefault(Attribute.END_TIME, 0)
        return Outgoing(address, wire.records(address, [values]), settled=False)

    def _beacon_body(self) -> str:
        site_id = self.site.site_id
        fields = {
            "version": flow.PROTOCOL_VERSION,
            "sourceType": flow.CONTROLLER_SOURCE,
            "address": flow.records_address(site_id),
            "direct": flow.direct_address(site_id),
            "identity": site_id,
        }
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
