"""The status collector: who is out there, what to subscribe to, when to ask for everything again.

Why: beacons, heartbeats, records and flushes follow a small protocol (Skupper 1.9, ``pkg/flow/collector.go``); as a
state machine without sockets or clock it can be tested through hours of an awkward network.

What always holds:

* A source is asked (FLUSH) after it was heard on its own address: that proves that it knows our receiver. Asking
  before is allowed when something else named the source, but then an unanswered question is repeated with that proof.
* An answer counts only when the source's root record (its router or site) came in full; without it the question is
  repeated every :data:`ANSWER_TIMEOUT` seconds. With it, records that were not sent again are forgotten.
* A source that is silent for :data:`SOURCE_TIMEOUT` seconds is forgotten with all it reported.
* The own site is always known. Peers cannot change it, and cannot make us subscribe to anything but flow addresses.
* Sources are bounded by :data:`MAX_SOURCES`; for records see :mod:`.store`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from skupper_podman.controller.document import build
from skupper_podman.controller.store import RecordStore
from skupper_podman.model import flow
from skupper_podman.model.flow import Record, RecordType
from skupper_podman.model.network import NetworkStatus
from skupper_podman.routerd.flowlog.wire import Message

SOURCE_TIMEOUT: Final = 60.0
#: Without a heartbeat on its address, a source is asked after this time all the same.
HEARTBEAT_PATIENCE: Final = 6.0
ANSWER_TIMEOUT: Final = 10.0
#: How long after its root record a source may take to send the rest.
ANSWER_DURATION: Final = 10.0
MAX_SOURCES: Final = 1000
_MAX_ID: Final = 200


class _Flush(Enum):
    PENDING = auto()
    READY = auto()
    SENT = auto()
    ANSWERED = auto()
    DONE = auto()


@dataclass(slots=True)
class _Source:
    """An event source; times in seconds of the caller's clock."""

    identity: str
    kind: str
    last_heard: float
    state: _Flush
    since: float
    flushed: float = 0.0
    #: whether a heartbeat proved that the source knows our receiver, since the last connection
    proved: bool = False

    def enter(self, state: _Flush, now: float) -> None:
        self.state, self.since = state, now


class Collector:
    """State of one collector. ``now`` is a clock in seconds that never goes back."""

    def __init__(self, own_site: Record, now: float) -> None:
        self._own = own_site.identity
        self._sources: dict[str, _Source] = {}
        self._connected = False
        self.store = RecordStore()
        self.store.apply(own_site, now)

    @property
    def revision(self) -> int:
        """Grows whenever :meth:`document` may have changed."""
        return self.store.revision

    @property
    def sources(self) -> tuple[str, ...]:
        """The event sources that are known and alive."""
        return tuple(self._sources)

    def document(self) -> NetworkStatus:
        """The network as known now."""
        return build(self.store)

    def subscriptions(self) -> frozenset[str]:
        """The addresses to receive from now."""
        addresses = {flow.BEACONS}
        for source in self._sources.values():
            addresses.add(flow.records_address(source.identity))
            if source.kind == flow.CONTROLLER_SOURCE:
                addresses.add(flow.heartbeats_address(source.identity))
        return frozenset(addresses)

    def set_own(self, record: Record, now: float) -> None:
        """Take a record of the own site, as it is sent to others."""
        self.store.apply(record, now)

    def connected(self, now: float) -> None:
        """The connection to the router is up; what changed meanwhile is asked for."""
        self._connected = True
        for source in self._sources.values():
            source.proved = False
            source.enter(_Flush.PENDING, now)

    def disconnected(self) -> None:
        """The connection is down. Sources stay until they have been silent for too long."""
        self._connected = False

    def prime(self, identity: str, kind: str, now: float) -> None:
        """Expect a source before its first beacon, and ask it at once; a heartbeat decides whether to ask again."""
        source = self._add(identity, kind, now)
        if source is not None and source.state is _Flush.PENDING:
            source.enter(_Flush.READY, now)

    def receive(self, message: Message, now: float) -> None:
        """Take a message from any subscription. Unknown subjects are ignored."""
        if message.subject == flow.BEACON:
            self._beacon(message, now)
        elif message.subject == flow.HEARTBEAT:
            self._heartbeat(message, now)
        elif message.subject == flow.RECORD:
            self._records(message, now)

    def tick(self, now: float) -> None:
        """Let time pass; call it every 250 ms."""
        for source in list(self._sources.values()):
            if now - source.last_heard >= SOURCE_TIMEOUT:
                del self._sources[source.identity]
                self.store.remove_source(source.identity)
                continue
            waited = now - source.since
            unproved = source.state is _Flush.PENDING and waited >= HEARTBEAT_PATIENCE
            unanswered = source.state is _Flush.SENT and waited >= ANSWER_TIMEOUT and self._has_root(source)
            if unproved or unanswered:
                source.enter(_Flush.READY, now)
            elif source.state is _Flush.ANSWERED and waited >= ANSWER_DURATION:
                self.store.sweep(source.identity, source.flushed)
                source.enter(_Flush.DONE, now)

    def take_flushes(self, now: float) -> tuple[str, ...]:
        """The sources to send a FLUSH to now; each is given once."""
        if not self._connected:
            return ()
        ready = [source for source in self._sources.values() if source.state is _Flush.READY]
        for source in ready:
            source.enter(_Flush.SENT, now)
            source.flushed = now
        return tuple(source.identity for source in ready)

    def _add(self, identity: str, kind: str, now: float) -> _Source | None:
        known = self._sources.get(identity)
        if known is not None:
            return known
        if identity == self._own or not 0 < len(identity) <= _MAX_ID or len(self._sources) >= MAX_SOURCES:
            return None
        if flow.source_of(flow.records_address(identity)) != identity or identity == "all":
            return None
        source = _Source(identity, kind, now, _Flush.PENDING, now)
        self._sources[identity] = source
        return source

    def _beacon(self, message: Message, now: float) -> None:
        identity = message.text("id")
        addresses = (message.text("address"), message.text("direct"))
        if addresses != (flow.records_address(identity), flow.direct_address(identity)):
            return
        source = self._add(identity, message.text("sourceType"), now)
        if source is not None:
            source.last_heard = now
            source.kind = message.text("sourceType")

    def _heartbeat(self, message: Message, now: float) -> None:
        source = self._sources.get(flow.source_of(message.to))
        if source is None:
            return
        source.last_heard = now
        if source.state is _Flush.PENDING or (source.state is _Flush.SENT and not source.proved):
            source.enter(_Flush.READY, now)
        source.proved = True

    def _records(self, message: Message, now: float) -> None:
        source = self._sources.get(flow.source_of(message.to))
        if source is None:
            return
        for record in message.records():
            if record.type in (RecordType.FLOW, RecordType.LOGEVENT) or record.identity == self._own:
                continue
            source.last_heard = now
            self.store.apply(record, now)
            if source.state is _Flush.SENT and record.identity == source.identity and record.start_time:
                source.enter(_Flush.ANSWERED, now)

    @staticmethod
    def _has_root(source: _Source) -> bool:
        return source.kind in (flow.ROUTER_SOURCE, flow.CONTROLLER_SOURCE)
