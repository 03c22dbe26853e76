"""What skstat shows: each view asks for entities of some types and gives tables and lines. No I/O but the asking.

Columns and wording are those of skupper-router 2.7's skstat, so that scripts which read its output go on working.
A view works with routers of other versions: a column that the router does not know is left out or empty.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from skupper_podman.routerd.tools.render import Table, clock, commas, days, octets

Block = Table | str
Record = Mapping[str, Any]

_CLASSES: Final = {
    "M": "mobile",
    "R": "router",
    "A": "area",
    "L": "local",
    "T": "topo",
    "C": "link-in",
    "E": "link-in",
    "D": "link-out",
    "F": "link-out",
    "H": "edge",
}
_TYPE: Final = "io.skupper.router."
ROUTER: Final = _TYPE + "router"


class Source(Protocol):
    """Where a view gets its entities from; with the limit and the router already chosen."""

    def query(self, entity_type: str, attributes: Sequence[str] = ()) -> Sequence[Record]:
        """All entities of a type, with these attributes or all."""
        ...

    def log(self) -> Sequence[Sequence[Any]]:
        """The recent log lines."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """One view and the words that choose it on the command line.

    ``headed``: the time and the router's id are printed before it.
    """

    flags: tuple[str, ...]
    help: str
    show: Callable[[Source, bool], list[Block]]
    headed: bool = True


def general(source: Source, verbose: bool) -> list[Block]:
    """The router's configuration and totals."""
    router = source.query(ROUTER)[0]
    formats: Mapping[str, Callable[[Any], str]] = {"uptimeSeconds": days, "memoryUsage": octets}
    formats = {**formats, "residentMemoryUsage": octets}
    rows = []
    for heading, name in _GENERAL_ROWS:
        value = router.get(name)
        if value is not None:
            rows.append((heading, formats.get(name, str)(value)))
    counters = router.get("connectionCounters") or {}
    rows += [(f"{protocol.upper()} Service Connections", str(count)) for protocol, count in counters.items()]
    return [Table("Router Statistics", ("attr", "value"), rows)]


_GENERAL_ROWS: Final = (
    ("Version", "version"),
    ("Mode", "mode"),
    ("Router Id", "id"),
    ("Van Id", "vanId"),
    ("Worker Threads", "workerThreads"),
    ("Uptime", "uptimeSeconds"),
    ("VmSize", "memoryUsage"),
    ("RSS", "residentMemoryUsage"),
    ("Area", "area"),
    ("Auto Links", "autoLinkCount"),
    ("Links", "linkCount"),
    ("Nodes", "nodeCount"),
    ("Addresses", "addrCount"),
    ("Total Connections", "connectionCount"),
    ("Presettled Count", "presettledDeliveries"),
    ("Dropped Presettled Count", "droppedPresettledDeliveries"),
    ("Accepted Count", "acceptedDeliveries"),
    ("Rejected Count", "rejectedDeliveries"),
    ("Released Count", "releasedDeliveries"),
    ("Modified Count", "modifiedDeliveries"),
    ("Deliveries Delayed > 1sec", "deliveriesDelayed1Sec"),
    ("Deliveries Delayed > 10sec", "deliveriesDelayed10Sec"),
    ("Deliveries Stuck > 10sec", "deliveriesStuck"),
    ("Links Blocked", "linksBlocked"),
    ("Ingress Count", "deliveriesIngress"),
    ("Egress Count", "deliveriesEgress"),
    ("Transit Count", "deliveriesTransit"),
    ("Deliveries from Route Container", "deliveriesIngressRouteContainer"),
    ("Deliveries to Route Container", "deliveriesEgressRouteContainer"),
)


