"""``--wait``: conditions, how long, and what the exit code says."""

import pytest

from skupper_podman.errors import EndpointError, UsageError
from skupper_podman.model.conditions import Condition, parse_condition
from skupper_podman.model.status import Probe, ServiceStatus
from tests.cli.memory import MemoryPlatform, token_text
from tests.cli.terminal import Terminal

BROKEN = Probe("router management", "failing", "it does not answer")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ready", Condition("ready")),
        ("links", Condition("links")),
        ("link link1 connected", Condition("link", "link1")),
        ("link/link1", Condition("link", "link1")),
        ("service backend", Condition("service", "backend")),
        ("service backend reachable", Condition("service", "backend")),
        ("sites=3", Condition("sites", count=3)),
    ],
)
def test_words_of_a_condition(text: str, wanted: Condition) -> None:
    assert parse_condition(text) == wanted
    assert parse_condition(str(wanted)) == wanted


@pytest.mark.parametrize("text", ["", "readyish", "sites=many", "sites=", "link", "link a b", "service a connected"])
def test_no_condition(text: str) -> None:
    with pytest.raises(UsageError, match="invalid condition"):
        parse_condition(text)


def test_a_condition_that_holds(site: Terminal, platform: MemoryPlatform) -> None:
    platform.probes = (Probe("x", "ok"), BROKEN)
    answer = site("status", "--wait", "sites=1")
    assert answer.code == 0  # the exit code is about what was waited for
    assert site("status").code == 1


def test_waits_until_it_holds(site: Terminal, platform: MemoryPlatform) -> None:
    well = platform.probes
    platform.probes = (BROKEN,)
    sleep = site._sleep

    def mend(seconds: float) -> None:
        sleep(seconds)
        if site.seconds > 10:
            platform.probes = well

    site._sleep = mend  # type: ignore[method-assign]
    assert site("status", "--wait", "ready", "--timeout", "1m").code == 0
    assert 10 < site.seconds < 14


def test_gives_up(site: Terminal, platform: MemoryPlatform) -> None:
    platform.probes = (BROKEN,)
    answer = site("status", "--wait", "ready", "--timeout", "7s")
    assert answer.code == 1
    assert answer.err == "Warning: not within 7 s: router management: it does not answer\n"
    assert 7 <= site.seconds < 8


def test_not_being_able_to_look_is_not_yet(site: Terminal, platform: MemoryPlatform) -> None:
    platform.network_error = EndpointError("Podman does not answer")
    answer = site("network", "status", "--wait", "sites=2", "--timeout", "3s")
    assert answer.code == 1
    assert site.seconds >= 3


def test_what_cannot_come_true_is_said_at_once(site: Terminal, skupper: Terminal) -> None:
    answer = site("service", "status", "--wait", "service nothing")
    assert (answer.code, site.seconds) == (1, 0)
    assert "Service nothing not defined" in answer.err
    assert site("status", "--wait", "nonsense").code == 2


def test_service_and_links(site: Terminal, platform: MemoryPlatform) -> None:
    assert site("service", "create", "backend", "8080").code == 0
    assert site("service", "status", "--wait", "service backend reachable").code == 0
    platform.service_health = ServiceStatus(platform.services()[0], "ok", "no target", "x", reachable=False)
    assert site("service", "status", "--wait", "service backend", "--timeout", "1s").code == 1
    path = site.home / "token"
    path.write_bytes(token_text())
    assert site("link", "create", str(path)).code == 0
    assert site("link", "status", "--wait", "link link1 connected").code == 0
    assert site("link", "status", "--wait", "5").code == 0
    platform.link_state = "not connected"
    assert site("link", "status", "--wait", "links", "--timeout", "1s").code == 1
    assert site("link", "status", "--wait", "2").code == 1
    assert site("link", "status", "--wait", "-1").code == 2
