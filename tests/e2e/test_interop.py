"""Whole sites beside their peers of 1.9: its command line, and the real router from its image.

Each test needs a peer that an environment variable names, and says so when it is skipped:
``SKUPPER_TEST_SKUPPER_GO`` is the path of the command line of 1.9.6, ``SKUPPER_TEST_ROUTER_IMAGE_TAR`` one or more
archives (separated by colons) with images that bear upstream's names: the router's at least, all of a site's for a site
that the Go command line makes. ``SKUPPER_TEST_SKROUTERD`` is the real router's program; what single connections do
between the two kinds of router is in ``tests/routerd/system/test_interop.py``.
"""

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import PAGE, PROGRAMS, Sites, make_sites
from tests.lab import Completed, Host, Lab
from tests.podmanlab import until
from tests.routerd.system import lab as processes

GO = os.environ.get("SKUPPER_TEST_SKUPPER_GO", "")
IMAGES = os.environ.get("SKUPPER_TEST_ROUTER_IMAGE_TAR", "")
ROUTER_IMAGE = "quay.io/skupper/skupper-router:2.7.6"
CONTROLLER_IMAGE = "quay.io/skupper/controller-podman:1.9.6"
BULK = 200 << 20

needs_go = pytest.mark.skipif(not GO, reason="SKUPPER_TEST_SKUPPER_GO names no command line of 1.9")
needs_skrouterd = pytest.mark.skipif(
    not os.environ.get("SKUPPER_TEST_SKROUTERD"), reason="SKUPPER_TEST_SKROUTERD names no skrouterd"
)
needs_images = pytest.mark.skipif(not IMAGES, reason="SKUPPER_TEST_ROUTER_IMAGE_TAR names no archive of images")


def go(host: Host, *argv: str, expect: int = 0, path: str = "") -> Completed:
    """Run the Go command line as on a host where Podman's socket is where it looks for it."""
    env = {"PODMAN_ENDPOINT": f"unix://{host.socket}", "USER": "root"}
    if path:
        env["PATH"] = f"{path}:{host.environment()['PATH']}"
    return host.run(GO, *argv, expect=expect, env=env)


def load_images(host: Host) -> None:
    for archive in IMAGES.split(os.pathsep):
        host.podman("load", "--quiet", "--input", archive, timeout=300)


def reaches(host: Host) -> bool:
    """Whether a container on the host gets the page of the service."""
    argv = ("curl", "--silent", "--max-time", "5", "http://backend:8080/")
    return host.in_network("skupper", *argv, check=False).stdout == PAGE


def is_well(host: Host) -> bool:
    return host.skupper("status", check=False).returncode == 0


def transfer(host: Host, action: str, service: str = "backend") -> None:
    """Send or fetch much, and compare digests."""
    argv = ("python3", "client.py", action, service, "8080", str(BULK))
    mine, theirs = host.in_network("skupper", *argv, options=PROGRAMS, timeout=280).stdout.split()
    assert mine == theirs


def skmanage(host: Host, container: str, kind: str) -> list[dict[str, Any]]:
    answer = host.podman("exec", container, "skmanage", "query", "--type", f"io.skupper.router.{kind}").stdout
    found: list[dict[str, Any]] = json.loads(answer)
    return found


# -- the Go command line on sites made by ours


@pytest.fixture(scope="module")
def known() -> Iterator[Sites]:
    """Two sites with the embedded router that the Go command line looks at."""
    with Lab("west", "east") as lab:
        yield make_sites(lab)


@needs_go
def test_go_reads_our_sites(known: Sites) -> None:
    for host in (known.west, known.east):
        text = go(host, "status").stdout
        assert text.startswith(f'Skupper is enabled for "root" with site name "{host.name}".')
        assert "It has 1 exposed service." in text
        assert "1.9.6" in go(host, "version").stdout
        assert "backend:8080 (tcp)" in go(host, "service", "status").stdout
    assert "host: web - ports: map[8080:8080]" in go(known.east, "service", "status", "-v").stdout
    assert "Link link1 is connected" in go(known.east, "link", "status", "link1").stdout
    until(lambda: "connected to 1 other site" in go(known.west, "status").stdout, 30, "Go sees both sites")
    until(lambda: "site name: east" in go(known.west, "network", "status").stdout, 30, "Go sees the network")
    incoming = go(known.west, "link", "status").stdout
    assert "Incoming link from site" in incoming


