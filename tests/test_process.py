import sys
from pathlib import Path

import pytest

from skupper_podman.errors import PlatformError
from skupper_podman.process import Completed, check, run
from skupper_podman.supervisor import processes


def test_output_and_exit_code() -> None:
    done = run(["sh", "-c", "cat; echo err >&2; exit 3"], timeout=10, stdin=b"in")
    assert (done.exit_code, done.stdout, done.stderr, done.ok) == (3, "in", "err\n", False)


def test_environment_is_given() -> None:
    done = run([sys.executable, "-c", "import os; print(os.environ['A'])"], timeout=10, env={"A": "b"})
    assert done.stdout == "b\n"


def test_failures_have_one_wording() -> None:
    with pytest.raises(PlatformError, match=r"^no-such-program is not installed$"):
        run(["no-such-program"], timeout=1)
    with pytest.raises(PlatformError, match=r"^/etc/passwd cannot be run: Permission denied$"):
        run(["/etc/passwd"], timeout=1)
    with pytest.raises(PlatformError, match=r"^'sh -c 'echo one; echo two >&2; exit 1'' failed: two$"):
        check(["sh", "-c", "echo one; echo two >&2; exit 1"], timeout=10)
    assert check(["true"], timeout=10).ok


def test_a_program_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(PlatformError, match=r"did not end within 0\.5 seconds"):
        run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout=0.5)
    assert processes.find(int(pid_file.read_text())) is None


@pytest.mark.parametrize(
    ("completed", "complaint"),
    [
        (Completed(("x",), 1, "out\n", "first\nlast\n\n"), "last"),
        (Completed(("x",), 1, "out\n", ""), "out"),
        (Completed(("x",), 4, "", " \n"), "exit code 4"),
        (Completed(("x",), -9, "", ""), "killed by signal 9"),
    ],
)
def test_complaint(completed: Completed, complaint: str) -> None:
    assert completed.complaint == complaint
