"""Which platform is chosen, and what is said where it has no backend."""

from dataclasses import replace

import pytest

from skupper_podman.cli import catalog
from tests.cli.terminal import Terminal

COMMANDS = [
    path.split() for path, (module, _) in catalog.COMMANDS.items() if module and path not in catalog.ANY_PLATFORM
]


@pytest.fixture
def bare(skupper: Terminal) -> Terminal:
    """A user without any setting."""
    return replace(skupper, env={})


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_says_that_kubernetes_has_no_backend(bare: Terminal, words: list[str]) -> None:
    answer = bare(*words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        "Error: the kubernetes platform has no backend in this release; it was chosen by default "
        "(no --platform, no SKUPPER_PLATFORM, no 'skupper switch')\n"
        "Hint: to choose podman: skupper switch podman, or --platform podman with the command\n"
    )
    assert bare.opened == []


def test_the_origin_is_named(bare: Terminal) -> None:
    assert "chosen by --platform\n" in bare("status", "--platform=kubernetes").err
    by_variable = replace(bare, env={"SKUPPER_PLATFORM": "kubernetes"})
    assert "chosen by the environment variable SKUPPER_PLATFORM\n" in by_variable("status").err
    bare("switch", "kubernetes")
    path = bare.home / ".local/share/skupper/platform.yaml"
    assert f"chosen by 'skupper switch' ({path})\n" in bare("status").err


def test_flag_wins_over_variable_and_variable_over_file(bare: Terminal) -> None:
    assert bare("switch").out == "kubernetes\n"
    assert bare("switch", "podman").out == ""
    assert bare("switch").out == "podman\n"
    by_variable = replace(bare, env={"SKUPPER_PLATFORM": "kubernetes"})
    assert by_variable("switch").out == "kubernetes\n"
    assert by_variable("switch", "--platform", "podman").out == "podman\n"
    assert replace(bare, env={"SKUPPER_PLATFORM": ""})("switch").out == "podman\n"


def test_switch_writes_the_file_of_1_9_and_goes_back(bare: Terminal) -> None:
    path = bare.home / ".local/share/skupper/platform.yaml"
    bare("switch", "podman")
    assert path.read_text() == "current: podman\nprevious: kubernetes\n"
    answer = bare("switch", "-")
    assert (answer.code, answer.out) == (0, "Switched to: kubernetes\n")
    assert path.read_text() == "current: kubernetes\nprevious: podman\n"


def test_switch_refuses_other_words(bare: Terminal) -> None:
    answer = bare("switch", "docker")
    assert answer.code == 2
    assert answer.err.startswith('Error: invalid argument "docker" for "skupper switch"\nUsage:\n  skupper switch')


def test_switch_warns_when_it_is_overridden(bare: Terminal) -> None:
    answer = replace(bare, env={"SKUPPER_PLATFORM": "kubernetes"})("switch", "podman")
    assert answer.code == 0
    assert "SKUPPER_PLATFORM" in answer.err


def test_switch_dry_run_changes_nothing(bare: Terminal) -> None:
    answer = bare("switch", "podman", "--dry-run")
    assert "create file" in answer.out
    assert bare("switch").out == "kubernetes\n"


def test_switch_json(bare: Terminal) -> None:
    answer = bare("switch", "podman", "-o", "json")
    assert answer.data["platform"] == "podman"
    assert answer.data["previous"] == "kubernetes"


@pytest.mark.parametrize("words", [["status"], ["init"], ["status", "--help"]])
def test_invalid_platforms(bare: Terminal, words: list[str]) -> None:
    answer = bare(*words, "--platform", "docker")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Error: invalid platform: docker")


def test_a_bad_variable_does_not_disable_switch_version_and_help(bare: Terminal) -> None:
    bad = replace(bare, env={"SKUPPER_PLATFORM": "docker"})
    assert bad("status").code == 2
    for words in (["switch"], ["switch", "podman"], ["version"], ["--help"], ["help", "init"], ["completion"]):
        assert bad(*words).code == 0, words


def test_a_bad_file_is_as_good_as_none(bare: Terminal) -> None:
    path = bare.home / ".local/share/skupper/platform.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("current: [nonsense\n")
    assert bare("switch").out == "kubernetes\n"
    assert bare("switch", "podman").code == 0


ABSENT = [name.split() for name in catalog.ABSENT]


@pytest.mark.parametrize("words", ABSENT, ids=" ".join)
@pytest.mark.parametrize("platform", ["podman", "kubernetes"])
def test_absent_commands_say_so_in_one_line_and_name_the_alternative(
    bare: Terminal, words: list[str], platform: str
) -> None:
    answer = bare("--platform", platform, *words, "anything", "--flag")
    assert (answer.code, answer.out) == (1, "")
    error, hint = answer.err.splitlines()
    assert error.startswith(f"Error: 'skupper {' '.join(words)}' ")
    assert hint.startswith("Hint: ")
    assert len(hint) > 10


def test_flags_of_kubernetes_are_refused_as_such(skupper: Terminal) -> None:
    for words in (
        ["init", "--routers", "2"],
        ["status", "-c", "west"],
        ["status", "--context=west"],
        ["token", "create", "t", "--template", "x"],
        ["expose", "host", "h", "--headless"],
        ["service", "bind", "a", "host", "b", "--target-namespace", "x"],
    ):
        answer = skupper(*words)
        assert answer.code == 2, words
        assert "is a flag of the kubernetes platform" in answer.err
        assert "Usage:" not in answer.err
