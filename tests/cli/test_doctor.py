"""``doctor`` and ``debug`` as a user sees them."""

import datetime
import json
import tarfile
from pathlib import Path

import pytest

from skupper_podman.errors import PlatformError
from skupper_podman.model.doctor import BY_ID, CHECKS, GROUPS, Finding, selected
from skupper_podman.model.events import Happening, grouped
from tests.cli.memory import MemoryPlatform
from tests.cli.terminal import NOW, Terminal

PAUSED = Finding(
    "container", "fail", "paused", "podman unpause skupper-router", "skupper-router", remedy="unpause skupper-router"
)
SILENT = Finding("router-management", "fail", "it is silent", "podman restart x", remedy="restart skupper-router")


def test_every_check_has_a_group_and_its_own_id() -> None:
    assert {check.group for check in CHECKS} == set(GROUPS)
    assert len(BY_ID) == len(CHECKS)
    assert selected(["links", "disk-full"]) == {"link", "disk-full"}
    assert selected([]) == set(BY_ID)


def test_all_well(site: Terminal) -> None:
    answer = site("doctor")
    assert answer.code == 0
    assert answer.out == ("site\n  ok       site: west\nlinks\n  ok       link link1: connected\n\n2 checks: 2 ok\n")


def test_what_is_broken_is_said_with_its_fix(site: Terminal, platform: MemoryPlatform) -> None:
    platform.findings += (PAUSED,)
    answer = site("doctor")
    assert answer.code == 1
    assert "  fail     container skupper-router: paused\n           fix: podman unpause skupper-router\n" in answer.out
    document = site("doctor", "-o", "json").data
    assert document["summary"] == {"ok": 2, "warn": 0, "fail": 1, "unknown": 0, "skipped": 0}
    assert document["checks"][-1]["remedy"] == "unpause skupper-router"


@pytest.mark.parametrize(("result", "code"), [("ok", 0), ("warn", 0), ("skipped", 0), ("fail", 1), ("unknown", 1)])
def test_exit_code(site: Terminal, platform: MemoryPlatform, result: str, code: int) -> None:
    platform.findings = (Finding("site", result, "x", "y"),)  # type: ignore[arg-type]
    assert site("doctor").code == code


def test_selection(site: Terminal, platform: MemoryPlatform) -> None:
    assert site("doctor", "--check", "links", "--check", "traffic").code == 0
    assert platform.examined == [frozenset({"link", "traffic"})]
    answer = site("doctor", "--check", "liver")
    assert answer.code == 2
    assert "no such check" in answer.err


def test_fix_mends_and_looks_again(site: Terminal, platform: MemoryPlatform) -> None:
    platform.findings += (PAUSED,)
    answer = site("doctor", "--fix", "-o", "json")
    assert answer.code == 0
    document = json.loads(answer.out)
    assert document["changed"] is True
    assert [item["remedy"] for item in document["data"]["remedies"]] == ["unpause skupper-router"]
    assert document["data"]["summary"]["fail"] == 0


def test_dry_run_shows_the_plan_and_does_nothing(site: Terminal, platform: MemoryPlatform) -> None:
    platform.findings += (PAUSED,)
    answer = site("doctor", "--fix", "--dry-run")
    assert "Apply unpause skupper-router\n  run unpause skupper-router\nNothing has been changed.\n" in answer.out
    assert answer.code == 1
    assert PAUSED in platform.findings
    assert site("doctor", "--dry-run").code == 2


def test_a_remedy_that_fails_stops_no_other(site: Terminal, platform: MemoryPlatform) -> None:
    platform.findings += (PAUSED, SILENT)
    platform.broken_step = PlatformError("it is gone")
    answer = site("doctor", "--fix")
    assert answer.code == 1
    assert "Apply unpause skupper-router: failed: it is gone\n" in answer.out
    assert "Apply restart skupper-router: failed: it is gone\n" in answer.out
    assert site.seconds >= 15  # what is restarted had time to recover before


