"""What the management agent and those that show it entities say to each other.

What always holds: an entity is a mapping with the attribute names of the schema; an attribute without value is
None or absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol, runtime_checkable

from skupper_podman.routerd.amqptypes import Int

OK: Final = 200
CREATED: Final = 201
NO_CONTENT: Final = 204
BAD_REQUEST: Final = 400
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
INTERNAL_ERROR: Final = 500
NOT_IMPLEMENTED: Final = 501

LogLine = tuple[str, str, str, str | None, int | None, int]
"""Module, level, text, source file, line, and time in whole seconds since the epoch."""


class ManagementError(Exception):
    """A request that cannot be met; providers raise it too. ``status`` is one of the codes of this module."""

    def __init__(self, status: int, description: str, body: Mapping[str, Any] | None = MappingProxyType({})) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.body = body if body is None else dict(body)


class Provider(Protocol):
    """Shows the entities of one type: mappings with the attribute names of the schema, None or absent for no value."""

    def entities(self) -> Iterable[Mapping[str, Any]]:
        """All entities, in the order in which a QUERY reports them."""
        ...


@runtime_checkable
class Creator(Protocol):
    """A provider whose entities can be created."""

    def create(self, attributes: dict[str, Any]) -> Mapping[str, Any]:
        """Create from validated attributes; gives the new entity. Raises ManagementError."""
        ...


@runtime_checkable
class Updater(Protocol):
    """A provider whose entities can be changed."""

    def update(self, entity: Mapping[str, Any], attributes: dict[str, Any]) -> Mapping[str, Any]:
        """Set these validated attributes on one of the provider's entities; gives it as it is then."""
        ...


@runtime_checkable
class Deleter(Protocol):
    """A provider whose entities can be deleted."""

    def delete(self, entity: Mapping[str, Any]) -> None:
        """Delete one of the provider's entities."""
        ...


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request: its application properties, and a body that encodes as an AMQP value."""

    status: int
    description: str
    body: Any = field(default_factory=dict)

    @property
    def properties(self) -> dict[str, Any]:
        """The application properties of the response message."""
        return {"statusCode": Int(self.status), "statusDescription": self.description}
