"""``update``, ``revoke-access`` and ``service label`` on a real site."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from skupper_podman import SKUPPER_VERSION, __version__
from skupper_podman.desired.containers import PROGRAM_VERSION
from skupper_podman.desired.tokens import parse_token
from skupper_podman.errors import ConflictError
from skupper_podman.model.link import Token
from skupper_podman.model.service import Service, Target
from skupper_podman.plan import Plan
from skupper_podman.platform import TokenRequest
from skupper_podman.platform.podman.site import PodmanPlatform
from tests.lab import Host
from tests.platform.onehost import (
    check_every_undo,
    init,
    inside,
    needs_podman,
    one_host,
    peer_token,
    picture,
    run,
    session,
)
from tests.podmanlab import until

pytestmark = needs_podman

NAMES = ("skupper-router", "skupper-controller-podman", "backend")
BACKEND = Service("backend", (8080,), targets=(Target("127.0.0.1", ((8080, 9090),)),), labels={"team": "a"})


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with one_host() as host:
        run(host, init)
        run(host, lambda platform: platform.plan_service_create(BACKEND))
        run(host, lambda platform: platform.plan_link_create(peer_token(), "uplink", 3))
        yield host


def update(platform: PodmanPlatform, *, force: bool = False) -> Plan:
    return platform.plan_update(force_restart=force, timeout=60, dry_run=False)


def started(host: Host) -> dict[str, tuple[str, str]]:
    found = json.loads(host.podman("inspect", *NAMES).stdout)
    return {body["Name"]: (body["Id"], body["State"]["StartedAt"]) for body in found}


def environment(host: Host, name: str) -> str:
    return host.podman("inspect", "--format", "{{.Config.Env}}", name).stdout


def volume_file(host: Host, path: str) -> Path:
    return host.directory / "root/volumes/skupper-internal/_data" / path


def older(host: Host) -> None:
    """The site as an earlier program left it: its version in the configuration and in its containers."""
    file = volume_file(host, "skrouterd.json")
    file.write_text(file.read_text().replace(SKUPPER_VERSION, "1.8.0"))


def test_a_site_that_is_up_to_date_is_left_alone(site: Host) -> None:
    before = started(site)
    plan = run(site, update)
    assert (plan.lines(), plan.title) == ([], "Site solo is up to date")
    assert started(site) == before
    for name in NAMES:
        assert f"{PROGRAM_VERSION}={__version__}" in environment(site, name)


def test_an_older_program_is_replaced_and_init_does_not_do_it(site: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before = started(site)
    monkeypatch.setattr("skupper_podman.platform.podman.update.__version__", "99.0.0")
    with session(site) as platform:
        assert init(platform).lines() == []
        plan = update(platform)
    assert plan.title == "Update site solo"
    assert [line for line in plan.lines() if line.startswith("update container")] == [
        f"update container {name}: environment" for name in NAMES
    ]
    assert "skupper-router restarts" in str(plan.facts["ahead"])
    assert started(site) == before
    run(site, update)
    for name in NAMES:
        assert f"{PROGRAM_VERSION}=99.0.0" in environment(site, name)
    with session(site) as platform:
        assert init(platform).lines() == update(platform).lines() == []
    monkeypatch.undo()
    run(site, update)


def test_the_version_of_the_configuration(site: Host) -> None:
    older(site)
    before = started(site)
    plan = run(site, update)
    assert plan.lines() == ["update file skupper-internal:skrouterd.json"]
    assert plan.facts["tasks"] == ["Updates current version number"]
    assert SKUPPER_VERSION in volume_file(site, "skrouterd.json").read_text()
    assert started(site) == before
    file = volume_file(site, "skrouterd.json")
    file.write_text(file.read_text().replace(SKUPPER_VERSION, "9.9.9"))
    with session(site) as platform, pytest.raises(ConflictError, match=r"Site \(9\.9\.9\) is newer than library"):
        update(platform)
    file.write_text(file.read_text().replace("9.9.9", SKUPPER_VERSION))


def test_force_restart(site: Host) -> None:
    before = started(site)
    run(site, lambda platform: update(platform, force=True))
    after = started(site)
    assert {name: identity for name, (identity, _) in before.items()} == {
        name: identity for name, (identity, _) in after.items()
    }
    assert all(before[name] != after[name] for name in after)


def test_labels_change_without_a_restart(site: Host) -> None:
    before = started(site)
    run(site, lambda platform: platform.plan_service_label("backend", {"stage": "x"}, {"team"}))
    with session(site) as platform:
        assert platform.services()[0].labels == {"stage": "x"}
        assert [target.ports for target in platform.services()[0].targets] == [((8080, 9090),)]
        assert init(platform).lines() == update(platform).lines() == []
    assert started(site) == before


def connects(host: Host, token: Token, directory: Path) -> bool:
    """Whether TLS with the token's certificate works both ways."""
    for name, content in token.data.items():
        (directory / name).write_bytes(content)
    context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    context.check_hostname = False
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    with inside(host):
        try:
            with (
                socket.create_connection(("127.0.0.1", 21671), 10) as raw,
                context.wrap_socket(raw, server_hostname="192.0.2.1") as secure,
            ):
                secure.sendall(b"AMQP\x03\x01\x00\x00")
                return bool(secure.recv(8))
        except (ssl.SSLError, ConnectionError):
            return False


def test_revoked_tokens_do_not_work_and_new_ones_do(site: Host, tmp_path: Path) -> None:
    with session(site) as platform:
        token = parse_token(platform.plan_token(TokenRequest("cert", "friend")).content())
        links, hosts = platform.links(), platform.context.site().spec
        claim = platform.plan_token(TokenRequest("claim", "guest"))
        for step in claim.steps:
            step.do()
        assert [item.name for item in platform.claims()] == ["guest"]
    assert connects(site, token, tmp_path)
    before = started(site)
    plan = run(site, lambda platform: platform.plan_revoke())
    assert "links that it made itself stay" in str(plan.facts["ahead"])
    assert not connects(site, token, tmp_path)
    after = started(site)
    assert [name for name in NAMES if before[name] != after[name]] == ["skupper-router"]
    with session(site) as platform:
        assert platform.claims() == ()
        assert platform.links() == links
        assert platform.context.site().spec == hosts
        assert init(platform).lines() == []
        new = parse_token(platform.plan_token(TokenRequest("cert", "friend")).content())
        assert new.data["ca.crt"] != token.data["ca.crt"]
    assert connects(site, new, tmp_path)
    # The services' routers come back with certificates of the new authority.
    until(lambda: uplinks(site) == ["edge"], 30, "the service's router is back")


def uplinks(host: Host) -> list[str]:
    rows = json.loads(host.podman("exec", "backend", "skmanage", "query", "--type", "connection").stdout)
    return [row["role"] for row in rows if row["dir"] == "out" and row["active"] and row["isAuthenticated"]]


@pytest.mark.slow
def test_every_step_can_be_taken_back(site: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    check_every_undo(site, lambda platform: platform.plan_revoke())
    check_every_undo(site, lambda platform: platform.plan_service_label("backend", {"a": "b"}, ()))
    older(site)
    before = picture(site)
    monkeypatch.setattr("skupper_podman.platform.podman.update.__version__", "99.0.0")
    check_every_undo(site, update)
    assert picture(site) == before
