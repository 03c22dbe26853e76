"""``skupper doctor``: what was looked at, group by group, and what mends what is not well."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence

from skupper_podman.cli.render.clean import clean
from skupper_podman.cli.render.status import age
from skupper_podman.model.doctor import BY_ID, GROUPS, Finding


def report(findings: Sequence[Finding], now: datetime.datetime) -> str:
    """Each group with its findings, and a line that counts them."""
    lines = []
    for group in GROUPS:
        own = [finding for finding in findings if BY_ID[finding.check].group == group]
        if own:
            lines += [group, *(line for finding in own for line in _finding(finding, now))]
    counts = Counter(finding.result for finding in findings)
    parts = [f"{counts[result]} {result}" for result in ("ok", "warn", "fail", "unknown", "skipped") if counts[result]]
    lines += ["", f"{len(findings)} checks: {', '.join(parts)}"]
    return "".join(f"{line}\n" for line in lines)


def _finding(finding: Finding, now: datetime.datetime) -> list[str]:
    subject = f" {finding.subject}" if finding.subject else ""
    text = finding.cause or BY_ID[finding.check].title
    since = f" (since {finding.since}{age(finding.since, now)})" if finding.since and finding.result != "ok" else ""
    lines = [clean(f"  {finding.result:<7}  {finding.check}{subject}: {text}{since}")]
    if finding.fix and finding.result not in ("ok", "skipped"):
        lines.append(clean(f"           fix: {finding.fix}"))
    return lines


def mended(lines: Iterable[str]) -> str:
    """What ``--fix`` did."""
    return "".join(f"{clean(line)}\n" for line in lines)
