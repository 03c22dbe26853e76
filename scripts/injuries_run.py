"""Runs every case of tests/platform/injuries.py at every moment, and prints what came of it."""

from __future__ import annotations

import argparse
import signal
import sys

from skupper_podman.errors import SkupperError
from tests.platform.injuries import CASES, Case, Trial
from tests.platform.onehost import one_host


def main() -> int:
    """Run the cases named; gives the exit code: 1 if anything was not mended or undone."""
    parser = argparse.ArgumentParser(prog="scripts/injuries", description=__doc__)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(case.name for case in CASES))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth moment")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # in order, so that no host is left
    known = {case.name: case for case in CASES}
    unknown = [name for name in arguments.commands if name not in known]
    if unknown:
        parser.error(f"no such command: {', '.join(unknown)}")
    wrong = sum(injured(known[name], arguments.every) for name in arguments.commands or known)
    return 1 if wrong else 0


def injured(case: Case, every: int) -> int:
    """Hurt one command at its moments; returns how many did not end well."""
    begun, wrong, done = 0, 0, False
    while not done:
        with one_host() as host:  # another one after each failure, since nothing is known of this one
            trial = Trial(host, case)
            moments = [(kind, moment) for kind in trial.KINDS for moment in trial.moments(kind)[::every]]
            for kind, moment in moments[begun:]:
                begun += 1
                try:
                    trouble = trial.hurt(kind, moment)
                except SkupperError as error:
                    trouble = f"{case.name}: {kind} at {moment}: {error}"
                if trouble:
                    wrong += 1
                    sys.stdout.write(f"    !! {trouble}\n")
                    sys.stdout.flush()
                    break
            done = begun == len(moments)
    sys.stdout.write(f"{case.name:20} {begun:4} injuries, {wrong} not mended or undone\n")
    sys.stdout.flush()
    return wrong


if __name__ == "__main__":
    sys.exit(main())
