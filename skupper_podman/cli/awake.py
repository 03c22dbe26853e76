"""Ctrl-C and SIGTERM are heeded at once, whatever the main thread waits for.

Python runs signal handlers in the main thread, between two instructions. A signal that comes after the last of them and
before the wait for a lock has begun — easily when threads compete for the interpreter — ends no wait: the handler would
run when the lock is released, which for a silent Podman means its time-out.
"""

from __future__ import annotations

import os
import signal
import threading
import time

_AGAIN = (0.05, 0.2, 0.5, 1.0)
"""Seconds between the attempts to wake the main thread; one of them may be as unlucky as the signal."""


def keep_awake() -> None:
    """From now on every signal with a handler interrupts what the main thread waits for; to be called in it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    # A signal that nobody uses and that ends no process: what matters is that a wait is interrupted.
    signal.signal(signal.SIGURG, lambda _number, _frame: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wake, args=(reading, threading.get_ident()), name="awake", daemon=True).start()


def _wake(reading: int, main: int) -> None:
    while True:
        if all(number == signal.SIGURG for number in os.read(reading, 64)):
            continue
        for pause in _AGAIN:
            time.sleep(pause)
            signal.pthread_kill(main, signal.SIGURG)
