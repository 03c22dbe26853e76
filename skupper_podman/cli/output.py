"""The one place that prints: results and failures, as text or in the envelope of :mod:`skupper_podman.cli.result`.

What always holds: results go to stdout; errors, hints, warnings and notices go to stderr, except that a failure in
``-o json`` or ``-o yaml`` is a document on stdout. A control character from another site never reaches the terminal.
"""

from __future__ import annotations

import json
from typing import Any

from skupper_podman.cli.addressed import AS_IT_IS, addressed, addressed_document
from skupper_podman.cli.render.clean import clean
from skupper_podman.cli.result import Json, Result, error_envelope
from skupper_podman.cli.world import World
from skupper_podman.errors import Blocker, LinkCheckError, PreflightError, SkupperError


def print_result(world: World, result: Result, output: str) -> None:
    """Print what a command gave back.

    Raises:
        OSError: it cannot be written.
    """
    if output != "text":
        world.write_out(document(_for_site(result.envelope(), world), output))
        return
    if result.text:
        named = result.text if result.kind in AS_IT_IS else addressed(result.text, world.namespace)
        world.write_out(visible(named))
    for warning in result.warnings:
        world.write_err(f"Warning: {visible(addressed(warning, world.namespace))}\n")


def print_notices(world: World, notices: tuple[str, ...]) -> None:
    """Print what is to be said before a command runs.

    Raises:
        OSError: it cannot be written.
    """
    for notice in notices:
        world.write_err(f"{visible(addressed(notice, world.namespace))}\n")


def print_error(world: World, error: SkupperError, output: str, usage: str = "") -> None:
    """Print a failure; ``usage`` is the block that follows a syntax error, or empty.

    Raises:
        OSError: it cannot be written.
    """
    if output != "text":
        world.write_out(document(_for_site(error_document(error), world), output))
        return
    lines = [f"Error: {visible(error.message)}\n"]
    if isinstance(error, PreflightError):
        lines = ["Error: this host is not ready; nothing has been changed\n"]
        for blocker in error.blockers:
            lines.append(f"  {blocker.check}: {visible(blocker.cause)}\n")
            lines += [f"    Hint: {visible(blocker.fix)}\n"] if blocker.fix else []
    elif error.hint and not usage:
        lines.append(f"Hint: {visible(error.hint)}\n")
    world.write_err(addressed("".join(lines), world.namespace) + (f"{usage}\n" if usage else ""))


def _for_site(content: dict[str, Json], world: World) -> dict[str, Json]:
    return {key: addressed_document(value, world.namespace, key) for key, value in content.items()}


def error_document(error: SkupperError) -> dict[str, Json]:
    """The envelope of a failure."""
    blockers = error.blockers if isinstance(error, PreflightError) else ()
    if isinstance(error, LinkCheckError):
        blockers = (Blocker(error.check, error.message, error.hint),)
    checks: list[Json] = [{"check": blocker.check, "cause": blocker.cause, "fix": blocker.fix} for blocker in blockers]
    return error_envelope(_public_type(type(error)), error.message, error.hint, checks)


def _public_type(kind: type[Any]) -> str:
    """The nearest class that :mod:`skupper_podman.errors` documents; others are details of a module."""
    documented = (base for base in kind.__mro__ if base.__module__ == SkupperError.__module__)
    return next(documented, SkupperError).__name__


def document(content: dict[str, Json], output: str) -> str:
    """The document as JSON or YAML text."""
    if output == "json":
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    import yaml

    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def visible(text: str) -> str:
    """The text with control characters, other than line feed and tab, as escapes."""
    return clean(text, "\n\t")
