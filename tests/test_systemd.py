"""The gateway to systemd where no manager answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from skupper_podman.paths import paths_for
from skupper_podman.systemd import Systemd


def test_a_unit_is_removed_whole_without_a_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also its link in default.target.wants, which only the manager's disable would remove."""
    paths = paths_for(1000, {"HOME": str(tmp_path)}, tmp_path)
    monkeypatch.setattr(Systemd, "unavailable", lambda _systemd: "systemd does not run this host")
    wanted = paths.unit_dir / "default.target.wants"
    wanted.mkdir(parents=True)
    paths.unit_file.write_text("[Unit]\n")
    (wanted / paths.unit_file.name).symlink_to(paths.unit_file)
    (wanted / "other.service").symlink_to("/etc/other.service")
    Systemd(paths, {}, "alice").remove()
    assert not paths.unit_file.exists()
    assert [path.name for path in wanted.iterdir()] == ["other.service"]
