"""skmanage: manage the entities of a router from the command line.

Arguments and output are those of skupper-router 2.7's tool of this name, because Skupper 1.9 runs it inside its
containers: results are JSON on standard output, ``name=value`` arguments become attributes of the kind that the
schema gives them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.errors import InvalidError, UsageError
from skupper_podman.routerd.management.attributes import PREFIX
from skupper_podman.routerd.management.schema import UnknownTypeError, find_type
from skupper_podman.routerd.tools.options import (
    ValidationError,
    add_connection_options,
    add_target_options,
    new_parser,
    open_client,
    run_tool,
)

if TYPE_CHECKING:
    from skupper_podman.router.management import ManagementClient

_EPILOG: Final = """\
operations:
  query [ATTR...]           print attributes (all of them if none is named) of entities
  create ATTR=VALUE...      create an entity and print its attributes
  read                      print the attributes of one entity
  update ATTR=VALUE...      change attributes of an entity and print all of them
  delete                    delete an entity
  get-types [TYPE]          print entity types with their base types
  get-attributes [TYPE]     print entity types with their attributes
  get-operations [TYPE]     print entity types with their operations
  get-annotations [TYPE]    print entity types with their annotations
  get-mgmt-nodes            print the management addresses of all interior routers
  get-schema, get-json-schema [indent=N], get-log [limit=N]
any other operation is sent as it is, with ATTR=VALUE as properties of the request
"""
_INTEGERS: Final = frozenset({"integer", "int", "uint", "ulong"})
_TYPE_OPERATIONS: Final = frozenset({"GET-TYPES", "GET-ATTRIBUTES", "GET-OPERATIONS", "GET-ANNOTATIONS"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; the exit status is 0, 1 on failure or 2 on wrong usage."""
    parser = _parser()
    options = parser.parse_intermixed_args(arguments)
    if not options.words:
        parser.error("No operation specified")
    return run_tool("skmanage", lambda: _Tool(options).run())


