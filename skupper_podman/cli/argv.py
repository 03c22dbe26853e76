"""Command lines as 1.9 reads them: flags anywhere, ``-x=v``, ``-xv``, ``-x v``, ``--x=v`` or ``--x v``, until ``--``.

What always holds: any list of strings either parses or raises :class:`CommandLineError` with the message of 1.9. Pure;
nothing here knows a command.

Grammar and messages: pflag 1.0.5 and cobra 0.0.6, as listed in cli reference 1.2 and 1.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skupper_podman.cli.flags import PARSERS, REPEATABLE, Flag
from skupper_podman.cli.govalues import ValueSyntaxError, quote
from skupper_podman.errors import UsageError


class CommandLineError(UsageError):
    """The command line cannot be read. ``usage`` is printed after the message, instead of the hint."""

    usage: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A command line taken apart. ``values`` has only the flags that were given, ``notices`` what to tell on stderr."""

    values: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class _Parser:
    def __init__(self, flags: Sequence[Flag], foreign: Callable[[str], str]) -> None:
        self._named = {flag.name: flag for flag in flags}
        self._short = {flag.short: flag for flag in flags if flag.short}
        self._foreign = foreign
        self.values: dict[str, Any] = {}
        self.arguments: list[str] = []
        self.notices: list[str] = []

    def parse(self, words: Sequence[str]) -> None:
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                self.arguments += rest
                return
            if word.startswith("--"):
                self._long(word, rest)
            elif word.startswith("-") and word != "-":
                self._shorts(word, rest)
            else:
                self.arguments.append(word)

    def _long(self, word: str, rest: list[str]) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name.startswith("-"):
            raise CommandLineError(f"bad flag syntax: {word}")
        flag = self._named.get(name)
        if flag is None:
            raise self._unknown(f"--{name}", f"unknown flag: --{name}")
        if equals:
            self._set(flag, value)
        elif not flag.takes_value:
            self._set(flag, "true")
        elif rest:
            self._set(flag, rest.pop(0))
        else:
            raise CommandLineError(f"flag needs an argument: {word}")

    def _shorts(self, word: str, rest: list[str]) -> None:
        letters = word[1:]
        while letters:
            letter, tail = letters[0], letters[1:]
            flag = self._short.get(letter)
            if flag is None:
                raise self._unknown(f"-{letter}", f"unknown shorthand flag: {_rune(letter)} in -{letters}")
            if len(tail) > 1 and tail.startswith("="):
                self._set(flag, tail[1:])
            elif not flag.takes_value:
                self._set(flag, "true")
                letters = tail
                continue
            elif tail:
                self._set(flag, tail)
            elif rest:
                self._set(flag, rest.pop(0))
            else:
                raise CommandLineError(f"flag needs an argument: {_rune(letter)} in -{letters}")
            return

    def _unknown(self, flag: str, message: str) -> UsageError:
        known_elsewhere = self._foreign(flag)
        return UsageError(known_elsewhere) if known_elsewhere else CommandLineError(message)

    def _set(self, flag: Flag, text: str) -> None:
        try:
            value = PARSERS[flag.kind](text)
        except ValueSyntaxError as error:
            raise bad_value(flag, text, str(error)) from None
        if flag.deprecated:
            self.notices.append(f"Flag --{flag.name} has been deprecated, {flag.deprecated}")
        if flag.kind in REPEATABLE and flag.name in self.values:
            value = self.values[flag.name] + value
        self.values[flag.name] = tuple(dict(value).items()) if flag.kind == "stringToString" else value


def bad_value(flag: Flag, text: str, reason: str) -> CommandLineError:
    """The error for a value that the flag does not take."""
    return CommandLineError(f'invalid argument {quote(text)} for "{flag.label}" flag: {reason}')


def _rune(letter: str) -> str:
    return "'" + quote(letter)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


def parse(flags: Sequence[Flag], words: Sequence[str], foreign: Callable[[str], str] = lambda _flag: "") -> Parsed:
    """Take ``words`` apart.

    ``foreign`` may give the message for a flag that exists elsewhere only (``--name`` or ``-n``), or empty.

    Raises:
        CommandLineError: a flag that is unknown, malformed, without its value, or with a bad one.
        UsageError: a flag that ``foreign`` knows.
    """
    parser = _Parser(flags, foreign)
    parser.parse(words)
    return Parsed(parser.values, tuple(parser.arguments), tuple(parser.notices))


def scan(words: Sequence[str], name: str, short: str = "") -> str:
    """Value of the first ``--name`` in ``words``, found without knowing the command; empty if there is none.

    As 1.9 looks for ``--platform`` before it parses: a flag as last word counts as absent.
    """
    for index, word in enumerate(words):
        if word == "--":
            break
        if word in (f"--{name}", f"-{short}" if short else "") and index + 1 < len(words):
            return words[index + 1]
        if word.startswith(f"--{name}="):
            return word.partition("=")[2]
        if short and word.startswith(f"-{short}") and not word.startswith("--") and len(word) > 2:
            return word[2:].removeprefix("=")
    return ""


ArgumentRule = Callable[[tuple[str, ...], str], None]
"""Checks the positional arguments of the command with that full name; raises CommandLineError."""


def no_arguments(arguments: tuple[str, ...], command: str) -> None:
    """Rule: none."""
    if arguments:
        raise CommandLineError(f"unknown command {quote(arguments[0])} for {quote(command)}")


def any_number(_arguments: tuple[str, ...], _command: str) -> None:
    """Rule: as many as there are."""


def exactly(count: int) -> ArgumentRule:
    """Rule: ``count`` of them."""

    def rule(arguments: tuple[str, ...], _command: str) -> None:
        if len(arguments) != count:
            raise CommandLineError(f"accepts {count} arg(s), received {len(arguments)}")

    return rule


def at_most(count: int) -> ArgumentRule:
    """Rule: up to ``count`` of them."""

    def rule(arguments: tuple[str, ...], _command: str) -> None:
        if len(arguments) > count:
            raise CommandLineError(f"accepts at most {count} arg(s), received {len(arguments)}")

    return rule


def anything(_arguments: tuple[str, ...], _command: str) -> None:
    """Rule: the command checks them itself."""
