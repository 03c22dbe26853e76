"""Finding the command in a command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.cli import app, catalog


@pytest.mark.parametrize(
    ("line", "path", "rest", "unknown"),
    [
        ("", "", [], ""),
        ("status", "status", [], ""),
        ("link create t", "link create", ["t"], ""),
        ("--platform podman link create t", "link create", ["--platform", "podman", "t"], ""),
        ("link --platform=podman create t", "link create", ["--platform=podman", "t"], ""),
        ("--verbose status", "status", ["--verbose"], ""),
        ("--name link link create t", "link create", ["--name", "link", "t"], ""),
        ("link --name create create t", "link create", ["--name", "create", "t"], ""),
        ("-o json status", "status", ["-o", "json"], ""),
        ("--help link", "link", ["--help"], ""),
        ("-h status", "status", ["-h"], ""),
        ("--platform status status", "status", ["--platform", "status"], ""),
        ("link", "link", [], ""),
        ("link stat", "link", ["stat"], "stat"),
        ("nope", "", ["nope"], "nope"),
        ("- x", "", ["-", "x"], "-"),
        ("status extra", "status", ["extra"], ""),
        ("version manifest", "version manifest", [], ""),
        ("version nope", "version", ["nope"], "nope"),
        ("service label backend", "service label", ["backend"], ""),
        ("debug dump x", "debug dump", ["x"], ""),
        ("debug policies", "debug policies", [], ""),
        ("-- status", "", ["--", "status"], ""),
        ("help link create", "help", ["link", "create"], ""),
    ],
)
def test_find(line: str, path: str, rest: list[str], unknown: str) -> None:
    assert catalog.find(line.split()) == (path, rest, unknown)


@given(st.lists(st.one_of(st.text(max_size=5), st.sampled_from([*"-hoxv", "--", "-o", "link", "create", "--a"]))))
def test_no_word_is_lost_but_the_command(words: list[str]) -> None:
    path, rest, _unknown = catalog.find(words)
    assert sorted([*path.split(), *rest]) == sorted(words)


def test_every_command_loads_and_declares_its_own_path() -> None:
    for path, (module, short) in catalog.COMMANDS.items():
        if module and path != "help":
            assert app.load(path).declared.path == path
            assert app.load(path).declared.description.splitlines()[0] == short


def test_absent_commands_are_no_commands() -> None:
    assert not set(catalog.ABSENT) & set(catalog.COMMANDS)


@pytest.mark.parametrize(
    ("path", "word", "expected"),
    [
        ("", "statsu", ["status"]),
        ("", "connect", ["link create"]),
        ("link", "stat", ["status"]),
        ("link", "craete", ["create"]),
        ("", "nothing-like-it", []),
        ("", "", []),
    ],
)
def test_suggestions(path: str, word: str, expected: list[str]) -> None:
    assert catalog.suggestions(path, word) == expected
