"""Starts podman.socket again when systemd has given it up.

A Podman that cannot start (its disk is full, say) is tried by systemd for each question, until the socket's limit is
hit and its unit fails for good: the site would stay away although there is room again. What always holds: only a unit
that failed is started, never one that somebody stopped; it is looked at every ten seconds at most.
"""

from __future__ import annotations

from collections.abc import Callable

from skupper_podman.errors import PlatformError
from skupper_podman.process import Completed, run

SOCKET = "podman.socket"
_SERVICE = "podman.service"
_EVERY = 10.0
_TIMEOUT = 5.0


def _systemctl(*words: str) -> Completed:
    return run(["systemctl", *words], timeout=_TIMEOUT)


class SocketUnit:
    """The socket unit of the system's manager or the user's; ``call`` runs systemctl."""

    def __init__(self, system: bool, call: Callable[..., Completed] = _systemctl) -> None:
        self._mode = () if system else ("--user",)
        self._call = call
        self._not_before = float("-inf")

    def revive(self, now: float) -> bool:
        """Start it if it failed; True if that was tried. Without systemd nothing happens."""
        if now < self._not_before:
            return False
        self._not_before = now + _EVERY
        try:
            if not self._call(*self._mode, "is-failed", "--quiet", SOCKET).ok:
                return False
            self._call(*self._mode, "--no-ask-password", "reset-failed", SOCKET, _SERVICE)
            self._call(*self._mode, "--no-ask-password", "--no-block", "start", SOCKET)
        except PlatformError:
            return False
        return True
