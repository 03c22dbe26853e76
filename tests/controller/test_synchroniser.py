"""Service sync and its files: when it is on, what is announced, what is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from skupper_podman.controller import syncwire
from skupper_podman.controller.settings import parse
from skupper_podman.controller.synchroniser import Synchroniser
from skupper_podman.desired.learned import Learned
from skupper_podman.desired.names import SYNC_FILE
from skupper_podman.desired.records import dump_spec
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.model.service import Service
from skupper_podman.model.site import SiteSpec

SPEC = SiteSpec("west", "id-west", service_sync=True)
BACKEND = Service("backend", (8080,))


class Files:
    """The files of a site, and a synchroniser that looks at them."""

    def __init__(self, directory: Path) -> None:
        self.site, self.services, self.learned = (
            directory / "site.json", directory / "services.json", directory / SYNC_FILE,
        )  # fmt: skip
        self.settings = parse(
            ["--site-file", str(self.site), "--services", str(self.services), "--status", str(directory)],
            {"SKUPPER_SITE_ID": "id-west", "SKUPPER_SITE_NAME": "west"},
            "host",
        )
        self.now = 0.0
        self.sync = Synchroniser(self.settings)
        self.sync.connected(0.0)

    def define(self, *services: Service) -> None:
        document = ServicesDocument()
        for service in services:
            document = document.put(service)
        self.services.write_text(document.dump())

    def switch(self, on: bool) -> None:
        self.site.write_bytes(dump_spec(replace(SPEC, service_sync=on)))

    def turn(self) -> list[str] | None:
        """A second later: the addresses that are announced, None where nothing is."""
        self.now += 1.0
        octets = self.sync.work(self.now)
        return None if octets is None else sorted(syncwire.read(octets).offers.services)

    def hear(self, *services: Service) -> None:
        self.sync.received(syncwire.update("id-east", "1.9.6", services), self.now)

    def known(self) -> list[str]:
        return [service.address for service in Learned.parse(self.learned.read_bytes()).services]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_off_unless_the_site_says_so(files: Files) -> None:
    files.define(BACKEND)
    assert files.turn() is None
    files.switch(False)
    files.hear(BACKEND)
    assert files.turn() is None
    assert files.sync.subscriptions == frozenset()
    assert not files.learned.exists()
    assert files.sync.failure == ""
    files.switch(True)
    assert files.turn() == ["backend"]
    assert files.sync.subscriptions == {"mc/$skupper-service-sync"}
    assert files.known() == []
    files.hear(Service("db", (1,)))
    assert files.turn() is None
    assert files.known() == ["db"]
    files.switch(False)
    files.turn()
    assert not files.learned.exists()


@pytest.mark.parametrize("damage", ["", "{", "[]"])
def test_a_damaged_services_file_is_not_taken_for_a_site_without_services(files: Files, damage: str) -> None:
    files.switch(True)
    files.services.write_text(damage)
    for _ in range(10):
        assert files.turn() is None
    files.define(BACKEND)
    assert files.turn() == ["backend"]
    files.services.write_text(damage)
    assert {tuple(said) for said in (files.turn() for _ in range(10)) if said is not None} == {("backend",)}
    files.services.unlink()
    assert files.turn() == []


def test_what_was_learned_survives_a_restart(files: Files) -> None:
    files.define()
    files.switch(True)
    files.turn()
    files.hear(Service("db", (1,)))
    files.turn()
    again = Synchroniser(files.settings)
    again.work(0.0)
    assert files.known() == ["db"]
    files.learned.write_text("{")
    Synchroniser(files.settings).work(0.0)
    assert files.known() == []


def test_a_file_that_cannot_be_written_is_told_and_tried_again(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.define()
    files.switch(True)
    files.learned.mkdir()  # in the way of the file
    files.turn()
    assert SYNC_FILE in files.sync.failure
    files.learned.rmdir()
    files.turn()
    files.turn()
    assert files.sync.failure == ""
    assert files.known() == []


def test_nonsense_is_said_once(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.define()
    files.switch(True)
    files.turn()
    for _ in range(3):
        files.sync.received(b"nonsense", files.now)
    assert capsys.readouterr().err.count("is ignored") == 1