@needs_go
def test_both_say_the_same(known: Sites) -> None:
    for host in (known.west, known.east):
        for argv in (("status",), ("link", "status"), ("network", "status")):
            assert host.skupper(*argv).stdout.strip() == go(host, *argv).stdout.strip(), argv


def go_connected(host: Host, link: str) -> bool:
    return "is connected" in go(host, "link", "status", link).stdout


@needs_go
def test_tokens_of_either_are_taken_by_the_other(known: Sites) -> None:
    east = known.east
    makers = {"ours": known.west.skupper, "theirs": lambda *argv: go(known.west, *argv)}
    takers = {"ours": east.skupper, "theirs": lambda *argv: go(east, *argv)}
    east.skupper("link", "delete", "link1")
    for maker, taker in (("ours", "theirs"), ("theirs", "ours")):
        token = known.lab.directory / f"{maker}.token"
        makers[maker]("token", "create", str(token))
        takers[taker]("link", "create", str(token), "--name", maker)
        until(partial(go_connected, east, maker), 20, "Go sees the link")
        assert east.skupper("link", "status", maker).stdout == f"Link {maker} is connected\n"
        until(lambda: known.fetch() == PAGE, 20, "the service over the new link")
        takers[maker]("link", "delete", maker)
        until(lambda: not skmanage_links(east), 10, "the link is gone")
    token = known.lab.directory / "again.token"
    known.west.skupper("token", "create", str(token))
    east.skupper("link", "create", str(token), "--name", "link1")
    until(lambda: known.fetch() == PAGE, 20, "the service again")


@needs_go
def test_go_redeems_our_claims(known: Sites) -> None:
    """Our claim is in the form, and our claims server on the wire, that its link create knows."""
    west, east = known.west, known.east
    east.skupper("link", "delete", "link1")
    token = known.lab.directory / "claim.token"
    west.skupper("token", "create", str(token), "--token-type", "claim", "--name", "for-go", "--uses", "2")
    go(east, "link", "create", str(token), "--name", "redeemed")
    until(partial(go_connected, east, "redeemed"), 20, "Go sees the link")
    until(lambda: known.fetch() == PAGE, 20, "the service over the new link")
    listed = json.loads(west.skupper("token", "list", "-o", "json").stdout)["data"]["tokens"]
    (claim,) = (item for item in listed if item["name"] == "for-go")
    assert (claim["claimsMade"], claim["claimsRemaining"]) == (1, 1)
    east.skupper("link", "delete", "redeemed")
    west.skupper("token", "revoke", "for-go")
    refused = go(east, "link", "create", str(token), "--name", "late")
    assert "Claim request failed with code: 404" in refused.stdout
    go(east, "link", "delete", "late")
    west.skupper("token", "create", str(token), "--token-type", "cert")
    east.skupper("link", "create", str(token), "--name", "link1")
    until(lambda: known.fetch() == PAGE, 20, "the service again")


def skmanage_links(host: Host) -> list[dict[str, Any]]:
    return [row for row in skmanage(host, "skupper-router", "connection") if row["role"] == "inter-router"]


@needs_go
def test_go_changes_our_services(known: Sites) -> None:
    east = known.east
    go(east, "service", "unbind", "backend", "host", "web")
    until(lambda: known.fetch(timeout=2) == "", 20, "no target any more")
    assert "no target" in east.skupper("service", "status").stdout
    go(east, "service", "bind", "backend", "host", "web")
    until(lambda: known.fetch() == PAGE, 20, "the target Go bound")
    assert "web" in east.skupper("service", "status", "-v").stdout
    east.skupper("service", "create", "spare", "9090")
    go(east, "service", "delete", "spare")
    assert "spare" not in east.skupper("service", "status").stdout
    assert "container spare" not in east.labelled()


@needs_go
def test_go_cannot_make_a_service_on_the_embedded_router(known: Sites) -> None:
    """It gives the container named volumes only; the embedded router's image is empty without the host's /usr."""
    before = known.east.labelled()
    assert "error starting container" in go(known.east, "service", "create", "other", "9090", expect=1).stderr
    assert known.east.labelled() == before
    known.east.skupper("service", "create", "other", "9090")
    known.east.skupper("service", "delete", "other")


@needs_go
def test_go_deletes_our_site(known: Sites) -> None:
    """Runs last of those on ``known``."""
    known.east.podman("rm", "--force", "--time", "0", "web")
    assert "Skupper is now removed for user 'root'." in go(known.east, "delete").stdout
    assert known.east.labelled() == []
    assert "not enabled" in known.east.skupper("status", expect=1).stderr


