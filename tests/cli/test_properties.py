"""Whatever is typed, there is an answer, an exit code that fits it, and no traceback."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.cli import app, catalog
from tests.cli.memory import MemoryPlatform
from tests.cli.terminal import Answer, Terminal

FLAGS = sorted(
    {
        text
        for path, (module, _short) in catalog.COMMANDS.items()
        if module and path != "help"
        for flag in app.load(path).declared.flags
        for text in (f"--{flag.name}", f"-{flag.short}" if flag.short else f"--{flag.name}=", f"--{flag.name}=1")
    }
)
NAMES = sorted({word for path in (*catalog.COMMANDS, *catalog.ABSENT, *catalog.HIDDEN) for word in path.split()})
VALUES = [
    "",
    "-",
    "--",
    "=",
    "a",
    "a=b",
    "80",
    "0",
    "-1",
    "host",
    "all",
    "json",
    "text",
    "link1",
    "/nonexistent/x",
    "é\x00\n",
]
WORDS = st.one_of(
    st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(FLAGS), st.sampled_from(VALUES), st.text(max_size=4)
)
LINES = st.lists(WORDS, max_size=7)


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """An empty home, which is also the working directory: a word may name a file to write."""
    with tempfile.TemporaryDirectory(prefix="skupper-cli-") as name, contextlib.chdir(name):
        yield Path(name)


def check(answer: Answer) -> None:
    assert answer.code in (0, 1, 2)
    assert "Traceback" not in answer.out + answer.err
    assert "internal error" not in answer.out + answer.err
    if answer.code == 2:
        # A flag that is deprecated is told of first.
        said = any(line.startswith("Error: ") for line in answer.err.splitlines())
        assert said or '"kind": "Error"' in answer.out or "kind: Error" in answer.out


@settings(max_examples=600, deadline=None)
@given(LINES, st.booleans())
def test_any_words_on_a_host(words: list[str], is_site: bool) -> None:
    with home() as place:
        terminal = Terminal(place, MemoryPlatform())
        if is_site:
            terminal("init", "--site-name=w", "--ingress-host=h")
            terminal("service", "create", "a", "80")
        check(terminal(*words))


@settings(max_examples=100, deadline=None)
@given(LINES)
def test_any_words_on_kubernetes(words: list[str]) -> None:
    with home() as place:
        check(Terminal(place, MemoryPlatform(), env={})(*words))


@settings(max_examples=200, deadline=None)
@given(LINES)
def test_completing_any_words_gives_candidates_only(words: list[str]) -> None:
    with home() as place:
        answer = Terminal(place, MemoryPlatform())("__complete", *words)
    assert (answer.code, answer.err) == (0, "")
