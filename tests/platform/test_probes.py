"""What the probes of a site make of what was heard: pure, with answers made by hand."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from skupper_podman import certs
from skupper_podman.desired import names
from skupper_podman.desired.diff import Present
from skupper_podman.desired.recovery import recovered_services
from skupper_podman.desired.resources import VolumeFile
from skupper_podman.desired.site import SiteState, service_router_config, site_router_config
from skupper_podman.model.service import Service
from skupper_podman.platform.podman.asking import RouterAnswers, edge_node, peer_node
from skupper_podman.platform.podman.certstatus import certificate_probes, certificates
from skupper_podman.platform.podman.containerstatus import Containers, is_over
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.facts import ContainerInfo, Event, NetworkAttachment, VolumeInfo, event
from skupper_podman.platform.podman.filestatus import file_probes
from skupper_podman.platform.podman.linkstatus import link_statuses
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.servicestatus import questions, service_statuses
from tests.desired.examples import BACKEND, LINK, PUBLISHED, SPEC, STATE, TLS

NOW = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)
WHERE = "192.0.2.10:55671"


def container(name: str, state: str = "running", **more: Any) -> ContainerInfo:
    labels = more.pop("labels", {})
    more.setdefault("networks", {"skupper": NetworkAttachment()})
    return ContainerInfo(name, f"id-{name}", "image", "1", state, labels, started_at="2026-03-01T11:00:00Z", **more)


def site(*containers: ContainerInfo, **more: Any) -> Observation:
    found = {info.name: info for info in containers}
    configs = {"": site_router_config(STATE)}
    defaults: dict[str, Any] = {
        "spec": SPEC, "links": (LINK,), "services": (BACKEND,), "configs": configs, "containers": found,
    }  # fmt: skip
    return Observation(Present(), Trees(lambda _name: None), **{**defaults, **more})


BACK = container("backend", labels={names.DEFAULT.address_label: "backend"})
EDGE = {"role": "edge", "container": f"{SPEC.name}-backend", "active": True, "opened": True}
ADDRESS = {"key": "Mbackend:8080", "subscriberCount": 1}
LISTENER = {"name": "backend:8080", "port": "8080", "operStatus": "up"}


def answers(**more: Any) -> RouterAnswers:
    said: dict[str, Any] = {
        "answers": {"connection": [EDGE], "router.address": [ADDRESS], "connector": []},
        "nodes": {edge_node(f"{SPEC.name}-backend"): [LISTENER]},
        "ports": {"backend-target:9090": ""},
    }
    return RouterAnswers(**{**said, **more})


class TestServices:
    def test_asks_for_each_router_and_each_target_once(self) -> None:
        asked = questions(site(BACK))
        assert asked.ports == (("backend-target", 9090),)
        assert asked.nodes == {edge_node(f"{SPEC.name}-backend"): "tcpListener"}

    def test_well(self) -> None:
        (found,) = service_statuses(site(BACK), answers())
        assert (found.health, found.detail, found.reachable) == ("ok", "reachable", True)
        assert [target.health for target in found.targets] == ["ok"]
        assert found.since == "2026-03-01T11:00:00Z"

    @pytest.mark.parametrize(
        ("said", "health", "detail", "fix"),
        [
            ({"ports": {"backend-target:9090": "connection refused"}}, "failing",
             "its target backend-target:9090: connection refused", "start what listens on backend-target:9090"),
            ({"ports": {"backend-target:9090": "the name backend-target cannot be resolved"}}, "failing",
             "cannot be resolved", "start container backend-target"),
            ({"ports": {}, "silence": "no tool"}, "unknown", "could not be tried: no tool", "skupper status"),
            ({"nodes": {edge_node(f"{SPEC.name}-backend"): "no answer within 2 s"}}, "failing",
             "the router in container backend does not answer", "podman restart backend"),
            ({"nodes": {edge_node(f"{SPEC.name}-backend"): [{**LISTENER, "operStatus": "down"}]}}, "failing",
             "nothing listens on its port 8080", "podman restart backend"),
            ({"answers": {"connection": [], "router.address": [ADDRESS]}}, "failing", "not connected", "podman logs"),
            ({"answers": {"connection": [EDGE], "router.address": []}}, "failing", "does not answer for its targets",
             "podman restart backend"),
            ({"answers": {}, "problem": "x"}, "unknown", "the site's router does not answer", "skupper status"),
        ],
    )  # fmt: skip
    def test_not_well(self, said: dict[str, Any], health: str, detail: str, fix: str) -> None:
        (found,) = service_statuses(site(BACK), answers(**said))
        assert found.health == health
        assert detail in found.detail
        assert fix in found.fix

    def test_nobody_serves_it(self) -> None:
        said = answers(answers={"connection": [EDGE], "router.address": []})
        (found,) = service_statuses(site(BACK, services=(replace(BACKEND, targets=()),)), said)
        assert (found.health, found.reachable) == ("ok", False)
        assert "no target anywhere" in found.detail
        assert "skupper service bind" in found.fix

    def test_off_the_network(self) -> None:
        off = replace(BACK, networks={})
        (found,) = service_statuses(site(off), answers(answers={"connection": [], "router.address": [ADDRESS]}))
        assert (found.health, found.fix) == ("failing", "skupper init")
        assert "not on network skupper" in found.detail

    def test_without_its_container(self) -> None:
        (found,) = service_statuses(site(), answers())
        assert (found.health, found.fix) == ("failing", "skupper init")
        (found,) = service_statuses(site(replace(BACK, state="exited", exit_code=3)), answers())
        assert (found.health, found.detail) == ("failing", "container backend is exited (exit code 3)")


UP: dict[str, Any] = {
    "role": "inter-router", "host": WHERE, "container": "east", "active": True, "opened": True, "uptimeSeconds": 60,
}  # fmt: skip


class TestLinks:
    def state(self, said: RouterAnswers, log: str = "") -> Any:
        (found,) = link_statuses(site(), said, lambda: NOW, lambda: log)
        return found

    def test_connected_when_the_peer_answers(self) -> None:
        found = self.state(RouterAnswers({"connection": [UP]}, nodes={peer_node("east"): [{}]}))
        assert (found.state, found.peer, found.fix) == ("connected", "east", "")
        assert found.since == NOW - datetime.timedelta(minutes=1)

    def test_a_silent_peer_is_no_connection(self) -> None:
        found = self.state(RouterAnswers({"connection": [UP]}, nodes={peer_node("east"): "no answer within 2 s"}))
        assert found.state == "unknown"
        assert "the router east is silent" in found.reason
        assert "skupper doctor" in found.fix

    def test_why_not_and_since_when(self) -> None:
        connector = {"name": "link1", "connectionMsg": "Connection refused"}
        log = (
            f"2026-03-01 10:00:00.1 +0000 SERVER (warning) Connection to {WHERE} failed: no route\n"
            f"2026-03-01 10:05:00.1 +0000 SERVER (info) [C4] Connection Opened: dir=out host={WHERE} container_id=e\n"
            "2026-03-01 10:06:00.1 +0000 SERVER (warning) Connection to other:1 failed: x\n"
            f"2026-03-01 11:00:00.9 +0000 SERVER (warning) Connection to {WHERE} failed: closed\n"
            f"2026-03-01 11:00:01.1 +0000 SERVER (warning) Connection to {WHERE} failed: Connection refused\n"
        )
        found = self.state(RouterAnswers({"connection": [], "connector": [connector]}), log)
        assert (found.state, found.reason) == ("not connected", f"no connection to {WHERE}: Connection refused")
        assert found.since == NOW.replace(hour=11)
        assert f"at site {LINK.peer_site_id}" in found.fix

    def test_a_wrong_certificate_needs_another_token(self) -> None:
        connector = {"name": "link1", "connectionMsg": "certificate verify failed"}
        found = self.state(RouterAnswers({"connection": [], "connector": [connector]}))
        assert "skupper token create" in found.fix
        assert found.since is None

    def test_a_router_that_forgot_it(self) -> None:
        found = self.state(RouterAnswers({"connection": [], "connector": []}))
        assert "does not know the link" in found.reason
        assert self.state(RouterAnswers(problem="gone")).state == "unknown"


def died(seconds: int, code: int = 1) -> Event:
    return Event(f"2026-03-01T11:59:{seconds:02d}Z", "container", "died", "id-x", "x", code)


class TestContainers:
    def test_words_for_each_state(self) -> None:
        found = Containers({"a": container("a"), "b": container("b", "paused"), "c": container("c", "exited")})
        assert found.probe("a").health == "ok"
        assert (found.probe("b").detail, found.probe("b").fix) == ("paused", "podman unpause b")
        assert found.probe("c").detail == "exited (exit code 0)"
        assert found.probe("d").detail == "it does not exist"

    def test_one_that_keeps_ending_is_not_well_while_it_runs(self) -> None:
        infos = {"x": container("x")}
        ends = {"id-x": (died(0, 137), died(1, 7), died(20, 7), died(40, 7))}
        found = Containers(infos, ends=ends, last_words=lambda _name: "no such file").probe("x")
        assert found.health == "failing"
        assert found.detail == "keeps ending: 3 times in 2 minutes, last with exit code 7; its last words: no such file"
        assert found.since == died(1).time
        assert Containers(infos, ends={"id-x": (died(1),)}).probe("x").health == "ok"

    def test_one_that_was_stopped_after_all_is_stopped(self) -> None:
        ends = {"id-x": (died(1), died(20), died(30), died(40, 0))}
        found = Containers({"x": container("x", "exited")}, ends=ends).probe("x")
        assert (found.health, found.detail, found.since) == ("failing", "exited (exit code 0)", died(40).time)
        assert Containers({"x": container("x")}, ends=ends).probe("x").health == "ok"

    def test_a_loop_is_over_when_it_runs_longer_than_ever_between_two_ends(self) -> None:
        ends = (died(1), died(3), died(13))  # ten seconds at most
        for seconds, over in ((12, False), (14, False), (20, True)):
            info = container("x")
            now = datetime.datetime.fromisoformat(info.started_at) + datetime.timedelta(seconds=seconds)
            assert is_over(info, ends, now) is over
        assert not is_over(container("x", "exited"), ends, NOW)

    def test_ports(self) -> None:
        found = Containers({"x": container("x")}, missing_ports=lambda _info: [55671]).probe("x")
        assert (found.health, found.fix) == ("failing", "podman restart x")

    def test_an_event_as_podman_tells_it(self) -> None:
        attributes = {"name": "x", "containerExitCode": "137", "image": "i"}
        body = {
            "Type": "container",
            "Action": "died",
            "Actor": {"ID": "1", "Attributes": attributes},
            "timeNano": 10**9,
        }
        assert event(body) == Event("1970-01-01T00:00:01.000Z", "container", "died", "1", "x", 137, attributes)
        assert event({}).exit_code is None


class Pairs:
    """Certificates of a site, issued ``days`` ago."""

    def __init__(self, days: int = 1) -> None:
        self.then = NOW - datetime.timedelta(days=days)
        self.key = certs.new_key()
        self.authority = certs.issue_authority("skupper-site-ca", self.key, self.then)
        self.leaf = certs.issue(self.authority, "skupper", ("east",), self.key, self.then)

    def files(self, **changed: bytes) -> dict[tuple[str, str], VolumeFile]:
        content = {"ca.crt": self.authority.certificate, "tls.crt": self.leaf.certificate, "tls.key": self.leaf.key}
        content |= {name.replace("_", "."): value for name, value in changed.items()}
        volume = names.DEFAULT.router_certs
        return {(volume, f"link1-profile/{name}"): VolumeFile(volume, "", value) for name, value in content.items()}


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return Pairs()


class TestCertificates:
    def link(self, files: dict[tuple[str, str], VolumeFile], now: datetime.datetime = NOW) -> Any:
        volumes = {names.DEFAULT.router_certs: VolumeInfo(names.DEFAULT.router_certs, "local", "/nowhere", {})}
        found = certificates(replace(site(), present=Present(files=files), volumes=volumes), now)
        return next(item for item in found if item.kind == "link")

    def test_well(self, pairs: Pairs) -> None:
        found = self.link(pairs.files())
        assert (found.problem, found.hosts) == ("", ("east",))
        (probe,) = certificate_probes((found,), NOW)
        assert (probe.health, probe.fix) == ("ok", "")
        assert "in 1824 days" in probe.detail

    def test_each_damage_is_named(self, pairs: Pairs) -> None:
        other = Pairs()
        for changed, words in (
            ({"tls_key": b""}, "tls.key is missing or empty"),
            ({"tls_crt": b"-----BEGIN"}, "not a PEM certificate"),
            ({"tls_key": other.key}, "its key is damaged or belongs to another certificate"),
            ({"tls_key": pairs.key[:200]}, "its key is damaged"),
            ({"ca_crt": other.authority.certificate}, "not issued by the authority"),
        ):
            assert words in self.link(pairs.files(**changed)).problem, changed

    def test_time(self, pairs: Pairs) -> None:
        late, early = NOW + datetime.timedelta(days=1830), NOW - datetime.timedelta(days=365)
        assert "expired 2031-02" in self.link(pairs.files(), late).problem
        assert "skupper token create" in self.link(pairs.files(), late).fix
        found = self.link(pairs.files(), early)
        assert "the clock is wrong" in found.problem
        assert "timedatectl" in found.fix
        soon = NOW + datetime.timedelta(days=1810)
        probes = certificate_probes((self.link(pairs.files(), soon),), soon)
        assert [probe.health for probe in probes] == ["ok", "ok"]
        assert "ends in 14 days" in probes[0].detail
        assert probes[0].fix

    def test_a_volume_that_is_gone(self, pairs: Pairs) -> None:
        found = certificates(site(), NOW)
        assert {item.problem for item in found if item.kind == "authority"} == {
            f"volume {name} does not exist" for name in names.DEFAULT.authorities
        }


class TestFiles:
    def test_damage_and_absence(self) -> None:
        found = file_probes(site(damage=("skupper-internal:backend/skrouterd.json: not JSON",)))
        details = {probe.name: probe.detail for probe in found}
        assert details["file skupper-internal:backend/skrouterd.json"] == "it is damaged: not JSON"
        assert details["volume skupper-site-ca"] == "it does not exist"
        assert all(probe.fix == "skupper init" for probe in found)

    def test_a_container_nobody_defines(self) -> None:
        stray = container("stray", labels={names.DEFAULT.address_label: "stray"})
        probe = next(probe for probe in file_probes(site(stray)) if probe.name == "service stray")
        assert "does not define it" in probe.detail


def test_services_are_recovered_from_their_routers() -> None:
    services = (BACKEND, TLS, PUBLISHED, Service("web", (80,), "http"), Service("grpc", (50051, 50052), "http2"))
    state = SiteState(SPEC, STATE.runtime, services=services)
    own = site_router_config(state)
    configs = {service.address: service_router_config(state, service, own) for service in services}
    found = {service.address: service for service in recovered_services({"": own, **configs})}
    for service in services:
        if service is PUBLISHED:
            continue
        assert found[service.address] == replace(service, labels={})
    assert recovered_services({"": own}) == ()
