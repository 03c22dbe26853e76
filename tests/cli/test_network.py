"""``network status``."""

import pytest

from skupper_podman.errors import InvalidError
from tests.cli.memory import PEER_ID, MemoryPlatform, remote_network
from tests.cli.terminal import Terminal


@pytest.fixture
def linked(site: Terminal, platform: MemoryPlatform) -> Terminal:
    assert platform.spec is not None
    platform.network = remote_network(platform.spec)
    return site


def test_all_sites(linked: Terminal) -> None:
    answer = linked("network", "status")
    assert answer.code == 0
    assert answer.out.splitlines()[1] == "├─ [local] 484cccc3-401c-4c30-a6ed-73382701b18a() "
    assert f"╰─ [remote] {PEER_ID}(east) " in answer.out


@pytest.mark.parametrize("words", [["-s", "east"], ["--site=east"], ["east"], [PEER_ID]])
def test_one_site(linked: Terminal, words: list[str]) -> None:
    out = linked("network", "status", *words).out
    assert "[remote]" in out
    assert "[local]" not in out


def test_unknown_site(linked: Terminal) -> None:
    answer = linked("network", "status", "--site", "north")
    assert answer.code == 1
    assert answer.err == 'Error: No such site "north"\nHint: sites of the network: east, vm1-jdoe-c3d98\n'


def test_two_sites_are_asked_for(linked: Terminal) -> None:
    assert linked("network", "status", "a", "-s", "b").code == 2
    assert linked("network", "status", "a", "b").err.startswith("Error: accepts at most 1 arg(s), received 2\n")


def test_unreadable(site: Terminal, platform: MemoryPlatform) -> None:
    platform.network_error = InvalidError("error reading skupper-network-status: no such file")
    answer = site("network", "status")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("Error: error reading skupper-network-status: ")
