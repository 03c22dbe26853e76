"""The router's event loop: one thread, one epoll set, timers, and work put off to the end of a turn.

Why not asyncio: a forwarded chunk costs a few microseconds, and asyncio's transports, futures and
protocol callbacks would cost several times that. What always holds:

* callbacks run on the loop's thread, one at a time; only `call_threadsafe` may be used elsewhere;
* an exception in a callback is handed to `on_error` and never stops the loop;
* level-triggered epoll: a handler that leaves work undone is called again in the next turn, so a
  handler does a bounded amount of work and every descriptor gets its turn;
* handlers given to `at_turn_end` run after the events and timers of a turn, and in a turn with many events
  also in between: that is where output collected by many small writes goes to the socket in one system call,
  but who waits for it need not wait for everybody.
"""

from __future__ import annotations

import contextlib
import heapq
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

EPOLLIN: int = select.EPOLLIN
EPOLLOUT: int = select.EPOLLOUT
EPOLLHUP: int = select.EPOLLHUP
EPOLLERR: int = select.EPOLLERR
#: Anything that makes a read worth trying: data, end of stream or an error to be collected.
READABLE: int = EPOLLIN | EPOLLHUP | EPOLLERR

Handler = Callable[[int], None]
Thunk = Callable[[], None]

_LONGEST_WAIT = 60.0
#: Handlers after which output goes out although the turn goes on; each time twice as many as before.
_SHARE = 4
#: Entries of the timer heap beyond which cancelled ones are taken out.
_TIMERS = 1024


