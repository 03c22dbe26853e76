"""Shell completion: ``completion`` prints the script of a shell, which asks the hidden ``__complete`` at every Tab.

What always holds: completing never fails, never prints to stderr and changes nothing; without a reachable site it
offers commands and flags only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from skupper_podman.cli import app as application
from skupper_podman.cli import argv, catalog
from skupper_podman.cli.argv import CommandLineError, at_most
from skupper_podman.cli.chosen import choose
from skupper_podman.cli.flags import GLOBALS, Flag
from skupper_podman.cli.govalues import quote
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Session
from skupper_podman.cli.shells import FILES, SCRIPTS
from skupper_podman.cli.typed import command, new_app
from skupper_podman.cli.world import World
from skupper_podman.errors import SkupperError
from skupper_podman.platform import Platform

app = new_app()

Candidate = tuple[str, str]
"""A word and its description."""


@dataclass(frozen=True, slots=True)
class Completion:
    """``completion`` has no flags of its own."""


_EXAMPLES: Final = """\
  source <(skupper completion bash)      # in ~/.bashrc
  source <(skupper completion zsh)       # in ~/.zshrc
  skupper completion fish > ~/.config/fish/completions/skupper.fish"""


@command(app, "completion", Completion, usage="[bash|zsh|fish]", rule=at_most(1), formats=False, examples=_EXAMPLES)
def completion(_session: Session, _options: Completion, arguments: tuple[str, ...]) -> Result:
    """Output shell completion code for bash, zsh or fish

    Without an argument the code is for bash.
    """
    shell = arguments[0] if arguments else "bash"
    if shell not in SCRIPTS:
        raise CommandLineError(f'invalid argument {quote(shell)} for "skupper completion"')
    return Result("Completion", SCRIPTS[shell])


def complete(words: list[str], world: World) -> int:
    """Print the candidates for the last of ``words``, one a line, each followed by a tab and its description."""
    try:
        candidates = list(_candidates(words[:-1], words[-1] if words else "", world))
    except SkupperError:
        candidates = []
    world.write_out("".join(f"{word}\t{text}\n" if text else f"{word}\n" for word, text in candidates))
    return 0


def _candidates(before: list[str], current: str, world: World) -> Iterable[Candidate]:
    if current == "=":  # bash splits words at "="
        current = ""
    elif before and before[-1] == "=":
        before = before[:-1]
    path, rest, unknown = catalog.find(before)
    if path == "help":
        path, rest, unknown = catalog.find(rest)
    if unknown or path in (*catalog.ABSENT, *catalog.HIDDEN, "help"):
        return []
    if catalog.is_group(path):
        return _in_group(path, before, current)
    declared = application.load(path).declared
    flags = (*declared.flags, *GLOBALS)
    asked = _flag_awaiting_value(flags, before)
    if asked is not None:
        return _starting(current, [(value, "") for value in asked.choices] or [(FILES, "")])
    if current.startswith("--") and "=" in current:
        name, _, value = current[2:].partition("=")
        choices = next((flag.choices for flag in flags if flag.name == name), ())
        return [(f"--{name}={choice}", "") for choice in choices if choice.startswith(value)]
    if current.startswith("-"):
        return _starting(current, [(f"--{flag.name}", flag.help) for flag in flags if not flag.hidden])
    return _starting(current, _arguments(path, flags, rest, world))


def _in_group(path: str, before: list[str], current: str) -> list[Candidate]:
    asked = _flag_awaiting_value(GLOBALS, before)
    if asked is not None:
        return _starting(current, [(choice, "") for choice in asked.choices])
    if current.startswith("-"):
        return _starting(current, [("--help", "help"), *((f"--{flag.name}", flag.help) for flag in GLOBALS)])
    return _starting(current, catalog.children(path))


def _starting(current: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    return [item for item in candidates if item[0].startswith(current) or item[0] == FILES]


def _flag_awaiting_value(flags: Iterable[Flag], before: list[str]) -> Flag | None:
    last = before[-1] if before else ""
    matching = (flag for flag in flags if last in (f"--{flag.name}", f"-{flag.short}" if flag.short else "--"))
    return next((flag for flag in matching if flag.takes_value), None)


def _arguments(path: str, flags: tuple[Flag, ...], rest: list[str], world: World) -> list[Candidate]:
    """Candidates for the next positional argument."""
    try:
        position = len(argv.parse(flags, rest).arguments)
    except SkupperError:
        return []
    fixed = _FIXED.get((path, position))
    if fixed is not None:
        return [(word, "") for word in fixed]
    names = _NAMES.get((path, position))
    if names is None:
        return []
    choice = choose(argv.scan(rest, "platform"), world, tolerant=True)
    return [(name, "") for name in names(world.open_platform(world, ""))] if choice.platform == "podman" else []


def _links(platform: Platform) -> list[str]:
    return [link.name for link in platform.links()]


def _claims(platform: Platform) -> list[str]:
    return [claim.name for claim in platform.claims()]


def _services(platform: Platform) -> list[str]:
    return [service.address for service in platform.services()]


_FIXED: Final[Mapping[tuple[str, int], tuple[str, ...]]] = {
    ("completion", 0): tuple(SCRIPTS),
    ("expose", 0): ("host",),
    ("unexpose", 0): ("host",),
    ("link create", 0): (FILES,),
    ("service bind", 1): ("host",),
    ("service unbind", 1): ("host",),
    ("switch", 0): ("kubernetes", "podman", "-"),
    ("token create", 0): (FILES,),
    ("token status", 0): (FILES,),
}

_NAMES: Final[Mapping[tuple[str, int], Callable[[Platform], list[str]]]] = {
    ("link delete", 0): _links,
    ("link status", 0): _links,
    ("link update", 0): _links,
    ("token revoke", 0): _claims,
    ("service allow-site", 0): _services,
    ("service bind", 0): _services,
    ("service delete", 0): _services,
    ("service status", 0): _services,
    ("service unbind", 0): _services,
}
