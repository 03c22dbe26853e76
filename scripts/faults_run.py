"""Runs the fault tables and prints what came of each fault, with counts."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from tests.e2e import faults, unitfaults
from tests.e2e.faults import Bench, Fault, Report, run

TABLES: tuple[tuple[tuple[Fault, ...], Callable[[], AbstractContextManager[Bench]]], ...] = (
    (faults.FAULTS, faults.bench),
    (unitfaults.FAULTS, unitfaults.unit_bench),
)


def main() -> int:
    """Run the faults named; gives the exit code: 1 if status said OK, or too few were named or mended."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="ids of faults (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # in order, so that no host is left
    known = [fault.id for table, _ in TABLES for fault in table]
    unknown = [name for name in arguments.faults if name not in known]
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}; there are: {', '.join(known)}")
    reports: list[Report] = []
    for table, make in TABLES:
        chosen = [fault for fault in table if fault.id in (arguments.faults or known)]
        for report in injected(chosen, make):
            reports.append(report)
            if not arguments.json:
                sys.stdout.write(line(report))
                sys.stdout.flush()
    total = len(reports)
    counts = {
        "faults": total,
        "status never said OK": sum(report.never_ok for report in reports),
        "cause named": sum(report.named for report in reports),
        "mended by the hint": sum(report.mended for report in reports),
    }
    if arguments.json:
        rows = [
            {
                "id": report.fault.id,
                "neverOk": report.never_ok,
                "named": report.named,
                "mended": report.mended,
                "said": report.said,
                "hint": report.hint,
                "seconds": round(report.seconds, 1),
                "trouble": report.trouble,
            }
            for report in reports
        ]
        sys.stdout.write(json.dumps({"counts": counts, "faults": rows}, indent=2) + "\n")
    else:
        sys.stdout.write("\n" + "".join(f"{name:24} {count:4} of {total}\n" for name, count in counts.items()))
    enough = counts["cause named"] >= 0.95 * total and counts["mended by the hint"] >= 0.9 * total
    return 0 if counts["status never said OK"] == total and enough else 1


def injected(chosen: list[Fault], make: Callable[[], AbstractContextManager[Bench]]) -> Iterator[Report]:
    """Inject one fault after the other, into new sites where the last one spoilt them."""
    while chosen:
        with make() as made:
            spoilt = False
            while chosen and not spoilt:
                report = run(made, chosen.pop(0))
                spoilt = report.spoilt
                yield report


def line(report: Report) -> str:
    """One fault: what holds, what was said, what its hint is."""
    marks = " ".join(
        f"{word}:{'yes' if well else 'NO '}"
        for word, well in (("told", report.never_ok), ("named", report.named), ("mended", report.mended))
    )
    head = f"{report.fault.id:32} {marks}  {report.seconds:5.1f} s\n"
    text = f"    {report.said[:200]}\n    hint: {report.hint[:200]}\n"
    return head + text + "".join(f"    !! {trouble[:600]}\n" for trouble in report.trouble)


if __name__ == "__main__":
    sys.exit(main())
