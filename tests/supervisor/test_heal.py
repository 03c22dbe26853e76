"""The part of mending that needs no Podman."""

from __future__ import annotations

from typing import Any, cast

from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.supervisor.heal import Medic

ROUTER = ContainerInfo("skupper-router", "1", "image", "2", "exited", {}, exit_code=1)


class Logs:
    """A Podman that has only logs."""

    def __init__(self, text: str) -> None:
        self.text = text

    def logs(self, _name: str, tail: int = 20) -> str:
        return "\n".join(self.text.splitlines()[-tail:])


def last_words(text: str) -> list[str]:
    return Medic(cast(PodmanApi, cast(Any, Logs(text))), 0, tuple).last_words(ROUTER)


def test_the_last_lines_are_quoted() -> None:
    assert last_words("".join(f"line {number}\n" for number in range(20))) == [f"line {n}" for n in range(15, 20)]
    assert last_words("") == []


def test_nothing_reaches_a_terminal_and_no_line_is_endless() -> None:
    assert last_words("\x1b[2Jbad\x07\tdone") == ["?[2Jbad??done"]
    assert [len(line) for line in last_words("x" * 10_000)] == [500]
