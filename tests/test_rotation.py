"""Lineages of authorities: who trusts whom, as OpenSSL sees it, and what is kept of them."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest

from skupper_podman import certs
from skupper_podman.rotation import MOST, Lineage, alone, succeeded, trusts, united, without_ended

NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
KEYS = [certs.new_key() for _ in range(MOST + 2)]
YEAR = datetime.timedelta(days=365)


def first(now: datetime.datetime = NOW) -> Lineage:
    pair = certs.issue_authority("skupper-site-ca", KEYS[0], now)
    return Lineage(pair.certificate, pair.key)


def generations(count: int, apart: datetime.timedelta = datetime.timedelta(days=1)) -> list[Lineage]:
    found = [first()]
    for number in range(1, count):
        found.append(succeeded(found[-1], "skupper-site-ca", KEYS[number], NOW + number * apart))
    return found


def leaf(lineage: Lineage, now: datetime.datetime = NOW) -> bytes:
    pair = certs.issue(
        lineage.pair, "skupper-router", ("west", "192.0.2.1"), KEYS[-1], now + datetime.timedelta(days=9)
    )
    return lineage.shown(pair.certificate)


@pytest.fixture
def verified(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Whether OpenSSL accepts what a server shows, with these authorities trusted."""
    openssl = shutil.which("openssl")
    assert openssl

    def verify(shown: bytes, trusted: bytes, when: datetime.datetime = NOW + datetime.timedelta(days=10)) -> bool:
        (tmp_path / "shown.pem").write_bytes(shown)
        (tmp_path / "trusted.pem").write_bytes(trusted)
        words = [openssl, "verify", "-attime", str(int(when.timestamp())), "-no-CApath", "-CAfile"]
        words += [str(tmp_path / "trusted.pem"), "-untrusted", str(tmp_path / "shown.pem"), "-verify_hostname", "west"]
        return subprocess.run([*words, str(tmp_path / "shown.pem")], check=False, capture_output=True).returncode == 0

    return verify


def test_the_newest_signs_and_comes_first() -> None:
    old, new = generations(2)
    assert certs.each(new.trusted) == (new.current, old.current)
    assert new.predecessors == (old.current,)
    assert certs.belongs(new.pair)
    assert certs.signed_by(leaf(new), new.current)
    assert not certs.signed_by(leaf(new), old.current)
    assert certs.issuer_of(leaf(old), new.trusted) == old.current
    bridge = certs.facts(new.bridges)
    assert bridge.is_authority
    assert bridge.not_after == certs.facts(old.current).not_after


def test_all_generations_accept_each_other(verified) -> None:  # type: ignore[no-untyped-def]
    lineages = generations(MOST)
    for shower in lineages:
        for truster in lineages:
            assert verified(leaf(shower), truster.trusted), (lineages.index(shower), lineages.index(truster))
    alone_trusted = [lineage.current for lineage in lineages]
    assert all(verified(leaf(lineages[-1]), trusted) for trusted in alone_trusted)


def test_the_oldest_is_dropped_when_there_are_too_many(verified) -> None:  # type: ignore[no-untyped-def]
    lineages = generations(MOST + 1)
    last = lineages[-1]
    assert len(certs.each(last.trusted)) == MOST
    assert len(certs.each(last.bridges)) == MOST - 1
    assert lineages[0].current not in certs.each(last.trusted)
    assert not verified(leaf(lineages[0]), last.trusted)
    assert not verified(leaf(last), lineages[0].trusted)
    assert verified(leaf(last), lineages[1].trusted)


def test_a_stranger_is_not_accepted(verified) -> None:  # type: ignore[no-untyped-def]
    stranger = certs.issue_authority("skupper-site-ca", KEYS[-1], NOW)
    assert not verified(leaf(Lineage(stranger.certificate, stranger.key)), generations(3)[-1].trusted)


def test_those_that_have_ended_are_dropped() -> None:
    old, middle, new = generations(3, YEAR)
    assert without_ended(new, NOW + 2 * YEAR) is new
    later = without_ended(new, NOW + certs.LIFETIME + datetime.timedelta(days=1))
    assert certs.each(later.trusted) == (new.current, middle.current)
    assert certs.each(later.bridges) == certs.each(new.bridges)[:1]
    assert later.key == new.key
    only = without_ended(new, NOW + certs.LIFETIME + YEAR + datetime.timedelta(days=1))
    assert (certs.each(only.trusted), only.bridges) == ((new.current,), b"")
    assert old.trusted == without_ended(old, NOW + 9 * YEAR).trusted  # the one that signs is never dropped


def test_alone() -> None:
    old, new = generations(2)
    assert alone(new) == Lineage(new.current, new.key)
    assert alone(old) is old


def test_trust_is_compared_by_certificates() -> None:
    old, new = generations(2)
    assert trusts(new.trusted, old.trusted)
    assert not trusts(old.trusted, new.trusted)
    assert not trusts(new.trusted, b"")
    assert united(old.trusted, new.trusted) == old.current + new.current
    assert certs.each(b"no certificate") == ()
    assert Lineage(b"", b"").current == b""


def test_nothing_outlives_its_authority() -> None:
    lineage = first()
    late = NOW + certs.LIFETIME - datetime.timedelta(days=30)
    pair = certs.issue(lineage.pair, "x", (), KEYS[-1], late, lifetime=certs.LEAF_LIFETIME)
    assert certs.facts(pair.certificate).not_after == NOW + certs.LIFETIME
