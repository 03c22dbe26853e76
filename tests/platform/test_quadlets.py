"""Quadlet files that are in place: which are ours, and what is done before one goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from skupper_podman.desired.names import DEFAULT
from skupper_podman.errors import PlatformError
from skupper_podman.paths import paths_for
from skupper_podman.platform.podman import quadlets
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.quadlet import mark
from skupper_podman.systemd import Systemd

FILES = ("skupper-router.container", "skupper-service-backend.container", "skupper.network", "skupper-internal.volume")


class Manager:
    """A manager that knows which units run, and writes down what it is asked to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.active: set[str] = set()
        self.asked: list[str] = []
        self.absent = ""
        monkeypatch.setattr(Systemd, "unavailable", lambda _systemd: self.absent)
        monkeypatch.setattr(Systemd, "is_active", lambda _systemd, unit: self._is_active(unit))
        monkeypatch.setattr(Systemd, "stop_units", lambda _systemd, units: self.asked.append(f"stop {' '.join(units)}"))
        monkeypatch.setattr(
            Systemd, "start_units", lambda _systemd, units: self.asked.append(f"start {' '.join(units)}")
        )
        monkeypatch.setattr(Systemd, "reload", lambda _systemd: self.asked.append("reload"))

    def _is_active(self, unit: str) -> bool:
        if self.absent:
            raise PlatformError(self.absent)
        return unit in self.active


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    return Manager(monkeypatch)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    context = Context({}, 1000, "alice", paths_for(1000, {"HOME": str(tmp_path)}, tmp_path))
    context.paths.quadlet_dir.mkdir(parents=True)
    for name in FILES:
        (context.paths.quadlet_dir / name).write_text(f"{mark(DEFAULT)} ...\n")
    (context.paths.quadlet_dir / "skupper-mine.container").write_text("[Container]\nImage=x\n")
    (context.paths.quadlet_dir / "database.container").write_text(f"{mark(DEFAULT)}\n")
    (context.paths.quadlet_dir / "skupper-notes.txt").write_text(f"{mark(DEFAULT)}\n")
    return context


def test_only_ours_count_containers_first(context: Context) -> None:
    assert [path.name for path in quadlets.installed(context.paths)] == [
        "skupper-router.container", "skupper-service-backend.container", "skupper.network", "skupper-internal.volume",
    ]  # fmt: skip
    found = quadlets.file_of(context.paths, "backend")
    assert found == context.paths.quadlet_dir / "skupper-service-backend.container"
    assert quadlets.file_of(context.paths, "other") is None
    (note,) = quadlets.missing_note(context.paths)
    assert note.endswith(f"--output-directory {context.paths.quadlet_dir}")
    names = [quadlets.unit_name(context.paths.quadlet_dir / name) for name in FILES[1:]]
    assert names == ["skupper-service-backend.service", "skupper-network.service", "skupper-internal-volume.service"]


def test_units_are_stopped_before_their_files_go(context: Context, manager: Manager) -> None:
    manager.active = {"skupper-router.service", "skupper-network.service"}
    before = {path.name: path.read_text() for path in context.paths.quadlet_dir.iterdir()}
    (step,) = quadlets.removal_steps(context, quadlets.installed(context.paths))
    step.do()
    assert manager.asked[0].startswith("stop skupper-router.service skupper-service-backend.service ")
    assert manager.asked[1:] == ["reload"]
    assert {path.name for path in context.paths.quadlet_dir.iterdir()} == set(before) - set(FILES)
    manager.asked.clear()
    assert step.undo is not None
    step.undo()
    assert manager.asked == ["reload", "start skupper-router.service skupper-network.service"]
    assert {path.name: path.read_text() for path in context.paths.quadlet_dir.iterdir()} == before


def test_without_a_manager_the_files_go_all_the_same(context: Context, manager: Manager) -> None:
    manager.absent = "no systemd"
    (step,) = quadlets.removal_steps(context, quadlets.installed(context.paths))
    step.do()
    assert manager.asked == []
    assert quadlets.installed(context.paths) == ()
    assert quadlets.removal_steps(context, ()) == []
    assert quadlets.missing_note(context.paths) == []


def test_each_container_s_unit_is_probed(context: Context, manager: Manager) -> None:
    manager.active = {"skupper-router.service"}
    found = {probe.name: (probe.health, probe.fix) for probe in quadlets.probes(context)}
    assert found["unit skupper-router.service"] == ("ok", "")
    health, fix = found["unit skupper-service-backend.service"]
    assert health == "failing"
    assert "systemctl --user restart skupper-service-backend.service" in fix
    manager.absent = "systemd does not answer"
    assert {probe.health for probe in quadlets.probes(context)} == {"unknown"}
