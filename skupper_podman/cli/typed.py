"""Commands declared once, as a function over an options class, and turned into Typer commands that read like 1.9's.

What always holds: a command function takes ``(session, options, arguments)`` and returns a Result; it neither parses
nor prints. Typer holds the commands and calls the functions; the words are read by :mod:`~skupper_podman.cli.argv`
and the help is written by :mod:`~skupper_podman.cli.helptext`, because flag syntax and wording of 1.9 are not
Click's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Final, TypeVar

import typer
from typer.core import TyperCommand

from skupper_podman.cli import argv, helptext
from skupper_podman.cli.flags import DRY_RUN, GLOBALS, OUTPUT, REPEATABLE, Flag, field_names, flags_of, is_zero
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Session
from skupper_podman.errors import SkupperError

Handler = Callable[[Session, Any, tuple[str, ...]], Result]
F = TypeVar("F", bound=Callable[..., Result])

KUBERNETES_GLOBALS: Final = frozenset({"-c", "--context", "--kubeconfig"})

_TYPES: Final[Mapping[str, Any]] = {
    "bool": bool, "string": str, "int": int, "int32": int, "duration": int,
    "ints": list[int], "strings": list[str], "stringToString": list[str],
}  # fmt: skip


class HelpWanted(Exception):  # noqa: N818 - nothing is wrong
    """``--help`` was among the words; carries the text to print."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command: where it stands, what it takes, what it does.

    ``usage`` is what follows its name in the usage line. ``changes`` adds ``--dry-run``. ``elsewhere`` are flags that
    only the kubernetes platform has (``--name`` or ``-n``). ``in_order`` lists the flags as declared, not by name.
    ``formats`` is False for commands whose output is no result (scripts).
    """

    path: str
    handler: Handler
    options: type[Any]
    usage: str = ""
    rule: argv.ArgumentRule = argv.no_arguments
    changes: bool = False
    elsewhere: frozenset[str] = frozenset()
    examples: str = ""
    in_order: bool = False
    formats: bool = True

    @property
    def name(self) -> str:
        """The last word."""
        return self.path.split()[-1]

    @property
    def description(self) -> str:
        """The long description: the docstring of the function."""
        return inspect.cleandoc(self.handler.__doc__ or "")

    @property
    def common_flags(self) -> tuple[Flag, ...]:
        """The flags that many commands share."""
        return (*((DRY_RUN,) if self.changes else ()), *((OUTPUT,) if self.formats else ()))

    @property
    def flags(self) -> tuple[Flag, ...]:
        """All flags but the global ones, in the order of the help."""
        wanted = Flag("help", "bool", False, f"help for {self.name}", short="h")
        own = [*flags_of(self.options), *self.common_flags, wanted]
        return tuple(own if self.in_order else sorted(own, key=lambda flag: flag.name))

    @property
    def usage_text(self) -> str:
        """The part of the help that follows a syntax error."""
        return helptext.command_usage(self.path, self.usage, self.flags, GLOBALS, self.examples)

    @property
    def help(self) -> str:
        """The help text."""
        return helptext.command_help(self.description, self.usage_text)

    def parse(self, words: list[str]) -> argv.Parsed:
        """Take the words after the command's name apart, and check how many arguments there are.

        Raises:
            HelpWanted: help is all that is asked for.
            UsageError: they are wrong.
        """
        parsed = argv.parse((*self.flags, *GLOBALS), words, self._elsewhere)
        if parsed.values.get("help"):
            raise HelpWanted(self.help)
        self.rule(parsed.arguments, helptext.name_of(self.path))
        output = parsed.values.get(OUTPUT.name, OUTPUT.default)
        if output not in OUTPUT.choices:
            raise argv.bad_value(OUTPUT, output, "must be text, json or yaml")
        return parsed

    def _elsewhere(self, flag: str) -> str:
        if flag not in self.elsewhere and flag not in KUBERNETES_GLOBALS:
            return ""
        return f"{flag} is a flag of the kubernetes platform; '{helptext.name_of(self.path)}' has none on podman"

    def parameters(self, parsed: argv.Parsed) -> dict[str, Any]:
        """The values of the function's Typer parameters."""
        values: dict[str, Any] = {"arguments": list(parsed.arguments)}
        for flag in self.common_flags:
            values[_identifier(flag)] = parsed.values.get(flag.name, flag.default)
        for name, identifier in field_names(self.options).items():
            flag = next(flag for flag in flags_of(self.options) if flag.name == name)
            value = parsed.values.get(name, flag.default)
            values[identifier] = list(value) if flag.kind in REPEATABLE else value
        return values

    def call(self, session: Session, values: Mapping[str, Any]) -> Result:
        """Call the function with the values of its Typer parameters.

        Raises:
            SkupperError: the command failed.
        """
        refuse_later(flags_of(self.options), session.given, values, field_names(self.options))
        names = field_names(self.options).values()
        options = self.options(
            **{name: tuple(values[name]) if isinstance(values[name], list) else values[name] for name in names}
        )
        session = replace(session, dry_run=bool(values.get("dry_run")))
        return self.handler(session, options, tuple(values["arguments"] or ()))


