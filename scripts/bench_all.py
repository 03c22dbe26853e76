"""All benchmarks behind one command: a table for people, ``--json`` for machines."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

GROUPS = ("cli", "site", "status", "router", "http", "chain", "core", "idle", "gateway")


def main() -> int:
    """Run the groups named and print their figures. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "groups", nargs="*", metavar="group", help=f"what to measure: {', '.join(GROUPS)} (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    unknown = set(arguments.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    results: dict[str, dict[str, dict[str, object]]] = {}
    skipped = []
    for group in arguments.groups or GROUPS:
        try:
            results[group] = importlib.import_module(f"scripts.bench_{group}").figures()
        except RuntimeError as reason:
            skipped.append(f"{group}: skipped, {reason}")
            continue
        if not arguments.json:
            sys.stdout.write("\n".join(lines(group, results[group])) + "\n")
            sys.stdout.flush()
    if arguments.json:
        sys.stdout.write(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    for line in skipped:
        sys.stderr.write(line + "\n")
    return 1 if skipped and not results else 0


def lines(group: str, rows: dict[str, dict[str, object]]) -> list[str]:
    """A table: one row a figure, one column a key that any row has."""
    columns: list[str] = []
    for values in rows.values():
        columns += [key for key in values if key not in columns]
    width = max(len(name) for name in rows) + 2
    widths = [max(len(key), *(len(str(values.get(key, ""))) for values in rows.values())) + 2 for key in columns]
    text = [f"\n{group:{width}}" + "".join(f"{key:>{size}}" for key, size in zip(columns, widths, strict=True))]
    for name, values in rows.items():
        cells = (f"{values.get(key, '')!s:>{size}}" for key, size in zip(columns, widths, strict=True))
        text.append(f"{name:{width}}" + "".join(cells))
    return text


if __name__ == "__main__":
    sys.exit(main())
