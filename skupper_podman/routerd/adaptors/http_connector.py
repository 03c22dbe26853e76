"""`httpConnector`: serves an address with an HTTP server.

What always holds: it is a consumer of its address while the server can be reached, which it finds out by
keeping a connection; a server that is away for a moment costs nothing, one that is away for longer than
`PATIENCE` costs the requests that wait for it, and then the listeners elsewhere close; each request is
served on its own, on whatever connection is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.adaptors.http1_pool import Http1Pool
from skupper_podman.routerd.adaptors.http2_pool import Http2Pool
from skupper_podman.routerd.adaptors.tls_socket import ClientTls
from skupper_podman.routerd.amqp.security import TlsError
from skupper_podman.routerd.loop import Timer
from skupper_podman.routerd.sockets import Dial
from skupper_podman.routerd.streams import Start

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

#: Seconds without a connection after which the server counts as away; and pauses between attempts.
PATIENCE: Final = 2.5
PAUSE_STEP: Final = 0.5
LONGEST_PAUSE: Final = 3.0
#: A connection that ends sooner without having been of use makes the next attempt wait.
_SHORT_LIFE: Final = 1.0
_TICK: Final = 1.0


class HttpConnector:
    """The entity and the consumer of its address. Created from validated attributes of an `httpConnector`."""

    conn = None
    mesh = None
    is_edge = False
    in_process = False
    capacity = 250

    def __init__(self, router: Router, attributes: dict[str, Any]) -> None:
        self.router = router
        self.attributes = attributes
        self.name = str(attributes["name"])
        self.host = str(attributes["host"])
        self.port = str(attributes["port"])
        self.where = f"{self.host}:{self.port}"
        self.address = router.prefixed(str(attributes["address"]))
        self.key = router.namespace.key(self.address)
        self.site_id = attributes.get("siteId")
        self.deleted = False
        http2 = attributes.get("protocolVersion") == "HTTP2"
        self.host_override = attributes.get("hostOverride") or None
        self.event_channel = bool(attributes.get("eventChannel")) and not http2
        self.aggregated = bool(attributes.get("aggregation")) and not http2
        self.tls = self._tls()
        self.pool: Http1Pool | Http2Pool = Http2Pool(self) if http2 else Http1Pool(self)
        self._dials: dict[int, Dial | None] = {}
        self._dials_made = 0
        self._dialling = 0
        self._reachable = False
        self._failing_since: float | None = None
        self._pause = 0.0
        self._retry: Timer | None = None
        self.record = router.records.start(
            RecordType.CONNECTOR,
            "",
            {
                Attribute.DEST_HOST: self.host,
                Attribute.PROTOCOL: self.pool.protocol,
                Attribute.DEST_PORT: self.port,
                Attribute.VAN_ADDRESS: self.address,
                Attribute.NAME: self.name,
            },
        )
        router.log.info("HTTP_ADAPTOR", f"Configured HttpConnector for {self.address}, {self.where}")
        self.connect(1)
        self._timer = router.loop.call_later(_TICK, self._tick)

    def _tls(self) -> ClientTls | None:
        profile = self.attributes.get("sslProfile")
        if not profile:
            return None
        verify = self.attributes.get("verifyHostname") is not False
        return ClientTls(self.router.profile(str(profile)), self.host, verify_host_name=verify)

    # -- as a consumer -------------------------------------------------------------------------------

    def backlog(self) -> int:
        """Requests that are under way."""
        return len(self.pool.exchanges)

    def sink(self, _start: Start) -> Any:
        """A sink for one request."""
        return self.pool.sink()

    def delete(self, *, drop: bool) -> None:
        """Serve no more requests; those under way go on unless `drop`."""
        self.deleted = True
        self._set_reachable(False)
        self._timer.cancel()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
            self.pool.unreachable()
        self.pool.close(drop=drop)
        if drop or not self.pool.exchanges:
            for dial in list(self._dials.values()):
                if dial is not None:
                    dial.cancel()
        self.router.records.end(self.record)
        self.router.log.info("HTTP_ADAPTOR", f"Deleted HttpConnector for {self.address}, {self.where}")

    def log_problem(self, words: str) -> None:
        """Something is wrong with what the server or a request says."""
        self.router.log.debug("HTTP_ADAPTOR", f"Connector {self.name}: {self.where}: {words}")

    # -- connections ---------------------------------------------------------------------------------

    def connect(self, wanted: int) -> None:
        """See that so many connections are being made; not while the server has just failed to answer."""
        for _ in range(wanted - self._dialling):  # some may succeed or fail at once
            if self._retry is not None:
                return
            self._dialling += 1
            self._dial()

    def _dial(self) -> None:
        self._dials_made += 1
        number = self._dials_made
        self._dials[number] = None

        def dialled(sock: Any, error: str) -> None:
            self._dials.pop(number, None)
            self._dialled(sock, error)

        dial = Dial(self.router.loop, self.router.resolver, (self.host, self.port), dialled)
        if number in self._dials:
            self._dials[number] = dial

    def _dialled(self, sock: Any, error: str) -> None:
        if sock is None or self.tls is None:
            self._connected(sock, error)
            return
        try:
            self.tls.connect(self.router.loop, sock, self._secured, self.pool.alpn)
        except TlsError as problem:
            sock.close()
            self._connected(None, str(problem))

    def _secured(self, sock: Any, error: str) -> None:
        agreed = sock.selected_alpn_protocol() if sock is not None else None
        if agreed is not None and agreed != self.pool.alpn:
            sock.close()
            sock, error = None, f"server speaks {agreed}, not {self.pool.alpn}"
        self._connected(sock, error)

    def _connected(self, sock: Any, error: str) -> None:
        self._dialling -= 1
        if sock is None:
            self._failed(error)
            return
        if self.deleted and not self.pool.exchanges:
            sock.close()
            return
        self._failing_since = None
        self.pool.connected(sock)
        if not self.deleted:
            self._set_reachable(True)

    def _failed(self, error: str) -> None:
        now = self.router.loop.now
        if self._failing_since is None:
            self._failing_since = now
        if self.deleted or not self._reachable or now - self._failing_since >= PATIENCE:
            if self._reachable:
                text = f"Connector {self.name}: {self.where} cannot be reached: {error}"
                self.router.log.warning("HTTP_ADAPTOR", text)
            self._set_reachable(False)
            self.pool.unreachable()
        self._pause = min(LONGEST_PAUSE, self._pause + PAUSE_STEP)
        self._retry_later()

    def disconnected(self, *, useful: bool, opened_at: float) -> None:
        """The last connection has ended: make one, to know whether the server is there."""
        lived = self.router.loop.now - opened_at
        self._pause = 0.0 if useful or lived > _SHORT_LIFE else min(LONGEST_PAUSE, self._pause + PAUSE_STEP)
        if not self._dialling:
            self._retry_later()

    def _retry_later(self) -> None:
        if self._retry is None and not self.deleted:
            self._retry = self.router.loop.call_later(self._pause, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        if not self.deleted and not self.pool.connections:
            self.connect(1)

    def _set_reachable(self, reachable: bool) -> None:
        if reachable == self._reachable:
            return
        self._reachable = reachable
        if reachable:
            self.router.add_consumer(self.key, self)
        else:
            self.router.remove_consumer(self.key, self)

    def _tick(self) -> None:
        self._timer = self.router.loop.call_later(_TICK, self._tick)
        self.pool.check_time(self.router.loop.now)
