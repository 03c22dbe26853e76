"""``man``: the manual as files, a page a command, made of the same declarations as the help."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from skupper_podman import SKUPPER_VERSION
from skupper_podman.cli import app as application
from skupper_podman.cli import catalog, helptext
from skupper_podman.cli.flags import flag
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import PlatformError, UsageError

app = new_app()

_SECTION: Final = "1"


@dataclass(frozen=True, slots=True)
class Man:
    """Flags of ``man``."""

    output_directory: str = flag("output-directory", "string", "Where the files are written", default="docs.out")


@command(app, "man", Man)
def man(_session: Session, options: Man, _arguments: tuple[str, ...]) -> Result:
    """Write the manual: man pages and Markdown"""
    directory = Path(options.output_directory)
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory")
    files = dict(pages())
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise PlatformError(f"error creating output directory - {error.strerror}: {error.filename}") from None
    text = f"{len(files)} files written to {directory}{os.sep}\n"
    return Result("Manual", text, {"directory": str(directory), "files": [*sorted(files)]}, changed=True)


def pages() -> Iterator[tuple[str, str]]:
    """Name and text of every file."""
    for path, (module, short) in catalog.COMMANDS.items():
        if path == "help" or path in catalog.UNLISTED:
            continue
        title = helptext.name_of(path)
        text = application.load(path).declared.help if module else helptext.group_help(path)
        stem = title.replace(" ", "-")
        related = [helptext.name_of(other) for other in _neighbours(path)]
        yield f"{stem}.{_SECTION}", _roff(title, short or "manage services across sites", text, related)
        yield f"{stem.replace('-', '_')}.md", _markdown(title, text, related)


def _neighbours(path: str) -> list[str]:
    """The group a command is in, and what is in it."""
    below = [f"{path} {name}".strip() for name, _short in catalog.children(path)]
    return ([path.rpartition(" ")[0]] if path else []) + below


def _roff(title: str, short: str, text: str, related: list[str]) -> str:
    stem = title.replace(" ", "-")
    lines = [
        f'.TH "{stem.upper()}" "{_SECTION}" "" "Skupper {SKUPPER_VERSION}" "Skupper"',
        ".SH NAME", f"{_escaped(stem)} \\- {_escaped(short.rstrip('.'))}",
        ".SH DESCRIPTION", ".nf", *(_escaped(line) for line in text.rstrip().splitlines()), ".fi",
    ]  # fmt: skip
    if related:
        names = ", ".join(f"\\fB{_escaped(name.replace(' ', '-'))}\\fP({_SECTION})" for name in related)
        lines += [".SH SEE ALSO", names]
    return "\n".join(lines) + "\n"


def _escaped(line: str) -> str:
    """A line that troff prints as it is."""
    escaped = line.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _markdown(title: str, text: str, related: list[str]) -> str:
    links = "".join(f"* [{name}]({name.replace(' ', '_').replace('-', '_')}.md)\n" for name in related)
    see = f"\n## See also\n\n{links}" if links else ""
    return f"# {title}\n\n```\n{text.rstrip()}\n```\n{see}"
