"""A real site that hears of services, from a site that is nothing but messages: what it makes of them, and what not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skupper_podman.desired import names
from skupper_podman.errors import ConflictError, PlatformError
from skupper_podman.files import write_atomic
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.model.status import Probe
from skupper_podman.platform.podman.learning import plan_round
from tests.lab import Host
from tests.platform.onehost import failing_after, inside, needs_podman, one_host, picture, request, run, session
from tests.podmanlab import until
from tests.syncpeer import body, speaking

pytestmark = needs_podman
SAID = "said.json"


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with one_host() as host:
        run(host, lambda platform: platform.plan_init(request(service_sync=True)))
        say(host)
        words = speaking("id-east", f"@{names.STATUS_PATH}/{SAID}")
        host.podman("exec", "--detach", names.CONTROLLER, *words)
        yield host


def say(host: Host, *entries: dict[str, Any]) -> None:
    """Let site id-east offer these services, and no others, from now on."""
    write_atomic(status_file(host, SAID), body(*entries).encode(), 0o644)


def status_file(host: Host, name: str) -> Path:
    """A file beside the network's status."""
    with session(host) as platform:
        volume = platform.context.api.volume(names.DEFAULT.network_status)
        assert volume is not None
        return Path(volume.mountpoint) / name


def services(host: Host) -> dict[str, Service]:
    with session(host) as platform:
        return {service.address: service for service in platform.services()}


def running(host: Host, name: str) -> bool:
    found = host.podman("ps", "--filter", f"name=^{name}$", "--format", "{{.Names}}").stdout
    return found.strip() == name


def probes(host: Host) -> dict[str, Probe]:
    with session(host) as platform:
        return {probe.name: probe for probe in platform.site_status().probes if probe.name.startswith("sync")}


def test_what_cannot_be_made_is_told_with_what_mends_it(site: Host) -> None:
    site.run_container("taken", "podman", "sleep", "600")
    entries = ({"address": "taken", "ports": [1]}, {"address": "good", "ports": [2], "labels": {"a": "b"}})
    headless = {"address": "pods", "ports": [3], "headless": {"name": "pods", "size": 1}}
    say(site, *entries, headless)
    good = Service("good", (2,), labels={"a": "b"}, origin="id-east")
    until(lambda: services(site) == {"good": good} and running(site, "good"), 20, "the one that can be made")
    found = until_probes(site, "sync taken")
    assert found["sync taken"].health == "failing"
    assert "the service of site id-east cannot be made here: a container named taken" in found["sync taken"].detail
    assert found["sync taken"].fix == "rename it: podman rename taken NEW"
    assert "it is headless" in found["sync pods"].detail
    assert found["sync pods"].health == "ok"
    with session(site) as platform:
        result = {finding.subject: finding.result for finding in platform.doctor({"service-sync"})}
    assert result == {"taken": "fail", "pods": "warn"}
    site.podman("rm", "--force", "--time", "0", "taken")
    say(site, *entries)
    until(lambda: "taken" in services(site), 60, "it is made once nothing is in the way")
    until(lambda: probes(site)["sync"].detail == "2 services of 1 other site", 20, "all is well")


def until_probes(host: Host, name: str) -> dict[str, Probe]:
    until(lambda: name in probes(host), 20, f"a probe called {name}")
    return probes(host)


def test_a_service_that_changes_at_its_site_changes_here(site: Host) -> None:
    say(site, {"address": "good", "ports": [2, 3], "tlsCredentials": "some-secret"})
    wanted = Service("good", (2, 3), origin="id-east", tls_credentials="skupper-tls-good")
    until(lambda: services(site) == {"good": wanted} and running(site, "good"), 30, "it has its new shape")
    with session(site) as platform:
        assert platform.plan_init(request(service_sync=True)).lines() == []
    say(site)
    until(lambda: services(site) == {} and not running(site, "good"), 30, "it is gone")