# -- the router image


KINDS = (("image", "image"), ("image", "embedded"), ("embedded", "image"))


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def mixed(request: pytest.FixtureRequest) -> Iterator[Sites]:
    """Two sites of which one or both run the real router."""
    with Lab("west", "east") as lab:
        kinds = dict(zip(("west", "east"), request.param, strict=True))
        for host in lab.hosts:
            if kinds[host.name] == "image":
                load_images(host)
        sites = make_sites(lab, kinds)
        west = sites.west
        west.run_container(
            "web-west", "skupper", "python3", "server.py", "8080",
            options=("--volume", f"{lab.directory}/pages:/srv:ro", *PROGRAMS),
        )  # fmt: skip
        west.skupper("expose", "host", "web-west", "--address", "front", "--port", "8080")
        sites.east.skupper("service", "create", "front", "8080")
        yield sites


@needs_images
def test_bulk_both_ways(mixed: Sites) -> None:
    for action in ("echo-sum", "fetch-sum"):
        transfer(mixed.west, action)
        transfer(mixed.east, action, "front")


@needs_images
def test_many_connections(mixed: Sites) -> None:
    argv = ("python3", "client.py", "many", "backend", "8080", "200")
    assert mixed.west.in_network("skupper", *argv, options=PROGRAMS).stdout.strip() == "200"


@needs_images
def test_status_is_complete(mixed: Sites) -> None:
    for host, peer in ((mixed.west, mixed.east), (mixed.east, mixed.west)):
        until(partial(complete, host), 30, "the status has each router, link, listener and connector")
        assert host.skupper("status").stdout.startswith(
            f'Skupper is enabled for "root" with site name "{host.name}". It is connected to 1 other site.'
        )
        services = host.skupper("service", "status").stdout
        assert "backend:8080 (tcp)" in services
        assert "no target" not in services
        assert f"site name: {peer.name}" in host.skupper("network", "status").stdout
    assert mixed.east.skupper("link", "status", "link1").stdout == "Link link1 is connected\n"
    assert "Incoming link from site" in mixed.west.skupper("link", "status").stdout


def sites_of(host: Host) -> dict[str, dict[str, Any]]:
    """The sites of the status document by name."""
    files = (host.directory / "root/volumes/skupper-network-status/_data").glob("skupper-network-status.json")
    text = next(iter(files)).read_text()
    return {entry["site"]["name"]: entry for entry in json.loads(text or "{}").get("siteStatus") or ()}


def complete(host: Host) -> bool:
    """Whether the status document has all that the two sites consist of."""
    wanted = {
        "west": ({"west", "west-backend", "west-front"}, {"front:8080"}),
        "east": ({"east", "east-backend", "east-front"}, {"backend:8080"}),
    }
    sites = sites_of(host)
    for name, site in sites.items():
        routers: list[dict[str, Any]] = site["routerStatus"]
        found = {str(router["router"]["name"]).rpartition("/")[2] for router in routers}
        connectors = {item["address"] for router in routers for item in router.get("connectors") or ()}
        listeners = {item["address"] for router in routers for item in router.get("listeners") or ()}
        if (found, connectors) != wanted[name] or listeners != {"backend:8080", "front:8080"}:
            return False
    return set(sites) == set(wanted)


@needs_images
@pytest.mark.parametrize("side", ["west", "east"])
def test_killed_router_is_back(mixed: Sites, side: str) -> None:
    host: Host = getattr(mixed, side)
    pid = int(host.podman("inspect", "--format", "{{.State.Pid}}", "skupper-router").stdout)
    os.kill(pid, signal.SIGKILL)
    for caller in (mixed.west, mixed.east):
        until(partial(reaches, caller), 30, f"{caller.name} reaches the service again")
        until(partial(is_well, caller), 30, "status is well again")
    transfer(mixed.west, "fetch-sum")


@needs_images
def test_tools_ask_routers_of_either_kind(mixed: Sites) -> None:
    for host in (mixed.west, mixed.east):
        assert {row["id"] for row in skmanage(host, "skupper-router", "router.node")} == {"west", "east"}
        for option in "acglmn":
            assert host.podman("exec", "skupper-router", "skstat", f"-{option}").stdout
    # Through the network: the tool of one kind of router asks the other one.
    for host, peer in ((mixed.west, mixed.east), (mixed.east, mixed.west)):
        answer = host.podman("exec", "skupper-router", "skmanage", "query", "--type", "router", "--router", peer.name)
        assert json.loads(answer.stdout)[0]["id"] == peer.name


