"""What one entity type and one attribute may be: the tables of this room, parsed.

What always holds: ``Attribute.convert`` either gives a value of the attribute's kind or raises ValueError with a
reason that reads after the attribute's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from skupper_podman.routerd.management.table import CONFIGURATION, Table

PREFIX: Final = "io.skupper.router."

_TRUE: Final = frozenset({"yes", "true", "on"})
_FALSE: Final = frozenset({"no", "false", "off"})
_INTEGER_KINDS: Final = frozenset({"integer", "int", "uint", "ulong"})
_WIRE_RANGES: Final = {"int": (-(2**31), 2**31 - 1), "uint": (0, 2**32 - 1), "ulong": (0, 2**64 - 1)}
_IMPLICIT: Final = (("name", "string create"), ("identity", "string"), ("type", "string required create"))


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of an entity type. ``tags`` are the values of an enumeration, empty for other kinds.

    ``default`` is the value of an entity that was made without one, ``absent`` what is reported for one that has none.
    """

    name: str
    kind: str
    tags: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    create: bool = False
    update: bool = False
    hidden: bool = False
    listed: bool = True
    declared: bool = True
    low: int | None = None
    high: int | None = None
    alias: str = ""
    absent: int | None = None

    def convert(self, value: object) -> Any:
        """The value in this attribute's kind; raises ValueError saying what is wrong with it."""
        if self.tags:
            return self._tag(value)
        if self.kind == "boolean":
            return _boolean(value)
        if self.kind in _INTEGER_KINDS:
            return self._integer(value)
        if self.kind == "list":
            return list(_instance(value, (list, tuple), "a list"))
        if self.kind in ("map", "properties"):
            return self._map(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(_instance(value, (str, int, float), "a string"))

    def _tag(self, value: object) -> str:
        if isinstance(value, bool):
            value = "yes" if value else "no"
        if isinstance(value, str) and value in self.tags:
            return str(value)
        if isinstance(value, int) and 0 <= value < len(self.tags):
            return self.tags[value]
        raise ValueError(f"must be one of {', '.join(self.tags)}, not {value!r}")

    def _integer(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"must be an integer, not {value!r}")
        try:
            number = int(value)
        except ValueError:
            raise ValueError(f"must be an integer, not {value!r}") from None
        low, high = _WIRE_RANGES.get(self.kind, (None, None))
        for bound in (low, self.low):
            if bound is not None and number < bound:
                raise ValueError(f"must be at least {bound}, not {number}")
        for bound in (high, self.high):
            if bound is not None and number > bound:
                raise ValueError(f"must be at most {bound}, not {number}")
        return number

    def _map(self, value: object) -> dict[Any, Any]:
        mapping = dict(_instance(value, (Mapping,), "a map"))
        if self.kind == "properties" and not all(isinstance(key, str) and key.isascii() for key in mapping):
            raise ValueError("must have ASCII strings for keys")
        return mapping


@dataclass(frozen=True, slots=True)
class EntityType:
    """One entity type: ``name`` is the short one, without the common prefix."""

    name: str
    description: str
    base: str
    attributes: Mapping[str, Attribute]
    operations: tuple[str, ...]
    singleton: bool = False
    core: bool = False

    @property
    def full_name(self) -> str:
        """The name with its prefix, as it is reported."""
        return PREFIX + self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The attributes that a QUERY for all of them reports, in order."""
        return tuple(attribute.name for attribute in self.attributes.values() if attribute.listed)

    @property
    def declared(self) -> tuple[str, ...]:
        """The attributes that clients are told of: not all that are reported, and some that are not."""
        names = [attribute.name for attribute in self.attributes.values() if attribute.declared]
        common = [name for name, _ in _IMPLICIT]
        return (*(name for name in names if name not in common), *common)

    @property
    def is_configuration(self) -> bool:
        """Whether entities of this type may stand in a configuration file."""
        return self.base == CONFIGURATION

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of this name or deprecated name, or None."""
        found = self.attributes.get(name)
        if found is not None and found.create:
            return found
        for attribute in self.attributes.values():
            if attribute.alias == name:
                return attribute
        return found


def _instance(value: object, kinds: tuple[type, ...], what: str) -> Any:
    if not isinstance(value, kinds):
        raise ValueError(f"must be {what}, not {value!r}")
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, str):
        word = value.lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    elif isinstance(value, int):  # bool included
        return bool(value)
    raise ValueError(f"must be yes or no, not {value!r}")


def _parse_row(row: str) -> Attribute:
    name, kind, *words = row.split()
    flags: dict[str, Any] = {}
    if "|" in kind:
        flags["tags"], kind = tuple(kind.split("|")), "enumeration"
    default: str | None = None
    for word in words:
        if word.startswith("="):
            default = word[1:]
        elif ".." in word:
            low, high = word.split("..")
            flags |= {"low": int(low) if low else None, "high": int(high) if high else None}
        elif word.startswith("alias:"):
            flags["alias"] = word.removeprefix("alias:")
        elif word.startswith("absent:"):
            flags["absent"] = int(word.removeprefix("absent:"))
        elif word in ("unlisted", "undeclared"):
            flags[word.removeprefix("un")] = False
        else:
            flags[word] = True
    attribute = Attribute(name, kind, **flags)
    if default is None:
        return attribute
    return Attribute(name, kind, default=attribute.convert(default), **flags)


def parse_table(table: Table) -> EntityType:
    """The entity type that a table describes, with the attributes every entity has."""
    attributes = [_parse_row(row) for row in table.rows.splitlines() if row.strip()]
    present = {attribute.name for attribute in attributes}
    attributes += [_parse_row(f"{name} {row}") for name, row in _IMPLICIT if name not in present]
    by_name = {attribute.name: attribute for attribute in attributes}
    for name, row in _IMPLICIT:
        # Listed in a table for its place in the order; what it may be is the same for every type.
        flags = _parse_row(f"{name} {row}")
        by_name[name] = Attribute(
            name, "string", required=flags.required, create=flags.create, listed=by_name[name].listed
        )
    operations = (*table.operations, "READ")
    return EntityType(table.name, table.description, table.base, by_name, operations, table.singleton, table.core)
