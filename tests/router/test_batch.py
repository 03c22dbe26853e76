"""The connection of a batch of management requests, to a real AMQP server that is not there yet."""

from __future__ import annotations

import threading

import pytest

from skupper_podman.router.batch import connected
from skupper_podman.router.management import RouterUnreachableError
from tests.routerd.management.samples import sample_agent
from tests.routerd.tools.server import AgentServer


def test_a_router_that_listens_late_is_waited_for() -> None:
    late = AgentServer(sample_agent())
    with pytest.raises(RouterUnreachableError):
        connected(0.2, late.url)
    found: list[int] = []

    def ask() -> None:
        with connected(150.0, late.url) as client:
            found.append(len(client.query("router").rows))

    asking = threading.Thread(target=ask)
    asking.start()
    with late:
        asking.join(120)
    assert found == [1]
