"""Gateways whose programs are killed on a machine that boots: services and containers of root, services of a user."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Iterator
from typing import Final

from tests.e2e.gatewayscene import Scene, database_server, definition
from tests.e2e.machine import USER
from tests.gateway.injuries import TOOLS, Case, Done, Ground, cases
from tests.podmanlab import until

_WAIT: Final = ("--wait", "120")
CASES: Final[dict[str, tuple[str, tuple[Case, ...]]]] = {
    "service": ("root", cases(*_WAIT, other="podman")),
    "podman": ("root", cases("-t", "podman", *_WAIT)),
    "service of a user": (USER, cases(*_WAIT)),
}
"""What is launched, by whom, and how that is hurt."""


@contextlib.contextmanager
def grounds() -> Iterator[dict[str, Ground]]:
    """The machine, as root and as its user see it."""
    with database_server() as scene:
        for name in ("hurt.py", "picture.py"):
            shutil.copy(TOOLS / name, scene.server.directory / "home" / name)
        yield {user: _ground(scene, user) for user in ("root", USER)}


def _ground(scene: Scene, user: str) -> Ground:
    first = scene.bundle(definition(("db", 15432)), "--self-contained", user=user, into="first")
    second = scene.bundle(definition(("db", 15432), ("more", 15433)), "--self-contained", user=user, into="second")

    def run(words: tuple[str, ...]) -> Done:
        done = scene.sh(" ".join(map(shlex.quote, words)), user=user, expect=None)
        return Done(done.returncode, done.stdout, done.stderr)

    def well(generation: str) -> str:
        until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site")
        if generation == "2":
            until(lambda: scene.echo("more") == "hello\n", 60, "the other server answers, too")
        return ""

    report = "/tmp/moments"
    return Ground(
        "database", {"1": first, "2": second}, run, report, lambda path: scene.sh(f"cat {path}", user=user).stdout,
        "/home", well,
    )  # fmt: skip
