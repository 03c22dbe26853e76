"""The controller beside real routers: the embedded one, and skrouterd when SKUPPER_TEST_SKROUTERD names one."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from skupper_podman.model.network import NetworkStatus
from tests.controller.routers import KINDS, Site, eventually, free_port, new_authority, running, write_certificates

kinds = pytest.mark.parametrize("kind", KINDS)


def secured(site: Site, *hosts: str) -> Site:
    """Listener and client certificate as a site of Skupper 1.9 has them: TLS, EXTERNAL, the client verified."""
    authority = new_authority()
    server = write_certificates(site.directory / "server", authority, *hosts)
    client = write_certificates(site.directory / "client", authority, "skupper-router-local")
    profile = {
        "name": "skupper-amqps", "caCertFile": str(server / "ca.crt"), "certFile": str(server / "tls.crt"),
        "privateKeyFile": str(server / "tls.key"),
    }  # fmt: skip
    listener = {
        "name": "amqps", "host": "127.0.0.1", "port": site.amqp_port, "sslProfile": "skupper-amqps",
        "saslMechanisms": "EXTERNAL", "authenticatePeer": True,
    }  # fmt: skip
    site.entities += [("sslProfile", profile), ("listener", listener)]
    site.controller_options += ["--messaging", str(client), "--url", f"amqps://localhost:{site.amqp_port}"]
    return site


def linked(kind: str, directory: Path) -> tuple[Site, Site]:
    west, east = Site(kind, "west", directory), Site(kind, "east", directory)
    west.plain()
    east.plain()
    west.entities.append(
        ("listener", {"name": "ir", "role": "inter-router", "host": "127.0.0.1", "port": west.link_port})
    )
    east.entities.append(
        ("connector", {"name": "link1", "role": "inter-router", "host": "127.0.0.1", "port": str(west.link_port)})
    )
    bridge = {"name": "backend:8080", "host": "127.0.0.1", "address": "backend:8080"}
    west.entities.append(("tcpListener", {**bridge, "port": str(free_port())}))
    east.entities.append(("tcpConnector", {**bridge, "port": "9"}))
    services = {"backend": {"address": "backend", "targets": [{"service": "127.0.0.1"}]}}
    (east.directory / "skupper-services.json").write_text(json.dumps(services))
    return west, east


@kinds
def test_site_becomes_ready_over_mutual_tls(kind: str, tmp_path: Path) -> None:
    site = secured(Site(kind, "west", tmp_path), "localhost")
    with running(site):
        eventually(lambda: site.routers() == {"west": ["west"]})
        assert eventually(lambda: site.health()[0] == 200)
        status = site.status()
        router = status.sites[0].displayable_routers[0].router
        assert (router.mode, router.image_name, router.parent) == ("interior", "skupper-router", "id-west")
        text = site.status_file.read_text()
        assert NetworkStatus.parse(text).dump("id-west") == text
        assert site.status_file.stat().st_mode & 0o777 == 0o644


@kinds
@pytest.mark.parametrize("fault", ["name", "authority", "missing"])
def test_no_connection_without_a_trusted_router(kind: str, fault: str, tmp_path: Path) -> None:
    site = secured(Site(kind, "west", tmp_path), "elsewhere" if fault == "name" else "localhost")
    if fault == "authority":
        (tmp_path / "west/client/ca.crt").write_bytes(new_authority("other").certificate)
    if fault == "missing":
        (tmp_path / "west/client/tls.key").unlink()
    with running(site):
        code, health = eventually(
            lambda: answer if (answer := site.health())[0] and "refused" not in str(answer) else 0
        )
        assert code == 503
        expected = "tls.key" if fault == "missing" else "certificate"
        eventually(lambda: expected in site.health()[1]["reason"])
        assert health["status"] == "failing"
        assert site.routers() == {"west": []}
        assert "Traceback" not in site.controller_log


@kinds
def test_two_sites_see_each_other(kind: str, tmp_path: Path) -> None:
    west, east = linked(kind, tmp_path)
    with running(west, east):
        everyone = {"west": ["west"], "east": ["east"]}
        eventually(lambda: west.routers() == everyone)
        eventually(lambda: east.routers() == everyone)
        eventually(lambda: west.status().connections("id-west").direct == 1)
        assert [item.direction for item in eventually(lambda: east.status().linked_sites("id-east"))] == ["outgoing"]
        eventually(lambda: [link.router for link in west.status().incoming_links("id-west")] == ["east"])
        sites = eventually(lambda: answer if len(answer := west.status().service_sites("backend:8080")) == 2 else ())
        connector = next(site for site in sites if site.connectors).connectors[0]
        assert connector.target == "backend-127.0.0.1"


@kinds
def test_a_restarted_router_is_found_again_and_shown_once(kind: str, tmp_path: Path) -> None:
    site = Site(kind, "west", tmp_path)
    site.plain()
    with running(site):
        eventually(lambda: site.routers() == {"west": ["west"]})
        first = site.status().sites[0].routers[0].router.identity
        assert site.router is not None
        site.router.kill()
        site.router.wait()
        eventually(lambda: site.health()[0] == 503)
        site.start_router()
        eventually(lambda: site.health()[0] == 200)
        eventually(lambda: site.routers() == {"west": ["west"]} and identity_of(site) != first)


def identity_of(site: Site) -> str:
    routers = site.status().sites[0].routers
    return routers[0].router.identity if routers else ""


@kinds
def test_an_edge_site_reports_to_the_interior(kind: str, tmp_path: Path) -> None:
    hub, leaf = Site(kind, "hub", tmp_path), Site(kind, "leaf", tmp_path, mode="edge")
    hub.plain()
    leaf.plain()
    hub.entities.append(("listener", {"name": "edge", "role": "edge", "host": "127.0.0.1", "port": hub.link_port}))
    leaf.entities.append(("connector", {"name": "up", "role": "edge", "host": "127.0.0.1", "port": str(hub.link_port)}))
    with running(hub, leaf):
        everyone = {"hub": ["hub"], "leaf": ["leaf"]}
        eventually(lambda: hub.routers() == everyone)
        eventually(lambda: leaf.routers() == everyone)
        eventually(lambda: [item.direction for item in hub.status().linked_sites("id-hub")] == ["incoming"])


@kinds
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_cleanly(kind: str, number: signal.Signals, tmp_path: Path) -> None:
    site = Site(kind, "west", tmp_path)
    site.plain()
    with running(site):
        eventually(lambda: site.health()[0] == 200)
        assert site.controller is not None
        site.controller.send_signal(number)
        assert site.controller.wait(timeout=20) == 0
        assert "Traceback" not in site.controller_log
        assert site.routers()["west"] is not None
