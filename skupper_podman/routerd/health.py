"""`listener` entities with `http`: `/healthz` and `/metrics` over HTTP/1.1.

What always holds: `/healthz` answers 200 as long as the loop turns; a client can neither hold a
connection open for nothing longer than `IDLE` seconds nor send more than a small head, and one that does not read its
answers is asked nothing more: at most one of them is kept.
"""

from __future__ import annotations

import contextlib
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import h11

from skupper_podman.routerd.adaptors.tls_socket import ServerTls, TlsSocket
from skupper_podman.routerd.amqp.connection import PRODUCT
from skupper_podman.routerd.amqp.security import TlsError
from skupper_podman.routerd.loop import EPOLLIN, EPOLLOUT, Descriptor
from skupper_podman.routerd.pools import memory, pools
from skupper_podman.routerd.sockets import Acceptor

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

IDLE: Final = 60.0
_TEXT: Final = "text/plain"


class HttpListener:
    """Serves the health and metrics pages of one listener."""

    def __init__(self, router: Router, attributes: dict[str, Any]) -> None:
        self.router = router
        self.attributes = attributes
        self.name = str(attributes["name"])
        self._clients: set[_Client] = set()
        where = (str(attributes.get("host") or ""), str(attributes["port"]))
        self._acceptor = Acceptor(router.loop, router.resolver, where, self._accepted)
        self._acceptor.on_up = lambda: router.log.info("HTTP", f"Listening for HTTP on {where[0]}:{where[1]}")
        self._acceptor.on_error = lambda words: router.log.error(
            "HTTP", f"No HTTP support on {where[0]}:{where[1]}: {words}"
        )
        self._acceptor.on_starved = router.unproven.shed
        name = attributes.get("sslProfile")
        self._tls_profile = str(name) if name else None
        self._tls: ServerTls | None = None
        self._acceptor.start()

    def delete(self) -> None:
        """Close the port and the connections."""
        self._acceptor.close()
        for client in list(self._clients):
            client.close()

    @property
    def ports(self) -> list[int]:
        """Port numbers in use."""
        return self._acceptor.ports

    def _accepted(self, sock: socket.socket, _address: tuple[object, ...]) -> None:
        if self._tls_profile is None:
            self._serve(sock)
            return
        try:
            if self._tls is None:
                demand = bool(self.attributes.get("authenticatePeer"))
                self._tls = ServerTls(self.router.profile(self._tls_profile), demand=demand, alpn=("http/1.1",))
            self._tls.accept(self.router.loop, sock, self._secured)
        except TlsError as error:
            sock.close()
            self.router.log.error("HTTP", f"Listener {self.name}: {error}")

    def _secured(self, sock: TlsSocket | None) -> None:
        if sock is not None:
            self._serve(sock)

    def _serve(self, sock: socket.socket | TlsSocket) -> None:
        client = _Client(self, sock)
        self._clients.add(client)
        self.router.unproven.add(client, client.close)

    def page(self, method: str, target: str) -> tuple[int, str, str]:
        """Status, content type and body for a request."""
        path = target.partition("?")[0].rstrip("/")
        served = {}
        if self.attributes.get("healthz") is not False:
            served["/healthz"] = lambda: "OK\n"
        if self.attributes.get("metrics") is not False:
            served["/metrics"] = lambda: metrics(self.router)
        if path not in served:
            return 404, _TEXT, "Not found\n"
        if method not in ("GET", "HEAD"):
            return 405, _TEXT, "Method not allowed\n"
        return 200, _TEXT, served[path]()

    def gone(self, client: _Client) -> None:
        """A client has left."""
        self._clients.discard(client)
        self.router.unproven.remove(client)


