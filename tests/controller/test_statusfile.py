"""The status file: whole, rare, readable, and tried again."""

from __future__ import annotations

import json
import os
from pathlib import Path

from skupper_podman.controller.statusfile import LATEST, QUIET, Debounce, StatusFile


def test_a_burst_is_one_action_and_a_stream_does_not_postpone_for_ever() -> None:
    debounce = Debounce()
    assert not debounce.due(0.0)
    debounce.change(0.0)
    assert not debounce.due(QUIET / 2)
    assert debounce.due(QUIET)
    assert not debounce.due(QUIET * 2)
    actions = []
    for tick in range(100):
        now = 10 + tick * 0.05
        debounce.change(now)
        if debounce.due(now):
            actions.append(now)
    assert actions[0] - 10 <= LATEST + 0.05
    assert 8 <= len(actions) <= 10


def test_a_slow_action_is_followed_by_rest() -> None:
    debounce = Debounce()
    debounce.change(0.0)
    assert debounce.due(1.0)
    debounce.acted(1.0, 3.0)
    debounce.change(3.0)
    assert not debounce.due(12.9)
    assert debounce.due(13.0)


def test_content_mode_and_skipping(tmp_path: Path) -> None:
    path = tmp_path / "skupper-network-status.json"
    file = StatusFile(path)
    assert file.failure
    file.write('{"a":1}', 0.0)
    assert file.failure == ""
    assert path.read_text() == '{"a":1}'
    assert path.stat().st_mode & 0o777 == 0o644
    inode = path.stat().st_ino
    file.write('{"a":1}', 1.0)
    assert path.stat().st_ino == inode
    file.write('{"a":2}', 2.0)
    assert path.stat().st_ino != inode
    assert os.listdir(tmp_path) == [path.name]


def test_an_unchanged_file_shows_that_the_controller_lives(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    file = StatusFile(path)
    file.write("{}", 0.0)
    os.utime(path, (1, 1))
    file.tick(29.0)
    assert path.stat().st_mtime == 1
    file.tick(31.0)
    assert path.stat().st_mtime > 1
    path.unlink()
    file.tick(62.0)
    assert path.read_text() == "{}"


def test_a_failed_write_is_said_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "s.json"
    file = StatusFile(path)
    file.write("{}", 0.0)
    assert "missing" in file.failure
    path.parent.mkdir()
    file.tick(0.5)
    assert not path.exists()
    file.tick(1.1)
    assert path.read_text() == "{}"
    assert file.failure == ""


def test_text_without_an_encoding_is_written_all_the_same(tmp_path: Path) -> None:
    file = StatusFile(tmp_path / "s.json")
    file.write('{"a":"\udc80"}', 0.0)
    assert json.loads((tmp_path / "s.json").read_bytes()) == {"a": "?"}
