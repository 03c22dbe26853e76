"""One AMQP connection on one socket: octets in, events out, octets out.

The hot path of the router. What always holds:

* one read and one pass over the events per readiness, so no connection starves another;
* output is produced only when the socket can take it: while octets wait for the socket (`blocked`)
  proton's frames are not even made, and whoever feeds this connection is told to pause;
* all output of a turn leaves in as few system calls as possible, at the end of the turn or, where many deliveries
  have come at once, after some of them: then who waits for it can begin while the others are looked at;
* a pointer into proton is never used after `closed` is true: memory is freed at the end of that turn.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

from skupper_podman.routerd.amqp.wire import (
    NULL,
    WRITE_SIZE,
    Pointer,
    get_condition,
    lib,
    receive_buffer,
    receive_view,
    send_buffer,
    send_view,
)
from skupper_podman.routerd.loop import EPOLLIN, EPOLLOUT, READABLE, Descriptor, Loop, describe

#: Octets that wait in proton for the peer's window before sources are told to pause.
SESSION_BACKLOG: Final = 4 * 1024 * 1024
#: Seconds for the close handshake.
_LINGER: Final = 1.0
#: Octets written to one socket per turn at most.
_TURN_WRITE: Final = 4 * WRITE_SIZE
#: Deliveries after which output goes out although more events wait; each time twice as many as before.
_SHARE: Final = 8

_peek = lib.pn_collector_peek
_pop = lib.pn_collector_pop
_event_type = lib.pn_event_type
_event_delivery = lib.pn_event_delivery
_event_link = lib.pn_event_link
_delivery_link = lib.pn_delivery_link
_push = lib.pn_transport_push
_out_peek = lib.pn_transport_peek
_out_pop = lib.pn_transport_pop

_DELIVERY: Final[int] = lib.PN_DELIVERY
_LINK_FLOW: Final[int] = lib.PN_LINK_FLOW
_TRANSPORT: Final[int] = lib.PN_TRANSPORT


class DeliveryHandler(Protocol):
    """What the engine tells of a delivery that somebody holds."""

    def on_event(self) -> None:
        """Octets, a state or the end have arrived."""

    def on_lost(self) -> None:
        """The connection is gone."""


class LinkHandler(Protocol):
    """What the engine tells of a link."""

    def on_delivery(self, delivery: Pointer) -> None:
        """A delivery that nobody holds yet has octets."""

    def on_flow(self) -> None:
        """Credit has come, or the link's octets have gone out."""


class Waiter(Protocol):
    """Somebody who paused because a connection was blocked."""

    def resume(self) -> None:
        """It is not blocked any more."""


