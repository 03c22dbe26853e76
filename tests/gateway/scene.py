"""A site's router on loopback, bundles that lead to it, and a user without a home of his own who launches them."""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from skupper_podman import certs
from skupper_podman.desired.gatewaybundle import (
    BundleGeneration,
    BundleRouter,
    BundleSecrets,
    BundleSite,
    make_bundle,
)
from skupper_podman.desired.gatewayfile import parse_gateway
from skupper_podman.desired.gatewaytrust import authority_name, with_gateways
from skupper_podman.gateway.local import unpack
from skupper_podman.gateway.programs import bundle_programs
from skupper_podman.gateway.runtime import Runtime, runtime
from tests.routerd.system.lab import Router, free_port, wait_for

NOBODY = 65534
PATH = ":".join([*filter(None, [os.environ.get("SKUPPER_TEST_PYTHON_BIN")]), "/usr/sbin:/usr/bin:/sbin:/bin"])
"""With SKUPPER_TEST_PYTHON_BIN, a directory with another ``python3``, the programs of bundles run by that one."""
_DAY = datetime.timedelta(days=1)


@dataclass
class Scene:
    """``edge`` is the port at which the site lets gateways in; services are called at ``services`` by name."""

    directory: Path
    made: Runtime
    site: certs.KeyPair
    own: certs.KeyPair
    edge: int
    services: dict[str, int]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def bundle(
        self,
        text: str,
        place: str,
        *,
        generation: int = 1,
        expires: datetime.timedelta = 30 * _DAY,
        made: datetime.timedelta = datetime.timedelta(),
        with_router: bool = True,
        edge: int = 0,
        renewal: str = "",
        tls: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Unpack a bundle at ``place``; the credential lasts until ``expires``, it was made ``made`` from now."""
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        pair = certs.issue(self.own, "skupper-gateway-test", (), certs.new_key(), now + expires - 30 * _DAY,
                           lifetime=30 * _DAY, client_only=True)  # fmt: skip
        secrets = BundleSecrets(
            pair.certificate, pair.key, self.own.certificate, self.site.certificate, now + expires, tls or {}
        )  # fmt: skip
        router = BundleRouter("quay.io/skupper/skupper-router:2.7.6")
        if with_router:
            router = BundleRouter(router.image, "", self.made.archive, self.made.facts)
        found = make_bundle(
            BundleGeneration(parse_gateway(text).definition, generation, now + made),
            BundleSite("site", "west", "127.0.0.1", edge or self.edge, "1.9.6", renewal_url=renewal),
            secrets, router, bundle_programs(),
        )  # fmt: skip
        target = self.directory / place
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        unpack(found, target)
        if os.getuid() == 0:
            for directory, _names, files in os.walk(target):
                for path in (directory, *(os.path.join(directory, name) for name in files)):
                    os.chown(path, NOBODY, NOBODY)
            target.parent.chmod(0o755)
        return target

    def _arguments(self, env: Mapping[str, str] | None) -> dict[str, object]:
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": ()} if os.getuid() == 0 else {}
        home = str(self.directory / "home")
        return {"env": {"HOME": home, "PATH": PATH, **(env or {})}, "cwd": "/", **identity}

    def run(self, *words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as a user of whom nothing is known."""
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [str(word) for word in words], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
            **self._arguments(env),
        )  # fmt: skip

    def start(self, *words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a command that runs until it is stopped."""
        with (self.directory / "output").open("ab") as log:
            process = subprocess.Popen(  # type: ignore[call-overload]
                [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._arguments(env)
            )
        self.processes.append(process)
        return process  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Stop what was started, and forget what was installed."""
        for process in self.processes:
            process.terminate()
            process.wait(30)
        self.processes.clear()
        shutil.rmtree(self.directory / "home/.local", ignore_errors=True)

    def call(self, service: str, words: bytes = b"hello\n") -> bytes:
        """What a client at the site hears from a service."""
        with socket.create_connection(("127.0.0.1", self.services[service]), 5) as client:
            client.sendall(words)
            return client.recv(100)


@functools.cache
def _runtime() -> Runtime:
    with tempfile.TemporaryDirectory() as cache:
        return runtime(Path(cache), "test")


def _ground() -> tuple[Path, certs.KeyPair, certs.KeyPair]:
    """A directory with a user's home, the authority of a site, and that of its gateway."""
    directory = Path(tempfile.mkdtemp(prefix="sk-gateway-", dir="/tmp"))
    directory.chmod(0o755)
    home = directory / "home"
    home.mkdir()
    if os.getuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    now = datetime.datetime.now(datetime.UTC)
    authority = certs.issue_authority("skupper-site-ca", certs.new_key(), now)
    return directory, authority, certs.issue_authority(authority_name("test"), certs.new_key(), now - 300 * _DAY)


@contextlib.contextmanager
def alone(made: Runtime) -> Iterator[Scene]:
    """A user of bundles with the router ``made``, and no site."""
    directory, authority, own = _ground()
    try:
        yield Scene(directory, made, authority, own, free_port(), {})
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def site(*services: str) -> Iterator[Scene]:
    """The site; its services are named ``NAME:1``."""
    directory, authority, own = _ground()
    now = datetime.datetime.now(datetime.UTC)
    server = certs.issue(authority, "skupper-router", ("127.0.0.1",), certs.new_key(), now)
    files = {"ca.crt": with_gateways(authority.certificate, {"test": own.certificate}), "tls.crt": server.certificate}
    for name, content in {**files, "tls.key": server.key}.items():
        (directory / name).write_bytes(content)
    edge, ports = free_port(), {name: free_port() for name in services}
    paths = {"caCertFile": "ca.crt", "certFile": "tls.crt", "privateKeyFile": "tls.key"}
    router = Router(
        directory, "west", "interior",
        ("sslProfile", {"name": "p", **{key: str(directory / name) for key, name in paths.items()}}),
        ("listener", {"name": "edge", "role": "edge", "host": "127.0.0.1", "port": edge, "sslProfile": "p",
                      "saslMechanisms": "EXTERNAL", "authenticatePeer": True}),
        *(("tcpListener", {"name": name, "address": f"{name}:1", "host": "127.0.0.1", "port": str(port)})
          for name, port in ports.items()),
    )  # fmt: skip
    scene = None
    try:
        router.start()
        wait_for(lambda: socket.create_connection(("127.0.0.1", edge), 1).close() or True, "the site listens")
        scene = Scene(directory, _runtime(), authority, own, edge, ports)
        yield scene
    finally:
        if scene is not None:
            scene.stop()
        router.kill()
        shutil.rmtree(directory, ignore_errors=True)
