"""A bad network between this network namespace and another one: delay, loss, blackout.

Two TUN devices, one in each namespace, and a thread that carries the packets from one to the other late, or not at
all. Needs root and /dev/net/tun.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x1001
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count(os.getpid() % 200)


def possible() -> bool:
    """Whether this machine lets us make namespaces and TUN devices."""
    if os.geteuid() or not Path("/dev/net/tun").exists():
        return False
    probe = subprocess.run(["ip", "netns", "add", f"probe-{os.getpid()}"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", f"probe-{os.getpid()}"], capture_output=True, check=False)
    return probe.returncode == 0


class BadLink:
    """The link. `here` and `there` are the addresses of its two ends; `delay` is one way, in seconds."""

    def __init__(self) -> None:
        number = next(_numbers) % 250
        self.name = f"bad-{os.getpid()}-{number}"
        self.here, self.there = f"10.254.{number}.1", f"10.254.{number}.2"
        self.delay = 0.0
        self.loss = 0.0
        self.dark = False
        self._random = random.Random(7)
        _ip("netns", "add", self.name)
        self._near = self._device(f"bn{number}", self.here, self.there)
        self._far = self.inside(lambda: self._device(f"bf{number}", self.there, self.here))
        self.inside(lambda: _ip("link", "set", "lo", "up"))
        self._over = False
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def inside(self, call: Callable[[], Value]) -> Value:
        """Run `call` in the other namespace; sockets that it makes stay there."""
        found: list[Value] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                with open(f"/run/netns/{self.name}") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                found.append(call())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return found[0]

    def command(self, command: list[str]) -> list[str]:
        """The same command in the other namespace."""
        return ["nsenter", f"--net=/run/netns/{self.name}", *command]

    def close(self) -> None:
        """Take everything away."""
        self._over = True
        self._thread.join(5)
        for device in (self._near, self._far):
            os.close(device)
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("netns", "del", self.name)

    @staticmethod
    def _device(name: str, own: str, peer: str) -> int:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN_NO_PI))
        _ip("addr", "add", own, "peer", peer, "dev", name)
        _ip("link", "set", name, "up", "mtu", "1400")
        return device

    def _carry(self) -> None:
        underway: list[tuple[float, int, int, bytes]] = []
        order = itertools.count()
        other = {self._near: self._far, self._far: self._near}
        while not self._over:
            wait = min(0.2, max(0.0, underway[0][0] - time.monotonic())) if underway else 0.2
            for device in select.select([self._near, self._far], [], [], wait)[0]:
                with contextlib.suppress(BlockingIOError):
                    for _ in range(64):
                        packet = os.read(device, 2048)
                        if not self.dark and self._random.random() >= self.loss:
                            due = time.monotonic() + self.delay
                            heapq.heappush(underway, (due, next(order), other[device], packet))
            now = time.monotonic()
            while underway and underway[0][0] <= now:
                _, _, device, packet = heapq.heappop(underway)
                if not self.dark:
                    with contextlib.suppress(OSError):
                        os.write(device, packet)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
