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
        ("warn", {"warning"}),
        ("notice+", {"info", "warning", "error", "critical"}),
        ("debug; critical", {"debug", "critical"}),
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


def test_source_is_that_of_the_caller_and_is_shown_on_request(tmp_path: Path) -> None:
    log = Log()
    log.configure("DEFAULT", {"outputFile": str(tmp_path / "log"), "includeTimestamp": False})
    log.info("ROUTER", "plain")
    log.configure("ROUTER", {"includeSource": True})
    log.info("ROUTER", "with source")
    assert re.fullmatch(
        r"ROUTER \(info\) plain\nROUTER \(info\) with source \(tests/routerd/runtime/test_log.py:\d+\)\n",
        (tmp_path / "log").read_text(),
    )
    assert log.recent[-1].file == "tests/routerd/runtime/test_log.py"


def test_settings_are_reported_as_given_and_outputs_are_closed(tmp_path: Path) -> None:
    log = Log()
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for number in range(10):
        log.configure("HTTP", {"enable": "warn, Error", "outputFile": str(tmp_path / f"log{number}")})
    log.configure("SERVER", {"outputFile": str(tmp_path / "log9")})
    assert log.settings("HTTP") == {
        "module": "HTTP", "enable": "warn, Error", "includeTimestamp": None, "includeSource": None,
        "outputFile": str(tmp_path / "log9"),
    }  # fmt: skip
    with pytest.raises(OSError, match="no-such-directory"):
        log.configure("HTTP", {"enable": "debug+", "outputFile": str(tmp_path / "no-such-directory" / "log")})
    assert log.settings("HTTP")["enable"] == "warn, Error"
    assert len(list(descriptors.iterdir())) - before <= 2


def test_what_the_flow_log_says_of_itself_is_no_flow_record() -> None:
    log = Log()
    log.configure("DEFAULT", {"outputFile": "/dev/null"})
    seen: list[str] = []
    log.on_problem = lambda entry: seen.append(entry.module)
    log.warning("FLOW_LOG", "a")
    log.error("SERVER", "b")
    assert seen == ["SERVER"]


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
    for number in range(2000):
        log.info("ROUTER", "x" * 10_000 + str(number))
    assert len(log.recent) <= 1000
    assert all(len(entry.text) <= 2000 for entry in log.recent)
