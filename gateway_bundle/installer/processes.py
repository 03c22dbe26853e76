"""Running programs of the host: a time limit for each, no shell, and one wording for what fails."""

import os
import subprocess
from typing import Dict, List, Optional

from .failures import MISSING, Failure


class Completed:
    """How a program ended, and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def complaint(self) -> str:
        """The last line it wrote."""
        lines = [line.strip() for line in (self.out + "\n" + self.err).splitlines() if line.strip()]
        return lines[-1] if lines else "exit code %d" % self.code


def find(program: str) -> Optional[str]:
    """Where a program is, by PATH and the usual directories of administrators."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
    for directory in path.split(":"):
        place = os.path.join(directory, program)
        if directory and os.path.isfile(place) and os.access(place, os.X_OK):
            return place
    return None


def run(words: List[str], timeout: float = 60, env: Optional[Dict[str, str]] = None) -> Completed:
    """Run a program; raises Failure if it cannot be run or does not end in time."""
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
        )
    except OSError as error:
        raise Failure(MISSING, "%s cannot be run: %s" % (words[0], error.strerror)) from error
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise Failure(1, "'%s' did not end within %g seconds" % (" ".join(words[:3]), timeout)) from error
    except BaseException:  # it is not to go on while what it did is taken back
        _end(process)
        raise
    return Completed(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a program to end, and see to it."""
    process.terminate()
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def check(words: List[str], timeout: float = 60, code: int = 1) -> Completed:
    """As :func:`run`; raises Failure with that exit code if the program fails."""
    done = run(words, timeout)
    if done.code:
        raise Failure(code, "'%s' failed: %s" % (" ".join(words[:4]), done.complaint))
    return done
