"""Profiles: passwords, renewed files, files that are missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from skupper_podman.routerd.amqp.security import SslProfile, TlsError, secret
from tests.routerd.system.lab import credentials


def test_forms_of_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "word").write_text("from file\nnot this\n")
    monkeypatch.setenv("WORD", "from env")
    forms = [None, "plain", "with:colon", "pass:x", "literal:env:y", "env:WORD", f"file:{tmp_path / 'word'}"]
    assert [secret(form) for form in forms] == [None, "plain", "with:colon", "x", "env:y", "from env", "from file"]


def test_renewed_files_make_a_new_domain(tmp_path: Path) -> None:
    files = credentials(tmp_path / "certs")
    profile = SslProfile({"name": "p", **{key: str(path) for key, path in files.items()}})
    first = profile.client_domain(verify_host_name=True)
    assert profile.client_domain(verify_host_name=True) == first
    assert profile.client_domain(verify_host_name=False) != first
    os.utime(files["certFile"], (1, 1))
    profile.client_domain(verify_host_name=True)
    assert profile._domains[(1, True, False)][0] == profile.stamps()


@pytest.mark.parametrize("damage", ["missing", "nonsense"])
def test_unusable_files_are_an_error_that_names_the_profile(tmp_path: Path, damage: str) -> None:
    files = credentials(tmp_path / "certs")
    if damage == "missing":
        files["certFile"].unlink()
    else:
        files["certFile"].write_text("no certificate")
    profile = SslProfile({"name": "mine", **{key: str(path) for key, path in files.items()}})
    with pytest.raises(TlsError, match="mine"):
        profile.server_domain(demand_certificate=True, allow_plain=False)
