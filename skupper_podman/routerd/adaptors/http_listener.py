"""`httpListener`: takes HTTP requests for an address while somebody in the network serves it.

What always holds, besides what `service_listener` promises: every request finds its server on its own,
also those of one connection; a connection whose client is silent for too long is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.adaptors.http1_client import Http1Client
from skupper_podman.routerd.adaptors.http2_client import Http2Client
from skupper_podman.routerd.adaptors.service_listener import ServiceListener

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

_TICK: Final = 5.0
_ALPN: Final = {"http1": ("http/1.1", "http/1.0"), "http2": ("h2",)}


class HttpListener(ServiceListener):
    """The entity. Created from validated attributes of an `httpListener`."""

    module = "HTTP_ADAPTOR"
    kind = "HttpListener"

    def __init__(self, router: Router, attributes: dict[str, Any]) -> None:
        self.protocol = "http2" if attributes.get("protocolVersion") == "HTTP2" else "http1"
        self.event_channel = bool(attributes.get("eventChannel")) and self.protocol == "http1"
        self.aggregation = str(attributes.get("aggregation") or "") if self.protocol == "http1" else ""
        self.clients: dict[Http1Client | Http2Client, None] = {}
        super().__init__(router, attributes, self.protocol, _ALPN[self.protocol])
        self._timer = router.loop.call_later(_TICK, self._tick)

    def begin(self, sock: Any, address: tuple[object, ...]) -> None:
        """Serve a connection."""
        made = Http2Client if self.protocol == "http2" else Http1Client
        self.clients[made(self, sock, address)] = None
        self.router.http.connections[self.protocol] += 1

    def client_ended(self, client: Http1Client | Http2Client) -> None:
        """A connection is over."""
        if self.clients.pop(client, self) is None:
            self.closed += 1
            self.router.http.connections[self.protocol] -= 1

    def close_connections(self, *, drop: bool) -> None:
        """Connections end when their requests have, or at once when `drop`."""
        self._timer.cancel()
        for client in list(self.clients):
            if drop:
                client.abort()
            else:
                client.close_when_idle()

    def _tick(self) -> None:
        self._timer = self.router.loop.call_later(_TICK, self._tick)
        now = self.router.loop.now
        for client in list(self.clients):
            client.check_time(now)
