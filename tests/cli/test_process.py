"""The real process: what it loads, how it ends, and what it does when its surroundings misbehave."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

HEAVY = {
    "aiohttp", "cproton", "cryptography", "jinja2", "kubernetes", "netifaces", "podman", "proton", "pydantic",
    "requests", "rich", "urllib3",
}  # fmt: skip
MAIN = "import sys; from skupper_podman.cli.main import main; code = main()"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with nothing set up, on podman."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SKUPPER_DATA_HOME": str(tmp_path / "data"),
        "SKUPPER_PLATFORM": "podman",
        "CONTAINER_HOST": f"unix://{tmp_path}/podman.sock",
    }


def skupper(env: dict[str, str], *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "skupper_podman.cli.main", *words],
        env=env, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False, **{"capture_output": True, **options},
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["--help"], ["version"], ["help"], [], ["link", "--help"], ["link", "create", "--help"],
        ["version", "-o", "json"],
        ["switch"], ["nope"], ["status", "--nope"], ["--platform", "kubernetes", "status"], ["completion", "zsh"],
        ["__complete", "link", ""], ["init", "--enable-console"], ["expose"], ["init", "--help"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_needs_no_platform_loads_nothing_heavy(env: dict[str, str], words: list[str]) -> None:
    script = f"{MAIN}; print('LOADED', *sorted(name for name in sys.modules if '.' not in name))"
    done = subprocess.run(
        [sys.executable, "-c", script, *words], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "sys" in loaded, done
    assert not loaded & HEAVY


@pytest.mark.parametrize("words", [["--help"], ["version"]], ids=" ".join)
def test_the_fast_answers_load_next_to_nothing(env: dict[str, str], words: list[str]) -> None:
    script = f"{MAIN}; print('LOADED', *sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path = {sys.path!r}; {script}", *words],
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "skupper_podman.cli.fast" in loaded, done
    assert not loaded & {"typer", "yaml", "dataclasses", "inspect", "pathlib", "typing", "skupper_podman.errors"}


class Podman:
    """A socket that answers each request with what the test says, or never."""

    def __init__(self, path: Path, answer: Callable[[str], bytes] | None) -> None:
        self.asked = threading.Event()
        self._answer = answer
        self._open: list[socket.socket] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._server.accept()
            except OSError:
                return
            self._open.append(connection)
            request = connection.recv(65536).decode()
            self.asked.set()
            if self._answer is not None:
                connection.sendall(self._answer(request.split(" ")[1]))
                connection.close()

    def close(self) -> None:
        self._server.close()
        for connection in self._open:
            connection.close()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Podman]:
    """A Podman that takes requests and never answers."""
    with closing(Podman(tmp_path / "podman.sock", None)) as podman:
        yield podman


@pytest.mark.parametrize("words", [["version"], ["status"], ["init"], ["link", "status", "--wait", "9"], ["delete"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_with_one_line(
    env: dict[str, str], silent: Podman, words: list[str], number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "skupper_podman.cli.main", *words],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert silent.asked.wait(30)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "Error: interrupted\n")


def test_a_signal_that_no_wait_noticed_is_heeded(env: dict[str, str]) -> None:
    """The kernel gives it to another thread: for the main one it is as if it came just before its wait began."""
    script = """
