"""``init`` with other options on a real site: what changes runs on where it can, and is put back where it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skupper_podman import certs
from skupper_podman.errors import ConflictError
from skupper_podman.model.service import Service, Target
from skupper_podman.model.site import LogLevel, SiteSpec
from skupper_podman.plan import Plan
from skupper_podman.platform import SiteRequest, TokenRequest
from skupper_podman.platform.podman.site import PodmanPlatform
from tests.lab import Host
from tests.platform.onehost import check_every_undo, needs_podman, one_host, request, run, session

pytestmark = needs_podman

BACKEND = Service("backend", (8080,), targets=(Target("127.0.0.1", ((8080, 9090),)),))
LABELS = {"team": "a", "cost-centre": "42"}


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with one_host() as host:
        run(host, lambda platform: platform.plan_init(request(labels=LABELS, bind_ips=("127.0.0.1",), ipv6=True)))
        run(host, lambda platform: platform.plan_service_create(BACKEND))
        yield host


def again(platform: PodmanPlatform, **options: Any) -> Plan:
    return platform.plan_init(SiteRequest(SiteSpec("", "", **options), timeout=60, given=frozenset(options)))


def change(host: Host, **options: Any) -> Plan:
    plan = run(host, lambda platform: again(platform, **options))
    with session(host) as platform:
        assert again(platform, **options).lines() == []
        assert platform.plan_init(SiteRequest(SiteSpec("", ""))).lines() == []
    return plan


def inspected(host: Host, name: str) -> dict[str, Any]:
    (found,) = json.loads(host.podman("inspect", name).stdout)
    return dict(found)


def identities(host: Host) -> dict[str, tuple[str, str]]:
    names = ("skupper-router", "skupper-controller-podman", "backend")
    found = {name: inspected(host, name) for name in names}
    return {name: (body["Id"], body["State"]["StartedAt"]) for name, body in found.items()}


def enabled(host: Host, container: str) -> dict[str, str]:
    rows = json.loads(host.podman("exec", container, "skmanage", "query", "--type", "log").stdout)
    return {row["module"]: row["enable"] for row in rows if row.get("enable", "default") != "default"}


def test_labels_addresses_and_ipv6_are_applied(site: Host) -> None:
    for kind in ("container", "volume", "network"):
        listing = ("ps", "--all") if kind == "container" else (kind, "ls")
        everything = site.podman(*listing, "--filter", "label=application=skupper", "--quiet").stdout.split()
        labelled = site.podman(*listing, "--filter", "label=team=a", "--filter", "label=cost-centre=42", "--quiet")
        assert everything
        assert labelled.stdout.split() == everything
    bindings = inspected(site, "skupper-router")["NetworkSettings"]["Ports"]
    assert bindings == {
        "45671/tcp": [{"HostIp": "127.0.0.1", "HostPort": "21672"}],
        "55671/tcp": [{"HostIp": "127.0.0.1", "HostPort": "21671"}],
    }
    networks = json.loads(site.podman("network", "inspect", "skupper").stdout)
    assert networks[0]["ipv6_enabled"] is True
    assert len(networks[0]["subnets"]) == 2
    assert inspected(site, "backend")["NetworkSettings"]["Networks"]["skupper"]["GlobalIPv6Address"]


def test_log_levels_change_in_running_routers(site: Host) -> None:
    before = identities(site)
    levels = (LogLevel("", "warning"), LogLevel("ROUTER_CORE", "debug+"), LogLevel("TCP_ADAPTOR", "error"))
    plan = change(site, router_logging=levels)
    assert plan.facts["ahead"] == []
    assert plan.facts["changes"] == [
        "--router-logging: none -> warning,ROUTER_CORE:debug+,TCP_ADAPTOR:error (in the running routers)"
    ]
    for container in ("skupper-router", "backend"):
        found = enabled(site, container)
        assert (found["DEFAULT"], found["ROUTER_CORE"], found["TCP_ADAPTOR"]) == ("warning+", "debug+", "error+")
    change(site, router_logging=(LogLevel("", "debug"),))
    assert {key: value for key, value in enabled(site, "backend").items() if value != "default"} == {
        "DEFAULT": "debug+"
    }
    change(site, router_logging=())
    assert enabled(site, "backend") == {"DEFAULT": "info+"}
    assert identities(site) == before


def test_new_hosts_get_a_certificate_and_nothing_restarts(site: Host) -> None:
    before = identities(site)
    plan = change(site, ingress_hosts=("west.example.com", "192.0.2.1"))
    assert "restart" not in str(plan.lines())
    assert identities(site) == before
    # The next connection sees it, without a restart.
    port = ("-connect", "127.0.0.1:21671", "-showcerts")
    shown = site.run("openssl", "s_client", *port, check=False).stdout
    names = certs.facts(shown[shown.index("-----BEGIN") :].partition("-----END CERTIFICATE-----")[0].encode()
                        + b"-----END CERTIFICATE-----\n").dns_names  # fmt: skip
    assert names == ("skupper-router", "west.example.com", "192.0.2.1")
    with session(site) as platform:
        assert b"inter-router-host: west.example.com" in platform.plan_token(TokenRequest("cert")).content()


def test_what_restarts_is_said_before(site: Host) -> None:
    before = identities(site)
    with session(site) as platform:
        plan = again(platform, controller_cpu_millis=500, controller_memory_bytes=2**30)
    assert plan.facts["ahead"] == ["skupper-controller-podman restarts: no connection is touched"]
    assert identities(site) == before
    with session(site) as platform:
        plan = again(platform, inter_router_port=21679, router_memory_bytes=2**29)
    ahead = str(plan.facts["ahead"])
    assert "skupper-router restarts" in ahead
    assert "containers of services restart" in ahead
    assert "backend" in ahead


def test_limits_and_ports(site: Host) -> None:
    change(
        site, router_cpu_millis=1500, router_memory_bytes=2**29, controller_cpu_millis=500,
        controller_memory_bytes=2**30, inter_router_port=21679,
    )  # fmt: skip
    for name, quota, memory in (
        ("skupper-router", 150_000, 2**29), ("backend", 150_000, 2**29), ("skupper-controller-podman", 50_000, 2**30),
    ):  # fmt: skip
        limits = inspected(site, name)["HostConfig"]
        assert (limits["CpuQuota"], limits["Memory"]) == (quota, memory)
        group = inspected(site, name)["State"].get("CgroupPath")
        kept = Path(f"/sys/fs/cgroup{group}/memory.max")
        if group and kept.exists():
            assert int(kept.read_text()) == memory
    assert "21679" in site.podman("port", "skupper-router").stdout
    run(site, lambda platform: platform.plan_service_create(Service("late", (80,))))
    assert inspected(site, "late")["HostConfig"]["Memory"] == 2**29
    run(site, lambda platform: platform.plan_service_delete("late"))
    change(site, router_cpu_millis=0)
    limits = inspected(site, "backend")["HostConfig"]
    assert (limits["CpuQuota"], limits["Memory"]) == (0, 2**29)


def test_ingress_can_be_closed_and_opened(site: Host) -> None:
    with session(site) as platform:
        hosts = platform.context.site().spec
    change(site, ingress="none")
    assert site.podman("port", "skupper-router").stdout == ""
    change(site, ingress="external")
    assert "21679" in site.podman("port", "skupper-router").stdout
    with session(site) as platform:
        spec = platform.context.site().spec
    assert spec is not None
    assert hosts is not None
    assert spec.ingress_hosts == hosts.ingress_hosts


def test_a_port_that_is_taken_is_refused_before_any_change(site: Host) -> None:
    site.run_container("taken", "podman", "sleep", "600", options=("--publish", "127.0.0.1:21888:80"))
    before = identities(site)
    with session(site) as platform, pytest.raises(Exception, match="21888"):
        again(platform, inter_router_port=21888)
    with session(site) as platform, pytest.raises(ConflictError, match="--labels is cost-centre=42,team=a, not a=b"):
        again(platform, labels={"a": "b"})
    assert identities(site) == before


@pytest.mark.slow
def test_every_step_can_be_taken_back(site: Host) -> None:
    def everything(platform: PodmanPlatform) -> Plan:
        return again(
            platform, router_logging=(LogLevel("", "debug"),), ingress_hosts=("192.0.2.1",), edge_port=21699,
            controller_memory_bytes=2**29,
        )  # fmt: skip

    before = enabled(site, "backend")
    check_every_undo(site, everything)
    assert enabled(site, "backend") == before
