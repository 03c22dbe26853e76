"""Files are replaced whole, with the mode asked for, and never outside the tree."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skupper_podman.errors import InvalidError, NotFoundError, PlatformError, SkupperError
from skupper_podman.files import FileState, Tree, make_directories, read_bytes, remove, write_atomic


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "volume").mkdir()
    return Tree(tmp_path / "volume")


@pytest.fixture(autouse=True)
def strict_umask() -> Iterator[None]:
    """Modes must not depend on the user's umask."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_write_atomic_replaces_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"one", 0o644)
    assert (path.read_bytes(), mode_of(path)) == (b"one", 0o644)
    write_atomic(path, b"two", 0o600)
    assert (path.read_bytes(), mode_of(path)) == (b"two", 0o600)
    assert os.listdir(tmp_path) == ["file"]


def test_write_atomic_replaces_a_link_not_its_target(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"keep")
    (tmp_path / "link").symlink_to(target)
    write_atomic(tmp_path / "link", b"new", 0o600)
    assert target.read_bytes() == b"keep"
    assert not (tmp_path / "link").is_symlink()


def test_failures_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"cannot open .*/none"):
        write_atomic(tmp_path / "none" / "file", b"", 0o600)
    (tmp_path / "directory").mkdir()
    with pytest.raises(PlatformError, match="cannot read"):
        read_bytes(tmp_path / "directory")
    with pytest.raises(PlatformError, match="cannot remove"):
        remove(tmp_path / "directory")


def test_absence_is_no_failure(tmp_path: Path) -> None:
    assert read_bytes(tmp_path / "none") is None
    assert read_bytes(tmp_path / "none" / "deeper") is None
    assert remove(tmp_path / "none") is False
    (tmp_path / "file").write_bytes(b"x")
    assert remove(tmp_path / "file") is True


def test_make_directories_tells_what_it_made(tmp_path: Path) -> None:
    assert make_directories(tmp_path / "a" / "b") == (tmp_path / "a", tmp_path / "a" / "b")
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a" / "b") == 0o755
    assert make_directories(tmp_path / "a" / "b" / "c", 0o700) == (tmp_path / "a/b/c",)
    assert make_directories(tmp_path / "a") == ()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PlatformError, match="not a directory"):
        make_directories(tmp_path / "file" / "x")


def test_tree_round_trip(tree: Tree) -> None:
    assert tree.read("deep/down/key") is None
    assert tree.mode("deep/down/key") is None
    tree.write("deep/down/key", b"secret", 0o600, directory_mode=0o700)
    tree.write("top", b"open", 0o644)
    assert tree.state("deep/down/key") == FileState(b"secret", 0o600)
    assert mode_of(tree.root / "deep") == mode_of(tree.root / "deep/down") == 0o700
    assert tree.mode("deep") == 0o700
    assert tree.files() == ("deep/down/key", "top")
    assert tree.names() == ("deep", "top")
    assert tree.names("deep") == ("down",)
    assert tree.names("none") == ()
    assert tree.remove("top") is True
    assert tree.remove("top") is False
    assert tree.remove("none/top") is False
    assert tree.remove_directory("deep") is True
    assert tree.remove_directory("deep") is False
    assert tree.files() == ()


def test_missing_root(tmp_path: Path) -> None:
    gone = Tree(tmp_path / "gone")
    assert gone.read("x") is None
    assert gone.names() == ()
    with pytest.raises(NotFoundError):
        gone.write("x", b"", 0o600)
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a/..", "a\0b"])
def test_paths_that_lead_out_are_refused(tree: Tree, path: str) -> None:
    for act in (tree.read, tree.remove, tree.remove_directory, tree.mode):
        with pytest.raises(InvalidError):
            act(path)
    with pytest.raises(InvalidError):
        tree.write(path, b"", 0o600)


def test_links_are_not_followed(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"keep")
    (tree.root / "dir").symlink_to(outside)
    (tree.root / "file").symlink_to(outside / "file")
    for act in (tree.read, tree.remove):
        with pytest.raises(InvalidError, match="goes through a link"):
            act("dir/file")
    with pytest.raises(InvalidError):
        tree.write("dir/new", b"", 0o600)
    with pytest.raises(InvalidError):
        tree.read("file")
    with pytest.raises(InvalidError):
        tree.remove_directory("dir")
    with pytest.raises(InvalidError):
        tree.open_lock("file")
    tree.write("file", b"new", 0o600)
    assert (outside / "file").read_bytes() == b"keep"
    assert os.listdir(outside) == ["file"]
    assert tree.files() == ("file",)


