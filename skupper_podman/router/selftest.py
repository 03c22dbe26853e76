"""``python -m skupper_podman.router.selftest URL TLS SITE-ROUTER-HOST OWN-HOST``: bytes through the site's router.

A service of its own is made for a moment: a tcpListener and a tcpConnector of the router, under an address nobody else
uses, and an echo server here. What is sent to the listener must come back unchanged. The answer is JSON on standard
output: ``{"error": TEXT, "octets": N, "seconds": S}``. What always holds: both entities are removed again, and so are
those of a test that was killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

PREFIX: Final = "skupper-doctor-"
OCTETS: Final = 256 * 1024
_LIMIT: Final = 5.0
_LISTENER: Final = "io.skupper.router.tcpListener"
_CONNECTOR: Final = "io.skupper.router.tcpConnector"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the test; gives the exit code."""
    from skupper_podman.errors import ManagementError
    from skupper_podman.router.access import Tls
    from skupper_podman.router.management import ManagementClient

    url, place, router_host, own_host = sys.argv[1:] if argv is None else argv
    tls = Tls(f"{place}/ca.crt", f"{place}/tls.crt", f"{place}/tls.key") if place else None
    began = time.monotonic()
    error = ""
    try:
        with ManagementClient(url, tls=tls, timeout=_LIMIT) as client, _echo() as port:
            _remove(client, "")
            with _service(client, own_host, port) as listening:
                error = exchange(router_host, listening)
    except ManagementError as failure:
        error = failure.message
    except OSError as failure:
        error = failure.strerror or str(failure)
    json.dump({"error": error, "octets": OCTETS, "seconds": round(time.monotonic() - began, 3)}, sys.stdout)
    return 1 if error else 0


@contextlib.contextmanager
def _service(client: Any, own_host: str, port: int) -> Iterator[int]:
    """A listener and a connector of the router; gives the listener's port."""
    name = f"{PREFIX}{secrets.token_hex(6)}"
    listening = 20000 + secrets.randbelow(12000)
    try:
        client.create(_CONNECTOR, f"{name}-out", {"address": f"{name}:1", "host": own_host, "port": str(port)})
        client.create(_LISTENER, f"{name}-in", {"address": f"{name}:1", "host": "0.0.0.0", "port": str(listening)})
        yield listening
    finally:
        _remove(client, name)


def _remove(client: Any, name: str) -> None:
    """Remove the entities of that name; without one those of any earlier test."""
    for entity_type in (_LISTENER, _CONNECTOR):
        for row in client.query(entity_type, ("name",)):
            if str(row["name"]).startswith(name or PREFIX):
                client.delete(entity_type, str(row["name"]))


@contextlib.contextmanager
def _echo() -> Iterator[int]:
    """A server that sends back what it gets; gives its port."""
    with socket.create_server(("", 0), family=socket.AF_INET) as server:
        thread = threading.Thread(target=_serve, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]


def _serve(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_LIMIT)
            while octets := connection.recv(65536):
                connection.sendall(octets)
            connection.shutdown(socket.SHUT_WR)


def exchange(host: str, port: int, limit: float = _LIMIT) -> str:
    """Send octets to the listener and take them back; empty if they came unchanged, else what went wrong."""
    sent = os.urandom(OCTETS)
    deadline = time.monotonic() + limit
    connection = _connected(host, port, deadline)
    if isinstance(connection, str):
        return connection
    got = hashlib.sha256()
    count = 0
    with connection:
        sender = threading.Thread(target=_send, args=(connection, sent), daemon=True)
        sender.start()
        while count < OCTETS:
            connection.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                octets = connection.recv(65536)
            except TimeoutError:
                return f"{count} of {OCTETS} octets came back within {limit:g} s"
            if not octets:
                return f"the connection ended after {count} of {OCTETS} octets"
            got.update(octets)
            count += len(octets)
    return "" if got.digest() == hashlib.sha256(sent).digest() else "other octets came back than were sent"


def _connected(host: str, port: int, deadline: float) -> socket.socket | str:
    """The router opens a listener only once it has heard of a consumer, so the first attempts may be refused."""
    reason = ""
    while (left := deadline - time.monotonic()) > 0:
        try:
            return socket.create_connection((host, port), left)
        except socket.gaierror:
            reason = f"the name {host} cannot be resolved"
        except OSError as error:
            reason = f"the listener of the test service cannot be reached: {error.strerror or error}"
        time.sleep(0.05)
    return reason


def _send(connection: socket.socket, octets: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(octets)


if __name__ == "__main__":
    sys.exit(main())
