"""The unit file: what systemd's own parser makes of it is tested in test_systemd.py; here, what it says."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.paths import paths_for
from skupper_podman.supervisor.unit import UnitSettings, command_in, is_edited, passed_on, unit_content

USER = paths_for(1000, {}, Path("/home/alice"))
ROOT = paths_for(0, {}, Path("/root"))


def parsed(text: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(text)
    return found


def test_it_is_really_supervised() -> None:
    unit = parsed(unit_content(UnitSettings("/opt/py/bin/python", USER, "west")))
    service = unit["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert "RemainAfterExit" not in service
    assert int(service["WatchdogSec"]) > 0
    assert service["ExecStart"] == '"/opt/py/bin/python" -m skupper_podman.supervisor'
    assert service["RestartPreventExitStatus"] == service["SuccessExitStatus"] == "3"
    assert unit["Unit"]["Description"] == "Skupper site west"
    assert unit["Install"]["WantedBy"] == "default.target"


def test_a_user_unit_asks_for_nothing_a_user_cannot_have() -> None:
    text = unit_content(UnitSettings("/opt/py/bin/python", USER, "west"))
    for word in ("network-online", "CapabilityBoundingSet", "Protect", "Private", "User="):
        assert word not in text


def test_the_system_unit_is_confined_more() -> None:
    text = unit_content(UnitSettings("/opt/py/bin/python", ROOT, "west"))
    assert "After=network-online.target" in text
    assert "ProtectSystem=strict" in text
    assert 'ReadWritePaths="/usr/local/bin" /run -/var/lib/containers' in text


def test_variables_are_passed_on() -> None:
    env = {"XDG_DATA_HOME": "/d", "PODMAN_ENDPOINT": "", "SECRET": "s", "CONTAINER_HOST": "unix:///x"}
    assert passed_on(env) == (("XDG_DATA_HOME", "/d"), ("CONTAINER_HOST", "unix:///x"))
    text = unit_content(UnitSettings("/p", USER, "west", passed_on(env)))
    assert 'Environment="XDG_DATA_HOME=/d"\nEnvironment="CONTAINER_HOST=unix:///x"\n' in text


@pytest.mark.parametrize(
    ("python", "line"),
    [("/a b/py", '"/a b/py"'), ("/p%h", '"/p%%h"'), ("/p$x", '"/p$$x"'), ('/p"q', '"/p\\"q"'), ("/p\\n", '"/p\\\\n"')],
)
def test_quoting_of_a_command(python: str, line: str) -> None:
    assert f"ExecStart={line} -m" in unit_content(UnitSettings(python, USER, "west"))


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_value_can_add_a_line(name: str, value: str) -> None:
    plain = unit_content(UnitSettings("/p", USER, "x", (("A", "y"),))).count("\n")
    assert unit_content(UnitSettings("/p", USER, name, (("A", value),))).count("\n") == plain


def test_an_edited_unit_is_known_by_itself() -> None:
    content = unit_content(UnitSettings("/p", USER, "west")).encode()
    assert not is_edited(content)
    edited = (content[:-1], content.replace(b"always", b"no"), content + b"[Install]\n", b"# x\n" + content, b"")
    assert all(is_edited(item) for item in edited)


@pytest.mark.parametrize("python", ["/opt/py", "/a b/py", "/p%h", "/p$x", '/p"q', "/p\\n"])
def test_the_command_is_read_back(python: str) -> None:
    content = unit_content(UnitSettings(python, USER, "west")).encode()
    assert command_in(content) == f"{python} -m skupper_podman.supervisor"
