"""Deliveries that go out over an AMQP connection: `OutDelivery` is a sink.

What always holds:

* a delivery waits in its link's queue while an unfinished one is before it;
* proton holds at most `ROOM` octets of a delivery: its buffers never shrink, and it keeps them for further deliveries
  until the connection ends; what is more waits here and is given to it as it sends;
* octets that wait count: a delivery without a window of its own is held back, a connection where many wait is blocked.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from skupper_podman.routerd.amqp.wire import (
    ACCEPTED,
    MODIFIED,
    RECEIVED,
    REJECTED,
    RELEASED,
    Pointer,
    ffi,
    get_condition,
    lib,
)
from skupper_podman.routerd.message import Q2_DISABLED
from skupper_podman.routerd.streams import FAILED_SETTLED, RELEASED_SETTLED, Chunk, Outcome, Source, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.amqp.links import OutLink

#: Octets of one delivery that proton holds at most.
ROOM: Final = 256 * 1024

#: The outcomes that say nothing but what they are.
_PLAIN: Final = {
    (state, settled): Outcome(state, settled) for state in (0, ACCEPTED, RELEASED) for settled in (False, True)
}

_send = lib.pn_link_send
_pending = lib.pn_delivery_pending
_from_buffer = ffi.from_buffer

_tag_buffer: Final[Pointer] = ffi.new("char[]", 8)
_tag_view: Final = memoryview(ffi.buffer(_tag_buffer))
_tag: Final[Pointer] = ffi.new("pn_delivery_tag_t *", (8, _tag_buffer))
_tag_counter = 0


def _next_tag() -> Pointer:
    global _tag_counter
    struct.pack_into("<Q", _tag_view, 0, _tag_counter)
    _tag_counter = (_tag_counter + 1) & 0xFFFFFFFFFFFFFFFF
    return _tag[0]


class OutDelivery:
    """A delivery being sent on an `OutLink`."""

    __slots__ = ("_backlog", "_complete", "_gone", "_settled", "_windowed", "link", "on_end", "pointer", "source")

    def __init__(self, link: OutLink) -> None:
        self.link = link
        self.pointer: Pointer | None = None
        self.source: Source | None = None
        self._settled = False
        self._complete = False
        self._gone = False
        self._windowed = False
        #: Octets that wait here: of a delivery whose turn has not come, or more than proton shall hold.
        self._backlog: deque[Chunk] | None = None
        self.on_end: Callable[[], None] | None = None

    def congested(self) -> bool:
        """True when the connection, or this link's session, has more than it can send."""
        conn = self.link.conn
        source = self.source
        if source is None or self._gone:
            return False
        if conn.blocked:
            conn.wait_unblocked(source)
            return True
        # The window of a stream bounds what waits here; holding it back too would only cost system calls.
        if not self._windowed and (self._backlog is not None or self.link.over_limit()):
            self.link.wait(source)
            return True
        return False

    def distrust(self) -> None:
        """The sender keeps to no window: hold it back when octets wait here."""
        self._windowed = False

    def begin(self, start: Start, source: Source) -> None:
        """Start the delivery with what is there of the message."""
        self.source = source
        self._settled = start.settled
        if start.settled:
            self.link.counters.presettled += 1
        self._windowed = bool(start.annotations.flags & Q2_DISABLED)
        link = self.link
        first = b"".join((start.annotations.encode(), start.rest)) if link.annotated else bytes(start.rest)
        link.attach(self)
        if link.active is self:
            self._start()
            self.write(first)
        else:
            self._keep(first)

    def send(self, octets: bytes) -> None:
        """Send a complete presettled message; used instead of `begin` for what the router itself says."""
        self._settled = True
        self.link.attach(self)
        if self.link.active is self:
            self._start()
            self.write(octets)
            self.finish()
        else:
            self._keep(octets)
            self._complete = True

    def activate(self) -> None:
        """The deliveries before this one are finished."""
        self._start()
        self.refill()

    def refill(self) -> None:
        """Proton may have sent some of the delivery: give it more of what waits."""
        backlog, pointer = self._backlog, self.pointer
        if backlog is None or pointer is None:
            return
        room = ROOM - _pending(pointer)
        if room < ROOM // 2:
            return
        while backlog and room > 0:
            chunk = backlog.popleft()
            self.link.kept(-len(chunk))
            if len(chunk) > room:
                view = memoryview(chunk)
                self._keep(view[room:], first=True)
                chunk = view[:room]
            _send(self.link.pointer, _from_buffer(chunk), len(chunk))
            room -= len(chunk)
        if not backlog:
            self._backlog = None
            if self._complete:
                self._complete = False
                self.finish()
        self.link.conn.touch()

    def _keep(self, chunk: Chunk, *, first: bool = False) -> None:
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = deque()
        if first:
            backlog.appendleft(chunk)
        else:
            backlog.append(chunk)
        self.link.kept(len(chunk))

    def _forget_backlog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog:
            self.link.kept(-sum(map(len, backlog)))

    def _start(self) -> None:
        pointer = lib.pn_delivery(self.link.pointer, _next_tag())
        self.pointer = pointer
        self.link.conn.deliveries[pointer] = self

    def write(self, chunk: Chunk) -> None:
        """Give octets to proton, or keep them while another delivery is being sent or it has enough."""
        if self._gone:
            return
        if self._backlog is not None:
            self._keep(bytes(chunk))
            return
        room = ROOM - _pending(self.pointer)
        if len(chunk) > room:
            view = memoryview(chunk)
            self._keep(bytes(view[room:]))
            if not room:
                return
            chunk = view[:room]
        _send(self.link.pointer, _from_buffer(chunk), len(chunk))
        conn = self.link.conn
        if not conn._dirty:
            conn.touch()

    def finish(self) -> None:
        """End the delivery."""
        if self._complete:
            return
        self._complete = True
        if self._gone or self._backlog is not None:
            return
        link = self.link
        if self._settled:
            self._drop()
        else:
            lib.pn_link_advance(link.pointer)
        link.conn.touch()
        link.finished(self)

    @property
    def waits(self) -> bool:
        """Whether some of it waits here."""
        return self._backlog is not None

    @property
    def _given(self) -> bool:
        """Whether proton has all of it."""
        return self._complete and self._backlog is None

    def abort(self) -> None:
        """Break the delivery off; when it is complete, stop waiting for its outcome."""
        self.source = None
        if self._gone:
            return
        given, pointer = self._given, self.pointer
        if self._backlog is not None:
            self._forget_backlog()
            if pointer is None:
                self._gone = True
                self.link.withdraw(self)
                self._over()
                return
        if given:
            if pointer is not None:
                self._drop()
        elif pointer is not None:
            lib.pn_delivery_abort(pointer)
            self._release(pointer)
            self.link.finished(self)
        self._gone = True
        self.link.conn.touch()

    def on_event(self) -> None:
        """The receiver has sent a state or settled."""
        pointer = self.pointer
        if pointer is None:
            return
        remote = lib.pn_delivery_remote(pointer)
        state = lib.pn_disposition_type(remote)
        settled = bool(lib.pn_delivery_settled(pointer))
        source = self.source
        if state == RECEIVED and not settled:
            if source is not None:
                source.received(lib.pn_disposition_get_section_offset(remote))
            return
        if not state and not settled:
            return
        outcome = _read_outcome(remote, state, settled)
        if settled:
            self.link.counters.count(outcome)
            if self._given:
                self._drop()
            else:
                self.source = None
                if source is not None:
                    source.outcome(outcome)
                self._cut_off()
                return
        if source is not None:
            source.outcome(outcome)

    def _cut_off(self) -> None:
        """The receiver settled before the end: finish the delivery, whose source knows already."""
        if not self._given and not self._gone and self.pointer is not None:
            self._forget_backlog()
            lib.pn_delivery_abort(self.pointer)
            self._release(self.pointer)
            self._gone = True
            self.link.finished(self)
            self.link.conn.touch()

    def _drop(self) -> None:
        pointer = self.pointer
        if pointer is not None:
            lib.pn_delivery_settle(pointer)
            self._release(pointer)

    def _release(self, pointer: Pointer) -> None:
        self.pointer = None
        self.link.conn.deliveries.pop(pointer, None)
        self.link.detach(self)
        self._over()

    def _over(self) -> None:
        callback, self.on_end = self.on_end, None
        if callback is not None:
            callback()

    def on_lost(self) -> None:
        """The connection or the link is gone."""
        source, self.source = self.source, None
        pointer, self.pointer = self.pointer, None
        self._gone = True
        given = self._given
        if pointer is not None or self._backlog is not None:
            self.link.detach(self)
        self._forget_backlog()
        self._over()
        if source is not None:
            source.outcome(FAILED_SETTLED if given else RELEASED_SETTLED)


def _read_outcome(remote: Pointer, state: int, settled: bool) -> Outcome:
    if state == REJECTED:
        return Outcome(state, settled, get_condition(lib.pn_disposition_condition(remote)))
    if state == MODIFIED:
        failed = bool(lib.pn_disposition_is_failed(remote))
        return Outcome(state, settled, None, failed, bool(lib.pn_disposition_is_undeliverable(remote)))
    found = _PLAIN.get((state, settled))
    return Outcome(state, settled) if found is None else found
