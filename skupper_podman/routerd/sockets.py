"""Making and taking TCP connections on the loop: `Dial`, `Acceptor`, and the limit on descriptors.

What always holds: a name is looked up at every dial and every bind; each address found is tried in
turn with a time limit; running out of descriptors makes an acceptor rest for a moment and drop the
connection that could not be served, and never spins or stops it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import struct
from collections.abc import Callable
from typing import Final

from skupper_podman.routerd.dns import Answer, Endpoint, Resolver, service_port
from skupper_podman.routerd.loop import EPOLLIN, EPOLLOUT, Descriptor, Loop, Timer, describe

#: Seconds allowed for one address to answer.
CONNECT_TIMEOUT: Final = 3.0
TIMED_OUT: Final = "connection timed out"
#: `tcpi_rtt` of the kernel's `struct tcp_info`, in microseconds, at octet 68.
_TCP_RTT: Final = struct.Struct("=I")
_KIND: Final = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
_MADE: Final = (0, errno.EISCONN)
#: Connections taken before others have their turn, and before what these have to say goes out: few while nobody else
#: has anything to do, more when a turn takes long because many have.
_ACCEPT_LEAST: Final = 4
_ACCEPT_MOST: Final = 64
_ACCEPT_SHARE: Final = 4
_REST: Final = 0.1
#: Seconds between two complaints about missing descriptors.
_QUIET: Final = 10.0
_OUT_OF_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Dialled = Callable[["socket.socket | None", str], None]
Accepted = Callable[[socket.socket, tuple[object, ...]], None]


def raise_descriptor_limit() -> int:
    """Lift the soft limit on open files to the hard one, at most a million; gives the limit that holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 20 if hard == resource.RLIM_INFINITY else min(hard, 1 << 20)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return int(soft)


