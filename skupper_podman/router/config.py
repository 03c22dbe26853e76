"""The router configuration document ``skrouterd.json`` as a value.

Skupper 1.9 keeps a router's configuration as a JSON array of ``[type, attributes]`` pairs, and its Go
command line rewrites that file from its own model. This module reads and writes the same document, so
that either program may rewrite what the other wrote.

What always holds: a ``RouterConfig`` never changes after it was made; an operation returns a new one.
Entities of one type have distinct keys. Attributes and entity types that 1.9 does not know survive a
rewrite. Nothing here reads a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from skupper_podman.errors import SkupperError

JsonValue = None | bool | int | float | str | list[Any] | dict[str, Any]

TYPE_ORDER: Final = (
    "router",
    "sslProfile",
    "connector",
    "listener",
    "address",
    "tcpConnector",
    "tcpListener",
    "httpConnector",
    "httpListener",
    "log",
)
"""Order of the entity types in the document; types that 1.9 does not know follow after them."""

BRIDGE_TYPES: Final = ("tcpConnector", "tcpListener", "httpConnector", "httpListener")
"""The entity types that carry a service's traffic."""

_KEY_ATTRIBUTE: Final = {"address": "prefix", "log": "module"}

_NUMBERS: Final = {
    "listener": frozenset({"port", "cost", "linkCapacity", "maxFrameSize", "maxSessionFrames"}),
    "connector": frozenset({"cost", "linkCapacity", "maxFrameSize", "maxSessionFrames"}),
}
_BOOLEANS: Final = {
    "router": frozenset({"dropTcpConnections"}),
    "listener": frozenset({"routeContainer", "http", "authenticatePeer", "websockets", "healthz", "metrics"}),
    "connector": frozenset({"routeContainer", "verifyHostname"}),
    "tcpConnector": frozenset({"verifyHostname"}),
    "tcpListener": frozenset({"verifyHostname"}),
    "httpConnector": frozenset({"verifyHostname", "eventChannel"}),
    "httpListener": frozenset({"verifyHostname", "eventChannel"}),
}
_BRIDGE_STRINGS: Final = frozenset({"name", "host", "port", "address", "siteId", "sslProfile"})
_HTTP_STRINGS: Final = _BRIDGE_STRINGS | {"protocolVersion", "aggregation", "hostOverride"}
_STRINGS: Final = {
    "router": frozenset({"id", "mode", "helloMaxAgeSeconds", "dataConnectionCount", "metadata"}),
    "sslProfile": frozenset({"name", "certFile", "privateKeyFile", "caCertFile"}),
    "connector": frozenset({"name", "role", "host", "port", "sslProfile"}),
    "listener": frozenset({"name", "role", "host", "sslProfile", "saslMechanisms", "httpRootDir"}),
    "address": frozenset({"prefix", "distribution"}),
    "tcpConnector": _BRIDGE_STRINGS,
    "tcpListener": _BRIDGE_STRINGS,
    "httpConnector": _HTTP_STRINGS,
    "httpListener": _HTTP_STRINGS,
    "log": frozenset({"module", "enable"}),
}
_EMPTY_KEPT: Final = frozenset(
    {("listener", "port"), ("connector", "host"), ("connector", "port"), ("log", "module"), ("log", "enable")}
)
# The router's default for these is true, so that leaving out an explicit false would turn it around.
# 1.9 does leave it out for listeners and connectors; it never writes one, so both agree on its own files.
_FALSE_KEPT: Final = frozenset({"verifyHostname", "websockets", "healthz", "metrics"})

_TRUE_WORDS: Final = frozenset({"yes", "true", "on", "1"})
_FALSE_WORDS: Final = frozenset({"no", "false", "off", "0"})


class RouterConfigError(SkupperError):
    """The router configuration is not a document this program can read, or an entity is absent or already there."""


