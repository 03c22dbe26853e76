"""What ``init`` chooses when it is not told: the site's name, and the hosts that go into certificates and tokens.

What always holds: choosing takes no longer than its time limit whatever DNS does; the order of hosts is that of 1.9
(host name, then addresses with their reverse names), except that a host name which resolves to no address of this
machine comes last, because the first host goes into tokens and nobody else could connect to such a name.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

LOOKUP_LIMIT: Final = 1.0
"""Seconds that all name lookups together may take."""

_BRIDGES: Final = re.compile(r"(podman|cni-|docker|br-|virbr|veth|lxc|lxdbr|vnet|kube|flannel|cali|dummy)")
_HOST: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

T = TypeVar("T")


def site_name(hostname: str, user: str) -> str:
    """``<host>-<user>-<5 hex digits>``, without characters a router id must not have."""
    clean = "-".join(re.sub(r"[^A-Za-z0-9_.-]", "", part) or "x" for part in (hostname, user.lower()))
    return f"{clean}-{uuid.uuid4().hex[:5]}"


def ingress_hosts() -> tuple[str, ...]:
    """Names and addresses under which other hosts may reach this one; empty if there is none."""
    hostname = socket.gethostname()
    addresses = local_addresses()
    names = [hostname] if _HOST.fullmatch(hostname) and not hostname.startswith("localhost") else []
    lookups: list[Callable[[], list[str]]] = [lambda: _resolve(hostname)]
    lookups += [lambda address=address: _reverse(address) for address in addresses]  # type: ignore[misc]
    nothing: list[str] = []
    found, *reverses = in_time(lookups, LOOKUP_LIMIT, nothing)
    ordered: list[str] = []
    for address, reverse in zip(addresses, reverses, strict=True):
        ordered += [address, *reverse]
    known = bool(set(found) & set(addresses))
    return tuple(dict.fromkeys([*names, *ordered] if known else [*ordered, *names]))


def local_addresses() -> list[str]:
    """Addresses of this machine's own interfaces that others can use: IPv4 first; no loopback, no container bridge."""
    import netifaces

    found: dict[int, list[str]] = {4: [], 6: []}
    for interface in netifaces.interfaces():
        if _BRIDGES.match(interface):
            continue
        addresses = netifaces.ifaddresses(interface)
        for family in (netifaces.AF_INET, netifaces.AF_INET6):
            for entry in addresses.get(family, ()):
                address = usable_address(str(entry.get("addr", "")))
                if address is not None:
                    found[address.version].append(str(address))
    return [*found[4], *found[6]]


def usable_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address if another host could use it."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    unusable = (address.is_loopback, address.is_link_local, address.is_unspecified, address.is_multicast)
    return None if any(unusable) else address


def in_time(lookups: Sequence[Callable[[], T]], limit: float, default: T) -> list[T]:
    """The answers of all lookups, made at once; ``default`` for those that fail or are not there after ``limit`` s."""
    answers: list[Any] = [default] * len(lookups)

    def run(index: int) -> None:
        try:
            answers[index] = lookups[index]()
        except (OSError, UnicodeError):
            answers[index] = default

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(lookups))]
    for thread in threads:
        thread.start()
    timer = _Countdown(limit)
    for thread in threads:
        thread.join(timer.left())
    return list(answers)


class _Countdown:
    def __init__(self, limit: float) -> None:
        import time

        self._clock = time.monotonic
        self._end = self._clock() + limit

    def left(self) -> float:
        return max(0.0, self._end - self._clock())


def _resolve(name: str) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]


def _reverse(address: str) -> list[str]:
    name, aliases, _ = socket.gethostbyaddr(address)
    return _hosts([name, *aliases])


def _hosts(names: Iterable[str]) -> list[str]:
    """Names fit for a certificate: without the dot at the end, and nothing local."""
    clean = (name.rstrip(".") for name in names)
    return [name for name in clean if _HOST.fullmatch(name) and not name.startswith("localhost")]