def connections(source: Source, verbose: bool) -> list[Block]:
    """Every connection of the router."""
    records = source.query(_TYPE + "connection")
    columns = ["id", "host", "container", "role", "proto", "dir", "security", "authentication", "meshId"]
    has_last = bool(records) and "lastDlvSeconds" in records[0]
    has_uptime = bool(records) and "uptimeSeconds" in records[0]
    columns += ["last dlv"] * has_last + ["uptime"] * has_uptime
    rows = []
    for record in records:
        row = [record.get(name) for name in ("identity", "host", "container", "role", "protocol", "dir")]
        row += [_security(record), _authentication(record), record.get("meshId")]
        last, uptime = record.get("lastDlvSeconds"), record.get("uptimeSeconds")
        row += [days(last) if last is not None else "-"] * has_last
        row += [days(uptime) if uptime is not None else "-"] * has_uptime
        rows.append(row)
    return [Table("Connections", columns, rows)]


def edge_connections(source: Source, verbose: bool) -> list[Block]:
    """The connections to and from edge routers."""
    records = [record for record in source.query(_TYPE + "connection") if record.get("role") == "edge"]
    if not records:
        return ["No Edge Router Connections"]
    has_active = "active" in records[0]
    columns = ["id", "host", "container", "dir", "security", "authentication", *(["active"] * has_active)]
    rows = [
        [
            *(record.get(name) for name in ("identity", "host", "container", "dir")),
            _security(record),
            _authentication(record),
            *(["yes" if record.get("active") else "no"] * has_active),
        ]
        for record in records
    ]
    return [Table("Connections", columns, rows)]


def links(source: Source, verbose: bool) -> list[Block]:
    """Every AMQP link of the router."""
    records = source.query(_TYPE + "router.link", _LINK_ATTRIBUTES)
    reported = records[0] if records else {}
    shown = [
        column
        for column in _LINK_COLUMNS
        if (not column.optional or column.optional in reported) and (verbose or not column.detail)
    ]
    rows = [[column.cell(record) for column in shown] for record in records]
    return [Table("Router Links", [column.heading for column in shown], rows)]


