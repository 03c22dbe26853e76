"""One AMQP connection to the router with many links, on asyncio: the protocol engine is proton's, the socket asyncio's.

Why: Skupper 1.9 opens a connection for every link; one connection carries them all, costs the router little, and fails
as a whole, so that there is one thing to watch.

What always holds: memory is bounded whatever the peer does (:data:`CREDIT` messages a receiver, the session window,
the longest message, :data:`MAX_QUEUED` messages waiting for credit). Any failure ends in exactly one call of ``closed``
with a reason. Nothing here blocks.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import proton

from skupper_podman.controller.settings import Endpoint
from skupper_podman.routerd.flowlog.wire import MAX_MESSAGE

CREDIT: Final = 250
MAX_QUEUED: Final = 256
MAX_UNSETTLED: Final = 500
_WINDOW: Final = 4 << 20
_FRAME: Final = 64 << 10
_IDLE_SECONDS: Final = 16.0
_OPEN_SECONDS: Final = 10.0
#: A sender that is not used for this long is closed.
_SENDER_SECONDS: Final = 60.0
#: A link that the router closed is tried again after this time.
_RETRY_SECONDS: Final = 1.0


class Listener(Protocol):
    """Who is told what happens on the connection."""

    def opened(self) -> None:
        """The router accepted the connection."""

    def received(self, address: str, octets: bytes) -> None:
        """A message came from the subscription to ``address``."""

    def closed(self, reason: str) -> None:
        """The connection has ended."""


@dataclass(slots=True)
class _Sender:
    link: Any
    used: float
    queue: deque[tuple[bytes, bool]] = field(default_factory=lambda: deque(maxlen=MAX_QUEUED))


@dataclass(slots=True)
class _Receiver:
    address: str
    link: Any
    partial: bytearray = field(default_factory=bytearray)
    too_large: bool = False


@dataclass(slots=True)
class _Request:
    receiver: _Receiver
    compose: Callable[[str], bytes]


class Session(asyncio.Protocol):
    """A connection from the first octet to the last; ``closed`` of the listener is its end."""

    def __init__(self, endpoint: Endpoint, container_id: str, listener: Listener) -> None:
        self._listener = listener
        self._collector = proton.Collector()
        self._connection = proton.Connection()
        self._connection.collect(self._collector)
        self._connection.container = container_id
        self._connection.hostname = endpoint.host
        self._transport = proton.Transport()
        self._transport.max_frame_size = _FRAME
        self._transport.idle_timeout = _IDLE_SECONDS
        self._secure(endpoint)
        self._transport.bind(self._connection)
        self._connection.open()
        self._session = self._connection.session()
        self._session.incoming_capacity = _WINDOW
        self._session.open()
        self._socket: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = self._processing = self._is_open = self._is_closed = False
        self._reason = ""
        self._started = time.monotonic()
        self._tag = 0
        self._wanted: frozenset[str] = frozenset()
        self._receivers: dict[str, _Receiver] = {}
        self._senders: dict[str, _Sender] = {}
        self._requests: dict[str, _Request] = {}
        self._retry: dict[str, float] = {}

    def _secure(self, endpoint: Endpoint) -> None:
        sasl = self._transport.sasl()
        if endpoint.ca is None:
            sasl.allowed_mechs("ANONYMOUS")
            return
        sasl.allowed_mechs("EXTERNAL")
        for path in (endpoint.ca, endpoint.certificate, endpoint.key):
            # Proton does not say which file it could not use.
            if path is not None:
                path.open("rb").close()
        domain = proton.SSLDomain(proton.SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(str(endpoint.ca))
        domain.set_credentials(str(endpoint.certificate), str(endpoint.key), None)
        domain.set_peer_authentication(
            proton.SSLDomain.VERIFY_PEER_NAME if endpoint.verify_host else proton.SSLDomain.VERIFY_PEER
        )
        proton.SSL(self._transport, domain).peer_hostname = endpoint.host

    # What the owner calls

    def subscribe(self, addresses: frozenset[str]) -> None:
        """Receive from exactly these addresses from now on."""
        self._wanted = addresses
        if self._is_open:
            self._reconcile()
            self._process()

    def send(self, address: str, octets: bytes, *, settled: bool) -> None:
        """Send a message, as soon as the address gives credit. Of settled ones only the latest waits."""
        if not self._is_open:
            return
        now = time.monotonic()
        sender = self._senders.get(address)
        if sender is None:
            link = self._session.sender(self._link_name("s"))
            link.target.address = address
            link.source.address = address
            link.open()
            sender = self._senders[address] = _Sender(link, now)
        sender.used = now
        if settled:
            waiting = [item for item in sender.queue if not item[1]]
            sender.queue.clear()
            sender.queue.extend(waiting)
        sender.queue.append((octets, settled))
        self._pump(sender)
        self._process()

    def request(self, address: str, compose: Callable[[str], bytes]) -> None:
        """Send one request; ``compose`` is given the reply address. ``received`` is told the answer by ``address``.

        An unanswered earlier request is given up.
        """
        if not self._is_open:
            return
        for earlier in self._requests.values():
            earlier.receiver.link.close()
        self._requests.clear()
        link = self._session.receiver(self._link_name("q"))
        link.source.dynamic = True
        link.flow(1)
        link.open()
        self._requests[link.name] = _Request(_Receiver(address, link), compose)
        self._process()

    def close(self) -> None:
        """End the connection in good order."""
        self._connection.close()
        self._process()

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        self._reason = self._reason or reason
        if self._socket is not None:
            self._socket.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._tick()

    def data_received(self, data: bytes) -> None:
        """Octets arrived."""
        try:
            while data:
                room = self._transport.capacity()
                if room < 0:
                    break
                if room == 0:
                    self.abort("frame too large")
                    return
                self._transport.push(data[:room])
                data = data[room:]
                self._process()
        except proton.ProtonException as error:
            self.abort(str(error))
        self._process()

    def eof_received(self) -> bool:
        """The peer sends no more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._reason:
            condition = self._transport.condition or self._connection.remote_condition
            self._reason = _text(condition) or (str(exc) if exc else "closed by the router")
        self._is_open = False
        if not self._is_closed:
            self._is_closed = True
            self._listener.closed(self._reason)

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """The socket's buffer has room again."""
        self._paused = False
        self._process()

    # The engine

    def _tick(self) -> None:
        now = time.monotonic()
        if not self._is_open and now - self._started > _OPEN_SECONDS:
            self.abort("the router does not answer")
            return
        self._transport.tick(now)
        if self._is_open:
            for address, sender in list(self._senders.items()):
                if now - sender.used > _SENDER_SECONDS:
                    sender.link.close()
                    del self._senders[address]
            self._reconcile()
        self._process()
        self._timer = asyncio.get_running_loop().call_later(1.0, self._tick)

    def _process(self) -> None:
        """Handle what the engine has to say, write what it has to send."""
        if self._processing:
            return
        self._processing = True
        try:
            while True:
                event = self._collector.peek()
                if event is not None:
                    handler = _HANDLERS.get(event.type)
                    if handler is not None:
                        handler(self, event)
                    self._collector.pop()
                elif not self._write():
                    return
        finally:
            self._processing = False

    def _write(self) -> bool:
        """Give pending octets to the socket; True if any were given."""
        if self._socket is None or self._paused or self._socket.is_closing():
            return False
        pending = self._transport.pending()
        if pending < 0:
            self._socket.close()
            return False
        octets = self._transport.peek(pending) if pending else None
        if not octets:
            return False
        self._socket.write(octets)
        self._transport.pop(len(octets))
        return True

    def _reconcile(self) -> None:
        """Open the receivers that are missing and close those no longer wanted."""
        now = time.monotonic()
        for address, receiver in list(self._receivers.items()):
            if address not in self._wanted:
                receiver.link.close()
                del self._receivers[address]
        self._retry = {address: due for address, due in self._retry.items() if due > now}
        for address in sorted(self._wanted - self._receivers.keys() - self._retry.keys()):
            link = self._session.receiver(self._link_name("r"))
            link.source.address = address
            link.target.address = address
            link.flow(CREDIT)
            link.open()
            self._receivers[address] = _Receiver(address, link)

    def _link_name(self, kind: str) -> str:
        self._tag += 1
        return f"{self._connection.container}-{kind}{self._tag}"

    def _pump(self, sender: _Sender) -> None:
        link = sender.link
        while sender.queue and link.credit > 0:
            octets, settled = sender.queue.popleft()
            self._tag += 1
            delivery = link.delivery(str(self._tag))
            link.stream(octets)
            if settled or link.unsettled > MAX_UNSETTLED:
                delivery.settle()
            link.advance()

    # Events of the engine

    def _on_open(self, _event: Any) -> None:
        self._is_open = True
        self._reconcile()
        self._listener.opened()

    def _on_remote_close(self, event: Any) -> None:
        self._reason = self._reason or _text(event.connection.remote_condition) or "closed by the router"
        event.connection.close()

    def _on_transport_error(self, event: Any) -> None:
        self._reason = self._reason or _text(event.transport.condition) or "protocol failure"

    def _on_link_open(self, event: Any) -> None:
        request = self._requests.get(event.link.name)
        reply_to = event.link.remote_source.address if request is not None else None
        if request is not None and reply_to:
            self.send(request.receiver.address, request.compose(reply_to), settled=False)

    def _on_link_flow(self, event: Any) -> None:
        for sender in self._senders.values():
            if sender.link == event.link:
                self._pump(sender)

    def _on_link_gone(self, event: Any) -> None:
        """The router closed a link; receivers are tried again, senders opened when next needed."""
        event.link.close()
        self._requests.pop(event.link.name, None)
        self._senders = {key: sender for key, sender in self._senders.items() if sender.link != event.link}
        for address, receiver in list(self._receivers.items()):
            if receiver.link == event.link:
                del self._receivers[address]
                self._retry[address] = time.monotonic() + _RETRY_SECONDS

    def _on_delivery(self, event: Any) -> None:
        delivery, link = event.delivery, event.link
        if link.is_sender:
            if delivery.updated:
                delivery.settle()
            return
        receiver = self._receiver_of(link)
        if not delivery.readable or receiver is None:
            return
        octets = link.recv(delivery.pending) if delivery.pending else b""
        if len(receiver.partial) + len(octets or b"") > MAX_MESSAGE:
            receiver.partial.clear()
            receiver.too_large = True
        elif octets and not receiver.too_large:
            receiver.partial += octets
        if not delivery.partial or delivery.aborted:
            self._complete(receiver, delivery)

    def _receiver_of(self, link: Any) -> _Receiver | None:
        request = self._requests.get(link.name)
        if request is not None:
            return request.receiver
        return next((receiver for receiver in self._receivers.values() if receiver.link == link), None)

    def _complete(self, receiver: _Receiver, delivery: Any) -> None:
        """The whole message is here: answer for it, give it to the listener."""
        link, message = receiver.link, bytes(receiver.partial)
        good = not (receiver.too_large or delivery.aborted)
        receiver.partial.clear()
        receiver.too_large = False
        link.advance()
        delivery.update(proton.Delivery.ACCEPTED if good else proton.Delivery.REJECTED)
        delivery.settle()
        if self._requests.pop(link.name, None) is not None:
            link.close()
        elif link.credit < CREDIT // 2:
            link.flow(CREDIT - link.credit)
        if good:
            self._listener.received(receiver.address, message)


_HANDLERS: Final[dict[Any, Any]] = {
    proton.Event.CONNECTION_REMOTE_OPEN: Session._on_open,
    proton.Event.CONNECTION_REMOTE_CLOSE: Session._on_remote_close,
    proton.Event.TRANSPORT_ERROR: Session._on_transport_error,
    proton.Event.LINK_REMOTE_OPEN: Session._on_link_open,
    proton.Event.LINK_FLOW: Session._on_link_flow,
    proton.Event.LINK_REMOTE_CLOSE: Session._on_link_gone,
    proton.Event.LINK_REMOTE_DETACH: Session._on_link_gone,
    proton.Event.DELIVERY: Session._on_delivery,
}


def _text(condition: Any) -> str:
    """Name and description of an AMQP or transport condition."""
    if condition is None:
        return ""
    return f"{condition.name}: {condition.description}" if condition.description else str(condition.name)
