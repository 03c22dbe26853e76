"""The router as an event source: which records exist, and what of them must be sent now.

Why: routers, status pages and flow collectors anywhere on the network learn from these records that a router, link,
listener or connector exists. The rules are those of the vanflow module of skupper-router 2.7, with one change: what a
new collector needs (beacon, heartbeat, all records) is sent as soon as it appears, not on the next turn of a timer.

What always holds:

* Nothing is sent to an address that nobody consumes, and nothing is kept for later: a collector that missed records
  asks for all of them (FLUSH).
* The first emission of a record carries everything, later ones type, identity and what changed; ``None`` never occurs.
* A parent is sent before its children. Records and pending emissions are bounded in number.
* Time is an argument, in microseconds since the epoch. If that clock steps backwards, no timer waits longer than its
  period.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from skupper_podman.model import flow
from skupper_podman.model.flow import Attribute, RecordType, Value
from skupper_podman.routerd.flowlog import wire

#: How often :meth:`FlowLog.tick` is to be called, in seconds. Call it also when a watched address gains a consumer.
TICK_SECONDS: Final = 0.2
HEARTBEAT_US: Final = 2_000_000
BEACON_US: Final = 10_000_000
#: RECORD messages sent by one tick to one address; what is left goes with the next tick.
MAX_MESSAGES_PER_TICK: Final = 20
MAX_RECORDS: Final = 50_000
MAX_FLOWS: Final = 20_000
MAX_LOGS: Final = 100

_ENVIRONMENT: Final = (
    ("SKUPPER_SITE_ID", Attribute.PARENT),
    ("HOSTNAME", Attribute.HOST_NAME),
    ("POD_NAMESPACE", Attribute.NAMESPACE),
    ("APPLICATION_NAME", Attribute.IMAGE_NAME),
    ("VERSION", Attribute.IMAGE_VERSION),
)
_FIXED: Final = frozenset({Attribute.RECORD_TYPE, Attribute.IDENTITY, Attribute.START_TIME, Attribute.END_TIME})

Outgoing = tuple[str, bytes]


def source_id(hostname: str, random_id: str) -> str:
    """Five-character id of the router: the suffix of a pod's host name (``…-xxxxx``), else ``random_id``."""
    suffix = hostname.rpartition("-")
    return suffix[2] if suffix[1] and re.fullmatch(r"[A-Za-z0-9]{5}", suffix[2]) else random_id


@dataclass(slots=True)
class _Entry:
    """A live record. ``changed`` is None while it has never been emitted, or must be emitted in full again."""

    values: dict[Attribute, Value]
    changed: set[Attribute] | None = None
    emitted: bool = False
    ended: bool = False

    def emission(self) -> dict[Attribute, Value]:
        if self.changed is None:
            return dict(sorted(self.values.items()))
        keys = (Attribute.RECORD_TYPE, Attribute.IDENTITY, *sorted(self.changed))
        return {key: self.values[key] for key in keys}


@dataclass(slots=True)
class _Stream:
    """An address with the records that belong to it; ``pending`` keeps their order of creation."""

    address: str
    consumers: int = 0
    entries: dict[str, _Entry] = field(default_factory=dict)
    pending: dict[str, None] = field(default_factory=dict)

    def touch(self, identity: str) -> None:
        if self.consumers or not self.entries[identity].emitted:
            self.pending[identity] = None

    def emit_all(self) -> None:
        """Mark every live record for a full emission, ended ones for what is due anyway."""
        for entry in self.entries.values():
            entry.changed = None
        self.pending = dict.fromkeys(self.entries)

    def drop_pending(self) -> None:
        """Forget what is due, because nobody listens."""
        for identity in self.pending:
            if self.entries[identity].ended:
                del self.entries[identity]
        self.pending.clear()

    def take(self, limit: int) -> Iterator[dict[Attribute, Value]]:
        for identity in list(islice(self.pending, limit)):
            del self.pending[identity]
            entry = self.entries[identity]
            if entry.ended:
                del self.entries[identity]
                if not entry.emitted and entry.values[Attribute.RECORD_TYPE] != RecordType.FLOW:
                    continue
            yield entry.emission()
            entry.emitted = True
            entry.changed = set()


