"""``apply`` and ``export`` on a real Podman: a site from a file, the same file again, another one, and failures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from skupper_podman.desired.definition import dump_definition, parse_definition
from skupper_podman.desired.tokens import dump_token
from skupper_podman.errors import ConflictError
from skupper_podman.plan import Plan
from skupper_podman.platform.apply import plan_apply
from skupper_podman.platform.podman.observe import completed
from skupper_podman.platform.podman.site import PodmanPlatform
from tests.lab import Host
from tests.platform.onehost import check_every_undo, needs_podman, one_host, peer_token, picture, run, session

pytestmark = needs_podman

SITE = """\
kind: ConfigMap
metadata: {name: skupper-site}
data: {name: solo, router: embedded, ingress-host: 192.0.2.1, bind-port: "21671", bind-port-edge: "21672", labels: a=b}
"""
SERVICES = """\
kind: ConfigMap
metadata: {name: skupper-services}
data:
  backend: '{"ports":[8080],"targets":[{"host":"localhost","targetPorts":{"8080":9090}}],"labels":{"team":"a"}}'
  secure: '{"ports":[8443],"tlsCredentials":"skupper-tls-secure","hostIp":"127.0.0.1","hostPorts":{"8443":28443}}'
"""
LINK = dump_token(replace(peer_token(), name="uplink")).decode()
TEXT = "---\n".join((SITE, SERVICES, LINK))


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with one_host() as host:
        yield host


def apply(platform: PodmanPlatform, text: str | bytes, *, prune: bool = False) -> Plan:
    return plan_apply(platform, parse_definition(text), prune=prune, timeout=60, dry_run=False)


def actions(plan: Plan) -> dict[str, str]:
    parts = plan.facts["parts"]
    assert isinstance(parts, list)
    return {part["name"]: part["action"] for part in parts}


def started(host: Host) -> dict[str, str]:
    found = json.loads(host.podman("ps", "--all", "--format", "json").stdout)
    return {body["Names"][0]: f"{body['Id']} {body['StartedAt']}" for body in found}


def export(host: Host, *, secrets: bool) -> bytes:
    with session(host) as platform:
        return dump_definition(platform.definition(), secrets=secrets)


def test_what_fails_leaves_nothing(site: Host) -> None:
    before = picture(site)
    site.run_container("taken", "podman", "sleep", "600", options=("--publish", "28443:80"))
    with session(site) as platform, pytest.raises(ConflictError, match="28443"):
        apply(platform, TEXT).apply()
    site.podman("rm", "--force", "--time", "0", "taken")
    assert picture(site)["containers"] == before["containers"]
    assert picture(site)["volumes"] == before["volumes"]


def test_a_site_from_a_file(site: Host) -> None:
    plan = run(site, lambda platform: apply(platform, TEXT))
    assert actions(plan) == dict.fromkeys(("solo", "backend", "secure", "uplink"), "created")
    before = started(site)
    plan = run(site, lambda platform: apply(platform, TEXT))
    assert (plan.lines(), set(actions(plan).values())) == ([], {"unchanged"})
    assert started(site) == before
    (body,) = json.loads(site.podman("inspect", "secure").stdout)
    assert body["NetworkSettings"]["Ports"]["8443/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "28443"}]
    assert body["Config"]["Labels"]["a"] == "b"
    with session(site) as platform:
        assert [link.name for link in platform.links()] == ["uplink"]


def test_what_is_exported_changes_nothing_and_makes_the_same_site(site: Host) -> None:
    text = export(site, secrets=True)
    with session(site) as platform:
        assert apply(platform, text, prune=True).lines() == []
        assert apply(platform, export(site, secrets=False)).lines() == []
        identity = platform.identity()
    assert b"PRIVATE KEY" not in export(site, secrets=False)
    run(site, lambda platform: platform.plan_delete())
    run(site, lambda platform: apply(platform, text))
    assert export(site, secrets=True) == text
    with session(site) as platform:
        assert platform.identity() != identity  # a site of that name, but not the same one: others must link anew


def test_changes_touch_what_they_must(site: Host) -> None:
    before = started(site)
    text = TEXT.replace('"team":"a"', '"team":"b"').replace("localhost", "192.0.2.9").replace("28443", "28444")
    plan = run(site, lambda platform: apply(platform, text))
    assert actions(plan) == {"solo": "unchanged", "backend": "changed", "secure": "changed", "uplink": "unchanged"}
    assert plan.facts["ahead"] == ["service secure is made anew: what is connected to it is cut off"]
    after = started(site)
    assert [name for name in after if before.get(name) != after[name]] == ["secure"]
    with session(site) as platform:
        backend, secure = platform.services()
        whole, partial = platform.context.site(), platform.context.partial_site()
        again = completed(platform.context.api, partial)
    assert (backend.labels, [target.host for target in backend.targets]) == ({"team": "b"}, ["192.0.2.9"])
    assert secure.host_ports.ports == ((8443, 28444),)
    assert set(partial.containers) == set(whole.names.components)
    assert (again.containers, again.services) == (whole.containers, whole.services)
    run(site, lambda platform: apply(platform, TEXT))
    with_cost = TEXT.replace("    edge-host:", "    skupper.io/cost: '7'\n    edge-host:")
    run(site, lambda platform: apply(platform, with_cost))
    with session(site) as platform:
        assert [(link.name, link.cost) for link in platform.links()] == [("uplink", 7)]
        assert apply(platform, with_cost).lines() == []


def test_prune_and_log_levels(site: Host) -> None:
    before = started(site)
    text = SITE.replace("labels: a=b", "labels: a=b, router-logging: debug")
    plan = run(site, lambda platform: apply(platform, text))
    assert actions(plan) == {"solo": "changed"}
    assert started(site) == before
    plan = run(site, lambda platform: apply(platform, text, prune=True))
    assert actions(plan) == {"solo": "unchanged", "backend": "deleted", "secure": "deleted", "uplink": "deleted"}
    with session(site) as platform:
        assert platform.services() == platform.links() == ()
    with session(site) as platform, pytest.raises(ConflictError, match="--labels is a=b, not c=d"):
        apply(platform, SITE.replace("a=b", "c=d"))


def test_the_command(site: Host, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(TEXT)
    env = {"SKUPPER_DATA_HOME": str(site.directory / "data")}
    answer = site.skupper("apply", "-f", str(file), "-o", "json", env=env)
    assert json.loads(answer.stdout)["changed"] is True
    answer = site.skupper("apply", "-f", str(file), env=env)
    assert answer.stdout == (
        "site solo unchanged\nservice backend unchanged\nservice secure unchanged\nlink uplink unchanged\n"
    )
    assert site.skupper("export", env=env).stdout.encode() == export(site, secrets=False)


@pytest.mark.slow
def test_every_step_can_be_taken_back(site: Host) -> None:
    """One part of each kind: an option, a service that changes, one that is made anew, a link that goes."""
    text = "---\n".join((SITE.replace("labels: a=b", "labels: a=b, router-logging: info"), SERVICES))
    text = text.replace('"team":"a"', '"team":"b"').replace("28443", "28444").replace("localhost", "192.0.2.9")
    check_every_undo(site, lambda platform: apply(platform, text, prune=True))
