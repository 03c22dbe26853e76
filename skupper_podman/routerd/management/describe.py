"""What GET-TYPES, GET-OPERATIONS and GET-ATTRIBUTES tell of the schema, base types included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from skupper_podman.routerd.management.attributes import PREFIX
from skupper_podman.routerd.management.schema import entity_types, find_type
from skupper_podman.routerd.management.table import CONFIGURATION, OPERATIONAL

COMMON_ATTRIBUTES: Final = ("name", "identity", "type")
"""The attributes of every entity."""

_AMQP_OPERATIONS: Final = (
    "QUERY",
    "GET-TYPES",
    "GET-ANNOTATIONS",
    "GET-OPERATIONS",
    "GET-ATTRIBUTES",
    "GET-MGMT-NODES",
)
_NODE_OPERATIONS: Final = ("GET-SCHEMA", "GET-JSON-SCHEMA", "GET-LOG")


@dataclass(frozen=True, slots=True)
class Description:
    """One entity type as it is described to clients; names of types are short.

    What is described differs a little from what is reported, as in skupper-router: its schema lags behind its core.
    """

    name: str
    bases: tuple[str, ...]
    operations: tuple[str, ...]
    attributes: tuple[str, ...]

    def is_a(self, name: str) -> bool:
        """Whether it is of this type, or has it as a base."""
        return name in (self.name, *self.bases)


_BASE_TYPES: Final = (
    Description("entity", (), (), COMMON_ATTRIBUTES),
    Description("org.amqp.management", (OPERATIONAL, "entity"), (*_AMQP_OPERATIONS, "READ"), COMMON_ATTRIBUTES),
    Description(
        "management",
        ("org.amqp.management", OPERATIONAL, "entity"),
        (*_NODE_OPERATIONS, *_AMQP_OPERATIONS, "READ"),
        COMMON_ATTRIBUTES,
    ),
    Description(CONFIGURATION, ("entity",), ("READ",), COMMON_ATTRIBUTES),
    Description(OPERATIONAL, ("entity",), ("READ",), COMMON_ATTRIBUTES),
)


def descriptions() -> Mapping[str, Description]:
    """Every type by its short name, the base types first."""
    concrete = (
        Description(
            kind.name,
            (kind.base, "entity"),
            tuple(name for name in kind.operations if (kind.name, name) != ("connection", "UPDATE")),
            kind.declared,
        )
        for kind in entity_types().values()
    )
    return {described.name: described for described in (*_BASE_TYPES, *concrete)}


def find_description(name: str) -> Description:
    """The type of this name, short or full, in any case; raises UnknownTypeError."""
    for described in _BASE_TYPES:
        if name.lower() in (described.name.lower(), (PREFIX + described.name).lower()):
            return described
    return descriptions()[find_type(name).name]


def is_base(name: str) -> bool:
    """Whether this is a type that only others extend, or that of the management node."""
    return any(name.lower() in (kind.name.lower(), (PREFIX + kind.name).lower()) for kind in _BASE_TYPES)


def is_management(name: str) -> bool:
    """Whether this is a name of the management node's own type or of the standard's type that it extends."""
    return is_base(name) and find_description(name).name.endswith("management")


def is_operational(name: str) -> bool:
    """Whether this is no type at all, or one that the management node's own type extends."""
    return not name or (is_base(name) and find_description(name).name in ("entity", OPERATIONAL))


def list_types(name: str) -> dict[str, list[str]]:
    """The full names of the types that are or extend this one (empty: all), each with its base types, nearest first."""
    wanted = find_description(name).name if name else "entity"
    return {
        PREFIX + described.name: [PREFIX + base for base in described.bases]
        for described in descriptions().values()
        if described.is_a(wanted)
    }


def list_operations(name: str) -> dict[str, list[str]]:
    """The operations of this type (empty: of each type)."""
    return {PREFIX + described.name: list(described.operations) for described in _named(name)}


def list_attributes(name: str) -> dict[str, list[str]]:
    """The attributes of this type (empty: of each type)."""
    return {PREFIX + described.name: list(described.attributes) for described in _named(name)}


def _named(name: str) -> list[Description]:
    return [find_description(name)] if name else list(descriptions().values())