def _parser() -> argparse.ArgumentParser:
    parser = new_parser(
        "skmanage", "Manage the entities of a router.", "skmanage <operation> [options] [ATTR=VALUE...]"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("words", nargs="*", metavar="operation", help=argparse.SUPPRESS)
    add_target_options(parser)
    add = parser.add_argument
    add("--type", default="", help="Type of the entity")
    add("--name", default="", help="Name of the entity")
    add("--identity", default="", metavar="ID", help="Identity of the entity")
    add("--indent", type=int, default=2, help="Indent of the JSON printed (default %(default)s); -1 prints one line")
    add("--stdin", action="store_true", help="Read attributes from standard input: a JSON map, or a list of maps")
    add("--body", default="", help="JSON value to send as the body of a custom operation")
    add("--properties", default="", help="JSON map to send as the properties of a custom operation")
    add_connection_options(parser)
    return parser


class _Tool:
    """One run: an operation on one router."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.operation = options.words[0].upper().replace("_", "-")
        self.words: list[str] = options.words[1:]
        self.type = full_type(options.type)

    def run(self) -> None:
        """Check the arguments, connect, do it, print."""
        operations: Mapping[str, Callable[[ManagementClient], None]] = {
            "QUERY": self.query,
            "CREATE": self.create,
            "READ": self.read,
            "UPDATE": self.update,
            "DELETE": self.delete,
            "GET-MGMT-NODES": self.get_management_nodes,
            **dict.fromkeys(_TYPE_OPERATIONS, self.describe),
        }
        call = operations.get(self.operation, self.custom)
        if self.operation in ("READ", "DELETE", "GET-MGMT-NODES"):
            self._allow_words(0)
        if self.operation in _TYPE_OPERATIONS:
            self._allow_words(1)
        with open_client(self.options) as client:
            call(client)

    def query(self, client: ManagementClient) -> None:
        """Print entities; --name and --identity choose among them."""
        wanted = {key: getattr(self.options, key) for key in ("name", "identity") if getattr(self.options, key)}
        # A column is only needed from the router in order to choose by it, and need not be shown.
        asked = list(dict.fromkeys([*self.words, *wanted])) if self.words else []
        rows = client.query(self.type, asked).dicts(without_nulls=True)
        chosen = [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]
        added = [name for name in asked if name not in self.words]
        chosen = [{name: value for name, value in row.items() if name not in added} for row in chosen]
        self._print(chosen)

    def create(self, client: ManagementClient) -> None:
        """Create one entity, or one for each map of standard input."""
        self._for_each(
            lambda attributes: client.create(
                full_type(str(attributes.get("type") or self.type)),
                str(self.options.name or attributes.get("name") or ""),
                {**attributes, **({"type": full_type(str(attributes["type"]))} if attributes.get("type") else {})},
            )
        )

    def update(self, client: ManagementClient) -> None:
        """Update one entity, or one for each map of standard input."""

        def update(attributes: dict[str, Any]) -> dict[str, Any]:
            identity = str(self.options.identity or attributes.get("identity") or "")
            name = str(self.options.name or attributes.get("name") or "")
            kind = full_type(str(self.type or attributes.get("type") or ""))
            return client.update(kind, name, attributes, identity=identity)

        self._for_each(update)

    def read(self, client: ManagementClient) -> None:
        """Print one entity."""
        self._print(client.read(self.type, self.options.name, identity=self.options.identity))

    def delete(self, client: ManagementClient) -> None:
        """Delete one entity."""
        client.delete(self.type, self.options.name, identity=self.options.identity)

    def describe(self, client: ManagementClient) -> None:
        """Print what the router knows of its entity types."""
        kind = self.type or (full_type(self.words[0]) if self.words else "")
        self._print(client.request_node(self.operation, {"entityType": kind}))

    def get_management_nodes(self, client: ManagementClient) -> None:
        """Print the addresses of the interior routers' agents."""
        self._print(client.management_nodes())

    def custom(self, client: ManagementClient) -> None:
        """Send any other operation and print the body of the answer, if it has one."""
        properties = dict(self._attribute(word) for word in self.words)
        extra = _json("--properties", self.options.properties) if self.options.properties else {}
        if not isinstance(extra, Mapping):
            raise UsageError("--properties is not a JSON map")
        body = _json("--body", self.options.body) if self.options.body else None
        target = {"type": self.type, "name": self.options.name, "identity": self.options.identity}
        answer = client.request({**target, **properties, **extra, "operation": self.operation}, body)
        if isinstance(answer, str):
            print(answer)
        elif answer:
            self._print(answer)

    def _for_each(self, call: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        if not self.options.stdin:
            attributes = dict(self._attribute(word) for word in self.words)
            self._check_known(attributes)
            self._print(call(attributes))
            return
        try:
            data = json.load(sys.stdin)
        except ValueError as error:
            raise InvalidError(f"Standard input is not JSON: {error}") from error
        if isinstance(data, dict):
            self._print(call(data))
        elif isinstance(data, list) and all(isinstance(item, dict) for item in data):
            self._print([call(item) for item in data])
        else:
            raise InvalidError("Standard input is not a JSON map or list of maps")

    def _attribute(self, word: str) -> tuple[str, Any]:
        name, equals, value = word.partition("=")
        return name, typed_value(self.type, name, value) if equals else None

    def _check_known(self, attributes: Mapping[str, Any]) -> None:
        try:
            kind = find_type(self.type)
        except UnknownTypeError:
            return  # of another version: the router will know
        for name in attributes:
            if kind.attribute(name) is None:
                raise ValidationError(f"Unknown attribute '{name}' for '{kind.full_name}'")

    def _allow_words(self, count: int) -> None:
        if len(self.words) > count:
            raise UsageError(f"Unexpected arguments: {' '.join(self.words[count:])}")

    def _print(self, value: Any) -> None:
        indent = None if self.options.indent < 0 else self.options.indent
        print(json.dumps(value, indent=indent, default=str))


def full_type(name: str) -> str:
    """The full name of an entity type given by its short or full one; a name that is not known gets the prefix."""
    if not name:
        return ""
    try:
        return find_type(name).full_name
    except UnknownTypeError:
        return name if "." in name else PREFIX + name


def typed_value(entity_type: str, name: str, text: str) -> Any:
    """An argument's value: true and false as booleans, numbers where the schema has a number, else text."""
    if text in ("true", "false"):
        return text == "true"
    try:
        attribute = find_type(entity_type).attribute(name)
    except UnknownTypeError:
        return text
    if attribute is None:
        return text
    if attribute.kind not in _INTEGERS:
        return text
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name} is a number, not {text!r}") from None


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        if any(character in text for character in '"{}[]'):
            raise UsageError(f"{option} is not valid JSON: {error}") from None
        return text  # a plain string, which need not be quoted


if __name__ == "__main__":
    sys.exit(main())
