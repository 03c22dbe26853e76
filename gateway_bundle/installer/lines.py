"""What the programs have in common at their edges: words that are read, lines that are written, exit codes."""

import argparse
import contextlib
import os
import signal
import sys
from typing import Any, Iterator

from .failures import USAGE, Failure

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Parser(argparse.ArgumentParser):
    """A command line; what is wrong with it is a Failure."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """What argparse calls for what is wrong."""
        raise Failure(USAGE, message, "%s --help" % self.prog)


class Outcome:
    """What a program ends with."""

    code = 1


@contextlib.contextmanager
def failures(interrupted: str = "interrupted; what was begun has been taken back") -> Iterator[Outcome]:
    """Turn every failure into one line on standard error and an exit code; `interrupted` is what a signal comes to."""
    outcome = Outcome()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    try:
        yield outcome
    except Failure as failure:
        outcome.code = failure.code
        _complain(failure.message, failure.hint)
    except KeyboardInterrupt:
        outcome.code = INTERRUPTED
        _complain(interrupted, "")
    except BrokenPipeError:
        outcome.code = 141
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError as error:
        place = ": %s" % error.filename if error.filename else ""
        _complain("%s%s" % (error.strerror or error, place), "")


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore signals that would interrupt: what is taken back is not to be left half-way."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _complain(message: str, hint: str) -> None:
    sys.stderr.write("Error: %s\n" % " ".join(message.split()))
    if hint:
        sys.stderr.write("Hint: %s\n" % hint)


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
