"""From records to the network status document.

Why: the record store knows what exists; readers want it grouped by site and router, with services counted and servers
named.

What always holds: the document is a function of the records alone, so equal records give equal documents, also after a
restart of the collector; a record whose parent is unknown is left out and hides nothing else.

Rules: ``NetworkStatus`` and the association rules of ``pkg/flow`` in Skupper 1.9.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from skupper_podman.controller.store import RecordStore
from skupper_podman.model.flow import Attribute, Record, RecordType
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.networkrecords import (
    Address,
    Connector,
    Link,
    Listener,
    Router,
    RouterStatus,
    Site,
    SiteStatus,
)

#: Identities of addresses are names in this namespace, so that all our collectors agree on them.
_ADDRESSES: Final = uuid.UUID("8a6e5a0e-3f0b-5d3c-9a57-5c0f4c1f7f3b")


def address_identity(name: str) -> str:
    """Identity of the address ``<service>:<port>``."""
    return str(uuid.uuid5(_ADDRESSES, name))


@dataclass(frozen=True, slots=True)
class _Processes:
    """Where the processes of each site can be found: by (site, IP address) and by (site, host name)."""

    by_ip: Mapping[tuple[str, str], Record]
    by_name: Mapping[tuple[str, str], Record]

    @classmethod
    def of(cls, records: Iterable[Record]) -> _Processes:
        by_ip: dict[tuple[str, str], Record] = {}
        by_name: dict[tuple[str, str], Record] = {}
        for process in records:
            ip = _ip(process.text(Attribute.SOURCE_HOST))
            if ip:
                by_ip.setdefault((process.parent, ip), process)
            host = process.text(Attribute.HOST_NAME)
            if host:
                by_name.setdefault((process.parent, host), process)
        return cls(by_ip, by_name)

    def behind(self, site: str, host: str) -> Record | None:
        """The process that a connector of the site with this target host leads to."""
        ip = _ip(host)
        if ip and (site, ip) in self.by_ip:
            return self.by_ip[site, ip]
        return self.by_name.get((site, host))


def _ip(host: str) -> str:
    """Canonical text of an IP address, empty for anything else."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""


def build(store: RecordStore) -> NetworkStatus:
    """The document of everything in the store."""
    children: defaultdict[tuple[str, RecordType], list[Record]] = defaultdict(list)
    for record_type in (RecordType.ROUTER, RecordType.LINK, RecordType.LISTENER, RecordType.CONNECTOR):
        for record in store.of_type(record_type):
            children[record.parent, record_type].append(record)
    processes = _Processes.of(store.of_type(RecordType.PROCESS))
    sites = tuple(
        SiteStatus(
            site,
            tuple(
                _router_status(router, site.identity, children, processes)
                for router in children.get((site.identity, RecordType.ROUTER), ())
            ),
        )
        for site in _sites(store)
    )
    return NetworkStatus(_addresses(sites), sites)


def _sites(store: RecordStore) -> list[Site]:
    """Reported sites, and one for every gateway: a gateway's router has no controller to report for it."""
    sites = {record.identity: Site.from_json(record.to_json()) for record in store.of_type(RecordType.SITE)}
    for router in store.of_type(RecordType.ROUTER):
        kind, _, rest = router.parent.partition("_")
        name = rest.partition("_")[0]
        if kind == "gateway" and name and router.parent not in sites:
            sites[router.parent] = Site(
                record_type=RecordType.SITE.name,
                identity=router.parent,
                start_time=router.start_time,
                name=name,
                namespace=f"gateway-{name}",
            )
    return list(sites.values())


def _router_status(
    router: Record,
    site: str,
    children: Mapping[tuple[str, RecordType], list[Record]],
    processes: _Processes,
) -> RouterStatus:
    def of(record_type: RecordType) -> list[Record]:
        return children.get((router.identity, record_type), [])

    return RouterStatus(
        Router.from_json(router.to_json()),
        tuple(Link.from_json(link.to_json()) for link in of(RecordType.LINK)),
        tuple(_listener(listener) for listener in of(RecordType.LISTENER)),
        tuple(_connector(connector, site, processes) for connector in of(RecordType.CONNECTOR)),
    )


def _listener(record: Record) -> Listener:
    listener = Listener.from_json(record.to_json())
    return replace(listener, address_id=address_identity(listener.address)) if listener.address else listener


def _connector(record: Record, site: str, processes: _Processes) -> Connector:
    connector = Connector.from_json(record.to_json())
    if connector.address:
        connector = replace(connector, address_id=address_identity(connector.address))
    process = processes.behind(site, connector.host)
    if process is None:
        return connector
    return replace(connector, target=process.text(Attribute.NAME), process_id=process.identity)


def _addresses(sites: Iterable[SiteStatus]) -> tuple[Address, ...]:
    """Every address that some router of a known site listens or connects for, counted over the network."""
    listeners: defaultdict[str, list[Listener]] = defaultdict(list)
    connectors: defaultdict[str, list[Connector]] = defaultdict(list)
    for site in sites:
        for router in site.routers:
            for listener in router.listeners:
                listeners[listener.address].append(listener)
            for connector in router.connectors:
                connectors[connector.address].append(connector)
    addresses = []
    for name in sorted((listeners.keys() | connectors.keys()) - {""}):
        ends: list[Listener | Connector] = [*listeners[name], *connectors[name]]
        addresses.append(
            Address(
                record_type=RecordType.ADDRESS.name,
                identity=address_identity(name),
                start_time=min(end.start_time for end in ends),
                name=name,
                protocol=next((end.protocol for end in ends if end.protocol), ""),
                listener_count=len(listeners[name]),
                connector_count=len(connectors[name]),
            )
        )
    return tuple(addresses)
