"""Several sites of one user on one host, on a real Podman: side by side, each seeing only what is its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from subprocess import PIPE
from typing import Any

import pytest

from skupper_podman.desired.names import Names
from skupper_podman.errors import ConflictError, NotEnabledError, PreflightError
from skupper_podman.model.service import Service
from skupper_podman.model.site import SiteSpec
from skupper_podman.platform import SiteRequest
from skupper_podman.platform.podman.supervise import background_supervisor
from tests.lab import Host
from tests.platform.onehost import needs_podman, one_host, picture, run, session

CHOOSING = """
import os, sys
from skupper_podman.desired.ports import published
from skupper_podman.model.site import SiteSpec
from skupper_podman.platform import SiteRequest
from skupper_podman.platform.podman.context import real_context
from skupper_podman.platform.podman.init import with_ports

def choose(namespace):
    context = real_context({**os.environ, "SKUPPER_NAMESPACE": namespace})
    context.lock()
    asked = SiteSpec("", "", namespace=namespace)
    print(*published(with_ports(context, SiteRequest(asked, given=frozenset()), None, asked)[0]), flush=True)
    sys.stdin.read()

for number in range(20):
    if not os.fork():
        choose(f"n{number}")
        sys.exit()
codes = [os.wait()[1] for _ in range(20)]
sys.exit(any(codes))
"""
"""Twenty processes that do what ``init`` does about ports, and hold their site's lock until all have chosen."""

pytestmark = [*needs_podman, pytest.mark.timeout(900)]

SITES = ("", "blue", "red")
BACKEND = Service("backend", (8080,))


def asked(given: tuple[str, ...] = (), **options: Any) -> SiteRequest:
    values = {"name": "", "site_id": "", "ingress_hosts": ("192.0.2.1",), "router": "embedded", **options}
    return SiteRequest(SiteSpec(**values), timeout=120, given=frozenset((*given, *options)))


@pytest.fixture(scope="module")
def empty() -> dict[str, Any]:
    """What is on the host before the first site."""
    return {}


@pytest.fixture(scope="module")
def host(empty: dict[str, Any]) -> Iterator[Host]:
    """A host with the site without a name and two named ones."""
    with one_host() as host:
        try:
            empty.update(picture(host))
            for namespace in SITES:
                run(host, lambda platform: platform.plan_init(asked()), SKUPPER_NAMESPACE=namespace)
            yield host
        finally:
            for namespace in SITES:
                with session(host, SKUPPER_NAMESPACE=namespace) as platform:
                    background_supervisor(platform.context).stop()


def spec_of(host: Host, namespace: str) -> SiteSpec:
    with session(host, SKUPPER_NAMESPACE=namespace) as platform:
        spec = platform.context.site().spec
    assert spec is not None
    return spec


def ports_of(spec: SiteSpec) -> tuple[int, int, int]:
    return spec.inter_router_port, spec.edge_port, spec.claims_port or 0


def test_each_has_its_own_names_and_ports(host: Host) -> None:
    labelled = json.loads(host.podman("ps", "--all", "--format", "json").stdout)
    found = {item["Names"][0]: item["Labels"]["application"] for item in labelled}
    assert found == {name: Names(namespace).application for namespace in SITES for name in Names(namespace).components}
    specs = {namespace: spec_of(host, namespace) for namespace in SITES}
    assert ports_of(specs[""]) == (55671, 45671, 8081)
    assert ports_of(specs["blue"]) == (55672, 45672, 8082)
    assert ports_of(specs["red"]) == (55673, 45673, 8083)
    assert [spec.network for spec in specs.values()] == ["skupper", "skupper.blue", "skupper.red"]
    assert len({spec.site_id for spec in specs.values()}) == 3


def test_init_again_changes_nothing(host: Host) -> None:
    for namespace in SITES:
        with session(host, SKUPPER_NAMESPACE=namespace) as platform:
            assert not platform.plan_init(asked()).changed


