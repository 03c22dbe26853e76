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

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self, TypeVar, overload

from skupper_podman.errors import InvalidError

#: Name of the status file, and of the volume (or ConfigMap) it lives in without its suffix.
STATUS_FILE: Final = "skupper-network-status.json"
OUTGOING: Final = "outgoing"
INCOMING: Final = "incoming"


class NetworkStatusError(InvalidError):
    """The text is not a network status document."""


def _json(name: str, default: Any = "", *, always: bool = False) -> Any:
    """A field that is called ``name`` in JSON and left out when it has its default, unless ``always``."""
    return field(default=default, metadata={"json": name, "always": always})


_NOTHING: Final[tuple[str, type[Any]]] = ("", object)


@functools.cache
def _known(cls: Any) -> dict[str, tuple[str, type[Any]]]:
    """For each key of a record, as written and in lower case, its field and type."""
    known = {}
    for item in fields(cls):
        key = item.metadata["json"]
        known[key] = known[key.lower()] = (item.name, type(item.default))
    return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What every record of the document has. Times are microseconds since the epoch; ``end_time`` 0 means alive."""

    record_type: str = _json("recType")
    identity: str = _json("identity")
    parent: str = _json("parent")
    start_time: int = _json("startTime", 0, always=True)
    end_time: int = _json("endTime", 0, always=True)
    purged: bool = _json("purged", False)
    #: event source that reported it
    source: str = _json("source")

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Build from a JSON object; what is missing or of a wrong type has its default."""
        if not isinstance(document, Mapping):
            return cls()
        # A network of a hundred sites has tens of thousands of records, so only the keys that are there are looked at.
        known = _known(cls)  # type: ignore[arg-type]  # a class can be hashed
        values: dict[str, Any] = {}
        for key, value in document.items():
            # Go readers match keys without case, so writers of both ``nameSpace`` and ``namespace`` exist.
            name, kind = known.get(key) or known.get(str(key).lower(), _NOTHING)
            if type(value) is kind:
                values[name] = value
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """JSON object with the keys in the writer's order; fields with default values are left out."""
        document: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata["always"] or value != item.default:
                document[item.metadata["json"]] = value
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(Entity):
    """A site. ``namespace`` is empty for Podman sites, ``version`` is that of the program that runs the site."""

    location: str = _json("location")
    provider: str = _json("provider")
    platform: str = _json("platform")
    name: str = _json("name")
    namespace: str = _json("nameSpace", always=True)
    version: str = _json("siteVersion")
    minimum_version: str = _json("minimumVersion")
    policy: str = _json("policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Router(Entity):
    """A router of a site. ``name`` is ``<area>/<router id>``."""

    name: str = _json("name")
    namespace: str = _json("namespace")
    mode: str = _json("mode")
    image_name: str = _json("imageName")
    image_version: str = _json("imageVersion")
    hostname: str = _json("hostname")
    build_version: str = _json("buildVersion")

    @property
    def id(self) -> str:
        """Router id: the name without its area."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Entity):
    """A router-to-router link, as seen by one end. ``name`` is the router id of the other end."""

    mode: str = _json("mode")
    name: str = _json("name")
    cost: int = _json("linkCost", 0)
    direction: str = _json("direction")

    @property
    def peer(self) -> str:
        """Router id of the other end."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener(Entity):
    """A place where a service can be called. ``address`` is ``<service>:<port>``."""

    name: str = _json("name")
    host: str = _json("destHost")
    port: str = _json("destPort")
    protocol: str = _json("protocol")
    address: str = _json("address")
    flow_count_l4: int = _json("flowCountL4", 0)
    flow_rate_l4: int = _json("flowRateL4", 0)
    flow_count_l7: int = _json("flowCountL7", 0)
    flow_rate_l7: int = _json("flowRateL7", 0)
    address_id: str = _json("addressId")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector(Entity):
    """A server of a service. ``target`` is the name of the process behind it, if known."""

    host: str = _json("destHost")
    port: str = _json("destPort")
    protocol: str = _json("protocol")
    address: str = _json("address")
    flow_count_l4: int = _json("flowCountL4", 0)
    flow_rate_l4: int = _json("flowRateL4", 0)
    flow_count_l7: int = _json("flowCountL7", 0)
    flow_rate_l7: int = _json("flowRateL7", 0)
    target: str = _json("target")
    process_id: str = _json("processId")
    address_id: str = _json("addressId")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(Entity):
    """A service port of the network. ``name`` is ``<service>:<port>``; the counts are network-wide."""

    name: str = _json("name")
    protocol: str = _json("protocol")
    listener_count: int = _json("listenerCount", 0, always=True)
    connector_count: int = _json("connectorCount", 0, always=True)


_Entity = TypeVar("_Entity", bound=Entity)


class Records(Sequence[_Entity]):
    """Records of a document, each built when it is first looked at: few who read of a network need all of them."""

    __slots__ = ("_built", "_documents", "_kind")

    def __init__(self, kind: type[_Entity], documents: Sequence[Mapping[str, Any]]) -> None:
        self._kind = kind
        self._documents = documents
        self._built: tuple[_Entity, ...] | None = None

    def _all(self) -> tuple[_Entity, ...]:
        if self._built is None:
            self._built = tuple(map(self._kind.from_json, self._documents))
        return self._built

    def __len__(self) -> int:
        return len(self._documents)

    @overload
    def __getitem__(self, index: int) -> _Entity: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[_Entity, ...]: ...
    def __getitem__(self, index: int | slice) -> _Entity | tuple[_Entity, ...]:
        return self._all()[index]

    def __iter__(self) -> Iterator[_Entity]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, Records) else other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """A router with what it reports."""

    router: Router
    links: tuple[Link, ...] = ()
    listeners: Sequence[Listener] = ()
    connectors: Sequence[Connector] = ()


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """A site with its routers."""

    site: Site
    routers: tuple[RouterStatus, ...] = ()

    @property
    def displayable_routers(self) -> tuple[RouterStatus, ...]:
        """The routers to show for the site.

        On Kubernetes those whose id starts with the site's name, on Podman the one whose id equals it, and gateways;
        this hides the proxies of single services. A site with none of these shows its interior routers, or else all:
        a network with an unusual site in it can still be displayed.
        """
        chosen = tuple(status for status in self.routers if self._is_displayable(status.router))
        if chosen or not self.routers:
            return chosen
        return tuple(status for status in self.routers if status.router.mode == "interior") or self.routers

    def _is_displayable(self, router: Router) -> bool:
        if router.id.startswith("skupper-gateway"):
            return True
        if not self.site.name:
            return False
        if self.site.platform == "kubernetes":
            return router.id.startswith(self.site.name)
        return self.site.platform == "podman" and router.id == self.site.name


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
