"""The two notations of a router configuration file, read into (type, attributes) pairs as they are written.

JSON: an array of ``[type, attributes]`` pairs, whole-line ``#`` comments allowed. Blocks::

    listener {
        host: 0.0.0.0
        port: amqp            # comment
        openProperties: {
            "key": ["JSON", "values"]
        }
    }

Nothing here knows which types and attributes exist; `config` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

Section = tuple[str, dict[str, Any]]

_OPEN: Final = re.compile(r"([\w.-]+)\s*\{")
_OPEN_MAP: Final = re.compile(r"(\$?[\w.-]+)\s*:\s*\{")
_ITEM: Final = re.compile(r"([\w-]+)\s*:\s*(.*)")
_SPARE_COMMA: Final = re.compile(r",(\s*[\]}])")
# '#' is a wildcard in the values of these, so that it does not begin a comment there.
_HASH_ALLOWED: Final = frozenset({"pattern", "bindingKey", "hostname", "sourcePattern", "targetPattern"})
_JSON_MAPS: Final = frozenset({"openProperties", "open-properties", "open_properties", "groups"})


class NotationError(ValueError):
    """The text is in neither notation; says the line, counted from 1."""


def read_sections(text: str, *, json_form: bool) -> list[Section]:
    """The file's sections in their order; raises NotationError."""
    try:
        return _read_json(text) if json_form else list(_read_blocks(text))
    except RecursionError:
        raise NotationError("values are nested too deeply") from None


def _read_json(text: str) -> list[Section]:
    lines = ["" if line.lstrip().startswith("#") else line for line in text.split("\n")]
    try:
        pairs = json.loads("\n".join(lines))
    except ValueError as error:
        raise NotationError(f"invalid JSON: {error}") from None
    if not isinstance(pairs, list):
        raise NotationError("not a JSON array")
    sections = []
    for number, pair in enumerate(pairs, 1):
        match pair:
            case [str(name), dict(attributes)]:
                sections.append((name, attributes))
            case _:
                raise NotationError(f"element {number} is not an array of an entity type and its attributes")
    return sections


class _Lines:
    """The lines that say something, with their numbers."""

    def __init__(self, text: str) -> None:
        self._lines = iter(enumerate(text.splitlines(), 1))
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        for self.number, line in self._lines:  # noqa: B020 - the number is wanted where an error is raised
            stripped = line.strip()
            if stripped and not stripped.startswith("#"):
                yield stripped

    def error(self, reason: str) -> NotationError:
        return NotationError(f"line {self.number}: {reason}")


def _read_blocks(text: str) -> Iterator[Section]:
    lines = _Lines(text)
    for line in lines:
        opened = _OPEN.fullmatch(_uncommented(line))
        if opened is None:
            raise lines.error(f"expected the beginning of an entity ('type {{'), not {line!r}")
        yield opened[1], _read_map(lines, opened[1])


def _read_map(lines: _Lines, name: str) -> dict[str, Any]:
    begun = lines.number
    attributes: dict[str, Any] = {}
    for line in lines:
        plain = _uncommented(line)
        if plain == "}":
            return attributes
        nested = _OPEN_MAP.fullmatch(plain)
        item = _ITEM.fullmatch(line)
        if nested is not None:
            key, value = nested[1], _read_json_map(lines) if nested[1] in _JSON_MAPS else _read_map(lines, nested[1])
        elif item is not None:
            key = item[1]
            value = item[2].split()[0] if key in _HASH_ALLOWED and item[2] else _uncommented(item[2])
        else:
            raise lines.error(f"expected 'attribute: value' or '}}', not {line!r}")
        if key in attributes:
            raise lines.error(f"attribute '{key}' is given twice")
        if value != "":
            attributes[key] = value
    raise NotationError(f"line {begun}: '{name}' is not closed by a line with '}}'")


def _read_json_map(lines: _Lines) -> Any:
    begun = lines.number
    text = "{"
    for line in lines:
        text += "\n" + line
        if line.rstrip(",").endswith("}"):
            try:
                return json.loads(_SPARE_COMMA.sub(r"\1", text.rstrip(",")))
            except ValueError:
                continue  # a brace of an inner map; the outer one is yet to come
    raise NotationError(f"line {begun}: not a complete JSON map")


def _uncommented(line: str) -> str:
    return line.split("#", 1)[0].strip()
