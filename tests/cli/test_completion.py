"""Shell completion, in a real bash."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skupper_podman.cli.shells import SCRIPTS
from skupper_podman.errors import EndpointError
from tests.cli.memory import MemoryPlatform, token_text
from tests.cli.terminal import Answer, Terminal


def words(answer: Answer) -> list[str]:
    assert (answer.code, answer.err) == (0, "")
    return [line.partition("\t")[0] for line in answer.out.splitlines()]


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        (["s"], ["service", "status", "switch"]),
        (["link", ""], ["create", "delete", "status", "update"]),
        (["help", "li"], ["link"]),
        (["help", "link", "c"], ["create"]),
        (["-"], ["--help", "--namespace", "--platform"]),
        (["switch", ""], ["kubernetes", "podman", "-"]),
        (["--platform", "k"], ["kubernetes"]),
        (["status", "--out"], ["--output"]),
        (["status", "-o", ""], ["text", "json", "yaml"]),
        (["status", "--output=j"], ["--output=json"]),
        (["status", "--output", "=", "y"], ["yaml"]),
        (["init", "--router", ""], ["auto", "image", "embedded"]),
        (["init", "--router-"], ["--router-mode", "--router-logging", "--router-cpu-limit", "--router-memory-limit"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["expose", ""], ["host"]),
        (["expose", "--protocol", "http"], ["http", "http2"]),
        (["token", "create", "x"], [":files"]),
        (["link", "create", "t", ""], []),
        (["gateway", "un"], ["unbind", "unexpose", "unforward"]),
        (["nope", ""], []),
    ],
)
def test_candidates(skupper: Terminal, line: list[str], candidates: list[str]) -> None:
    assert words(skupper("__complete", *line)) == candidates


def test_hidden_flags_are_not_offered(skupper: Terminal) -> None:
    assert not any("console" in word for word in words(skupper("__complete", "init", "--")))


def test_descriptions_follow_a_tab(skupper: Terminal) -> None:
    assert "status\tReport the status of the current Skupper site\n" in skupper("__complete", "st").out


def test_names_of_links_and_services(site: Terminal, tmp_path: Path) -> None:
    token = tmp_path / "t"
    token.write_bytes(token_text())
    site("link", "create", str(token), "--name=east")
    site("service", "create", "backend", "80")
    assert words(site("__complete", "link", "delete", "")) == ["east"]
    site("token", "create", str(tmp_path / "own"), "--name", "mine")
    assert words(site("__complete", "token", "revoke", "")) == ["mine"]
    assert words(site("__complete", "service", "bind", "b")) == ["backend"]
    assert words(site("__complete", "service", "bind", "--target-port=1", "backend", "")) == ["host"]


def test_without_a_platform_there_are_just_no_names(skupper: Terminal, platform: MemoryPlatform) -> None:
    assert words(skupper("__complete", "link", "delete", "")) == []
    platform.links = lambda: (_ for _ in ()).throw(EndpointError("gone"))  # type: ignore[method-assign]
    assert words(skupper("__complete", "link", "delete", "")) == []
    skupper.env = {"SKUPPER_PLATFORM": "kubernetes"}
    assert words(skupper("__complete", "link", "delete", "")) == []


@pytest.mark.parametrize("platform_name", ["podman", "kubernetes"])
def test_scripts(skupper: Terminal, platform_name: str) -> None:
    for shell, script in SCRIPTS.items():
        assert skupper("completion", shell, "--platform", platform_name).out == script
    assert skupper("completion", "--platform", platform_name).out == SCRIPTS["bash"]


def test_unknown_shells(skupper: Terminal) -> None:
    answer = skupper("completion", "csh")
    assert answer.code == 2
    assert answer.err.startswith('Error: invalid argument "csh" for "skupper completion"\nUsage:\n')


def bash(tmp_path: Path, line: str) -> list[str]:
    """What bash offers after ``line``, with ``skupper`` being this program."""
    program = tmp_path / "skupper"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m skupper_podman.cli.main "$@"\n')
    program.chmod(0o755)
    (tmp_path / "script").write_text(SCRIPTS["bash"])
    driver = f"""
source {tmp_path}/script
COMP_LINE={line!r}
COMP_POINT=${{#COMP_LINE}}
read -ra COMP_WORDS <<< "$(sed 's/=/ = /g' <<< "$COMP_LINE")"
[[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_skupper_complete
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", driver],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "SKUPPER_PLATFORM": "podman"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash(tmp_path: Path) -> None:
    (tmp_path / "west.token").touch()
    assert bash(tmp_path, "skupper li") == ["link"]
    assert bash(tmp_path, "skupper link ") == ["create", "delete", "status", "update"]
    assert bash(tmp_path, "skupper switch --platform=po") == ["podman"]
    assert bash(tmp_path, "skupper link create we") == ["west.token"]
    assert bash(tmp_path, "skupper nope ") == []


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck (scripts/setup --dev installs it)")
def test_the_bash_script_passes_shellcheck(tmp_path: Path) -> None:
    script = tmp_path / "script.bash"
    script.write_text(SCRIPTS["bash"])
    done = subprocess.run(["shellcheck", "--shell=bash", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