class _Client:
    def __init__(self, listener: HttpListener, sock: socket.socket | TlsSocket) -> None:
        self._listener = listener
        self._sock = sock
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=16384)
        self._out = bytearray()
        self._closing = False
        self._request: h11.Request | None = None
        loop = listener.router.loop
        self._descriptor = Descriptor(loop, sock.fileno(), EPOLLIN, self._on_io)
        self._timer = loop.call_later(IDLE, self.close)

    def close(self) -> None:
        self._timer.cancel()
        self._descriptor.close()
        with contextlib.suppress(OSError):
            self._sock.close()
        self._listener.gone(self)

    def _on_io(self, _events: int) -> None:
        try:
            if self._out:
                self._flush()
            else:
                self._http.receive_data(self._read())
            self._serve()
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, h11.ProtocolError):
            self.close()

    def _read(self) -> bytes:
        buffer = bytearray(65536)
        return bytes(buffer[: self._sock.recv_into(memoryview(buffer))])

    def _serve(self) -> None:
        """Answer what has come, but no further request while an answer still waits for the socket."""
        while not self._out and not self._closing:
            event = self._http.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                break
            if isinstance(event, h11.Request):
                self._request = event
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                self._answer(self._request)
                self._flush()
                if self._http.our_state is h11.MUST_CLOSE:
                    self._closing = True
                else:
                    self._http.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed):
                self._closing = True
        if self._out:
            self._descriptor.want(EPOLLOUT)
        elif self._closing:
            self.close()
        else:
            self._descriptor.want(EPOLLIN)

    def _answer(self, request: h11.Request) -> None:
        method = request.method.decode("ascii", "replace")
        status, kind, text = self._listener.page(method, request.target.decode("ascii", "replace"))
        body = text.encode()
        headers = [("server", PRODUCT), ("content-type", kind), ("content-length", str(len(body)))]
        reason = HTTPStatus(status).phrase.encode()
        self._out += self._http.send(h11.Response(status_code=status, headers=headers, reason=reason)) or b""
        if method != "HEAD":
            self._out += self._http.send(h11.Data(data=body)) or b""
        self._out += self._http.send(h11.EndOfMessage()) or b""

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            del self._out[: self._sock.send(self._out)]


def service_connections(router: Router) -> dict[str, int]:
    """Connections of clients and servers by protocol; those between routers do not count."""
    amqp = sum(conn.role_name == "normal" for conn in router.connections.values())
    http = router.http.connections
    return {"tcp": router.tcp_connections(), "amqp": amqp, "http1": http["http1"], "http2": http["http2"]}


def metrics(router: Router) -> str:
    """The text of `/metrics`."""
    totals, samples = router.counters, router.samples
    virtual, resident = memory()
    pooled = pools(router)
    found: list[tuple[str, str, int]] = [
        ("qdr_connections_total", "gauge", router.connection_count()),
        ("qdr_links_total", "gauge", sum(len(conn.links) for conn in router.connections.values())),
        ("qdr_addresses_total", "gauge", len(router.table)),
        ("qdr_routers_total", "gauge", len(router.routing.nodes()) if router.routing is not None else 0),
        ("qdr_presettled_deliveries_total", "counter", totals.presettled),
        ("qdr_dropped_presettled_deliveries_total", "counter", totals.dropped),
        ("qdr_accepted_deliveries_total", "counter", totals.accepted),
        ("qdr_released_deliveries_total", "counter", totals.released),
        ("qdr_rejected_deliveries_total", "counter", totals.rejected),
        ("qdr_modified_deliveries_total", "counter", totals.modified),
        ("qdr_deliveries_ingress_total", "counter", totals.ingress),
        ("qdr_deliveries_egress_total", "counter", totals.egress),
        ("qdr_deliveries_transit_total", "counter", totals.transit),
        ("qdr_deliveries_delayed_1sec_total", "counter", totals.delayed_1sec),
        ("qdr_deliveries_delayed_10sec_total", "counter", totals.delayed_10sec),
        ("qdr_deliveries_stuck_total", "gauge", samples.stuck),
        ("qdr_links_blocked_total", "gauge", samples.blocked),
        ("qdr_alloc_pool_bytes", "gauge", sum(pool.size * pool.live for pool in pooled)),
        ("qdr_router_vmsize_bytes", "gauge", virtual),
        ("qdr_router_rss_bytes", "gauge", resident),
    ]
    found += [(f"qdr_{kind}_service_connections", "gauge", n) for kind, n in service_connections(router).items()]
    for pool in pooled:
        numbers = (("allocated", pool.live), ("in_use", pool.live), ("cached", 0), ("bytes", pool.size * pool.live))
        found += [(f"{pool.name}:{what}", "gauge", number) for what, number in numbers]
    return "".join(f"# TYPE {name} {kind}\n{name} {value}\n" for name, kind, value in found)
