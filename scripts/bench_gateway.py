"""From one file on a bare server to the first row of its database at a site, and what that file weighs.

The server is a machine that boots with Python 3, systemd and PostgreSQL (else an echo server), and nothing of ours.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests.e2e.gatewayscene import POSTGRES, Scene, definition, site_and_server
from tests.e2e.machine import USER
from tests.podmanlab import unable, until

ROUNDS = 3
SERVICE = ("db", 15432)


def figures() -> dict[str, dict[str, float | str]]:
    """Seconds from ``tar -x`` to the first answer, of an update, and the size of the bundle in MB.

    Raises:
        RuntimeError: no such machine can be made here.
    """
    reason = unable() or ("" if Path("/lib/systemd/systemd").exists() else "needs systemd")
    if reason:
        raise RuntimeError(reason)
    with site_and_server("db") as scene:
        return _measured(scene)


def _start(scene: Scene) -> None:
    if POSTGRES:
        scene.sh(f"cd && {POSTGRES}/initdb -D pg -U ann --auth trust --no-sync", user=USER)
        run = f"{POSTGRES}/postgres -D pg -p {SERVICE[1]} -c listen_addresses=localhost -c unix_socket_directories="
        scene.sh(f"systemd-run --unit=pg --uid={USER} --working-directory=/home/{USER} {run}")
    else:
        scene.sh(f"systemd-run --unit=echo /usr/bin/python3 /home/echo.py {SERVICE[1]}")


def _answers(scene: Scene) -> bool:
    if not POSTGRES:
        return scene.echo() == "hello\n"
    words = (f"{POSTGRES}/psql", "-h", "db", "-U", "ann", "-At", "-c", "select 42", "postgres")
    return scene.west.in_network("skupper", *words, check=False).stdout == "42\n"


def _measured(scene: Scene) -> dict[str, dict[str, float | str]]:
    _start(scene)
    joins, updates = [], []
    for _ in range(ROUNDS):
        place = scene.bundle(definition(SERVICE), "--self-contained", into="gateway")
        archive = "/home/database.tar.gz"
        scene.sh(f"rm -rf {place} && mkdir {place}")
        begun = time.monotonic()
        scene.sh(f"tar -xzf {archive} -C {place} && {place}/launch.py")
        until(lambda: _answers(scene), 20, "the first row")
        joins.append(time.monotonic() - begun)
        newer = scene.bundle(definition(SERVICE, ("more", 15433)), "--self-contained", into="newer")
        begun = time.monotonic()
        scene.sh(f"{newer}/launch.py")
        updates.append(time.monotonic() - begun)
        scene.sh(f"{newer}/remove.py")
    size = (scene.directory / "database.tar.gz").stat().st_size / 1e6
    client = _client_alone(scene)
    joined = statistics.median(joins)
    return {
        "tar -x to first row": {
            "value": round(joined, 2), "unit": "s", "ratio to the client alone": round(joined / client, 1),
            "aim": "under 10 s",
        },
        "update in place": {"value": round(statistics.median(updates), 2), "unit": "s"},
        "self-contained bundle": {"value": round(size, 1), "unit": "MB"},
    }  # fmt: skip


def _client_alone(scene: Scene) -> float:
    """How long the client's container takes that has nothing to call: what of the figure above is not ours."""
    begun = time.monotonic()
    scene.west.in_network("skupper", "true")
    return time.monotonic() - begun
