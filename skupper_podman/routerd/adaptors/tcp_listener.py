"""`tcpListener`: takes TCP connections for an address while somebody in the network serves it.

What always holds, besides what `service_listener` promises: each connection has its own reply address,
gone with the connection; in lite encapsulation no octet of the client leaves before the reply has begun.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.adaptors import tcp_heads
from skupper_podman.routerd.adaptors.flow_records import INVALID, UNREACHABLE, count_of, octet_rate, opening
from skupper_podman.routerd.adaptors.service_listener import ServiceListener
from skupper_podman.routerd.adaptors.tcp_flow import TcpFlow
from skupper_podman.routerd.amqp.wire import REJECTED
from skupper_podman.routerd.probes import Measured, Rate
from skupper_podman.routerd.sockets import peer_text
from skupper_podman.routerd.streams import Outcome, Source, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router


#: Seconds that a reply may come later than the end of its request.
_REPLY_LIMIT: Final = 10.0


class ListenerFlow(TcpFlow):
    """A client's connection."""

    __slots__ = ("_answered", "_reply_key", "_reply_to")

    direction = "in"

    def __init__(self, listener: TcpListener, sock: Any, address: tuple[object, ...]) -> None:
        super().__init__(listener.router, listener, lite=listener.lite)
        self.peer = peer_text(address)
        self._answered = False
        self._reply_key, self._reply_to = listener.router.temporary(self)
        self.record = listener.router.records.start(
            RecordType.FLOW,
            listener.record,
            {
                Attribute.SOURCE_HOST: str(address[0]),
                Attribute.SOURCE_PORT: str(address[1]),
                **opening(lite=listener.lite),
            },
            self.measure,
            octet_rate,
        )
        self._adopt(sock)

    def sink(self, _start: Start) -> ListenerFlow:
        """The flow takes the reply itself."""
        return self

    def start(self) -> None:
        """Send the head of the request and begin to read."""
        listener, router = self.owner, self.router
        alpn = self.sock.selected_alpn_protocol() if listener.tls is not None else None
        if self.lite:
            octets = tcp_heads.lite(listener.address, self._reply_to, self.record, alpn)
            subject = None
        else:
            subject = f"{self.peer}@{listener.site_id}" if listener.site_id else self.peer
            octets = tcp_heads.legacy(listener.address, subject, self._reply_to, self.record, alpn)
        head = tcp_heads.head_of(
            octets, listener.address, subject=subject, reply_to=self._reply_to, lite=self.lite, flow_id=self.record
        )
        start = Start(head, router.stream_annotations, octets, len(octets), settled=False, complete=False)
        found = router.route_local(listener.key, start)
        if isinstance(found, Outcome):
            self._note(*UNREACHABLE)
            self._fail()
            return
        self.out = found
        self._latency_from = time.monotonic()
        found.begin(start, self)
        if not self.lite and self.out is not None:
            self._want_read(True)
            self._read()
        self._attend()

    def begin(self, start: Start, source: Source) -> None:
        """Take the reply, and what the client has to say."""
        super().begin(start, source)
        self._answered = True
        self.resume()

    def _may_read(self) -> bool:
        # As skrouterd's listeners do: its connectors lose octets that come before they are ready, which is when they
        # reply, or never read them.
        return self._answered or not self.lite

    def _first_in(self) -> None:
        if self.lite:
            self._latency_from = time.monotonic()

    def _first_out(self) -> None:
        self._latency_ends()

    def _refused(self, outcome: Outcome) -> None:
        self._note(*(INVALID if outcome.state == REJECTED else UNREACHABLE))
        super()._refused(outcome)

    def outcome(self, outcome: Outcome) -> None:
        """The request is done with; a reply that does not come within a while never will."""
        super().outcome(outcome)
        if outcome.settled and self.source is None and not self._in_settled and not self._ended:
            self.router.loop.call_later(_REPLY_LIMIT, self._no_reply)

    def _no_reply(self) -> None:
        if self.source is None and not self._in_settled and not self._ended:
            self._fail()

    def _over(self) -> None:
        self.router.forget_temporary(self._reply_key)
        super()._over()


class TcpListener(ServiceListener):
    """The entity. Created from validated attributes of a `tcpListener`."""

    module = "TCP_ADAPTOR"
    kind = "TcpListener"

    def __init__(self, router: Router, attributes: dict[str, Any]) -> None:
        self.lite = attributes.get("encapsulation") == "lite"
        self.octets_in = self.octets_out = 0
        self.flows: dict[ListenerFlow, None] = {}
        super().__init__(router, attributes, "tcp")

    def counted(self) -> tuple[Callable[[], Measured], Callable[[], Rate]] | tuple[()]:
        """Its record says how many connections there were, in lite encapsulation."""
        return count_of(self)

    def close_connections(self, *, drop: bool) -> None:
        """Connections go on unless `drop`."""
        if drop:
            for flow in list(self.flows):
                flow.abort()

    def flow_ended(self, flow: ListenerFlow) -> None:
        """A connection is over."""
        self.flows.pop(flow, None)
        self.closed += 1
        self.router.records.end(flow.record)

    def begin(self, sock: Any, address: tuple[object, ...]) -> None:
        """Serve a connection."""
        flow = ListenerFlow(self, sock, address)
        self.flows[flow] = None
        flow.start()
