"""When a certificate is due."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as some

from skupper_podman import certs
from skupper_podman.desired.renewal import JITTER, SHARE, renew_at

BEGIN = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


@given(some.text(), some.integers(1, 4000))
def test_about_two_thirds_of_its_life(seed: str, days: int) -> None:
    share = (renew_at(BEGIN, BEGIN + days * DAY, seed) - BEGIN) / (days * DAY)
    assert abs(share - SHARE) <= JITTER / 2 + 1e-4


@given(some.text())
def test_a_host_that_sleeps_a_month_still_has_time(seed: str) -> None:
    end = BEGIN + certs.LEAF_LIFETIME
    assert end - renew_at(BEGIN, end, seed) > 35 * DAY


def test_the_same_certificate_has_the_same_time_and_others_have_others() -> None:
    times = [renew_at(BEGIN, BEGIN + 120 * DAY, str(number)) for number in range(50)]
    assert times == [renew_at(BEGIN, BEGIN + 120 * DAY, str(number)) for number in range(50)]
    assert len(set(times)) == 50
    assert max(times) - min(times) > 3 * DAY
