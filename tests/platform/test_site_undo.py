"""Every plan of the podman platform, with a failure after each of its steps: the host is exactly as before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from skupper_podman.errors import ConflictError
from skupper_podman.model.gateway import Bridge, GatewayDefinition, GatewayRequest
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.model.site import SiteSpec
from skupper_podman.plan import Plan
from skupper_podman.platform import SiteRequest, TokenRequest
from skupper_podman.platform.podman.site import PodmanPlatform
from tests.lab import Host
from tests.platform.onehost import (
    check_every_undo,
    init,
    needs_podman,
    one_host,
    peer_token,
    request,
    run,
    session,
)

pytestmark = [*needs_podman, pytest.mark.slow]

BACKEND = Service("backend", (8080,), targets=(Target("127.0.0.1", ((8080, 9090),)),), tls_credentials="yes")
FRONT = Service("front", (80,), host_ports=HostPorts("127.0.0.1", ((80, 23080),)), container_name="front-proxy")
TOKEN = peer_token()


@pytest.fixture(scope="module")
def bare() -> Iterator[Host]:
    with one_host() as host:
        yield host


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with one_host() as host:
        run(host, init)
        run(host, lambda platform: platform.plan_service_create(BACKEND))
        run(host, lambda platform: platform.plan_link_create(TOKEN, "uplink", 3))
        yield host


def init_again(platform: PodmanPlatform) -> Plan:
    return platform.plan_init(SiteRequest(SiteSpec("", "")))


def test_init(bare: Host) -> None:
    assert check_every_undo(bare, init) > 30
    assert bare.labelled() == []


def test_service_create(site: Host) -> None:
    check_every_undo(site, lambda platform: platform.plan_service_create(FRONT))


def test_service_delete(site: Host) -> None:
    check_every_undo(site, lambda platform: platform.plan_service_delete("backend"))


def test_bind(site: Host) -> None:
    target = Target("192.0.2.77", ((8080, 1),))
    check_every_undo(site, lambda platform: platform.plan_bind("backend", target))


def test_unbind(site: Host) -> None:
    check_every_undo(site, lambda platform: platform.plan_unbind("backend", "127.0.0.1", delete_if_last=False))


def _bundle(platform: PodmanPlatform) -> Plan:
    definition = GatewayDefinition("yard", (Bridge("db", "backend:8080", "localhost", 5432),))
    return Plan("Let a gateway in", platform.plan_gateway_bundle(GatewayRequest(definition)).steps, {})


def test_gateway(site: Host) -> None:
    """Its first bundle, the next one, and its end."""
    check_every_undo(site, _bundle)
    run(site, _bundle)
    check_every_undo(site, _bundle)
    check_every_undo(site, lambda platform: platform.plan_gateway_delete("yard"))
    run(site, lambda platform: platform.plan_gateway_delete("yard"))


def test_link_create(site: Host) -> None:
    other = peer_token("0d3b4c8e-0000-4000-8000-0000000000aa")
    check_every_undo(site, lambda platform: platform.plan_link_create(other, "", None))


def test_link_delete(site: Host) -> None:
    check_every_undo(site, lambda platform: platform.plan_link_delete("uplink"))


def test_link_update(site: Host) -> None:
    assert check_every_undo(site, lambda platform: platform.plan_link_update("uplink", 99999)) == 2


def test_link_replace(site: Host) -> None:
    """By one of the same name, and by one of another."""
    again = peer_token()
    check_every_undo(site, lambda platform: platform.plan_link_create(again, "", 7, replace=True))
    check_every_undo(site, lambda platform: platform.plan_link_create(again, "other", None, replace=True))


def test_claim(site: Host) -> None:
    def create(platform: PodmanPlatform) -> Plan:
        planned = platform.plan_token(TokenRequest("claim", "fresh"))
        return Plan("Create a claim", planned.steps)

    check_every_undo(site, create)
    run(site, create)
    check_every_undo(site, lambda platform: platform.plan_claim_revoke("fresh"))


def test_repair(site: Host) -> None:
    """A container that is not as it should be is replaced; taken back, it is the very same container."""
    before = site.podman("inspect", "--format", "{{.Id}}", "skupper-controller-podman").stdout
    site.podman("volume", "rm", "--force", "prometheus-storage-volume")
    site.podman("rm", "--force", "--time", "1", "backend")
    check_every_undo(site, init)
    assert site.podman("inspect", "--format", "{{.Id}}", "skupper-controller-podman").stdout == before
    run(site, init)


def test_claims_are_added_to_a_site_of_an_earlier_release(site: Host) -> None:
    kept = site.directory / "root/volumes/skupper-internal/_data/skupper-podman-site.json"
    now = kept.read_text()
    kept.write_text("".join(line for line in now.splitlines(True) if "claimsPort" not in line))
    with session(site) as platform, pytest.raises(ConflictError, match="redeems no claims"):
        platform.plan_token(TokenRequest("claim"))
    with session(site) as platform:
        planned = platform.plan_token(TokenRequest())
    assert planned.kind == "cert"
    assert "redeems no claims" in str(planned.facts["warnings"])
    check_every_undo(site, init_again)
    run(site, init_again)
    assert kept.read_text() == now
    with session(site) as platform:
        assert platform.plan_token(TokenRequest()).kind == "claim"


def test_replaced_container(site: Host) -> None:
    kept = site.directory / "root/volumes/skupper-internal/_data/skupper-podman-site.json"
    kept.write_text(kept.read_text().replace("21672", "21679"))
    before = site.podman("inspect", "--format", "{{.Id}}", "skupper-router").stdout
    # Up to the removal of what was replaced it is the very same container, after it one just like it.
    check_every_undo(site, init_again, last=-1)
    assert site.podman("inspect", "--format", "{{.Id}}", "skupper-router").stdout == before
    check_every_undo(site, init_again)
    steps = [str(step) for step in run(site, init_again).steps]
    assert steps[0] == "update container skupper-router"
    assert "21679" in site.podman("port", "skupper-router").stdout
    assert site.podman("ps", "--all", "--filter", "name=replaced", "--quiet").stdout == ""


def test_delete(site: Host) -> None:
    """Last: the containers are made again by the undo, with all their data."""
    check_every_undo(site, lambda platform: platform.plan_delete())


@pytest.fixture(scope="module")
def edge() -> Iterator[Host]:
    with one_host("edge") as host:
        run(host, lambda platform: platform.plan_init(request(router_mode="edge")))
        run(host, lambda platform: platform.plan_service_create(Service("backend", (8080,))))
        yield host


def test_links_of_an_edge(edge: Host) -> None:
    """The router of each service has the link, too."""

    def linked() -> list[bool]:
        config = edge.directory / "root/volumes/skupper-internal/_data/backend/skrouterd.json"
        answer = edge.podman("exec", "backend", "skmanage", "query", "--type", "connector").stdout
        return ["uplink" in config.read_text(), '"uplink"' in answer]

    assert linked() == [False, False]
    check_every_undo(edge, lambda platform: platform.plan_link_create(TOKEN, "uplink", None))
    assert linked() == [False, False]
    run(edge, lambda platform: platform.plan_link_create(TOKEN, "uplink", None))
    assert linked() == [True, True]
    check_every_undo(edge, lambda platform: platform.plan_link_delete("uplink"))
    assert linked() == [True, True]