@dataclass(frozen=True, slots=True)
class SiteMetadata:
    """What a router says about its site, in the string attribute ``router.metadata``."""

    id: str = ""
    version: str = ""
    platform: str = ""

    @classmethod
    def parse(cls, text: str) -> SiteMetadata:
        """Read the attribute; text that is not a JSON object is the bare site id of old routers."""
        try:
            value = json.loads(text)
        except ValueError:
            return cls(id=text)
        if not isinstance(value, dict):
            return cls(id=text)
        return cls(*(str(value.get(name) or "") for name in ("id", "version", "platform")))

    def dump(self) -> str:
        """The attribute's text: a compact JSON object in the order id, version, platform; empty parts left out."""
        parts = {"id": self.id, "version": self.version, "platform": self.platform}
        return _go_json({name: value for name, value in parts.items() if value}, indent=None)


@dataclass(frozen=True, slots=True)
class Entity:
    """One ``[type, attributes]`` pair. Make it with :meth:`of`, which brings attributes into 1.9's form."""

    type: str
    attributes: Mapping[str, JsonValue]

    @classmethod
    def of(cls, entity_type: str, attributes: Mapping[str, JsonValue]) -> Entity:
        """An entity with JSON kinds as 1.9 writes them; known attributes that are empty, zero or false are left out."""
        kept = {}
        for name, value in attributes.items():
            normal = _kind(entity_type, name, value)
            if not _is_omitted(entity_type, name, normal):
                kept[name] = normal
        if entity_type == "listener" and not kept.get("name"):
            kept["name"] = f"{kept.get('host') or ''}@{kept.get('port', 0)}"
        return cls(entity_type, MappingProxyType(kept))

    @property
    def key(self) -> str | None:
        """What tells it from others of its type: name, prefix or module; None when it has no such attribute."""
        if self.type == "router":
            return ""
        value = self.attributes.get(_KEY_ATTRIBUTE.get(self.type, "name"))
        return None if value is None else str(value)

    def get(self, name: str, default: JsonValue = None) -> Any:
        """The attribute's value, or ``default``."""
        return self.attributes.get(name, default)

    def text(self, name: str) -> str:
        """The attribute as text, empty when it is absent."""
        value = self.attributes.get(name)
        return "" if value is None else str(value)

    def changed(self, **attributes: JsonValue) -> Entity:
        """The same entity with these attributes set; a value of None removes the attribute."""
        merged = {**self.attributes, **attributes}
        return Entity.of(self.type, {name: value for name, value in merged.items() if value is not None})

    def as_list(self) -> list[Any]:
        """The pair as it stands in the document, attributes in the order 1.9 writes them."""
        first = ("module", "enable") if self.type == "log" else ()
        names = [name for name in first if name in self.attributes]
        names += sorted(name for name in self.attributes if name not in first)
        return [self.type, {name: self.attributes[name] for name in names}]


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """The whole document: entities in document order, at most one of each type and key."""

    entities: tuple[Entity, ...] = field(default=())

    @classmethod
    def of(cls, entities: Iterable[Entity]) -> RouterConfig:
        """A document of these entities; of two with the same type and key the later one counts."""
        config = cls()
        for entity in entities:
            config = config.put(entity)
        return config

    @classmethod
    def parse(cls, text: str) -> RouterConfig:
        """Read the JSON document; raises RouterConfigError naming the element that is wrong."""
        try:
            elements = json.loads(text)
        except ValueError as error:
            raise RouterConfigError(f"Invalid JSON for router configuration: {error}") from error
        if not isinstance(elements, list):
            raise RouterConfigError("Invalid JSON for router configuration, expected an array at top level")
        return cls.of(_parse_element(index, element) for index, element in enumerate(elements))

    def dump(self) -> str:
        """The document's text in 1.9's layout: indented by 4 spaces, no newline at the end."""
        rank = {name: index for index, name in enumerate(TYPE_ORDER)}
        ordered = sorted(self.entities, key=lambda entity: rank.get(entity.type, len(rank)))
        return _go_json([entity.as_list() for entity in ordered], indent=4)

    def __iter__(self) -> Iterator[Entity]:
        return iter(self.entities)

    def of_type(self, *types: str) -> tuple[Entity, ...]:
        """All entities of these types, in document order."""
        return tuple(entity for entity in self.entities if entity.type in types)

    def get(self, entity_type: str, key: str) -> Entity | None:
        """The entity of this type and key, or None."""
        for entity in self.entities:
            if entity.type == entity_type and entity.key == key:
                return entity
        return None

    def put(self, entity: Entity) -> RouterConfig:
        """With this entity, in the place of the one of the same key if there is one. One without a key is appended."""
        if entity.key is not None:
            for index, present in enumerate(self.entities):
                if present.type == entity.type and present.key == entity.key:
                    return RouterConfig((*self.entities[:index], entity, *self.entities[index + 1 :]))
        return RouterConfig((*self.entities, entity))

    def put_all(self, entities: Iterable[Entity]) -> RouterConfig:
        """:meth:`put` for each."""
        config = self
        for entity in entities:
            config = config.put(entity)
        return config

    def add(self, entity: Entity) -> RouterConfig:
        """With this new entity; raises RouterConfigError when its key is taken."""
        if entity.key is not None and self.get(entity.type, entity.key) is not None:
            raise RouterConfigError(f"The router configuration already has a {entity.type} named {entity.key!r}")
        return self.put(entity)

    def replace(self, entity: Entity) -> RouterConfig:
        """With this entity instead of the one of its key; raises RouterConfigError when there is none."""
        if entity.key is None or self.get(entity.type, entity.key) is None:
            raise RouterConfigError(f"The router configuration has no {entity.type} named {entity.key!r}")
        return self.put(entity)

    def remove(self, entity_type: str, key: str) -> RouterConfig:
        """Without the entity of this type and key; the same document when there is none."""
        kept = tuple(entity for entity in self.entities if entity.type != entity_type or entity.key != key)
        return self if len(kept) == len(self.entities) else RouterConfig(kept)

    @property
    def router(self) -> Entity:
        """The router entity; an empty one when the document has none."""
        return self.get("router", "") or Entity.of("router", {})

    @property
    def router_id(self) -> str:
        """The router's id."""
        return self.router.text("id")

    @property
    def is_edge(self) -> bool:
        """Whether this is an edge router's configuration."""
        return self.router.text("mode") == "edge"

    @property
    def site(self) -> SiteMetadata:
        """The site this router belongs to."""
        return SiteMetadata.parse(self.router.text("metadata"))

    def with_site(self, site: SiteMetadata) -> RouterConfig:
        """With another site document in ``router.metadata``."""
        return self.put(self.router.changed(metadata=site.dump()))


