"""What doctor says of gateways, by what the site keeps of each and what is installed on its host."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from skupper_podman.desired.names import DEFAULT
from skupper_podman.model.gateway import GatewayDefinition, GatewayRecord, GatewayStatus
from skupper_podman.model.site import SiteSpec
from skupper_podman.platform.podman.doctorgateways import _finding, _left_over

MADE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
YEAR = 365 * DAY
RECORD = GatewayRecord(GatewayDefinition("yard"), "bundle", "", 2, MADE, MADE + YEAR, "west", 45671, "r")


@pytest.mark.parametrize(
    ("days", "result", "says"),
    [
        (10, "ok", "connected, generation 2, credential until 2027-01-01"),
        (240, "ok", "connected"),  # it is due about now, and a host may be off for a day or two
        (255, "warn", "its credential ends 2027-01-01, and was not renewed"),
    ],
)
def test_a_renewal_that_is_overdue(days: int, result: str, says: str) -> None:
    found = _finding(GatewayStatus(RECORD, True), YEAR, MADE + days * DAY)
    assert (found.result, found.subject) == (result, "yard")
    assert found.cause.startswith(says)
    assert ("./launch.py --status" in found.fix) is (result == "warn")


@pytest.mark.parametrize(
    ("connected", "days", "result"), [(None, 1, "unknown"), (False, 1, "warn"), (False, 366, "fail")]
)
def test_only_what_ended_is_a_failure(connected: bool | None, days: int, result: str) -> None:
    status = GatewayStatus(RECORD, connected, problem="it is off", fix="switch it on")
    found = _finding(status, YEAR, MADE + days * DAY)
    assert (found.result, found.cause, found.fix) == (result, "it is off", "switch it on")


def test_what_is_installed_here_and_was_deleted_at_the_site(tmp_path: Path) -> None:
    top = tmp_path / "skupper"
    for kind, name, site in (
        ("bundle", "yard", "here"), ("bundle", "known", "here"), ("bundle", "far", "elsewhere"),
        ("cluster", "own one", "here"),
    ):  # fmt: skip
        (top / kind / name / "bundles" / "1").mkdir(parents=True)
        (top / kind / name / "state.json").write_text(json.dumps({"site": site}))
    program = top / "bundle" / "yard" / "bundles" / "1" / "remove.py"
    program.touch()
    (top / "bundle" / "half").mkdir()
    trees = SimpleNamespace(tree=lambda _volume: SimpleNamespace(names=lambda: ("known",)))
    site: Any = SimpleNamespace(
        names=DEFAULT, volumes={DEFAULT.gateways: None}, trees=trees, spec=SiteSpec("west", "here")
    )
    context: Any = SimpleNamespace(uid=1000, env={"XDG_DATA_HOME": str(tmp_path)})
    found = {item.subject: item.fix for item in _left_over(context, site)}
    assert found == {"yard": f"python3 {program}", "own one": f"rm -r '{top}/cluster/own one'"}
