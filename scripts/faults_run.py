"""Runs the fault table and prints what came of each fault, with counts."""

from __future__ import annotations

import argparse
import json
import sys

from tests.e2e.faults import FAULTS, Report, bench, run


def main() -> int:
    """Run the faults named; gives the exit code: 1 if status said OK, or too few were named or mended."""
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="ids of faults (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    known = {fault.id: fault for fault in FAULTS}
    unknown = [name for name in arguments.faults if name not in known]
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}; there are: {', '.join(known)}")
    chosen = [known[name] for name in arguments.faults] or list(FAULTS)
    reports: list[Report] = []
    while len(reports) < len(chosen):
        with bench() as made:  # new sites only where the last fault spoilt them
            for fault in chosen[len(reports) :]:
                reports.append(run(made, fault))
                if not arguments.json:
                    sys.stdout.write(line(reports[-1]))
                    sys.stdout.flush()
                if reports[-1].spoilt:
                    break
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
