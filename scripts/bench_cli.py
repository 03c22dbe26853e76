"""How long the command line takes to start: ``--help``, ``version``, ``status`` against ``python -c pass``.

The rounds are interleaved, so that a busy machine slows all of them alike. With a lab (root, Podman) ``version`` and
``status`` look at a real site; without one they find no Podman.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.lab import Lab, missing_requirements

ROUNDS = 20
BASELINE = "python -c pass"
AIMS = {"skupper version": 8.0}
"""Largest ratio to the baseline that we are content with."""

Run = Callable[[list[str]], None]


def figures(rounds: int = ROUNDS) -> dict[str, dict[str, float | str]]:
    """Median wall time of each command in milliseconds, and its ratio to the baseline."""
    with surroundings() as (run, remark):
        commands = {
            BASELINE: [sys.executable, "-c", "pass"],
            "skupper --help": skupper("--help"),
            "skupper version": skupper("version"),
            f"skupper status{remark}": skupper("status"),
            "skupper link create --help": skupper("link", "create", "--help"),
        }
        seconds = measure(commands, run, rounds)
    base = statistics.median(seconds[BASELINE])
    rows: dict[str, dict[str, float | str]] = {}
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        rows[name] = {"milliseconds": round(middle * 1000, 1), "ratio to python -c pass": round(middle / base, 2)}
        if name in AIMS:
            rows[name]["aim"] = f"under {AIMS[name]:g} times"
    return rows


def skupper(*words: str) -> list[str]:
    """The installed program of this environment."""
    return [str(Path(sys.executable).parent / "skupper"), *words]


def measure(commands: dict[str, list[str]], run: Run, rounds: int) -> dict[str, list[float]]:
    """Wall times in seconds; each command is run once before it counts."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, argv in commands.items():
            begun = time.perf_counter()
            run(argv)
            if number:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


@contextlib.contextmanager
def surroundings() -> Iterator[tuple[Run, str]]:
    """Where the commands run, and what to add to the name of ``status``."""
    if missing_requirements():
        with tempfile.TemporaryDirectory(prefix="skupper-bench-") as home:
            env = {**os.environ, "HOME": home, "SKUPPER_DATA_HOME": home, "SKUPPER_PLATFORM": "podman"}
            env["CONTAINER_HOST"] = f"unix://{home}/none.sock"
            yield lambda argv: quietly(argv, env), " (no Podman)"
        return
    with Lab("bench") as lab:
        host = lab.hosts[0]
        host.skupper("init", "--router", "embedded", "--site-name", "bench", "--ingress-host", host.address)

        def run(argv: list[str]) -> None:
            host.run(*argv, check=False)

        yield run, ""


def quietly(argv: list[str], env: dict[str, str]) -> None:
    """Run a program whatever it says and returns."""
    subprocess.run(argv, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    for name, row in figures().items():
        print(f"{name:32}", *(f"{key}: {value}" for key, value in row.items()), sep="  ")
