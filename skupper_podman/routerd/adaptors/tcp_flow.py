"""One TCP connection as two streams of octets: socket to network and network to socket.

`TcpFlow` is the source of one message and the sink of the other; `ListenerFlow` and `ConnectorFlow` add
who begins. What always holds:

* it stops reading its socket when `window` octets are not acknowledged by the far end, or when the
  next hop's socket is full, so nobody's memory grows because somebody else does not read;
* octets for the socket are kept at most as far as the far end's window allows, and acknowledged
  only when the socket has taken them;
* half-close passes through as the end of one message; a reset passes through as an abort, never as a
  clean end: a truncated upload must not look complete;
* the flow is over when both messages are settled or lost, and then nothing refers to it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.model.flow import Attribute
from skupper_podman.routerd.adaptors.tls_socket import TlsSocket
from skupper_podman.routerd.codec import CodecError
from skupper_podman.routerd.loop import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, Descriptor
from skupper_podman.routerd.message import BodyReader
from skupper_podman.routerd.streams import (
    ACCEPTED_SETTLED,
    FAILED_OPEN,
    FAILED_SETTLED,
    Chunk,
    Outcome,
    Sink,
    Source,
    Start,
    rejected,
)

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

#: Window of the legacy encapsulation in octets, and how many octets pass between two acknowledgements.
LEGACY_WINDOW: Final = 1_459_620
LEGACY_STEP: Final = LEGACY_WINDOW // 4
#: The same for lite.
LITE_STEP: Final = 8 * 16 * 4072
LITE_WINDOW: Final = 2 * LITE_STEP

#: Octets read from one socket per turn: alone, and at least however many others are ready.
READ_SIZE: Final = 128 * 1024
READ_LEAST: Final = 32 * 1024
_HEADER: Final = 8
_LONG_SECTION: Final = struct.Struct(">BBBBI")
_NO_LINGER: Final = struct.pack("ii", 1, 0)
#: Octets waiting for a socket beyond which a sender without its own window is held back.
_SINK_LIMIT: Final = 512 * 1024

_buffer: Final = bytearray(_HEADER + READ_SIZE)
_view: Final = memoryview(_buffer)


class TcpFlow:
    """The common part of both ends. `sock` is None before the connection exists and after its end."""

    # With so many attributes, a dictionary for each would take three times the memory and longer to make.
    __slots__ = (
        "_acknowledged",
        "_ended",
        "_in_settled",
        "_last_acknowledged",
        "_latency",
        "_latency_from",
        "_out_settled",
        "_pending",
        "_pending_size",
        "_problem",
        "_read_ended",
        "_reader",
        "_reading",
        "_shut",
        "_step",
        "_tls",
        "_waiting",
        "_window",
        "_windowed",
        "_write_ended",
        "descriptor",
        "identity",
        "last_in",
        "last_out",
        "lite",
        "octets_in",
        "octets_out",
        "opened_at",
        "origin",
        "out",
        "owner",
        "peer",
        "record",
        "router",
        "sock",
        "source",
        "window_closures",
    )

    def __init__(self, router: Router, owner: Any, *, lite: bool) -> None:
        self.router = router
        self.owner = owner
        self.lite = lite
        self.sock: Any = None
        self.descriptor: Descriptor | None = None
        self._tls = False
        self.peer = ""
        self.origin = ""
        self.record = ""
        self.identity = router.next_connection_identity()
        self.opened_at = router.loop.now
        self.last_in: float | None = None
        self.last_out: float | None = None
        #: When what the latency counts from has happened, and the latency in microseconds once it is known.
        self._latency_from = 0.0
        self._latency: int | None = None
        self._problem: tuple[str, str] | None = None
        # socket to network
        self.out: Sink | None = None
        self.octets_in = 0
        self._acknowledged = 0
        self._window = LITE_WINDOW if lite else LEGACY_WINDOW
        self._windowed = True
        self._read_ended = False
        self._out_settled = False
        self._reading = False
        self.window_closures = 0
        # network to socket
        self.source: Source | None = None
        self.octets_out = 0
        self._last_acknowledged = 0
        self._step = LITE_STEP if lite else LEGACY_STEP
        self._reader: BodyReader | None = None
        self._pending: deque[memoryview] = deque()
        self._pending_size = 0
        self._write_ended = False
        self._shut = False
        self._waiting: Source | None = None
        self._in_settled = False
        self._ended = False
        router.tcp_flow_count(1)

    # -- the socket --------------------------------------------------------------------------------

    def _adopt(self, sock: Any) -> None:
        self.sock = sock
        self._tls = isinstance(sock, TlsSocket)

    def _attend(self) -> None:
        """Be told of the socket: also of its end, while nothing is read or written."""
        if self.descriptor is None and self.sock is not None:
            events = (EPOLLIN if self._reading else 0) | (EPOLLOUT if self._pending else 0)
            self.descriptor = Descriptor(self.router.loop, self.sock.fileno(), events, self._on_io)

    def _on_io(self, events: int) -> None:
        if events & EPOLLOUT:
            self._flush()
        if self.sock is None:
            return
        if self._reading:
            if events & (EPOLLIN | EPOLLHUP | EPOLLERR):
                self._read()
        elif events & EPOLLERR:
            self._broken(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        elif events & EPOLLHUP and self.descriptor is not None:
            # Both directions have ended, but octets may be left to read later: do not spin meanwhile.
            self.descriptor.close()
            self.descriptor = None

    def _want_read(self, wanted: bool) -> None:
        if wanted == self._reading or self.sock is None:
            return
        self._reading = wanted
        if self.descriptor is None:
            if wanted:
                self._attend()
        elif wanted:
            self.descriptor.add(EPOLLIN)
        else:
            self.descriptor.remove(EPOLLIN)
        if wanted and self._tls:
            self._look_inside()

    def _look_inside(self) -> None:
        """TLS may hold decrypted octets of which epoll knows nothing."""
        if self._reading and self.sock is not None and self.sock.pending():
            self.router.loop.call_later(0.0, self._read_more)

    def _read_more(self) -> None:
        if self._reading and self.sock is not None:
            self._read()

    # -- socket to network -------------------------------------------------------------------------

    def _read(self) -> None:
        out = self.out
        if out is None:
            self._want_read(False)
            return
        room = max(READ_LEAST, READ_SIZE // (self.router.loop.crowd or 1))
        if self._windowed:
            room = min(room, self._window - (self.octets_in - self._acknowledged))
            if room <= 0:
                self.window_closures += 1
                self._want_read(False)
                return
        try:
            size = self.sock.recv_into(_view[_HEADER : _HEADER + room])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broken(error.errno or 0)
            return
        if size == 0:
            self._read_ended = True
            out.finish()
            self._check_done()
            self._want_read(False)  # in vain when it is closed by now, which is why it comes last
            return
        if self.last_in is None:
            self._first_in()
        self.octets_in += size
        self.owner.octets_in += size
        self.last_in = self.router.loop.now
        out.write(self._framed(size))
        if out.congested():
            self._want_read(False)
        elif self._tls:
            self._look_inside()

    def _framed(self, size: int) -> memoryview:
        end = _HEADER + size
        if self.lite:
            return _view[_HEADER:end]
        if size < 256:
            _buffer[3:8] = b"\x00\x53\x75\xa0" + bytes((size,))
            return _view[3:end]
        _LONG_SECTION.pack_into(_buffer, 0, 0, 0x53, 0x75, 0xB0, size)
        return _view[:end]

    def received(self, offset: int) -> None:
        """The far end has written `offset` octets in all to its socket."""
        if offset > self._acknowledged:
            self._acknowledged = offset
            self.resume()

    def resume(self) -> None:
        """Read again: the window has opened or the next hop takes octets."""
        if self.sock is not None and not self._read_ended and self.out is not None and self._may_read():
            self._want_read(True)

    def _may_read(self) -> bool:
        return True

    def outcome(self, outcome: Outcome) -> None:
        """What became of the message from our socket."""
        self._windowed = False
        if outcome.settled:
            self._out_settled = True
        accepted = outcome.state == ACCEPTED_SETTLED.state
        if accepted or (not outcome.state and self._read_ended):
            self.resume()
        else:
            self._refused(outcome)
        if outcome.settled:
            self.out = None
            if not self._read_ended:  # the far end takes nothing more, and would not hear of an end either
                self._read_ended = True
                self._want_read(False)
        self._check_done()

    def _refused(self, outcome: Outcome) -> None:
        """The far end cannot go on: end our message and the socket with it."""
        self._end_message(abort=False)
        # A part of what was to come must not look like all of it.
        partial = bool(self._pending) or (self.octets_out > 0 and not self._write_ended)
        self._close_socket(reset=outcome.failed or partial)
        self._settle_incoming(FAILED_SETTLED)

    def _end_message(self, *, abort: bool) -> None:
        out = self.out
        if out is None or self._read_ended:
            return
        self._read_ended = True
        self._want_read(False)
        if abort:
            self.out = None
            self._out_settled = True
            out.abort()
        else:
            out.finish()

    # -- network to socket -------------------------------------------------------------------------

    def congested(self) -> bool:
        """Whether a sender without its own window must wait for the socket."""
        if self._pending_size > _SINK_LIMIT and self.source is not None:
            self._waiting = self.source
            return True
        return False

    def begin(self, start: Start, source: Source) -> None:
        """Take the beginning of the message for our socket."""
        if start.head.lite != self.lite:
            self._in_settled = True
            source.outcome(rejected("amqp:precondition-failed", "encapsulations of the two ends differ"))
            self._fail()
            return
        if self._ended or self._in_settled or self.source is not None:
            # Over, or somebody has sent a second message to the address of this one connection.
            source.outcome(FAILED_SETTLED)
            return
        self.source = source
        self._reader = None if self.lite else BodyReader()
        self.write(start.body)

    def write(self, chunk: Chunk) -> None:
        """Send octets to the socket, as far as it takes them now."""
        if self._in_settled or not len(chunk):
            return
        if self._reader is None:
            pieces: list[memoryview] = [memoryview(chunk)]
        else:
            try:
                pieces = self._reader.feed(chunk)
            except CodecError:
                self._fail()
                return
            if not pieces:
                return
        if self._pending or self.sock is None:
            self._keep(pieces, 0)
            return
        try:
            sent = self.sock.send(pieces[0]) if len(pieces) == 1 else self.sock.sendmsg(pieces[:512])
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._broken(error.errno or 0)
            return
        self._keep(pieces, sent)
        self._written(sent)

    def _keep(self, pieces: list[memoryview], sent: int) -> None:
        for piece in pieces:
            size = len(piece)
            if sent >= size:
                sent -= size
                continue
            left = bytes(piece[sent:])
            sent = 0
            self._pending.append(memoryview(left))
            self._pending_size += len(left)
        if self._pending and self.descriptor is not None:
            self.descriptor.add(EPOLLOUT)

    def _flush(self) -> None:
        pending = self._pending
        while pending and self.sock is not None:
            batch = [pending[index] for index in range(min(len(pending), 64))]
            try:
                sent = self.sock.send(batch[0]) if len(batch) == 1 else self.sock.sendmsg(batch)
            except (BlockingIOError, InterruptedError):
                if self.descriptor is not None:  # what was kept before there was a socket has waited for nothing yet
                    self.descriptor.add(EPOLLOUT)
                return
            except OSError as error:
                self._broken(error.errno or 0)
                return
            self._pending_size -= sent
            total = sent
            while sent:
                first = pending[0]
                if sent >= len(first):
                    sent -= len(first)
                    pending.popleft()
                else:
                    pending[0] = first[sent:]
                    sent = 0
            self._written(total)
        if self.sock is None:
            return
        if self.descriptor is not None:
            self.descriptor.remove(EPOLLOUT)
        if self._write_ended:
            self._shut_down()
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.resume()

    def _written(self, size: int) -> None:
        if not size:
            return
        if self.last_out is None:
            self._first_out()
        self.octets_out += size
        self.owner.octets_out += size
        self.last_out = self.router.loop.now
        if self.octets_out - self._last_acknowledged >= self._step and self.source is not None:
            self._last_acknowledged = self.octets_out
            self.source.received(self.octets_out)

    def finish(self) -> None:
        """The message for our socket is complete."""
        self._write_ended = True
        if not self._pending:
            self._shut_down()

    def _shut_down(self) -> None:
        if self.sock is None or self._shut:
            return
        self._shut = True
        if self._tls or not self._read_ended:  # else it is closed right away, which says the same
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
        if self.lite:
            self._settle_incoming(ACCEPTED_SETTLED)
        self._check_done()

    def abort(self) -> None:
        """The message for our socket is broken off, or nobody waits for its outcome: so is the connection."""
        self.source = None
        self._in_settled = True
        self._fail()

    # -- the flow record ---------------------------------------------------------------------------

    def _first_in(self) -> None:
        """The first octets come from the socket."""

    def _first_out(self) -> None:
        """The first octets have gone to the socket."""

    def _latency_ends(self) -> None:
        if self._latency is None and self._latency_from:
            self._latency = int((time.monotonic() - self._latency_from) * 1_000_000)

    def _note(self, result: str, reason: str) -> None:
        """Remember why the flow fails; the first reason is the cause of those that follow."""
        if self._problem is None and not self._ended:
            self._problem = result, reason

    def measure(self) -> dict[Attribute, Any]:
        """What the flow record says of it now."""
        found: dict[Attribute, Any] = {Attribute.OCTETS: self.octets_in}
        if self._latency is not None:
            found[Attribute.LATENCY] = self._latency
        if not self.lite and self.octets_in:
            found[Attribute.OCTETS_UNACKED] = max(0, self.octets_in - self._acknowledged)
        if self.window_closures:
            found[Attribute.WINDOW_CLOSURES] = self.window_closures
        if self._problem is not None:
            found[Attribute.RESULT], found[Attribute.REASON] = self._problem
        return found

    # -- ends --------------------------------------------------------------------------------------

    def _broken(self, code: int) -> None:
        """The socket has failed: reset by its peer, or worse."""
        self._note("proton:io", f"{os.strerror(code)} - async disconnect {self.peer}")
        source = self.source
        if source is not None and not self._in_settled:
            source.outcome(FAILED_OPEN)
        self._end_message(abort=True)
        self._close_socket(reset=True)
        self._settle_incoming(FAILED_SETTLED)
        self._check_done()

    def _fail(self) -> None:
        """The network side has failed: reset the socket."""
        self._end_message(abort=True)
        self._close_socket(reset=True)
        self._settle_incoming(FAILED_SETTLED)
        self._check_done()

    def _settle_incoming(self, outcome: Outcome) -> None:
        source, self.source = self.source, None
        if source is not None and not self._in_settled:
            self._in_settled = True
            source.outcome(outcome)

    def _close_socket(self, *, reset: bool) -> None:
        sock, self.sock = self.sock, None
        self._reading = False
        self._pending.clear()
        self._pending_size = 0
        if self.descriptor is not None:
            self.descriptor.leave()
            self.descriptor = None
        if sock is None:
            return
        with contextlib.suppress(OSError):
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            sock.close()

    def _check_done(self) -> None:
        """Settle and let go of what is finished."""
        if self._ended:
            return
        if self._read_ended and self._shut:
            # When the far end is on this router too, this may come back here and find the flow over.
            self._settle_incoming(ACCEPTED_SETTLED)
            self._close_socket(reset=False)
        if not self._ended and self.sock is None and self._out_over() and self.source is None:
            self._ended = True
            self._over()

    def _out_over(self) -> bool:
        return self._out_settled or self.out is None

    def _over(self) -> None:
        """Nothing is left of the flow."""
        self.router.tcp_flow_count(-1)
        self.owner.flow_ended(self)
