"""Commands that are suggested to the user of a named site, with the name in them.

Whoever finds what is wrong says which command mends it, and need not know which of the user's sites it is about: that
is added here, where things are printed. What always holds: a command meant for another site stays as it is. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from skupper_podman.cli import catalog

if TYPE_CHECKING:
    from skupper_podman.cli.result import Json

_VERBS: Final = "|".join(sorted({path.split()[0] for path in catalog.COMMANDS if path} - catalog.ANY_PLATFORM))
_ELSEWHERE: Final = r"\bat site [^;]*?: |written by '|\bon another host: "
_COMMAND: Final = re.compile(rf"((?:{_ELSEWHERE})?)(?<![\w/.-])skupper (?=(?:{_VERBS})\b)")
_KEYS: Final = ("fix", "hint", "message", "cause", "detail", "reason", "warnings", "notes")
"""Keys of documents under which a command may be suggested."""
AS_IT_IS: Final = frozenset({"Completion", "Dump", "Export", "Manual", "Units"})
"""Kinds of results whose text is a file, or names files."""


def addressed(text: str, namespace: str) -> str:
    """The text with the site's name in the commands it suggests."""
    if not namespace or "skupper " not in text:
        return text
    return _COMMAND.sub(lambda found: found[0] if found[1] else f"skupper -n {namespace} ", text)


def addressed_document(value: Json, namespace: str, key: str = "") -> Json:
    """A document likewise, in the values that may suggest a command."""
    if not namespace:
        return value
    if isinstance(value, dict):
        return {name: addressed_document(item, namespace, name) for name, item in value.items()}
    if isinstance(value, list):
        return [addressed_document(item, namespace, key) for item in value]
    return addressed(value, namespace) if isinstance(value, str) and key in _KEYS else value
