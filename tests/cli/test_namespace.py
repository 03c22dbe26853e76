"""Which of a user's sites a command is about, and what it then tells of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from skupper_podman.cli import fast
from skupper_podman.cli.addressed import addressed, addressed_document
from skupper_podman.cli.chosen import check_site
from skupper_podman.cli.world import World, real_world
from tests.cli.memory import MemoryPlatform
from tests.cli.terminal import Terminal

BY_FLAG = (["-n", "blue"], ["-nblue"], ["-n=blue"], ["--namespace", "blue"], ["--namespace=blue"])


class Several(Terminal):
    """A terminal that keeps the worlds that commands were given."""

    def _open(self, world: World, endpoint: str) -> MemoryPlatform:
        worlds.append(world)
        assert isinstance(self.platform, MemoryPlatform)
        return self.platform


worlds: list[World] = []


@pytest.fixture
def several(tmp_path: Path, platform: MemoryPlatform) -> Several:
    worlds.clear()
    return Several(tmp_path, platform)


@pytest.mark.parametrize("words", BY_FLAG, ids=" ".join)
@pytest.mark.parametrize("first", [True, False])
def test_a_flag_chooses_the_site(several: Several, words: list[str], first: bool) -> None:
    answer = several(*(*words, "init") if first else ("init", *words))
    assert answer.code == 0, answer
    assert answer.out.startswith(
        "Skupper is now installed for user 'jdoe' in namespace 'blue'.  Use 'skupper -n blue st"
    )
    assert {world.namespace for world in worlds} == {"blue"}
    paths = worlds[0].paths
    assert paths.endpoint_file == several.home / ".local/share/skupper/namespaces/blue/podman.yaml"
    assert paths.platform_file == several.home / ".local/share/skupper/platform.yaml"
    assert paths.unit_file.name == "skupper-podman.blue.service"


def test_the_variable_does_where_no_flag_does(several: Several) -> None:
    several.env = {**several.env, "SKUPPER_NAMESPACE": "red"}
    several("init")
    several("-n", "blue", "init")
    several("-n", "default", "init")
    assert [world.namespace for world in worlds] == ["red", "blue", ""]


def test_without_either_it_is_the_site_of_1_9(several: Several) -> None:
    assert several("init").out.startswith("Skupper is now installed for user 'jdoe'.  Use 'skupper status'")
    assert worlds[0].paths.unit_file.name == "skupper-podman.service"


@pytest.mark.parametrize("name", ["Blue", "a.b", "a_b", "-", "a b", "x" * 64])
def test_a_bad_name_is_refused_in_one_line(several: Several, name: str) -> None:
    answer = several("status", f"--namespace={name}")
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 2)
    assert answer.err.startswith("Error: invalid namespace ")
    assert answer.err.splitlines()[1].startswith("Hint: ")
    several.env = {**several.env, "SKUPPER_NAMESPACE": name}
    assert "(SKUPPER_NAMESPACE)" in several("status").err
    assert not worlds


def test_suggested_commands_name_the_site(several: Several) -> None:
    answer = several("-n", "blue", "status")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines()[1] == "Hint: to create a site: skupper -n blue init"
    assert '"hint": "to create a site: skupper -n blue init"' in several("-n", "blue", "status", "-o", "json").out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("skupper init", "skupper -n blue init"),
        ("x; skupper doctor --fix && skupper link delete F",
         "x; skupper -n blue doctor --fix && skupper -n blue link delete F"),
        ("podman logs skupper-router.blue; skupper init", "podman logs skupper-router.blue; skupper -n blue init"),
        ("at site s1: skupper token create FILE; here: skupper link delete a",
         "at site s1: skupper token create FILE; here: skupper -n blue link delete a"),
        ("use a file written by 'skupper token create'", "use a file written by 'skupper token create'"),
        ("skupper switch podman", "skupper switch podman"),
        ("skupper is enabled", "skupper is enabled"),
        ("my-skupper init /skupper init", "my-skupper init /skupper init"),
    ],
)  # fmt: skip
def test_which_commands_are_this_sites(text: str, said: str) -> None:
    assert addressed(text, "blue") == said
    assert addressed(text, "") == text
    document = {"data": {"fix": text, "name": text, "checks": [{"fix": text}]}, "warnings": [text]}
    expected = {"data": {"fix": said, "name": text, "checks": [{"fix": said}]}, "warnings": [said]}
    assert addressed_document(document, "blue") == expected


def test_files_are_printed_as_they_are(several: Several) -> None:
    several("-n", "blue", "init")
    assert "skupper -n" not in several("-n", "blue", "completion", "bash").out


def test_the_quick_answers_know_of_one_site_only(tmp_path: Path) -> None:
    env = {"SKUPPER_PLATFORM": "podman", "SKUPPER_DATA_HOME": str(tmp_path), "SKUPPER_NAMESPACE": "blue"}
    assert fast.answer(["version"], env) is None  # type: ignore[arg-type]
    del env["SKUPPER_NAMESPACE"]
    assert fast.answer(["-n", "blue", "version"], env) is None  # type: ignore[arg-type]
    world = replace(real_world(), env=env)
    assert check_site(["version", "-n", "blue"], world) == "blue"
