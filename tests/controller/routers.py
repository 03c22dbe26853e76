"""Real routers and controllers as processes, on loopback, with certificates as a site has them."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from skupper_podman import certs
from skupper_podman.model.network import NetworkStatus, NetworkStatusError

T = TypeVar("T")
SKROUTERD = os.environ.get("SKUPPER_TEST_SKROUTERD", "")
_NEEDS_SKROUTERD = pytest.mark.skipif(not SKROUTERD, reason="SKUPPER_TEST_SKROUTERD names no skrouterd")
KINDS = ["embedded", pytest.param("skrouterd", marks=_NEEDS_SKROUTERD)]


def eventually(probe: Callable[[], T], seconds: float = 40.0) -> T:
    """The first true answer of ``probe``; fails with the last one when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {seconds} s"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_certificates(directory: Path, authority: certs.KeyPair, *hosts: str) -> Path:
    """``ca.crt``, ``tls.crt`` and ``tls.key`` in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    pair = certs.issue(authority, hosts[0], hosts, certs.new_key(), datetime.datetime.now(datetime.UTC))
    (directory / "ca.crt").write_bytes(authority.certificate)
    (directory / "tls.crt").write_bytes(pair.certificate)
    (directory / "tls.key").write_bytes(pair.key)
    return directory


def new_authority(name: str = "skupper-local-ca") -> certs.KeyPair:
    return certs.issue_authority(name, certs.new_key(), datetime.datetime.now(datetime.UTC))


@dataclass
class Site:
    """A site: its router and its controller, both started and stopped by a test."""

    kind: str
    name: str
    directory: Path
    entities: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    amqp_port: int = field(default_factory=free_port)
    link_port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)
    mode: str = "interior"
    router: subprocess.Popen[bytes] | None = None
    controller: subprocess.Popen[bytes] | None = None
    controller_options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory = self.directory / self.name
        self.directory.mkdir(exist_ok=True)

    @property
    def status_file(self) -> Path:
        return self.directory / "skupper-network-status.json"

    def start_router(self) -> None:
        metadata = json.dumps({"id": f"id-{self.name}", "version": "1.9.6", "platform": "podman"})
        entities: list[Any] = [
            ["router", {"id": self.name, "mode": self.mode, "helloMaxAgeSeconds": "3", "metadata": metadata}],
            ["address", {"prefix": "mc", "distribution": "multicast"}],
            *([kind, attributes] for kind, attributes in self.entities),
        ]
        config = self.directory / "skrouterd.json"
        config.write_text(json.dumps(entities))
        command = [SKROUTERD] if self.kind == "skrouterd" else [sys.executable, "-m", "skupper_podman.routerd"]
        environment = {**os.environ, "SKUPPER_SITE_ID": f"id-{self.name}", "APPLICATION_NAME": "skupper-router"}
        self.router = subprocess.Popen(
            [*command, "-c", str(config)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=(self.directory / "router.log").open("ab"),
        )

    def plain(self) -> None:
        """Let the controller in without certificates."""
        self.entities.append(("listener", {"name": "amqp", "host": "127.0.0.1", "port": self.amqp_port}))
        self.controller_options += ["--url", f"amqp://127.0.0.1:{self.amqp_port}"]

    def start_controller(self, *options: str) -> None:
        command = [
            sys.executable, "-m", "skupper_podman.controller", "--site-id", f"id-{self.name}",
            "--site-name", self.name, "--status", str(self.directory),
            "--services", str(self.directory / "skupper-services.json"), "--health-host", "127.0.0.1",
            "--health-port", str(self.health_port), *self.controller_options, *options,
        ]  # fmt: skip
        self.controller = subprocess.Popen(command, stderr=(self.directory / "controller.log").open("ab"))

    @property
    def controller_log(self) -> str:
        return (self.directory / "controller.log").read_text()

    def health(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/healthz", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    def status(self) -> NetworkStatus:
        try:
            return NetworkStatus.parse(self.status_file.read_text())
        except (OSError, NetworkStatusError):
            return NetworkStatus()

    def routers(self) -> dict[str, list[str]]:
        """Router ids by site name, as the status file tells."""
        return {item.site.name: sorted(router.router.id for router in item.routers) for item in self.status().sites}

    def stop(self) -> None:
        for process in (self.controller, self.router):
            if process is not None and process.poll() is None:
                process.kill()
            if process is not None:
                process.wait()


@contextlib.contextmanager
def running(*sites: Site) -> Iterator[None]:
    """Start routers, then controllers; stop everything at the end, and show the logs of a failed test."""
    try:
        for site in sites:
            site.start_router()
        for site in sites:
            site.start_controller()
        yield
    except BaseException:
        for site in sites:
            for log in sorted(site.directory.glob("*.log")):
                print(f"--- {site.name} {log.name}\n{log.read_text()[-4000:]}")
        raise
    finally:
        for site in sites:
            site.stop()
