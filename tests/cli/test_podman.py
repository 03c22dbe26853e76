"""The podman platform keeps the contract that the commands rely on, on a real Podman."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from skupper_podman.model.link import Token
from skupper_podman.platform import Platform
from tests.cli.contract import PlatformContract
from tests.platform.onehost import needs_podman, one_host, peer_token, session

pytestmark = [*needs_podman, pytest.mark.slow]


class TestPodman(PlatformContract):
    @pytest.fixture
    def platform(self) -> Iterator[Platform]:
        with one_host() as host, session(host) as platform:
            yield platform

    @pytest.fixture
    def token(self) -> Token:
        return peer_token()
