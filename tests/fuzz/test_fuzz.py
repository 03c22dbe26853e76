"""A short run of the fuzzer, in a process of its own: what it looks for includes crashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import run
from tests.fuzz.mutate import mutated
from tests.fuzz.wire import AMQP, begin, mutated_stream, opened, pieces

TOP = Path(__file__).resolve().parents[2]


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.run", *arguments]
    return subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize("target", sorted(run.TARGETS))
def test_the_corpus_is_there_and_every_seed_keeps_the_promises(target: str) -> None:
    done = fuzz("--target", target, "--cases", str(len(run.corpus(target))), "--seed", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "findings: 0" in done.stdout


def test_a_short_run_finds_nothing() -> None:
    done = fuzz("--cases", "12000", "--seed", "20", "--live", "30")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_is_a_function_of_its_seed() -> None:
    digests = [run.run(300, seed, ["codec", "addresses"], 0).digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_a_broken_promise_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer itself works: a decoder with a fault is caught, and its case is kept."""

    def faulty(octets: bytes) -> None:
        if octets[:1] == b"\xd1" and len(octets) % 7 == 0:
            raise KeyError("fault")

    monkeypatch.setitem(run.TARGETS, "codec", lambda: faulty)
    report = run.run(2000, 1, ["codec"], 0, tmp_path)
    assert len(report.findings) == run.MOST_FINDINGS
    assert "KeyError" in report.text()
    assert not (tmp_path / "last").exists()
    run.run(1, 1, ["health"], 100, tmp_path)
    assert (tmp_path / "last").read_bytes() == run.corpus("health")[0]


def test_mutations_of_a_stream_keep_frames_whole_mostly() -> None:
    stream = AMQP + opened() + begin()
    assert pieces(stream) == [AMQP, opened(), begin()]
    random = Random(5)
    changed = [mutated_stream(random, [stream]) for _ in range(300)]
    sizes = [[(len(piece), int.from_bytes(piece[:4])) for piece in pieces(octets)[1:]] for octets in changed]
    whole = [pairs for pairs in sizes if all(size == stated for size, stated in pairs)]
    assert len(set(changed)) > 150
    assert len(whole) > 100
    assert mutated(Random(1), [b"abc"]) == mutated(Random(1), [b"abc"])