def _identifier(flag: Flag) -> str:
    return flag.name.replace("-", "_")


def refuse_later(
    flags: tuple[Flag, ...], given: frozenset[str], values: Mapping[str, Any], fields: Mapping[str, str]
) -> None:
    """Refuse flags of 1.9 that this release does not make work.

    Raises:
        SkupperError: naming every one that was given, other than to say "no".
    """
    wanted = [flag for flag in flags if flag.later and flag.name in given]
    refused = [flag for flag in wanted if not is_zero(flag, values[fields[flag.name]])]
    if refused:
        names = ", ".join(f"--{flag.name}" for flag in refused)
        reasons = "; ".join(dict.fromkeys(flag.later for flag in refused))
        verb = "is" if len(refused) == 1 else "are"
        raise SkupperError(f"{names} {verb} not supported in this release: {reasons}", "run the command without it")


class LeafCommand(TyperCommand):
    """A Typer command whose words are read, and whose help is written, as 1.9 does it."""

    declared: ClassVar[Command]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Fill the parameters of the context from ``args``; its object is the Session."""
        parsed = self.declared.parse(list(args))
        ctx.params.update(self.declared.parameters(parsed))
        ctx.obj = replace(ctx.obj, given=frozenset(parsed.values), notices=parsed.notices)
        return []

    def get_help(self, ctx: Any) -> str:
        """The help text."""
        return self.declared.help


def new_app() -> typer.Typer:
    """An application for the commands of one noun."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def command(app: typer.Typer, path: str, options: type[Any], **details: Any) -> Callable[[F], F]:
    """Register the decorated function as command ``path`` of ``app``; ``details`` are fields of :class:`Command`."""

    def register(handler: F) -> F:
        declared = Command(path, handler, options, **details)
        leaf = type("Leaf", (LeafCommand,), {"declared": declared, "__doc__": LeafCommand.__doc__})
        app.command(declared.name, cls=leaf, help=declared.description)(_typer_function(declared))
        return handler

    return register


def _typer_function(declared: Command) -> Callable[..., Result]:
    """A function with the parameters Typer expects of a command, made from the declaration."""

    def function(ctx: typer.Context, **values: Any) -> Result:
        return declared.call(ctx.obj, values)

    parameters = [inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    # Optional, because Click before 8.3 has no default for a list of arguments.
    annotation = Annotated[list[str] | None, typer.Argument(metavar=declared.usage)]
    parameters.append(
        inspect.Parameter("arguments", inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)
    )
    fields = field_names(declared.options)
    for flag in (*flags_of(declared.options), *declared.common_flags):
        names = [f"--{flag.name}", *([f"-{flag.short}"] if flag.short else [])]
        option = typer.Option(*names, help=flag.help, hidden=flag.hidden, metavar=flag.kind)
        parameters.append(
            inspect.Parameter(
                fields.get(flag.name, _identifier(flag)),
                inspect.Parameter.KEYWORD_ONLY,
                annotation=Annotated[_TYPES[flag.kind], option],
                default=list(flag.default) if flag.kind in REPEATABLE else flag.default,
            )
        )
    function.__name__ = _identifier_of(declared.path)
    function.__doc__ = declared.description
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


def _identifier_of(path: str) -> str:
    return path.replace(" ", "_").replace("-", "_")
