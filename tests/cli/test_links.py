"""``link create``, ``delete`` and ``status``."""

import json
from pathlib import Path

import pytest

from skupper_podman.errors import InvalidError
from skupper_podman.model.link import IncomingLink
from tests.cli.memory import PEER_ID, SITE_ID, MemoryPlatform, token_text
from tests.cli.terminal import Terminal


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "east.token"
    path.write_bytes(token_text())
    return str(path)


@pytest.fixture
def linked(site: Terminal, token: str) -> Terminal:
    assert site("link", "create", token).code == 0
    return site


def test_create(site: Terminal, token: str) -> None:
    answer = site("link", "create", token)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        "Site configured to link to 192.0.2.10:55671 (name=link1)\n"
        "Check the status of the link using 'skupper link status'.\n"
    )


def test_create_with_name_and_cost(site: Terminal, token: str, platform: MemoryPlatform) -> None:
    answer = site("link", "create", "--cost", "3", token, "--name=east", "-o", "json")
    assert answer.data["name"] == "east"
    assert answer.data["facts"]["host"] == "192.0.2.10"
    assert platform.links_by_name["east"].cost == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "invalid Skupper token"),
        (b"a: [", "Could not parse connection token: "),
        (token_text(SITE_ID), "Can't create connection to self with token"),
        (b"\xff\xfe\x00", "Could not parse connection token: "),
    ],
)
def test_create_with_a_bad_token(site: Terminal, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    answer = site("link", "create", str(path))
    assert answer.code == 1
    assert answer.err.startswith(f"Error: {message}")


def test_create_without_a_file(site: Terminal, tmp_path: Path) -> None:
    answer = site("link", "create", str(tmp_path / "none"))
    assert answer.err == f"Error: Could not read connection token: {tmp_path}/none does not exist\n"
    assert site("link", "create", str(tmp_path)).err.startswith("Error: Could not read connection token: ")
    assert site("link", "create").err.startswith("Error: accepts 1 arg(s), received 0\nUsage:\n  skupper link create")


def test_create_twice_says_what_is_there(linked: Terminal, token: str) -> None:
    answer = linked("link", "create", token)
    assert answer.code == 1
    assert answer.err.startswith(f'Error: Already connected to "{PEER_ID}".\nHint: ')


@pytest.mark.parametrize("cost", ["0", "-1"])
def test_costs_must_be_positive(site: Terminal, token: str, cost: str) -> None:
    assert site("link", "create", token, "--cost", cost).code == 2


def test_delete(linked: Terminal, platform: MemoryPlatform) -> None:
    assert linked("link", "delete", "link1", "--dry-run").out.startswith("Delete link link1\n")
    assert "link1" in platform.links_by_name
    answer = linked("link", "delete", "link1")
    assert (answer.code, answer.out) == (0, "Link 'link1' has been removed\n")
    answer = linked("link", "delete", "link1")
    assert answer.code == 1
    assert answer.err.startswith('Error: Failed to remove link: no such link "link1"\n')


def test_status(linked: Terminal, platform: MemoryPlatform) -> None:
    platform.incoming = (IncomingLink("a-b-c", "west"),)
    answer = linked("link", "status")
    assert answer.code == 0
    assert "\t Link link1 is connected\n" in answer.out
    assert answer.out.endswith("\t Incoming link from site a-b-c \n")
    assert linked("link", "status", "all").out == answer.out


def test_status_of_one(linked: Terminal, platform: MemoryPlatform) -> None:
    answer = linked("link", "status", "link1")
    assert (answer.code, answer.out) == (0, "Link link1 is connected\n")
    platform.link_state, platform.link_reason = "not connected", "no route"
    answer = linked("link", "status", "link1")
    assert (answer.code, answer.out) == (1, "Link link1 not connected (no route)\n")
    assert linked("link", "status").code == 0
    platform.link_state = "unknown"
    assert linked("link", "status", "link1").code == 1


def test_status_in_rows(linked: Terminal) -> None:
    out = linked("link", "status", "link1", "-v").out
    assert out.startswith("\n Cost:\t\t1\t")
    assert f" Site:\t\tvm1-jdoe-c3d98-{SITE_ID}\t\n" in out
    assert out.endswith(" Status:\tConnected\n")
    answer = linked("link", "status", "-v")
    assert answer.code == 2
    assert "specify the link name" in answer.err


def test_status_of_an_unknown_link(linked: Terminal) -> None:
    answer = linked("link", "status", "nope")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == 'Error: No such link "nope"\nHint: links of this site: link1\n'


def test_status_while_the_other_half_is_not_known(linked: Terminal, platform: MemoryPlatform) -> None:
    platform.network_error = InvalidError("no file")
    answer = linked("link", "status")
    assert answer.code == 0
    assert "Link link1 is connected" in answer.out
    assert answer.out.endswith("\t Remote link status pending...\n")
    assert linked("link", "status", "-o", "json").data["incoming"] is None


@pytest.mark.parametrize("name", [[], ["link1"]])
def test_wait_ends_when_the_links_are_connected(
    linked: Terminal, platform: MemoryPlatform, name: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.link_state = "not connected"
    slept: list[float] = []

    def sleep(_terminal: Terminal, seconds: float) -> None:
        slept.append(seconds)
        linked.seconds += seconds
        if len(slept) == 3:
            platform.link_state = "connected"

    monkeypatch.setattr(Terminal, "_sleep", sleep)
    answer = linked("link", "status", *name, "--wait", "10")
    assert answer.code == 0
    assert "Link link1 is connected" in answer.out
    assert slept == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", [[], ["link1"]])
def test_wait_ends_when_the_time_is_over(linked: Terminal, platform: MemoryPlatform, name: list[str]) -> None:
    platform.link_state = "not connected"
    answer = linked("link", "status", *name, "--wait=3")
    assert answer.code == 1
    assert "Link link1 not connected" in answer.out
    assert linked.seconds == 3


def test_wait_must_not_be_negative(linked: Terminal) -> None:
    assert linked("link", "status", "link1", "--wait=-1").code == 2


def test_update_the_cost(linked: Terminal, platform: MemoryPlatform) -> None:
    answer = linked("link", "update", "link1", "--cost", "99999", "-o", "json")
    assert (answer.code, answer.data["action"]) == (0, "updated")
    assert platform.links_by_name["link1"].cost == 99999
    assert linked("link", "update", "link1", "--cost=99999").out == "Link 'link1' has cost 99999 already\n"
    assert linked("link", "update", "link1", "--cost=2", "--dry-run").code == 0
    assert platform.links_by_name["link1"].cost == 99999


@pytest.mark.parametrize("words", [["link1"], ["link1", "--cost", "0"], ["link1", "--cost", "-5"], []])
def test_update_with_wrong_words(linked: Terminal, words: list[str]) -> None:
    assert linked("link", "update", *words).code == 2


def test_update_of_no_link(linked: Terminal) -> None:
    answer = linked("link", "update", "nope", "--cost", "2")
    assert answer.code == 1
    assert 'no such link "nope"' in answer.err


def test_a_second_link_is_refused_by_name_of_the_check(linked: Terminal, token: str) -> None:
    answer = linked("link", "create", token)
    assert f'Already connected to "{PEER_ID}".' in answer.err
    assert "--replace" in answer.err
    error = json.loads(linked("link", "create", token, "-o", "json").out)["error"]
    assert (error["type"], error["checks"][0]["check"]) == ("LinkCheckError", "link-duplicate")


def test_replace(linked: Terminal, token: str, platform: MemoryPlatform) -> None:
    linked("link", "update", "link1", "--cost", "5")
    answer = linked("link", "create", token, "--replace", "-o", "json")
    assert (answer.code, answer.data["action"], answer.data["name"]) == (0, "replaced", "link1")
    assert [link.cost for link in platform.links()] == [5]
