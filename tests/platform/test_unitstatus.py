"""What status makes of the unit: named for what it is, now and at the next boot; on real systemd see tests/e2e."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from skupper_podman.paths import Paths, paths_for
from skupper_podman.platform.podman.unitstatus import _unit_fault
from skupper_podman.supervisor.unit import UnitSettings, unit_content
from skupper_podman.systemd import Systemd, UnitState

UNIT = "skupper-podman.service"
RUNS = "/py -m skupper_podman.supervisor"
WELL = UnitState(True, True, "active", "running", "3 containers run", 7, command=RUNS)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = paths_for(1000, {"HOME": str(tmp_path)}, tmp_path)
    found.dropin_dir.mkdir(parents=True)
    return found


def fault(paths: Paths, state: UnitState, content: bytes | None = b"") -> tuple[str, str]:
    whole = unit_content(UnitSettings("/py", paths, "west")).encode()
    return _unit_fault(Systemd(paths, {}, "alice"), state, whole if content == b"" else content)


def test_a_unit_that_is_as_init_made_it(paths: Paths) -> None:
    assert fault(paths, WELL) == ("", "")
    assert fault(paths, replace(WELL, status="3 containers run; router: started 2 times in a minute")) == ("", "")


def test_a_drop_in_that_leaves_the_supervisor_is_nobodys_fault(paths: Paths) -> None:
    own = paths.dropin_dir / "limits.conf"
    own.touch()
    assert fault(paths, replace(WELL, dropins=(str(own),))) == ("", "")
    stopped = replace(WELL, active="inactive", status="", dropins=(str(own),))
    assert fault(paths, stopped) == (f"inactive (it is changed by {own})", f"systemctl --user start {UNIT}")
    failed = replace(WELL, active="failed", status="", dropins=(str(own),))
    assert fault(paths, failed) == (f"failed (it is changed by {own})", "skupper init")


@pytest.mark.parametrize(
    ("change", "detail", "fix"),
    [
        ({"masked": True}, "it is masked", f"systemctl --user unmask {UNIT} && skupper init"),
        ({"loaded": False}, f"{UNIT} does not exist", "skupper init"),
        ({"enabled": False}, "the site will not start at the next boot", f"systemctl --user enable {UNIT}"),
        ({"active": "inactive", "status": ""}, "inactive", f"systemctl --user start {UNIT}"),
        ({"active": "failed", "status": ""}, "failed", "skupper init"),
        ({"active": "activating", "status": "starting"}, "activating: starting", f"systemctl --user status {UNIT}"),
        ({"status": "2 of 3 containers run"}, "2 of 3 containers run", f"systemctl --user status {UNIT}"),
        ({"stale": True}, "changed since systemd read them", "systemctl --user daemon-reload"),
        ({"loaded": False, "unreadable": True}, "systemd cannot read it", "skupper init"),
    ],
)
def test_each_fault_is_named(paths: Paths, change: dict[str, object], detail: str, fix: str) -> None:
    found = fault(paths, replace(WELL, **change))  # type: ignore[arg-type]
    assert detail in found[0]
    assert found[1] == fix


def test_a_file_that_is_gone_or_edited(paths: Paths) -> None:
    assert fault(paths, WELL, None) == (f"its file {paths.unit_file} does not exist", "skupper init")
    edited = unit_content(UnitSettings("/py", paths, "west")).replace("Restart=always", "Restart=no").encode()
    assert fault(paths, WELL, edited) == (f"its file {paths.unit_file} was edited since init wrote it", "skupper init")


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"command": "/bin/false"}, "at its next start it does not run the supervisor, but /bin/false"),
        ({"command": "/bin/false", "active": "failed", "status": ""}, "failed"),
        ({"command": "/bin/false", "active": "activating", "status": ""}, "activating"),
        ({"loaded": False, "unreadable": True}, "systemd cannot read it"),
    ],
)
def test_a_drop_in_that_breaks_it_is_named_and_taken_out(
    paths: Paths, change: dict[str, object], detail: str
) -> None:
    own = paths.dropin_dir / "a b.conf"
    own.touch()
    found = fault(paths, replace(WELL, dropins=(str(own),), **change))  # type: ignore[arg-type]
    assert found[0] == f"{detail} (it is changed by {own})"
    assert found[1] == f"rm '{own}'; systemctl --user daemon-reload; skupper init"


def test_a_drop_in_that_systemd_has_not_read(paths: Paths) -> None:
    (paths.dropin_dir / "own.conf").touch()
    assert fault(paths, WELL) == (
        f"its files changed since systemd read them ({paths.dropin_dir / 'own.conf'})",
        "systemctl --user daemon-reload",
    )