def test_a_service_of_one_name_in_both(host: Host) -> None:
    for namespace in ("", "blue"):
        run(host, lambda platform: platform.plan_service_create(BACKEND), SKUPPER_NAMESPACE=namespace)
    assert {"backend", "backend.blue"} <= set(host.podman("ps", "--format", "{{.Names}}").stdout.split())
    for namespace, container in (("", "backend"), ("blue", "backend.blue")):
        with session(host, SKUPPER_NAMESPACE=namespace) as platform:
            status = platform.site_status()
            assert status.health == "ok", status.probes
            assert (status.namespace, status.services) == (namespace, 1)
            assert [item.container for item in platform.service_status()] == [container]
            assert {finding.result for finding in platform.doctor({"drift", "container", "traffic"})} == {"ok"}
    with session(host, SKUPPER_NAMESPACE="red") as platform:
        assert platform.service_status() == ()


def test_both_are_called_by_the_same_name_each_on_its_own_network(host: Host) -> None:
    addresses = {
        host.in_network(Names(namespace).network, "getent", "hosts", "backend").stdout.split()[0]
        for namespace in ("", "blue")
    }
    assert len(addresses) == 2


def test_ports_of_a_site_that_does_not_run_stay_its_own(host: Host) -> None:
    """Where nothing listens, the ports of another site are neither chosen nor given to who asks for them."""
    own = Names("red")
    with session(host, SKUPPER_NAMESPACE="red") as platform:
        background_supervisor(platform.context).stop()
    # Stopped, Podman's restart policy may start them again on a busy machine.
    host.podman("rm", "--force", "--time", "1", *own.components)
    with session(host, SKUPPER_NAMESPACE="green") as platform:
        facts = platform.plan_init(asked()).facts
        assert facts["existed"] is False
        with pytest.raises(PreflightError, match="port 55673 is that of site red, which does not"):
            platform.plan_init(asked(inter_router_port=55673))
    run(host, lambda platform: platform.plan_init(asked()), SKUPPER_NAMESPACE="red")


def test_twenty_that_choose_at_the_same_time_choose_different_ports(host: Host) -> None:
    home = str(host.directory / "data")
    choosing = host.popen(sys.executable, "-c", CHOOSING, stdin=PIPE, stdout=PIPE, env={"SKUPPER_DATA_HOME": home})
    assert choosing.stdout is not None
    chosen = [tuple(map(int, choosing.stdout.readline().split())) for _ in range(20)]
    choosing.communicate()
    assert choosing.returncode == 0
    assert {len(ports) for ports in chosen} == {3}
    assert len({port for ports in chosen for port in ports}) == 60
    known = {port for namespace in SITES for port in ports_of(spec_of(host, namespace))}
    assert not known & {port for ports in chosen for port in ports}


def test_a_network_is_not_shared(host: Host) -> None:
    with (
        session(host, SKUPPER_NAMESPACE="green") as platform,
        pytest.raises(PreflightError, match="is that of site red"),
    ):
        platform.plan_init(asked(network="skupper.red"))


def test_who_has_no_site_of_that_name_is_told_which_there_are(host: Host) -> None:
    with session(host, SKUPPER_NAMESPACE="green") as platform, pytest.raises(NotEnabledError) as caught:
        platform.site_status()
    assert "in namespace 'green'" in caught.value.message
    assert "sites here: blue, default, red" in caught.value.hint


def test_delete_of_one_leaves_the_others(host: Host, empty: dict[str, Any]) -> None:
    before = picture(host)
    run(host, lambda platform: platform.plan_delete(), SKUPPER_NAMESPACE="blue")
    after = picture(host)
    for part in ("containers", "volumes", "networks", "files"):
        assert after[part] == {name: value for name, value in before[part].items() if not name.endswith(".blue")}, part
    assert after["images"] == before["images"]
    assert not [path for path in after["host"] if "blue" in path]
    for namespace in ("", "red"):
        with session(host, SKUPPER_NAMESPACE=namespace) as platform:
            assert platform.site_status().health == "ok"
    run(host, lambda platform: platform.plan_delete(), SKUPPER_NAMESPACE="")
    with session(host, SKUPPER_NAMESPACE="red") as platform:
        assert platform.site_status().health == "ok"
    run(host, lambda platform: platform.plan_delete(), SKUPPER_NAMESPACE="red")
    at_last = picture(host)
    at_last["images"].remove("localhost/workload:latest")  # what called the services
    assert at_last == empty
    with session(host, SKUPPER_NAMESPACE="red") as platform, pytest.raises((NotEnabledError, ConflictError)):
        platform.plan_delete()
