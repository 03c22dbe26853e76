"""When the supervisor carries out what was learned, and what it does when that fails; the host is a directory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from skupper_podman.desired import names
from skupper_podman.desired.learned import Failure, Learned, parse_failures, pending
from skupper_podman.desired.records import dump_spec
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.errors import ConflictError, PlatformError
from skupper_podman.model.service import Service
from skupper_podman.model.site import SiteSpec
from skupper_podman.plan import Plan, Step
from skupper_podman.platform.podman.learning import Round
from skupper_podman.supervisor.learner import AT_ONCE, FIRST_PAUSE, LONGEST_PAUSE, Learner

OWN = names.DEFAULT


@dataclass
class Site:
    """A site whose volumes are directories. Services in ``broken`` cannot be made, those in ``refused`` not planned."""

    root: Path
    now: float = 1000.0
    broken: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    locked: bool = False
    rounds: list[tuple[str, ...]] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    closed: int = 0

    def __post_init__(self) -> None:
        for volume in (OWN.internal, OWN.services, OWN.network_status):
            (self.root / volume).mkdir(parents=True)
        self.switch(True)
        self.write(ServicesDocument())
        log, sleep = self.logged.append, lambda _seconds: None
        self.learner = Learner(OWN, self.context, log, lambda: self.now, sleep, self.plan)

    def switch(self, on: bool) -> None:
        (self.root / OWN.internal / names.SITE_FILE).write_bytes(dump_spec(SiteSpec("w", "id-w", service_sync=on)))

    def learn(self, *addresses: str) -> None:
        learned = Learned(tuple(Service(address, (1,), origin="id-e") for address in addresses))
        (self.root / OWN.network_status / names.SYNC_FILE).write_text(learned.dump())

    @property
    def document(self) -> ServicesDocument:
        return ServicesDocument.parse((self.root / OWN.services / names.SERVICES_FILE).read_bytes())

    def write(self, document: ServicesDocument) -> None:
        (self.root / OWN.services / names.SERVICES_FILE).write_text(document.dump())

    @property
    def services(self) -> list[str]:
        return sorted(self.document.entries)

    @property
    def failures(self) -> dict[str, Failure]:
        path = self.root / OWN.network_status / names.SYNC_FAILURES_FILE
        return parse_failures(path.read_bytes()) if path.exists() else {}

    def context(self) -> Any:
        def lock() -> None:
            if self.locked:
                raise ConflictError("another command is at work")

        def close() -> None:
            self.closed += 1

        def volume(name: str) -> Any:
            place = self.root / name
            return SimpleNamespace(mountpoint=str(place)) if place.exists() else None

        return SimpleNamespace(lock=lock, unlock=lambda: None, close=close, api=SimpleNamespace(volume=volume))

    def plan(self, _context: object, skip: Collection[str], most: int) -> Round:
        place = self.root / OWN.network_status / names.SYNC_FILE
        spec_on = b"serviceSync" in (self.root / OWN.internal / names.SITE_FILE).read_bytes()
        todo = pending(self.document.services(), Learned.parse(place.read_bytes()) if spec_on else Learned())
        make = [item for item in todo.make if item.address not in skip][:most]
        remove = [address for address in todo.remove if address not in skip][:most]
        failures = {item.address: Failure("no", "fix") for item in make if item.address in self.refused}
        make = [item for item in make if item.address not in self.refused]

        def do() -> None:
            document = self.document
            for service in make:
                document = document.put(service)
            for address in remove:
                document = document.remove(address)
            if self.broken & {item.address for item in make}:
                raise PlatformError("no image", "skupper update")
            self.write(document)

        addresses = (*remove, *(item.address for item in make))
        self.rounds.append(addresses)
        return Round(Plan("x", (Step("create", "container x", do),) if addresses else ()), addresses, failures)

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, then do what a round of the supervisor's loop does."""
        self.now += seconds
        if self.learner.due(self.now):
            self.learner.work()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_is_learned_is_made_a_few_at_a_time_and_goes_again(site: Site) -> None:
    site.turn()
    assert site.rounds == []
    wanted = [f"s{number:02}" for number in range(AT_ONCE + 3)]
    site.learn(*wanted)
    site.turn()
    assert site.rounds == []  # it is not looked at more often than every two seconds
    site.turn(2)
    assert site.services == wanted
    assert [len(addresses) for addresses in site.rounds] == [AT_ONCE, 3]
    site.turn(2)
    site.turn(2)
    assert len(site.rounds) == 2
    site.write(site.document.remove("s00"))
    site.turn(2)
    assert site.services == wanted
    site.switch(False)
    site.turn(2)
    assert site.services == []


