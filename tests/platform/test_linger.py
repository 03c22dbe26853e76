"""Whose lingering is: what init enabled goes with delete, what somebody else enabled stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from skupper_podman.paths import paths_for
from skupper_podman.platform.podman import linger
from skupper_podman.platform.podman.context import Context
from skupper_podman.systemd import Systemd


class Logind:
    """A manager of sessions: whether lingering is enabled, and whether the user may change it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.enabled = False
        self.allowed = True
        self.absent = ""
        monkeypatch.setattr(Systemd, "linger_enabled", lambda _systemd: self.enabled)
        monkeypatch.setattr(Systemd, "unavailable", lambda _systemd: self.absent)
        monkeypatch.setattr(Systemd, "enable_linger", lambda _systemd: self.enable())
        monkeypatch.setattr(Systemd, "disable_linger", lambda _systemd: self.disable())

    def enable(self) -> str:
        self.enabled = self.enabled or self.allowed
        return "" if self.enabled else "sudo loginctl enable-linger alice"

    def disable(self) -> None:
        self.enabled = False


@pytest.fixture
def logind(monkeypatch: pytest.MonkeyPatch) -> Logind:
    return Logind(monkeypatch)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context({}, 1000, "alice", paths_for(1000, {"HOME": str(tmp_path)}, tmp_path))


def enable(context: Context) -> list[str]:
    warnings: list[str] = []
    for step in linger.linger_steps(context, warnings):
        step.do()
    return warnings


def removal(context: Context, *others: str) -> tuple[int, list[str]]:
    notes: list[str] = []
    steps = linger.linger_removal_steps(context, others, notes)
    for step in steps:
        step.do()
    return len(steps), notes


def test_what_init_enabled_goes_with_delete(context: Context, logind: Logind) -> None:
    assert linger.linger_fix(context) == "sudo loginctl enable-linger alice"
    assert enable(context) == []
    assert logind.enabled
    assert linger.linger_fix(context) == ""
    assert removal(context) == (1, [])
    assert not logind.enabled


def test_what_somebody_else_enabled_stays(context: Context, logind: Logind) -> None:
    logind.enabled = True
    assert enable(context) == []
    assert not context.paths.linger_mark.exists()
    assert removal(context) == (0, [])
    assert logind.enabled


@pytest.mark.parametrize("needs", ["container", "unit"])
def test_what_others_need_stays_and_is_told(context: Context, logind: Logind, needs: str) -> None:
    enable(context)
    wants = context.paths.unit_dir / "default.target.wants"
    wants.mkdir(parents=True)
    (wants / "skupper-podman.service").touch()
    others = ["database"] if needs == "container" else []
    if needs == "unit":
        (wants / "backup.timer").touch()
    count, notes = removal(context, *others)
    assert (count, logind.enabled) == (0, True)
    assert "loginctl disable-linger alice" in notes[0]
    assert ("container database" if others else "backup.timer") in notes[0]


def test_who_may_not_is_told_the_line_and_nothing_is_noted(context: Context, logind: Logind) -> None:
    logind.allowed = False
    assert enable(context) == linger.linger_warning(context)
    assert "sudo loginctl enable-linger alice" in linger.linger_warning(context)[0]
    assert not context.paths.linger_mark.exists()


def test_undo_leaves_it_as_found(context: Context, logind: Logind) -> None:
    (step,) = linger.linger_steps(context, [])
    step.do()
    assert context.paths.linger_mark.exists()
    assert step.undo is not None
    step.undo()
    assert not logind.enabled
    assert not context.paths.linger_mark.exists()


def test_without_systemd_there_is_nothing_to_advise(context: Context, logind: Logind) -> None:
    logind.absent = "systemd does not run this host"
    assert linger.linger_fix(context) == ""
    assert enable(context) == []
    assert not logind.enabled
