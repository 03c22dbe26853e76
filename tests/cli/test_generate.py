"""``generate unit``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from skupper_podman.model.site import SiteSpec
from tests.cli.memory import SITE_ID
from tests.cli.terminal import Terminal


@pytest.fixture
def site(skupper: Terminal) -> Terminal:
    skupper.platform.spec = SiteSpec("west", SITE_ID)
    return skupper


def test_without_a_site(skupper: Terminal) -> None:
    answer = skupper("generate", "unit")
    assert (answer.code, answer.out) == (1, "")
    assert "not enabled" in answer.err


def test_one_file_is_printed_as_it_is(site: Terminal) -> None:
    answer = site("generate", "unit")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "# Written by skupper init\n[Unit]\nDescription=west\n"
    assert site("generate", "unit", "--quadlet=false").out == answer.out


def test_several_files_each_have_their_name(site: Terminal) -> None:
    site.platform.warnings = ("for Podman 4.7",)
    answer = site("generate", "unit", "--quadlet")
    assert answer.out == (
        "# /quadlets/skupper.network\n# Written by skupper generate unit\n\n"
        "# /quadlets/skupper-router.container\n# Written by skupper generate unit\n"
    )
    assert answer.err == "Warning: for Podman 4.7\n"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_documents(site: Terminal, form: str) -> None:
    document = yaml.safe_load(site("generate", "unit", "--quadlet", "-o", form).out)
    assert (document["kind"], document["changed"]) == ("Units", False)
    assert document["data"]["unitKind"] == "quadlet"
    assert document["data"]["directory"] == "/quadlets"
    assert [file["name"] for file in document["data"]["files"]] == ["skupper.network", "skupper-router.container"]
    assert document["data"]["written"] == []


def test_files_are_written_once(site: Terminal, tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    words = ("generate", "unit", "--quadlet", "--output-directory", str(target))
    planned = site(*words, "--dry-run")
    assert (planned.code, target.exists()) == (0, False)
    answer = site(*words)
    assert answer.code == 0
    assert f"{target}/skupper.network\n" in answer.out
    assert "To use them, in /quadlets:\n  systemctl x\n" in answer.out
    assert {path.name: path.stat().st_mode & 0o7777 for path in target.iterdir()} == {
        "skupper.network": 0o644, "skupper-router.container": 0o644,
    }  # fmt: skip
    again = json.loads(site(*words, "-o", "json").out)
    assert again["changed"] is False
    assert again["data"]["written"] == [f"{target}/skupper.network", f"{target}/skupper-router.container"]
    (target / "skupper.network").chmod(0o600)
    assert json.loads(site(*words, "-o", "json").out)["changed"] is True
    assert (target / "skupper.network").stat().st_mode & 0o7777 == 0o644


def test_a_file_of_somebody_else_stays(site: Terminal, tmp_path: Path) -> None:
    (tmp_path / "skupper-podman.service").write_text("mine\n")
    answer = site("generate", "unit", "--output-directory", str(tmp_path))
    assert answer.code == 1
    assert "was not written by skupper" in answer.err
    assert (tmp_path / "skupper-podman.service").read_text() == "mine\n"


def test_what_was_written_before_a_failure_is_taken_back(site: Terminal, tmp_path: Path) -> None:
    (tmp_path / "skupper-router.container").mkdir()
    answer = site("generate", "unit", "--quadlet", "--output-directory", str(tmp_path))
    assert answer.code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["skupper-router.container"]
