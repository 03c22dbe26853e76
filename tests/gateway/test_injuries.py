"""Programs of a bundle that are killed, and installed files that a power cut left short.

Here some moments on a host without systemd; ``scripts/injuries`` tries every one, and those on a machine that boots.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import platform
import tarfile
from collections.abc import Iterator

import pytest

from skupper_podman.gateway.runtime import Runtime
from tests.gateway.injuries import Case, Done, Ground, Trial, cases
from tests.gateway.scene import Scene, alone
from tests.gateway.test_launch import definition

CASES = cases("--foreground")
SHARE = 40
"""Here every so manieth moment is tried."""


def tiny_router() -> Runtime:
    """The archive of a router that ends at once: it is installed and removed like any other."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        entry = tarfile.TarInfo("lib/loader")
        content = b"#!/bin/sh\necho tiny 1\n"
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
    digest = hashlib.sha256(raw.getvalue()).hexdigest()
    return Runtime(raw.getvalue(), {"machine": platform.machine(), "python": "3", "version": "1", "digest": digest})


@contextlib.contextmanager
def foreground() -> Iterator[Ground]:
    """A user without systemd, with two generations of a bundle."""
    with alone(tiny_router()) as scene:
        yield ground_of(scene)


def ground_of(scene: Scene) -> Ground:
    first = definition(("one", 1))
    bundles = {"1": str(scene.bundle(first, "first"))}
    bundles["2"] = str(scene.bundle(first.replace("one", "two"), "second", generation=2))

    def run(words: tuple[str, ...]) -> Done:
        done = scene.run(*words)
        return Done(done.returncode, done.stdout, done.stderr)

    report = scene.directory / "home" / "moments"
    return Ground("test", bundles, run, str(report), lambda _path: report.read_text())


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with alone(tiny_router()) as found:
        yield found


@pytest.fixture(scope="module")
def ground(scene: Scene) -> Ground:
    return ground_of(scene)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed(ground: Ground, case: Case) -> None:
    trial = Trial(ground, case)
    first = CASES.index(case) % SHARE
    for moment in range(first, len(trial.moments), SHARE):
        assert trial.hurt(moment) == ""


@pytest.mark.parametrize("case", [CASES[0], CASES[2]], ids=lambda case: case.name)
def test_interrupted(ground: Ground, case: Case) -> None:
    """A launch takes back what it did, be it the first or an update; once it is recorded, it says so."""
    trial = Trial(ground, case)
    for number, moment in enumerate(range(SHARE // 2, len(trial.moments) - 1, SHARE)):
        assert trial.interrupt(moment, ("SIGTERM", "SIGINT", "SIGHUP")[number % 3]) == ""


CREDENTIAL = "skupper-router-certs/conn1-profile"
CUT = (
    "state.json", "bundles/1/manifest.json", "bundles/1/launch.py", "config/skrouterd.json", f"{CREDENTIAL}/tls.key",
    f"{CREDENTIAL}/tls.crt", f"{CREDENTIAL}/ca.crt", f"{CREDENTIAL}/gateway-ca.crt", "runtime/*/lib/loader",
)  # fmt: skip


@pytest.mark.parametrize(("number", "name"), list(enumerate(CUT)))
def test_cut_short(scene: Scene, ground: Ground, number: int, name: str) -> None:
    """A file that a power cut left short is told in a line, and a launch repairs it, or says what does."""
    data = scene.directory / "home/.local/share/skupper/bundle/test"
    launch = ("1", "launch.py", "--foreground")
    assert ground.type(launch).code == 0
    whole = ground.picture()
    (path,) = data.glob(name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if number % 2 else b"")
    told = ground.type(("1", "launch.py", "--status"))
    assert told.code != 0
    assert "Traceback" not in told.out + told.err
    done = ground.type(launch)
    if name == "state.json":
        assert (done.code, done.err) == (1, f"Error: {path} is damaged\nHint: remove.py, then launch again\n")
    else:
        assert (done.code, done.err) == (0, "")
        assert ground.picture() == whole
        next(data.glob(name)).write_bytes(b"")
    done = ground.type(("1", "remove.py"))
    assert (done.code, done.err) == (0, "")
    assert list(data.parent.parent.parent.iterdir()) == []