import os, signal, threading
from skupper_podman.cli.awake import keep_awake
signal.signal(signal.SIGTERM, lambda *_: os._exit(130))
keep_awake()
held = threading.Lock()
held.acquire()
threading.Thread(target=held.acquire, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
held.acquire()
"""
    with subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        time.sleep(0.5)  # it should wait by then; before, any signal is noticed
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(60) == 130
        finally:
            process.kill()


def test_version_does_not_wait_for_a_silent_podman(env: dict[str, str], silent: Podman) -> None:
    done = skupper(env, "version")
    assert done.returncode == 0
    assert "Skupper is not enabled for user" in done.stdout
    assert silent.asked.is_set()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n".encode() + body


CONTAINER = {
    "Image": "abc",
    "ImageName": "quay.io/skupper/skupper-router:2.7.6",
    "Config": {"Labels": {"application": "skupper"}},
}
IMAGE = {"Digest": "sha256:0123456789abcdef"}


def site(target: str) -> bytes:
    return http(json.dumps(CONTAINER if "/containers/skupper-router/json" in target else IMAGE).encode())


def test_version_asks_podman(env: dict[str, str], tmp_path: Path) -> None:
    with closing(Podman(tmp_path / "podman.sock", site)):
        done = skupper(env, "version")
        assert done.stdout == (
            "client version                 1.9.6\n"
            "transport version              quay.io/skupper/skupper-router:2.7.6 (sha256:0123456789ab)\n"
            "skupper-podman version         0.1.0\n"
        )
        document = json.loads(skupper(env, "version", "-o", "json").stdout)
    assert document["data"]["images"] == [
        {"name": "transport", "image": CONTAINER["ImageName"], "digest": IMAGE["Digest"]}  #
    ]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage",
        b"HTTP/1.0 200 OK\r\n\r\n",
        http(b"[]"),
        http(b"{"),
        http(b"{}"),
        http(b'{"Config": 3}'),
        http(b'{"Config": {"Labels": {"application": "skupper"}}, "ImageName": 7}'),
        http(b'{"Config": {"Labels": {"application": "other"}}, "ImageName": "x"}'),
        http(b"{}", "404 Not Found"),
        http(b"[" * 100_000),
        http(b"\xff\xfe"),
    ],
)
def test_version_survives_any_answer(env: dict[str, str], tmp_path: Path, answer: bytes) -> None:
    with closing(Podman(tmp_path / "podman.sock", lambda _target: answer)):
        done = skupper(env, "version")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Skupper is not enabled for user" in done.stdout


def test_without_podman_the_way_out_is_named(env: dict[str, str]) -> None:
    done = skupper(env, "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Podman endpoint is not available: unix://")
    assert "\nHint: podman system service" in done.stderr


@pytest.mark.parametrize(
    "words", [["--help"], ["version"], ["init", "--help"], ["switch"], ["completion"]], ids=" ".join
)
def test_a_reader_that_went_away_is_no_error(env: dict[str, str], words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = skupper(env, *words, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", [["--help"], ["init", "--help"], ["switch", "-o", "json"]], ids=" ".join)
def test_a_full_disk_is_told(env: dict[str, str], words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = skupper(env, *words, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["init", "--help"]], ids=" ".join)
def test_closed_streams_are_no_crash(env: dict[str, str], words: list[str]) -> None:
    command = [sys.executable, "-m", "skupper_podman.cli.main", *words]
    script = 'exec "$@" >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, "sh", *command], env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1


def test_any_locale_prints_the_same(env: dict[str, str]) -> None:
    for locale in ({"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "ascii"}):
        done = skupper(
            {**env, **locale}, "nopé", capture_output=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert done.stdout.startswith('Error: unknown command "nopé" for "skupper"\n')


def test_arguments_that_are_no_utf_8(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "skupper_podman.cli.main", b"\xff\xfe"]
    done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)  # type: ignore[list-item]
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b'Error: unknown command "\\xff\\xfe" for "skupper"\n')


def test_a_traceback_only_on_demand(env: dict[str, str], tmp_path: Path) -> None:
    script = (
        "import sys; from skupper_podman.cli import app, world; real = world.real_world()\n"
        "import dataclasses; broken = dataclasses.replace(real, open_platform=lambda w, e: 1 / 0)\n"
        "sys.exit(app.run(['status'], broken))"
    )
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: internal error: ZeroDivisionError: division by zero\n"
        "Hint: run it again with SKUPPER_DEBUG=1 to see where it happened, and report that\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], env={**env, "SKUPPER_DEBUG": "1"}, capture_output=True, text=True, check=False
    )
    assert "Traceback" in shown.stderr
