"""One router with an httpListener and an httpConnector on a thread, real sockets around it, peers that tests play."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from skupper_podman.routerd.entities import Entities
from skupper_podman.routerd.log import Log
from skupper_podman.routerd.loop import Loop
from skupper_podman.routerd.router import Router
from tests.routerd.system.lab import Server, free_port, wait_for


class Bench:
    """The router; everything it logs as an internal error fails the test at the end."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        log = Log()
        log.configure("DEFAULT", {"enable": "none"})
        self.loop = Loop(lambda error: self.errors.append(repr(error)))
        self.router = Router({"id": "R", "mode": "interior"}, log, self.loop)
        self.router.report = lambda error: self.errors.append(repr(error))  # type: ignore[method-assign]
        self.entities = Entities(self.router)
        self._servers: list[Server] = []
        self._thread = threading.Thread(target=self.loop.run, daemon=True)
        self._thread.start()

    def do(self, call: Callable[[], Any]) -> Any:
        """Run a call on the router's thread; its result."""
        results: list[Any] = []
        done = threading.Event()

        def run() -> None:
            try:
                results.append(call())
            except Exception as error:
                results.append(error)
            done.set()

        self.loop.call_threadsafe(run)
        assert done.wait(10)
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    def listen(self, **more: Any) -> int:
        """An httpListener; its port, which is open once a server is there."""
        port = free_port()
        attributes = {"name": "l", "identity": "l", "host": "127.0.0.1", "port": str(port), "address": "web:80", **more}
        self.do(lambda: self.entities.create("httpListener", attributes))
        return port

    def serve(self, handler: Callable[[socket.socket], None], name: str = "c", **more: Any) -> Server:
        """A server and the httpConnector for it."""
        server = Server(handler)
        self._servers.append(server)
        self.connect(server.port, name, **more)
        return server

    def connect(self, port: int, name: str = "c", **more: Any) -> None:
        """An httpConnector."""
        attributes = {"name": name, "identity": name, "host": "127.0.0.1", "port": str(port), "address": "web:80"}
        self.do(lambda: self.entities.create("httpConnector", attributes | more))

    def counts(self) -> dict[str, int]:
        """What must not grow."""

        def look() -> dict[str, int]:
            listeners, connectors = self.entities.http_listeners, self.entities.http_connectors
            return {
                "clients": sum(len(listener.clients) for listener in listeners),
                "exchanges": sum(len(connector.pool.exchanges) for connector in connectors),
                "temporaries": len(self.router.temporaries),
            }

        counts: dict[str, int] = self.do(look)
        return counts

    def quiet(self) -> None:
        """Wait until nothing is left of any client."""
        wait_for(lambda: not any(self.counts().values()), "nothing is left")

    def close(self) -> None:
        """End all; fails when the router had an internal error."""
        self.do(self.entities.close)
        self.loop.call_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
        for server in self._servers:
            server.close()
        assert self.errors == []


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """A router that is ended."""
    made = Bench()
    try:
        yield made
    finally:
        made.close()


def dial(port: int) -> socket.socket:
    """A client's connection."""
    sock: socket.socket = wait_for(lambda: socket.create_connection(("127.0.0.1", port), timeout=10), f"port {port}")
    return sock


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """Read until the octets read end so, or the stream does."""
    got = b""
    while not got.endswith(end):
        data = sock.recv(65536)
        if not data:
            break
        got += data
    return got


def read_request(sock: socket.socket) -> bytes:
    """A server's view of a request without a body."""
    return read_until(sock, b"\r\n\r\n")


def replying(response: bytes) -> Callable[[socket.socket], None]:
    """A server that answers every request without a body alike."""

    def serve(sock: socket.socket) -> None:
        while read_request(sock):
            sock.sendall(response)

    return serve


def settle() -> None:
    """Give the router a moment in which nothing should happen."""
    time.sleep(0.2)
