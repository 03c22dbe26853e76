"""`listener` entities with `http`: `/healthz` and `/metrics` over HTTP/1.1.

What always holds: `/healthz` answers 200 as long as the loop turns; a client can neither hold a
connection open for nothing longer than `IDLE` seconds nor send more than a small head, and one that does not read its
answers is asked nothing more: at most one of them is kept.
"""

from __future__ import annotations

import contextlib
import resource
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import h11

from skupper_podman.routerd.loop import EPOLLIN, EPOLLOUT, Descriptor
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
        client = _Client(self, sock)
        self._clients.add(client)
        self.router.unproven.add(client, client.close)

    def page(self, method: str, target: str) -> tuple[int, str, str]:
        """Status, content type and body for a request."""
        path = target.partition("?")[0]
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
    def __init__(self, listener: HttpListener, sock: socket.socket) -> None:
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
                self._http.receive_data(self._sock.recv(65536))
            self._serve()
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, h11.ProtocolError):
            self.close()

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
        headers = [("content-type", kind), ("content-length", str(len(body)))]
        self._out += self._http.send(h11.Response(status_code=status, headers=headers)) or b""
        if method != "HEAD":
            self._out += self._http.send(h11.Data(data=body)) or b""
        self._out += self._http.send(h11.EndOfMessage()) or b""

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            del self._out[: self._sock.send(self._out)]


def memory() -> tuple[int, int]:
    """Virtual and resident memory of this process in octets; the most it ever had while no file can be opened."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return most, most
    size = resource.getpagesize()
    return int(pages[0]) * size, int(pages[1]) * size


def metrics(router: Router) -> str:
    """The text of `/metrics`."""
    totals = router.counters
    virtual, resident = memory()
    nodes = len(router.routing.nodes()) + 1 if router.routing is not None else 1
    gauges = {
        "qdr_connections_total": len(router.connections),
        "qdr_links_total": sum(len(conn.links) for conn in router.connections.values()),
        "qdr_addresses_total": len(router.table),
        "qdr_routers_total": nodes,
        "qdr_deliveries_stuck_total": 0,
        "qdr_links_blocked_total": 0,
        "qdr_alloc_pool_bytes": 0,
        "qdr_router_vmsize_bytes": virtual,
        "qdr_router_rss_bytes": resident,
        "qdr_tcp_service_connections": router.tcp_connections(),
        "qdr_amqp_service_connections": len(router.connections),
        "qdr_http1_service_connections": router.http.connections["http1"],
        "qdr_http2_service_connections": router.http.connections["http2"],
    }
    counted = {
        "qdr_presettled_deliveries_total": totals.presettled,
        "qdr_dropped_presettled_deliveries_total": totals.dropped,
        "qdr_accepted_deliveries_total": totals.accepted,
        "qdr_released_deliveries_total": totals.released,
        "qdr_rejected_deliveries_total": totals.rejected,
        "qdr_modified_deliveries_total": totals.modified,
        "qdr_deliveries_ingress_total": totals.ingress,
        "qdr_deliveries_egress_total": totals.egress,
        "qdr_deliveries_transit_total": totals.transit,
        "qdr_deliveries_delayed_1sec_total": 0,
        "qdr_deliveries_delayed_10sec_total": 0,
    }
    lines = [f"# TYPE {name} gauge\n{name} {value}\n" for name, value in gauges.items()]
    lines += [f"# TYPE {name} counter\n{name} {value}\n" for name, value in counted.items()]
    return "".join(lines)
