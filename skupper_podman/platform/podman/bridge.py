"""Keeps the hardware address of a network's bridge as it is while containers come and go.

A Linux bridge takes the lowest hardware address among its ports until it is given one. netavark before 1.9 gives none
(its pull request 833), so that a container that starts or stops can change the address of the gateway under all the
others, and what they send out of the host is lost until their ARP entries expire: links to other sites break for 10 to
100 seconds. Giving the bridge the very address it has makes the kernel keep it (netdevice(7), SIOCSIFHWADDR).

What always holds: nothing but that address is touched, and it does not change; what cannot be done is left undone,
because a network works without.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import sys
from pathlib import Path

from skupper_podman import process
from skupper_podman.errors import PlatformError

_SIOCGIFHWADDR = 0x8927
_SIOCSIFHWADDR = 0x8924
_NAME_SIZE = 16
_REQUEST_SIZE = 40
_ENTER_TIMEOUT = 5.0


def keep_address(interface: str) -> None:
    """Make the bridge ``interface`` of this network namespace keep its address.

    Raises:
        OSError: there is no such interface, or the caller lacks CAP_NET_ADMIN.
    """
    name = interface.encode()
    if not 0 < len(name) < _NAME_SIZE:
        raise OSError(f"{interface!r} is not the name of an interface")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        found = fcntl.ioctl(sock, _SIOCGIFHWADDR, name.ljust(_REQUEST_SIZE, b"\0"))
        fcntl.ioctl(sock, _SIOCSIFHWADDR, found)


def keep_rootless_address(interface: str, run_root: str) -> None:
    """Like :func:`keep_address` for the bridge of a rootless Podman, which is in a namespace of Podman's own.

    That namespace is entered through Podman's DNS server, which runs in it; ``run_root`` is Podman's directory of
    run-time state. Does nothing where there is no such server.

    Raises:
        PlatformError: it cannot be entered.
    """
    helper = Path(run_root) / "networks" / "aardvark-dns" / "aardvark.pid"
    try:
        pid = int(helper.read_text())
    except (OSError, ValueError):
        return
    enter = ["nsenter", f"--target={pid}", "--user", "--preserve-credentials", "--net"]
    process.check([*enter, sys.executable, "-I", __file__, interface], timeout=_ENTER_TIMEOUT)


def keep(interface: str, uid: int, run_root: str) -> None:
    """Make the bridge ``interface`` of the Podman of user ``uid`` keep its address, if that can be done."""
    with contextlib.suppress(OSError, PlatformError):
        if uid == 0:
            keep_address(interface)
        else:
            keep_rootless_address(interface, run_root)


if __name__ == "__main__":
    keep_address(sys.argv[1])
