"""`listener` entities that speak AMQP."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.amqp.connection import AmqpConnection, Settings
from skupper_podman.routerd.amqp.security import TlsError
from skupper_podman.routerd.sockets import Acceptor, peer_text

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

#: Seconds that a peer may take for TLS, SASL and open where the entity sets no limit; skrouterd waits for ever then.
_HANDSHAKE: Final = 60.0


class AmqpListener:
    """Accepts AMQP connections. Created from validated attributes of a `listener`."""

    def __init__(self, router: Router, attributes: dict[str, Any]) -> None:
        self.router = router
        self.attributes = attributes
        self.settings = Settings.of(attributes)
        self.name = self.settings.name
        self._acceptor = Acceptor(
            router.loop,
            router.resolver,
            (self.settings.host, self.settings.port),
            self._accepted,
            family=attributes.get("socketAddressFamily"),
        )
        self._acceptor.on_up = self._up
        self._acceptor.on_error = self._failed
        self._acceptor.on_starved = router.unproven.shed
        self._acceptor.start()

    def delete(self) -> None:
        """Accept no more connections."""
        self._acceptor.close()

    @property
    def ports(self) -> list[int]:
        """Port numbers in use."""
        return self._acceptor.ports

    def _up(self) -> None:
        settings = self.settings
        self.router.log.info("SERVER", f"Listening on {settings.host}:{settings.port} ({settings.role})")

    def _failed(self, words: str) -> None:
        settings = self.settings
        self.router.log.error("SERVER", f"Listener error on {settings.host}:{settings.port}: {words}")

    def _accepted(self, sock: socket.socket, address: tuple[object, ...]) -> None:
        router, settings = self.router, self.settings
        name = settings.attributes.get("sslProfile")
        try:
            profile = router.profile(str(name)) if name else None
            conn = AmqpConnection(router, sock, settings, peer_text(address), profile, incoming=True)
        except TlsError as error:
            sock.close()
            router.log.error("SERVER", f"Listener {self.name}: {error}")
            return
        router.counters.accepted_connections += 1
        router.log.info(
            "SERVER", f"[C{conn.identity}] Accepted connection to {settings.host}:{settings.port} from {conn.peer}"
        )
        router.unproven.add(conn, lambda: conn.lose("not opened, and its descriptor is needed"))
        conn.open_within(float(self.attributes.get("initialHandshakeTimeoutSeconds") or _HANDSHAKE))
