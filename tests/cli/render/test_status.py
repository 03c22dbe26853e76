"""Golden tests of ``status`` (cli reference 3.1)."""

import datetime
from dataclasses import replace

import pytest

from skupper_podman.cli.render import status as render
from skupper_podman.model.network import Connections
from skupper_podman.model.status import Probe, SiteStatus

SITE = SiteStatus(
    name="west", site_id="id", user="jdoe", router_mode="interior", version="1.9.6", router_kind="image",
    image="skupper-router:2.7.6", network="skupper", services=0,
)  # fmt: skip
KUBERNETES = render.Report(SITE, Connections(0, 0), where='namespace "west"', platform="kubernetes", policy="disabled")
PODMAN = render.Report(replace(SITE, name="vm1-jdoe-c3d98"), Connections(1, 1))
NOW = datetime.datetime(2025, 1, 31, 10, 0, 0, tzinfo=datetime.UTC)


def test_alone() -> None:
    assert render.sentence(KUBERNETES) == (
        'Skupper is enabled for namespace "west". It is not connected to any other sites. It has no exposed services.\n'
    )


def test_site_name_and_policies() -> None:
    report = replace(
        KUBERNETES, site=replace(SITE, name="my-site", services=1), connections=Connections(1, 1), policy="enabled"
    )
    assert render.sentence(report) == (
        'Skupper is enabled for namespace "west" with site name "my-site" (with policies). '
        "It is connected to 1 other site. It has 1 exposed service.\n"
    )


def test_console_on_kubernetes() -> None:
    report = replace(
        KUBERNETES,
        site=replace(SITE, services=2),
        connections=Connections(3, 2),
        console_url="https://10.0.0.5:8010",
        credentials="'skupper-console-users'",
    )
    assert render.sentence(report) == (
        'Skupper is enabled for namespace "west". It is connected to 3 other sites (1 indirectly). '
        "It has 2 exposed services.\n"
        "The site console url is: https://10.0.0.5:8010\n"
        "The credentials for internal console-auth mode are held in secret: 'skupper-console-users'\n"
    )


def test_console_on_podman() -> None:
    report = replace(PODMAN, console_url="https://0.0.0.0:8010", credentials="'skupper-console-users'")
    assert render.sentence(report) == (
        'Skupper is enabled for "jdoe" with site name "vm1-jdoe-c3d98". It is connected to 1 other site. '
        "It has no exposed services.\n"
        "The site console url is: https://0.0.0.0:8010\n"
        "The credentials for internal console-auth mode are held in podman volume: 'skupper-console-users'\n"
    )


@pytest.mark.parametrize(
    ("connections", "sentence"),
    [
        (Connections(0, 0), "It is not connected to any other sites."),
        (Connections(1, 1), "It is connected to 1 other site."),
        (Connections(1, 0), "It is connected to 1 other site."),
        (Connections(2, 2), "It is connected to 2 other sites."),
        (Connections(5, 2), "It is connected to 5 other sites (3 indirectly)."),
        (None, "Its connections are not known yet."),
    ],
)
def test_connection_sentences(connections: Connections | None, sentence: str) -> None:
    assert f" {sentence} It has no" in render.sentence(replace(PODMAN, connections=connections))


def test_verbose() -> None:
    report = replace(
        KUBERNETES,
        site=replace(SITE, services=2),
        connections=Connections(2, 1),
        console_url="https://10.0.0.5:8010",
        credentials="'skupper-console-users'",
    )
    assert render.verbose(report) == (
        "kubernetes:            west \n"
        "mode:                  interior \n"
        "site name:             west \n"
        "policies:              disabled \n"
        "total connections:     2 \n"
        "direct connections:    1 \n"
        "indirect connections:  1 \n"
        "exposed services:      2 \n"
        "site console url:      https://10.0.0.5:8010 \n"
        "credentials:           'skupper-console-users' \n"
    )


def test_verbose_on_podman_has_an_empty_policy() -> None:
    lines = render.verbose(PODMAN).splitlines()
    assert lines[0] == "podman:                jdoe "
    assert lines[3] == "policies:" + " " * 14 + " "
    assert len(lines) == 8


def test_unhealthy_names_each_probe_worst_first() -> None:
    site = replace(
        SITE,
        probes=(
            Probe("container skupper-router", "ok", "running"),
            Probe("link link1", "unknown", "the router does not answer"),
            Probe("router management", "failing", "no answer in 5 s", "2025-01-31T09:56:48Z", "skupper init"),
        ),
    )
    assert render.unhealthy(site, NOW) == (
        'The Skupper site "west" of user "jdoe" is not healthy.\n'
        "  failing  router management: no answer in 5 s (since 2025-01-31T09:56:48Z, 3m12s ago)\n"
        "           next: skupper init\n"
        "  unknown  link link1: the router does not answer\n"
    )


def test_unknown_is_not_well() -> None:
    site = replace(SITE, probes=(Probe("unit", "unknown"),))
    assert render.unhealthy(site, NOW).startswith('The Skupper site "west" of user "jdoe" may not be healthy')
    assert "nothing could be checked" in render.unhealthy(SITE, NOW)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2025-01-31T09:59:48Z", ", 12s ago"),
        ("2025-01-31T04:57:00+00:00", ", 5h3m ago"),
        ("2025-01-29T06:00:00Z", ", 2d4h ago"),
        ("2025-01-31T10:00:01Z", ""),
        ("2025-01-31T09:59:48", ""),
        ("yesterday", ""),
    ],
)
def test_age(since: str, expected: str) -> None:
    assert render.age(since, NOW) == expected
