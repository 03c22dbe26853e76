"""Log lines, levels and what is kept of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from skupper_podman.routerd.log import Log, parse_enable


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("info+", {"info", "warning", "error", "critical"}),
        ("debug,error", {"debug", "error"}),
        ("none", set()),
        ("trace+", {"debug", "info", "warning", "error", "critical"}),
        ("WARNING+", {"warning", "error", "critical"}),
    ],
)
def test_levels(text: str, levels: set[str]) -> None:
    assert parse_enable(text) == levels


def test_default_levels_are_those_of_the_default_module() -> None:
    assert parse_enable("default") is None
    with pytest.raises(ValueError, match="loud"):
        parse_enable("loud+")


def test_line_has_the_form_of_skrouterd(tmp_path: Path) -> None:
    log = Log(lambda: 1_700_000_000.25, utc=True)
    log.configure("SERVER", {"outputFile": str(tmp_path / "log")})
    log.info("SERVER", "two\nlines")
    log.debug("SERVER", "not enabled")
    assert (tmp_path / "log").read_text() == "2023-11-14 22:13:20.250000 +0000 SERVER (info) two lines\n"


def test_module_settings_override_the_default(tmp_path: Path) -> None:
    log = Log()
    log.configure("DEFAULT", {"enable": "error+", "outputFile": str(tmp_path / "log"), "includeTimestamp": False})
    log.configure("ROUTER_LS", {"enable": "debug+"})
    log.info("ROUTER", "quiet")
    log.debug("ROUTER_LS", "loud")
    assert (tmp_path / "log").read_text() == "ROUTER_LS (debug) loud\n"
    assert log.settings("ROUTER_LS")["enable"] == "debug+"
    assert log.counts["ROUTER", "info"] == 1


def test_problems_reach_the_flow_log() -> None:
    log = Log()
    log.configure("DEFAULT", {"enable": "critical"})
    log.configure("SERVER", {"enable": "info+"})
    seen: list[str] = []
    log.on_problem = lambda entry: seen.append(entry.level)
    log.info("SERVER", "a")
    log.warning("SERVER", "b")
    assert seen == ["warning"]


def test_broken_pipe_costs_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def write(self, _text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    log = Log()
    log.error("ROUTER", "nobody reads this")
    assert re.fullmatch("nobody reads this", log.recent[-1].text)


def test_what_is_kept_is_bounded() -> None:
    log = Log()
    log.configure("DEFAULT", {"outputFile": "/dev/null"})
    for number in range(1000):
        log.info("ROUTER", "x" * 10_000 + str(number))
    assert len(log.recent) <= 100
    assert all(len(entry.text) <= 2000 for entry in log.recent)
