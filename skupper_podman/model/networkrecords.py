"""The records of the network status: sites, their routers, and what each router reports.

What always holds: a record is built of whatever a JSON object has, whoever wrote it: keys in any case, unknown ones
left out, values of a wrong type absent; written again, its keys are in the order of 1.9.

Format: the records of ``pkg/flow/record.go`` (writer) and ``pkg/network/types.go`` (reader) of Skupper 1.9.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self, TypeVar, overload


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
