"""The lite encapsulation between this router and real skrouterds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.routerd.system.lab import SKROUTERD, exchange, running
from tests.routerd.system.test_interop import NETWORKS, Network

pytestmark = pytest.mark.skipif(not SKROUTERD, reason="SKUPPER_TEST_SKROUTERD names no skrouterd")


@pytest.mark.parametrize("name", ["P-S", "S-P", "S-P-S", "edge S on P"])
def test_lite(name: str, tmp_path: Path) -> None:
    with running(tmp_path) as lab:
        network = Network(lab, tmp_path, NETWORKS[name], {"encapsulation": "lite"})
        data = os.urandom(5_000_000)
        assert exchange(network.port, data) == data