def tune(sock: socket.socket) -> None:
    """No delay for small writes, and keep-alive probes for peers that vanish."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def round_trip(sock: socket.socket) -> float:
    """Seconds that the network takes for a round trip, as TCP has measured it; 0 when it does not know."""
    try:
        return float(_TCP_RTT.unpack_from(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72), 68)[0]) / 1e6
    except (OSError, struct.error):
        return 0.0


def peer_text(address: tuple[object, ...]) -> str:
    """`host:port` of a socket address, IPv6 hosts without the IPv4-mapped prefix."""
    host = str(address[0]).removeprefix("::ffff:")
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


class Dial:
    """One attempt to connect to a host and port; calls back once unless cancelled.

    With `hedge`, a further connection to the same address is begun every so many seconds while none is answered, so
    that a network that comes back is noticed at once; the first that is made counts, the others are dropped.
    `at_once` allows the callback before this is made: a server on this machine has answered by then, and a second call
    of `connect` tells.
    """

    def __init__(
        self,
        loop: Loop,
        resolver: Resolver,
        where: tuple[str, str],
        callback: Dialled,
        family: str | None = None,
        hedge: float | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        self._loop = loop
        self._resolver = resolver
        self._host, self._port = where
        self._callback: Dialled | None = callback
        self._hedge = hedge
        self._at_once = at_once
        self._left: list[Endpoint] = []
        self._pending: dict[socket.socket, Descriptor] = {}
        self._timers: list[Timer] = []
        self._error = ""
        resolver.lookup(self._host, self._port, self._found, family)

    @property
    def pending(self) -> bool:
        """Whether the callback is still to come."""
        return self._callback is not None

    def cancel(self) -> None:
        """Stop trying; the callback is not called any more."""
        self._callback = None
        self._discard()

    def _found(self, answer: Answer) -> None:
        if self._callback is None:
            return
        self._left = list(answer.endpoints)
        self._error = answer.error
        self._next()

    def _next(self) -> None:
        self._discard()
        if not self._left:
            self._resolver.forget(self._host)
            self._done(None, self._error or "no address found")
            return
        endpoint = self._left.pop(0)
        self._timers = [self._loop.call_later(CONNECT_TIMEOUT, lambda: self._failed(TIMED_OUT))]
        self._begin(endpoint)

    def _begin(self, endpoint: Endpoint) -> None:
        if self._hedge is not None:
            self._timers.append(self._loop.call_later(self._hedge, lambda: self._begin(endpoint)))
        try:
            sock = socket.socket(endpoint.family, _KIND)
        except OSError as error:
            self._failed(describe(error))
            return
        tune(sock)
        code = sock.connect_ex(endpoint.sockaddr)
        if self._at_once and code == errno.EINPROGRESS:
            code = sock.connect_ex(endpoint.sockaddr)
        if code in _MADE:
            self._made(sock)
            return
        self._pending[sock] = Descriptor(self._loop, sock.fileno(), EPOLLOUT, lambda _events: self._ready(sock))
        if code not in (errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN):
            self._failed(os.strerror(code))

    def _ready(self, sock: socket.socket) -> None:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._failed(os.strerror(code))
            return
        self._pending.pop(sock).close()
        self._made(sock)

    def _made(self, sock: socket.socket) -> None:
        self._discard()
        self._done(sock, "")

    def _failed(self, words: str) -> None:
        self._error = words
        self._next()

    def _done(self, sock: socket.socket | None, error: str) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback(sock, error)

    def _discard(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        pending, self._pending = self._pending, {}
        for sock, descriptor in pending.items():
            descriptor.close()
            sock.close()


class Acceptor:
    """Listening sockets of one host and port.

    `on_up` reports success, `on_error` each new kind of failure; `on_starved` may close what can be done without.
    """

    def __init__(
        self,
        loop: Loop,
        resolver: Resolver,
        where: tuple[str, str],
        accepted: Accepted,
        *,
        family: str | None = None,
        backlog: int = 0,
    ) -> None:
        self._loop = loop
        self._resolver = resolver
        self._host, self._port = where
        self._accepted = accepted
        self._family = family
        self._backlog = backlog if backlog > 0 else 1024
        self._sockets: list[tuple[socket.socket, Descriptor]] = []
        self._retry: Timer | None = None
        self._closed = False
        self._quiet_until = 0.0
        self._spare = _spare()
        self.error = ""
        self.on_up: Callable[[], None] = lambda: None
        self.on_error: Callable[[str], None] = lambda _words: None
        self.on_starved: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Look the host up and bind; on failure try again every second until closed."""
        if self._closed:
            return
        if self._host in ("", "*"):
            self._bind(_everywhere(self._port, self._family))
        else:
            self._resolver.lookup(self._host, self._port, self._bind, self._family)

    @property
    def listening(self) -> bool:
        """Whether connections are taken."""
        return bool(self._sockets)

    @property
    def ports(self) -> list[int]:
        """The port numbers that were bound: of interest when port 0 was asked for."""
        return [sock.getsockname()[1] for sock, _ in self._sockets]

    def close(self) -> None:
        """Take no more connections; those taken are not touched."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        for sock, descriptor in self._sockets:
            descriptor.close()
            sock.close()
        self._sockets.clear()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _bind(self, answer: Answer) -> None:
        if self._closed:
            return
        errors = [answer.error] if answer.error else []
        for endpoint in answer.endpoints:
            try:
                sock = self._open(endpoint)
            except OSError as error:
                errors.append(describe(error))
                continue
            self._add(sock)
            if self._port == "0":
                break
        if self._sockets:
            self.error = ""
            self.on_up()
            return
        words = "; ".join(dict.fromkeys(errors)) or "no address to bind"
        if words != self.error:
            self.error = words
            self.on_error(words)
        self._resolver.forget(self._host)
        self._retry = self._loop.call_later(1.0, self.start)

    def _open(self, endpoint: Endpoint) -> socket.socket:
        sock = socket.socket(endpoint.family, _KIND)
        try:
            tune(sock)  # inherited by what is accepted
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if endpoint.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(endpoint.sockaddr)
            sock.listen(self._backlog)
        except OSError:
            sock.close()
            raise
        return sock

    def _add(self, sock: socket.socket) -> None:
        descriptor = Descriptor(self._loop, sock.fileno(), EPOLLIN, lambda _events: self._accept(sock))
        self._sockets.append((sock, descriptor))

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(min(_ACCEPT_MOST, max(_ACCEPT_LEAST, self._loop.crowd // _ACCEPT_SHARE))):
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _OUT_OF_DESCRIPTORS:
                    self._starved(listening)
                return
            sock.setblocking(False)
            self._accepted(sock, address)
            if self._closed:
                return

    def _starved(self, listening: socket.socket) -> None:
        """No descriptor is left: have others given up, drop one waiting connection with the spare one, then rest."""
        if self._loop.now >= self._quiet_until:
            self._quiet_until = self._loop.now + _QUIET
            self.on_error("out of file descriptors")
        self.on_starved()
        if self._spare is not None:
            os.close(self._spare)
            with contextlib.suppress(OSError):
                listening.accept()[0].close()
            self._spare = _spare()
        for _, descriptor in self._sockets:
            descriptor.want(0)
        self._loop.call_later(_REST, self._rested)

    def _rested(self) -> None:
        if self._spare is None and not self._closed:
            self._spare = _spare()
        for _, descriptor in self._sockets:
            descriptor.want(EPOLLIN)


def _spare() -> int | None:
    try:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _everywhere(port: str, family: str | None) -> Answer:
    try:
        number = service_port(port)
    except ValueError as error:
        return Answer((), str(error))
    found = []
    if family != "IPv6":
        found.append(Endpoint(socket.AF_INET, ("0.0.0.0", number)))
    if family != "IPv4" and socket.has_ipv6:
        found.append(Endpoint(socket.AF_INET6, ("::", number, 0, 0)))
    return Answer(tuple(found))
