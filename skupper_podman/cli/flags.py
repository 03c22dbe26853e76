"""The options of a command as fields of a frozen dataclass, each field carrying the flag it is read from.

What always holds: a command's flags are declared once, in its options class; the parser, the help text, the completion
scripts and Typer's parameters are all derived from that declaration. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from skupper_podman.cli import govalues

Kind = Literal["bool", "string", "int", "int32", "duration", "ints", "strings", "stringToString"]
"""Type words of pflag, shown in the help."""

METADATA: Final = "flag"
REPEATABLE: Final = frozenset({"ints", "strings", "stringToString"})

PARSERS: Final[Mapping[Kind, Callable[[str], Any]]] = {
    "bool": govalues.parse_bool,
    "string": str,
    "int": govalues.parse_int,
    "int32": lambda text: govalues.parse_int(text, 32),
    "duration": govalues.parse_duration,
    "ints": govalues.parse_ints,
    "strings": govalues.parse_strings,
    "stringToString": govalues.parse_map,
}


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    ``default`` is a value of the kind: bool, str, int (a duration in nanoseconds), or a tuple. ``deprecated`` is the
    hint printed when it is used, ``later`` the reason why this release refuses it; ``choices`` only feeds completion.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    short: str = ""
    hidden: bool = False
    deprecated: str = ""
    later: str = ""
    choices: tuple[str, ...] = ()

    @property
    def takes_value(self) -> bool:
        """False for booleans: their value, if any, follows ``=``."""
        return self.kind != "bool"

    @property
    def label(self) -> str:
        """The flag as messages about its value name it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


_ZERO: Final[Mapping[Kind, Any]] = {
    "bool": False, "string": "", "int": 0, "int32": 0, "duration": 0, "ints": (), "strings": (), "stringToString": (),
}  # fmt: skip


def flag(name: str, kind: Kind, help: str, **options: Any) -> Any:
    """Declare a field of an options class; ``default`` is the zero value of the kind unless given."""
    default = options.pop("default", _ZERO[kind])
    declared = Flag(name, kind, default, help, **options)
    return field(default=default, metadata={METADATA: declared})


def is_zero(declared: Flag, value: object) -> bool:
    """Whether ``value`` is what an unset flag of that kind would have in Go."""
    return bool(value == _ZERO[declared.kind])


def flags_of(options: type[Any]) -> tuple[Flag, ...]:
    """Flags of an options class, in declaration order."""
    return tuple(item.metadata[METADATA] for item in fields(options) if METADATA in item.metadata)


def field_names(options: type[Any]) -> dict[str, str]:
    """Field of the options class for each flag name."""
    return {item.metadata[METADATA].name: item.name for item in fields(options) if METADATA in item.metadata}


OUTPUT: Final = Flag(
    "output", "string", "text", "Output format: text, json, yaml", short="o", choices=("text", "json", "yaml")
)
DRY_RUN: Final = Flag("dry-run", "bool", False, "Print the plan and change nothing")
NAMESPACE: Final = Flag(
    "namespace", "string", "", "Site to use, if this user has several on this host (default: the one without a name)",
    short="n",
)  # fmt: skip
PLATFORM: Final = Flag(
    "platform", "string", "", "The platform type to use [kubernetes, podman]", choices=("kubernetes", "podman")
)
GLOBALS: Final = (NAMESPACE, PLATFORM)
"""The flags of every command."""
