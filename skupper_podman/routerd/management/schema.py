"""The management schema: which entity types there are, and what their attributes may be.

Validation turns the values of a configuration file or a CREATE request (JSON or AMQP values, often strings)
into values of the attribute's kind, with defaults filled in, so that the router never meets an invalid entity.

What always holds: the schema is a constant; `validate` returns a new dict and leaves its argument alone; an
attribute without value is absent from it, never None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

from skupper_podman.routerd.management.attributes import PREFIX, Attribute, EntityType, parse_table
from skupper_podman.routerd.management.configured_types import CONFIGURED_TYPES
from skupper_podman.routerd.management.runtime_types import RUNTIME_TYPES

_SEPARATORS: Final = re.compile(r"[ _-]")
_SEPARATED: Final = re.compile(r"[, ;:]+")
_LEVELS: Final = ("default", "none", "debug", "info", "warning", "error", "critical", "trace", "notice")
_NUMBERED: Final = frozenset({"router.config.address", "router.config.autoLink"})
_LISTENING: Final = frozenset({"listener", "connector", "tcpListener", "tcpConnector", "httpListener", "httpConnector"})
_RESERVED_PROPERTIES: Final = frozenset(
    {"product", "version", "failover-server-list", "network-host", "port", "scheme", "hostname"}
)


class SchemaError(ValueError):
    """Attributes that the schema does not allow. ``attribute`` is empty when no single one is at fault."""

    def __init__(self, entity_type: str, attribute: str, reason: str) -> None:
        where = f"{entity_type}: attribute '{attribute}'" if attribute else entity_type
        super().__init__(f"{where}: {reason}")
        self.entity_type = entity_type
        self.attribute = attribute
        self.reason = reason


class UnknownTypeError(SchemaError):
    """There is no entity type of this name."""


class MissingAttributeError(SchemaError):
    """A required attribute has no value."""


@cache
def entity_types() -> Mapping[str, EntityType]:
    """Every entity type by its short name."""
    return {table.name: parse_table(table) for table in (*CONFIGURED_TYPES, *RUNTIME_TYPES)}


@cache
def _names() -> Mapping[str, str]:
    """Every accepted spelling of a type's name, in lower case, to its short name."""
    spellings: dict[str, str] = {}
    for name in entity_types():
        short = name.removeprefix("router.config.")
        if name in ("router.link", "router.node"):
            short = name.removeprefix("router.")
        spellings |= dict.fromkeys((name.lower(), short.lower(), (PREFIX + name).lower()), name)
    return spellings


def find_type(name: str) -> EntityType:
    """The entity type of this name, short or full, in any case; raises UnknownTypeError.

    ``address`` and ``autoLink`` mean those of the configuration, ``link`` and ``node`` those of the router.
    """
    short = _names().get(name.lower())
    if short is None:
        raise UnknownTypeError(name, "", f"No such entity type '{name}'")
    return entity_types()[short]


def camel_case(name: str) -> str:
    """A kebab or snake case name in camel case; a camel case name stays."""
    first, *rest = _SEPARATORS.split(name)
    return first + "".join(word.capitalize() for word in rest)


def validate(entity_type: str, attributes: Mapping[str, object]) -> dict[str, Any]:
    """The attributes converted to their kinds, with defaults, ``type`` and, where they derive, name and identity.

    Raises UnknownTypeError, MissingAttributeError, or SchemaError naming the attribute. Values of None count as
    absent. Attributes that cannot be set are refused.
    """
    definition = find_type(entity_type)
    given = _known(definition, attributes)
    valid: dict[str, Any] = {}
    for attribute in definition.attributes.values():
        if attribute.name == "type":
            valid["type"] = definition.full_name
        elif attribute.name in given:
            valid[attribute.name] = _converted(definition, attribute, given[attribute.name])
        elif attribute.default is not None:
            valid[attribute.name] = attribute.default
        elif attribute.required:
            raise MissingAttributeError(definition.name, attribute.name, "is required")
    _check(definition, valid)
    _identify(definition, valid)
    return valid


