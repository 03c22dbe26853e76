"""``apply`` and ``export``: what they print, to the letter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from skupper_podman.desired.tokens import dump_token, parse_token
from skupper_podman.errors import PlatformError
from skupper_podman.model.service import Target
from tests.cli.memory import MemoryPlatform, token_text
from tests.cli.terminal import Answer, Terminal

TEXT = """\
kind: ConfigMap
metadata: {name: skupper-site}
data: {name: west, ingress-host: west.example.com}
---
kind: ConfigMap
metadata: {name: skupper-services}
data:
  backend: '{"ports":[8080],"targets":[{"host":"web","targetPorts":{"8080":9090}}],"labels":{"team":"a"}}'
  db: '{"ports":[5432]}'
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(TEXT + "---\n" + token_text().decode().replace("name: skupper", "name: uplink"))
    return path


def changed(answer: Answer) -> bool:
    return bool(json.loads(answer.out)["changed"])


def test_a_site_from_a_file(skupper: Terminal, platform: MemoryPlatform, file: Path) -> None:
    answer = skupper("apply", "-f", str(file), "--dry-run")
    assert answer.out == (
        "Apply to site west\n"
        "  create site west\n"
        "  create service backend\n"
        "  create service db\n"
        "  create link uplink\n"
        "Nothing has been changed.\n"
    )
    assert platform.spec is None
    answer = skupper("apply", "-f", str(file))
    assert (answer.code, answer.out, answer.err) == (
        0, "site west created\nservice backend created\nservice db created\nlink uplink created\n", ""
    )  # fmt: skip
    assert platform.services_by_address["backend"].targets == (Target("web", ((8080, 9090),)),)
    platform.tokens["uplink"] = parse_token(token_text().replace(b"name: skupper", b"name: uplink"))
    answer = skupper("apply", "-f", str(file), "-o", "json")
    assert changed(answer) is False
    assert {item["action"] for item in answer.data["items"]} == {"unchanged"}
    assert skupper("apply", "-f", str(file), "--dry-run").out == "Site west is as described\nNothing to do.\n"


def test_changes(skupper: Terminal, platform: MemoryPlatform, file: Path) -> None:
    skupper("apply", "-f", str(file))
    skupper("service", "create", "extra", "80")
    text = TEXT.replace("west.example.com", "east.example.com").replace('"host":"web"', '"host":"other"')
    file.write_text(text.replace('"team":"a"', '"team":"b"').replace('"ports":[5432]', '"ports":[5433]'))
    answer = skupper("apply", "-f", str(file))
    assert answer.out == (
        "--ingress-host: west.example.com -> east.example.com\n"
        "site west changed\nservice backend changed\nservice db changed\n"
    )
    assert answer.err == "Warning: service db is made anew: what is connected to it is cut off\n"
    backend = platform.services_by_address["backend"]
    assert (backend.targets, backend.labels) == ((Target("other", ((8080, 9090),)),), {"team": "b"})
    assert platform.services_by_address["db"].ports == (5433,)
    assert "extra" in platform.services_by_address
    answer = skupper("apply", "-f", str(file), "--prune", "-o", "json")
    assert changed(answer) is True
    assert {item["name"]: item["action"] for item in answer.data["items"]} == {
        "west": "unchanged", "backend": "unchanged", "db": "unchanged", "extra": "deleted",
    }  # fmt: skip
    assert "extra" not in platform.services_by_address


def test_what_fails_takes_the_rest_back(site: Terminal, platform: MemoryPlatform, file: Path) -> None:
    file.write_text("---".join(TEXT.split("---")[1:]))
    make = platform.plan_service_create
    calls: list[str] = []

    def once_broken(service: object) -> object:
        calls.append(service.address)  # type: ignore[attr-defined]
        # Planned before anything is done, and again when its turn comes.
        if calls.count("db") == 2:
            raise PlatformError("no more room", "make room")
        return make(service)  # type: ignore[arg-type]

    platform.plan_service_create = once_broken  # type: ignore[method-assign,assignment]
    answer = site("apply", "-f", str(file))
    assert (answer.code, answer.err) == (1, "Error: no more room\nHint: make room\n")
    assert calls == ["backend", "db", "backend", "db"]
    assert platform.services_by_address == {}


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        ([], 2, "--file is required"),
        (["-f", "DIR/none"], 1, "DIR/none does not exist"),
        (["-f", "DIR"], 1, "DIR cannot be read: Is a directory"),
        (["-f", "DIR/site.yaml", "--timeout=0s"], 2, "invalid timeout value"),
    ],
)
def test_wrong_use(site: Terminal, file: Path, words: list[str], code: int, error: str) -> None:
    answer = site("apply", *(word.replace("DIR", str(file.parent)) for word in words))
    assert (answer.code, answer.err.partition("\n")[0]) == (code, "Error: " + error.replace("DIR", str(file.parent)))


def test_without_a_site_a_file_must_have_one(skupper: Terminal, file: Path) -> None:
    file.write_text("---".join(TEXT.split("---")[1:]))
    answer = skupper("apply", "-f", str(file))
    assert answer.err == "Error: Skupper is not enabled for user 'jdoe'\nHint: to create a site: skupper init\n"


def test_a_link_to_another_site_is_refused(skupper: Terminal, platform: MemoryPlatform, file: Path) -> None:
    skupper("apply", "-f", str(file))
    other = "496ca1de-0c80-4e70-bbb4-d0d6ec2a0000"
    platform.tokens["uplink"] = parse_token(token_text(other).replace(b"name: skupper", b"name: uplink"))
    answer = skupper("apply", "-f", str(file))
    assert answer.err.startswith("Error: link uplink leads to another site than the token in the file\n")


def test_export(skupper: Terminal, platform: MemoryPlatform, file: Path, tmp_path: Path) -> None:
    skupper("apply", "-f", str(file))
    platform.tokens["uplink"] = parse_token(token_text().replace(b"name: skupper", b"name: uplink"))
    answer = skupper("export")
    assert answer.err == ("Warning: links are left out: uplink (--secrets writes them, with their private keys)\n")
    documents = list(yaml.safe_load_all(answer.out))
    assert [document["metadata"]["name"] for document in documents] == ["skupper-site", "skupper-services"]
    assert documents[0]["data"] == {"name": "west", "ingress-host": "west.example.com"}
    written = tmp_path / "out.yaml"
    answer = skupper("export", "--secrets", "--file", str(written))
    assert (answer.out, answer.err) == (f"Site written to {written}\n", "")
    assert written.stat().st_mode & 0o777 == 0o600
    assert dump_token(platform.tokens["uplink"]) in written.read_bytes()
    answer = skupper("apply", "-f", str(written), "-o", "json")
    assert changed(answer) is False
    assert skupper("export", "-o", "json").data["documents"] == documents