class FlowLog:
    """The records of one router."""

    def __init__(
        self,
        source: str,
        start_us: int,
        environment: Mapping[str, str],
        attributes: Mapping[Attribute, Value] | None = None,
    ) -> None:
        """Start with the router's own record.

        ``source`` is the five-character id, see :func:`source_id`. ``attributes`` are those of the router record: NAME
        (``0/<router id>``) is required by collectors, MODE and BUILD_VERSION are usual.
        """
        self._source = source
        self._next = 0
        self._next_message = 0
        self._logs: deque[dict[Attribute, Value]] = deque(maxlen=MAX_LOGS)
        self._beacon_consumers = 0
        self._beacon_due = 0
        self._heartbeat_due = 0
        self.router_identity = f"{source}:0"
        self.direct_address = flow.direct_address(self.router_identity)
        self._records = _Stream(flow.records_address(self.router_identity))
        self._flows = _Stream(flow.flows_address(self.router_identity))
        self._log_address = flow.logs_address(self.router_identity)
        known = {attribute: environment[name] for name, attribute in _ENVIRONMENT if environment.get(name)}
        self.start(RecordType.ROUTER, "", {Attribute.NAME: "0/", **known, **(attributes or {})}, start_us)

    @property
    def watched_addresses(self) -> tuple[str, ...]:
        """The addresses whose consumers decide what is sent."""
        return (flow.BEACONS, self._records.address, self._flows.address, self._log_address)

    @property
    def flows_wanted(self) -> bool:
        """Whether somebody collects FLOW records."""
        return bool(self._flows.consumers)

    @property
    def records_wanted(self) -> bool:
        """Whether somebody collects the other records."""
        return bool(self._records.consumers)

    def values(self, identity: str) -> Mapping[Attribute, Value]:
        """What a live record says now; empty for any other."""
        entry = self._flows.entries.get(identity) or self._records.entries.get(identity)
        return entry.values if entry is not None else {}

    def count(self) -> int:
        """Live records."""
        return len(self._records.entries) + len(self._flows.entries)

    def reserve(self) -> str:
        """An identity for a record that may begin later."""
        identity = f"{self._source}:{self._next}"
        self._next += 1
        return identity

    def start(
        self,
        record_type: RecordType,
        parent: str,
        attributes: Mapping[Attribute, Value],
        now_us: int,
        *,
        later: bool = False,
        identity: str = "",
    ) -> str:
        """Begin a record and give its identity. Empty ``parent`` means the router (none for the router itself).

        ``later`` sends it with its first update, so that what begins and tells of itself at once needs one message.
        ``identity`` is one that was reserved for it.
        Beyond the bounds on live records the record is not kept; its identity is valid all the same.
        """
        identity = identity or self.reserve()
        is_flow = record_type is RecordType.FLOW
        stream = self._flows if is_flow else self._records
        if len(stream.entries) >= (MAX_FLOWS if is_flow else MAX_RECORDS):
            return identity
        values: dict[Attribute, Value] = {Attribute.RECORD_TYPE: int(record_type), Attribute.IDENTITY: identity}
        if parent or identity != self.router_identity:
            values[Attribute.PARENT] = parent or self.router_identity
        values[Attribute.START_TIME] = max(1, now_us)
        values |= {key: _bounded(key, value) for key, value in attributes.items() if key not in _FIXED}
        if Attribute.VAN_ADDRESS in values:
            values.setdefault(Attribute.PROTOCOL, "tcp")
        stream.entries[identity] = _Entry(values)
        if not later:
            stream.touch(identity)
        return identity

    def update(self, identity: str, attributes: Mapping[Attribute, Value]) -> None:
        """Set attributes of a live record; unknown identities and unchanged values are ignored."""
        stream = self._flows if identity in self._flows.entries else self._records
        entry = stream.entries.get(identity)
        if entry is None or entry.ended:
            return
        for key, raw in attributes.items():
            value = _bounded(key, raw)
            if key in _FIXED or (entry.values.get(key) == value and entry.emitted):
                continue
            entry.values[key] = value
            if entry.changed is not None:
                entry.changed.add(key)
            stream.touch(identity)

    def end(self, identity: str, now_us: int) -> None:
        """End a record; the router's own cannot end. Unknown identities are ignored."""
        stream = self._flows if identity in self._flows.entries else self._records
        entry = stream.entries.get(identity)
        if entry is None or entry.ended or identity == self.router_identity:
            return
        entry.values[Attribute.END_TIME] = max(1, now_us)
        if entry.changed is not None:
            entry.changed.add(Attribute.END_TIME)
        entry.ended = True
        if stream.consumers:
            stream.touch(identity)
        else:
            stream.pending.pop(identity, None)
            del stream.entries[identity]

    def log(self, severity: int, text: str, now_us: int, source_file: str = "", source_line: int = 0) -> None:
        """Report a log line of severity 2 (warning) to 4 (critical) to whoever collects logs."""
        identity = self.reserve()
        self._logs.append(
            {
                Attribute.RECORD_TYPE: int(RecordType.LOGEVENT),
                Attribute.IDENTITY: identity,
                Attribute.PARENT: self.router_identity,
                Attribute.START_TIME: max(1, now_us),
                Attribute.END_TIME: max(1, now_us),
                Attribute.LOG_SEVERITY: severity,
                Attribute.LOG_TEXT: wire.cut(text),
                Attribute.SOURCE_FILE: wire.cut(source_file),
                Attribute.SOURCE_LINE: max(0, source_line),
            }
        )

    def flush(self) -> None:
        """Answer a FLUSH: every record is due in full."""
        self._records.emit_all()
        self._flows.emit_all()

    def tick(self, now_us: int, watched: Callable[[str], int]) -> list[Outgoing]:
        """Messages to send now, each with its address, all of them presettled.

        ``watched`` tells how many consumers outside this process an address has (True and False will do); when the
        number grows, newcomers are served at once.
        """
        outgoing = list(self._announce(now_us, watched))
        outgoing += self._emit(self._records, watched(self._records.address))
        outgoing += self._emit(self._flows, watched(self._flows.address))
        if watched(self._log_address):
            while self._logs:
                batch = [self._logs.popleft() for _ in range(min(len(self._logs), flow.MAX_BATCH))]
                outgoing.append((self._log_address, wire.records(self._log_address, batch, self._message_id())))
        self._logs.clear()
        return outgoing

    def _announce(self, now_us: int, watched: Callable[[str], int]) -> Iterator[Outgoing]:
        listeners = int(watched(flow.BEACONS))
        if listeners > self._beacon_consumers:
            self._beacon_due = now_us
        self._beacon_consumers = listeners
        collectors = int(watched(self._records.address))
        if collectors > self._records.consumers:
            self._heartbeat_due = now_us
        self._beacon_due = min(self._beacon_due, now_us + BEACON_US)
        self._heartbeat_due = min(self._heartbeat_due, now_us + HEARTBEAT_US)
        if listeners and now_us >= self._beacon_due:
            self._beacon_due = now_us + BEACON_US
            yield flow.BEACONS, wire.beacon(self.router_identity, flow.ROUTER_SOURCE, self._message_id())
        if collectors and now_us >= self._heartbeat_due:
            self._heartbeat_due = now_us + HEARTBEAT_US
            yield self._records.address, wire.heartbeat(self.router_identity, now_us, self._message_id())

    def _emit(self, stream: _Stream, consumers: int) -> Iterator[Outgoing]:
        if consumers > stream.consumers:
            stream.emit_all()
        stream.consumers = int(consumers)
        if not consumers:
            stream.drop_pending()
            return
        maps = list(stream.take(MAX_MESSAGES_PER_TICK * flow.MAX_BATCH))
        for first in range(0, len(maps), flow.MAX_BATCH):
            batch = maps[first : first + flow.MAX_BATCH]
            yield stream.address, wire.records(stream.address, batch, self._message_id())

    def _message_id(self) -> int:
        self._next_message += 1
        return self._next_message - 1


def _bounded(attribute: Attribute, value: Value) -> Value:
    """The value as it will be sent: texts cut, numbers within 64 bits unsigned."""
    if isinstance(value, str):
        return wire.cut(value)
    return min(max(0, int(value)), (1 << 64) - 1)