def test_without_a_site(skupper: Terminal) -> None:
    answer = skupper("doctor")
    assert answer.code == 1
    assert "fix: skupper init" in answer.out


class TestDump:
    def test_the_archive(self, site: Terminal, tmp_path: Path) -> None:
        answer = site("debug", "dump", str(tmp_path / "mine"))
        path = tmp_path / "mine.tar.gz"
        assert answer.out == f"Skupper dump details written to compressed archive:  {path}\n"
        assert answer.err == "Warning: not in the archive: containers: Podman does not answer\n"
        assert answer.code == 0
        assert path.stat().st_mode & 0o777 == 0o600
        with tarfile.open(path) as archive:
            names = archive.getnames()
            assert {entry.mode for entry in archive.getmembers()} == {0o600}
        assert {"skupper-info/doctor.json", "skupper-info/doctor.txt", "errors.txt"} <= {
            name.lstrip("/") for name in names
        }
        assert [file.name for file in tmp_path.iterdir() if "mine" in file.name] == ["mine.tar.gz"]

    def test_names(self, site: Terminal, tmp_path: Path) -> None:
        assert site("debug", "dump", str(tmp_path / "my.site")).code == 0
        assert (tmp_path / "my.site").exists()
        answer = site("debug", "dump", str(tmp_path / "absent" / "x"))
        assert answer.code == 1
        assert "Unable to save skupper dump details" in answer.err

    def test_without_a_site(self, skupper: Terminal, tmp_path: Path) -> None:
        assert skupper("debug", "dump", str(tmp_path / "x")).code == 0


class TestEvents:
    ITEMS = tuple(
        Happening(NOW - datetime.timedelta(minutes=age), name, message)
        for age, name, message in (
            (9, "ContainerEvent", "container db: died with exit code 1"),
            (8, "ContainerEvent", "container db: start"),
            (7, "ContainerEvent", "container db: died with exit code 1"),
            (3, "Supervisor", "restart skupper-controller-podman: nothing listens on its port, and so on and on"),
            (3000, "Supervisor", "long ago"),
        )
    )

    def test_table(self, site: Terminal, platform: MemoryPlatform) -> None:
        platform.happenings = self.ITEMS
        platform.event_problems = ("the journal cannot be read",)
        answer = site("debug", "events")
        lines = answer.out.splitlines()
        assert lines[0].split() == ["NAME", "COUNT", "AGE"]
        assert lines[1].split() == ["Supervisor", "1", "3m0s"]
        assert lines[4].split() == ["ContainerEvent", "3", "7m0s"]
        assert lines[5].split() == ["2", "container", "db:", "died", "with", "exit", "code", "1", "7m0s"]
        assert answer.err == "Warning: the journal cannot be read\n"

    def test_json_and_since(self, site: Terminal, platform: MemoryPlatform) -> None:
        platform.happenings = self.ITEMS
        assert [group["name"] for group in json.loads(site("debug", "events", "-v").out)] == [
            "Supervisor", "ContainerEvent",
        ]  # fmt: skip
        groups = site("debug", "events", "--since", "100h", "-o", "json").data["groups"]
        assert groups[0]["total"] == 2
        assert site("debug", "events", "--since", "0s").code == 2

    def test_five_messages_of_each(self) -> None:
        many = [Happening(NOW + datetime.timedelta(seconds=n), "A", f"m{n}") for n in range(9)]
        (group,) = grouped(many)
        assert group.total == 9
        assert [count.message for count in group.counts] == ["m8", "m7", "m6", "m5", "m4"]


def test_debug_service(site: Terminal) -> None:
    site("service", "create", "backend", "8080")
    answer = site("debug", "service", "backend")
    assert answer.code == 1
    assert answer.out.endswith("There are no egress bindings\n")
    site("service", "bind", "backend", "host", "web")
    answer = site("debug", "service", "backend")
    assert answer.code == 0
    assert "  ok       target web: open\n\nNo issues found\n" in answer.out
    assert site("debug", "service", "backend", "-o", "json").data["hops"][0]["kind"] == "target"
    assert site("debug", "service", "nothing").code == 1
