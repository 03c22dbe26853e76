"""The management agent: answers requests to ``$management`` from the entities that providers show it.

One function of request to response, without I/O and without state of its own: entities live with their
providers, the schema says what may be asked of them. Operations, status codes and the texts that clients look at are
those of skupper-router 2.7 (tests/routerd/system/test_management_like_skrouterd.py compares them), with these
differences: every type may be named short or in full and in any case, every QUERY is paged, the type and the name of a
CREATE may stand in its body alone, values that no router can have are refused, and whatever skupper-router leaves
without an answer (READ and DELETE of a link, an operation that the core does not know) gets one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from skupper_podman.routerd.amqptypes import Int, UInt, ULong
from skupper_podman.routerd.management import schema
from skupper_podman.routerd.management.attributes import PREFIX, EntityType
from skupper_podman.routerd.management.describe import (
    COMMON_ATTRIBUTES,
    Description,
    find_description,
    is_base,
    is_management,
    is_operational,
    list_attributes,
    list_operations,
    list_types,
)
from skupper_podman.routerd.management.provider import (
    BAD_REQUEST,
    CREATED,
    FORBIDDEN,
    INTERNAL_ERROR,
    NO_CONTENT,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    OK,
    Creator,
    Deleter,
    LogLine,
    ManagementError,
    Provider,
    Response,
    Updater,
)
from skupper_podman.routerd.management.schema import MissingAttributeError, SchemaError, UnknownTypeError

__all__ = ["Agent", "Creator", "Deleter", "LogLine", "ManagementError", "Provider", "Response", "Updater"]

#: More than this is not indented: the answer grows with it, on every line.
MAX_INDENT: Final = 16
#: Unknown columns of a QUERY that are answered.
MAX_UNKNOWN: Final = 16
_DESCRIPTIONS: Final = {
    OK: "OK", CREATED: "Created", NO_CONTENT: "No Content",
    BAD_REQUEST: "Bad Request", FORBIDDEN: "Forbidden", NOT_FOUND: "Not Found",
}  # fmt: skip
_WIRE_TYPES: Final[Mapping[str, type[int]]] = {"int": Int, "uint": UInt, "ulong": ULong}
_SELF: Final = {"name": "self", "identity": "self", "type": PREFIX + "management"}
#: Types whose entities are known by their number only: their names (hosts, link names) may repeat.
_NUMBERED: Final = frozenset({"connection", "tcpConnection", "httpRequestInfo", "router.link"})


class _Request:
    """A request's application properties and body, read leniently."""

    def __init__(self, properties: Mapping[str, Any], body: object) -> None:
        self.properties = properties
        self.body: dict[str, Any] = dict(body) if isinstance(body, Mapping) else {}
        self.operation = self.text("operation").upper()

    def text(self, name: str) -> str:
        """A property as text, empty when it is absent."""
        value = self.properties.get(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> int:
        """A property as a number; 0 when it is absent or none."""
        try:
            return int(self.properties.get(name) or 0)
        except (TypeError, ValueError, OverflowError):
            return 0

    def identifiers(self) -> dict[str, str]:
        """What says which entity is meant."""
        return {name: self.text(name) for name in ("name", "identity") if self.text(name)}


class Agent:
    """Answers management requests. ``log`` gives the most recent log lines, at most so many if a limit is given."""

    def __init__(self, log: Callable[[int | None], Iterable[LogLine]] | None = None) -> None:
        self._providers: dict[str, Provider] = {}
        self._log = log
        self._node: dict[str, Callable[[_Request], Any]] = {
            "QUERY": self._query,
            "GET-TYPES": lambda request: list_types(request.text("entityType")),
            "GET-ANNOTATIONS": lambda request: {},
            "GET-OPERATIONS": lambda request: list_operations(request.text("entityType")),
            "GET-ATTRIBUTES": lambda request: list_attributes(request.text("entityType")),
            "GET-MGMT-NODES": self._get_management_nodes,
            "GET-SCHEMA": lambda request: schema.dump(),
            "GET-JSON-SCHEMA": lambda request: json.dumps(schema.dump(), indent=_indent(request)),
            "GET-LOG": self._get_log,
        }

    def provide(self, entity_type: str, provider: Provider) -> None:
        """Let this provider show the entities of the type, in place of an earlier one. Raises UnknownTypeError."""
        self._providers[schema.find_type(entity_type).name] = provider

    def handle(self, properties: Mapping[str, Any], body: object) -> Response:
        """Answer one request, given its application properties and its decoded body. Never raises."""
        try:
            return self._handle(_Request(properties, body))
        except ManagementError as error:
            return Response(error.status, error.description, error.body)
        except UnknownTypeError as error:
            return Response(BAD_REQUEST, error.reason)
        except MissingAttributeError as error:
            return Response(INTERNAL_ERROR, str(error))
        except SchemaError as error:
            return Response(BAD_REQUEST, str(error))
        except Exception as error:  # a fault of a provider must not end the router for a management request
            return Response(INTERNAL_ERROR, f"{type(error).__name__}: {error}")

    def _handle(self, request: _Request) -> Response:
        if not request.operation:
            raise ManagementError(BAD_REQUEST, "No 'operation' property")
        if request.operation == "CREATE":
            return self._create(request)
        kind = request.text("type")
        definition = schema.find_type(kind) if kind and not is_management(kind) and not is_base(kind) else None
        if definition is not None and definition.core and request.operation in ("READ", "UPDATE", "DELETE"):
            return self._core(request, definition)
        found, entity = self._find(request)
        if found is None:
            return self._ask_node(request)
        _check_allowed(request.operation, found)
        return self._do(request, found, entity)

    def _do(self, request: _Request, definition: EntityType, entity: Mapping[str, Any]) -> Response:
        if request.operation == "UPDATE":
            return self._update(request, definition, entity)
        if request.operation == "DELETE":
            return self._delete(definition, entity)
        return _response(OK, _attributes(definition, entity))

    # Operations on the node

    def _ask_node(self, request: _Request) -> Response:
        if request.operation == "READ":
            return _response(OK, dict(_SELF))
        if request.operation in self._node:
            return _response(OK, self._node[request.operation](request))
        raise _not_implemented(request.operation, PREFIX + "management", find_description("management").operations)

    def _query(self, request: _Request) -> dict[str, Any]:
        definitions, columns = _queried(request.text("entityType"))
        names = _columns(request.body.get("attributeNames"), definitions, columns)
        offset, count = request.number("offset"), request.number("count")
        if offset < 0:
            return {"attributeNames": list(names), "results": []}
        rows = []
        if is_management(request.text("entityType")) or is_operational(request.text("entityType")):
            rows.append([_SELF.get(name) for name in names])
        for kind in definitions:
            for entity in self._entities(kind):
                row = [_wire(kind, name, entity.get(name)) for name in names]
                if any(value is not None for value in row):
                    rows.append(row)
        return {"attributeNames": list(names), "results": rows[offset : offset + count if count > 0 else None]}

    def _get_management_nodes(self, request: _Request) -> list[str]:
        nodes = self._entities(schema.find_type("router.node"))
        return [f"amqp:/_topo/0/{node['id']}/$management" for node in nodes]

    def _get_log(self, request: _Request) -> list[list[Any]]:
        limit = max(0, request.number("limit"))
        return [_small(list(line)) for line in self._log(limit or None)] if self._log else []

    # Operations on entities

    def _create(self, request: _Request) -> Response:
        attributes = dict(request.body)
        for name in ("type", "name"):
            value = request.text(name)
            if value and attributes.setdefault(name, value) != value:
                raise ManagementError(BAD_REQUEST, f"Conflicting values for '{name}'")
        if not attributes.get("type"):
            raise ManagementError(BAD_REQUEST, "No 'type' attribute")
        if attributes.get("identity") is not None:
            raise ManagementError(BAD_REQUEST, "'identity' attribute cannot be specified")
        definition = schema.find_type(str(attributes["type"]))
        provider = self._creator(definition)
        try:
            valid = schema.validate(definition.name, attributes)
            self._check_unique(definition, valid)
            schema.check_role(self._mode(), definition.name, valid)
        except SchemaError as error:
            if definition.core:  # as the core answers there: without a map
                raise ManagementError(BAD_REQUEST, error.reason, None) from None
            raise
        created = {**valid, **provider.create(valid)}
        # As it is reported from now on: with its counters and its state.
        present = (entity for entity in self._entities(definition) if entity.get("identity") == created.get("identity"))
        return _response(CREATED, _attributes(definition, {**created, **next(iter(present), {})}))

    def _creator(self, definition: EntityType) -> Creator:
        if definition.name == "router":
            raise ManagementError(FORBIDDEN, _DESCRIPTIONS[FORBIDDEN], None)
        _check_allowed("CREATE", definition)
        provider = self._providers.get(definition.name)
        if not isinstance(provider, Creator):
            raise _not_implemented("CREATE", definition.full_name, definition.operations)
        return provider

    def _check_unique(self, definition: EntityType, valid: Mapping[str, Any]) -> None:
        """Names are unique among all that is not numbered by the router, of whatever type."""
        schema.check_unique(self._entities(definition), valid)
        if definition.core:
            return
        for kind in _described_types():
            if kind is definition or kind.core:
                continue
            if any(entity.get("name") == valid.get("name") for entity in self._entities(kind)):
                taken = f"must not be '{valid.get('name')}', the name of a {kind.name}"
                raise SchemaError(definition.name, "name", taken)

    def _update(self, request: _Request, definition: EntityType, entity: Mapping[str, Any]) -> Response:
        provider = self._providers.get(definition.name)
        if not isinstance(provider, Updater):
            raise _not_implemented("UPDATE", definition.full_name, definition.operations)
        changes = schema.convert_updates(definition.name, request.body, entity)
        if definition.core and not changes:
            raise ManagementError(BAD_REQUEST, _DESCRIPTIONS[BAD_REQUEST])
        changed = provider.update(entity, changes) if changes else entity
        return _response(OK, _attributes(definition, {**entity, **changed}))

    def _delete(self, definition: EntityType, entity: Mapping[str, Any]) -> Response:
        provider = self._providers.get(definition.name)
        if not isinstance(provider, Deleter):
            raise _not_implemented("DELETE", definition.full_name, definition.operations)
        provider.delete(entity)
        return _response(NO_CONTENT, {})

    # Finding

    def _entities(self, definition: EntityType) -> Iterable[Mapping[str, Any]]:
        provider = self._providers.get(definition.name)
        if provider is None:
            return
        for entity in provider.entities():
            yield {"type": definition.full_name, **entity}

    def _core(self, request: _Request, definition: EntityType) -> Response:
        """What skupper-router's core answers itself: terse texts, and entities found by number or name."""
        operation = request.operation
        if definition.name == "router" and operation != "UPDATE":
            raise ManagementError(FORBIDDEN, _DESCRIPTIONS[FORBIDDEN], None if operation == "READ" else {})
        if definition.name in _NUMBERED and operation == "DELETE":
            raise ManagementError(FORBIDDEN, _DESCRIPTIONS[FORBIDDEN])
        _check_allowed(operation, definition)
        identifiers = request.identifiers()
        absent = NOT_FOUND
        if operation == "UPDATE":
            absent = BAD_REQUEST if definition.name == "connection" else NOT_FOUND
        elif definition.name in _NUMBERED and "identity" not in identifiers:
            raise ManagementError(BAD_REQUEST, "Name not supported. Identity required")
        elif not identifiers and definition.name != "router.address":
            raise ManagementError(BAD_REQUEST, "No name or identity provided")
        key = "identity" if "identity" in identifiers else "name"
        for entity in self._entities(definition):
            if identifiers and str(entity.get(key)) == identifiers[key]:
                return self._do(request, definition, entity)
        raise ManagementError(absent, _DESCRIPTIONS[absent])

    def _find(self, request: _Request) -> tuple[EntityType | None, Mapping[str, Any]]:
        """The one entity that a request means by name or identity, and its type; None is the node itself."""
        kind, wanted = request.text("type"), request.identifiers()
        description = find_description(kind) if kind else None
        if not wanted:
            if description is None or is_management(kind) or is_operational(kind):
                return None, _SELF
            raise ManagementError(BAD_REQUEST, f"{PREFIX}{description.name}: No name or identity provided")
        shown = " ".join(f"{name}={value}" for name, value in wanted.items())
        name, value = next(iter(wanted.items()))
        found: list[tuple[EntityType | None, Mapping[str, Any]]] = [(None, _SELF)] if value == "self" else []
        found += [
            (type_, entity)
            for type_ in _described_types()
            for entity in self._entities(type_)
            if entity.get(name) == value
        ]
        if not found:
            raise ManagementError(NOT_FOUND, f"No entity with {shown}")
        if description is not None:
            found = _of_type(found, description)
        if len(found) > 1:
            raise ManagementError(INTERNAL_ERROR, f"Duplicate ({len(found)}) entities with {name}={value}")
        if any(str(found[0][1].get(key)) != text for key, text in wanted.items()):
            raise ManagementError(BAD_REQUEST, f"Conflicting {shown}")
        if description is not None and request.operation == "READ" and _type_name(found[0][0]) != description.name:
            words = f"Entity type '{PREFIX}{_type_name(found[0][0])}' is not '{PREFIX}{description.name}' itself"
            raise ManagementError(NOT_FOUND, words)
        return found[0]

    def _mode(self) -> str:
        for router in self._entities(schema.find_type("router")):
            return str(router.get("mode", "standalone"))
        return "interior"


def _type_name(definition: EntityType | None) -> str:
    return "management" if definition is None else definition.name


def _of_type(
    found: list[tuple[EntityType | None, Mapping[str, Any]]], description: Description
) -> list[tuple[EntityType | None, Mapping[str, Any]]]:
    """Those of this type or one that extends it."""
    matching = [item for item in found if find_description(_type_name(item[0])).is_a(description.name)]
    if matching:
        return matching
    words = f"Entity type '{PREFIX}{_type_name(found[0][0])}' does not extend requested type"
    raise ManagementError(BAD_REQUEST, f"{words} '{PREFIX}{description.name}'")


def _described_types() -> list[EntityType]:
    """The types whose entities are found by their names alone, without saying the type.

    Those of the core are left out, as there: links and addresses may be very many. Its configured ones are few.
    """
    return [kind for kind in schema.entity_types().values() if not kind.core or kind.is_configuration]


def _queried(name: str) -> tuple[list[EntityType], Sequence[str]]:
    """The types that a QUERY for this type (empty: for all) reads, and their columns; raises UnknownTypeError."""
    types = schema.entity_types()
    if not name:
        all_types = _described_types()
        return all_types, list(dict.fromkeys(column for kind in all_types for column in kind.columns))
    described = find_description(name)
    if described.name in types:
        return [types[described.name]], types[described.name].columns
    extending = [kind for kind in _described_types() if find_description(kind.name).is_a(described.name)]
    return extending, COMMON_ATTRIBUTES


def _indent(request: _Request) -> int | None:
    return min(max(0, request.number("indent")), MAX_INDENT) or None


def _columns(asked: object, definitions: list[EntityType], columns: Sequence[str]) -> Sequence[str]:
    """The columns of the answer to a QUERY."""
    if asked is not None and not isinstance(asked, list | tuple):
        raise ManagementError(BAD_REQUEST, f"'attributeNames' is a list, not {asked!r}")
    # Each once: a column that is asked for a million times would be written a million times a row.
    names = list(dict.fromkeys(str(name) for name in asked or ()))
    if not names:
        return columns
    single = len(definitions) == 1
    known = set(definitions[0].attributes) if single else set(columns)
    unknown = [name for name in names if name not in known]
    if single and definitions[0].core:
        # The core answers with the name in the place of a column that it does not know.
        answered = {*known, *unknown[:MAX_UNKNOWN]}
        return [name if name in known else "name" for name in names if name in answered]
    if unknown:
        suffix = f" for type {definitions[0].full_name}" if single else ""
        raise ManagementError(NOT_FOUND, f"Unknown attributes {unknown}{suffix}.")
    return names


def _check_allowed(operation: str, definition: EntityType) -> None:
    if operation not in definition.operations:
        raise _not_implemented(operation, definition.full_name, definition.operations)


def _not_implemented(operation: str, name: str, operations: Sequence[str]) -> ManagementError:
    words = f"Operation '{operation}' not implemented for '{name}' {list(operations)}"
    return ManagementError(NOT_IMPLEMENTED, words)


def _response(status: int, body: Any) -> Response:
    return Response(status, _DESCRIPTIONS[status], body)


def _wire(definition: EntityType, name: str, value: Any) -> Any:
    """The value with the AMQP type in which skupper-router reports this attribute; secrets are not reported."""
    attribute = definition.attributes.get(name)
    if attribute is None:
        return value
    if attribute.hidden:
        return None
    if value is None:
        value = attribute.absent
    wrapper = _WIRE_TYPES.get(attribute.kind)
    if wrapper is not None and type(value) is int:
        return wrapper(value)
    return value if definition.core else _small(value)


def _small(value: Any) -> Any:
    """Numbers as an AMQP int where they fit, as everything outside the core reports them."""
    if type(value) is int and -(2**31) <= value < 2**31:
        return Int(value)
    return [_small(item) for item in value] if type(value) is list else value


def _attributes(definition: EntityType, entity: Mapping[str, Any]) -> dict[str, Any]:
    """An entity's attributes in the order of the columns, then any that are not among these.

    Those without value are left out, except for types of the core, which has null for them.
    """
    names = [*definition.columns, *(name for name in entity if name not in definition.columns)]
    shown = {name: _wire(definition, name, entity.get(name)) for name in names}
    return {name: value for name, value in shown.items() if value is not None or definition.core}
