"""The quick part of the fault table; ``scripts/faults`` runs all of it (or SKUPPER_TEST_FAULTS=all)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.e2e.faults import FAULTS, Bench, Fault, bench, run

ALL = os.environ.get("SKUPPER_TEST_FAULTS") == "all"
CHOSEN = tuple(fault for fault in FAULTS if ALL or fault.quick)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def sites_with_faults() -> Iterator[Bench]:
    with bench() as made:
        yield made


def test_the_table_is_long_enough() -> None:
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 40


@pytest.mark.parametrize("fault", CHOSEN, ids=[fault.id for fault in CHOSEN])
def test_fault(sites_with_faults: Bench, fault: Fault) -> None:
    report = run(sites_with_faults, fault)
    assert report.passed and not report.spoilt, (report.said, report.hint, report.trouble)
