"""The bounded wait for the network at boot: the manager of a user has no network-online.target.

What always holds: only a host that booted just now is waited for, and never longer than :data:`LONGEST`; containers
started before there is a resolv.conf would keep an empty one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from skupper_podman.supervisor import processes

AWAIT_ARGUMENT = "--await-network"
LONGEST = 30.0
FRESH_BOOT = 300.0
_POLL = 0.5


def await_network(each_round: Callable[[float], bool] | None = None) -> bool:
    """Wait for a way out; True if there is one. ``each_round`` is told the seconds left and says if to go on."""
    deadline = time.monotonic() + LONGEST
    fresh = processes.uptime() < FRESH_BOOT
    while not processes.has_default_route():
        left = deadline - time.monotonic()
        if not fresh or left <= 0 or (each_round and not each_round(left)):
            return False
        time.sleep(_POLL)
    return True
