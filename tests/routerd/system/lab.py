"""Real routers as processes on loopback, servers and clients around them, for the system tests."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import itertools
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from proton import Message, ProtonException
from proton.utils import BlockingConnection, SyncRequestResponse

Entity = tuple[str, dict[str, Any]]
#: Real skrouterds for the interoperation tests: routers whose names begin with S are then 2.7, with T 3.5.
SKROUTERD = os.environ.get("SKUPPER_TEST_SKROUTERD")
SKROUTERD35 = os.environ.get("SKUPPER_TEST_SKROUTERD35")
NO_LINGER = struct.pack("ii", 1, 0)


#: Below those that the kernel gives to connections, so that no other test's connection takes one before it is used;
#: one after the other from a random place on, so that none is given twice, and each test process has its own.
_WIDTH = 5_500
_low = 10_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 4 * _WIDTH
_first = random.randrange(_low, _low + _WIDTH)
_ports = itertools.cycle([*range(_first, _low + _WIDTH), *range(_low, _first)])


def free_port() -> int:
    """A port that nobody uses now, and that no other caller gets."""
    while True:
        port = next(_ports)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def wait_for(condition: Callable[[], Any], what: str, limit: float = 60.0) -> Any:
    """Wait until `condition` gives something true; it may raise OSError meanwhile."""
    deadline = time.monotonic() + limit
    while True:
        with contextlib.suppress(OSError):
            found = condition()
            if found:
                return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit} s: {what}")
        time.sleep(0.02)


class Router:
    """One router process."""

    def __init__(self, directory: Path, name: str, mode: str, *entities: Entity, **attributes: Any) -> None:
        self.name = name
        self.port = free_port()
        self.config = directory / f"{name}.json"
        self.log_file = directory / f"{name}.log"
        self.entities: list[Entity] = [
            ("router", {"id": name, "mode": mode, **attributes}),
            ("listener", {"name": "amqp", "host": "127.0.0.1", "port": self.port}),
            ("address", {"prefix": "mc", "distribution": "multicast"}),
            *entities,
        ]
        self.command = [sys.executable, "-m", "skupper_podman.routerd"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Router:
        """Start the process; does not wait."""
        self.config.write_text(json.dumps([list(entity) for entity in self.entities]))
        with self.log_file.open("ab") as log:
            command = [*self.command, "-c", str(self.config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -1

    @property
    def log(self) -> str:
        """What it has written."""
        return self.log_file.read_text(errors="replace")

    def memory(self) -> int:
        """Resident memory in octets."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """Open file descriptors."""
        assert self.process is not None
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def query(self, kind: str, node: str = "$management") -> list[dict[str, Any]]:
        """All entities of a type."""
        kind = kind if kind.startswith("io.skupper.") else f"io.skupper.router.{kind}"
        body = self.request({"operation": "QUERY", "entityType": kind}, {"attributeNames": []}, node).body
        return [dict(zip(body["attributeNames"], row, strict=True)) for row in body["results"]]

    def request(self, properties: dict[str, Any], body: Any, node: str = "$management") -> Message:
        """One management request."""
        try:
            conn = BlockingConnection(f"127.0.0.1:{self.port}", timeout=5)
        except ProtonException as error:
            raise ConnectionError(str(error)) from None
        client = None
        try:
            client = SyncRequestResponse(conn, node)
            return client.call(Message(properties=properties, body=body))
        finally:
            conn.close()
            if client is not None:
                # Proton's C part keeps the client, and with it all of the connection: 1.6 MB for each request.
                vars(client).clear()


class Lab:
    """Everything one test starts; ended by `close`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.routers: list[Router] = []
        self.servers: list[Server] = []

    def router(self, name: str, mode: str, *entities: Entity, **attributes: Any) -> Router:
        """A started router."""
        return self.add(Router(self.directory, name, mode, *entities, **attributes)).start()

    def add(self, router: Router) -> Router:
        """Take over a router that is not started yet; its name tells which program it is."""
        program = {"S": SKROUTERD, "T": SKROUTERD35}.get(router.name[0])
        if program:
            router.command = [program]
        self.routers.append(router)
        return router

    def server(self, handler: Callable[[socket.socket], None] | None = None) -> Server:
        """A TCP server, echoing by default."""
        made = Server(handler or echo)
        self.servers.append(made)
        return made

    def close(self) -> None:
        """End all."""
        for router in self.routers:
            if router.process is not None and router.process.poll() is None:
                router.kill()
        for server in self.servers:
            server.close()


