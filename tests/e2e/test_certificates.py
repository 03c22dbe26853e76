"""Two linked sites whose certificates and authorities are renewed while a client holds connections through the link."""

from __future__ import annotations

import datetime
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skupper_podman import certs
from tests.e2e.conftest import PAGE, PROGRAMS, Sites
from tests.e2e.test_interop import go, needs_go
from tests.lab import Host
from tests.podmanlab import until

STREAMS = 20
HOLDER = "holder"


def file(host: Host, volume: str, path: str) -> Path:
    return host.directory / "root" / "volumes" / volume / "_data" / path


def shown(host: Host, volume: str, directory: str = "") -> bytes:
    return file(host, volume, f"{directory}tls.crt").read_bytes()


def certificates(host: Host) -> dict[str, dict[str, Any]]:
    document = json.loads(host.skupper("certificate", "status", "-o", "json", check=False).stdout)
    return {item["name"]: item for item in document["data"]["certificates"]}


def rounds(sites: Sites) -> list[str]:
    """How many connections were alive in each round of the client so far."""
    return sites.west.podman("logs", HOLDER).stdout.split()


def routers(sites: Sites) -> list[str]:
    return [
        host.podman("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "skupper-router").stdout
        for host in (sites.west, sites.east)
    ]


def connected(sites: Sites) -> bool:
    return sites.east.skupper("link", "status", "link1", check=False).returncode == 0


@pytest.fixture
def held(sites: Sites) -> Iterator[Sites]:
    """The sites, with connections through their link; at the end all of them answer still, and no router restarted."""
    words = ("python3", "client.py", "hold", "backend", "8080", str(STREAMS))
    sites.west.run_container(HOLDER, "skupper", *words, options=PROGRAMS)
    try:
        until(lambda: rounds(sites)[-1:] == [str(STREAMS)], 30, "all connections answer")
        before, count = routers(sites), len(rounds(sites))
        yield sites
        until(lambda: len(rounds(sites)) > count + 2, 30, "two more rounds")
        assert set(rounds(sites)) == {str(STREAMS)}
        assert routers(sites) == before
    finally:
        sites.west.podman("rm", "--force", "--time", "0", HOLDER, check=False)


def lead_of(host: Host) -> Path:
    return host.directory / "runtime" / "skupper-podman.lead"


@pytest.fixture
def by_commands_only(held: Sites) -> Iterator[None]:
    """The supervisors, too, renew what they find, a minute after their start: they must not come before a command."""
    leaders = [int(lead_of(host).read_text()) for host in (held.west, held.east)]
    for pid in leaders:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in leaders:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.usefixtures("by_commands_only")
def test_authorities_are_exchanged_under_a_link(held: Sites) -> None:
    west, east = held.west, held.east
    first = shown(west, "skupper-site-ca")
    for _ in range(3):
        west.skupper("certificate", "rotate")
        east.skupper("certificate", "rotate")
    assert len(certs.each(shown(west, "skupper-site-ca"))) == 4
    refused = west.skupper("certificate", "retire", "site", expect=1)
    assert "these have not renewed the certificates of their links yet: east" in refused.stderr
    assert file(east, "link1", "ca.crt").read_bytes() == first
    kept = held.lab.directory / "east.yaml"
    east.skupper("export", "--file", str(kept), "--secrets")
    done = east.skupper("certificate", "renew")  # it asks west, and finds that there are other authorities
    assert "link1" in done.stdout
    assert file(east, "link1", "ca.crt").read_bytes() == shown(west, "skupper-site-ca")
    for volume, directory in (("link1", ""), ("skupper-router-certs", "link1-profile/")):
        assert certs.signed_by(shown(east, volume, directory), certs.each(shown(west, "skupper-site-ca"))[0])
        assert file(east, volume, f"{directory}tls.key").stat().st_mode & 0o777 == 0o600
    again = json.loads(east.skupper("apply", "-f", str(kept), "-o", "json").stdout)
    assert not again["changed"]  # a file from before does not bring the old certificate back
    west.skupper("certificate", "retire")
    assert connected(held)


def test_the_link_comes_back_after_the_exchange(sites: Sites) -> None:
    assert len(certs.each(shown(sites.west, "skupper-site-ca"))) == 1
    sites.east.restart("skupper-router")
    until(lambda: connected(sites) and sites.fetch() == PAGE, 30, "the link and the service are back")
    sites.west.skupper("certificate", "rotate", "site")
    sites.east.restart("skupper-router")  # east knows nothing of the new one
    until(lambda: connected(sites) and sites.fetch() == PAGE, 30, "the link and the service are back")
    sites.east.skupper("certificate", "renew")
    until(lambda: sites.east.skupper("status", check=False).returncode == 0, 30, "all is well")


def aged(sites: Sites, host: Host, volume: str, days: int, directory: str = "") -> None:
    """As if it had been issued so many days ago, for the same key."""
    kept = {"link1": "skupper-site-ca", "skupper-router-certs": "skupper-site-ca"}
    authority = kept.get(volume, "skupper-site-ca" if volume == "skupper-site-server" else "skupper-local-ca")
    issuer = sites.west if authority == "skupper-site-ca" else host
    pair = certs.KeyPair(shown(issuer, authority), file(issuer, authority, "tls.key").read_bytes())
    facts = certs.facts(shown(host, volume, directory))
    key = file(host, volume, f"{directory}tls.key").read_bytes()
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    made = certs.issue(pair, facts.subject, facts.dns_names, key, then, lifetime=certs.LEAF_LIFETIME)
    file(host, volume, f"{directory}tls.crt").write_bytes(made.certificate)


def supervised_anew(host: Host) -> None:
    """End the supervisor that leads; the one that stands by takes over and looks at once."""
    lead = lead_of(host)
    pid = int(lead.read_text())
    os.kill(pid, signal.SIGKILL)
    until(lambda: lead.read_text().isdigit() and int(lead.read_text()) != pid, 20, "another supervisor leads")


def test_the_supervisor_renews_by_itself(held: Sites) -> None:
    """As after a month of sleep: all that was due meanwhile is renewed, that of the link at the other site."""
    west, east = held.west, held.east
    for host in (west, east):
        os.kill(int(lead_of(host).read_text()), signal.SIGSTOP)  # it must not look before the test has
    aged(held, west, "skupper-site-server", 110)
    for volume, directory in (("link1", ""), ("skupper-router-certs", "link1-profile/")):
        aged(held, east, volume, 110, directory)
    aged(held, east, "skupper-local-client", 110)
    before = certificates(east)
    assert before["link1"]["late"]
    assert certificates(west)["skupper-site-server"]["late"]
    notes = east.skupper("status").stdout
    assert "note: certificate link1: it ends in 9 days" in notes
    assert "next: skupper certificate renew" in notes
    for host in (west, east):
        supervised_anew(host)
    until(lambda: not any(item["late"] for item in certificates(east).values()), 30, "east has renewed all")
    until(lambda: not certificates(west)["skupper-site-server"]["late"], 30, "west has renewed its own")
    assert (
        certs.facts(shown(east, "link1")).subject
        == certs.facts(shown(east, "skupper-router-certs", "link1-profile/")).subject
    )
    assert "certificate link1 is renewed" in (east.directory / "runtime" / "skupper-podman.log").read_text()


def test_a_link_that_slept_too_long_says_what_to_do(sites: Sites) -> None:
    east = sites.east
    for volume, directory in (("link1", ""), ("skupper-router-certs", "link1-profile/")):
        aged(sites, east, volume, 130, directory)
    item = certificates(east)["link1"]
    assert "it expired" in item["problem"]
    assert "skupper token create FILE" in item["fix"]
    assert "skupper link delete link1 && skupper link create FILE" in item["fix"]
    refused = east.skupper("certificate", "renew", "link1", expect=1)
    assert "cannot be renewed" in refused.stderr
    assert "skupper token create FILE" in refused.stderr
    token = sites.lab.directory / "again.token"
    sites.west.skupper("token", "create", str(token))
    east.skupper("link", "delete", "link1")
    east.skupper("link", "create", str(token), "--name", "link1")
    until(lambda: sites.fetch() == PAGE, 30, "the service answers")
    assert not certificates(east)["link1"]["problem"]


def test_the_metric_tells_when_they_end(sites: Sites) -> None:
    where = '{{(index .NetworkSettings.Networks "skupper").IPAddress}}'
    address = sites.east.podman("inspect", "--format", where, "skupper-controller-podman").stdout.strip()
    text = sites.east.run("curl", "--silent", "--max-time", "20", f"http://{address}:8080/metrics").stdout
    until_ = certs.facts(shown(sites.east, "link1")).not_after.timestamp()
    assert f'skupper_certificate_expiry_timestamp_seconds{{name="link1",kind="link"}} {until_:.0f}\n' in text
    assert 'name="skupper-local-ca",kind="authority"' in text


@needs_go
def test_the_command_line_of_1_9_works_with_an_authority_that_has_followed_another(sites: Sites) -> None:
    west, east = sites.west, sites.east
    west.skupper("certificate", "rotate", "site")
    assert "Skupper is enabled" in go(west, "status").stdout
    token = sites.lab.directory / "go.token"
    go(west, "token", "create", str(token))
    assert "CA: Token matches skupper-site-server" in go(west, "token", "status", str(token)).stdout
    east.skupper("link", "delete", "link1")
    east.skupper("link", "create", str(token), "--name", "link1")
    until(lambda: sites.fetch() == PAGE, 30, "the service answers")
    assert not certificates(east)["link1"]["problem"]
    assert certificates(east)["link1"]["renewsAt"] is None  # 1.9 offers no renewal
