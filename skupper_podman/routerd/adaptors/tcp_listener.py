"""`tcpListener`: takes TCP connections for an address while somebody in the network serves it.

What always holds: the port is open exactly while the address is reachable; connections that exist are
not touched when it closes; each connection has its own reply address, gone with the connection.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.adaptors import tcp_heads
from skupper_podman.routerd.adaptors.tcp_flow import TcpFlow
from skupper_podman.routerd.adaptors.tls_socket import ServerTls
from skupper_podman.routerd.amqp.security import TlsError
from skupper_podman.routerd.sockets import Acceptor, peer_text
from skupper_podman.routerd.streams import Outcome, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router


#: Seconds that a reply may come later than the end of its request.
_REPLY_LIMIT: Final = 10.0


class ListenerFlow(TcpFlow):
    """A client's connection."""

    direction = "in"

    def __init__(self, listener: TcpListener, sock: Any, address: tuple[object, ...]) -> None:
        super().__init__(listener.router, listener, lite=listener.lite)
        self.peer = peer_text(address)
        self._reply_key, self._reply_to = listener.router.temporary(self)
        self.record = listener.router.records.start(
            RecordType.FLOW,
            listener.record,
            {Attribute.SOURCE_HOST: str(address[0]), Attribute.SOURCE_PORT: str(address[1])},
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
            self._fail()
            return
        self.out = found
        found.begin(start, self)
        if self.out is not None:
            self._want_read(True)
            if not self.lite:
                self._read()

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


class TcpListener:
    """The entity. Created from validated attributes of a `tcpListener`."""

    def __init__(self, router: Router, attributes: dict[str, Any]) -> None:
        self.router = router
        self.attributes = attributes
        self.name = str(attributes["name"])
        self.address = router.prefixed(str(attributes["address"]))
        self.key = router.namespace.key(self.address)
        self.site_id = attributes.get("siteId")
        self.lite = attributes.get("encapsulation") == "lite"
        self.tls = self._tls()
        self.opened = self.closed = 0
        self.octets_in = self.octets_out = 0
        self.flows: dict[ListenerFlow, None] = {}
        self._acceptor: Acceptor | None = None
        self.record = router.records.start(
            RecordType.LISTENER,
            "",
            {
                Attribute.DEST_HOST: str(attributes["host"]),
                Attribute.PROTOCOL: "tcp",
                Attribute.DEST_PORT: str(attributes["port"]),
                Attribute.VAN_ADDRESS: self.address,
                Attribute.NAME: self.name,
            },
        )
        router.log.info("TCP_ADAPTOR", f"Configured TcpListener for {self.address}, {self._where()}")
        self._watch = router.watch(self.key, self._reachable)

    @property
    def oper_status(self) -> str:
        """`up` while the port is open."""
        return "up" if self._acceptor is not None and self._acceptor.listening else "down"

    def delete(self, *, drop: bool) -> None:
        """Close the port; connections go on unless `drop`."""
        self.router.unwatch(self.key, self._watch)
        self._reachable(False)
        if drop:
            for flow in list(self.flows):
                flow.abort()
        self.router.records.end(self.record)
        self.router.log.info("TCP_ADAPTOR", f"Deleted TcpListener for {self.address}, {self._where()}")

    def flow_ended(self, flow: ListenerFlow) -> None:
        """A connection is over."""
        self.flows.pop(flow, None)
        self.closed += 1
        self.router.records.end(flow.record)

    def _where(self) -> str:
        return f"{self.attributes['host']}:{self.attributes['port']}"

    def _tls(self) -> ServerTls | None:
        name = self.attributes.get("sslProfile")
        if not name:
            return None
        return ServerTls(self.router.profile(str(name)), demand=bool(self.attributes.get("authenticatePeer")))

    def _reachable(self, reachable: bool) -> None:
        if reachable and self._acceptor is None:
            acceptor = Acceptor(
                self.router.loop,
                self.router.resolver,
                (str(self.attributes["host"]), str(self.attributes["port"])),
                self._accepted,
                backlog=int(self.attributes.get("backlog") or 0),
            )
            acceptor.on_up = self._up
            acceptor.on_error = self._bind_failed
            self._acceptor = acceptor
            acceptor.start()
        elif not reachable and self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None
            self.router.log.info("TCP_ADAPTOR", f"Listener {self.name} for address {self.address} stopped listening")

    def _up(self) -> None:
        text = f"Listener {self.name}: listening for client connections on {self._where()}"
        self.router.log.info("TCP_ADAPTOR", text)

    def _bind_failed(self, words: str) -> None:
        self.router.log.error("TCP_ADAPTOR", f"Listener {self.name}: cannot listen on {self._where()}: {words}")

    def _accepted(self, sock: socket.socket, address: tuple[object, ...]) -> None:
        self.opened += 1
        if self.tls is None:
            self._begin(sock, address)
            return
        try:
            self.tls.accept(self.router.loop, sock, lambda secured: self._begin(secured, address))
        except TlsError as error:
            sock.close()
            self.closed += 1
            self.router.log.error("TCP_ADAPTOR", f"Listener {self.name}: {error}")

    def _begin(self, sock: Any, address: tuple[object, ...]) -> None:
        if sock is None:
            self.closed += 1
            return
        flow = ListenerFlow(self, sock, address)
        self.flows[flow] = None
        flow.start()
