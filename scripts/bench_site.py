"""What a site costs in time, from init to delete and back after kill -9; against a bare container in the same run."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import time
from collections.abc import Iterator

from tests.lab import Host, Lab, missing_requirements

ROUNDS = 3
KILLED = "router and proxy killed to next byte (with a client container's start)"


class Watch:
    """Collects durations by name, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Measure the block."""
        begun = time.monotonic()
        yield
        self.seconds.setdefault(name, []).append(time.monotonic() - begun)

    def median(self, name: str) -> float:
        """Middle value of what was measured."""
        return statistics.median(self.seconds[name])


def figures() -> dict[str, dict[str, float | str]]:
    """Medians of ``ROUNDS`` rounds: each with its ratio to starting and removing one bare container.

    Raises:
        RuntimeError: no lab can be made here.
    """
    reason = missing_requirements()
    if reason:
        raise RuntimeError(reason)
    watch = Watch()
    with Lab("bench") as lab:
        host = lab.hosts[0]
        host.workload_image()
        for _ in range(ROUNDS):
            one_round(host, watch)
    base = watch.median("bare container up and down")
    aims = {"init to ready": "under 3 s", KILLED: "under 10 s"}
    return {
        name: {
            "seconds": round(watch.median(name), 3),
            "ratio to a bare container": round(watch.median(name) / base, 2),
            **({"aim": aims[name]} if name in aims else {}),
        }
        for name in watch.seconds
    }


def one_round(host: Host, watch: Watch) -> None:
    """One site's life."""
    with watch.time("bare container up and down"):
        host.run_container("bare", "podman", "sleep", "60")
        host.podman("rm", "--force", "--time", "0", "bare")
    with watch.time("init to ready"):
        host.skupper("init", "--router", "embedded", "--site-name", "bench", "--ingress-host", host.address)
    host.run_container("web", "skupper", "python3", "-m", "http.server", "8080")
    probe = [
        "python3", "-c",
        "import time,urllib.request as u\n"
        "for _ in range(200):\n"
        "    try: u.urlopen('http://backend:8080/', timeout=5).read(1); break\n"
        "    except OSError: time.sleep(0.05)\n"
        "else: raise SystemExit('no answer')",
    ]  # fmt: skip
    with watch.time("expose to first byte (with a client container's start)"):
        host.skupper("expose", "host", "web", "--address", "backend", "--port", "8080")
        host.in_network("skupper", *probe)
    with watch.time(KILLED):
        os.kill(int(host.podman("inspect", "--format", "{{.State.Pid}}", "skupper-router").stdout), signal.SIGKILL)
        os.kill(int(host.podman("inspect", "--format", "{{.State.Pid}}", "backend").stdout), signal.SIGKILL)
        host.in_network("skupper", *probe)
    with watch.time("status"):
        host.skupper("status")
    host.podman("rm", "--force", "--time", "0", "web")
    with watch.time("delete"):
        host.skupper("delete")