def echo(sock: socket.socket) -> None:
    """Send back what comes, until the end."""
    while data := sock.recv(262144):
        sock.sendall(data)


class Server:
    """A TCP server with a thread per connection."""

    def __init__(self, handler: Callable[[socket.socket], None], port: int = 0) -> None:
        self._handler = handler
        self._sock = socket.create_server(("", port), backlog=1024)  # so that 127.0.0.2 leads here too
        self.port = int(self._sock.getsockname()[1])
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(sock)
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock: socket.socket) -> None:
        try:
            self._handler(sock)
        except OSError:
            pass
        finally:
            sock.close()
            with contextlib.suppress(ValueError):
                self.connections.remove(sock)

    def close(self) -> None:
        """Stop accepting and drop what is open."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for sock in list(self.connections):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def connect(port: int, limit: float = 15.0) -> socket.socket:
    """A client connection, tried again until the port is open."""
    where = ("127.0.0.1", port)
    sock: socket.socket = wait_for(lambda: socket.create_connection(where, timeout=20), f"port {port}", limit)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(port: int, data: bytes = b"hello") -> bytes:
    """Send, half-close, and meanwhile read to the end: no buffer on the way need hold all of it."""
    with connect(port) as sock, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_all, sock, data)
        got = read_all(sock)
        sending.result()
        return got


def send_all(sock: socket.socket, data: bytes) -> None:
    """Send and half-close."""
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def read_all(sock: socket.socket) -> bytes:
    """Read to the end of the stream."""
    return b"".join(iter(lambda: sock.recv(262144), b""))


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    sock.close()


def echoes(port: int) -> bool:
    """Whether an echo service answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
            sock.sendall(b"ping")
            return sock.recv(16) == b"ping"
    except OSError:
        return False


def credentials(directory: Path) -> dict[str, Path]:
    """A CA and one certificate for localhost, as files of an sslProfile."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject: str, key: Any, issuer: str, signer: Any, *, authority: bool) -> x509.Certificate:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(signer, hashes.SHA256())
        )

    directory.mkdir(exist_ok=True)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    files = {
        "caCertFile": certificate("ca", authority_key, "ca", authority_key, authority=True).public_bytes(
            serialization.Encoding.PEM
        ),
        "certFile": certificate("localhost", key, "ca", authority_key, authority=False).public_bytes(
            serialization.Encoding.PEM
        ),
        "privateKeyFile": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    paths = {}
    for name, octets in files.items():
        paths[name] = directory / f"{name}.pem"
        paths[name].write_bytes(octets)
        paths[name].chmod(0o600)
    return paths


def profile(directory: Path, name: str = "tls") -> Entity:
    """An sslProfile with fresh credentials."""
    files = credentials(directory / name)
    return "sslProfile", {"name": name, **{key: str(path) for key, path in files.items()}}


def listener(role: str, port: int, *, tls: bool = False) -> Entity:
    """A listener for other routers, as a Skupper site has it."""
    attributes: dict[str, Any] = {"name": f"{role}-listener", "host": "127.0.0.1", "port": port, "role": role}
    if tls:
        attributes |= {"sslProfile": "tls", "saslMechanisms": "EXTERNAL", "authenticatePeer": True}
    return "listener", {**attributes, "maxFrameSize": 16384, "maxSessionFrames": 640}


def connector(role: str, port: int, *, tls: bool = False, name: str = "uplink", **more: Any) -> Entity:
    """A connector to another router, as a Skupper site has it."""
    attributes: dict[str, Any] = {"name": name, "host": "localhost", "port": str(port), "role": role, **more}
    if tls:
        attributes["sslProfile"] = "tls"
    return "connector", attributes


def tcp_listener(port: int, address: str = "echo:1", **more: Any) -> Entity:
    """A tcpListener."""
    return "tcpListener", {"name": f"l-{port}", "host": "127.0.0.1", "port": str(port), "address": address, **more}


def tcp_connector(port: int, address: str = "echo:1", **more: Any) -> Entity:
    """A tcpConnector."""
    return "tcpConnector", {"name": f"c-{port}", "host": "127.0.0.1", "port": str(port), "address": address, **more}


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Lab]:
    """A lab that is closed at the end."""
    lab = Lab(directory)
    try:
        yield lab
    finally:
        lab.close()
