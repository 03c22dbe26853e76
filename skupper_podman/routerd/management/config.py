"""A router's configuration file, validated and brought into the order in which the router applies it.

What always holds: what `parse` returns can be applied without further checks of types, attributes, names and
roles. It contains the router entity, one entity for each log module and the policy, whether or not the file does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from skupper_podman.errors import InvalidError
from skupper_podman.routerd.management.conffile import NotationError, Section, read_sections
from skupper_podman.routerd.management.configured_types import LOG_MODULES
from skupper_podman.routerd.management.schema import (
    SchemaError,
    camel_case,
    check_role,
    check_unique,
    find_type,
    validate,
)

_ORDER: Final = (
    "log",
    "router",
    "policy",
    "sslProfile",
    "router.config.address",
    "router.config.autoLink",
    "vhost",
    "httpListener",
    "httpConnector",
    "tcpListener",
    "tcpConnector",
)
# Connections to other routers begin when all else is in place.
_LAST: Final = ("connector", "listener")
_SINGLETONS: Final = ("router", "policy")
_LOG_DEFAULTS: Final = {
    "module": "DEFAULT",
    "enable": "info+",
    "includeTimestamp": True,
    "includeSource": False,
    "outputFile": "stderr",
}


class ConfigError(InvalidError):
    """The configuration cannot be applied; the message names the entity and the attribute."""


def parse(text: str, json_form: bool) -> list[tuple[str, dict[str, Any]]]:
    """The entities of a configuration file as (short type name, attributes with defaults), in order of application.

    ``json_form`` is true for files whose name ends in ``.json``. Raises ConfigError.
    """
    try:
        sections = read_sections(text, json_form=json_form)
    except NotationError as error:
        raise ConfigError(f"Cannot read the router configuration: {error}") from error
    entities: dict[str, list[dict[str, Any]]] = {}
    for name, attributes in _completed(sections):
        kind, valid = _validated(name, attributes, entities)
        entities.setdefault(kind, []).append(valid)
    _check_roles(entities)
    middle = [kind for kind in entities if kind not in (*_ORDER, *_LAST)]
    return [(kind, valid) for kind in (*_ORDER, *middle, *_LAST) for valid in entities.get(kind, ())]


def _completed(sections: Iterable[Section]) -> list[Section]:
    """The sections with camel case names, and those that a router always has."""
    named = [
        (camel_case(name), {camel_case(key): value for key, value in attributes.items()})
        for name, attributes in sections
    ]
    present = {name for name, _ in named}
    named += [(name, {}) for name in _SINGLETONS if name not in present]
    modules = {str(attributes.get("module")) for name, attributes in named if name == "log"}
    named += [("log", {"module": module}) for module in LOG_MODULES if module not in modules]
    return [
        (name, _LOG_DEFAULTS | attributes if name == "log" and attributes.get("module") == "DEFAULT" else attributes)
        for name, attributes in named
    ]


def _validated(
    name: str, attributes: dict[str, Any], entities: dict[str, list[dict[str, Any]]]
) -> tuple[str, dict[str, Any]]:
    called = attributes.get("name", attributes.get("module", attributes.get("prefix", attributes.get("id"))))
    where = f"{name} '{called}'" if called is not None else name
    try:
        definition = find_type(name)
        if not definition.is_configuration:
            raise SchemaError(definition.name, "", "cannot be configured")
        valid = validate(name, attributes)
        check_unique(entities.get(definition.name, ()), valid)
    except SchemaError as error:
        attribute = f" attribute '{error.attribute}'" if error.attribute else ""
        raise ConfigError(f"Invalid router configuration: {where}:{attribute} {error.reason}") from error
    if definition.name in ("router.config.address", "router.config.autoLink"):
        number = len(entities.get(definition.name, ()))
        valid["identity"] = str(number + 1)
        valid.setdefault("name", f"{definition.name.rpartition('.')[2]}/{number}")
    return definition.name, valid


def _check_roles(entities: dict[str, list[dict[str, Any]]]) -> None:
    mode = entities["router"][0]["mode"]
    for kind in _LAST:
        for valid in entities.get(kind, ()):
            try:
                check_role(mode, kind, valid)
            except SchemaError as error:
                raise ConfigError(
                    f"Invalid router configuration: {kind} '{valid['name']}': attribute 'role' {error.reason}"
                ) from error
