"""Edge sites: no ingress, links of role edge, services both ways through an interior site."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.e2e.conftest import PROGRAMS
from tests.e2e.test_interop import go, needs_go
from tests.lab import Host, Lab
from tests.podmanlab import until


@dataclass
class Network:
    """Core is interior; near and far are its edges. Each site serves a page at the service of its name."""

    lab: Lab
    core: Host
    near: Host
    far: Host

    @property
    def edges(self) -> tuple[Host, Host]:
        return self.near, self.far


def fetch(host: Host, service: str) -> str:
    """What a client on the host gets from a service."""
    argv = ("curl", "--silent", "--max-time", "5", f"http://{service}:8080/")
    return host.in_network("skupper", *argv, check=False).stdout


def serve(host: Host) -> None:
    pages = host.directory / "pages"
    pages.mkdir()
    (pages / "index.html").write_text(host.name)
    options = ("--volume", f"{pages}:/srv:ro", *PROGRAMS)
    host.run_container("web", "skupper", "python3", "server.py", "8080", options=options)
    host.skupper("expose", "host", "web", "--address", f"at-{host.name}", "--port", "8080")


def create(host: Host, *sites: str) -> None:
    for name in sites:
        host.skupper("service", "create", f"at-{name}", "8080")


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Lab("core", "near", "far") as lab:
        core, near, far = lab.hosts

        def make(host: Host) -> None:
            own = ("--ingress-host", core.address) if host is core else ("--router-mode", "edge")
            host.skupper("init", "--site-name", host.name, *own, "--router", "embedded")
            serve(host)
            # Near has its services before its link, far its link before those of others.
            if host is not far:
                create(host, *({"core", "near", "far"} - {host.name}))

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(make, lab.hosts))
        for host in (near, far):
            token = lab.directory / f"{host.name}.token"
            core.skupper("token", "create", str(token))
            host.skupper("link", "create", str(token))
        create(far, "core", "near")
        yield Network(lab, core, near, far)


def test_services_both_ways(network: Network) -> None:
    for caller in network.lab.hosts:
        for server in network.lab.hosts:

            def answers(caller: Host = caller, server: Host = server) -> bool:
                return fetch(caller, f"at-{server.name}") == server.name

            until(answers, 30, f"{server.name} answers {caller.name}")


def test_nothing_of_an_edge_is_published(network: Network) -> None:
    for host in network.edges:
        ports = host.podman("ps", "--all", "--format", "{{.Ports}}").stdout.split()
        assert ports == []
        for options in ((), ("--token-type", "cert"), ("--token-type", "claim")):
            answer = host.skupper("token", "create", str(network.lab.directory / "none"), *options, expect=2)
            assert "Edge configuration cannot accept connections" in answer.stderr
        assert "volume skupper-claims" not in host.labelled()


def status(host: Host, *words: str) -> dict[str, Any]:
    answer = host.skupper(*words, "-o", "json", check=False).stdout
    found: dict[str, Any] = json.loads(answer)["data"]
    return found


def test_status_of_an_edge(network: Network) -> None:
    for host in network.edges:
        until(lambda host=host: status(host, "status")["health"] == "ok", 30, f"{host.name} is well")  # type: ignore[misc]
        found = status(host, "status")
        assert (found["site"]["mode"], found["services"]) == ("edge", 3)
        assert host.skupper("link", "status", "link1").stdout == "Link link1 is connected\n"
        (link,) = status(host, "link", "status")["links"]
        assert (link["host"], link["port"], link["peer"]) == (network.core.address, "45671", "core")
        services = status(host, "service", "status")["services"]
        assert {item["address"]: (item["health"], item["reachable"]) for item in services} == {
            f"at-{name}": ("ok", True) for name in ("core", "near", "far")
        }
        until(partial(connected_to_two, host), 30, "the whole network is seen")
        # Run again there is nothing to do.
        again = host.skupper("init", "--dry-run").stdout
        assert "Nothing to do." in again


def connected_to_two(host: Host) -> bool:
    return "It is connected to 2 other sites" in host.skupper("status").stdout


def test_the_interior_sees_its_edges(network: Network) -> None:
    core = network.core

    def incoming() -> set[str]:
        return {link["siteName"] for link in status(core, "link", "status")["incoming"] or ()}

    until(lambda: incoming() == {"near", "far"}, 30, "links of both edges")
    assert len(status(core, "link", "status")["incoming"]) == 2, "one for each site, not one for each service"
    sites = {site["name"]: site for site in status(core, "network", "status")["sites"]}
    assert set(sites) == {"core", "near", "far"}
    assert [router["mode"] for router in sites["near"]["routers"]] == ["edge"]
    assert {linked["name"] for linked in sites["near"]["linkedSites"]} == {"core"}
    assert core.skupper("status").returncode == 0


def test_a_service_works_while_the_edge_is_alone(network: Network) -> None:
    near = network.near
    near.skupper("link", "delete", "link1")
    until(lambda: fetch(near, "at-core") == "", 20, "no way to the core")
    assert fetch(near, "at-near") == "near"
    assert fetch(network.far, "at-core") == "core"
    near.skupper("service", "create", "lone", "8080")
    near.skupper("service", "bind", "lone", "host", "web")
    assert fetch(near, "lone") == "near"
    near.skupper("service", "delete", "lone")
    token = network.lab.directory / "again.token"
    network.core.skupper("token", "create", str(token), "--token-type", "cert")
    near.skupper("link", "create", str(token), "--cost", "5")
    until(lambda: fetch(near, "at-far") == "far", 30, "the way is back")


def test_an_edge_outlives_its_interior(network: Network) -> None:
    network.core.restart("skupper-router")
    for host in network.edges:
        until(lambda host=host: fetch(host, "at-core") == "core", 40, "the edge is linked again")  # type: ignore[misc]
    until(lambda: fetch(network.core, "at-near") == "near", 40, "and serves again")


@needs_go
def test_go_reads_an_edge(network: Network) -> None:
    near = network.near
    until(lambda: "connected to 2 other sites" in go(near, "status").stdout, 30, "Go sees the sites")
    assert 'site name "near"' in go(near, "status").stdout
    assert "Link link1 is connected" in go(near, "link", "status", "link1").stdout
    assert "at-near:8080 (tcp)" in go(near, "service", "status").stdout
    assert "site name: near" in go(network.core, "network", "status").stdout


def test_an_edge_is_deleted(network: Network) -> None:
    """Runs last."""
    far = network.far
    far.podman("rm", "--force", "--time", "0", "web")
    far.skupper("delete")
    assert far.labelled() == []
