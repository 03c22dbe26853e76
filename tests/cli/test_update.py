"""``update``, ``revoke-access``, ``service label``, ``version manifest``, ``man``: what they print, to the letter."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from skupper_podman.cli import catalog
from skupper_podman.errors import ConflictError
from tests.cli.memory import MemoryPlatform
from tests.cli.terminal import Terminal

TASKS = ("Updates skupper podman container images", "Updates current version number")


def test_update(site: Terminal, platform: MemoryPlatform) -> None:
    assert site("update").out == "No update required for 'jdoe'.\n"
    assert site("update", "--verbose").out == "Nothing to do\nNo update required for 'jdoe'.\n"
    platform.tasks, platform.ahead = TASKS, ("skupper-router restarts",)
    answer = site("update", "--dry-run")
    assert answer.out == "Update site vm1-jdoe-c3d98\n  run restart of everything\nNothing has been changed.\n"
    assert answer.err == "Warning: skupper-router restarts\n"
    answer = site("update", "--verbose")
    assert answer.out == (
        "Task: 1/2 - version: all - priority: 1 - Updates skupper podman container images\n\n"
        "Task: 2/2 - version: all - priority: 2 - Updates current version number\n\n"
        "Skupper is now updated for 'jdoe'.\n"
    )
    assert site("update", "-o", "json").data["action"] == "unchanged"
    assert site("update", "--force-restart", "-o", "json").data["action"] == "updated"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["update", "--timeout=0s"], "invalid timeout value"),
        (["update", "x"], 'unknown command "x" for "skupper update"'),
        (["revoke-access", "x"], 'unknown command "x" for "skupper revoke-access"'),
        (["service", "label"], "service name is required"),
        (["service", "label", "a", "b="], "no value provided to label b"),
        (["service", "label", "a", "b"], "invalid label [b], use key=value or key- (to remove)"),
        (["service", "label", "a", "-"], "invalid label [-], use key=value or key- (to remove)"),
        (["service", "label", "a", "=x"], "invalid label [=x], use key=value or key- (to remove)"),
    ],
)
def test_wrong_usage(site: Terminal, words: list[str], error: str) -> None:
    answer = site(*words)
    assert answer.code == 2
    assert answer.err.startswith(f"Error: {error}\n")


def test_revoke_access(site: Terminal, platform: MemoryPlatform) -> None:
    platform.ahead = ("all tokens end",)
    answer = site("revoke-access", "--dry-run")
    assert answer.out == (
        "Revoke access to site vm1-jdoe-c3d98\n"
        "  create certificate authority skupper-site-ca\n"
        "Nothing has been changed.\n"
    )
    answer = site("revoke-access")
    assert answer.err == "Warning: all tokens end\n"
    assert answer.out == (
        "Access granted so far is revoked; sites that may link to this one need a new token: skupper token create\n"
    )


def test_labels_of_a_service(site: Terminal) -> None:
    site("service", "create", "backend", "8080")
    assert site("service", "label", "backend").out == "backend has no labels\n"
    assert site("service", "label", "backend", "team=a", "stage=x").out == "Labels of service backend changed\n"
    answer = site("service", "label", "backend", "stage-", "app=backend")
    assert answer.out == "Labels of service backend changed\n"
    assert site("service", "label", "backend").out == "backend\n╰─ Labels:\n   ├─ app=backend\n   ╰─ team=a\n"
    assert site("service", "label", "backend", "-o", "json").data["labels"] == {"app": "backend", "team": "a"}
    assert site("service", "label", "backend", "team=a", "x-").out == (
        "Labels of service backend are as asked for already\n"
    )
    answer = site("service", "label", "nope")
    assert (answer.code, answer.err.partition("\n")[0]) == (1, "Error: Service nope not defined")


def test_sites_that_may_use_a_service(site: Terminal) -> None:
    site("service", "create", "backend", "8080")
    assert site("service", "allow-site", "backend").out == "backend may be used by every site\n"
    changed = "Sites that may use service backend changed\n"
    assert site("service", "allow-site", "backend", "west", "east").out == changed
    assert site("service", "allow-site", "backend", "north", "--remove", "west").out == changed
    assert site("service", "allow-site", "backend").out == "backend may be used by east, north\n"
    assert site("service", "allow-site", "backend", "-o", "json").data["allowedSites"] == ["east", "north"]
    assert site("service", "allow-site", "backend", "east").out == (
        "Sites that may use service backend are as asked for already\n"
    )
    answer = site("service", "allow-site", "backend", "--remove=east,north")
    assert answer.code == 2
    assert answer.err.startswith("Error: no site would be left that may use service backend\n")
    assert site("service", "allow-site", "backend", "--all").out == changed
    assert site("service", "allow-site", "backend", "-o", "json").data["allowedSites"] == []
    answer = site("service", "allow-site", "backend", "west", "--all")
    assert answer.code == 2
    assert answer.err.startswith("Error: --all goes with no site: it lets every site use the service\n")
    assert site("service", "allow-site", "nope").err.partition("\n")[0] == "Error: Service nope not defined"
    assert site("service", "allow-site").err.partition("\n")[0] == "Error: service name is required"


def test_manifest(skupper: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    skupper.env["QDROUTERD_IMAGE"] = "registry.example/router:1"
    skupper.env["OAUTH_PROXY_IMAGE_REGISTRY"] = "registry.example/oauth"
    answer = skupper("version", "manifest")
    assert answer.out == "manifest.json file successfully generated in the current directory.\n"
    text = (tmp_path / "manifest.json").read_text()
    assert text.startswith('{\n   "images": [\n      {\n         "name": "registry.example/router:1",\n')
    assert not text.endswith("\n")
    document = json.loads(text)
    assert [image["name"].rpartition("/")[2] for image in document["images"]] == [
        "router:1", "service-controller:1.9.6", "controller-podman:1.9.6", "config-sync:1.9.6", "flow-collector:1.9.6",
        "site-controller:1.9.6", "prometheus:v2.55.1", "origin-oauth-proxy:4.18.0",
    ]  # fmt: skip
    assert document["images"][-1] == {"name": "registry.example/oauth/origin-oauth-proxy:4.18.0"}
    assert document["variables"] == {
        "OAUTH_PROXY_IMAGE_REGISTRY": "registry.example/oauth", "QDROUTERD_IMAGE": "registry.example/router:1",
    }  # fmt: skip
    answer = skupper("version", "manifest")
    assert answer.code == 1
    assert answer.err.startswith("Error: The file manifest.json already exists in the current directory.\n")
    assert (tmp_path / "manifest.json").read_text() == text


def test_manual(skupper: Terminal, tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "docs"
    answer = skupper("man", "--output-directory", str(directory))
    assert answer.code == 0
    commands = [path for path in catalog.COMMANDS if path not in ("help", "man")]
    assert len(list(directory.glob("*.1"))) == len(list(directory.glob("*.md"))) == len(commands)
    page = (directory / "skupper-link-create.1").read_text()
    assert page.startswith('.TH "SKUPPER-LINK-CREATE" "1"')
    assert "\\-\\-cost int32" in page
    text = (directory / "skupper_service.md").read_text()
    for target in text.split("](")[1:]:
        assert (directory / target.partition(")")[0]).exists()
    if shutil.which("groff"):
        for file in directory.glob("*.1"):
            shown = subprocess.run(["groff", "-man", "-Tascii", "-ww", str(file)], capture_output=True, text=True)
            assert (shown.returncode, shown.stderr) == (0, "")
    assert "man" not in skupper("--help").out.split()
    (tmp_path / "file").write_text("")
    answer = skupper("man", "--output-directory", str(tmp_path / "file"))
    assert answer.err.startswith(f"Error: {tmp_path}/file is not a directory\n")


def test_failures_of_the_platform_are_told(site: Terminal, platform: MemoryPlatform) -> None:
    platform.broken_step = ConflictError("it is not to be", "do something else")
    for words in (["update", "--force-restart"], ["revoke-access"]):
        answer = site(*words)
        assert (answer.code, answer.err) == (1, "Error: it is not to be\nHint: do something else\n")
