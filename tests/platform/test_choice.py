from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.errors import UsageError
from skupper_podman.platform.choice import (
    PLATFORMS,
    Choice,
    PlatformName,
    Switch,
    choose,
    load_switch,
    parse_switch,
    platform_name,
    render_switch,
    save_switch,
    switched,
    switched_back,
)

FILE = Path("/data/platform.yaml")
names = st.sampled_from(PLATFORMS)
switches = st.builds(Switch, st.none() | names, st.none() | names)
texts = st.sampled_from(("", "podman", "kubernetes", "docker", "Podman", " podman"))


@pytest.mark.parametrize(
    ("flag", "variable", "current", "expected"),
    [
        ("podman", "kubernetes", "kubernetes", Choice("podman", "--platform")),
        ("", "podman", "kubernetes", Choice("podman", "SKUPPER_PLATFORM")),
        ("", "", "podman", Choice("podman", "/data/platform.yaml")),
        ("", "", None, Choice("kubernetes", "default")),
    ],
)
def test_order(flag: str, variable: str, current: PlatformName | None, expected: Choice) -> None:
    assert choose(flag, {"SKUPPER_PLATFORM": variable}, Switch(current), FILE) == expected


@given(texts, texts, switches)
def test_the_first_that_is_given_decides(flag: str, variable: str, switch: Switch) -> None:
    given_text = flag or variable
    if given_text and given_text not in PLATFORMS:
        with pytest.raises(UsageError, match=f"invalid platform: {given_text}") as caught:
            choose(flag, {"SKUPPER_PLATFORM": variable}, switch, FILE)
        assert ("--platform" if flag else "SKUPPER_PLATFORM") in caught.value.message
        return
    choice = choose(flag, {"SKUPPER_PLATFORM": variable}, switch, FILE)
    assert choice.platform == (given_text or switch.current or "kubernetes")


def test_platform_name() -> None:
    assert platform_name("podman") == "podman"
    with pytest.raises(UsageError, match=r"^invalid platform: x$"):
        platform_name("x")


def test_file_of_19_is_read() -> None:
    assert parse_switch(b"current: podman\nprevious: kubernetes\n") == Switch("podman", "kubernetes")


def test_file_is_written_as_by_19() -> None:
    assert render_switch(Switch("podman", "kubernetes")) == b"current: podman\nprevious: kubernetes\n"


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\xff\xfe\x00",
        b"[1, 2",
        b"- a",
        b"current: docker",
        b"current: [podman]",
        b"current: null",
        b"{}",
        b"7",
    ],
)
def test_an_unusable_file_is_as_good_as_none(content: bytes | None) -> None:
    assert parse_switch(content) == Switch()


@given(st.binary(max_size=200))
def test_no_content_is_an_error(content: bytes) -> None:
    parse_switch(content)


@given(switches, names)
def test_switching_back_returns_to_what_was_in_force(switch: Switch, platform: PlatformName) -> None:
    before = switch.current or "kubernetes"
    after = switched(switch, platform)
    assert after.current == platform
    if before != platform:
        assert switched_back(after) == Switch(before, platform)


def test_first_switch_can_be_taken_back() -> None:
    """In 1.9 it could not (defect D13)."""
    assert switched(Switch(), "podman") == Switch("podman", "kubernetes")
    assert switched_back(switched(Switch(), "podman")).current == "kubernetes"


def test_switching_to_what_is_in_force_keeps_the_way_back() -> None:
    assert switched(Switch("podman", "kubernetes"), "podman") == Switch("podman", "kubernetes")


@given(switches)
def test_round_trip(switch: Switch) -> None:
    parsed = parse_switch(render_switch(switch))
    assert parsed == Switch(switch.current or "kubernetes", switch.previous or "kubernetes")


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "skupper" / "platform.yaml"
    assert load_switch(path) == Switch()
    save_switch(path, Switch("podman", "kubernetes"))
    assert load_switch(path) == Switch("podman", "kubernetes")
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.parent.stat().st_mode & 0o777 == 0o755
    assert load_switch(tmp_path) == Switch()
