import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from skupper_podman.errors import ConflictError, PlatformError
from skupper_podman.files import Tree
from skupper_podman.locks import held, locked, note_of


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        locked(path, timeout=1),
        pytest.raises(ConflictError, match="another skupper command") as caught,
        locked(path, timeout=0),
    ):
        pass
    assert str(path) in caught.value.hint
    with locked(path, timeout=0):
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [], "a lock leaves no file"


def test_waiting_is_bounded_by_the_clock(tmp_path: Path) -> None:
    now = [0.0]
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += 1

    with (
        locked(tmp_path / "lock", timeout=0),
        pytest.raises(ConflictError),
        locked(tmp_path / "lock", timeout=5, clock=lambda: now[0], sleep=sleep),
    ):
        pass
    assert len(waits) == 5


def test_it_is_had_as_soon_as_it_is_free(tmp_path: Path) -> None:
    taken, order = threading.Event(), []

    def hold() -> None:
        with locked(tmp_path / "lock", timeout=0):
            taken.set()
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    with locked(tmp_path / "lock", timeout=30):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_who_waits_for_a_file_that_is_removed_has_the_next_one(tmp_path: Path) -> None:
    """Many processes at once, each of which removes the file that others wait for: no two are ever in it together."""
    (tmp_path / "count").write_text("0")
    count = """if 1:
        import pathlib, sys
        from skupper_podman.locks import locked
        here = pathlib.Path(sys.argv[1])
        for _ in range(50):
            with locked(here / "lock", timeout=60, sleep=lambda _: None):
                (here / "inside").touch(exist_ok=False)
                (here / "count").write_text(str(int((here / "count").read_text()) + 1))
                (here / "inside").unlink()
    """
    children = [subprocess.Popen([sys.executable, "-c", count, str(tmp_path)]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert (tmp_path / "count").read_text() == "200"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_a_file_that_replaced_ours_is_left(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, timeout=0):
        path.unlink()
        path.touch()
    assert path.exists()


def test_a_killed_holder_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    hold = "import pathlib, sys, time\nfrom skupper_podman.locks import locked\n"
    hold += "with locked(pathlib.Path(sys.argv[1]), timeout=0):\n print('held', flush=True)\n time.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", hold, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(ConflictError), locked(path, timeout=0):
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert path.exists()
    with locked(path, timeout=0):
        pass
    assert not path.exists(), "what a killed process left goes with the next one"


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PlatformError, match="cannot open lock file"), locked(tmp_path / "lock", timeout=0):
        pass


def test_a_lock_in_a_tree_is_one_that_other_programs_see(tmp_path: Path) -> None:
    """As 1.9's on its services file."""
    tree = Tree(tmp_path)
    with held(tree.open_lock("file.lock"), "file.lock", timeout=0):
        flock = subprocess.run(["flock", "-n", str(tmp_path / "file.lock"), "true"], check=False)
        assert flock.returncode == 1
        with pytest.raises(ConflictError), held(tree.open_lock("file.lock"), "file.lock", timeout=0):
            pass
    assert subprocess.run(["flock", "-n", str(tmp_path / "file.lock"), "true"], check=False).returncode == 0
    assert tree.names() == ("file.lock",), "the file stays"


def test_a_note_is_there_while_the_lock_is_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert note_of(path) is None
    with locked(path, timeout=0) as lock:
        assert note_of(path) == b""
        lock.note(b"a longer one")
        lock.note(b"55672")
        assert note_of(path) == b"55672"
    assert note_of(path) is None
    with locked(path, timeout=0):
        assert note_of(path) == b""  # not what was noted before


def test_who_asks_for_a_note_does_not_seem_to_hold_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    asking = path.open("rb")
    fcntl.flock(asking, fcntl.LOCK_SH)
    assert note_of(path) is None
    asking.close()
