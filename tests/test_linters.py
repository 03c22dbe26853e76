"""The linters, run as tests, so that one command says whether the tree is sound."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SHEBANGS = (b"#!/bin/sh", b"#!/usr/bin/env sh", b"#!/usr/bin/env bash")


def _run(*argv: str) -> None:
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}{done.stderr}"


def _shell_scripts() -> list[str]:
    found = []
    for directory in ("scripts", ".ci", "gateway_bundle", "templates"):
        for path in sorted((TOP / directory).rglob("*")):
            # launch.py and remove.py only begin as shell scripts; tests/gateway runs them by every shell.
            if path.is_file() and path.suffix != ".py" and path.read_bytes().startswith(SHEBANGS):
                found.append(str(path))
    return found


def test_ruff_check() -> None:
    _run(str(BIN / "ruff"), "check", ".")


def test_mypy_strict() -> None:
    _run(str(BIN / "mypy"))


def test_import_linter() -> None:
    _run(str(BIN / "lint-imports"))


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck (scripts/setup --dev installs it)")
def test_shellcheck() -> None:
    scripts = _shell_scripts()
    assert scripts
    _run("shellcheck", *scripts)


def test_no_registry_host_or_machine_path_is_named() -> None:
    """Nothing in the tree may depend on where it was written."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=False)
    tracked = listing.stdout.split("\0")
    needles = ("/wor" + "k/", "pypi." + "org", "files.python" + "hosted", "registry.npm" + "js", "deb.debian" + ".org")
    offenders = []
    for name in filter(None, tracked):
        path = TOP / name
        if path.is_file() and path.stat().st_size < 1_000_000:
            text = path.read_bytes().decode("utf-8", "ignore")
            offenders += [f"{name}: {needle}" for needle in needles if needle in text]
    assert not offenders
