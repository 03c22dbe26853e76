"""The platform in memory keeps the contract, so that what is tested over it is true of the real one."""

import pytest

from skupper_podman.desired.tokens import parse_token
from skupper_podman.model.link import Token
from skupper_podman.platform import Platform
from tests.cli.contract import PlatformContract
from tests.cli.memory import MemoryPlatform, token_text


class TestMemory(PlatformContract):
    @pytest.fixture
    def platform(self) -> Platform:
        return MemoryPlatform()

    @pytest.fixture
    def token(self) -> Token:
        return parse_token(token_text())
