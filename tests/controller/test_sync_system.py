"""Service sync of controllers over real routers, with each other and with the code of Skupper 1.9.

``SKUPPER_TEST_SERVICE_SYNC`` names a program built of ``pkg/service_sync`` of 1.9 (arguments: URL and origin; each line
of its input is the list of its definitions, each line of its output all that it has then, by address).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skupper_podman.desired.learned import Learned
from skupper_podman.desired.names import SYNC_FILE
from skupper_podman.desired.records import dump_spec
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.files import write_atomic
from skupper_podman.model.service import Service
from skupper_podman.model.site import SiteSpec
from tests.controller.routers import KINDS, Site, eventually, running

GO_PEER = os.environ.get("SKUPPER_TEST_SERVICE_SYNC", "")
needs_go = pytest.mark.skipif(not GO_PEER, reason="SKUPPER_TEST_SERVICE_SYNC names no program")
kinds = pytest.mark.parametrize("kind", KINDS)


def linked(kind: str, directory: Path, on: bool = True) -> tuple[Site, Site]:
    """Two linked sites whose controllers take part."""
    west, east = Site(kind, "west", directory), Site(kind, "east", directory)
    listener = {"name": "ir", "role": "inter-router", "host": "127.0.0.1", "port": west.link_port}
    west.entities.append(("listener", listener))
    east.entities.append(("connector", {**listener, "name": "link1", "port": str(west.link_port)}))
    for site in (west, east):
        site.plain()
        site.controller_options += ["--site-file", str(site.directory / "site.json")]
        switch(site, on)
        define(site)
    return west, east


def switch(site: Site, on: bool) -> None:
    spec = SiteSpec(site.name, f"id-{site.name}", service_sync=on)
    write_atomic(site.directory / "site.json", dump_spec(spec), 0o644)


def define(site: Site, *services: Service) -> None:
    document = ServicesDocument()
    for service in services:
        document = document.put(service)
    write_atomic(site.directory / "skupper-services.json", document.dump().encode(), 0o644)


def learned(site: Site) -> dict[str, Service] | None:
    try:
        found = Learned.parse((site.directory / SYNC_FILE).read_bytes())
    except FileNotFoundError:
        return None
    return {service.address: service for service in found.services}


@kinds
def test_services_come_and_go_with_their_site(kind: str, tmp_path: Path) -> None:
    west, east = linked(kind, tmp_path)
    backend = Service("backend", (8080,), labels={"team": "a"})
    with running(west, east):
        define(east, backend, Service("db", (5432,), allowed_sites=("north",)), Service("cache", (1,), origin="else"))
        assert eventually(lambda: learned(west)) == {
            "backend": Service("backend", (8080,), labels={"team": "a"}, origin="id-east")
        }
        assert Learned.parse((west.directory / SYNC_FILE).read_bytes()).withheld == {"db": "id-east"}
        assert learned(east) == {}
        define(east, Service("backend", (8080, 8081)))
        eventually(lambda: learned(west) == {"backend": Service("backend", (8080, 8081), origin="id-east")})

        assert west.controller is not None
        west.controller.kill()
        west.controller.wait()
        define(east)
        west.start_controller()
        eventually(lambda: learned(west) == {})

        define(east, backend)
        eventually(lambda: learned(west))
        switch(west, False)
        eventually(lambda: learned(west) is None)
        switch(west, True)
        eventually(lambda: learned(west))


class GoPeer:
    """The program, and what it says it has."""

    def __init__(self, url: str, origin: str) -> None:
        self._process = subprocess.Popen([GO_PEER, url, origin], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._entries: dict[str, dict[str, Any]] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def define(self, *entries: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(entries).encode() + b"\n")
        self._process.stdin.flush()

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        with contextlib.suppress(queue.Empty):
            while True:
                self._entries = json.loads(self._lines.get_nowait())
        return self._entries

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def go_peer(site: Site) -> Iterator[GoPeer]:
    peer = GoPeer(f"amqp://127.0.0.1:{site.amqp_port}", "id-cluster")
    try:
        yield peer
    finally:
        peer.stop()


@needs_go
@kinds
def test_with_the_code_of_1_9_in_both_directions(kind: str, tmp_path: Path) -> None:
    west, east = linked(kind, tmp_path)
    define(west, Service("backend", (8080,), labels={"team": "a"}), Service("db", (5432,), allowed_sites=("north",)))
    with running(west, east):
        eventually(lambda: east.routers().get("west"))
        with go_peer(east) as peer:
            plain = {"address": "web", "protocol": "http", "ports": [80, 81], "exposeIngress": "", "targets": []}
            secure = {**plain, "address": "safe", "protocol": "tcp", "tlsCredentials": "skupper-tls-safe"}
            headless = {**plain, "address": "mysql", "headless": {"name": "mysql", "size": 1}}
            peer.define(plain, {**secure, "origin": "annotation"}, headless)
            eventually(lambda: len(learned(west) or {}) == 2)
            assert learned(west) == {
                "web": Service("web", (80, 81), "http", origin="id-cluster"),
                "safe": Service("safe", (80, 81), origin="id-cluster", tls_credentials="skupper-tls-safe"),
            }
            refused = Learned.parse((west.directory / SYNC_FILE).read_bytes()).unusable
            assert refused["mysql"].origin == "id-cluster"
            # 1.9 takes the service over whatever sites may use it: the list is advice.
            eventually(lambda: {"backend", "db"} <= peer.entries.keys())
            backend = peer.entries["backend"]
            assert (backend["origin"], backend["ports"], backend["labels"]) == ("id-west", [8080], {"team": "a"})
            assert peer.entries["db"]["annotations"] == {"skupper-podman/allowed-sites": "north"}

            define(west, Service("backend", (8080, 9090)))
            eventually(lambda: peer.entries.get("backend", {}).get("ports") == [8080, 9090])
            eventually(lambda: "db" not in peer.entries)
            peer.define(plain)
            eventually(lambda: list(learned(west) or {}) == ["web"])
            define(west)
            eventually(lambda: list(peer.entries) == ["web"])
