"""A socket of an HTTP adaptor, plain or TLS: octets in, octets out, and all the ways it can end.

What always holds: nothing here blocks; what the peer does not take waits, and `full` tells writers to
stop; output of one turn goes out in one system call, or that of a message as soon as it is complete; a
connection that is finished while its peer still sends is closed only when the peer has had time to read
the last response, for a reset would destroy it.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from skupper_podman.routerd.adaptors.tls_socket import TlsSocket
from skupper_podman.routerd.loop import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, Descriptor, Loop, Timer

READ_SIZE: Final = 128 * 1024
#: Octets waiting for the socket beyond which writers pause, and at which they go on.
FULL: Final = 512 * 1024
_EASY: Final = FULL // 2
#: Pieces that go out in one system call.
_MOST_PIECES: Final = 64
#: How long, and for how many octets, a finished connection goes on reading what nobody wants.
_LINGER_SECONDS: Final = 5.0
_LINGER_OCTETS: Final = 4 * 1024 * 1024

_NO_LINGER: Final = struct.pack("ii", 1, 0)

_buffer: Final = bytearray(READ_SIZE)
_view: Final = memoryview(_buffer)


class Handler(Protocol):
    """Who uses the socket. None of the calls comes after `lost`."""

    def received(self, data: memoryview) -> None:
        """Octets have come; valid only during the call."""

    def ended(self) -> None:
        """The peer has ended its direction."""

    def writable(self) -> None:
        """The socket is no longer full."""

    def lost(self) -> None:
        """The connection is gone, by the peer or by a failure; not called after `finish` or `abort`."""


class HttpSocket:
    """One connected socket. Reads only after `want_read(True)`."""

    def __init__(self, loop: Loop, sock: Any, handler: Handler, report: Callable[[BaseException], None]) -> None:
        self._loop = loop
        self._sock: Any = sock
        self._tls = isinstance(sock, TlsSocket)
        self._handler: Handler | None = handler
        self._report = report
        self._descriptor: Descriptor | None = Descriptor(loop, sock.fileno(), 0, self._ready)
        self._reading = False
        self._pending: deque[memoryview] = deque()
        self._size = 0
        self._was_full = False
        self._flush_due = False
        self._finishing = False
        self._shut = False
        self._lingering: Timer | None = None
        self._drained = 0
        self.octets_in = self.octets_out = 0
        self.progress = loop.now

    @property
    def closed(self) -> bool:
        """Whether the socket is gone."""
        return self._sock is None

    @property
    def full(self) -> bool:
        """Whether writers should pause; True is also the promise to call `writable`."""
        self._was_full = self._was_full or self._size > FULL
        return self._was_full

    @property
    def waiting(self) -> int:
        """Octets that the peer has not taken yet."""
        return self._size

    def want_read(self, wanted: bool) -> None:
        """Read from now on, or pause."""
        if wanted == self._reading or self._descriptor is None:
            return
        self._reading = wanted
        if wanted:
            self.progress = self._loop.now
            self._descriptor.add(EPOLLIN)
            if self._tls:
                self._look_inside()
        else:
            self._descriptor.remove(EPOLLIN)

    def write(self, data: bytes) -> None:
        """Send octets, at the latest at the end of this turn."""
        if not data or self._sock is None or self._finishing:
            return
        self._pending.append(memoryview(data))
        self._size += len(data)
        if not self._flush_due:
            self._flush_due = True
            self._loop.at_turn_end(self._flush_now)

    def push(self) -> None:
        """A message is complete: send it now, not at the end of this turn, so that who waits for it can begin."""
        pending, descriptor = self._pending, self._descriptor
        if descriptor is None or descriptor.events & EPOLLOUT or not 0 < len(pending) <= _MOST_PIECES:
            return
        try:
            sent = self._sock.send(pending[0]) if len(pending) == 1 else self._sock.sendmsg(list(pending))
        except OSError:
            return  # the end of the turn tries again, and does what is to be done then
        self._taken(sent)

    def finish(self) -> None:
        """Send what waits, end our direction, and close when the peer has, or after a while."""
        if self._sock is None or self._finishing:
            return
        self._finishing = True
        self._handler = None
        self._reading = False
        self._lingering = self._loop.call_later(_LINGER_SECONDS, self._linger_over)
        self._flush()

    def abort(self) -> None:
        """Close at once; the peer sees a reset."""
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._close()

    # -- reading -----------------------------------------------------------------------------------

    def _ready(self, events: int) -> None:
        if events & EPOLLOUT:
            self._flush()
        if self._sock is None:
            return
        if self._reading or self._finishing:
            if events & (EPOLLIN | EPOLLHUP | EPOLLERR):
                self._read()
        elif events & (EPOLLERR | EPOLLHUP):
            self._broken()

    def _read(self) -> None:
        try:
            size = self._sock.recv_into(_view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._broken()
            return
        if self._finishing:
            self._drop(size)
            return
        if size == 0:
            self.want_read(False)
            self._tell(lambda handler: handler.ended())
            return
        self.octets_in += size
        self.progress = self._loop.now
        self._tell(lambda handler: handler.received(_view[:size]))
        if self._tls and self._reading:
            self._look_inside()

    def _look_inside(self) -> None:
        """TLS may hold decrypted octets of which epoll knows nothing."""
        if self._sock is not None and self._sock.pending():
            self._loop.call_later(0.0, self._read_more)

    def _read_more(self) -> None:
        if self._reading and self._sock is not None:
            self._read()

    def _drop(self, size: int) -> None:
        self._drained += size
        if size == 0 or self._drained > _LINGER_OCTETS:
            self._close()

    def _tell(self, call: Callable[[Handler], None]) -> None:
        """Call the handler; what it raises ends this connection and nothing else."""
        handler = self._handler
        if handler is None:
            return
        try:
            call(handler)
        except Exception as error:
            self._report(error)
            self._broken()

    # -- writing -----------------------------------------------------------------------------------

    def _flush_now(self) -> None:
        self._flush_due = False
        self._flush()

    def _flush(self) -> None:
        pending = self._pending
        while pending and self._sock is not None:
            batch = [pending[index] for index in range(min(len(pending), _MOST_PIECES))]
            try:
                sent = self._sock.send(batch[0]) if len(batch) == 1 else self._sock.sendmsg(batch)
            except (BlockingIOError, InterruptedError):
                if self._descriptor is not None:
                    self._descriptor.add(EPOLLOUT)
                break
            except OSError:
                self._broken()
                return
            self._taken(sent)
        if self._sock is None:
            return
        if not pending:
            self._all_sent()
        if self._was_full and self._size <= _EASY:
            self._was_full = False
            self._tell(lambda handler: handler.writable())

    def _taken(self, sent: int) -> None:
        pending = self._pending
        self._size -= sent
        self.octets_out += sent
        self.progress = self._loop.now
        while sent:
            first = pending[0]
            if sent < len(first):
                pending[0] = first[sent:]
                return
            sent -= len(first)
            pending.popleft()

    def _all_sent(self) -> None:
        descriptor = self._descriptor
        if descriptor is None:
            return
        descriptor.remove(EPOLLOUT)
        if self._finishing and not self._shut:
            self._shut = True
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
            descriptor.add(EPOLLIN)
            if self._tls:
                # After close_notify nothing can be read any more.
                self._close()

    # -- ends --------------------------------------------------------------------------------------

    def _linger_over(self) -> None:
        if self._size:
            self.abort()
        else:
            self._close()

    def _broken(self) -> None:
        handler = self._handler
        self._close()
        if handler is not None:
            try:
                handler.lost()
            except Exception as error:
                self._report(error)

    def _close(self) -> None:
        sock, self._sock = self._sock, None
        descriptor, self._descriptor = self._descriptor, None
        self._handler = None
        self._reading = False
        self._pending.clear()
        self._size = 0
        if self._lingering is not None:
            self._lingering.cancel()
        if descriptor is not None:
            descriptor.close()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()
