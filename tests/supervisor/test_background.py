"""The supervisor without systemd: two processes that replace each other, for real."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skupper_podman.paths import paths_for
from skupper_podman.supervisor import processes
from skupper_podman.supervisor.background import Background, Seat
from tests.podmanlab import LabHost, rootful_host, unable, until
from tests.supervisor.site import ROUTER, make_site


def test_a_seat_is_taken_once(tmp_path: Path) -> None:
    seat, other = Seat(tmp_path / "seat"), Seat(tmp_path / "seat")
    assert not seat.take()  # a seat that nobody provides, or that was taken away, is none
    assert not seat.path.exists()
    seat.provide()
    assert seat.holder() == 0
    assert seat.take()
    assert seat.take()
    assert other.take() is False
    assert seat.holder() == other.holder() == os.getpid()
    assert seat.kept()
    assert not other.kept()
    seat.leave()
    assert not seat.kept()
    assert other.holder() == 0
    assert other.take()
    other.leave()


def test_a_removed_seat_is_lost(tmp_path: Path) -> None:
    seat, other = Seat(tmp_path / "seat"), Seat(tmp_path / "seat")
    seat.provide()
    assert seat.take()
    seat.path.unlink()
    assert not seat.kept()
    assert not other.take()
    other.provide()
    assert other.take()
    assert not seat.kept()


def test_a_seat_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "seat").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Seat(tmp_path / "seat").take()


@pytest.fixture
def host() -> Iterator[LabHost]:
    if unable():
        pytest.skip(unable())
    with rootful_host() as found:
        yield found


@pytest.mark.e2e
def test_each_process_is_replaced(host: LabHost) -> None:
    api, port = host.api(), random.randrange(21000, 29000)
    make_site(api, port)
    runtime = host.directory / "runtime"
    runtime.mkdir()
    env = {**host.env, "XDG_RUNTIME_DIR": str(runtime)}
    background = Background(paths_for(0, env, Path("/root")), env, sys.executable)
    standby = Seat(runtime / "skupper-podman.standby")
    assert background.running() == 0
    start = "from skupper_podman.supervisor.background import Background; from skupper_podman.paths import paths_for; "
    start += "import os, sys; from pathlib import Path; "
    start += "print(Background(paths_for(0, os.environ, Path('/')), os.environ, sys.executable).start())"
    try:
        done = host.run(["env", f"XDG_RUNTIME_DIR={runtime}", *host.python("-c", start)])
        assert done.returncode == 0, done.stderr
        lead = background.running()
        assert int(done.stdout) == lead > 0
        until(lambda: standby.holder() > 0, 10, "one stands by")
        for name in ("lead", "standby"):
            seats = {"lead": background.running(), "standby": standby.holder()}
            os.kill(seats[name], signal.SIGKILL)
            until(lambda: background.running() not in (0, seats["lead"]) or name == "standby", 10, "there is a lead")  # noqa: B023
            until(lambda: standby.holder() not in (0, seats["standby"]), 10, "there is a stand-by")  # noqa: B023
        before = api.container(ROUTER)
        assert before is not None
        os.kill(before.conmon_pid, signal.SIGKILL)
        until(lambda: host.get(port, 1) == "hello", 10, "it still mends")
        until(lambda: (found := api.container(ROUTER)) and found.pid not in (0, before.pid), 10, "the router is new")
    finally:
        background.stop()
    assert background.running() == standby.holder() == 0
    assert list(runtime.iterdir()) == []
    assert all(item.running for item in api.containers()), "the containers stay"
    assert processes.find(lead) is None
    assert background.running() == 0
    background.stop()