class Timer:
    """A call due once at a moment of the loop's clock. `cancel` may be called any number of times."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Thunk) -> None:
        self.due = due
        self.callback: Thunk | None = callback

    def cancel(self) -> None:
        """Forget the call; the heap entry is dropped when it comes up."""
        self.callback = None


class Loop:
    """Runs handlers of file descriptors, timers and deferred calls until stopped."""

    def __init__(self, on_error: Callable[[BaseException], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        #: Descriptors registered in this turn: what was ready under their numbers may have been others, closed since.
        self._fresh: set[int] = set()
        self._timers: list[tuple[float, int, Timer]] = []
        self._timer_number = 0
        self._most_timers = _TIMERS
        self._soon: deque[Thunk] = deque()
        self._from_threads: deque[Thunk] = deque()
        self._turn_end: list[Thunk] = []
        self.on_error = on_error
        self._clock = clock
        self._stopped = False
        self._signals: dict[int, Thunk] = {}
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self.now = clock()
        #: How many descriptors are ready in this turn: who is alone may do more at once.
        self.crowd = 0
        self.register(self._wake_out.fileno(), EPOLLIN, self._woken)

    # -- descriptors ------------------------------------------------------------------------------

    def register(self, fd: int, events: int, handler: Handler) -> None:
        """Call `handler(events)` whenever one of `events` is ready on `fd`."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler
        self._fresh.add(fd)

    def modify(self, fd: int, events: int) -> None:
        """Change the events of interest of a registered descriptor."""
        self._epoll.modify(fd, events)

    def unregister(self, fd: int) -> None:
        """Forget a descriptor; must be called before it is closed. Unknown ones are ignored."""
        if self._handlers.pop(fd, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

    def forget(self, fd: int) -> None:
        """Forget a descriptor that is closed at once: the kernel takes it out of the set by itself."""
        self._handlers.pop(fd, None)

    # -- calls ------------------------------------------------------------------------------------

    def call_soon(self, callback: Thunk) -> None:
        """Run `callback` in this turn, after the handler that is running now."""
        self._soon.append(callback)

    def at_turn_end(self, callback: Thunk) -> None:
        """Run `callback` when this turn's events, or some of them, are done. The caller avoids giving it twice."""
        self._turn_end.append(callback)

    @property
    def timers(self) -> int:
        """Calls that are due later."""
        return len(self._timers)

    def call_later(self, delay: float, callback: Thunk) -> Timer:
        """Run `callback` after `delay` seconds; the answer can be cancelled."""
        timer = Timer(self._clock() + delay, callback)
        self._timer_number += 1
        heapq.heappush(self._timers, (timer.due, self._timer_number, timer))
        if len(self._timers) > self._most_timers:
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)
            self._most_timers = max(_TIMERS, 2 * len(self._timers))
        return timer

    def call_threadsafe(self, callback: Thunk) -> None:
        """Run `callback` on the loop's thread; the only method that another thread may call."""
        self._from_threads.append(callback)
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_in.send(b"\0")

    def on_signal(self, number: int, callback: Thunk) -> None:
        """Run `callback` on the loop when signal `number` arrives. Main thread only."""
        self._signals[number] = callback
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        signal.signal(number, lambda *_: None)

    def stop(self) -> None:
        """Leave `run` at the end of this turn."""
        self._stopped = True

    # -- the turn ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Turn until `stop` is called."""
        while not self._stopped:
            self.turn(_LONGEST_WAIT)

    def turn(self, longest: float = 0.0) -> None:
        """Wait at most `longest` seconds for something to do, and do all of it once."""
        poll = self._epoll.poll
        try:
            ready = poll(self._wait(longest), 512)
        except InterruptedError:
            ready = []
        self.now = self._clock()
        self.crowd = len(ready)
        handlers, fresh = self._handlers, self._fresh
        fresh.clear()
        left = share = _SHARE
        for fd, events in ready:
            handler = handlers.get(fd)
            if handler is not None and fd not in fresh:
                try:
                    handler(events)
                except Exception as error:
                    self.on_error(error)
            left -= 1
            if not left:
                left = share = 2 * share
                self._run_turn_end()
        if self._timers:
            self._run_timers()
        while self._soon or self._turn_end:
            while self._soon:
                self._call(self._soon.popleft())
            self._run_turn_end()

    def close(self) -> None:
        """Give the descriptors back. The loop cannot be used afterwards."""
        self._handlers.clear()
        if self._signals:
            signal.set_wakeup_fd(-1)
        self._epoll.close()
        self._wake_in.close()
        self._wake_out.close()

    def _wait(self, longest: float) -> float:
        if self._soon or self._turn_end or self._stopped:
            return 0.0
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        if not timers:
            return longest
        return min(longest, max(0.0, timers[0][0] - self._clock()))

    def _run_turn_end(self) -> None:
        pending, self._turn_end = self._turn_end, []
        for callback in pending:
            self._call(callback)

    def _run_timers(self) -> None:
        now = self.now
        while self._timers and self._timers[0][0] <= now:
            timer: Timer = heapq.heappop(self._timers)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                self._call(callback)

    def _call(self, callback: Thunk) -> None:
        try:
            callback()
        except Exception as error:
            self.on_error(error)

    def _woken(self, _events: int) -> None:
        try:
            data = self._wake_out.recv(4096)
        except BlockingIOError:
            return
        for number in set(data):
            callback = self._signals.get(number)
            if callback is not None:
                self.call_soon(callback)
        while self._from_threads:
            self.call_soon(self._from_threads.popleft())


class Descriptor:
    """One registered descriptor with its interest set; changes cost a system call only when they change it."""

    __slots__ = ("_loop", "events", "fd")

    def __init__(self, loop: Loop, fd: int, events: int, handler: Handler) -> None:
        self._loop = loop
        self.fd = fd
        self.events = events
        loop.register(fd, events, handler)

    def want(self, events: int) -> None:
        """Set the events of interest."""
        if events != self.events and self.fd >= 0:
            self.events = events
            self._loop.modify(self.fd, events)

    def add(self, events: int) -> None:
        """Be told of `events` too."""
        self.want(self.events | events)

    def remove(self, events: int) -> None:
        """No longer be told of `events`."""
        self.want(self.events & ~events)

    def close(self) -> None:
        """Take the descriptor out of the loop. Harmless when already done."""
        if self.fd >= 0:
            self._loop.unregister(self.fd)
            self.fd = -1

    def leave(self) -> None:
        """As `close`, for who closes the descriptor itself right after this."""
        if self.fd >= 0:
            self._loop.forget(self.fd)
            self.fd = -1


def describe(error: BaseException) -> str:
    """The words of an operating-system error without its number: for log lines and management."""
    strerror: Any = getattr(error, "strerror", None)
    return str(strerror or error)
