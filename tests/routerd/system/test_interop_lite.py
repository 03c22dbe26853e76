"""The lite encapsulation between this router and real skrouterds; collected where SKUPPER_TEST_SKROUTERD is set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.routerd.system.lab import exchange, running
from tests.routerd.system.test_interop import NETWORKS, Network


@pytest.mark.parametrize("name", ["P-S", "S-P", "S-P-S", "edge S on P"])
def test_lite(name: str, tmp_path: Path) -> None:
    with running(tmp_path) as lab:
        network = Network(lab, tmp_path, NETWORKS[name], {"encapsulation": "lite"})
        data = os.urandom(5_000_000)
        assert exchange(network.port, data) == data
