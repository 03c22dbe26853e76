"""Fixtures of the command line's tests."""

from pathlib import Path

import pytest

from tests.cli.memory import MemoryPlatform
from tests.cli.terminal import Terminal


@pytest.fixture
def platform() -> MemoryPlatform:
    """A host without a site."""
    return MemoryPlatform()


@pytest.fixture
def skupper(tmp_path: Path, platform: MemoryPlatform) -> Terminal:
    """``skupper`` on that host."""
    return Terminal(tmp_path, platform)


@pytest.fixture
def site(skupper: Terminal) -> Terminal:
    """``skupper`` on a host that is a site."""
    answer = skupper("init", "--site-name", "vm1-jdoe-c3d98", "--ingress-host", "192.0.2.5")
    assert answer.code == 0, answer
    return skupper
