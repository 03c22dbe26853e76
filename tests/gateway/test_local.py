"""The gateway of this very host: what a command finds that comes after one that was killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skupper_podman.gateway import local


@pytest.mark.parametrize(
    ("state", "generation"),
    [
        ({"generation": 3}, 3),
        ({"generation": 3, "unfinished": {"type": "service"}}, 0),
        ({"generation": 1, "unfinished": {"new": True}}, None),
        ({}, 0),
        ([], 0),
        (None, None),
    ],
)
def test_which_generation_is_launched(tmp_path: Path, state: object, generation: int | None) -> None:
    if state is not None:
        (tmp_path / "state.json").write_text(json.dumps(state))
    assert local.installed_generation(tmp_path) == generation


def test_a_state_that_a_power_cut_left_short_is_launched_over(tmp_path: Path) -> None:
    for content in ("", '{"generation": '):
        (tmp_path / "state.json").write_text(content)
        assert local.installed_generation(tmp_path) == 0


def test_what_killed_commands_unpacked_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gettempdir", lambda: str(tmp_path))
    for name in ("skupper-gateway-own-abcdefgh", "skupper-gateway-own-b-abcdefgh", "skupper-gateway-other-abcdefgh"):
        (tmp_path / name).mkdir()
    (tmp_path / "skupper-gateway-own-linklink").symlink_to(tmp_path)
    assert [path.name for path in local.left_behind("own")] == ["skupper-gateway-own-abcdefgh"]
    place = tmp_path / "own"
    step = local.removing(place)
    assert step is not None, "they hold keys"
    (tmp_path / "skupper-gateway-own-abcdefgh").rmdir()
    assert local.removing(place) is None
    (tmp_path / ".own.removed").mkdir()
    assert local.removing(place) is not None


def test_only_whole_bundles_have_programs(tmp_path: Path) -> None:
    for name in ("2", "10", "11.new", "11.before"):
        (tmp_path / "bundles" / name).mkdir(parents=True)
        (tmp_path / "bundles" / name / "remove.py").touch()
    (tmp_path / "bundles/12").mkdir()
    assert local._kept(tmp_path, "remove.py") == tmp_path / "bundles/10/remove.py"
    assert local._kept(tmp_path / "elsewhere", "remove.py") is None
