"""Boots a machine with two sites again and again, and prints how often and how soon they were back by themselves.

What always holds: nothing is typed on the machine between its boot and the verdict but the questions whether it works.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field

from tests.e2e.bootsites import UNIT, USERS, booted_sites, manager, show, works
from tests.e2e.machine import Machine
from tests.lab import missing_requirements

PATIENCE = 180.0
"""Seconds after the cable was plugged in at which a site that does not work counts as lost."""


@dataclass
class Boot:
    """One boot: ``seconds`` from switching on until each user's site worked; a site that did not come is missing."""

    number: int
    how: str
    booted: float = 0.0
    plugged: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    problem: str = ""

    @property
    def well(self) -> bool:
        """True if every site came back and nobody had logged in."""
        return set(self.seconds) == set(USERS) and not self.problem


def boot(machine: Machine, number: int, late: float) -> Boot:
    """Boot once, by a power cut every second time, and watch the sites come back."""
    found = Boot(number, "power cut" if number % 2 == 0 else "reboot")
    if number % 2 == 0:
        machine.power_cut()
    else:
        machine.reboot()
    # Podman's restart returns when the machine has been switched on again.
    on = time.monotonic()
    time.sleep(late)
    machine.plug()
    found.plugged = time.monotonic() - on
    machine.await_boot(180)
    found.booted = time.monotonic() - on
    while len(found.seconds) < len(USERS) and time.monotonic() - on < found.plugged + PATIENCE:
        for user in USERS:
            if user not in found.seconds and works(machine, user):
                found.seconds[user] = time.monotonic() - on
        time.sleep(0.2)
    if len(found.seconds) < len(USERS):
        show(machine)
    found.problem = _complaints(machine)
    return found


def _complaints(machine: Machine) -> str:
    """What is wrong although the sites work: a unit that is not active, or somebody who logged in."""
    for user in USERS:
        active = machine.type(*manager(user), "is-active", UNIT, user=user, expect=None).stdout.strip()
        if active != "active":
            return f"the unit of {user} is {active or 'not to be asked'}"
    return "somebody logged in" if machine.type("loginctl", "list-sessions", "--no-legend").stdout else ""


def report(boots: list[Boot]) -> str:
    """The count, and how soon each site worked."""
    well = sum(boot.well for boot in boots)
    lines = [f"{well} of {len(boots)} boots: both sites back, nobody logged in"]
    for user in USERS:
        times = sorted(boot.seconds[user] - boot.plugged for boot in boots if user in boot.seconds)
        if times:
            spread = f"median {statistics.median(times):.1f} s, longest {times[-1]:.1f} s"
            lines.append(f"  {user}: {len(times)} of {len(boots)}; after the network came: {spread}")
    return "\n".join(lines)


def main() -> int:
    """Run it; 0 only if every site came back every time."""
    parser = argparse.ArgumentParser(prog="scripts/reboots")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--late", type=float, default=20.0, help="seconds from switching on until the network is there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    reason = missing_requirements()
    if reason or options.times < 1:
        print(f"Error: {reason or '--times must be 1 or more'}", file=sys.stderr)
        return 1
    boots: list[Boot] = []
    with booted_sites() as machine:
        for number in range(1, options.times + 1):
            boots.append(boot(machine, number, options.late))
            last = boots[-1]
            times = ", ".join(f"{user} {seconds:.1f} s" for user, seconds in last.seconds.items())
            state = "" if last.well else f"  FAILED {last.problem}"
            print(
                f"{number:3} {last.how:9} network {last.plugged:4.1f} s, booted {last.booted:4.1f} s, {times}{state}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    print(json.dumps([asdict(boot) for boot in boots], indent=2) if options.json else report(boots))
    return 0 if all(boot.well for boot in boots) else 1


if __name__ == "__main__":
    sys.exit(main())
