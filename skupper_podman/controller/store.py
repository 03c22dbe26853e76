"""The records that the network's event sources have reported, bounded in number and size.

Why: collectors receive deltas from many sources that restart, vanish and reconnect; one place decides which records are
alive.

What always holds: a record belongs to the source that created it and only that source changes it; at most
:data:`MAX_RECORDS` records with :data:`MAX_WEIGHT` characters of text are kept, whatever arrives; the revision grows
whenever something changed that the network status shows, and not for mere traffic counters.

Rules: ``updateRecord`` of ``pkg/flow/flow_mem_driver.go`` in Skupper 1.9. Beyond them, a router that has restarted
replaces its former self at once, and a re-sent set of records removes those it no longer contains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from skupper_podman.model.flow import Attribute, Record, RecordType, source_of

MAX_RECORDS: Final = 50_000
MAX_RECORDS_OF_SOURCE: Final = 20_000
MAX_WEIGHT: Final = 48 << 20
#: A mirror of an ended link is removed with it only if it is older than this: a younger one belongs to a new link.
MIRROR_AGE: Final = 5.0

_KEPT: Final = frozenset(
    {
        RecordType.SITE,
        RecordType.ROUTER,
        RecordType.LINK,
        RecordType.LISTENER,
        RecordType.CONNECTOR,
        RecordType.PROCESS,
        RecordType.HOST,
    }
)
_COUNTERS: Final = frozenset(
    {Attribute.FLOW_COUNT_L4, Attribute.FLOW_COUNT_L7, Attribute.FLOW_RATE_L4, Attribute.FLOW_RATE_L7}
)
_OPPOSITE: Final = {"outgoing": "incoming", "incoming": "outgoing"}


@dataclass(slots=True)
class _Held:
    record: Record
    added: float
    confirmed: float
    weight: int


def owner(record: Record) -> str:
    """The event source that a record came from, without the suffix of its stream."""
    return source_of(f"mc/sfe.{record.source}")


_Key = tuple[str, ...]


def _source_key(identity: str) -> _Key:
    """Index key of the records of an event source."""
    return ("source", identity)


def _router_key(router_id: str) -> _Key:
    """Index key of the routers with an id (the name without its area)."""
    return ("router", router_id)


def _link_key(router: str, peer: str) -> _Key:
    """Index key of the links that a router (by identity) reports to a peer (by router id)."""
    return ("link", router, peer)


def _type_key(record_type: RecordType) -> _Key:
    """Index key of the records of a type."""
    return ("type", record_type.name)


def _router_id(router: Record) -> str:
    return router.text(Attribute.NAME).rpartition("/")[2]


def _keys(record: Record) -> Iterator[_Key]:
    """The index keys of a record."""
    yield _type_key(record.type)
    yield _source_key(owner(record))
    if record.type is RecordType.ROUTER:
        yield _router_key(_router_id(record))
    elif record.type is RecordType.LINK:
        yield _link_key(record.parent, record.text(Attribute.NAME))


def _weight(record: Record) -> int:
    texts = (len(value) for value in record.attributes.values() if isinstance(value, str))
    return len(record.identity) + len(record.parent) + len(record.source) + sum(texts)


class _Index:
    """Which records have a key; a record has at most one key in an index."""

    def __init__(self) -> None:
        self._identities: defaultdict[_Key, dict[str, None]] = defaultdict(dict)

    def add(self, key: _Key, identity: str) -> None:
        self._identities[key][identity] = None

    def discard(self, key: _Key, identity: str) -> None:
        identities = self._identities.get(key, {})
        identities.pop(identity, None)
        if not identities:
            self._identities.pop(key, None)

    def get(self, key: _Key) -> tuple[str, ...]:
        return tuple(self._identities.get(key, ()))

    def count(self, key: _Key) -> int:
        return len(self._identities.get(key, ()))


class RecordStore:
    """Live records by identity. ``now`` is any clock in seconds that never goes back."""

    def __init__(self) -> None:
        self.revision = 0
        #: records refused for lack of room
        self.refused = 0
        self._held: dict[str, _Held] = {}
        self._index = _Index()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, identity: str) -> Record | None:
        """The live record with this identity."""
        held = self._held.get(identity)
        return held.record if held else None

    def of_type(self, record_type: RecordType) -> Iterator[Record]:
        """All live records of a type."""
        return (self._held[identity].record for identity in self._index.get(_type_key(record_type)))

    def count(self, record_type: RecordType) -> int:
        """How many records of a type are live."""
        return self._index.count(_type_key(record_type))

    def apply(self, record: Record, now: float) -> None:
        """Take a record or delta as received: create, update or end. What cannot apply is ignored."""
        if record.type not in _KEPT:
            return
        held = self._held.get(record.identity)
        if held is None:
            if record.start_time and not record.end_time:
                self._create(record, now)
        elif owner(held.record) != owner(record):
            return
        elif record.end_time:
            self._end(held.record, now)
        elif record.start_time and (record.start_time, record.type) != (held.record.start_time, held.record.type):
            self._replace(held.record, record, now)
        else:
            if record.start_time:
                held.confirmed = now
            self._change(held, held.record.merged(record))

    def remove_source(self, source: str) -> None:
        """Forget all records of a source."""
        for identity in self._index.get(_source_key(source)):
            self._remove(identity)

    def sweep(self, source: str, since: float) -> None:
        """Forget the records of a source that it has not sent in full since ``since``."""
        for identity in self._index.get(_source_key(source)):
            if self._held[identity].confirmed < since:
                self._remove(identity)

    def _create(self, record: Record, now: float) -> None:
        if record.type is RecordType.ROUTER:
            self._supersede(record)
        weight = _weight(record)
        if (
            len(self._held) >= MAX_RECORDS
            or self._index.count(_source_key(owner(record))) >= MAX_RECORDS_OF_SOURCE
            or self._weight + weight > MAX_WEIGHT
        ):
            self.refused += 1
            return
        self._held[record.identity] = _Held(record, now, now, weight)
        for key in _keys(record):
            self._index.add(key, record.identity)
        self._weight += weight
        self.revision += 1

    def _supersede(self, router: Record) -> None:
        """A router that restarted has a new identity and its old name: its old records end now, not in a minute."""
        if not _router_id(router):
            return
        for identity in self._index.get(_router_key(_router_id(router))):
            old = self._held[identity].record
            if old.parent == router.parent and old.start_time < router.start_time and owner(old) != owner(router):
                self.remove_source(owner(old))

    def _replace(self, old: Record, new: Record, now: float) -> None:
        """The same identity with another start: the source began anew and counts its identities from 0 again."""
        if new.type is RecordType.ROUTER:
            for identity in self._index.get(_source_key(owner(old))):
                if self._held[identity].record.start_time < new.start_time:
                    self._remove(identity)
        self._remove(old.identity)
        self._create(new, now)

    def _change(self, held: _Held, record: Record) -> None:
        old, weight = held.record, _weight(record)
        if self._weight + weight - held.weight > MAX_WEIGHT:
            self.refused += 1
            return
        for key in _keys(old):
            self._index.discard(key, old.identity)
        for key in _keys(record):
            self._index.add(key, record.identity)
        self._weight += weight - held.weight
        held.record, held.weight = record, weight
        shown = {key for key, value in record.attributes.items() if value != old.attributes.get(key)} - _COUNTERS
        if shown or record.parent != old.parent:
            self.revision += 1

    def _end(self, record: Record, now: float) -> None:
        """An ended router takes all it reported with it, an ended link what the other end reports of it."""
        ended = [record.identity]
        if record.type is RecordType.ROUTER:
            ended = list(self._index.get(_source_key(owner(record))))
        links = [self._held[identity].record for identity in ended]
        mirrors = [mirror for link in links for mirror in self._mirrors(link, now)]
        for identity in (*ended, *mirrors):
            self._remove(identity)

    def _mirrors(self, link: Record, now: float) -> Iterator[str]:
        """What the router at the other end says about the same link, unless that is news of a new link."""
        router = self.get(link.parent)
        if link.type is not RecordType.LINK or router is None:
            return
        direction = _OPPOSITE.get(link.text(Attribute.DIRECTION), "")
        for peer in self._index.get(_router_key(link.text(Attribute.NAME))):
            for identity in self._index.get(_link_key(peer, _router_id(router))):
                held = self._held[identity]
                if held.record.text(Attribute.DIRECTION) == direction and now - held.added > MIRROR_AGE:
                    yield identity

    def _remove(self, identity: str) -> None:
        held = self._held.pop(identity, None)
        if held is None:
            return
        for key in _keys(held.record):
            self._index.discard(key, identity)
        self._weight -= held.weight
        self.revision += 1
