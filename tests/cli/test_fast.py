"""The fast answers are those of the full program, or none."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skupper_podman.cli import app, fast
from skupper_podman.cli.world import real_world, router_image
from skupper_podman.paths import paths_for
from skupper_podman.platform.podman import endpoint

Environment = os._Environ[str]
LINES = [
    ["version"], ["--help"], ["-h"], ["help"], [], ["--platform", "podman", "version"],
    ["version", "--platform=podman"], ["--platform=kubernetes", "version"], ["--platform", "kubernetes"],
    ["--platform=", "version"], ["version", "--help"], ["version", "x"], ["version", "-o", "json"], ["--platform"],
    ["--platform", "docker", "version"], ["--platform=podman", "--platform=kubernetes", "version"],
    ["version", "--"], ["help", "version"], ["status"],
]  # fmt: skip
VALUES = st.sampled_from(["", "podman", "kubernetes", "docker"])
DIRECTORIES = st.sampled_from([None, "", "/nowhere/at/all", "relative"])
CONTENTS = st.sampled_from(
    [
        None, "", "current: podman\nprevious: kubernetes\n", "current: kubernetes\nprevious: podman\n",
        "current: podman\n", "previous: podman\ncurrent: podman\n", "current: 'podman'\nprevious: podman\n",
        "current: docker\nprevious: podman\n", "{current: podman}", "\xff", "current: podman\nprevious: x: y\n",
    ]
)  # fmt: skip
ENDPOINTS = st.sampled_from(
    [
        None, "", 'endpoint: ""\n', 'endpoint: "unix:///x/a.sock"\n', "endpoint: unix:///x/b.sock\n", "endpoint: ''\n",
        'endpoint: "/x/c.sock"\n', 'endpoint: "tcp://h:1"\n', "endpoint: [", 'endpoint: "a\\tb"\n',
        'endpoint: "x" # y\n',
    ]
)  # fmt: skip


def environment(values: dict[str, str | None]) -> Environment:
    return cast(Environment, {name: value for name, value in values.items() if value is not None})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.sampled_from(LINES), VALUES, CONTENTS, ENDPOINTS, DIRECTORIES)
def test_the_same_or_none(
    tmp_path: Path, words: list[str], variable: str, switch: str | None, saved: str | None, runtime: str | None
) -> None:
    for name, content in (("platform.yaml", switch), ("podman.yaml", saved)):
        path = tmp_path / name
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content.encode("latin-1"))
    env = environment(
        {"SKUPPER_DATA_HOME": str(tmp_path), "SKUPPER_PLATFORM": variable, "XDG_RUNTIME_DIR": runtime, "HOME": "/h"}
    )
    text = fast.answer(words, env)
    if text is None:
        return
    out: list[str] = []
    world = replace(real_world(), env=env, write_out=out.append, write_err=out.append)
    assert app.run(words, world) == 0
    assert "".join(out) == text


@given(st.integers(0, 2), DIRECTORIES, DIRECTORIES, DIRECTORIES)
def test_directories_are_those_of_paths(uid: int, own: str | None, xdg: str | None, home: str | None) -> None:
    env = environment({"SKUPPER_DATA_HOME": own, "XDG_DATA_HOME": xdg, "HOME": home})
    found = fast._data_home(uid, env)
    if found:
        assert found == str(paths_for(uid, env, Path("/unknown")).data_home)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2), DIRECTORIES, ENDPOINTS, st.sampled_from(["", "/v.sock", "unix:///v.sock", "tcp://h:1", " /x"])
)
def test_sockets_are_those_of_the_endpoint_rules(
    tmp_path: Path, uid: int, runtime: str | None, saved: str | None, variable: str
) -> None:
    path = tmp_path / "podman.yaml"
    path.unlink(missing_ok=True)
    if saved is not None:
        path.write_text(saved)
    env = environment(
        {"SKUPPER_DATA_HOME": str(tmp_path), "XDG_RUNTIME_DIR": runtime, "CONTAINER_HOST": variable, "HOME": "/h"}
    )
    found = fast._socket(uid, env)
    if found is not None:
        stored = endpoint.parse_document(saved.encode() if saved else None)
        default = paths_for(uid, env, Path("/h")).default_socket
        assert found == str(endpoint.resolve("", stored, env, default).socket)


@pytest.mark.parametrize("words", [["version"], ["--help"], [], ["--platform", "podman", "version"]])
def test_the_plain_forms_are_answered(tmp_path: Path, words: list[str]) -> None:
    env = environment({"SKUPPER_PLATFORM": "podman", "SKUPPER_DATA_HOME": str(tmp_path)})
    assert fast.answer(words, env) is not None
    assert fast.answer(words, environment({"SKUPPER_DATA_HOME": str(tmp_path)})) is not None


def test_a_silent_image_is_no_image(tmp_path: Path) -> None:
    env = {"SKUPPER_DATA_HOME": str(tmp_path), "CONTAINER_HOST": f"unix://{tmp_path}/none.sock"}
    assert router_image(replace(real_world(), env=env)) is None
    (tmp_path / "podman.yaml").write_text("endpoint: [")
    assert router_image(replace(real_world(), env=env)) is None
