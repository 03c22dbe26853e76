"""Service sync between two sites: what one exposes is called by name at the other, and goes, without a command."""

from __future__ import annotations

import json
import os

import pytest

from tests.e2e.conftest import PAGE, Sites
from tests.lab import Host
from tests.podmanlab import until

GO = os.environ.get("SKUPPER_TEST_SKUPPER_GO", "")


def services(host: Host) -> list[str]:
    """The services of a site that have a container."""
    found = host.podman("ps", "--filter", "label=skupper.io/address", "--format", "{{.Names}}").stdout.split()
    shown = json.loads(host.skupper("service", "status", "-o", "json", check=False).stdout)
    return sorted({item["address"] for item in shown["data"]["services"]} & set(found))


def started(host: Host) -> dict[str, str]:
    """When each container of the site began to run."""
    names = host.podman("ps", "--filter", "label=application=skupper", "--format", "{{.Names}}").stdout.split()
    return {name: json.loads(host.podman("inspect", name).stdout)[0]["State"]["StartedAt"] for name in names}


def fetch(host: Host, name: str) -> str:
    command = ("curl", "--silent", "--max-time", "5", f"http://{name}:8080/")
    return host.in_network("skupper", *command, check=False).stdout


def test_services_come_and_go_by_themselves(sites: Sites) -> None:
    west, east = sites.west, sites.east
    before = {host.name: started(host) for host in (west, east)}
    for host in (west, east):
        shown = host.skupper("init", "--enable-service-sync")
        assert "Skupper is changed" in shown.stdout
        assert "nothing restarts" in shown.stdout + shown.stderr
    east.skupper("expose", "host", "web", "--address", "pages", "--port", "8080")
    until(lambda: "pages" in services(west), 30, "west has the service")
    until(lambda: fetch(west, "pages") == PAGE, 15, "the service answers on west")
    # The service that is defined at both sites stays each one's own.
    assert sites.fetch() == PAGE
    for host in (west, east):
        assert started(host).items() >= before[host.name].items()

    status = west.skupper("service", "status")
    assert "from: east(" in status.stdout
    found = json.loads(west.skupper("service", "status", "-o", "json").stdout)["data"]["services"]
    assert {item["address"]: item["originSite"] for item in found} == {"backend": None, "pages": "east"}
    checks = json.loads(west.skupper("doctor", "--check", "service-sync", "-o", "json").stdout)["data"]["checks"]
    assert [(check["result"], check["cause"]) for check in checks] == [("ok", "1 service of 1 other site")]
    assert "pages" not in west.skupper("export").stdout
    assert west.skupper("status").stdout.rstrip().endswith("It has 2 exposed services.")

    shown = west.skupper("service", "delete", "pages")
    assert "comes back while that site offers it" in shown.stdout + shown.stderr
    until(lambda: "pages" in services(west), 30, "it is back")

    east.skupper("unexpose", "host", "web", "--address", "pages")
    until(lambda: services(west) == ["backend"], 30, "it is gone from west")
    assert "pages" not in west.podman("ps", "--all", "--format", "{{.Names}}").stdout.split()


@pytest.mark.skipif(not GO, reason="SKUPPER_TEST_SKUPPER_GO names no program of 1.9")
def test_the_command_of_1_9_reads_the_site(sites: Sites) -> None:
    west, east = sites.west, sites.east
    east.skupper("service", "create", "shared", "8080", "--allow-site", "west")
    until(lambda: "shared" in services(west), 30, "west has the service")
    for host in (west, east):
        shown = host.run(GO, "service", "status").stdout
        assert "shared:8080 (tcp)" in shown
    # What it writes keeps the list of sites.
    east.run(GO, "service", "bind", "shared", "host", "web")
    assert east.skupper("service", "allow-site", "shared").stdout == "shared may be used by west\n"
    east.skupper("service", "delete", "shared")
    until(lambda: "shared" not in services(west), 30, "it is gone from west")


def test_a_service_is_for_the_sites_on_its_list(sites: Sites) -> None:
    west, east = sites.west, sites.east
    east.skupper("expose", "host", "web", "--address", "private", "--port", "8080", "--allow-site", "north")

    def refused() -> bool:
        """What west knows once it was told of the service."""
        asked = west.skupper("service", "create", "private", "8080", "--dry-run", check=False)
        return asked.returncode == 1 and "is for other sites only" in asked.stderr

    until(refused, 30, "west knows that it is not on the list")
    assert "private" not in services(west)
    east.skupper("service", "allow-site", "private", "west")
    until(lambda: "private" in services(west), 30, "west has it now")
    until(lambda: fetch(west, "private") == PAGE, 15, "it answers")

    off = west.skupper("init", "--enable-service-sync=false")
    assert "services that came from other sites are removed" in off.stdout + off.stderr
    until(lambda: services(west) == ["backend"], 30, "what came from others is gone")
    assert sites.fetch() == PAGE
