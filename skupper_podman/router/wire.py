"""A blocking AMQP connection on which every wait ends: proton's engine on a socket of our own.

proton's own blocking connection can wait for ever when it is closed against a peer that has stopped answering.
Here each operation has a deadline. One thread at a time; nothing happens between calls, so a connection that is
left alone longer than the peer's idle timeout is lost (`is_alive` tells).
"""

from __future__ import annotations

import contextlib
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from proton import SSL, Collector, Connection, Delivery, Endpoint, Message, SSLDomain, SSLException, Transport

from skupper_podman.router.access import Sasl, Tls

_READ_SIZE: Final = 65536
_REPLY_CREDIT: Final = 10


class WireError(Exception):
    """The connection could not be opened, or broke; the text says why."""


class WireTimeout(WireError):  # noqa: N818 - it names a state, as the standard library's do
    """The deadline passed first."""


class WireRefused(WireError):  # noqa: N818
    """The peer did not take a message. ``absent``: because nobody consumes its address."""

    def __init__(self, text: str, *, absent: bool) -> None:
        super().__init__(text)
        self.absent = absent


class Wire:
    """An open connection with one session, one receiver of replies, and a sender for each address used."""

    def __init__(self, host: str, port: int, *, timeout: float, tls: Tls | None, sasl: Sasl) -> None:
        """Connect; ``timeout`` in seconds bounds this and every later wait. Raises WireError."""
        self._timeout = timeout
        self._collector, self._transport, self._connection = Collector(), Transport(), Connection()
        self._used = time.monotonic()
        self._tags = 0
        self._senders: dict[str, Any] = {}
        self._prepare(host, tls, sasl)
        deadline = self._deadline()
        try:
            self._socket = socket.create_connection((host, port), timeout)
        except TimeoutError:
            raise WireTimeout(f"no connection within {timeout:g} s") from None
        except OSError as error:
            raise WireError(error.strerror or str(error)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._session = self._connection.session()
            self._receiver = self._session.receiver(str(uuid.uuid4()))
            self._receiver.source.dynamic = True
            for endpoint in (self._connection, self._session, self._receiver):
                endpoint.open()
            self._receiver.flow(_REPLY_CREDIT)
            self._wait(lambda: bool(self.reply_to), deadline)
        except BaseException:
            self._socket.close()
            raise

    @property
    def reply_to(self) -> str:
        """The address at which the peer delivers to this connection."""
        return self._receiver.remote_source.address or ""

    def is_alive(self) -> bool:
        """Whether the peer still holds the connection, as far as can be told without waiting."""
        limit = self._transport.remote_idle_timeout
        if limit and time.monotonic() - self._used >= limit:
            return False
        try:
            while self._socket_readable():
                self._read()
            self._check()
        except (OSError, WireError):
            return False
        return True

    def send(self, message: Message, address: str) -> None:
        """Send and wait until it is accepted; empty ``address`` sends to ``message.address``. Raises WireError."""
        deadline = self._deadline()
        sender = self._senders.get(address)
        if sender is None:
            sender = self._session.sender(str(uuid.uuid4()))
            if address:
                sender.target.address = address
            sender.open()
            self._senders[address] = sender
        self._wait(lambda: sender.credit > 0, deadline)
        self._tags += 1
        delivery = sender.delivery(str(self._tags))
        sender.send(message.encode())
        sender.advance()
        self._wait(lambda: delivery.settled or bool(delivery.remote_state), deadline)
        state = delivery.remote_state
        delivery.settle()
        if state not in (Delivery.ACCEPTED, 0):
            absent = state in (Delivery.RELEASED, Delivery.MODIFIED)
            raise WireRefused("released" if absent else "rejected", absent=absent)

    def exchange_all(self, messages: Mapping[str, Message], limit: float) -> dict[str, Message | WireRefused]:
        """Send all messages without waiting for one before the next, and take in replies for ``limit`` seconds.

        Gives the reply to each (found by its correlation id, which is its key), or that nobody took it; one without an
        answer is left out. The messages carry their own addresses. Raises WireError.
        """
        deadline = time.monotonic() + limit
        sender = self._senders.get("") or self._session.sender(str(uuid.uuid4()))
        self._senders[""] = sender
        sender.open()
        waiting, deliveries = list(messages.items())[::-1], {}
        found: dict[str, Message | WireRefused] = {}

        def turn() -> bool:
            while waiting and sender.credit > 0:
                key, message = waiting.pop()
                self._tags += 1
                deliveries[key] = sender.delivery(str(self._tags))
                sender.send(message.encode())
                sender.advance()
            for key, delivery in list(deliveries.items()):
                if delivery.settled or delivery.remote_state:
                    if delivery.remote_state not in (Delivery.ACCEPTED, 0):
                        absent = delivery.remote_state in (Delivery.RELEASED, Delivery.MODIFIED)
                        found[key] = WireRefused("released" if absent else "rejected", absent=absent)
                    delivery.settle()
                    del deliveries[key]
            while (reply := self._next()) is not None:
                found[str(reply.correlation_id)] = reply
            return len(found) >= len(messages)

        with contextlib.suppress(WireTimeout):
            self._wait(turn, deadline)
        return found

    def receive(self) -> Message:
        """Wait for the next message of the receiver. Raises WireError."""
        receiver = self._receiver
        self._wait(lambda: receiver.current is not None and not receiver.current.partial, self._deadline())
        message = self._next()
        assert message is not None
        return message

    def _next(self) -> Message | None:
        """The next message of the receiver, if it is here."""
        receiver = self._receiver
        delivery = receiver.current
        if delivery is None or delivery.partial:
            return None
        message = Message()
        message.decode(receiver.recv(delivery.pending))
        receiver.advance()
        if not delivery.settled:
            delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        receiver.flow(1)
        return message

    def close(self) -> None:
        """Close, waiting at most a second for the peer's consent."""
        if self._socket.fileno() < 0:
            return
        try:
            self._connection.close()
            deadline = time.monotonic() + min(self._timeout, 1.0)
            self._wait(lambda: bool(self._connection.state & Endpoint.REMOTE_CLOSED), deadline)
        except WireError:
            pass  # the peer is gone already
        finally:
            self._socket.close()
            self._transport.unbind()

    def _prepare(self, host: str, tls: Tls | None, sasl: Sasl) -> None:
        self._connection.collect(self._collector)
        self._connection.container = str(uuid.uuid4())
        self._connection.hostname = host
        if tls is not None or sasl != Sasl():
            negotiation = self._transport.sasl()
            mechanisms = sasl.mechanisms or ("EXTERNAL" if tls and tls.certificate else "")
            if mechanisms:
                negotiation.allowed_mechs(mechanisms)
            if sasl.user:
                self._connection.user, self._connection.password = sasl.user, sasl.password
                negotiation.allow_insecure_mechs = True  # a password was given in order to be used, TLS or not
        if tls is not None:
            SSL(self._transport, ssl_domain(tls)).peer_hostname = host
        self._transport.bind(self._connection)

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout

    def _wait(self, condition: Callable[[], bool], deadline: float) -> None:
        """Exchange octets with the peer until the condition holds, and then write what is left to write."""
        while True:
            while self._collector.peek() is not None:
                self._collector.pop()
            if self._write(deadline):
                continue
            if condition():
                return
            if self._write(deadline):  # what the condition itself wanted to say
                continue
            self._check()
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise WireTimeout(f"no answer within {self._timeout:g} s")
            self._socket.settimeout(remaining)
            try:
                self._read()
            except TimeoutError:
                continue
            except OSError as error:
                raise WireError(error.strerror or str(error)) from error

    def _write(self, deadline: float) -> bool:
        """Write what proton has to write; whether there was any."""
        pending = self._transport.pending()
        if pending <= 0:
            return False
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            self._transport.pop(self._socket.send(self._transport.peek(pending)))
        except TimeoutError:
            raise WireTimeout(f"nothing could be sent within {self._timeout:g} s") from None
        except OSError as error:
            self._read_last_words()
            self._check()
            raise WireError(error.strerror or str(error)) from error
        self._used = time.monotonic()
        return True

    def _read_last_words(self) -> None:
        """After a failed write, take in why the peer went away, if it said so."""
        try:
            while self._socket_readable():
                self._read()
        except OSError:
            return

    def _socket_readable(self) -> bool:
        if self._transport.capacity() <= 0:
            return False
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True

    def _read(self) -> None:
        capacity = self._transport.capacity()
        if capacity <= 0:
            return  # closed; the check that follows says why
        octets = self._socket.recv(min(capacity, _READ_SIZE))
        if octets:
            self._transport.push(octets)
        else:
            self._transport.close_tail()

    def _check(self) -> None:
        """Raise WireError when the peer has closed the connection or one of its links, or TLS or SASL failed."""
        for endpoint in (self._connection, self._session, self._receiver, *self._senders.values()):
            if endpoint.state & Endpoint.REMOTE_CLOSED and not self._connection.state & Endpoint.LOCAL_CLOSED:
                condition = endpoint.remote_condition
                raise WireError(_words(condition) if condition else "closed by the peer")
        condition = self._transport.condition
        if condition is not None:
            raise WireError(_words(condition))
        if self._transport.closed or self._transport.capacity() < 0:
            raise WireError("the connection was closed")


def _words(condition: Any) -> str:
    return str(condition.description or condition.name)


def ssl_domain(tls: Tls) -> SSLDomain:
    """proton's form of a client's TLS settings; raises WireError when a file is absent or unusable."""
    for path in (tls.trust, tls.certificate, tls.key):
        if path and not Path(path).is_file():
            raise WireError(f"cannot read {path}: no such file")
    try:
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        if tls.trust:
            domain.set_trusted_ca_db(tls.trust)
        if tls.certificate:
            domain.set_credentials(tls.certificate, tls.key or tls.certificate, tls.password or None)
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME if tls.verify_name else SSLDomain.VERIFY_PEER)
    except SSLException as error:
        raise WireError(f"the TLS files cannot be used: {error}") from error
    return domain