_LINK_ATTRIBUTES: Final = (
    "linkType",
    "linkDir",
    "connectionId",
    "identity",
    "owningAddr",
    "capacity",
    "undeliveredCount",
    "unsettledCount",
    "deliveryCount",
    "presettledCount",
    "droppedPresettledCount",
    "acceptedCount",
    "rejectedCount",
    "releasedCount",
    "modifiedCount",
    "deliveriesDelayed1Sec",
    "deliveriesDelayed10Sec",
    "deliveriesStuck",
    "creditAvailable",
    "zeroCreditSeconds",
    "adminStatus",
    "operStatus",
    "linkName",
    "priority",
    "settleRate",
)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the table of links. ``optional`` names the attribute without which it is left out."""

    heading: str
    cell: Callable[[Record], Any]
    optional: str = ""
    detail: bool = False


def _delayed(record: Record) -> int:
    return int(record.get("deliveriesDelayed1Sec") or 0) + int(record.get("deliveriesDelayed10Sec") or 0)


def _blocked(record: Record) -> str:
    seconds = record.get("zeroCreditSeconds") or 0
    return clock(seconds) if seconds > 0 else "-"


_LINK_COLUMNS: Final = (
    _Column("type", lambda link: link.get("linkType")),
    _Column("dir", lambda link: link.get("linkDir")),
    _Column("conn id", lambda link: link.get("connectionId")),
    _Column("id", lambda link: link.get("identity")),
    _Column("class", lambda link: _address_class(link.get("owningAddr"))),
    _Column("addr", lambda link: (link.get("owningAddr") or "")[1:]),
    _Column("cap", lambda link: link.get("capacity")),
    _Column("pri", lambda link: link.get("priority"), "priority"),
    _Column("undel", lambda link: link.get("undeliveredCount")),
    _Column("unsett", lambda link: link.get("unsettledCount")),
    _Column("deliv", lambda link: link.get("deliveryCount")),
    _Column("presett", lambda link: link.get("presettledCount")),
    _Column("psdrop", lambda link: link.get("droppedPresettledCount"), "droppedPresettledCount"),
    _Column("acc", lambda link: link.get("acceptedCount")),
    _Column("rej", lambda link: link.get("rejectedCount")),
    _Column("rel", lambda link: link.get("releasedCount")),
    _Column("mod", lambda link: link.get("modifiedCount")),
    _Column("delay", _delayed, "deliveriesDelayed1Sec"),
    _Column("rate", lambda link: link.get("settleRate"), "deliveriesDelayed1Sec"),
    _Column("stuck", lambda link: link.get("deliveriesStuck"), "deliveriesStuck"),
    _Column("cred", lambda link: link.get("creditAvailable"), "creditAvailable"),
    _Column("blkd", _blocked, "creditAvailable"),
    _Column("admin", lambda link: link.get("adminStatus"), detail=True),
    _Column("oper", lambda link: link.get("operStatus"), detail=True),
    _Column("name", lambda link: link.get("linkName"), detail=True),
)


def nodes(source: Source, verbose: bool) -> list[Block]:
    """The interior routers of the network."""
    records = sorted(source.query(_TYPE + "router.node"), key=lambda record: str(record.get("id")))
    if not records:
        return ["Router is Standalone - No Router List"]
    title = "Routers in the Network"
    changed = max(float(record.get("lastTopoChange") or 0) for record in records)
    if changed > 1.0:
        # In UTC, so that the times of far apart routers can be compared.
        title += time.strftime("\nLast Topology Change: %A %b %d %H:%M:%S %Y GMT", time.gmtime(changed))
    columns = ["router-id", "next-hop", "link"]
    columns += ["ver", "cost", "neighbors", "valid-origins"] * verbose
    rows = []
    for record in records:
        hop = record.get("nextHop")
        row = [record.get("id"), *((hop, "-") if hop is not None else ("-", record.get("routerLink")))]
        if verbose:
            row += [record.get("protocolVersion"), record.get("cost") or ""]
            row += [[str(router) for router in record.get(name) or ()] for name in ("linkState", "validOrigins")]
        rows.append(row)
    return [Table(title, columns, rows)]


def addresses(source: Source, verbose: bool) -> list[Block]:
    """The addresses that the router knows."""
    names = (
        *("distribution", "inProcess", "subscriberCount", "remoteCount", "deliveriesIngress", "deliveriesEgress"),
        *("deliveriesTransit", "deliveriesToContainer", "deliveriesFromContainer", "name", "priority", "watch"),
    )
    records = source.query(_TYPE + "router.address", names)
    has_priority = bool(records) and "priority" in records[0]
    columns = ["class", "addr", "distrib", *(["pri"] * has_priority), *(["in-proc"] * verbose)]
    columns += ["local", "remote", "in", "out", "thru", *(["to-proc", "from-proc", "watch"] * verbose)]
    rows = []
    for record in sorted(records, key=lambda record: str(record.get("name") or "")[1:]):
        priority = record.get("priority")
        row: list[Any] = [_address_class(record.get("name")), str(record.get("name") or "")[1:]]
        row.append(record.get("distribution"))
        row += [priority if priority is not None and priority >= 0 else "-"] * has_priority
        row += [commas(record.get("inProcess"))] * verbose
        row += [commas(record.get(name)) for name in ("subscriberCount", "remoteCount")]
        row += [commas(record.get(f"deliveries{way}")) for way in ("Ingress", "Egress", "Transit")]
        if verbose:
            row += [commas(record.get(f"deliveries{way}Container")) for way in ("To", "From")]
            row.append("Y" if record.get("watch") else "")
        rows.append(row)
    return [Table("Router Addresses", columns, rows)]


def auto_links(source: Source, verbose: bool) -> list[Block]:
    """The links that the router attaches by itself."""
    names = ("address", "direction", "externalAddress", "linkRef", "operStatus", "lastError")
    records = source.query(_TYPE + "router.config.autoLink", names)
    if not records:
        return ["AutoLinks\nNo AutoLinks found"]
    columns = ("addr", "dir", "extAddr", "link", "status", "lastErr")
    ordered = sorted(records, key=lambda record: str(record.get("address")))
    return [Table("AutoLinks", columns, [[record.get(name) for name in names] for record in ordered])]


def memory(source: Source, verbose: bool) -> list[Block]:
    """Use of memory by type of object, and as a whole."""
    names = (
        *("identity", "typeSize", "transferBatchSize", "localFreeListMax", "totalAllocFromHeap", "totalFreeToHeap"),
        *("heldByThreads", "batchesRebalancedToThreads", "batchesRebalancedToGlobal"),
    )
    rows = []
    pooled = 0
    for record in source.query(_TYPE + "allocator", names):
        if not record.get("totalAllocFromHeap"):
            continue  # this type is not used, or the router was built without statistics
        count = int(record["totalAllocFromHeap"]) - int(record.get("totalFreeToHeap") or 0)
        pooled += int(record.get("typeSize") or 0) * count
        row = [str(record.get("identity") or "-").partition("/")[2] or record.get("identity")]
        row += [commas(record.get("typeSize")), record.get("transferBatchSize"), commas(record.get("localFreeListMax"))]
        row += [commas(count), *(commas(record.get(name)) for name in names[-3:])]
        rows.append(row)
    if not rows:
        return ["No memory statistics available"]
    columns = ("type", "size", "batch", "thread-max", "total", "in-threads", "rebal-in", "rebal-out")
    router = source.query(ROUTER)[0]
    summary = {"VmSize": router.get("memoryUsage"), "RSS": router.get("residentMemoryUsage"), "Pooled": pooled}
    present = {heading: octets(value) for heading, value in summary.items() if value is not None}
    return [
        Table("Memory Pools", columns, sorted(rows, key=lambda row: str(row[0]))),
        Table("\nMemory Summary", tuple(present), [tuple(present.values())]),
    ]


def policy(source: Source, verbose: bool) -> list[Block]:
    """The policy and what it has denied."""
    record = source.query(_TYPE + "policy")[0]
    blocks: list[Block] = []
    for title, rows in _POLICY_TABLES:
        cells = [(heading, _or_nil(record[name])) for heading, name in rows if name in record]
        blocks.append(Table(title, ("attr", "value"), cells))
    return blocks


_POLICY_TABLES: Final = (
    (
        "Policy Configuration",
        (
            ("Maximum Concurrent Connections", "maxConnections"),
            ("Maximum Message Size", "maxMessageSize"),
            ("Enable Vhost Policy", "enableVhostPolicy"),
            ("Enable Vhost Name Patterns", "enableVhostNamePatterns"),
            ("Policy Directory", "policyDir"),
            ("Default Vhost", "defaultVhost"),
        ),
    ),
    (
        "\nPolicy Status",
        (
            ("Connections Processed", "connectionsProcessed"),
            ("Connections Denied", "connectionsDenied"),
            ("Connections Current", "connectionsCurrent"),
            ("Links Denied", "linksDenied"),
            ("Maximum Message Size Denied", "maxMessageSizeDenied"),
            ("Total Denials", "totalDenials"),
        ),
    ),
)


def log_lines(source: Source, verbose: bool) -> list[Block]:
    """The most recent log lines of the router."""
    return [f"{time.ctime(line[5])} {line[0]} ({line[1]}) {line[2]}" for line in source.log()]


def _security(record: Record) -> str:
    if not record.get("isEncrypted"):
        return "no-security"
    if record.get("sasl") == "GSSAPI":
        return "Kerberos"
    return f"{record.get('sslProto')}({record.get('sslCipher')})"


def _authentication(record: Record) -> str:
    if not record.get("isAuthenticated"):
        return "no-auth"
    mechanism = str(record.get("sasl"))
    if mechanism == "ANONYMOUS":
        return "anonymous-user"
    mechanism = {"GSSAPI": "Kerberos", "EXTERNAL": "x.509"}.get(mechanism, mechanism)
    return f"{record['user']}({mechanism})" if record.get("user") else mechanism


def _address_class(key: str | None) -> str:
    return _CLASSES.get(key[0], f"unknown: {key[0]}") if key else ""


def _or_nil(value: Any) -> Any:
    return "(nil)" if value == "" else value
