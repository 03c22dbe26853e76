"""Deliveries that pass through an AMQP connection: `InDelivery` is a source, `OutDelivery` is a sink.

What always holds:

* an incoming delivery is routed when its head is known and it is either complete, marked as a stream
  or larger than `HOLD`; until then its octets are held here, after that none are;
* a delivery that is held back keeps its octets in proton, where they count against the session's
  window, so the peer stops sending; streams with their own window (Q2 disabled) are never held back;
* the octets held of all deliveries of a connection are at most `HELD`, then they go on or are refused at once;
* a stream with its own window whose sender does not keep to it loses the privilege (`OVERRUN`);
* a state that settles before the delivery is complete is sent unsettled first, the rest is read and
  dropped, and settlement follows at the end: peers are never left in the middle of a delivery.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from skupper_podman.routerd.amqp.wire import (
    ABORTED,
    END_OF_STREAM,
    MODIFIED,
    READ_SIZE,
    RECEIVED,
    REJECTED,
    Pointer,
    ffi,
    get_condition,
    lib,
    message_buffer,
    message_view,
    set_condition,
)
from skupper_podman.routerd.codec import CodecError
from skupper_podman.routerd.message import Q2_DISABLED, STREAMING, AnnotationsError, HeadParser
from skupper_podman.routerd.streams import (
    FAILED_SETTLED,
    RELEASED_SETTLED,
    Chunk,
    Outcome,
    Sink,
    Source,
    Start,
    rejected,
)

if TYPE_CHECKING:
    from skupper_podman.routerd.amqp.links import InLink, OutLink

#: Octets of an unfinished, unmarked message held until it is treated as a stream (the daemon's Q2 limit).
HOLD: Final = 64 * 4072

#: Octets of unfinished messages held for one connection in all.
HELD: Final = 16 * 1024 * 1024
#: Octets since the last acknowledgement that no sender with a window of its own would send.
OVERRUN: Final = 16 * 1024 * 1024

_recv = lib.pn_link_recv
_send = lib.pn_link_send
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


class InDelivery:
    """A delivery being received on an `InLink`."""

    __slots__ = (
        "_ahead",
        "_discard",
        "_final",
        "_held",
        "_parser",
        "_q2_free",
        "complete",
        "link",
        "paused",
        "pointer",
        "since",
        "sink",
    )

    def __init__(self, link: InLink, pointer: Pointer) -> None:
        self.link = link
        self.pointer = pointer
        self.sink: Sink | None = None
        self.complete = False
        self.paused = False
        self._held = bytearray()
        self._parser: HeadParser | None = HeadParser()
        self._q2_free = False
        self._ahead = 0
        self._discard = False
        self._final: Outcome | None = None
        #: When it began, for counting the slow; None for a stream, which may last for as long as it likes.
        self.since: float | None = link.conn.loop.now

    # -- octets ------------------------------------------------------------------------------------

    def on_event(self) -> None:
        """Octets have come, or the sender has settled."""
        if not self.complete:
            if not self.paused:
                self.pump()
        elif lib.pn_delivery_settled(self.pointer):
            # The sender has settled first: it is gone, and with it the reason to go on with what it asked for.
            sink, self.sink = self.sink, None
            self._forget()
            if sink is not None:
                sink.abort()

    def pump(self) -> bool:
        """Take what has arrived; True when the delivery is complete."""
        link = self.link
        while True:
            size = _recv(link.pointer, message_buffer, READ_SIZE)
            if size > 0:
                sink = self.sink
                if sink is not None:
                    sink.write(message_view[:size])
                    if self._q2_free:
                        self._ahead += size
                        if self._ahead > OVERRUN:
                            self._distrust(sink)
                    elif sink.congested():
                        self.paused = True
                        return False
                elif not self._discard:
                    self._arrived(message_view[:size])
                    if self.paused:
                        return False
                if size == READ_SIZE or not lib.pn_delivery_partial(self.pointer):
                    continue
                return False
            if size == END_OF_STREAM:
                self._ended()
                return True
            if size == ABORTED:
                self._aborted()
                return True
            return False

    def resume(self) -> None:
        """The sink takes octets again."""
        if self.paused and self.pointer is not None:
            self.paused = False
            if self.pump():
                self.link.next_delivery()
            self.link.conn.touch()

    def _arrived(self, view: memoryview) -> None:
        parser = self._parser
        if parser is None:
            return
        self._held += view
        conn = self.link.conn
        conn.held += len(view)
        try:
            head = parser.feed(view)
        except CodecError as error:
            self._malformed(error)
            return
        if head is None:
            if conn.held > HELD:
                self._let_go()
                self._parser = None
                self._refuse(rejected("amqp:resource-limit-exceeded", "too many unfinished messages"))
            return
        annotations = head.annotations if self.link.annotated else None
        streaming = annotations is not None and annotations.flags & STREAMING
        if streaming or len(self._held) >= HOLD or self.link.streaming or conn.held > HELD:
            complete = not lib.pn_delivery_partial(self.pointer) and not lib.pn_delivery_pending(self.pointer)
            self._q2_free = annotations is not None and bool(annotations.flags & Q2_DISABLED)
            self._route(complete)

    def _route(self, complete: bool) -> None:
        parser, self._parser = self._parser, None
        held = self._let_go()
        if parser is None:
            return
        head = parser.finish()
        cut = head.ra_length
        rest = memoryview(held)[cut:] if cut else held
        annotations = head.annotations
        if not self.link.annotated:
            head.annotations = annotations = None
        start = Start(
            head,
            annotations or self.link.blank_annotations,
            rest,
            head.body_offset - cut,
            settled=bool(lib.pn_delivery_settled(self.pointer)),
            complete=complete,
        )
        found = self.link.route(self, start)
        if isinstance(found, Outcome):
            self._refuse(found)
            return
        self.sink = found
        if not complete:
            self.since = None
        found.begin(start, self)
        if not complete and not self._q2_free and found.congested():
            self.paused = True

    def _let_go(self) -> bytearray:
        """The octets held until now."""
        held, self._held = self._held, bytearray()
        self.link.conn.held -= len(held)
        return held

    def _distrust(self, sink: Sink) -> None:
        """The sender does not keep to a window: from now on it is held back like any other."""
        self._q2_free = False
        distrust: Callable[[], None] | None = getattr(sink, "distrust", None)
        if distrust is not None:
            distrust()

    def _malformed(self, error: CodecError) -> None:
        self._parser = None
        self._let_go()
        name = "amqp:invalid-field" if isinstance(error, AnnotationsError) else "amqp:decode-error"
        self._refuse(rejected(name, str(error)))

    def _refuse(self, outcome: Outcome) -> None:
        self._discard = True
        self.outcome(outcome)

    def _ended(self) -> None:
        link = self.link
        if self.sink is None and not self._discard:
            parser = self._parser
            try:
                if parser is not None:
                    parser.finish()
            except CodecError as error:
                self._malformed(error)
            else:
                self._route(True)
        # Only now: an outcome that comes earlier must not settle a delivery that is still the link's current one.
        self.complete = True
        lib.pn_link_advance(link.pointer)
        presettled = bool(lib.pn_delivery_settled(self.pointer))
        link.received(presettled)
        if self.sink is not None:
            self.sink.finish()
        if self._final is not None:
            self.outcome(self._final)
        elif presettled:
            self._forget()

    def _aborted(self) -> None:
        self.complete = True
        self._let_go()
        sink, self.sink = self.sink, None
        lib.pn_link_advance(self.link.pointer)
        self.link.received(True)
        self._forget()
        if sink is not None:
            sink.abort()

    # -- what became of it ---------------------------------------------------------------------------

    def received(self, offset: int) -> None:
        """Pass on how far the stream has been taken."""
        pointer = self.pointer
        if pointer is None:
            return
        self._ahead = 0
        local = lib.pn_delivery_local(pointer)
        lib.pn_disposition_set_section_number(local, 0)
        lib.pn_disposition_set_section_offset(local, offset)
        lib.pn_delivery_update(pointer, RECEIVED)
        self.link.conn.touch()

    def outcome(self, outcome: Outcome) -> None:
        """Pass the outcome on to the sender."""
        pointer = self.pointer
        if pointer is None:
            return
        state = outcome.state
        if state:
            if state in (REJECTED, MODIFIED):
                self._describe(outcome)
            lib.pn_delivery_update(pointer, state)
        if outcome.settled:
            self.sink = None
            if self.complete:
                self._settle(outcome)
            else:
                self._final = outcome
                self._discard = True
                if self.paused:
                    self.paused = False
                    self.link.conn.loop.call_soon(self._drop_rest)
        self.link.conn.touch()

    def _describe(self, outcome: Outcome) -> None:
        local = lib.pn_delivery_local(self.pointer)
        if outcome.state == MODIFIED:
            lib.pn_disposition_set_failed(local, outcome.failed)
            lib.pn_disposition_set_undeliverable(local, outcome.undeliverable)
        elif outcome.condition is not None:
            set_condition(lib.pn_disposition_condition(local), *outcome.condition)

    def _drop_rest(self) -> None:
        if self.pointer is not None and not self.complete and self.pump():
            self.link.next_delivery()

    def _settle(self, outcome: Outcome) -> None:
        since = self.since
        delay = 0.0 if since is None else self.link.conn.loop.now - since
        self.link.settled(outcome, delay)
        self._forget()

    def _forget(self) -> None:
        pointer, self.pointer = self.pointer, None
        if pointer is not None:
            lib.pn_delivery_settle(pointer)
            self.link.conn.deliveries.pop(pointer, None)

    def on_lost(self) -> None:
        """The connection or the link is gone: nobody sends the rest or waits for the outcome."""
        self.pointer = None
        self._let_go()
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.abort()


class OutDelivery:
    """A delivery being sent on an `OutLink`; waits in the link's queue while an unfinished one is before it."""

    __slots__ = ("_backlog", "_complete", "_gone", "_settled", "_windowed", "link", "on_end", "pointer", "source")

    def __init__(self, link: OutLink) -> None:
        self.link = link
        self.pointer: Pointer | None = None
        self.source: Source | None = None
        self._settled = False
        self._complete = False
        self._gone = False
        self._windowed = False
        self._backlog: list[bytes] | None = None
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
            self._backlog = [first]

    def send(self, octets: bytes) -> None:
        """Send a complete presettled message; used instead of `begin` for what the router itself says."""
        self._settled = True
        self.link.attach(self)
        if self.link.active is self:
            self._start()
            self.write(octets)
            self.finish()
        else:
            self._backlog = [octets]
            self._complete = True

    def activate(self) -> None:
        """The deliveries before this one are finished."""
        backlog, self._backlog = self._backlog, None
        self._start()
        for chunk in backlog or ():
            self.write(chunk)
        if self._complete:
            self._complete = False
            self.finish()

    def _start(self) -> None:
        pointer = lib.pn_delivery(self.link.pointer, _next_tag())
        self.pointer = pointer
        self.link.conn.deliveries[pointer] = self

    def write(self, chunk: Chunk) -> None:
        """Give octets to proton, or keep them while another delivery is being sent."""
        if self._gone:
            return
        if self._backlog is not None:
            self._backlog.append(bytes(chunk))
            return
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

    def abort(self) -> None:
        """Break the delivery off; when it is complete, stop waiting for its outcome."""
        self.source = None
        if self._gone:
            return
        if self._backlog is not None:
            self._gone = True
            self._backlog = None
            self.link.withdraw(self)
            self._over()
            return
        pointer = self.pointer
        if self._complete:
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
            if self._complete:
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
        if not self._complete and not self._gone and self.pointer is not None:
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
        if pointer is not None or self._backlog is not None:
            self.link.detach(self)
        self._backlog = None
        self._over()
        if source is not None:
            source.outcome(FAILED_SETTLED if self._complete else RELEASED_SETTLED)


def _read_outcome(remote: Pointer, state: int, settled: bool) -> Outcome:
    if state == REJECTED:
        return Outcome(state, settled, get_condition(lib.pn_disposition_condition(remote)))
    if state == MODIFIED:
        failed = bool(lib.pn_disposition_is_failed(remote))
        return Outcome(state, settled, None, failed, bool(lib.pn_disposition_is_undeliverable(remote)))
    return Outcome(state, settled)
