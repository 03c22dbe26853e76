"""Changes of files in volumes: made, merged with what others did meanwhile, and taken back to the byte."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.desired import names
from skupper_podman.desired.resources import VolumeFile
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.errors import ConflictError, InvalidError, NotFoundError
from skupper_podman.model.service import Service
from skupper_podman.platform.podman import edits
from skupper_podman.platform.podman.edits import FileEdit, Trees
from skupper_podman.router.config import Entity, RouterConfig


def trees(root: Path, *volumes: str) -> Trees:
    for volume in volumes:
        (root / volume).mkdir(exist_ok=True)
    return Trees(lambda _name: None, {volume: str(root / volume) for volume in volumes})


def file(content: bytes, mode: int = 0o644, path: str = "dir/name", volume: str = "v") -> VolumeFile:
    return VolumeFile(volume, path, content, mode)


def test_a_new_file_and_its_directory_come_and_go(tmp_path: Path) -> None:
    edit = FileEdit(trees(tmp_path, "v"), "v", "dir/name", None, file(b"new", 0o600))
    edit.do()
    made = tmp_path / "v/dir/name"
    assert (made.read_bytes(), made.stat().st_mode & 0o777) == (b"new", 0o600)
    edit.undo()
    assert list((tmp_path / "v").iterdir()) == []


def test_undo_without_do_changes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "v/dir"
    volumes = trees(tmp_path, "v")
    FileEdit(volumes, "v", "dir/name", None, file(b"new")).undo()
    assert list((tmp_path / "v").iterdir()) == []
    place.mkdir()
    (place / "name").write_bytes(b"old")
    FileEdit(volumes, "v", "dir/name", file(b"old"), file(b"new")).undo()
    assert (place / "name").read_bytes() == b"old"


def test_an_update_is_taken_back_with_its_mode(tmp_path: Path) -> None:
    volumes = trees(tmp_path, "v")
    FileEdit(volumes, "v", "name", None, file(b"old", 0o640, "name")).do()
    edit = FileEdit(volumes, "v", "name", file(b"old", 0o640, "name"), file(b"new", 0o600, "name"))
    edit.do()
    edit.undo()
    state = volumes.file("v", "name")
    assert state is not None
    assert (state.content, state.mode) == (b"old", 0o640)


def test_a_removal_is_taken_back(tmp_path: Path) -> None:
    volumes = trees(tmp_path, "v")
    FileEdit(volumes, "v", "dir/name", None, file(b"old", 0o600)).do()
    edit = FileEdit(volumes, "v", "dir/name", file(b"old", 0o600), None)
    edit.do()
    assert not (tmp_path / "v/dir").exists()
    edit.undo()
    assert (tmp_path / "v/dir/name").stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_changed_is_left_alone(tmp_path: Path) -> None:
    volumes = trees(tmp_path, "v")
    FileEdit(volumes, "v", "dir/name", None, file(b"theirs")).do()
    with pytest.raises(ConflictError, match="changed by another program"):
        FileEdit(volumes, "v", "dir/name", file(b"old"), file(b"new")).do()
    assert (tmp_path / "v/dir/name").read_bytes() == b"theirs"
    FileEdit(volumes, "v", "dir/name", file(b"old"), file(b"theirs")).do()  # already as wanted


def test_no_link_is_followed(tmp_path: Path) -> None:
    volumes = trees(tmp_path, "v")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "v/dir").symlink_to(outside)
    with pytest.raises(InvalidError):
        FileEdit(volumes, "v", "dir/name", None, file(b"new")).do()
    assert list(outside.iterdir()) == []


def test_a_missing_volume_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="volume w does not exist"):
        trees(tmp_path).tree("w")
    assert trees(tmp_path).file("w", "x") is None


def test_a_volume_can_be_put_back(tmp_path: Path) -> None:
    volumes = trees(tmp_path, "v")
    for number in range(3):
        FileEdit(volumes, "v", f"dir{number}/name", None, file(bytes([number]), 0o600, f"dir{number}/name")).do()
    kept = volumes.snapshot("v")
    volumes.tree("v").remove_directory("dir1")
    for edit in kept:
        edit.undo()
    assert [found.path for found in volumes.files("v")] == ["dir0/name", "dir1/name", "dir2/name"]


SERVICES = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3), max_size=4)


def services(ports: dict[str, int]) -> bytes:
    document = ServicesDocument()
    for address, port in ports.items():
        document = document.put(Service(address, (port,)))
    return document.dump().encode()


@given(SERVICES, SERVICES, SERVICES)
def test_services_of_two_commands_are_merged(
    tmp_path_factory: pytest.TempPathFactory, old: dict[str, int], new: dict[str, int], found: dict[str, int]
) -> None:
    volumes = trees(tmp_path_factory.mktemp("m"), names.DEFAULT.services)
    place = (names.DEFAULT.services, names.SERVICES_FILE)
    FileEdit(volumes, *place, None, VolumeFile(*place, services(found))).do()
    FileEdit(volumes, *place, VolumeFile(*place, services(old)), VolumeFile(*place, services(new))).do()
    state = volumes.file(*place)
    entries = json.loads(state.content) if state else {}
    for address in "abcd":
        mine = old.get(address) != new.get(address)
        wanted = new.get(address) if mine else found.get(address)
        assert (entries[address]["ports"] if address in entries else None) == ([wanted] if wanted else None)


CONFIGS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3), min_size=1, max_size=4)


def config(costs: dict[str, int]) -> bytes:
    entities = (
        Entity.of("connector", {"name": name, "host": "h", "port": "1", "cost": c}) for name, c in costs.items()
    )
    return RouterConfig.of(entities).dump().encode()


@given(CONFIGS, CONFIGS, CONFIGS)
def test_router_configurations_are_merged(
    tmp_path_factory: pytest.TempPathFactory, old: dict[str, int], new: dict[str, int], found: dict[str, int]
) -> None:
    volumes = trees(tmp_path_factory.mktemp("m"), names.DEFAULT.internal)
    place = (names.DEFAULT.internal, names.ROUTER_CONFIG_FILE)
    FileEdit(volumes, *place, None, VolumeFile(*place, config(found))).do()
    FileEdit(volumes, *place, VolumeFile(*place, config(old)), VolumeFile(*place, config(new))).do()
    state = volumes.file(*place)
    assert state is not None
    merged = RouterConfig.parse(state.content.decode())
    for name in "abcd":
        mine = old.get(name) != new.get(name)
        entity = merged.get("connector", name)
        assert (entity.get("cost") if entity else None) == (new.get(name) if mine else found.get(name))


def test_the_lock_of_1_9_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volumes = trees(tmp_path, names.DEFAULT.services)
    place = (names.DEFAULT.services, names.SERVICES_FILE)
    monkeypatch.setattr(edits, "_LOCK_TIMEOUT", 0.0)
    descriptor = os.open(tmp_path / names.DEFAULT.services / f"{names.SERVICES_FILE}.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="still at work"):
            FileEdit(volumes, *place, None, VolumeFile(*place, b"{}")).do()
    finally:
        os.close(descriptor)
    FileEdit(volumes, *place, None, VolumeFile(*place, b"{}")).do()
