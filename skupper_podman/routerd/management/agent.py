"""The management agent: answers requests to ``$management`` from the entities that providers show it.

One function of request to response, without I/O and without state of its own: entities live with their
providers, the schema says what may be asked of them. Operations and status codes are those of skupper-router 2.7,
with three differences: every type may be named short or in full and in any case, every QUERY is paged, and READ
and DELETE of a link are answered.
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
    MANAGEMENT_TYPES,
    find_description,
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
_DESCRIPTIONS: Final = {OK: "OK", CREATED: "Created", NO_CONTENT: "No Content"}
_WIRE_TYPES: Final[Mapping[str, type[int]]] = {"int": Int, "uint": UInt, "ulong": ULong}


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

    def number(self, name: str) -> int | None:
        """A property as a number of at least zero; None when it is absent."""
        value = self.properties.get(name)
        if value is None:
            return None
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            number = -1
        if number < 0:
            raise ManagementError(BAD_REQUEST, f"'{name}' is a number of at least zero, not {value!r}")
        return number


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
        self._entity: dict[str, Callable[[_Request], Response]] = {
            "CREATE": self._create,
            "READ": self._read,
            "UPDATE": self._update,
            "DELETE": self._delete,
        }

    def provide(self, entity_type: str, provider: Provider) -> None:
        """Let this provider show the entities of the type, in place of an earlier one. Raises UnknownTypeError."""
        self._providers[schema.find_type(entity_type).name] = provider

    def handle(self, properties: Mapping[str, Any], body: object) -> Response:
        """Answer one request, given its application properties and its decoded body. Never raises."""
        try:
            request = _Request(properties, body)
            if not request.operation:
                raise ManagementError(BAD_REQUEST, "No 'operation' property")
            if request.operation in self._entity:
                return self._entity[request.operation](request)
            if request.operation in self._node:
                self._check_node(request)
                return _response(OK, self._node[request.operation](request))
            raise ManagementError(
                NOT_IMPLEMENTED, f"Operation '{request.operation}' not implemented for '{self._target(request)}'"
            )
        except ManagementError as error:
            return Response(error.status, error.description, None if error.status == FORBIDDEN else {})
        except UnknownTypeError as error:
            return Response(BAD_REQUEST, error.reason)
        except MissingAttributeError as error:
            return Response(INTERNAL_ERROR, str(error))
        except SchemaError as error:
            return Response(BAD_REQUEST, str(error))
        except Exception as error:  # a fault of a provider must not end the router for a management request
            return Response(INTERNAL_ERROR, f"{type(error).__name__}: {error}")

    # Operations on the node

    def _check_node(self, request: _Request) -> None:
        kind, name = request.text("type"), request.text("name")
        if kind and kind.lower() not in MANAGEMENT_TYPES:
            definition = schema.find_type(kind)
            raise ManagementError(
                NOT_IMPLEMENTED, f"Operation '{request.operation}' not implemented for '{definition.full_name}'"
            )
        if name and name != "self":
            raise ManagementError(NOT_FOUND, f"No entity with name={name}")

    def _query(self, request: _Request) -> dict[str, Any]:
        definitions, columns = _queried(request.text("entityType"))
        names = _columns(request.body.get("attributeNames"), definitions, columns)
        offset, count = request.number("offset") or 0, request.number("count")
        rows = []
        for kind in definitions:
            for entity in self._entities(kind):
                row = [_wire(kind, name, entity.get(name)) for name in names]
                if any(value is not None for value in row):
                    rows.append(row)
        end = None if count is None else offset + count
        return {"attributeNames": list(names), "results": rows[offset:end]}

    def _get_management_nodes(self, request: _Request) -> list[str]:
        nodes = self._entities(schema.find_type("router.node"))
        return [f"amqp:/_topo/0/{node['id']}/$management" for node in nodes]

    def _get_log(self, request: _Request) -> list[list[Any]]:
        limit = request.number("limit")
        return [list(line) for line in self._log(limit or None)] if self._log else []

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
        provider = self._provider_for("CREATE", definition)
        if not isinstance(provider, Creator):
            raise _not_implemented("CREATE", definition)
        valid = schema.validate(definition.name, attributes)
        schema.check_unique(self._entities(definition), valid)
        schema.check_role(self._mode(), definition.name, valid)
        created = {**valid, **provider.create(valid)}
        # As it is reported from now on: with its counters and its state.
        present = (entity for entity in self._entities(definition) if entity.get("identity") == created.get("identity"))
        return _response(CREATED, _attributes(definition, {**created, **next(iter(present), {})}))

    def _read(self, request: _Request) -> Response:
        if self._is_self(request):
            body = {"name": "self", "identity": "self", "type": PREFIX + "management"}
            return _response(OK, body)
        definition, entity = self._find(request)
        return _response(OK, _attributes(definition, entity))

    def _update(self, request: _Request) -> Response:
        definition, entity = self._find(request)
        provider = self._provider_for("UPDATE", definition)
        if not isinstance(provider, Updater):
            raise _not_implemented("UPDATE", definition)
        changes = schema.convert_updates(definition.name, request.body, entity)
        if definition.core and not changes:
            raise ManagementError(BAD_REQUEST, "Bad Request")
        changed = provider.update(entity, changes) if changes else entity
        return _response(OK, _attributes(definition, {**entity, **changed}))

    def _delete(self, request: _Request) -> Response:
        definition, entity = self._find(request)
        provider = self._provider_for("DELETE", definition)
        if not isinstance(provider, Deleter):
            raise _not_implemented("DELETE", definition)
        provider.delete(entity)
        return _response(NO_CONTENT, {})

    # Finding

    def _entities(self, definition: EntityType) -> Iterable[Mapping[str, Any]]:
        provider = self._providers.get(definition.name)
        if provider is None:
            return
        for entity in provider.entities():
            yield {"type": definition.full_name, **entity}

    def _provider_for(self, operation: str, definition: EntityType) -> Provider | None:
        if definition.name == "router":
            raise ManagementError(FORBIDDEN, "Forbidden")
        if operation not in definition.operations:
            raise _not_implemented(operation, definition)
        return self._providers.get(definition.name)

    def _find(self, request: _Request) -> tuple[EntityType, Mapping[str, Any]]:
        """The one entity that a request means by name or identity, and its type."""
        kind = request.text("type")
        definition = schema.find_type(kind) if kind and kind.lower() not in MANAGEMENT_TYPES else None
        if definition is not None:
            self._check_allowed(request.operation, definition)
        wanted = {name: request.text(name) for name in ("identity", "name") if request.text(name)}
        if not wanted:
            raise ManagementError(BAD_REQUEST, f"{kind}: No name or identity provided".removeprefix(": "))
        shown = " ".join(f"{name}={value}" for name, value in wanted.items())
        name, value = next(iter(wanted.items()))
        candidates = [definition] if definition else schema.entity_types().values()
        found = [
            (kind_, entity) for kind_ in candidates for entity in self._entities(kind_) if entity.get(name) == value
        ]
        if not found:
            # An UPDATE of a connection that is gone is a bad request; of any other entity, not found.
            is_connection = definition is not None and definition.name == "connection"
            status = BAD_REQUEST if is_connection and request.operation == "UPDATE" else NOT_FOUND
            raise ManagementError(status, f"No entity with {shown}")
        if len(found) > 1:
            raise ManagementError(INTERNAL_ERROR, f"Duplicate ({len(found)}) entities with {name}={value}")
        if any(str(found[0][1].get(key)) != text for key, text in wanted.items()):
            raise ManagementError(BAD_REQUEST, f"Conflicting {shown}")
        self._check_allowed(request.operation, found[0][0])
        return found[0]

    def _check_allowed(self, operation: str, definition: EntityType) -> None:
        if definition.name == "router" and operation != "UPDATE":
            raise ManagementError(FORBIDDEN, "Forbidden")
        if operation not in definition.operations:
            raise _not_implemented(operation, definition)

    def _is_self(self, request: _Request) -> bool:
        identifies_self = {request.text("name"), request.text("identity")} <= {"", "self"}
        return identifies_self and request.text("type").lower() in {"", *MANAGEMENT_TYPES}

    def _mode(self) -> str:
        for router in self._entities(schema.find_type("router")):
            return str(router.get("mode", "standalone"))
        return "interior"

    def _target(self, request: _Request) -> str:
        name = request.text("type") or request.text("entityType")
        if not name or name.lower() in MANAGEMENT_TYPES:
            return PREFIX + "management"
        return PREFIX + find_description(name).name


def _queried(name: str) -> tuple[list[EntityType], Sequence[str]]:
    """The types that a QUERY for this type (empty: for all) reads, and their columns; raises UnknownTypeError.

    A query for all leaves out what skupper-router's core reports, as there: links and addresses may be very many.
    """
    types = schema.entity_types()
    if not name:
        all_types = [kind for kind in types.values() if not kind.core]
        return all_types, list(dict.fromkeys(column for kind in all_types for column in kind.columns))
    described = find_description(name)
    if described.name in types:
        return [types[described.name]], types[described.name].columns
    return [kind for kind in types.values() if not kind.core and described.is_a(kind.base)], COMMON_ATTRIBUTES


def _indent(request: _Request) -> int | None:
    indent = request.number("indent")
    return None if indent is None else min(indent, MAX_INDENT)


def _columns(asked: object, definitions: list[EntityType], columns: Sequence[str]) -> Sequence[str]:
    """The columns of the answer to a QUERY."""
    if asked is not None and not isinstance(asked, list | tuple):
        raise ManagementError(BAD_REQUEST, f"'attributeNames' is a list, not {asked!r}")
    # Each once: a column that is asked for a million times would be written a million times a row.
    names = list(dict.fromkeys(str(name) for name in asked or ()))
    if not names:
        return columns
    known = set(columns) if len(definitions) != 1 else set(definitions[0].attributes)
    unknown = [name for name in names if name not in known]
    if unknown and not any(kind.core for kind in definitions):
        suffix = f" for type {definitions[0].full_name}" if len(definitions) == 1 else ""
        raise ManagementError(NOT_FOUND, f"Unknown attributes {unknown}{suffix}.")
    return [name for name in names if name in known]


def _not_implemented(operation: str, definition: EntityType) -> ManagementError:
    return ManagementError(
        NOT_IMPLEMENTED,
        f"Operation '{operation}' not implemented for '{definition.full_name}' {list(definition.operations)}",
    )


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
    return wrapper(value) if wrapper is not None and type(value) is int else value


def _attributes(definition: EntityType, entity: Mapping[str, Any]) -> dict[str, Any]:
    """An entity's attributes that have a value, in the order of the columns, then any that are not among these."""
    names = [*definition.columns, *(name for name in entity if name not in definition.columns)]
    shown = {name: _wire(definition, name, entity.get(name)) for name in names}
    return {name: value for name, value in shown.items() if value is not None}
