"""`connector` entities: connections to other routers that are made again whenever they are lost.

What always holds: the first attempts after a loss come quickly, later ones at most `SLOWEST` seconds
apart, with jitter, so that a route that is back is used within seconds and a thousand routers do not
knock in step; the host name is looked up at every attempt.
"""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.amqp.connection import ROLE_DATA, AmqpConnection, Settings
from skupper_podman.routerd.amqp.security import TlsError
from skupper_podman.routerd.amqp.wire import discriminator
from skupper_podman.routerd.codec import Int, Symbol
from skupper_podman.routerd.loop import Timer
from skupper_podman.routerd.sockets import TIMED_OUT, Dial

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

QUICKEST: Final = 0.1
SLOWEST: Final = 2.0
#: Seconds between connections begun towards a peer that does not answer.
HEDGE: Final = 0.8
#: Seconds for TLS, SASL and the peer's open without any octet from it; on a bad network one lost packet costs some.
OPEN_TIMEOUT: Final = 8.0
#: A connection that lasted this long was good: the next attempt comes quickly.
_GOOD: Final = 5.0


class Attempt:
    """Keeps one connection alive: dials, waits for the open, and dials again after the end."""

    def __init__(self, connector: AmqpConnector, properties: dict[Any, Any], *, data: bool) -> None:
        self._connector = connector
        self._router = connector.router
        self._properties = properties
        self._data = data
        self._delay = QUICKEST
        self._dial: Dial | None = None
        self._timer: Timer | None = None
        self.conn: AmqpConnection | None = None
        self._stopped = False
        self._error = ""
        self._targets = connector.targets
        self._target = 0

    def start(self) -> None:
        """Begin an attempt now."""
        if self._stopped:
            return
        connector = self._connector
        settings = connector.settings
        connector.note("CONNECTING" if not self._data else None, "")
        where = self._targets[self._target % len(self._targets)]
        family = settings.attributes.get("socketAddressFamily")
        self._dial = Dial(self._router.loop, self._router.resolver, where, self._dialled, family, HEDGE)

    def stop(self) -> None:
        """Close the connection and make no other."""
        self._stopped = True
        if self._dial is not None:
            self._dial.cancel()
        if self._timer is not None:
            self._timer.cancel()
        if self.conn is not None:
            self.conn.close()

    def _dialled(self, sock: socket.socket | None, error: str) -> None:
        self._dial = None
        if sock is None:
            self._failed(error)
            return
        connector, router = self._connector, self._router
        settings = connector.settings
        name = settings.attributes.get("sslProfile")
        try:
            profile = router.profile(str(name)) if name else None
            where = f"{settings.host}:{settings.port}"
            conn = AmqpConnection(router, sock, settings, where, profile, incoming=False)
        except TlsError as problem:
            sock.close()
            self._failed(str(problem))
            return
        if self._data:
            conn.role_name = "inter-router-data"
        conn.extra_properties = self._properties
        conn.on_end = self._ended
        conn.on_open = self._opened
        self.conn = conn
        conn.open()
        conn.open_within(OPEN_TIMEOUT)

    def _opened(self, conn: AmqpConnection) -> None:
        if not self._data:
            self._connector.note("SUCCESS", f"[C{conn.identity}] Connection Opened: {conn.summary()}")
            self._error = ""

    def _ended(self, conn: AmqpConnection, reason: str) -> None:
        self.conn = None
        if conn.opened_at is not None and self._router.loop.now - conn.opened_at >= _GOOD:
            self._delay = QUICKEST
        self._failed(reason)

    def _failed(self, words: str) -> None:
        if self._stopped:
            return
        settings = self._connector.settings
        if not self._data:
            self._connector.note("FAILED", words)
        if words != self._error:
            self._error = words
            self._router.log.warning("SERVER", f"Connection to {settings.host}:{settings.port} failed: {words}")
        self._target += 1
        silent = words == TIMED_OUT  # it took its time already: waiting on top would only delay the return
        delay = (QUICKEST if silent else self._delay) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
        self._delay = min(SLOWEST, self._delay * 2)
        self._timer = self._router.loop.call_later(delay, self.start)


class AmqpConnector:
    """The entity. Created from validated attributes of a `connector`."""

    def __init__(self, router: Router, attributes: dict[str, Any]) -> None:
        self.router = router
        self.attributes = attributes
        self.settings = Settings.of(attributes)
        self.name = self.settings.name
        self.targets = [(self.settings.host, self.settings.port), *_failover(attributes)]
        self.status = "INITIALIZING"
        self.message = ""
        count = _data_connections(router) if self.settings.role == "inter-router" else 0
        group = {Symbol("qd.group-correlator"): discriminator()} if count else {}
        self._attempts = [Attempt(self, dict(group), data=False)]
        role = {Symbol("qd.inter-router-role"): Int(ROLE_DATA)}
        self._attempts += [Attempt(self, {**role, **group}, data=True) for _ in range(count)]
        for attempt in self._attempts:
            attempt.start()

    @property
    def urls(self) -> str:
        """Where it connects to, first the configured place."""
        scheme = "amqps" if self.attributes.get("sslProfile") else "amqp"
        return ", ".join(f"{scheme}://{host}:{port}" for host, port in self.targets)

    @property
    def connection(self) -> AmqpConnection | None:
        """The main connection, while there is one."""
        return self._attempts[0].conn

    def note(self, status: str | None, message: str) -> None:
        """What management shows as status; CONNECTING does not hide the reason of the last failure."""
        if status is None:
            return
        self.status = status
        if message or status != "CONNECTING":
            self.message = message

    def delete(self) -> None:
        """Close the connections and make no others."""
        self.status = "CLOSING"
        for attempt in self._attempts:
            attempt.stop()


def _failover(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    """Hosts and ports of `failoverUrls`, a list of URLs separated by commas."""
    found = []
    for url in str(attributes.get("failoverUrls") or "").split(","):
        place = url.strip().partition("://")[2] or url.strip()
        if place:
            host, _, port = place.rpartition(":") if ":" in place else (place, "", "amqp")
            found.append((host, port))
    return found


def _data_connections(router: Router) -> int:
    """`auto` is none: this router has one thread, which more connections would not help."""
    text = str(router.attributes.get("dataConnectionCount") or "auto")
    return min(64, int(text)) if text.isdigit() else 0
