"""From words to an exit code: find the command, choose the platform, run it, print what it gives back.

What always holds: whatever the words and whatever fails, :func:`run` says what happened and returns an exit code; a
traceback appears only with ``SKUPPER_DEBUG``.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import typer

from skupper_podman.cli import argv, catalog, helptext, output
from skupper_podman.cli.argv import CommandLineError
from skupper_podman.cli.chosen import check_site, choose, choose_site, refuse_kubernetes
from skupper_podman.cli.flags import GLOBALS, Flag
from skupper_podman.cli.govalues import quote
from skupper_podman.cli.session import Session
from skupper_podman.cli.typed import HelpWanted, LeafCommand
from skupper_podman.cli.world import World
from skupper_podman.errors import InterruptedByUser, SkupperError, UsageError

PIPE_CLOSED: Final = 141
"""Exit code when the reader of the output went away, as a program that died of SIGPIPE."""

_GROUP_FLAGS: Final = (Flag("help", "bool", False, "", short="h"), *GLOBALS)


def run(words: Sequence[str], world: World) -> int:
    """Run one command line (without the program's name); returns the exit code."""
    shape = argv.scan(words, "output", "o")
    shape = shape if shape in ("json", "yaml") else "text"
    try:
        world = replace(world, namespace=choose_site(words, world))
        failure = _attempt(list(words), world)
        if isinstance(failure, int):
            return failure
        _report(failure, world, shape)
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError:  # neither stdout nor stderr can be written: only the exit code is left
        return SkupperError.exit_code
    except KeyboardInterrupt:  # again, while the first one is being reported
        return InterruptedByUser.exit_code
    return failure.exit_code


def _report(failure: SkupperError, world: World, shape: str) -> None:
    usage = failure.usage if isinstance(failure, CommandLineError) else ""
    try:
        output.print_error(world, failure, shape, usage)
    except BrokenPipeError:
        raise
    except OSError:
        if shape == "text":
            raise
        output.print_error(world, failure, "text")  # stdout is full or closed; stderr may not be


def _attempt(words: list[str], world: World) -> int | SkupperError:
    """The exit code, or what went wrong."""
    try:
        try:
            return _answer(words, world)
        except HelpWanted as wanted:
            world.write_out(str(wanted))
            return 0
    except SkupperError as error:
        return error
    except KeyboardInterrupt:
        return InterruptedByUser("interrupted")
    except BrokenPipeError:
        raise
    except OSError as error:
        if world.debug:
            raise
        return SkupperError(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except Exception as error:
        if world.debug:
            raise
        return SkupperError(
            f"internal error: {type(error).__name__}: {error}",
            "run it again with SKUPPER_DEBUG=1 to see where it happened, and report that",
        )


def _answer(words: list[str], world: World) -> int:
    path, rest, unknown = catalog.find(words)
    if path in catalog.HIDDEN:
        return _load(catalog.HIDDEN[path]).complete(rest, world)  # type: ignore[no-any-return]
    if unknown:
        raise unknown_command(path, unknown)
    if path in catalog.ABSENT:
        matter, instead = catalog.ABSENT[path]
        raise SkupperError(f"'{helptext.name_of(path)}' {matter}", instead)
    check_site(words, world)
    tolerant = path in catalog.ANY_PLATFORM or catalog.is_group(path) or bool({"-h", "--help"} & set(rest))
    choice = choose(argv.scan(words, "platform"), world, tolerant=tolerant)
    if path == "help":
        world.write_out(help_topic(rest, catalog.closing_words(choice.platform)))
        return 0
    if catalog.is_group(path):
        _check_group_flags(path, rest)
        world.write_out(helptext.group_help(path, "" if path else catalog.closing_words(choice.platform)))
        return 0
    leaf = load(path)
    if not tolerant:
        refuse_kubernetes(choice)
    return _run_leaf(leaf, rest, Session(world, choice))


def _run_leaf(leaf: LeafCommand, words: list[str], session: Session) -> int:
    world = session.world
    try:
        name = helptext.name_of(leaf.declared.path)
        with contextlib.closing(session), leaf.make_context(name, words, obj=session) as context:
            output.print_notices(world, context.obj.notices)
            result = leaf.invoke(context)
            output.print_result(world, result, context.params.get("output", "text"))
    except CommandLineError as error:
        error.usage = error.usage or leaf.declared.usage_text
        raise
    except UsageError as error:
        error.hint = error.hint or f"run '{helptext.name_of(leaf.declared.path)} --help' for usage"
        raise
    return int(result.exit_code)


def _check_group_flags(path: str, words: list[str]) -> None:
    try:
        argv.parse(_GROUP_FLAGS, words)
    except CommandLineError as error:
        error.usage = helptext.group_help(path).partition("\n\n")[2] if path else helptext.group_help(path)
        raise


def unknown_command(path: str, word: str) -> CommandLineError:
    """The error for a word that names no command of that group."""
    hint = f"Run '{helptext.name_of(path)} --help' for usage."
    error = CommandLineError(f"unknown command {quote(word)} for {quote(helptext.name_of(path))}", hint)
    meant = "".join(f"\t{name}\n" for name in catalog.suggestions(path, word))
    error.usage = (f"\nDid you mean this?\n{meant}\n" if meant else "") + hint
    return error


def help_topic(words: list[str], closing: str) -> str:
    """Help for the command named by ``words``.

    Raises:
        CommandLineError: there is no such command.
    """
    path, _rest, unknown = catalog.find([word for word in words if word not in ("-h", "--help")])
    if unknown or path in catalog.HIDDEN:
        raise unknown_command("" if path in catalog.HIDDEN else path, unknown or path)
    if path in catalog.ABSENT:
        matter, instead = catalog.ABSENT[path]
        return f"'{helptext.name_of(path)}' {matter}: {instead}\n"
    if path == "help":
        path = ""
    if catalog.is_group(path):
        return helptext.group_help(path, "" if path else closing)
    return load(path).declared.help


def load(path: str) -> LeafCommand:
    """The command, imported now."""
    group = typer.main.get_command(_load(catalog.COMMANDS[path][0]).app)
    leaf = getattr(group, "commands", {}).get(path.split()[-1], group)
    assert isinstance(leaf, LeafCommand)
    assert leaf.declared.path == path
    return leaf


def _load(module: str) -> Any:
    return importlib.import_module(f"skupper_podman.cli.{module}")