def test_removing_a_directory_keeps_what_links_in_it_point_to(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"keep")
    (tree.root / "dir" / "inner").mkdir(parents=True)
    (tree.root / "dir" / "link").symlink_to(outside)
    (tree.root / "dir" / "inner" / "link").symlink_to(outside / "file")
    tree.remove_directory("dir")
    assert (outside / "file").read_bytes() == b"keep"


def test_special_and_large_files_are_refused(tree: Tree) -> None:
    os.mkfifo(tree.root / "fifo")
    with pytest.raises(InvalidError, match="not a regular file"):
        tree.read("fifo")
    tree.write("large", b"x" * 101, 0o600)
    assert tree.read("large", limit=101) is not None
    with pytest.raises(InvalidError, match="larger than 100 bytes"):
        tree.read("large", limit=100)


def test_a_reader_never_sees_a_part(tree: Tree) -> None:
    contents = {bytes([letter]) * 300_000 for letter in b"ab"}
    tree.write("file", min(contents), 0o600)
    seen = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(tree.read("file"))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        for content in contents:
            tree.write("file", content, 0o600)
    done.set()
    reader.join()
    assert seen <= contents


NAMES = st.sampled_from(("a", "b", "link", "up", "deep"))
PATHS = st.lists(st.one_of(NAMES, st.sampled_from(("..", ".", "/"))), max_size=4).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("write", "remove", "rmdir", "mkdir")), PATHS), max_size=6))
def test_nothing_ever_leads_out(tmp_path: Path, work: list[tuple[str, str]]) -> None:
    """Whatever is asked for: it is done inside, or refused with one of our errors."""
    base = Path(subprocess.check_output(["mktemp", "-d", "-p", str(tmp_path)], text=True).strip())
    (base / "outside" / "deep").mkdir(parents=True)
    (base / "outside" / "a").write_bytes(b"keep")
    (base / "root" / "deep").mkdir(parents=True)
    (base / "root" / "link").symlink_to(base / "outside")
    (base / "root" / "deep" / "up").symlink_to("../../outside")
    tree = Tree(base / "root")
    for what, path in work:
        try:
            if what == "write":
                tree.write(path, b"x", 0o600)
            elif what == "remove":
                tree.remove(path)
            elif what == "rmdir":
                tree.remove_directory(path)
            else:
                os.close(tree.open_lock(path))
        except SkupperError:
            pass
    assert sorted(path.relative_to(base / "outside").as_posix() for path in (base / "outside").rglob("*")) == [
        "a",
        "deep",
    ]
    assert (base / "outside" / "a").read_bytes() == b"keep"


@pytest.mark.e2e
@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small file system")
def test_full_disk_keeps_the_old_content(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], check=True)
    try:
        tree = Tree(small)
        tree.write("file", b"old", 0o600)
        with pytest.raises(PlatformError, match="No space left") as caught:
            tree.write("file", b"x" * 200_000, 0o600)
        assert caught.value.hint.startswith("free some space: df -h ")
        with pytest.raises(PlatformError, match="No space left"):
            write_atomic(small / "file", b"x" * 200_000, 0o600)
        assert tree.read("file") == b"old"
        assert tree.names() == ("file",)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_what_a_killed_writer_left_goes_with_the_next_change(tmp_path: Path) -> None:
    """A writer that lives holds a lock on its temporary file; nobody else's file is touched."""
    left = tmp_path / ".record.0123456789ab.tmp"
    others = [tmp_path / ".record.tmp", tmp_path / ".record2.0123456789ab.tmp", tmp_path / "record.0123456789ab.tmp"]
    alive = tmp_path / ".record.ba9876543210.tmp"
    for path in (left, alive, *others):
        path.write_bytes(b"half")
    with alive.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        write_atomic(tmp_path / "record", b"whole", 0o644)
        assert not left.exists()
        assert all(path.exists() for path in (alive, *others))
        Tree(tmp_path).remove("record")
        assert alive.exists()
    remove(tmp_path / "record")
    assert sorted(path for path in tmp_path.iterdir()) == sorted(others)


def test_files_that_belong_together_are_all_written_before_the_first_is_replaced(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.write_together("d", {"key": FileState(b"old key", 0o600), "crt": FileState(b"old crt", 0o644)})
    assert (tree.read("d/key"), tree.read("d/crt")) == (b"old key", b"old crt")
    assert (tree.mode("d/key"), tree.mode("d/crt")) == (0o600, 0o644)
    with pytest.raises(TypeError):
        tree.write_together("d", {"key": FileState(b"new key", 0o600), "crt": FileState(None, 0o644)})  # type: ignore[arg-type]
    assert (tree.read("d/key"), tree.read("d/crt")) == (b"old key", b"old crt")
    assert tree.names("d") == ("crt", "key")
    with pytest.raises(InvalidError):
        tree.write_together("../d", {"key": FileState(b"", 0o600)})