def convert_updates(
    entity_type: str, attributes: Mapping[str, object], current: Mapping[str, object]
) -> dict[str, Any]:
    """The attributes of an UPDATE converted to their kinds, without those that keep their current value.

    Raises SchemaError for an unknown attribute, an invalid value, or a change of an attribute that cannot change.
    """
    definition = find_type(entity_type)
    changes: dict[str, Any] = {}
    for name, value in attributes.items():
        attribute = definition.attribute(name)
        if attribute is None:
            raise SchemaError(definition.name, name, "is unknown")
        if value is None or (name == "type" and _same_type(value, definition)):
            continue
        converted = _converted(definition, attribute, value)
        if attribute.update:
            changes[attribute.name] = converted
        elif current.get(attribute.name) != converted:
            raise SchemaError(definition.name, name, "cannot be changed by UPDATE")
    if changes and definition.name != "log":  # whose levels the log itself refuses, with another status
        _check(definition, {**current, **changes})
    return changes


def check_role(mode: str, entity_type: str, attributes: Mapping[str, object]) -> None:
    """Refuse a listener or connector whose role a router of this mode cannot have; raises SchemaError."""
    if entity_type not in ("listener", "connector"):
        return
    role = attributes.get("role")
    reason = ""
    if mode == "standalone" and role in ("inter-router", "edge"):
        reason = f"must not be '{role}' in a router of mode 'standalone'"
    elif mode != "interior" and role == "inter-router":
        reason = f"may be 'inter-router' only in a router of mode 'interior', not '{mode}'"
    elif mode == "edge" and role == "edge" and entity_type == "listener":
        reason = "may be 'edge' for a listener only in a router of mode 'interior', not 'edge'"
    if reason:
        raise SchemaError(entity_type, "role", reason)


def dump() -> dict[str, Any]:
    """The whole schema as a JSON-friendly map, as GET-SCHEMA answers it."""
    return {
        "prefix": PREFIX.rstrip("."),
        "entityTypes": {
            definition.name.removeprefix("router.config."): {
                "attributes": {
                    attribute.name: _dump_attribute(attribute)
                    for attribute in definition.attributes.values()
                    if attribute.name != "type" and attribute.declared
                },
                "operations": list(definition.operations),
                "description": definition.description,
                "fullyQualifiedType": definition.full_name,
                **({"singleton": True} if definition.singleton else {}),
            }
            for definition in entity_types().values()
        },
    }


def _dump_attribute(attribute: Attribute) -> dict[str, Any]:
    kind: Any = list(attribute.tags) if attribute.tags else attribute.kind
    dumped: dict[str, Any] = {"type": "integer" if kind in ("int", "uint", "ulong") else kind}
    if attribute.default is not None:
        dumped["default"] = attribute.default
    for flag in ("required", "create", "update"):
        if getattr(attribute, flag):
            dumped[flag] = True
    if attribute.name in ("name", "identity"):
        dumped["unique"] = True
    return dumped


def _known(definition: EntityType, attributes: Mapping[str, object]) -> dict[str, object]:
    given: dict[str, object] = {}
    for name, value in attributes.items():
        attribute = definition.attribute(name)
        if attribute is None:
            raise SchemaError(definition.name, name, "is unknown")
        if name == "type":
            if not _same_type(value, definition):
                raise SchemaError(definition.name, name, f"must be {definition.full_name}, not {value!r}")
            continue
        if value is None:
            continue
        if not attribute.create:
            raise SchemaError(definition.name, name, "cannot be set")
        if attribute.name in given:
            raise SchemaError(definition.name, name, f"is given twice, also as '{attribute.alias}'")
        given[attribute.name] = value
    return given


def _same_type(value: object, definition: EntityType) -> bool:
    return isinstance(value, str) and _names().get(value.lower()) == definition.name


