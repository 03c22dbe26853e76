"""`tcpConnector`: connects to a server for every message that comes to its address.

What always holds: it is a consumer of its address from creation to deletion, whether or not the server
can be reached; a server that refuses costs the client its connection and nothing else; octets that
arrive before the server has answered wait here, never more than one window.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.adaptors import tcp_heads
from skupper_podman.routerd.adaptors.flow_records import count_of, octet_rate, opening, own_end, trace_of
from skupper_podman.routerd.adaptors.tcp_flow import LITE_STEP, LITE_WINDOW, TcpFlow
from skupper_podman.routerd.adaptors.tls_socket import ClientTls
from skupper_podman.routerd.amqp.security import TlsError
from skupper_podman.routerd.sockets import Dial
from skupper_podman.routerd.streams import RELEASED_OPEN, RELEASED_SETTLED, Outcome, Source, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

#: Requests that may wait for their connection before others are preferred by balanced distribution.
CAPACITY = 250


class ConnectorFlow(TcpFlow):
    """A connection to the server, made for one request."""

    __slots__ = ("_dial", "_own_end", "_request")

    direction = "out"

    def __init__(self, connector: TcpConnector) -> None:
        super().__init__(connector.router, connector, lite=False)
        self.peer = connector.where
        self._dial: Dial | None = None
        self._request: Start | None = None
        self._own_end: dict[Attribute, Any] = {}

    def begin(self, start: Start, source: Source) -> None:
        """Take a request: connect, and meanwhile keep what has come of it."""
        head = start.head
        connector = self.owner
        if head.reply_to is None:
            self._in_settled = True
            self._ended = True
            source.outcome(RELEASED_SETTLED)
            self._over()
            return
        if head.lite:
            self._be_lite()
        self._request = start
        self.origin = head.subject or ""
        attributes: dict[Attribute, Any] = {}
        counter = head.correlation_id if head.lite else head.flow_id
        if isinstance(counter, str):
            attributes[Attribute.COUNTER_FLOW] = str(counter)
        attributes[Attribute.TRACE] = trace_of(head)
        attributes |= opening(lite=self.lite)
        self.record = self.router.records.start(RecordType.FLOW, connector.record, attributes, self.measure, octet_rate)
        self._latency_from = time.monotonic()
        connector.opened += 1
        super().begin(start, source)
        where = connector.host, connector.port
        dial = Dial(self.router.loop, self.router.resolver, where, self._dialled, at_once=True)
        self._dial = dial if dial.pending else None

    def _dialled(self, sock: Any, error: str) -> None:
        self._dial = None
        tls: ClientTls | None = self.owner.tls
        if sock is None or tls is None:
            self._connected(sock, error)
            return
        request = self._request
        alpn = request.head.text_property("alpn") if request is not None else None
        try:
            tls.connect(self.router.loop, sock, self._connected, alpn or None)
        except TlsError as problem:
            sock.close()
            self._connected(None, str(problem))

    def _connected(self, sock: Any, error: str) -> None:
        if self._ended:
            if sock is not None:
                sock.close()
            return
        request, self._request = self._request, None
        if sock is None or request is None:
            self.router.log.debug("TCP_ADAPTOR", f"Connector {self.owner.name}: {self.owner.where}: {error}")
            self._note("proton:io", f"{error} - on connect {self.owner.where}")
            self._unreachable()
            return
        self._adopt(sock)
        self._reply(request)
        self._attend()
        if self.sock is not None:
            self._flush()

    def measure(self) -> dict[Attribute, Any]:
        """What the flow record says of it now."""
        if not self._own_end and self.sock is not None:
            self._own_end = own_end(self.sock)
        return {**super().measure(), **self._own_end}

    def _first_in(self) -> None:
        self._latency_ends()

    def _first_out(self) -> None:
        if self.lite:
            self._latency_from = time.monotonic()

    def _reply(self, request: Start) -> None:
        router = self.router
        to = request.head.reply_to or ""
        if self.lite:
            octets = tcp_heads.lite(to, None, None)
        else:
            octets = tcp_heads.legacy(to, request.head.subject or "", None, self.record)
        head = tcp_heads.head_of(
            octets, to, subject=request.head.subject, reply_to=None, lite=self.lite, flow_id=self.record
        )
        start = Start(head, router.stream_annotations, octets, len(octets), settled=False, complete=False)
        found = router.route_local(router.namespace.key(to), start)
        if isinstance(found, Outcome):
            self._fail()
            return
        self.out = found
        found.begin(start, self)
        if self.out is not None:
            self._want_read(True)

    def _unreachable(self) -> None:
        """Give the request back: released now, settled when it is complete."""
        source, self.source = self.source, None
        self._in_settled = True
        self._pending.clear()
        self._pending_size = 0
        if source is not None:
            source.outcome(RELEASED_SETTLED if self._write_ended else RELEASED_OPEN)
            if not self._write_ended:
                source.outcome(RELEASED_SETTLED)
        self._check_done()

    def _be_lite(self) -> None:
        self.lite = True
        self._window, self._step = LITE_WINDOW, LITE_STEP

    def _close_socket(self, *, reset: bool) -> None:
        if self._dial is not None:
            self._dial.cancel()
            self._dial = None
        self._request = None
        if self.sock is not None and self.router.records.told(self.record):
            self.measure()  # once more, while the socket still knows its address
        super()._close_socket(reset=reset)


class TcpConnector:
    """The entity and the consumer of its address. Created from validated attributes of a `tcpConnector`."""

    conn = None
    mesh = None
    is_edge = False
    in_process = False
    capacity = CAPACITY

    def __init__(self, router: Router, attributes: dict[str, Any]) -> None:
        self.router = router
        self.attributes = attributes
        self.name = str(attributes["name"])
        self.host = str(attributes["host"])
        self.port = str(attributes["port"])
        self.where = f"{self.host}:{self.port}"
        self.address = router.prefixed(str(attributes["address"]))
        self.key = router.namespace.key(self.address)
        self.lite = attributes.get("encapsulation") == "lite"
        self.opened = 0 if self.lite else 1  # the dispatcher of skupper-router's legacy connectors counts as one
        self.closed = 0
        self.octets_in = self.octets_out = 0
        self.flows: dict[ConnectorFlow, None] = {}
        profile = attributes.get("sslProfile")
        self.tls = None
        if profile:
            verify = attributes.get("verifyHostname") is not False
            self.tls = ClientTls(router.profile(str(profile)), self.host, verify_host_name=verify)
        self.record = router.records.start(
            RecordType.CONNECTOR,
            "",
            {
                Attribute.DEST_HOST: self.host,
                Attribute.PROTOCOL: "tcp",
                Attribute.DEST_PORT: self.port,
                Attribute.VAN_ADDRESS: self.address,
                Attribute.NAME: self.name,
            },
            *count_of(self),
        )
        router.log.info("TCP_ADAPTOR", f"Configured TcpConnector for {self.address}, {self.where}")
        router.add_consumer(self.key, self)

    def backlog(self) -> int:
        """Connections that exist now."""
        return len(self.flows)

    def sink(self, _start: Start) -> ConnectorFlow:
        """A sink for one request."""
        flow = ConnectorFlow(self)
        self.flows[flow] = None
        return flow

    def delete(self, *, drop: bool) -> None:
        """Serve no more requests; connections go on unless `drop`."""
        self.router.remove_consumer(self.key, self)
        if drop:
            for flow in list(self.flows):
                flow.abort()
        self.router.records.end(self.record)
        self.router.log.info("TCP_ADAPTOR", f"Deleted TcpConnector for {self.address}, {self.where}")

    def flow_ended(self, flow: ConnectorFlow) -> None:
        """A connection is over."""
        self.flows.pop(flow, None)
        self.closed += 1
        if flow.record:
            self.router.records.end(flow.record)
