"""Runs command lines in this process, in a world of the test's own."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skupper_podman.cli.app import run
from skupper_podman.cli.world import World
from skupper_podman.platform import Platform
from tests.cli.memory import MemoryPlatform

NOW = datetime.datetime(2025, 1, 31, 10, 0, 0, tzinfo=datetime.UTC)


@dataclass
class Answer:
    """What a command line led to."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """``data`` of the JSON envelope."""
        return json.loads(self.out)["data"]


@dataclass
class Terminal:
    """A user at a terminal: environment, home, a platform, and a clock that only sleeping moves."""

    home: Path
    platform: Platform = field(default_factory=MemoryPlatform)
    env: Mapping[str, str] = field(default_factory=lambda: {"SKUPPER_PLATFORM": "podman"})
    uid: int = 1000
    err_is_terminal: bool = False
    image: tuple[str, str] | None = None
    seconds: float = 0.0
    opened: list[str] = field(default_factory=list)

    def __call__(self, *words: str) -> Answer:
        """Run ``skupper WORDS``."""
        out: list[str] = []
        err: list[str] = []
        code = run(words, self._world(out, err))
        return Answer(code, "".join(out), "".join(err))

    def _world(self, out: list[str], err: list[str]) -> World:
        return World(
            env=self.env,
            uid=self.uid,
            user="jdoe",
            home=self.home,
            write_out=out.append,
            write_err=err.append,
            err_is_terminal=self.err_is_terminal,
            now=lambda: NOW,
            monotonic=lambda: self.seconds,
            sleep=self._sleep,
            open_platform=self._open,
            router_image=lambda _world: self.image,
        )

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def _open(self, _world: World, endpoint: str) -> Platform:
        self.opened.append(endpoint)
        return self.platform