def _parse_element(index: int, element: object) -> Entity:
    where = f"element {index + 1}"
    if not isinstance(element, list) or len(element) != 2:
        raise RouterConfigError(f"Invalid router configuration: {where} is not an array of type and attributes")
    entity_type, attributes = element
    if not isinstance(entity_type, str):
        raise RouterConfigError(f"Invalid router configuration: the type of {where} is not a string")
    if not isinstance(attributes, dict):
        raise RouterConfigError(f"Invalid router configuration: the attributes of {where} are not an object")
    return Entity.of(entity_type, attributes)


def _kind(entity_type: str, name: str, value: JsonValue) -> JsonValue:
    """The value in the JSON kind that 1.9 writes and reads for this attribute, where it can be converted."""
    if name in _STRINGS.get(entity_type, ()):
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if name in _NUMBERS.get(entity_type, ()):
        return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if name in _BOOLEANS.get(entity_type, ()) and isinstance(value, str):
        word = value.lower()
        if word in _TRUE_WORDS | _FALSE_WORDS:
            return word in _TRUE_WORDS
    return value


def _is_omitted(entity_type: str, name: str, value: JsonValue) -> bool:
    if (entity_type, name) in _EMPTY_KEPT or value:
        return False
    if value is False and name in _FALSE_KEPT:
        return False
    return any(name in kinds.get(entity_type, ()) for kinds in (_STRINGS, _NUMBERS, _BOOLEANS))


def _whole(value: Any) -> Any:
    """Floats without a fraction as integers: Go prints 1.0 as 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return value


def _go_json(value: Any, *, indent: int | None) -> str:
    """JSON text as Go's encoder writes it: non-ASCII as it is, the characters special to HTML escaped."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(_whole(value), ensure_ascii=False, indent=indent, separators=separators)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
