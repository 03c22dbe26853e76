"""The console entry: what runs when somebody types ``skupper``.

What always holds: nothing is imported before Ctrl-C and SIGTERM are looked after; ``version`` and the root help are
answered without loading the other commands.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130
_SELDOM = 1_000_000
"""New objects between two searches for garbage: a status of hundreds of services makes fewer, a wait is bounded."""


def script() -> None:
    """Run the command line of this process and end it with its exit code.

    Everything is written and let go of by then: to take apart what was loaded takes longer than many a command.
    """
    import os

    os._exit(main())


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    try:
        import signal

        # A plan at work handles both signals itself, to undo what it began. Anywhere else nothing needs undoing.
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _stop)
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        _stop(0, None)
        return INTERRUPTED


def _stop(_number: int, _frame: object) -> None:
    """End the process at once: raising would wait for threads that wait for Podman."""
    import os

    try:
        os.write(2, b"Error: interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def _run(words: list[str]) -> int:
    import os

    from skupper_podman.cli import fast

    text = fast.answer(words, os.environ)
    if text is not None:
        return fast.write(text)
    import gc

    gc.set_threshold(_SELDOM, 5, 5)
    from skupper_podman.cli.app import run
    from skupper_podman.cli.awake import keep_awake
    from skupper_podman.cli.world import real_world

    keep_awake()
    return run(words, real_world())


if __name__ == "__main__":
    script()
