"""Which platform and which site a command works on, in the command line's words.

What always holds: a command that cannot work on the chosen platform says which one was chosen, by what, and how to
choose the other; a bad value in the environment never keeps ``switch``, ``version``, ``completion`` or ``help`` from
working.
"""

from __future__ import annotations

from collections.abc import Sequence

from skupper_podman.cli import argv
from skupper_podman.cli.flags import NAMESPACE
from skupper_podman.cli.world import World
from skupper_podman.errors import SkupperError, UsageError
from skupper_podman.model import namespace
from skupper_podman.platform import choice
from skupper_podman.platform.choice import Choice


def choose(flag: str, world: World, *, tolerant: bool) -> Choice:
    """The platform; a ``tolerant`` command goes on without a variable that names none.

    Raises:
        UsageError: the flag, or the variable, names no platform.
    """
    switch_file = world.paths.platform_file
    switch = choice.load_switch(switch_file)
    try:
        return choice.choose(flag, world.env, switch, switch_file)
    except UsageError:
        if not tolerant or flag:
            raise
        return choice.choose("", {}, switch, switch_file)


def choose_site(words: Sequence[str], world: World) -> str:
    """The name of the site that the words, else the environment, choose; empty for the one without, or a bad one."""
    try:
        return check_site(words, world)
    except UsageError:
        return ""


def check_site(words: Sequence[str], world: World) -> str:
    """As :func:`choose_site`.

    Raises:
        UsageError: it is no name.
    """
    flag = argv.scan(words, NAMESPACE.name, NAMESPACE.short)
    if flag:
        return namespace.check_namespace(flag)
    return namespace.check_namespace(world.env.get(namespace.VARIABLE, ""), namespace.VARIABLE)


def origin_in_words(chosen: Choice) -> str:
    """Where the choice comes from, to follow ``chosen``."""
    if chosen.origin == "default":
        return "by default (no --platform, no SKUPPER_PLATFORM, no 'skupper switch')"
    if chosen.origin == "--platform":
        return "by --platform"
    if chosen.origin == choice.VARIABLE:
        return f"by the environment variable {chosen.origin}"
    return f"by 'skupper switch' ({chosen.origin})"


def refuse_kubernetes(chosen: Choice) -> None:
    """Say that the platform has no backend here, and how to choose the one that has.

    Raises:
        SkupperError: the platform is not podman.
    """
    if chosen.platform == "podman":
        return
    raise SkupperError(
        f"the {chosen.platform} platform has no backend in this release; it was chosen {origin_in_words(chosen)}",
        "to choose podman: skupper switch podman, or --platform podman with the command",
    )