def test_commands_on_a_service_of_another_site(site: Host) -> None:
    say(site, {"address": "a", "ports": [1]}, {"address": "b", "ports": [2]}, {"address": "c", "ports": [3]})
    until(lambda: services(site).keys() == {"a", "b", "c"}, 30, "they are here")
    with session(site) as platform:
        for make in (
            lambda: platform.plan_service_label("a", {"x": "y"}, ()),
            lambda: platform.plan_service_allow("a", ("x",), ()),
        ):
            with pytest.raises(ConflictError, match="came from site id-east, which decides that"):
                make()
        with pytest.raises(ConflictError, match="already defined with other ports"):
            platform.plan_service_create(Service("a", (9,)))
        assert platform.definition().services == ()
    # Defined here, each is this site's own, and stays when the other site leaves.
    started = site.podman("inspect", "a", "b", "--format", "{{.State.StartedAt}}").stdout
    plan = run(site, lambda platform: platform.plan_bind("a", Target("127.0.0.1", ((1, 1),))))
    assert any("this site's own from now" in str(note) for note in plan.facts["notes"])  # type: ignore[attr-defined]
    run(site, lambda platform: platform.plan_service_create(Service("b", (2,), targets=(Target("web", ((2, 2),)),))))
    published = Service("c", (3,), host_ports=HostPorts("127.0.0.1", ((3, 23003),)))
    run(site, lambda platform: platform.plan_service_create(published))
    assert site.podman("inspect", "a", "b", "--format", "{{.State.StartedAt}}").stdout == started
    query = ("exec", "b", "skmanage", "query", "--type", "tcpConnector")
    assert [row["host"] for row in json.loads(site.podman(*query).stdout)] == ["web"]
    say(site, {"address": "gone", "ports": [7]})
    until(lambda: "gone" in services(site), 30, "what came last")
    say(site)
    until(lambda: "gone" not in services(site), 30, "it is gone")
    assert {address: item.origin for address, item in services(site).items()} == {"a": "", "b": "", "c": ""}
    for address in ("a", "b", "c"):
        run(site, lambda platform, address=address: platform.plan_service_delete(address))  # type: ignore[misc]


def test_a_lost_services_file_makes_nothing_of_others_the_site_s_own(site: Host) -> None:
    say(site, {"address": "far", "ports": [1]})
    until(lambda: services(site).keys() == {"far"}, 30, "it is here")
    with session(site) as platform:
        place = Path(platform.context.site().trees.tree(names.DEFAULT.services).root, names.SERVICES_FILE)
        # Under the lock, the supervisor leaves it as it is.
        platform.context.lock()
        content = place.read_bytes()
        place.write_bytes(b"{")
        assert platform.services() == (Service("far", (1,), origin="id-east"),)
        place.write_bytes(content)
    say(site)
    until(lambda: services(site) == {}, 30, "it is gone")


def test_a_round_that_fails_leaves_nothing_behind(site: Host) -> None:
    """The supervisor is kept away by the lock, so that the plan is made and broken here."""
    learned = status_file(site, names.SYNC_FILE)
    with session(site) as holder:
        holder.context.lock()
        say(site, {"address": "left", "ports": [1]}, {"address": "right", "ports": [2]})
        until(lambda: "left" in learned.read_text(), 20, "the controller knows")
        before = picture(site)
        with inside(site):
            count = len(plan_round(holder.context, (), 8).plan.steps)
            assert count > 3
            for index in range(count):
                plan = failing_after(plan_round(holder.context, (), 8).plan, index)
                with pytest.raises(PlatformError, match="injected after"):
                    plan.apply()
        after = picture(site)
        for part, value in before.items():
            assert after[part] == value, part
        # As if killed after the first container: the next attempt finishes what this one began.
        with inside(site):
            for step in plan_round(holder.context, ("right",), 8).plan.steps[:-1]:
                step.do()
    until(lambda: services(site).keys() == {"left", "right"}, 60, "both are here")
    assert running(site, "left")
    say(site)
    until(lambda: services(site) == {}, 30, "they are gone")
