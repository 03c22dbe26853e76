"""The one gateway to other programs: every run has a time limit, and every failure one wording.

What always holds: no shell is involved, standard input is closed or given, a program that outlives its limit is killed
with its whole process group, and arguments never carry a secret (they are visible to every user of the host).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skupper_podman.errors import PlatformError


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended; ``exit_code`` is negative for the signal that ended it."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """True if it exited 0."""
        return self.exit_code == 0

    @property
    def complaint(self) -> str:
        """What it said last: the last line of stderr, else of stdout, else how it ended."""
        for text in (self.stderr, self.stdout):
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines:
                return lines[-1]
        return f"killed by signal {-self.exit_code}" if self.exit_code < 0 else f"exit code {self.exit_code}"


def run(argv: Sequence[str], *, timeout: float, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Completed:
    """Run ``argv`` for at most ``timeout`` seconds and return how it ended, whatever its exit code.

    Raises:
        PlatformError: the program does not exist, may not be run, or did not end in time.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  no shell; argv is built by us
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
    except FileNotFoundError:
        raise PlatformError(f"{argv[0]} is not installed") from None
    except OSError as error:
        raise PlatformError(f"{argv[0]} cannot be run: {error.strerror}") from error
    try:
        stdout, stderr = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise PlatformError(f"'{shlex.join(argv)}' did not end within {timeout:g} seconds") from None
    except BaseException:
        _kill(process)
        raise
    return Completed(tuple(argv), process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


def check(
    argv: Sequence[str], *, timeout: float, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> Completed:
    """Like :func:`run`, but an exit code other than 0 is an error.

    Raises:
        PlatformError: as :func:`run`, or the program failed; the message has the last line it wrote.
    """
    completed = run(argv, timeout=timeout, stdin=stdin, env=env)
    if not completed.ok:
        raise PlatformError(f"'{shlex.join(argv)}' failed: {completed.complaint}")
    return completed


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=5)
