"""Certificates of a real site are renewed and its authorities exchanged: nothing restarts, every step can be undone."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skupper_podman import certs
from skupper_podman.desired.gatewaytrust import authority_name, gateways_in, site_part, with_gateways
from skupper_podman.desired.tokens import parse_token
from skupper_podman.errors import ConflictError, NotFoundError
from skupper_podman.files import Tree
from skupper_podman.model.certificate import Certificate
from skupper_podman.model.service import Service
from skupper_podman.model.site import SiteSpec
from skupper_podman.platform import SiteRequest, TokenRequest
from skupper_podman.renewallog import Renewal, RenewalLog
from skupper_podman.rotation import MOST
from skupper_podman.supervisor.renewals import EVERY, JUMP, WHEN_BUSY, Renewals
from tests.lab import Host
from tests.platform.onehost import (
    check_every_undo,
    in_detail,
    init,
    inside,
    needs_podman,
    one_host,
    peer_token,
    picture,
    platform_on,
    run,
    session,
    unattended,
)

pytestmark = needs_podman

SECURE = Service("secure", (8443,), tls_credentials="skupper-tls-secure")
DAY = datetime.timedelta(days=1)
AGAIN = SiteRequest(SiteSpec("", ""))


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with one_host() as host:
        run(host, init)
        run(host, lambda platform: platform.plan_service_create(SECURE))
        run(host, lambda platform: platform.plan_link_create(peer_token(), "uplink", 3))
        yield host


@pytest.fixture(autouse=True)
def by_commands_only(site: Host) -> Iterator[None]:
    """The supervisor, too, looks at certificates, soon after its start: it must not come before the command."""
    with unattended(site):
        yield


def file(host: Host, volume: str, path: str) -> Path:
    return host.directory / "root/volumes" / volume / "_data" / path


def shown(host: Host, volume: str = "skupper-site-server", directory: str = "") -> bytes:
    return file(host, volume, f"{directory}tls.crt").read_bytes()


def aged(host: Host, volume: str, days: int, directory: str = "") -> None:
    """The certificate there as if it had been issued so many days ago, for the same key and by the same authority."""
    names = {"skupper-site-server": "skupper-site-ca", "skupper-router-certs": "skupper-service-ca"}
    authority = names.get(volume, "skupper-local-ca")
    pair = certs.KeyPair(shown(host, authority), file(host, authority, "tls.key").read_bytes())
    facts = certs.facts(shown(host, volume, directory))
    key = file(host, volume, f"{directory}tls.key").read_bytes()
    then = datetime.datetime.now(datetime.UTC) - days * DAY
    lifetime = certs.SERVICE_LIFETIME if directory else certs.LEAF_LIFETIME
    made = certs.issue(pair, facts.subject, facts.dns_names, key, then, lifetime=lifetime)
    file(host, volume, f"{directory}tls.crt").write_bytes(made.certificate)


def later(days: float) -> Callable[[], datetime.datetime]:
    return lambda: datetime.datetime.now(datetime.UTC) + days * DAY


def renewed(host: Host, *chosen: str) -> list[str]:
    facts = run(host, lambda platform: platform.plan_renewal(chosen)).facts
    return list(dict.fromkeys(facts["renewed"]))  # type: ignore[call-overload]


def by_name(host: Host) -> dict[str, Certificate]:
    with session(host) as platform:
        return {item.name: item for item in platform.certificates()}


def identities(host: Host) -> dict[str, Any]:
    with session(host) as platform:
        details = in_detail(platform.context.api)
        return {info.name: (info.id, info.pid, info.started_at) for info in details}


def is_complete(host: Host) -> bool:
    with session(host) as platform:
        return platform.plan_init(AGAIN).lines() == []


def test_a_new_site_has_short_certificates_that_tell_when_they_are_renewed(site: Host) -> None:
    found = by_name(site)
    now = datetime.datetime.now(datetime.UTC)
    for name in ("skupper-site-server", "skupper-local-server", "skupper-local-client"):
        item = found[name]
        assert item.not_after is not None
        assert item.renews_at is not None
        assert item.problem == ""
        assert abs(item.not_after - now - certs.LEAF_LIFETIME) < DAY
        assert 77 * DAY < item.renews_at - now < 83 * DAY
    assert found["secure"].not_after is not None
    assert found["secure"].not_after - now > 360 * DAY
    assert found["uplink"].renews_at is None  # of a site that renews none, as those of 1.9
    assert found["skupper-site-ca"].kind == "authority"
    assert "192.0.2.1" in found["skupper-site-server"].hosts
    addresses = certs.facts(shown(site))
    assert addresses.ip_addresses == ("192.0.2.1",)
    assert addresses.dns_names == ("skupper-router", "192.0.2.1")


def test_only_what_is_due_is_renewed_and_nothing_restarts(site: Host) -> None:
    assert renewed(site) == []
    before, running = shown(site), identities(site)
    aged(site, "skupper-site-server", 90)
    aged(site, "skupper-router-certs", 280, "skupper-tls-secure/")
    assert by_name(site)["skupper-site-server"].late
    assert is_complete(site)  # a late certificate works: nothing is broken
    assert renewed(site) == ["skupper-site-server", "secure"]
    after = certs.facts(shown(site))
    assert after.dns_names == certs.facts(before).dns_names
    assert certs.signed_by(shown(site), shown(site, "skupper-site-ca"))
    assert not by_name(site)["skupper-site-server"].late
    assert file(site, "skupper-site-server", "tls.key").stat().st_mode & 0o777 == 0o600
    assert renewed(site) == []
    assert renewed(site, "skupper-local-client") == ["skupper-local-client"]
    assert identities(site) == running
    assert is_complete(site)


def test_what_a_clock_that_was_ahead_has_left_is_replaced(site: Host) -> None:
    aged(site, "skupper-site-server", -300)
    item = by_name(site)["skupper-site-server"]
    assert "valid only from" in item.problem
    assert item.fix == "timedatectl set-ntp true; skupper certificate renew"
    assert renewed(site) == ["skupper-site-server"]
    assert by_name(site)["skupper-site-server"].problem == ""
    behind = Supervised(site, -4000)  # a host without a battery: nothing is issued with the time of 1970
    assert behind.tick()
    assert behind.said == []


def test_ended_certificates_are_replaced_by_init_without_a_restart(site: Host) -> None:
    running = identities(site)
    aged(site, "skupper-site-server", 130)
    assert "expired" in by_name(site)["skupper-site-server"].problem
    with session(site) as platform:
        plan = platform.plan_init(AGAIN)
        assert [line.split(":")[0] for line in plan.lines()] == ["update credential skupper-site-server"]
        plan.apply()
    assert by_name(site)["skupper-site-server"].problem == ""
    assert identities(site) == running


def test_an_authority_is_followed_by_another_and_both_are_trusted(site: Host) -> None:
    running, old = identities(site), shown(site, "skupper-site-ca")
    with session(site) as platform:
        before = parse_token(platform.plan_token(TokenRequest("cert", "before")).content())
    plan = run(site, lambda platform: platform.plan_rotation(("site",)))
    assert not any("restart" in line for line in plan.lines())
    bundle = shown(site, "skupper-site-ca")
    assert certs.each(bundle)[1:] == certs.each(old)
    for volume in ("skupper-site-server",):
        assert file(site, volume, "ca.crt").read_bytes() == bundle
        assert certs.signed_by(shown(site, volume), certs.each(bundle)[0])
        assert len(certs.each(shown(site, volume))) == 2  # the certificate, and what leads to the old authority
    assert identities(site) == running
    assert is_complete(site)
    assert by_name(site)["skupper-site-ca"].predecessors == 1
    assert all(not item.problem for item in by_name(site).values())
    with session(site) as platform:
        after = parse_token(platform.plan_token(TokenRequest("cert", "after")).content())
        assert after.data["ca.crt"] == bundle
        assert certs.signed_by(after.data["tls.crt"], certs.each(bundle)[0])
        assert certs.signed_by(before.data["tls.crt"], bundle)
        status = platform.site_status()
        assert {item.name for item in status.certificates} >= {"skupper-site-ca", "uplink"}
    run(site, lambda platform: platform.plan_retirement(("site",)))
    assert certs.each(shown(site, "skupper-site-ca")) == certs.each(bundle)[:1]
    assert file(site, "skupper-site-server", "ca.crt").read_bytes() == certs.each(bundle)[0]
    assert is_complete(site)
    assert identities(site) == running


def test_gateways_stay_trusted(site: Host) -> None:
    now = datetime.datetime.now(datetime.UTC) - DAY
    gateway = certs.issue_authority(authority_name("yard"), certs.new_key(), now).certificate
    trust = file(site, "skupper-site-server", "ca.crt")
    trust.write_bytes(with_gateways(trust.read_bytes(), {"yard": gateway}))
    run(site, lambda platform: platform.plan_rotation(("site",)))
    assert site_part(trust.read_bytes()) == shown(site, "skupper-site-ca")
    assert gateways_in(trust.read_bytes()) == {"yard": gateway}
    assert renewed(site, "skupper-site-server") == ["skupper-site-server"]
    assert renewed(site) == []
    with session(site) as platform, pytest.raises(ConflictError, match="gateway yard"):
        platform.plan_retirement(("site",))
    # One that has renewed its credential since trusts the new authority.
    current = certs.facts(shown(site, "skupper-site-ca")).fingerprint
    claims = file(site, "skupper-claims", "renewed.json").parent
    RenewalLog(Tree(claims)).note("skupper-gateway-yard", Renewal(current, datetime.datetime.now(datetime.UTC)))
    with session(site) as platform:
        assert platform.plan_retirement(("site",)).steps
    run(site, lambda platform: platform.plan_retirement(("site",), force=True))
    assert gateways_in(trust.read_bytes()) == {"yard": gateway}
    trust.write_bytes(site_part(trust.read_bytes()))
    assert is_complete(site)


def test_too_many_authorities(site: Host) -> None:
    for _ in range(MOST - 1):
        run(site, lambda platform: platform.plan_rotation(("local",)))
    with session(site) as platform, pytest.raises(ConflictError, match="no more can be"):
        platform.plan_rotation(("local",))
    first = certs.each(shown(site, "skupper-local-ca"))
    run(site, lambda platform: platform.plan_rotation(("local",), force=True))
    assert certs.each(shown(site, "skupper-local-ca"))[1:] == first[:-1]
    assert is_complete(site)
    assert renewed(site) == []
    run(site, lambda platform: platform.plan_retirement(("local",)))
    assert is_complete(site)


def test_an_exchange_that_was_cut_off_is_completed(site: Host) -> None:
    with session(site) as platform:
        steps = platform.plan_rotation(("service",)).steps
        for step in steps[:2]:  # trust, and the authority; then the power fails
            step.do()
    assert all(not item.problem for item in by_name(site).values())
    assert is_complete(site)
    assert renewed(site) == ["secure"]
    assert certs.signed_by(shown(site, "skupper-router-certs", "skupper-tls-secure/"), _current(site))
    with session(site) as platform:
        platform.plan_rotation(("service",)).steps[0].do()  # only trust
    assert is_complete(site)
    assert renewed(site) == []
    assert file(site, "skupper-service-client", "ca.crt").read_bytes() == shown(site, "skupper-service-ca")


def _current(host: Host) -> bytes:
    return certs.each(shown(host, "skupper-service-ca"))[0]


def test_every_step_can_be_undone(site: Host) -> None:
    check_every_undo(site, lambda platform: platform.plan_rotation(("site",), force=True))
    check_every_undo(site, lambda platform: platform.plan_renewal(("skupper-local-server",)))
    run(site, lambda platform: platform.plan_rotation(("site",)))
    check_every_undo(site, lambda platform: platform.plan_retirement(("site",)))
    before = picture(site)
    with session(site) as platform:
        plan = platform.plan_rotation()
        plan.apply()
        plan.take_back()
    assert picture(site)["files"] == before["files"]


def test_names_that_are_none(site: Host) -> None:
    with session(site) as platform:
        with pytest.raises(NotFoundError, match="nonsense"):
            platform.plan_renewal(("nonsense",))
        with pytest.raises(ConflictError, match="renews none") as refused:
            platform.plan_renewal(("uplink",))
        assert "skupper token create FILE" in refused.value.hint


def test_late_is_told(site: Host) -> None:
    aged(site, "skupper-local-server", 95)
    with session(site) as platform:
        probes = {probe.name: probe for probe in platform.site_status().probes}
        probe = probes["certificate skupper-local-server"]
        assert probe.health == "ok"
        assert "was to be renewed" in probe.detail
        assert probe.fix == "skupper certificate renew"
        findings = [item for item in platform.doctor({"certificate"}) if item.result == "warn"]
        assert [(item.subject, item.remedy) for item in findings] == [("skupper-local-server", "renew")]
        platform.plan_remedy("renew").apply()
    assert not by_name(site)["skupper-local-server"].late


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Supervised:
    """The renewals of a supervisor on the host, ``days`` from now."""

    def __init__(self, host: Host, days: float = 0) -> None:
        self.host = host
        self.days = days
        self.said: list[str] = []
        self.clock, self.wall = Clock(), Clock()
        self.renewals = Renewals(self._context, self.said.append, lambda: 0.5, self.wall, self.clock)

    def _context(self) -> Any:
        context = platform_on(self.host).context
        context.now = later(self.days)
        return context

    def tick(self) -> bool:
        """True if it looked."""
        looked: list[bool] = []

        def start(work: Callable[[], None]) -> None:
            looked.append(True)
            with inside(self.host):
                work()

        self.renewals.tick(start)
        return bool(looked)


def test_the_supervisor_renews_when_it_is_time(site: Host) -> None:
    at_once = Supervised(site)
    assert at_once.tick()
    assert at_once.said == []
    assert not at_once.tick()
    at_once.clock.now = at_once.wall.now = EVERY + 1
    assert at_once.tick()
    assert not at_once.tick()
    at_once.wall.now += JUMP + 1  # the host slept, or was told the time
    assert at_once.tick()
    assert not at_once.tick()
    before = shown(site)
    months_on = Supervised(site, 85)
    assert months_on.tick()
    assert "certificate skupper-site-server is renewed" in months_on.said
    assert not any(line.startswith("certificates: ") for line in months_on.said)
    assert shown(site) != before
    assert certs.facts(shown(site)).not_after > later(200)()


def test_the_supervisor_waits_for_a_command(site: Host) -> None:
    waiting = Supervised(site)
    with session(site) as platform:
        platform.context.lock()
        assert waiting.tick()
    assert waiting.said == []
    waiting.clock.now = waiting.wall.now = WHEN_BUSY + 1
    assert waiting.tick()


def test_a_host_that_slept_long_renews_before_it_starts_anything(site: Host) -> None:
    asleep = Supervised(site, 400)
    with inside(site):
        asleep.renewals.before_start()
    assert asleep.said[0] == "certificates have ended while this site was off"
    assert "certificate skupper-site-server is renewed" in asleep.said
    assert certs.facts(shown(site)).not_after > later(500)()
    again = Supervised(site, 400)
    with inside(site):
        again.renewals.before_start()
    assert again.said == []


def test_an_authority_is_renewed_in_time_and_forgotten_after_its_end(site: Host) -> None:
    run(site, lambda platform: platform.plan_retirement(("site",), force=True))
    years_on = Supervised(site, 3.5 * 365)
    assert years_on.tick()
    assert "certificate skupper-site-ca is renewed" in years_on.said
    assert len(certs.each(shown(site, "skupper-site-ca"))) == 2
    gone = Supervised(site, 5.5 * 365)
    assert gone.tick()
    assert len(certs.each(shown(site, "skupper-site-ca"))) == 1
    assert certs.each(file(site, "skupper-site-server", "ca.crt").read_bytes()) == certs.each(
        shown(site, "skupper-site-ca")
    )
