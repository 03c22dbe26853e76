"""The controller as a process, without any router: its first second, its end, and peers that are no routers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.controller.routers import Site, eventually, free_port


@contextmanager
def controller(directory: Path, *options: str) -> Iterator[Site]:
    site = Site("none", "west", directory)
    try:
        site.start_controller(*options)
        yield site
    finally:
        site.stop()


def test_the_own_site_is_written_before_there_is_a_router(tmp_path: Path) -> None:
    with controller(tmp_path, "--url", f"amqp://127.0.0.1:{free_port()}") as site:
        assert eventually(site.routers) == {"west": []}
        code, health = eventually(lambda: answer if "refused" in str(answer := site.health()) else ())
        assert (code, health["status"]) == (503, "failing")
        assert site.controller is not None
        site.controller.terminate()
        assert site.controller.wait(timeout=20) == 0
        assert "Traceback" not in site.controller_log


def test_a_status_directory_that_cannot_be_written_is_unhealthy(tmp_path: Path) -> None:
    options = ("--url", f"amqp://127.0.0.1:{free_port()}", "--status", str(tmp_path / "missing"))
    with controller(tmp_path, *options) as site:
        eventually(lambda: "missing" in str(site.health()[1].get("reason")))


def test_wrong_settings_are_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "skupper_podman.controller", "--messaging", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SKUPPER_")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "SKUPPER_SITE_ID" in result.stderr


def test_a_closed_stderr_does_not_matter(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "skupper_podman.controller", "--site-id", "i", "--site-name", "n", "--health-port", "0",
        "--status", str(tmp_path), "--url", f"amqp://127.0.0.1:{free_port()}",
    ]  # fmt: skip
    reader, writer = os.pipe()
    process = subprocess.Popen(command, stderr=writer)
    os.close(writer)
    os.close(reader)
    try:
        eventually((tmp_path / "skupper-network-status.json").exists)
        process.terminate()
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()


def garbage(peer: socket.socket) -> None:
    peer.sendall(os.urandom(4096))


def http(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def hang_up(peer: socket.socket) -> None:
    peer.recv(8)


def huge_frame(peer: socket.socket) -> None:
    peer.sendall(b"AMQP\x03\x01\x00\x00" + b"\xff\xff\xff\xf0\x02\x01\x00\x00" * 1000)


@pytest.mark.parametrize("behave", [garbage, http, hang_up, huge_frame])
def test_peers_that_are_no_routers(behave: Callable[[socket.socket], None], tmp_path: Path) -> None:
    visits = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    visits.append(1)
                    try:
                        behave(peer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with controller(tmp_path, "--url", f"amqp://127.0.0.1:{server.getsockname()[1]}") as site:
            eventually(lambda: len(visits) > 2)
            code, health = eventually(lambda: answer if (answer := site.health())[0] else ())
            assert code == 503
            assert "no connection to the router" in health["reason"]
            assert "Traceback" not in site.controller_log
            assert site.controller is not None
            assert site.controller.poll() is None
        server.shutdown(socket.SHUT_RDWR)
