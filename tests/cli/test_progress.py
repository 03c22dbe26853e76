"""Progress is shown late, on terminals, and never gets in the way."""

from __future__ import annotations

import threading
from dataclasses import replace

from skupper_podman.cli.progress import Progress
from skupper_podman.plan import Plan, Step
from skupper_podman.platform import SiteRequest
from tests.cli.memory import MemoryPlatform
from tests.cli.terminal import Terminal


def test_nothing_is_shown_before_its_time() -> None:
    shown: list[str] = []
    with Progress(shown.append, patience=3600) as progress:
        progress("one")
        progress("two")
    assert shown == []


def test_the_current_activity_is_shown_when_the_time_is_over_and_then_each_new_one() -> None:
    shown: list[str] = []
    late = threading.Event()

    def say(text: str) -> None:
        shown.append(text)
        late.set()

    with Progress(say, patience=0.001) as progress:
        progress("one")
        assert late.wait(30)
        progress("two")
    progress("three")
    assert shown == ["one\n", "two\n"]


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    asked = threading.Event()

    def say(_text: str) -> None:
        asked.set()
        raise OSError("gone")

    with Progress(say, patience=0.001) as progress:
        progress("one")
        assert asked.wait(30)
        progress("two")


def test_steps_are_counted(skupper: Terminal, platform: MemoryPlatform) -> None:
    """A step that ends only when its line was shown: on a terminal it is, else it would wait for ever."""
    shown = threading.Event()
    lines: list[str] = []

    def plan_init(_request: SiteRequest) -> Plan:
        def wait() -> None:
            assert shown.wait(30)

        return Plan("Create site", (Step("create", "volume a", lambda: None), Step("create", "network skupper", wait)))

    def write(text: str) -> None:
        lines.append(text)
        shown.set()

    platform.plan_init = plan_init  # type: ignore[method-assign]
    world = replace(skupper._world([], []), err_is_terminal=True, write_err=write)
    from skupper_podman.cli.app import run

    assert run(["init"], world) == 0
    assert lines == ["[2/2] create network skupper\n"]


def test_nothing_is_shown_where_stderr_is_a_file(skupper: Terminal) -> None:
    assert skupper("init").err == ""
