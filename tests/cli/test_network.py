"""``network status``."""

from dataclasses import replace
from pathlib import Path

import pytest

from skupper_podman.errors import InvalidError
from skupper_podman.model.networkrecords import Site
from skupper_podman.model.networkrecords import SiteStatus as NetworkSite
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


def test_gateways(linked: Terminal, tmp_path: Path, platform: MemoryPlatform) -> None:
    """One that is connected is a site of the network, with what only its own site knows; others are told, too."""
    for name in ("database", "laptop"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"name: {name}\nbindings: [{{host: h, service: {{address: 'db:5432'}}}}]")
        assert linked("gateway", "generate-bundle", str(path), str(tmp_path)).code == 0
    platform.connected = frozenset({"database"})
    assert platform.network is not None
    site = NetworkSite(Site(identity="gateway_database_1", name="database", namespace="gateway-database"))
    platform.network = replace(platform.network, sites=(*platform.network.sites, site))
    told = [line.rstrip() for line in linked("network", "status").out.splitlines()]
    assert (
        told[-16:]
        == """\
├─  gateway_database_1(gateway-database)
│  │ credential: until 2026-01-31 (365 days)
│  │ generation: 1
│  │ link: connected from 192.0.2.77:4711
│  │ namespace: gateway-database
│  │ site name: database
│  │ version: 2.7.3
│  ╰─ Bindings:
│     ╰─ db:5432 tcp db:5432 h 5432
╰─  gateway laptop
   │ credential: until 2026-01-31 (365 days)
   │ generation: 1
   │ link: not connected
   │ problem: it is not connected
   ╰─ Bindings:
      ╰─ db:5432 tcp db:5432 h 5432
""".splitlines()
    )
    found = linked("network", "status", "-o", "json").data["gateways"]
    assert [(item["name"], item["connected"]) for item in found] == [("database", True), ("laptop", False)]
    assert linked("network", "status", "laptop").out.startswith("Sites:\n╰─  gateway laptop \n")
    assert "gateway laptop" not in linked("network", "status", "east").out
