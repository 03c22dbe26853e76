"""Deliveries that come in over an AMQP connection: `InDelivery` is a source.

What always holds:

* an incoming delivery is routed when its head is known and it is either complete, marked as a stream
  or larger than `HOLD`; until then its octets are held here, after that none are;
* a delivery that is held back keeps its octets in proton, where they count against the session's
  window, so the peer stops sending; streams with their own window (Q2 disabled) are never held back;
* a router sends one message behind the other on a link, and all in one session: what is held back is
  taken out of their way when it is complete or fills the session, at most `ASIDE` octets for a connection;
* the octets held of all deliveries of a connection are at most `HELD`, then they go on or are refused at once;
* a stream with its own window whose sender does not keep to it loses the privilege (`OVERRUN`);
* a state that settles before the delivery is complete is sent unsettled first, the rest is read and
  dropped, and settlement follows at the end: peers are never left in the middle of a delivery.
"""

from __future__ import annotations

from collections import deque
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
    lib,
    message_buffer,
    message_view,
    set_condition,
)
from skupper_podman.routerd.codec import CodecError
from skupper_podman.routerd.message import Q2_DISABLED, STREAMING, AnnotationsError, HeadParser
from skupper_podman.routerd.streams import Outcome, Sink, Start, rejected

if TYPE_CHECKING:
    from skupper_podman.routerd.amqp.links import InLink

#: Octets of an unfinished, unmarked message held until it is treated as a stream (the daemon's Q2 limit).
HOLD: Final = 64 * 4072

#: Octets of unfinished messages held for one connection in all.
HELD: Final = 16 * 1024 * 1024
#: Octets since the last acknowledgement that no sender with a window of its own would send.
OVERRUN: Final = 16 * 1024 * 1024
#: Octets of deliveries held back that are taken out of the way of others, for one connection in all, and what each
#: such delivery counts for besides its own.
ASIDE: Final = 16 * 1024 * 1024
_ASIDE_EACH: Final = 2048

_recv = lib.pn_link_recv


class InDelivery:
    """A delivery being received on an `InLink`."""

    __slots__ = (
        "_ahead",
        "_aside",
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
        self._held: bytes | bytearray = b""
        self._parser: HeadParser | None = HeadParser()
        self._q2_free = False
        self._ahead = 0
        self._aside: deque[bytes] | None = None
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
            elif self._set_aside():
                self.link.next_delivery()
        elif lib.pn_delivery_settled(self.pointer):
            # The sender has settled first: it is gone, and with it the reason to go on with what it asked for.
            sink, self.sink = self.sink, None
            self._drop_aside()
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
                        return self._set_aside()
                elif not self._discard:
                    self._arrived(message_view[:size])
                    if self.paused:
                        return self._set_aside()
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
        if not self.paused:
            return
        self.paused = False
        if self._aside is not None and not self._give_aside():
            return
        if self.complete:
            sink = self.sink
            if self.pointer is None:
                self.sink = None
            if sink is not None:
                sink.finish()
        elif self.pointer is not None and self.pump():
            self.link.next_delivery()
        self.link.conn.touch()

    # -- what is held back and in the way ------------------------------------------------------------

    def _set_aside(self) -> bool:
        """Take what has arrived of a delivery that is held back, if others wait for that; True when it was the rest."""
        conn = self.link.conn
        pointer = self.pointer
        if conn.is_client or (lib.pn_delivery_partial(pointer) and not self.link.crowded()):
            return False
        if self._aside is None:
            self._aside = deque()
            conn.aside += _ASIDE_EACH
        while conn.aside < ASIDE:
            size = _recv(self.link.pointer, message_buffer, READ_SIZE)
            if size > 0:
                self._aside.append(bytes(message_view[:size]))
                conn.aside += size
            elif size == END_OF_STREAM:
                if self._whole():
                    self._forget()
                return True
            elif size == ABORTED:
                self._aborted()
                return True
            else:
                break
        return False

    def _give_aside(self) -> bool:
        """Pass on what was set aside; False when the sink has enough before the end of it."""
        aside, sink = self._aside, self.sink
        while aside and sink is not None:
            chunk = aside.popleft()
            self.link.conn.aside -= len(chunk)
            sink.write(chunk)
            sink = self.sink
            if sink is not None and sink.congested():
                self.paused = True
                return False
        self._drop_aside()
        return True

    def _drop_aside(self) -> None:
        aside, self._aside = self._aside, None
        if aside is not None:
            self.link.conn.aside -= _ASIDE_EACH + sum(map(len, aside))

    # -- the beginning and the end -------------------------------------------------------------------

    def _arrived(self, view: memoryview) -> None:
        parser = self._parser
        if parser is None:
            return
        octets = bytes(view)
        held = self._held
        if not held:
            self._held = octets
        elif isinstance(held, bytearray):
            held += octets
        else:
            self._held = bytearray(held) + octets
        conn = self.link.conn
        conn.held += len(octets)
        try:
            head = parser.feed(octets)
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

    def _let_go(self) -> bytes | bytearray:
        """The octets held until now."""
        held, self._held = self._held, b""
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
        if self.sink is None and not self._discard:
            parser = self._parser
            try:
                if parser is not None:
                    parser.finish()
            except CodecError as error:
                self._malformed(error)
            else:
                self._route(True)
        presettled = self._whole()
        if self.sink is not None:
            self.sink.finish()
        if self._final is not None:
            self.outcome(self._final)
        elif presettled:
            self._forget()

    def _whole(self) -> bool:
        """Nothing of it is missing; True when it came settled."""
        # Only now: an outcome that comes earlier must not settle a delivery that is still the link's current one.
        self.complete = True
        lib.pn_link_advance(self.link.pointer)
        presettled = bool(lib.pn_delivery_settled(self.pointer))
        self.link.received(presettled)
        return presettled

    def _aborted(self) -> None:
        self.complete = True
        self._let_go()
        self._drop_aside()
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
        if outcome.settled and self._aside is not None:
            self._drop_aside()
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
        self._drop_aside()
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.abort()
