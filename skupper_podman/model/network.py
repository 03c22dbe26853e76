"""The network status: every site of the network with its routers, links and services, as one site's collector sees it.

The site controller writes this document (``skupper-network-status.json``, on Kubernetes the ConfigMap
``skupper-network-status``), the status commands read it. Other Skupper 1.x programs read and write it too.

What always holds here: parsing is tolerant (null for an array, ``namespace`` for ``nameSpace``, unknown keys, values of
a wrong type count as absent) and fails only when the text is no JSON object; dumping is exact and its order is fixed,
so equal networks give equal bytes. Every answer is computed from the document alone, and a part that cannot be resolved
is reported as unknown: it never hides the rest.

Format: ``NetworkStatus`` of ``pkg/flow/record.go`` (writer) and ``pkg/network/types.go`` (reader) of Skupper 1.9.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from skupper_podman.errors import InvalidError
from skupper_podman.model.networkrecords import (
    Address,
    Connector,
    Link,
    Listener,
    Records,
    Router,
    RouterStatus,
    Site,
    SiteStatus,
)

#: Name of the status file, and of the volume (or ConfigMap) it lives in without its suffix.
STATUS_FILE: Final = "skupper-network-status.json"
OUTGOING: Final = "outgoing"
INCOMING: Final = "incoming"


class NetworkStatusError(InvalidError):
    """The text is not a network status document."""


@dataclass(frozen=True, slots=True)
class LinkedSite:
    """Another site that a site has links with.

    ``site`` is None when the peer router is in no known site yet. ``directions`` are seen from the asking site.
    ``routers`` are the peer router ids.
    """

    site: Site | None
    directions: tuple[str, ...]
    routers: tuple[str, ...]

    @property
    def direction(self) -> str:
        """``outgoing``, ``incoming``, or both joined when each site created a link to the other."""
        return ", ".join(self.directions)


@dataclass(frozen=True, slots=True)
class IncomingLink:
    """A link that another site created to this one. ``site`` is None when the peer is not known yet."""

    router: str
    mode: str
    cost: int
    site: Site | None


@dataclass(frozen=True, slots=True)
class Connections:
    """How many other sites there are; direct ones share a link with this site."""

    total: int
    direct: int

    @property
    def indirect(self) -> int:
        """Sites reached through others."""
        return max(0, self.total - self.direct)


@dataclass(frozen=True, slots=True)
class ServiceSite:
    """A site with a listener or connector of a service address."""

    site: Site
    listeners: tuple[Listener, ...]
    connectors: tuple[Connector, ...]


@dataclass(frozen=True, slots=True)
class _Edge:
    """One end's view of a link between two sites, resolved as far as possible."""

    link: Link
    owner: SiteStatus
    owner_router: str
    peer: SiteStatus | None


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """The whole document."""

    addresses: tuple[Address, ...] = ()
    sites: tuple[SiteStatus, ...] = ()
    #: sites by service address, made when first asked for
    _by_address: dict[str, tuple[ServiceSite, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def parse(cls, text: str | bytes) -> NetworkStatus:
        """Read a document.

        Raises:
            NetworkStatusError: the text is empty, no JSON, or no JSON object.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NetworkStatusError(f"invalid network status: {error}") from error
        if not isinstance(document, dict):
            raise NetworkStatusError("invalid network status: not a JSON object")
        return cls.from_json(document)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NetworkStatus:
        """Build from a decoded JSON object, tolerantly."""
        return cls(
            tuple(Address.from_json(item) for item in _objects(document, "addresses")),
            tuple(
                SiteStatus(
                    Site.from_json(item.get("site")),
                    tuple(_router_status(router) for router in _objects(item, "routerStatus")),
                )
                for item in _objects(document, "siteStatus")
            ),
        )

    def to_json(self, local_site: str = "") -> dict[str, Any]:
        """JSON object in a fixed order: the site with identity ``local_site`` first, then by name; null for none."""
        sites = sorted(
            self.sites, key=lambda status: (status.site.identity != local_site, status.site.name, status.site.identity)
        )
        return {
            "addresses": _ordered(self.addresses, lambda item: (item.name, item.identity)),
            "siteStatus": [
                {
                    "site": status.site.to_json(),
                    "routerStatus": [
                        _router_json(router)
                        for router in sorted(status.routers, key=lambda item: (item.router.name, item.router.identity))
                    ]
                    or None,
                }
                for status in sites
            ]
            or None,
        }

    def dump(self, local_site: str = "") -> str:
        """The document as one line of compact JSON, in the order of :meth:`to_json`."""
        return json.dumps(self.to_json(local_site), separators=(",", ":"), ensure_ascii=False)

    def site(self, identity: str) -> SiteStatus | None:
        """The site with this identity."""
        return next((status for status in self.sites if status.site.identity == identity), None)

    def sites_named(self, name: str) -> tuple[SiteStatus, ...]:
        """The sites with exactly this name."""
        return tuple(status for status in self.sites if status.site.name == name)

    def address(self, name: str) -> Address | None:
        """The address ``<service>:<port>``."""
        return next((address for address in self.addresses if address.name == name), None)

    def router_sites(self) -> dict[str, SiteStatus]:
        """Site of every router, by router id. A main router wins over a service's proxy of the same id."""
        sites: dict[str, SiteStatus] = {}
        for status in self.sites:
            for router in status.routers:
                sites.setdefault(router.router.id, status)
        for status in self.sites:
            for router in status.displayable_routers:
                sites[router.router.id] = status
        sites.pop("", None)
        return sites

    def links_to_other_sites(self, router: RouterStatus) -> tuple[Link, ...]:
        """The router's links without those that stay inside its site."""
        sites = self.router_sites()
        own = sites.get(router.router.id)
        return tuple(link for link in router.links if own is None or sites.get(link.peer) is not own)

    def linked_sites(self, identity: str) -> tuple[LinkedSite, ...]:
        """The sites that share a link with the given one, each once; known sites by name, then unknown peers.

        Uses the records of both ends, because the listening end of an edge link reports none.
        """
        directions: dict[str, set[str]] = {}
        routers: dict[str, set[str]] = {}
        known: dict[str, Site | None] = {}
        for edge in self._edges():
            for key, site, direction, router in _views(edge, identity):
                directions.setdefault(key, set()).add(direction)
                routers.setdefault(key, set()).add(router)
                known[key] = site
        linked = [
            LinkedSite(site, tuple(sorted(directions[key], reverse=True)), tuple(sorted(routers[key])))
            for key, site in known.items()
        ]
        return tuple(sorted(linked, key=_linked_order))

    def connections(self, identity: str) -> Connections:
        """How many other sites the given site has in its network, and how many of them it is linked with."""
        others = {status.site.identity for status in self.sites} - {identity}
        direct = {linked.site.identity for linked in self.linked_sites(identity) if linked.site is not None}
        return Connections(len(others), len(direct & others))

    def incoming_links(self, identity: str) -> tuple[IncomingLink, ...]:
        """The links other sites created to the given one, by peer router; edge sites included."""
        found: dict[str, IncomingLink] = {}
        for edge in self._edges():
            link = edge.link
            if edge.owner.site.identity == identity and link.direction == INCOMING:
                site = edge.peer.site if edge.peer else None
                found[link.peer] = IncomingLink(link.peer, link.mode, link.cost, site)
        for edge in self._edges():
            link = edge.link
            to_us = edge.peer is not None and edge.peer.site.identity == identity
            if to_us and link.direction == OUTGOING and edge.owner.site.identity != identity:
                found.setdefault(
                    edge.owner_router, IncomingLink(edge.owner_router, link.mode, link.cost, edge.owner.site)
                )
        return tuple(found[key] for key in sorted(found))

    def service_sites(self, address: str) -> tuple[ServiceSite, ...]:
        """The sites that have a listener or connector for ``<service>:<port>``, in document order."""
        if not self._by_address:
            self._by_address.update(self._index())
        return self._by_address.get(address, ())

    def _index(self) -> dict[str, tuple[ServiceSite, ...]]:
        found: dict[str, list[ServiceSite]] = {"": []}
        for status in self.sites:
            listeners: dict[str, list[Listener]] = {}
            connectors: dict[str, list[Connector]] = {}
            for router in status.routers:
                for listener in router.listeners:
                    listeners.setdefault(listener.address, []).append(listener)
                for connector in router.connectors:
                    connectors.setdefault(connector.address, []).append(connector)
            for address in listeners.keys() | connectors.keys():
                own = ServiceSite(status.site, tuple(listeners.get(address, ())), tuple(connectors.get(address, ())))
                found.setdefault(address, []).append(own)
        return {address: tuple(sites) for address, sites in found.items()}

    def _edges(self) -> Iterable[_Edge]:
        """All reported links that do not stay inside a site.

        On an edge site the router of each service has the site's links for itself; those are not links of the site.
        """
        sites = self.router_sites()
        for status in self.sites:
            for router in status.displayable_routers:
                for link in router.links:
                    peer = sites.get(link.peer)
                    if peer is None or peer.site.identity != status.site.identity:
                        yield _Edge(link, status, router.router.id, peer)


def _views(edge: _Edge, identity: str) -> Iterable[tuple[str, Site | None, str, str]]:
    """How the site ``identity`` sees a link: (key of the peer, peer site, direction, peer router)."""
    direction = edge.link.direction
    if edge.owner.site.identity == identity:
        if edge.peer is None:
            yield f"?{edge.link.peer}", None, direction, edge.link.peer
        else:
            yield edge.peer.site.identity, edge.peer.site, direction, edge.link.peer
    elif edge.peer is not None and edge.peer.site.identity == identity:
        opposite = INCOMING if direction == OUTGOING else OUTGOING
        yield edge.owner.site.identity, edge.owner.site, opposite, edge.owner_router


def _linked_order(linked: LinkedSite) -> tuple[bool, str, str, tuple[str, ...]]:
    if linked.site is None:
        return True, "", "", linked.routers
    return False, linked.site.name, linked.site.identity, linked.routers


def _objects(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The objects of an array that may be null, missing or contain other things."""
    value = document.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _router_status(document: Mapping[str, Any]) -> RouterStatus:
    return RouterStatus(
        Router.from_json(document.get("router")),
        tuple(Link.from_json(item) for item in _objects(document, "links")),
        Records(Listener, _objects(document, "listeners")),
        Records(Connector, _objects(document, "connectors")),
    )


def _router_json(status: RouterStatus) -> dict[str, Any]:
    return {
        "router": status.router.to_json(),
        "links": _ordered(status.links, lambda item: (item.name, item.identity)),
        "listeners": _ordered(status.listeners, lambda item: (item.address, item.name, item.identity)),
        "connectors": _ordered(status.connectors, lambda item: (item.address, item.host, item.port, item.identity)),
    }


def _ordered(entities: Iterable[Any], key: Any) -> list[dict[str, Any]] | None:
    return [entity.to_json() for entity in sorted(entities, key=key)] or None