def _converted(definition: EntityType, attribute: Attribute, value: object) -> Any:
    try:
        return attribute.convert(value)
    except ValueError as error:
        shown = "has an invalid value" if attribute.hidden else str(error)
        raise SchemaError(definition.name, attribute.name, shown) from None


def _identify(definition: EntityType, valid: dict[str, Any]) -> None:
    """Set identity and default name. Types numbered by the router get theirs when they are created."""
    if definition.name in _NUMBERED:
        return
    if definition.name == "router":
        valid["identity"] = "1"
        if "id" in valid:
            valid.setdefault("name", valid["id"])
        return
    short = definition.name
    identifier = valid.get("name")
    if short in _LISTENING:
        identifier = ":".join(
            str(part) for part in (valid["host"], valid["port"], valid.get("name")) if part is not None
        )
    elif short in ("log", "vhost"):
        identifier = valid["module" if short == "log" else "hostname"]
    elif short == "policy":
        identifier = "None"  # there is one, and it is named after no module
    valid["identity"] = f"{short}/{identifier}" if identifier is not None else short
    valid.setdefault("name", valid["identity"])


def _check(definition: EntityType, valid: Mapping[str, Any]) -> None:
    check = _CHECKS.get(definition.name)
    if check is not None:
        check(valid)


def _check_router(valid: Mapping[str, Any]) -> None:
    router_id = valid.get("id", "")
    bad = [char for char in router_id if char in "|$" or char.isspace() or not char.isprintable()]
    if bad:
        raise SchemaError("router", "id", f"must not contain {bad[0]!r}")
    count = valid["dataConnectionCount"]
    if count != "auto" and not (count.isascii() and count.isdigit()):
        raise SchemaError("router", "dataConnectionCount", f"must be 'auto' or a number, not {count!r}")


def _check_open_properties(valid: Mapping[str, Any]) -> None:
    kind = valid["type"].removeprefix(PREFIX)
    properties = valid.get("openProperties")
    if not properties:
        return
    for key in properties:
        if key in _RESERVED_PROPERTIES or key.startswith(("qd.", "x-opt-qd.")):
            raise SchemaError(kind, "openProperties", f"must not contain the reserved key '{key}'")
    if valid["role"] in ("inter-router", "edge"):
        raise SchemaError(kind, "openProperties", f"is not allowed with role '{valid['role']}'")


def _check_address(valid: Mapping[str, Any]) -> None:
    if ("prefix" in valid) == ("pattern" in valid):
        raise SchemaError("router.config.address", "prefix", "must be given, or else 'pattern', but not both")


def _check_auto_link(valid: Mapping[str, Any]) -> None:
    if "connection" in valid and "containerId" in valid:
        raise SchemaError("router.config.autoLink", "connection", "must not be given together with 'containerId'")


def _check_log(valid: Mapping[str, Any]) -> None:
    for word in _SEPARATED.split(valid.get("enable") or ""):
        asked = word.lower().removesuffix("+")
        if word and not (asked and any(level.startswith(asked) for level in _LEVELS)):
            raise SchemaError("log", "enable", f"must be a list of log levels; '{word}' is none")


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], None]]] = {
    "router": _check_router,
    "listener": _check_open_properties,
    "connector": _check_open_properties,
    "router.config.address": _check_address,
    "router.config.autoLink": _check_auto_link,
    "log": _check_log,
}


def check_unique(entities: Iterable[Mapping[str, Any]], new: Mapping[str, Any]) -> None:
    """Refuse an entity whose name, identity, or address prefix or pattern another of its type has."""
    kind = find_type(str(new["type"]))
    for present in entities:
        if kind.singleton:
            raise SchemaError(kind.name, "", "there can be only one")
        for name in ("name", "identity", "prefix", "pattern"):
            if new.get(name) is None or present.get(name) != new[name]:
                continue
            if kind.core:
                taken = "Name conflicts with an existing entity" if name == "name" else "Already exists"
                raise SchemaError(kind.name, name, taken)
            raise SchemaError(kind.name, name, f"must not be '{new[name]}', the {name} of another {kind.name}")
