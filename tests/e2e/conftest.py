"""Two linked sites on two lab hosts, with one service, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import Host, Lab, missing_requirements
from tests.podmanlab import until

PAGE = "hello from east\n"
PROGRAMS = ("--volume", f"{Path(__file__).parent}:/programs:ro", "--workdir", "/programs")
"""Options of a container that finds server.py and client.py in its working directory."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing_requirements()
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.e2e)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@dataclass
class Sites:
    """West accepts links, east opens one and has the server; ``backend:8080`` is called on west."""

    lab: Lab
    west: Host
    east: Host

    def fetch(self, path: str = "", timeout: int = 5) -> str:
        """What a client container on west gets from the service, or an empty string."""
        return self.west.in_network(
            "skupper", "curl", "--silent", "--max-time", str(timeout), f"http://backend:8080/{path}", check=False
        ).stdout


def make_sites(lab: Lab, routers: Mapping[str, str] | None = None) -> Sites:
    """Two sites, a link, a service; as the README tells it. ``routers`` names each host's kind of router."""
    kinds = routers or {}
    west, east = lab.hosts
    sites = Sites(lab, west, east)
    token = lab.directory / "west.token"
    west.skupper(
        "init", "--site-name", "west", "--ingress-host", west.address, "--router", kinds.get("west", "embedded")
    )
    east.skupper("init", "--site-name", "east", "--ingress", "none", "--router", kinds.get("east", "embedded"))
    west.skupper("token", "create", str(token))
    east.skupper("link", "create", str(token))
    pages = lab.directory / "pages"
    pages.mkdir(exist_ok=True)
    (pages / "index.html").write_text(PAGE)
    east.run_container(
        "web", "skupper", "python3", "server.py", "8080", options=("--volume", f"{pages}:/srv:ro", *PROGRAMS)
    )  # fmt: skip
    east.skupper("expose", "host", "web", "--address", "backend", "--port", "8080")
    west.skupper("service", "create", "backend", "8080")
    until(lambda: sites.fetch() == PAGE, 30, "the service answers")
    return sites


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with Lab("west", "east") as lab:
        yield make_sites(lab)


@pytest.fixture
def host() -> Iterator[Host]:
    with Lab("solo") as lab:
        yield lab.hosts[0]