@needs_images
def test_image_sites_are_deleted(mixed: Sites) -> None:
    """Runs last of those on ``mixed``."""
    for host in (mixed.west, mixed.east):
        host.podman("rm", "--force", "--ignore", "--time", "0", "web", "web-west")
        host.skupper("delete")
        assert host.labelled() == []


@needs_images
def test_auto_takes_the_image_that_is_there(host: Host) -> None:
    load_images(host)
    made = host.skupper("init", "--site-name", "solo", "--ingress", "none", "--router", "auto")
    assert f"{ROUTER_IMAGE} is in local storage" in made.stdout
    assert ROUTER_IMAGE in host.skupper("version").stdout


# -- a site that the Go command line makes


@pytest.fixture
def made_by_go(host: Host, tmp_path: Path) -> Host:
    load_images(host)
    if host.podman("image", "exists", CONTROLLER_IMAGE, check=False).returncode:
        pytest.skip(f"SKUPPER_TEST_ROUTER_IMAGE_TAR has no {CONTROLLER_IMAGE}")
    # It pulls what it has already; without a route that fails at once. And it wants a systemctl that succeeds.
    host.run("ip", "route", "del", "default")
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\nexit 0\n")
    systemctl.chmod(0o755)
    go(host, "init", "--site-name", "solo", "--ingress", "none", path=str(tmp_path))
    return host


@needs_go
@needs_images
def test_site_of_go_is_read_adopted_and_deleted(made_by_go: Host) -> None:
    host = made_by_go
    details = json.loads(host.skupper("status", "-o", "json", check=False).stdout)["data"]
    assert details["site"]["name"] == "solo"
    failing = {probe["name"] for probe in details["probes"] if probe["health"] != "ok"}
    assert failing <= {"supervisor"}
    host.skupper("service", "create", "backend", "8080")
    # Its controller takes some twenty seconds to see a change.
    until(lambda: "backend:8080 (tcp)" in go(host, "service", "status").stdout, 60, "Go sees the service")
    # init puts our controller and supervisor in place of theirs; name, id and services stay.
    host.skupper("init", "--site-name", "solo", "--ingress", "none", "--router", "image")
    assert host.skupper("status").stdout.startswith('Skupper is enabled for "root" with site name "solo".')
    assert json.loads(host.skupper("status", "-o", "json").stdout)["data"]["site"]["id"] == details["site"]["id"]
    assert "backend:8080 (tcp)" in host.skupper("service", "status").stdout
    host.skupper("delete")
    assert host.labelled() == []
    assert "not enabled" in go(host, "status").stdout


# -- longer networks of processes


@needs_skrouterd
@pytest.mark.parametrize("front", ["P", "S"])
@pytest.mark.parametrize("chain", ["SPS", "PSP", "PSPS", "SPPS", "PSSP"])
def test_chain_of_either_kind(tmp_path: Path, chain: str, front: str) -> None:
    """Interiors in a row (P: ours, S: skrouterd) with an edge of each kind at the ends."""
    back = "S" if front == "P" else "P"
    ports = [processes.free_port() for _ in chain]  # each but the last takes the link of the next one
    edges = {0: processes.free_port(), len(chain) - 1: processes.free_port()}
    entry = processes.free_port()
    with processes.running(tmp_path) as network:
        server = network.server()
        routers = []
        for index, kind in enumerate(chain):
            entities = [processes.listener("inter-router", ports[index])]
            if index:
                entities.append(processes.connector("inter-router", ports[index - 1]))
            if index in edges:
                entities.append(processes.listener("edge", edges[index]))
            routers.append(network.router(f"{kind}{index}", "interior", *entities))
        near, far = edges.values()
        network.router(f"{front}front", "edge", processes.connector("edge", near), processes.tcp_listener(entry))
        network.router(f"{back}back", "edge", processes.connector("edge", far), processes.tcp_connector(server.port))
        processes.wait_for(lambda: processes.echoes(entry), "the service", 40)
        data = os.urandom(200_000)
        assert processes.exchange(entry, data) == data
        for index, router in enumerate(routers):
            costs = {row["id"]: int(row.get("cost") or 0) for row in router.query("router.node")}
            assert costs == {
                f"{kind}{other}": abs(index - other) for other, kind in enumerate(chain) if other != index
            } | {router.name: 0}