class Engine:
    """Drives one proton transport. Subclasses give meaning to the events."""

    def __init__(self, loop: Loop, sock: socket.socket, transport: Pointer) -> None:
        self.loop = loop
        self.sock = sock
        self.transport = transport
        self.connection: Pointer = lib.pn_connection()
        self._collector: Pointer = lib.pn_collector()
        lib.pn_connection_collect(self.connection, self._collector)
        self.closed = False
        #: From the beginning of the end on: whoever is told of it must not begin anything here again.
        self.lost = False
        self.blocked = False
        self.links: dict[Pointer, LinkHandler] = {}
        self.deliveries: dict[Pointer, DeliveryHandler] = {}
        self.watched_sessions: list[Pointer] = []
        #: Octets for a session that proton does not hold yet, see `outgoing`.
        self.waiting: dict[Pointer, int] = {}
        self.condition: tuple[str, str] | None = None
        self._waiters: dict[Waiter, None] = {}
        self._staged = b""
        self._dirty = False
        self._ending = False
        self._handlers: dict[int, Callable[[Pointer], None]] = {
            lib.PN_CONNECTION_REMOTE_OPEN: self._remote_open,
            lib.PN_CONNECTION_REMOTE_CLOSE: self._remote_close,
            lib.PN_SESSION_REMOTE_OPEN: lambda event: self.on_session_open(lib.pn_event_session(event)),
            lib.PN_SESSION_REMOTE_CLOSE: lambda event: self.on_session_close(lib.pn_event_session(event)),
            lib.PN_LINK_REMOTE_OPEN: lambda event: self.on_link_open(_event_link(event)),
            lib.PN_LINK_REMOTE_CLOSE: lambda event: self.on_link_close(_event_link(event), True),
            lib.PN_LINK_REMOTE_DETACH: lambda event: self.on_link_close(_event_link(event), False),
            lib.PN_TRANSPORT_ERROR: self._transport_error,
            lib.PN_TRANSPORT_TAIL_CLOSED: lambda _event: self.touch(),
        }
        self.descriptor = Descriptor(loop, sock.fileno(), EPOLLIN, self._on_io)

    def bind(self) -> None:
        """Join connection and transport, when both are set up."""
        lib.pn_transport_bind(self.transport, self.connection)

    # -- for subclasses ----------------------------------------------------------------------------

    def on_remote_open(self) -> None:
        """The peer has opened the connection."""

    def on_session_open(self, session: Pointer) -> None:
        """The peer has begun a session."""

    def on_session_close(self, session: Pointer) -> None:
        """The peer has ended a session."""

    def on_link_open(self, link: Pointer) -> None:
        """The peer has attached a link, its own or the answer to ours."""

    def on_link_close(self, link: Pointer, closed: bool) -> None:
        """The peer has detached a link, for good when `closed`."""

    def on_lost(self, reason: str) -> None:
        """The connection is gone; pointers are still valid during this call."""

    # -- reading -----------------------------------------------------------------------------------

    def _on_io(self, events: int) -> None:
        if events & EPOLLOUT:
            self._writable()
        if events & READABLE and not self.closed:
            self._readable()

    def _readable(self) -> None:
        try:
            size = self.sock.recv_into(receive_view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.lose(describe(error))
            return
        if size == 0:
            self.lose("connection closed by peer")
            return
        transport = self.transport
        done = _push(transport, receive_buffer, size)
        while 0 < done < size:
            taken = _push(transport, receive_buffer + done, size - done)
            if taken <= 0:
                break
            done += taken
        self._handled()
        self.touch()

    def process(self) -> None:
        """Handle the events that have collected."""
        collector = self._collector
        deliveries = self.deliveries
        links = self.links
        left = share = _SHARE
        while not self.closed:
            event = _peek(collector)
            if not event:
                return
            kind = _event_type(event)
            if kind == _DELIVERY:
                delivery = _event_delivery(event)
                holder = deliveries.get(delivery)
                if holder is not None:
                    holder.on_event()
                else:
                    link = links.get(_delivery_link(delivery))
                    if link is not None:
                        link.on_delivery(delivery)
                left -= 1
                if not left:
                    left = share = 2 * share
                    self._put_out_early()
            elif kind == _LINK_FLOW:
                link = links.get(_event_link(event))
                if link is not None:
                    link.on_flow()
            elif kind != _TRANSPORT:
                handler = self._handlers.get(kind)
                if handler is not None:
                    handler(event)
            _pop(collector)

    def _handled(self) -> None:
        """Handle the events; a fault of ours in handling one costs this connection and no other."""
        try:
            self.process()
        except Exception as error:
            self.loop.on_error(error)
            self.lose("internal error")

    # -- writing -----------------------------------------------------------------------------------

    def touch(self) -> None:
        """There may be something to send: look at the end of this turn."""
        if not self._dirty and not self.closed:
            self._dirty = True
            self.loop.at_turn_end(self.flush)

    def flush(self) -> None:
        """Send what there is, as far as the socket takes it."""
        self._dirty = False
        if self.closed or self._staged:
            return
        ended = self._put_out()
        self._handled()
        if self.closed:
            return
        if ended and not self._staged:
            self.lose("closed")
            return
        self._judge()

    def _put_out_early(self) -> None:
        """Send what there is in the middle of the events; what follows from that is left for the end of the turn."""
        if self._dirty and not self._staged and not self.closed:
            self._put_out()

    def _put_out(self) -> bool:
        """Make frames and send them, as far as the socket takes them; True when no frame will follow."""
        transport = self.transport
        total = 0
        ended = False
        while not ended:
            size = 0
            while size < WRITE_SIZE:
                made = _out_peek(transport, send_buffer + size, WRITE_SIZE - size)
                if made <= 0:
                    ended = made < 0
                    break
                _out_pop(transport, made)
                size += made
            if not size:
                break
            if not self._send(send_view[:size]):
                break
            total += size
            if size < WRITE_SIZE // 2:
                break
            if total >= _TURN_WRITE:
                self.loop.call_later(0.0, self.touch)  # in the next turn: others come first
                break
        return ended

    def _send(self, view: memoryview) -> bool:
        try:
            sent = self.sock.send(view)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            reason = describe(error)
            self.loop.call_soon(lambda: self.lose(reason))
            return False
        if sent == len(view):
            return True
        self._staged = bytes(view[sent:])
        self.descriptor.add(EPOLLOUT)
        return False

    def _writable(self) -> None:
        if not self._staged:
            self.descriptor.remove(EPOLLOUT)
            return
        staged, self._staged = memoryview(self._staged), b""
        if self._send(staged) and not self.closed:
            self.descriptor.remove(EPOLLOUT)
            self.flush()

    def outgoing_bytes(self, session: Pointer) -> int:
        """Octets of a session's deliveries that have not gone out."""
        return int(lib.pn_session_outgoing_bytes(session)) + self.waiting.get(session, 0)

    @property
    def stalled(self) -> bool:
        """Whether octets wait for the socket."""
        return bool(self._staged)

    def _judge(self) -> None:
        """Decide whether sources of this connection must pause, and resume them when not."""
        blocked = bool(self._staged)
        if not blocked:
            for session in self.watched_sessions:
                if self.outgoing_bytes(session) > SESSION_BACKLOG:
                    blocked = True
                    break
        self.blocked = blocked
        if not blocked and self._waiters:
            waiters, self._waiters = self._waiters, {}
            for waiter in waiters:
                waiter.resume()

    def wait_unblocked(self, waiter: Waiter) -> None:
        """Have `waiter.resume` called once this connection takes octets again or is lost."""
        self._waiters[waiter] = None

    # -- time and end ------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Let proton send its keep-alive frames and notice a silent peer; called about once a second."""
        if self.closed:
            return
        due = lib.pn_transport_tick(self.transport, now_ms)
        self._handled()
        self.touch()
        if self.closed:
            return
        if now_ms < due < now_ms + 1000:
            self.loop.call_later((due - now_ms) / 1000, lambda: self.tick(due))

    def close(self) -> None:
        """Close the AMQP connection in an orderly manner; the socket follows."""
        if not self.closed:
            lib.pn_connection_close(self.connection)
            self._end_soon("closed")

    def lose(self, reason: str) -> None:
        """The connection is over: tell everybody, close the socket, free proton's memory after this turn."""
        if self.lost:
            return
        self.lost = True
        for delivery in list(self.deliveries.values()):
            delivery.on_lost()
        self.on_lost(reason)
        self.closed = True
        self.descriptor.close()
        with contextlib.suppress(OSError):
            self.sock.close()
        self.deliveries.clear()
        self.links.clear()
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            waiter.resume()
        self.loop.call_soon(self._free)

    def _free(self) -> None:
        transport, connection, collector = self.transport, self.connection, self._collector
        self.transport = self.connection = self._collector = NULL
        self.watched_sessions.clear()
        self.waiting.clear()
        self._handlers = {}
        lib.pn_transport_unbind(transport)
        lib.pn_connection_release(connection)
        while _pop(collector):
            pass
        lib.pn_decref(connection)
        lib.pn_decref(transport)
        while _pop(collector):
            pass
        lib.pn_collector_free(collector)

    def _remote_open(self, _event: Pointer) -> None:
        self.on_remote_open()

    def _remote_close(self, _event: Pointer) -> None:
        self.condition = self.condition or get_condition(lib.pn_connection_remote_condition(self.connection))
        lib.pn_connection_close(self.connection)
        self._end_soon("closed by peer")

    def _end_soon(self, reason: str) -> None:
        """Send what is left, but do not wait long for a peer that takes nothing any more."""
        self.touch()
        if not self._ending:
            self._ending = True
            self.loop.call_later(_LINGER, lambda: self.lose(reason))

    def _transport_error(self, _event: Pointer) -> None:
        self.condition = self.condition or get_condition(lib.pn_transport_condition(self.transport))
        self._end_soon("transport error")


def transport(settings: Any) -> Pointer:
    """A proton transport with the limits of a listener or connector: `max_frame`, `channel_max`, `idle_ms`."""
    made = lib.pn_transport()
    lib.pn_transport_set_max_frame(made, settings.max_frame)
    lib.pn_transport_set_channel_max(made, settings.channel_max)
    lib.pn_transport_set_idle_timeout(made, settings.idle_ms)
    return made