def test_nothing_is_done_where_the_controller_has_said_nothing(site: Site) -> None:
    site.write(ServicesDocument().put(Service("a", (1,), origin="id-e")).put(Service("own", (1,))))
    site.turn()
    assert site.rounds == []
    (site.root / OWN.network_status / names.SYNC_FILE).write_text("{")
    site.turn(2)
    assert site.rounds == []
    assert any("cannot be read" in line for line in site.logged)
    site.learn()
    site.turn(FIRST_PAUSE)
    assert site.services == ["own"]


def test_one_that_fails_costs_the_others_nothing_and_is_tried_less_and_less_often(site: Site) -> None:
    site.broken, site.refused = {"b"}, {"c"}
    site.learn("a", "b", "c", "d")
    site.turn()
    assert site.services == ["a", "d"]
    assert site.failures == {"b": Failure("no image", "skupper update"), "c": Failure("no", "fix")}
    assert sum("no image" in line for line in site.logged) == 1
    tries = len(site.rounds)
    site.turn(FIRST_PAUSE - 1)
    assert len(site.rounds) == tries
    pause = FIRST_PAUSE
    for _ in range(8):
        site.turn(pause + 1)
        assert len(site.rounds) > tries
        tries, pause = len(site.rounds), min(pause * 2, LONGEST_PAUSE)
        site.turn(2)
        assert len(site.rounds) == tries
    site.broken = set()
    site.turn(LONGEST_PAUSE + 1)
    assert site.services == ["a", "b", "d"]
    site.turn(2)
    assert site.failures.keys() == {"c"}
    site.learn("a", "b", "d")
    site.turn(2)
    assert site.failures == {}
    # Offered again, it is tried at once.
    site.refused = set()
    site.learn("a", "b", "c", "d")
    site.turn(2)
    assert site.services == ["a", "b", "c", "d"]


def test_commands_go_first(site: Site) -> None:
    site.learn("a")
    site.locked = True
    site.turn()
    assert site.rounds == []
    site.locked = False
    site.turn(2)
    assert site.services == ["a"]
    assert site.closed == 2


def test_a_site_that_goes_and_comes_is_found_again(site: Site, tmp_path: Path) -> None:
    site.turn()
    gone = tmp_path.with_name("gone")
    site.root.rename(gone)
    site.turn(2)
    site.turn(FIRST_PAUSE)
    gone.rename(site.root)
    site.learn("a")
    site.turn(FIRST_PAUSE)
    site.turn(FIRST_PAUSE)
    assert site.services == ["a"]


def test_nothing_is_begun_any_more_when_the_supervisor_stops(site: Site) -> None:
    site.learn("a")
    site.learner.stop()
    assert not site.learner.due(site.now)


def test_a_defect_is_told_and_ends_nothing(site: Site) -> None:
    def plan(*_arguments: object) -> Round:
        raise ZeroDivisionError("defect")

    learner = Learner(OWN, site.context, site.logged.append, lambda: site.now, lambda _seconds: None, cast("Any", plan))
    site.learn("a")
    assert learner.due(site.now)
    assert not learner.due(site.now)  # one at a time
    learner.work()
    assert site.logged == ["services of other sites: ZeroDivisionError: defect"]
    assert not learner.due(site.now + FIRST_PAUSE - 1)
    assert learner.due(site.now + FIRST_PAUSE)
