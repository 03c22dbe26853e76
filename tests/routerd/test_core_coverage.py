"""The router core is tested to its last branch by its own tests, which open no socket and never sleep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
#: Tests that leave something to chance or take long: what holds must hold without them.
LEFT_OUT = (
    "runTest", "hundred_thousand", "quiet_network", "match_the_reference", "every_origin", "any_text", "random_costs",
    "patterns_look",
)  # fmt: skip


def test_every_branch_of_the_core_is_reached_by_its_own_tests(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/routerd/core",
        "-k", " and ".join(f"not {name}" for name in LEFT_OUT),
        "--cov=skupper_podman.routerd.core", "--cov-branch", "--cov-fail-under=100",
        "--cov-report=term-missing:skip-covered", "--cov-config=/dev/null",
    ]  # fmt: skip
    environment = {**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage")}
    done = subprocess.run(
        command, cwd=TOP, capture_output=True, text=True, timeout=240, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_core_and_its_tests_open_no_socket_and_do_not_sleep() -> None:
    for path in [*(TOP / "skupper_podman/routerd/core").glob("*.py"), *(TOP / "tests/routerd/core").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "import socket" not in text, path
        assert "sleep(" not in text, path
