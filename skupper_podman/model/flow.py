"""Flow records: what routers and controllers report about the network, and how it is named on the wire and in JSON.

Routers and site controllers are *event sources*. Each announces itself (BEACON), proves that it lives (HEARTBEAT),
sends records (RECORD) as deltas, and sends all of them again when asked (FLUSH). The embedded router writes such
records (``routerd.flowlog``), the site controller writes and reads them (``controller``).

What always holds here: a :class:`Record` that was parsed contains only attributes whose value has the type of their
kind, its texts are bounded, and every number fits into 64 bits unsigned, whatever a peer sent. Times are microseconds
since the Unix epoch.

Sources of the numbers: ``include/qpid/dispatch/vanflow.h`` of skupper-router 2.7, ``pkg/flow/record.go`` of Skupper
1.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final

#: Longest text a router puts into an attribute (characters).
MAX_TEXT: Final = 300
#: Longest text accepted from a peer; controllers do not cut theirs, so this leaves room.
MAX_ACCEPTED_TEXT: Final = 1024
#: Most records in one RECORD message.
MAX_BATCH: Final = 50

#: Address of all beacons.
BEACONS: Final = "mc/sfe.all"
BEACON: Final = "BEACON"
HEARTBEAT: Final = "HEARTBEAT"
RECORD: Final = "RECORD"
FLUSH: Final = "FLUSH"
#: Version in the application properties of beacons and heartbeats.
PROTOCOL_VERSION: Final = 1
#: ``sourceType`` of the two kinds of event source.
ROUTER_SOURCE: Final = "ROUTER"
CONTROLLER_SOURCE: Final = "CONTROLLER"


def records_address(source: str) -> str:
    """Multicast address of the records (and a router's heartbeats) of an event source."""
    return f"mc/sfe.{source}"


def flows_address(source: str) -> str:
    """Multicast address of the FLOW records of a router."""
    return f"mc/sfe.{source}.flows"


def logs_address(source: str) -> str:
    """Multicast address of the LOG records of a router."""
    return f"mc/sfe.{source}.logs"


def heartbeats_address(source: str) -> str:
    """Multicast address of a controller's heartbeats."""
    return f"mc/sfe.{source}.heartbeats"


def direct_address(source: str) -> str:
    """Anycast address of the commands (FLUSH) to an event source."""
    return f"sfe.{source}"


def source_of(to: str) -> str:
    """Event source that a message came from, by its ``to``; empty when ``to`` is no flow address.

    Suffixes (``.flows``, ``.logs``, ``.heartbeats``) are taken off: they name a stream, not another source.
    """
    if not to.startswith("mc/sfe."):
        return ""
    source = to.removeprefix("mc/sfe.")
    for suffix in (".flows", ".logs", ".heartbeats"):
        source = source.removesuffix(suffix)
    return source


class RecordType(IntEnum):
    """Codes of attribute 0, and with the same name the ``recType`` of the JSON documents."""

    SITE = 0
    ROUTER = 1
    LINK = 2
    CONTROLLER = 3
    LISTENER = 4
    CONNECTOR = 5
    FLOW = 6
    PROCESS = 7
    IMAGE = 8
    INGRESS = 9
    EGRESS = 10
    COLLECTOR = 11
    PROCESS_GROUP = 12
    HOST = 13
    LOGEVENT = 14
    FLOWPAIR = 15
    FLOWAGGREGATE = 16
    EVENTSOURCE = 17
    SITEPAIR = 18
    PROCESSGROUPPAIR = 19
    PROCESSPAIR = 20
    ADDRESS = 21


class Attribute(IntEnum):
    """Attribute codes: the keys of a record on the wire."""

    RECORD_TYPE = 0
    IDENTITY = 1
    PARENT = 2
    START_TIME = 3
    END_TIME = 4
    COUNTER_FLOW = 5
    PEER = 6
    PROCESS = 7
    SIBLING_ORDINAL = 8
    LOCATION = 9
    PROVIDER = 10
    PLATFORM = 11
    NAMESPACE = 12
    MODE = 13
    SOURCE_HOST = 14
    DEST_HOST = 15
    PROTOCOL = 16
    SOURCE_PORT = 17
    DEST_PORT = 18
    VAN_ADDRESS = 19
    IMAGE_NAME = 20
    IMAGE_VERSION = 21
    HOST_NAME = 22
    OCTETS = 23
    LATENCY = 24
    TRANSIT_LATENCY = 25
    BACKLOG = 26
    METHOD = 27
    RESULT = 28
    REASON = 29
    NAME = 30
    TRACE = 31
    BUILD_VERSION = 32
    LINK_COST = 33
    DIRECTION = 34
    OCTET_RATE = 35
    OCTETS_OUT = 36
    OCTETS_UNACKED = 37
    WINDOW_CLOSURES = 38
    WINDOW_SIZE = 39
    FLOW_COUNT_L4 = 40
    FLOW_COUNT_L7 = 41
    FLOW_RATE_L4 = 42
    FLOW_RATE_L7 = 43
    DURATION = 44
    IMAGE = 45
    GROUP = 46
    STREAM_ID = 47
    LOG_SEVERITY = 48
    LOG_TEXT = 49
    SOURCE_FILE = 50
    SOURCE_LINE = 51
    VERSION = 52
    POLICY = 53
    TARGET = 54


class Kind(Enum):
    """How a value is encoded: RECORD_TYPE as AMQP uint, NUMBER and COUNTER as ulong, TEXT and REFERENCE as string."""

    RECORD_TYPE = "record type"
    NUMBER = "number"
    COUNTER = "counter"
    TEXT = "text"
    REFERENCE = "reference"


_A = Attribute
_REFERENCES = frozenset({_A.IDENTITY, _A.PARENT, _A.COUNTER_FLOW, _A.PEER, _A.PROCESS, _A.IMAGE, _A.GROUP})
_COUNTERS = frozenset({_A.OCTETS, _A.OCTETS_OUT, _A.WINDOW_CLOSURES, _A.FLOW_COUNT_L4, _A.FLOW_COUNT_L7})
_NUMBERS = frozenset(
    {
        _A.START_TIME,
        _A.END_TIME,
        _A.SIBLING_ORDINAL,
        _A.LATENCY,
        _A.TRANSIT_LATENCY,
        _A.BACKLOG,
        _A.LINK_COST,
        _A.OCTET_RATE,
        _A.OCTETS_UNACKED,
        _A.WINDOW_SIZE,
        _A.FLOW_RATE_L4,
        _A.FLOW_RATE_L7,
        _A.DURATION,
        _A.STREAM_ID,
        _A.LOG_SEVERITY,
        _A.SOURCE_LINE,
    }
)


def _kind(attribute: Attribute) -> Kind:
    if attribute is Attribute.RECORD_TYPE:
        return Kind.RECORD_TYPE
    if attribute in _REFERENCES:
        return Kind.REFERENCE
    if attribute in _COUNTERS:
        return Kind.COUNTER
    return Kind.NUMBER if attribute in _NUMBERS else Kind.TEXT


#: Kind of every attribute.
KINDS: Final[Mapping[Attribute, Kind]] = MappingProxyType({attribute: _kind(attribute) for attribute in Attribute})

#: Attributes of a record type beside the base ones, with their JSON names, in the order of the JSON documents.
FIELDS: Final[Mapping[RecordType, tuple[tuple[Attribute, str], ...]]] = MappingProxyType(
    {
        RecordType.SITE: (
            (_A.LOCATION, "location"),
            (_A.PROVIDER, "provider"),
            (_A.PLATFORM, "platform"),
            (_A.NAME, "name"),
            (_A.NAMESPACE, "nameSpace"),
            (_A.VERSION, "siteVersion"),
            (_A.POLICY, "policy"),
        ),
        RecordType.HOST: ((_A.NAME, "name"), (_A.PROVIDER, "provider")),
        RecordType.ROUTER: (
            (_A.NAME, "name"),
            (_A.NAMESPACE, "namespace"),
            (_A.MODE, "mode"),
            (_A.IMAGE_NAME, "imageName"),
            (_A.IMAGE_VERSION, "imageVersion"),
            (_A.HOST_NAME, "hostname"),
            (_A.BUILD_VERSION, "buildVersion"),
        ),
        RecordType.LINK: (
            (_A.MODE, "mode"),
            (_A.NAME, "name"),
            (_A.LINK_COST, "linkCost"),
            (_A.DIRECTION, "direction"),
        ),
        RecordType.LISTENER: (
            (_A.NAME, "name"),
            (_A.DEST_HOST, "destHost"),
            (_A.DEST_PORT, "destPort"),
            (_A.PROTOCOL, "protocol"),
            (_A.VAN_ADDRESS, "address"),
            (_A.FLOW_COUNT_L4, "flowCountL4"),
            (_A.FLOW_RATE_L4, "flowRateL4"),
            (_A.FLOW_COUNT_L7, "flowCountL7"),
            (_A.FLOW_RATE_L7, "flowRateL7"),
        ),
        RecordType.CONNECTOR: (
            (_A.DEST_HOST, "destHost"),
            (_A.DEST_PORT, "destPort"),
            (_A.PROTOCOL, "protocol"),
            (_A.VAN_ADDRESS, "address"),
            (_A.FLOW_COUNT_L4, "flowCountL4"),
            (_A.FLOW_RATE_L4, "flowRateL4"),
            (_A.FLOW_COUNT_L7, "flowCountL7"),
            (_A.FLOW_RATE_L7, "flowRateL7"),
            (_A.TARGET, "target"),
        ),
        RecordType.FLOW: (
            (_A.SOURCE_HOST, "sourceHost"),
            (_A.SOURCE_PORT, "sourcePort"),
            (_A.COUNTER_FLOW, "counterFlow"),
            (_A.TRACE, "trace"),
            (_A.LATENCY, "latency"),
            (_A.OCTETS, "octets"),
            (_A.OCTETS_OUT, "octetsOut"),
            (_A.OCTETS_UNACKED, "octetsUnacked"),
            (_A.WINDOW_CLOSURES, "windowClosures"),
            (_A.WINDOW_SIZE, "windowSize"),
            (_A.REASON, "reason"),
            (_A.METHOD, "method"),
            (_A.RESULT, "result"),
            (_A.STREAM_ID, "streamIdentity"),
        ),
        RecordType.PROCESS: (
            (_A.NAME, "name"),
            (_A.IMAGE_NAME, "imageName"),
            (_A.IMAGE, "image"),
            (_A.GROUP, "groupName"),
            (_A.HOST_NAME, "hostName"),
            (_A.SOURCE_HOST, "sourceHost"),
            (_A.MODE, "processRole"),
        ),
        RecordType.LOGEVENT: (
            (_A.LOG_SEVERITY, "severity"),
            (_A.LOG_TEXT, "logText"),
            (_A.SOURCE_FILE, "fileName"),
            (_A.SOURCE_LINE, "lineNumber"),
        ),
    }
)

#: Attributes kept in a record's own fields, not in :attr:`Record.attributes`.
_BASE = frozenset({_A.RECORD_TYPE, _A.IDENTITY, _A.PARENT, _A.START_TIME, _A.END_TIME})
_UINT64: Final = 1 << 64
_CODES: Final = {int(attribute): attribute for attribute in Attribute}
_TYPES: Final = {int(record_type): record_type for record_type in RecordType}

Value = str | int
_NO_ATTRIBUTES: Final[Mapping[Attribute, Value]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """A record, or a delta of one: the same form carries both.

    ``start_time`` 0 means that the sender did not say it (a delta of a known record); ``end_time`` 0 means alive.
    ``source`` is the event source it came from, as the ``to`` of its message names it.
    """

    type: RecordType
    identity: str
    parent: str = ""
    start_time: int = 0
    end_time: int = 0
    source: str = ""
    attributes: Mapping[Attribute, Value] = field(default_factory=lambda: _NO_ATTRIBUTES)

    def text(self, attribute: Attribute) -> str:
        """Value of a text or reference attribute, empty when absent."""
        value = self.attributes.get(attribute, "")
        return value if isinstance(value, str) else ""

    def number(self, attribute: Attribute) -> int:
        """Value of a number or counter attribute, 0 when absent."""
        value = self.attributes.get(attribute, 0)
        return value if isinstance(value, int) else 0

    def merged(self, delta: Record) -> Record:
        """This record with what ``delta`` knows better; type, identity and source stay."""
        return Record(
            self.type,
            self.identity,
            delta.parent or self.parent,
            delta.start_time or self.start_time,
            delta.end_time or self.end_time,
            self.source,
            MappingProxyType({**self.attributes, **delta.attributes}) if delta.attributes else self.attributes,
        )

    def to_json(self) -> dict[str, object]:
        """JSON object of the record: base fields first, then those of its type in the order of the documents."""
        document: dict[str, object] = {"recType": self.type.name, "identity": self.identity}
        if self.parent:
            document["parent"] = self.parent
        document |= {"startTime": self.start_time, "endTime": self.end_time}
        if self.source:
            document["source"] = self.source
        for attribute, name in FIELDS.get(self.type, ()):
            if attribute in self.attributes:
                document[name] = self.attributes[attribute]
        return document


def _accepted(attribute: Attribute, value: object) -> Value | None:
    """The value if it has the type of its attribute, else None."""
    if KINDS[attribute] in (Kind.TEXT, Kind.REFERENCE):
        return str(value)[:MAX_ACCEPTED_TEXT] if isinstance(value, str) else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _UINT64:
        return int(value)
    return None


def parse_record(document: object, source: str = "") -> Record | None:
    """Read one map of a RECORD body.

    Unknown keys and values of a wrong type are skipped, as all collectors do. None means: not a record at all (no known
    type, no identity). Values may be wrapper types of a codec; the result holds plain ``str`` and ``int``.
    """
    if not isinstance(document, Mapping):
        return None
    values: dict[Attribute, Value] = {}
    for key, raw in document.items():
        attribute = _CODES.get(key) if isinstance(key, int) and not isinstance(key, bool) else None
        value = None if attribute is None else _accepted(attribute, raw)
        if attribute is not None and value is not None:
            values[attribute] = value
    record_type = _TYPES.get(_number(values, Attribute.RECORD_TYPE, -1))
    identity = values.get(Attribute.IDENTITY)
    if record_type is None or not isinstance(identity, str) or not identity:
        return None
    return Record(
        record_type,
        identity,
        str(values.get(Attribute.PARENT, "")),
        _number(values, Attribute.START_TIME, 0),
        _number(values, Attribute.END_TIME, 0),
        source,
        MappingProxyType({attribute: value for attribute, value in values.items() if attribute not in _BASE}),
    )


def _number(values: Mapping[Attribute, Value], attribute: Attribute, default: int) -> int:
    value = values.get(attribute, default)
    return value if isinstance(value, int) else default


def record_map(record: Record) -> dict[Attribute, Value]:
    """The map of a RECORD body: type and identity always, the others where known. A codec picks the types by KINDS."""
    values: dict[Attribute, Value] = {Attribute.RECORD_TYPE: int(record.type), Attribute.IDENTITY: record.identity}
    if record.parent:
        values[Attribute.PARENT] = record.parent
    if record.start_time:
        values[Attribute.START_TIME] = record.start_time
    if record.end_time:
        values[Attribute.END_TIME] = record.end_time
    return {**values, **record.attributes}
