"""Tells systemd how the service is (sd_notify(3)): a datagram to the socket named by ``NOTIFY_SOCKET``.

What always holds: without systemd nothing happens; a manager that does not listen never stops who tells it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping


class Notifier:
    """The way to the service manager."""

    def __init__(self, env: Mapping[str, str], told: Callable[[str], None] | None = None) -> None:
        """``told`` gets every new status as well."""
        self._address = env.get("NOTIFY_SOCKET", "")
        watchdog = env.get("WATCHDOG_USEC", "")
        self.watchdog = int(watchdog) / 1_000_000 if watchdog.isdigit() else 0.0
        """Seconds within which the manager wants to hear of us; 0 for never."""
        self._status = ""
        self._told = told

    @property
    def enabled(self) -> bool:
        """True if a service manager wants to be told."""
        return bool(self._address)

    def ready(self) -> None:
        """The service is up."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """What ``systemctl status`` shows; sent only when it changes."""
        if text != self._status:
            self._status = text
            if self._told:
                self._told(text)
            self._send("STATUS=" + text.replace("\n", " "))

    def alive(self) -> None:
        """The loop goes round: feed the watchdog."""
        if self.watchdog:
            self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Starting or stopping needs this much longer."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def stopping(self, text: str) -> None:
        """The service goes down."""
        self._send("STOPPING=1")
        self.status(text)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.sendto(message.encode(), address)
