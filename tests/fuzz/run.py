"""A deterministic fuzzer: mutates a small corpus, feeds every target, and reports what broke a promise.

    scripts/fuzz [--cases N] [--seed N] [--target NAME]... [--live PERCENT] [--out DIRECTORY]

What always holds: the same seed gives the same cases in the same order, whatever else runs; a case that breaks a
promise is written to a file (with --out) that ``--replay FILE`` feeds again; so is each case for a running router
before it is fed, as ``last``, for the one that ends the process.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from . import decoders, live, web
from .mutate import mutated
from .wire import mutated_stream

CORPUS = Path(__file__).parent / "corpus"
TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {**decoders.TARGETS, **live.TARGETS, **web.TARGETS}
#: Those on a running router.
RUNNING = frozenset((*live.TARGETS, *web.TARGETS)) - {"web-bodies"}
#: Seconds of processor time after which a case counts as a hang.
SLOW = 2.0
_STOP = 30
MOST_FINDINGS = 20
_BATCH = 500


class Hang(Exception):
    """A case that does not end."""


@dataclass(slots=True)
class Finding:
    """A case that broke a promise."""

    target: str
    words: str
    octets: bytes


@dataclass(slots=True)
class Report:
    """What a run has seen."""

    cases: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    slowest: dict[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    digest: str = ""

    def text(self) -> str:
        """A table."""
        lines = [f"{'target':16}{'cases':>10}{'cases/s':>10}{'slowest ms':>12}"]
        for name, cases in self.cases.items():
            rate = cases / max(self.seconds[name], 1e-9)
            lines.append(f"{name:16}{cases:>10}{rate:>10.0f}{1000 * self.slowest[name]:>12.1f}")
        lines.append(f"{'total':16}{sum(self.cases.values()):>10}")
        lines.append(f"findings: {len(self.findings)}   cases' digest: {self.digest}")
        lines += [f"  {found.target}: {found.words} [{found.octets[:60].hex()}…]" for found in self.findings]
        return "\n".join(lines)


def corpus(target: str) -> list[bytes]:
    """The committed seeds of a target, in a fixed order."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def write_corpus() -> None:
    """Make the corpus again from `seeds`."""
    for target, found in {**decoders.seeds(), **live.seeds(), **web.seeds()}.items():
        directory = CORPUS / target
        directory.mkdir(parents=True, exist_ok=True)
        for octets in found:
            (directory / hashlib.sha256(octets).hexdigest()[:12]).write_bytes(octets)


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(_number: int, _frame: object) -> None:
        raise Hang(f"does not end within {_STOP} s")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(cases: int, seed: int, targets: list[str], live_percent: int, out: Path | None = None) -> Report:
    """Run so many cases in all, shared out among the targets in batches."""
    report = Report()
    digest = hashlib.sha256()
    shares = _shares(cases, targets, live_percent)
    random = Random(seed)
    with _alarm():
        for name, share in shares.items():
            _run_target(name, share, Random(random.getrandbits(64)), report, digest, out)
            if len(report.findings) >= MOST_FINDINGS:
                break
    report.digest = digest.hexdigest()[:16]
    return report


def _shares(cases: int, targets: list[str], live_percent: int) -> dict[str, int]:
    slow = [name for name in targets if name in RUNNING]
    quick = [name for name in targets if name not in RUNNING]
    for_slow = cases if not quick else cases * live_percent // 100 if slow else 0
    shares = dict.fromkeys(targets, 0)
    for names, total in ((slow, for_slow), (quick, cases - for_slow)):
        for index, name in enumerate(names):
            shares[name] = total // len(names) + (index < total % len(names))
    return shares


def _run_target(name: str, cases: int, random: Random, report: Report, digest: hashlib._Hash, out: Path | None) -> None:
    seeds = corpus(name)
    mutate = mutated_stream if name.startswith("amqp") else mutated
    feed = TARGETS[name]()
    report.cases[name] = 0
    report.slowest[name] = 0.0
    began = time.monotonic()
    for number in range(cases):
        octets = mutate(random, seeds) if number >= len(seeds) else seeds[number]
        digest.update(hashlib.sha256(octets).digest())
        if number % _BATCH == 0:
            signal.alarm(_STOP + _BATCH // 10)
        if out is not None and name in RUNNING:
            (out / "last").write_bytes(octets)
        start = time.process_time()
        try:
            feed(octets)
        except (Exception, RecursionError) as error:
            report.findings.append(Finding(name, _words(error), octets))
            if len(report.findings) >= MOST_FINDINGS:
                break
            feed = TARGETS[name]()
        spent = time.process_time() - start
        report.slowest[name] = max(report.slowest[name], spent)
        if spent > SLOW:
            report.findings.append(Finding(name, f"took {spent:.1f} s", octets))
        report.cases[name] += 1
    report.seconds[name] = time.monotonic() - began
    signal.alarm(0)


def _words(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__}: {str(error)[:200]} ({where})"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="may be repeated; default: all")
    parser.add_argument("--live", type=int, default=15, metavar="PERCENT", help="share of cases on a running router")
    parser.add_argument("--out", type=Path, help="directory for the cases that break a promise")
    parser.add_argument("--replay", type=Path, help="feed this file to the one --target")
    parser.add_argument("--write-corpus", action="store_true", help="make the corpus again and end")
    arguments = parser.parse_args()
    targets = arguments.target or list(TARGETS)
    if arguments.write_corpus:
        write_corpus()
        return 0
    if arguments.replay:
        TARGETS[targets[0]]()(arguments.replay.read_bytes())
        return 0
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
    report = run(arguments.cases, arguments.seed, targets, arguments.live, arguments.out)
    sys.stdout.write(report.text() + "\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(f"peak memory: {peak} MB   seed: {arguments.seed}\n")
    if arguments.out:
        for number, found in enumerate(report.findings):
            (arguments.out / f"{found.target}-{number}").write_bytes(found.octets)
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
