"""Podman has lost the record of the image: it lists the containers, but cannot inspect them. ``init`` repairs that."""

from __future__ import annotations

from tests.lab import Host
from tests.platform.onehost import init, needs_podman, one_host, run, session

pytestmark = needs_podman


def lose_image(host: Host) -> None:
    host.podman("stop", "--all", "--time", "1")
    host.stop_podman()
    (record,) = (host.directory / "root").glob("*-images/images.json")
    record.write_text("[]")
    host.start_podman()


def test_repair_and_delete() -> None:
    with one_host() as host:
        run(host, init)
        lose_image(host)
        with session(host) as platform:
            api = platform.context.api
            assert api.container("skupper-router") is None
            assert "skupper-router" in {item.name for item in api.containers()}
            before = platform.identity()
        run(host, init)
        with session(host) as platform:
            assert platform.identity() == before
            found = platform.context.api.container("skupper-router")
            assert found is not None
            assert found.running
        lose_image(host)
        run(host, lambda platform: platform.plan_delete())
        with session(host) as platform:
            assert platform.context.api.containers() == []
