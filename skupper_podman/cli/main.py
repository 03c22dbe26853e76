"""The console entry: what runs when somebody types ``skupper``.

What always holds: nothing is imported before Ctrl-C is looked after; ``version`` and the root help are answered without
loading the other commands.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process; returns the exit code."""
    try:
        import signal

        # SIGTERM stops a command as Ctrl-C does: what it began is undone.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        code = _run(sys.argv[1:])
        # The work is done: from here on a signal may end the process, but not with a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except KeyboardInterrupt:
        sys.stderr.write("Error: interrupted\n")
        return 130
    return code


def _run(words: list[str]) -> int:
    import os

    from skupper_podman.cli import fast

    text = fast.answer(words, os.environ)
    if text is not None:
        return fast.write(text)
    from skupper_podman.cli.app import run
    from skupper_podman.cli.world import real_world

    return run(words, real_world())


if __name__ == "__main__":
    sys.exit(main())
