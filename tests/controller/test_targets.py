"""Service targets that are IP literals."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.controller.source import TargetProcess
from skupper_podman.controller.targets import ServicesFile, parse_targets


def services(*hosts: object) -> bytes:
    targets = [{"name": "resolver", "targetPorts": {"8080": 9090}, "service": host} for host in hosts]
    return json.dumps({"backend": {"address": "backend", "protocol": "tcp", "targets": targets}}).encode()


def test_only_ip_literals_are_processes() -> None:
    assert parse_targets(services("10.0.0.1", "web.example", "fe80::1", "", 3, None)) == {
        TargetProcess("backend", "10.0.0.1"),
        TargetProcess("backend", "fe80::1"),
    }


@pytest.mark.parametrize(
    "text", [b"", b" \n", b"{}", b'{"a":null}', b'{"a":{"targets":null}}', b'{"a":{"targets":[1]}}']
)
def test_nothing_defined(text: bytes) -> None:
    assert parse_targets(text) == frozenset()


@pytest.mark.parametrize("text", [b"[]", b"{", b"\xff", b"[" * 100_000])
def test_malformed(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_targets(text)


@given(st.binary(max_size=50))
def test_any_octets_parse_or_are_refused(text: bytes) -> None:
    try:
        parse_targets(text)
    except ValueError:
        return


def test_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "services" / "skupper-services.json"
    file = ServicesFile(path)
    assert file.changed() == frozenset()
    assert file.changed() is None
    path.parent.mkdir()
    path.write_bytes(services("10.0.0.1"))
    assert file.changed() == {TargetProcess("backend", "10.0.0.1")}
    assert file.changed() is None
    replacement = tmp_path / "new"
    replacement.write_bytes(services("10.0.0.2"))
    os.replace(replacement, path)
    assert file.changed() == {TargetProcess("backend", "10.0.0.2")}
    path.write_bytes(b"{")
    with pytest.raises(ValueError, match=r"."):
        file.changed()
    assert file.changed() is None
    path.unlink()
    assert file.changed() == frozenset()
