"""The real host's answers, each provoked for real where this machine allows."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skupper_podman.platform.podman.host import LocalHost, Owner, local_host

NOBODY = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user or to mount")


@pytest.fixture
def host() -> LocalHost:
    return local_host(Path("/run"))


@contextlib.contextmanager
def listener(ip: str = "127.0.0.1", family: socket.AddressFamily = socket.AF_INET) -> Iterator[int]:
    with socket.socket(family, socket.SOCK_STREAM) as found:
        found.bind((ip, 0))
        found.listen(1)
        yield found.getsockname()[1]


def test_who_i_am(host: LocalHost) -> None:
    assert (host.uid, host.gid) == (os.getuid(), os.getgid())
    assert host.user == pwd.getpwuid(os.getuid()).pw_name
    assert host.runtime_dir() == Path("/run")


@pytest.mark.parametrize("ip", ["", "127.0.0.1", "0.0.0.0"])
def test_a_listener_takes_its_port(host: LocalHost, ip: str) -> None:
    with listener() as port:
        assert host.try_bind(ip, port) == "taken"
        assert host.port_owner(port) == Owner(host.user, os.getpid(), Path("/proc/self/comm").read_text().strip())
    assert host.try_bind(ip, port) == ""
    assert host.port_owner(port) is None


def test_a_connection_left_behind_takes_nothing(host: LocalHost) -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            client.recv(1)
    assert host.try_bind("127.0.0.1", port) == ""


def test_addresses_of_others(host: LocalHost) -> None:
    assert host.try_bind("198.51.100.7", 50001) == "absent"
    assert host.try_bind("2001:db8::7", 50001) == "absent"
    assert host.try_bind("localhost", 50001) == "invalid"
    assert host.try_bind("1.2.3", 50001) == "invalid"
    assert "127.0.0.1" in host.addresses()


def as_nobody(code: str) -> str:
    """What ``code`` prints as an ordinary user with a host ``h``."""
    start = "from pathlib import Path; from skupper_podman.platform.podman.host import local_host"
    program = f"{start}; h = local_host(Path('/run')); {code}"
    done = subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", sys.executable, "-c", program],
        capture_output=True, text=True, check=True, cwd="/", env={"PATH": os.defpath},
    )  # fmt: skip
    return done.stdout.strip()


@needs_root
@pytest.mark.e2e
def test_what_an_ordinary_user_sees(host: LocalHost) -> None:
    assert as_nobody("print(h.uid, h.user)") == f"{NOBODY} nobody"
    lowest = int(as_nobody("print(h.lowest_port())"))
    assert lowest == host.lowest_port()
    if lowest > 1:
        assert as_nobody(f"print(h.try_bind('', {lowest - 1}))") == "forbidden"
    with listener() as port:
        assert as_nobody(f"print(h.port_owner({port}))") == "Owner(user='root', pid=0, name='')"
    assert as_nobody("print(h.space(Path('/etc/none/deeper')).writable)") == "False"
    assert as_nobody("print(h.is_directory(Path('/root')))") in ("True", "False")
    assert as_nobody("print(h.sub_ids('subuid').count)") == "0"
    assert as_nobody("print(h.installer())").startswith("sudo ")
    assert as_nobody("print(repr(h.unreadable()))") == "''"


@needs_root
@pytest.mark.e2e
def test_space_on_a_full_disk(host: LocalHost, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=5", "tmpfs", str(small)], check=True)
    try:
        space = host.space(small / "not" / "there")
        assert space is not None
        assert (space.path, space.free_bytes, space.writable) == (str(small), 2**20, True)
        for name in "abcd":
            (small / name).touch()
        (small / "a").write_bytes(b"x" * 2**20)
        full = host.space(small)
        assert full is not None
        assert (full.free_bytes, full.free_inodes) == (0, 0)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_lookup(host: LocalHost) -> None:
    assert "127.0.0.1" in host.lookup("localhost")
    assert host.lookup("10.1.2.3") == ("10.1.2.3",)
    for name in ("no-such-host.invalid", "", "a" * 300, "x..y"):
        assert isinstance(host.lookup(name), tuple)


def test_programs(host: LocalHost) -> None:
    assert host.has_program("sh")
    assert not host.has_program("no-such-program")
    if Path("/usr/lib/podman/netavark").exists():
        assert host.has_program("netavark")


def test_machine(host: LocalHost) -> None:
    uptime = host.uptime()
    assert uptime is not None
    assert uptime > 0
    assert host.kernel() == os.uname().release
    assert host.is_directory(Path("/"))
    assert not host.is_directory(Path("/etc/passwd"))
    assert not host.is_directory(Path("/none"))
    assert host.installer().endswith("install")
