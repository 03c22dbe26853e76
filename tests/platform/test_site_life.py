"""A site on a real Podman: made, found complete, repaired, refused, and removed without harm to others."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from skupper_podman import certs
from skupper_podman.desired.tokens import dump_token, parse_token
from skupper_podman.errors import (
    ConflictError,
    InvalidError,
    NotEnabledError,
    NotFoundError,
    PlatformError,
    PreflightError,
    SkupperError,
    UsageError,
)
from skupper_podman.model.link import Token
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.model.site import SiteSpec
from skupper_podman.platform import SiteRequest, TokenRequest
from skupper_podman.platform.podman.site import PodmanPlatform
from tests.lab import Host
from tests.platform.onehost import PEER_ID, init, needs_podman, one_host, peer_token, picture, request, run, session
from tests.platform.test_claims import ISSUER, issuer
from tests.podmanlab import until

pytestmark = needs_podman

BACKEND = Service("backend", (8080,), targets=(Target("192.0.2.9", ((8080, 9090),)),))
AGAIN = SiteRequest(SiteSpec("", ""))


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with one_host() as host:
        run(host, init)
        run(host, lambda platform: platform.plan_service_create(BACKEND))
        run(host, lambda platform: platform.plan_link_create(peer_token(), "uplink", 3))
        yield host


def volume_file(host: Host, volume: str, path: str) -> Path:
    return host.directory / "root/volumes" / volume / "_data" / path


def test_a_complete_site_needs_nothing(site: Host) -> None:
    for asked in (AGAIN, request()):
        with session(site) as platform:
            plan = platform.plan_init(asked)
            assert plan.lines() == []
            assert not plan.changed
            assert plan.facts["existed"]


def test_a_plan_changes_nothing(site: Host) -> None:
    before = picture(site)
    with session(site) as platform:
        platform.plan_service_create(replace(BACKEND, address="other"))
        platform.plan_link_delete("uplink")
        platform.plan_delete()
    assert picture(site) == before


def test_what_is_fixed_for_life_is_refused_by_name(site: Host) -> None:
    with session(site) as platform, pytest.raises(ConflictError) as caught:
        platform.plan_init(request(name="other", network="n", labels={"a": "b"}, inter_router_port=1))
    assert "--site-name is solo, not other" in caught.value.message
    assert "--container-network is skupper, not n" in caught.value.message
    assert "--labels is none, not a=b" in caught.value.message
    assert "--bind-port" not in caught.value.message
    assert "skupper delete" in caught.value.hint


def test_everything_is_ok_and_seen_to_be(site: Host) -> None:
    with session(site) as platform:
        status = platform.site_status()
        probes = {probe.name: probe for probe in status.probes}
        assert (status.name, status.services, status.router_kind) == ("solo", 1, "embedded")
        for name in ("container skupper-router", "container skupper-controller-podman", "router management"):
            assert probes[name].health == "ok", probes[name]
        assert probes["link uplink"].health == "failing"
        # Its target is an address that nobody has.
        (service,) = platform.service_status()
        assert (service.health, service.targets[0].health) == ("failing", "failing")
        (link,) = platform.link_status()
        assert (link.state, link.link.cost, link.link.peer_site_id) == ("not connected", 3, PEER_ID)
        assert link.link.created is not None
        assert platform.identity()[0] == "solo"
        assert platform.network_status().site(platform.identity()[1]) is not None
        assert platform.incoming_links() == ()
        assert platform.versions().images


def test_private_files_are_private(site: Host) -> None:
    for name in ("tls.key", "password"):
        for path in (site.directory / "root/volumes").rglob(name):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_token_is_as_1_9_writes_it(site: Host) -> None:
    with session(site) as platform:
        token = parse_token(platform.plan_token(TokenRequest("cert", "friend")).content())
        _, site_id = platform.identity()
        _, authority = platform.site_certificate()
        with pytest.raises(UsageError, match=r"available ingress hosts: \[192.0.2.1\]"):
            platform.plan_token(TokenRequest("cert", "friend", "elsewhere.example"))
    assert token.generated_by == site_id
    assert token.endpoint("inter-router") == ("192.0.2.1", "21671")
    assert token.endpoint("edge") == ("192.0.2.1", "21672")
    facts = certs.facts(token.data["tls.crt"])
    assert (facts.subject, facts.issuer, facts.dns_names) == ("friend", "skupper-site-ca", ("192.0.2.1",))
    assert certs.belongs(certs.KeyPair(token.data["tls.crt"], token.data["tls.key"]))
    assert token.data["ca.crt"] == authority
    assert certs.signed_by(token.data["tls.crt"], authority)


def with_data(site_id: str, data: dict[str, bytes]) -> Token:
    token = peer_token(site_id)
    return replace(token, data={**token.data, **data})


def test_links_that_cannot_work_are_refused_before_any_change(site: Host) -> None:
    before = picture(site)
    other = "0d3b4c8e-0000-4000-8000-0000000000aa"
    with session(site) as platform:
        own = parse_token(platform.plan_token(TokenRequest("cert")).content())
        cases = {
            "connection to self": own,
            "Already connected": peer_token(),
            "expired": peer_token(other, days=-6 * 365),
            "not valid before": peer_token(other, days=2),
            "does not belong": with_data(other, {"tls.crt": own.data["tls.crt"], "ca.crt": own.data["ca.crt"]}),
            "not issued by": with_data(other, {"ca.crt": own.data["ca.crt"]}),
            "damaged": with_data(other, {"ca.crt": b"x"}),
        }  # fmt: skip
        for message, token in cases.items():
            with pytest.raises(InvalidError, match=message):
                platform.plan_link_create(token, "", None)
        with pytest.raises(ConflictError, match="link uplink already exists"):
            platform.plan_link_create(peer_token(other), "uplink", None)
        with pytest.raises(NotFoundError, match='no such link "nope"'):
            platform.plan_link_delete("nope")
        with pytest.raises(InvalidError, match="not a valid link"):
            platform.plan_link_delete("skupper-internal")
    assert picture(site) == before


def test_a_claim_is_redeemed_as_part_of_the_plan(site: Host, tmp_path: Path) -> None:
    answer = dump_token(peer_token(ISSUER))
    before = picture(site)
    with session(site) as platform, issuer(tmp_path, 404, b"No such claim") as (claim, _):
        plan = platform.plan_link_create(claim, "claimed", None)
        with pytest.raises(InvalidError, match="No such claim"):
            plan.apply()
    assert picture(site) == before
    with session(site) as platform, issuer(tmp_path, 200, answer) as (claim, _):
        plan = platform.plan_link_create(claim, "claimed", 5)
        plan.apply()
        assert (plan.facts["host"], plan.facts["port"]) == ("127.0.0.1", "1")
        links = {link.name: link for link in platform.links()}
        assert (links["claimed"].kind, links["claimed"].cost) == ("connection-token", 5)
    run(site, lambda platform: platform.plan_link_delete("claimed"))
    assert picture(site) == before


def test_link_warns_that_the_peer_is_away(site: Host) -> None:
    with session(site) as platform:
        plan = platform.plan_link_create(peer_token("0d3b4c8e-0000-4000-8000-0000000000aa"), "", None)
    assert plan.facts["name"] == "link1"
    assert "127.0.0.1:1" in str(plan.facts["warnings"])


@pytest.mark.parametrize(
    ("service", "error", "message"),
    [
        (Service("backend", (1,)), ConflictError, "Service backend already defined"),
        (Service("skupper-router", (1,)), ConflictError, "a container named skupper-router already exists"),
        (Service("Bad_Name", (1,)), UsageError, "Invalid service name"),
        (Service("a", ()), UsageError, "must be specified"),
        (Service("a", (70000,)), UsageError, "outside valid range"),
        (Service("a", (1, 1)), UsageError, "given twice"),
        (Service("a", (1,), targets=(Target("h", ((1, 0),)),)), UsageError, "Bad target port number"),
        (Service("a", (1,), targets=(Target("h", ((2, 3),)),)), UsageError, "source port not defined"),
        (Service("a", (1,), targets=(Target("h/x", ((1, 3),)),)), UsageError, "invalid hostname"),
        (Service("a", (1,), labels={"application": "x"}), UsageError, "reserved"),
        (Service("a", (1,), host_ports=HostPorts("", ((2, 3),))), UsageError, "does not specify mapped port 2"),
        (Service("a", (1,), host_ports=HostPorts("", ((1, 21671),))), ConflictError, "ingress port 21671 is already"),
    ],
)  # fmt: skip
def test_services_that_cannot_work_are_refused(
    site: Host, service: Service, error: type[SkupperError], message: str
) -> None:
    with session(site) as platform, pytest.raises(error, match=message):
        platform.plan_service_create(service)


def test_targets_of_a_running_service(site: Host) -> None:
    def container() -> str:
        return site.podman("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "backend").stdout

    def targets(platform: PodmanPlatform) -> set[str]:
        (service,) = platform.services()
        return {target.host for target in service.targets}

    def live() -> set[str]:
        rows = json.loads(site.podman("exec", "backend", "skmanage", "query", "--type", "tcpConnector").stdout)
        return {row["host"] for row in rows}

    before = container()
    plan = run(site, lambda platform: platform.plan_bind("backend", Target("localhost", ((8080, 7),))))
    assert "host.containers.internal" in str(plan.facts["notes"])
    with session(site) as platform:
        assert platform.plan_bind("backend", Target("localhost", ((8080, 7),))).lines() == []
        assert targets(platform) == live() == {"192.0.2.9", "host.containers.internal"}
        with pytest.raises(NotFoundError, match=r"Could not find target 1\.2\.3\.4"):
            platform.plan_unbind("backend", "1.2.3.4", delete_if_last=True)
    plan = run(site, lambda platform: platform.plan_unbind("backend", "localhost", delete_if_last=True))
    assert plan.facts["deleted"] is False
    with session(site) as platform:
        assert targets(platform) == live() == {"192.0.2.9"}
        assert platform.plan_unbind("backend", "192.0.2.9", delete_if_last=True).facts["deleted"] is True
    assert container() == before


def unwell(platform: PodmanPlatform) -> set[str]:
    return {probe.name for probe in platform.site_status().probes if probe.health != "ok"}


BREAKAGES = {
    "router removed": lambda host: host.podman("rm", "--force", "--time", "1", "skupper-router"),
    "controller stopped": lambda host: host.podman("stop", "--time", "1", "skupper-controller-podman"),
    "service removed": lambda host: host.podman("rm", "--force", "--time", "1", "backend"),
    "configuration lost": lambda host: volume_file(host, "skupper-internal", "skrouterd.json").unlink(),
    "configuration damaged": lambda host: volume_file(host, "skupper-internal", "skrouterd.json").write_text("[["),
    "service configuration lost": lambda host: volume_file(host, "skupper-internal", "backend/skrouterd.json").unlink(),
    "client certificate damaged": lambda host: volume_file(host, "skupper-local-client", "tls.crt").write_text("x"),
    "site authority lost": lambda host: volume_file(host, "skupper-site-ca", "tls.key").unlink(),
    "volume removed": lambda host: host.podman("volume", "rm", "--force", "prometheus-storage-volume"),
    "link files lost": lambda host: volume_file(host, "skupper-router-certs", "uplink-profile/tls.key").unlink(),
    "our own file lost": lambda host: volume_file(host, "skupper-internal", "skupper-podman-site.json").unlink(),
    "key readable by others": lambda host: volume_file(host, "skupper-site-server", "tls.key").chmod(0o644),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", BREAKAGES)
def test_init_repairs(site: Host, what: str) -> None:
    with session(site) as platform:
        identity, services = platform.identity(), platform.services()
        links = platform.links()
    BREAKAGES[what](site)
    plan = run(site, lambda platform: platform.plan_init(AGAIN))
    assert plan.changed
    assert plan.title == "Repair site solo"
    with session(site) as platform:
        assert platform.plan_init(AGAIN).lines() == []
        assert (platform.identity(), platform.services(), platform.links()) == (identity, services, links)
        # The supervisor looks every other second, so it may still speak of what is mended.
        until(lambda: unwell(platform) == {"link uplink", "service backend"}, 20, "all is well again")
    test_private_files_are_private(site)


def test_two_commands_at_once_do_not_lose_each_other(site: Host) -> None:
    names = [f"twin{number}" for number in range(3)]
    results = [None] * len(names)

    def work(index: int) -> None:
        results[index] = site.skupper(
            "service", "create", names[index], "80", env={"SKUPPER_DATA_HOME": str(site.directory / "data")}
        )

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with session(site) as platform:
        assert {service.address for service in platform.services()} >= set(names)
        assert platform.plan_init(AGAIN).lines() == []
    for name in names:
        run(site, lambda platform, name=name: platform.plan_service_delete(name))


def test_a_site_that_does_not_come_up_leaves_nothing_but_its_last_words() -> None:
    with one_host() as host:
        before = picture(host)
        hurried = replace(request(), timeout=0.01)
        with session(host) as platform, pytest.raises(PlatformError, match=r"did not (run|answer|see the router)"):
            platform.plan_init(hurried).apply()
        assert picture(host) == before


def test_blockers_are_all_told_at_once() -> None:
    with one_host() as host:
        host.run_container("skupper-router", "podman", "sleep", "600", options=("--publish", "21671:80"))
        host.podman("volume", "create", "skupper-internal")
        with session(host) as platform, pytest.raises(PreflightError) as caught:
            platform.plan_init(request())
        assert {blocker.check for blocker in caught.value.blockers} == {"name-container", "name-volume", "port-taken"}
        with session(host) as platform, pytest.raises(NotEnabledError):
            platform.plan_delete()


def test_the_beginning_of_a_name_or_id_is_no_name() -> None:
    """Podman removes the volume link10 when asked for link1, and takes ``db`` for a container id that begins so."""
    with one_host() as host:
        host.podman("volume", "create", "link10")
        host.run_container("mine", "podman", "sleep", "600")
        beginning = host.podman("inspect", "--format", "{{.Id}}", "mine").stdout[:3]
        with session(host) as platform:
            api = platform.context.api
            assert api.volume("link1") is None
            api.remove_volume("link1", force=True)
            assert api.container(beginning) is None
            api.stop(beginning)
            api.remove_container(beginning)
            for change in (api.start, api.restart, api.kill, api.logs):
                with pytest.raises(NotFoundError):
                    change(beginning)
            assert api.volume("link10") is not None
            info = api.container("mine")
            assert info is not None
            assert info.running


def test_delete_takes_only_what_is_ours() -> None:
    with one_host() as host:
        run(host, init)
        host.run_container("mine", "podman", "sleep", "600")
        host.run_container("labelled", "podman", "sleep", "600", options=("--label", "application=skupper"))
        host.podman("volume", "create", "--label", "application=skupper", "labelled")
        host.run_container("neighbour", "skupper", "sleep", "600")
        plan = run(host, lambda platform: platform.plan_delete())
        assert "network skupper is kept" in str(plan.facts["notes"])
        assert set(host.podman("ps", "--format", "{{.Names}}").stdout.split()) == {"mine", "labelled", "neighbour"}
        assert host.labelled() == ["container labelled", "volume labelled", "network skupper"]
        host.podman("rm", "--force", "--time", "0", "neighbour")
        run(host, lambda platform: platform.plan_delete())
        assert host.labelled() == ["container labelled", "volume labelled"]
        with session(host) as platform, pytest.raises(NotEnabledError):
            platform.plan_delete()
        assert not [path for path in (host.directory / "data").rglob("*") if path.is_file()]


def test_a_broken_site_can_be_deleted() -> None:
    with one_host() as host:
        run(host, init)
        host.podman("rm", "--force", "--time", "1", "skupper-router", "skupper-controller-podman")
        host.podman("volume", "rm", "skupper-internal", "skupper-site-ca")
        with session(host) as platform:
            with pytest.raises(ConflictError, match="resources missing or left"):
                platform.plan_init(request())
            with pytest.raises(NotEnabledError, match="resources missing or left"):
                platform.services()
        run(host, lambda platform: platform.plan_delete())
        assert host.labelled() == []
