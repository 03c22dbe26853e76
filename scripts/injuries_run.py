"""Runs every case of tests/platform/injuries.py, and of gateways' programs, at every moment; prints what came of it."""

from __future__ import annotations

import argparse
import signal
import sys

from skupper_podman.errors import SkupperError
from tests.e2e import gatewayinjuries
from tests.gateway import injuries as programs
from tests.gateway.test_injuries import foreground
from tests.platform.injuries import CASES, Case, Trial
from tests.platform.onehost import one_host


def main() -> int:
    """Run the cases named; gives the exit code: 1 if anything was not mended or undone."""
    parser = argparse.ArgumentParser(prog="scripts/injuries", description=__doc__)
    known = {case.name: case for case in CASES}
    gateways = [f"gateway {kind}" for kind in ("in the foreground", *gatewayinjuries.CASES)]
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join([*known, *gateways]))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth moment")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # in order, so that no host is left
    wanted = arguments.commands or [*known, *gateways]
    unknown = [name for name in wanted if name not in known and name not in gateways]
    if unknown:
        parser.error(f"no such command: {', '.join(unknown)}")
    wrong = sum(injured(known[name], arguments.every) for name in wanted if name in known)
    wrong += sum(killed(name.removeprefix("gateway "), arguments.every) for name in wanted if name in gateways)
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
    told(case.name, begun, wrong)
    return wrong


def killed(kind: str, every: int) -> int:
    """Kill the programs of gateways of a kind at their moments; returns how many did not end well."""
    if kind not in gatewayinjuries.CASES:
        with foreground() as ground:
            return sum(tried(ground, case, kind, every) for case in programs.cases("--foreground"))
    user, cases = gatewayinjuries.CASES[kind]
    with gatewayinjuries.grounds() as grounds:
        return sum(tried(grounds[user], case, kind, every) for case in cases)


def tried(ground: programs.Ground, case: programs.Case, kind: str, every: int) -> int:
    """Kill one program at its moments; returns how many did not end well."""
    trial = programs.Trial(ground, case)
    moments = range(0, len(trial.moments), every)
    troubles = [trouble for moment in moments if (trouble := trial.hurt(moment))]
    sys.stdout.writelines(f"    !! {trouble}\n" for trouble in troubles)
    told(f"gateway {kind}: {case.name}", len(moments), len(troubles))
    return len(troubles)


def told(name: str, injuries: int, wrong: int) -> None:
    """Print what came of a case."""
    sys.stdout.write(f"{name:40} {injuries:4} injuries, {wrong} not mended or undone\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
