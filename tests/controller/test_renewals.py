"""Certificates of links renewed where they were issued, over the wire: by the site that has one, and nobody else."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skupper_podman import certs
from skupper_podman.certrequests import dump_request, parse_answer
from skupper_podman.desired.tokens import RENEWAL_PATH, RENEWAL_URL, LinkSecret
from skupper_podman.errors import InvalidError, PlatformError, SkupperError
from skupper_podman.files import Tree
from skupper_podman.platform.podman.claims import redeem
from skupper_podman.platform.podman.renewlink import has_other_authorities, renewed
from skupper_podman.renewallog import FILE, Renewal, RenewalLog
from skupper_podman.rotation import BRIDGES_FILE, Lineage, alone, succeeded
from tests.controller.test_claims import CA, NOW, Served

KEYS = [certs.new_key() for _ in range(3)]
DAY = datetime.timedelta(days=1)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def link(served: Served, pair: certs.KeyPair, trust: bytes = CA.certificate) -> LinkSecret:
    data = {"ca.crt": trust, "tls.crt": pair.certificate, "tls.key": pair.key}
    url = f"https://127.0.0.1:{served.port}{RENEWAL_PATH}"
    return LinkSecret("link1", "connection-token", {RENEWAL_URL: url}, data=data)


def issued(days: int = 0, authority: certs.KeyPair = CA, subject: str = "peer-1") -> certs.KeyPair:
    return certs.issue(authority, subject, (), KEYS[0], NOW - days * DAY, lifetime=certs.LEAF_LIFETIME)


def keep(served: Served, lineage: Lineage) -> None:
    directory = served.directory / "ca"
    for name, content in (("tls.crt", lineage.trusted), ("tls.key", lineage.key), (BRIDGES_FILE, lineage.bridges)):
        (directory / name).write_bytes(content)


def refused(work: Callable[[], Any]) -> SkupperError:
    with pytest.raises(SkupperError) as error:
        work()
    return error.value


def test_the_next_certificate_is_for_the_same_site_and_a_key_of_its_own(served: Served) -> None:
    files = served.run(lambda: renewed(link(served, issued(days=80)), KEYS[1], NOW))
    assert certs.belongs(certs.KeyPair(files["tls.crt"].content, KEYS[1]))
    assert files["tls.key"].content == KEYS[1]
    assert files["tls.key"].mode == 0o600
    assert files["ca.crt"].content == CA.certificate
    facts = certs.facts(files["tls.crt"].content)
    assert facts.subject == "peer-1"
    assert facts.dns_names == facts.ip_addresses == ()  # whatever the site calls itself, it is taken for nobody
    assert certs.LEAF_LIFETIME - (facts.not_after - NOW) < DAY
    (renewal,) = RenewalLog(Tree(served.directory / "claims")).renewals().values()
    assert renewal == Renewal(certs.facts(CA.certificate).fingerprint, renewal.time, facts.not_after)


def test_the_link_learns_of_new_authorities(served: Served) -> None:
    old = Lineage(CA.certificate, CA.key)
    new = succeeded(old, "skupper-site-ca", KEYS[2], NOW)

    def work() -> None:
        mine = link(served, issued())
        assert not has_other_authorities(mine)
        keep(served, new)
        assert has_other_authorities(mine)
        files = renewed(mine, KEYS[1], NOW)
        assert files["ca.crt"].content == new.trusted
        assert certs.signed_by(files["tls.crt"].content, new.current)
        renewed_link = link(served, certs.KeyPair(files["tls.crt"].content, KEYS[1]), new.trusted)
        assert not has_other_authorities(renewed_link)

    served.run(work)
    renewals = RenewalLog(Tree(served.directory / "claims")).renewals()
    assert renewals["peer-1"].authority == certs.facts(new.current).fingerprint


def test_who_gets_none(served: Served) -> None:
    stranger = certs.issue_authority("skupper-site-ca", KEYS[2], NOW)
    new = succeeded(Lineage(CA.certificate, CA.key), "skupper-site-ca", KEYS[2], NOW)

    def work() -> None:
        def ask(pair: certs.KeyPair) -> str:
            return refused(lambda: renewed(link(served, pair), KEYS[1], NOW)).message

        assert "not issued by this site" in ask(issued(authority=stranger))
        assert "has ended" in ask(issued(days=121))
        assert "has ended" in ask(issued(days=-2))  # not valid yet: a clock is wrong
        assert "not issued by this site" in ask(CA)  # an authority is no link
        assert "holder" in ask(certs.KeyPair(issued().certificate, KEYS[1]))
        keep(served, alone(new))  # as after retire, or revoke-access
        assert "not issued by this site" in ask(issued())
        keep(served, Lineage(CA.certificate, KEYS[1]))
        assert "cannot issue" in ask(issued())

    served.run(work)
    assert RenewalLog(Tree(served.directory / "claims")).renewals() == {}


def test_requests_that_are_none(served: Served) -> None:
    body = dump_request(issued(), KEYS[1])

    def work() -> None:
        assert served.ask(RENEWAL_PATH, b"nonsense")[0] == 400
        assert served.ask(RENEWAL_PATH, b"x" * 40_000)[0] == 400
        assert served.ask(RENEWAL_PATH, method="PUT")[0] == 405
        assert served.ask(RENEWAL_PATH, body, method="GET") == (200, CA.certificate.decode())
        status, answer = served.ask(RENEWAL_PATH, body)
        assert status == 200
        assert parse_answer(answer.encode())[1] == CA.certificate

    served.run(work)


def test_a_claim_gives_short_certificates_only_to_who_renews_them(served: Served) -> None:
    served.add(remaining=None, host="127.0.0.1")

    def work() -> None:
        token = redeem(served.claim(), "peer-1")
        assert token.annotations[RENEWAL_URL] == f"https://127.0.0.1:8081{RENEWAL_PATH}"
        assert certs.facts(token.data["tls.crt"]).not_after - NOW < certs.LEAF_LIFETIME + DAY
        from skupper_podman.desired.tokens import parse_token

        plain = parse_token(served.ask("/c1?site-version=1.9.6")[1])
        assert certs.facts(plain.data["tls.crt"]).not_after == certs.facts(CA.certificate).not_after

    served.run(work)


@pytest.mark.parametrize("answer", [b"", b"{}", b"nonsense", b'{"certificate": "x", "authorities": "y"}'])
def test_an_answer_that_does_not_fit_is_not_taken(
    served: Served, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skupper_podman.platform.podman.renewlink._asked", lambda *_: answer)
    with pytest.raises(InvalidError):
        renewed(link(served, issued()), KEYS[1], NOW)


def test_a_certificate_of_another_is_not_taken(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from skupper_podman.certrequests import dump_answer

    other = certs.issue(CA, "peer-2", (), KEYS[1], NOW)
    ended = certs.issue(CA, "peer-1", (), KEYS[1], NOW - 200 * DAY, lifetime=certs.LEAF_LIFETIME)
    unfit = certs.issue(CA, "peer-1", (), KEYS[2], NOW)
    for pair in (other, ended, unfit):
        answer = dump_answer(pair.certificate, CA.certificate)
        monkeypatch.setattr("skupper_podman.platform.podman.renewlink._asked", lambda *_, answer=answer: answer)
        with pytest.raises(InvalidError):
            renewed(link(served, issued()), KEYS[1], NOW)


def test_another_site_at_that_place_is_not_believed(served: Served) -> None:
    stranger = certs.issue_authority("skupper-site-ca", KEYS[2], NOW)

    def work() -> None:
        mine = link(served, issued(), stranger.certificate)
        error = refused(lambda: renewed(mine, KEYS[1], NOW))
        assert isinstance(error, PlatformError)
        assert "is not the site that issued it" in error.message

    served.run(work)


def test_places_that_are_none(served: Served) -> None:
    for url in ("", "http://127.0.0.1/", "https://", "https://x:y/", "https://127.0.0.1:1/.renewal"):
        mine = LinkSecret("link1", "connection-token", {RENEWAL_URL: url}, data=link(served, issued()).data)
        assert refused(lambda mine=mine: has_other_authorities(mine, 5)).message


def test_the_log_survives_damage(tmp_path: Path) -> None:
    log = RenewalLog(Tree(tmp_path))
    for text in (b"", b"[]", b"nonsense", b'{"a": 1}', b'{"a": {}}'):
        (tmp_path / FILE).write_bytes(text)
        assert log.renewals() == {}
        log.note("peer", Renewal("aa", NOW))
        if text != b'{"a": 1}' and text != b'{"a": {}}':
            assert log.renewals() == {"peer": Renewal("aa", NOW)}
