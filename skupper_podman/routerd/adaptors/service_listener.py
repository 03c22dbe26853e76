"""What listeners of all protocols share: the port is open while somebody in the network serves the address.

What always holds: the port is open exactly while the address is reachable; connections that exist are not
touched when it closes; a TLS handshake that fails costs its own connection only.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.adaptors.tls_socket import ALPN, ServerTls
from skupper_podman.routerd.amqp.security import TlsError
from skupper_podman.routerd.probes import Measured, Rate
from skupper_podman.routerd.sockets import Acceptor

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router


class ServiceListener(ABC):
    """A listener entity. Created from its validated attributes."""

    #: The log module, and how the entity is called there.
    module: str
    kind: str

    def __init__(self, router: Router, attributes: dict[str, Any], protocol: str, alpn: Sequence[str] = ALPN) -> None:
        self.router = router
        self.attributes = attributes
        self.name = str(attributes["name"])
        self.address = router.prefixed(str(attributes["address"]))
        self.key = router.namespace.key(self.address)
        self.site_id = attributes.get("siteId")
        self.tls = self._tls(alpn)
        self.opened = self.closed = 0
        self._acceptor: Acceptor | None = None
        self.record = router.records.start(
            RecordType.LISTENER,
            "",
            {
                Attribute.DEST_HOST: str(attributes["host"]),
                Attribute.PROTOCOL: protocol,
                Attribute.DEST_PORT: str(attributes["port"]),
                Attribute.VAN_ADDRESS: self.address,
                Attribute.NAME: self.name,
            },
            *self.counted(),
        )
        router.log.info(self.module, f"Configured {self.kind} for {self.address}, {self._where()}")
        self._watch = router.watch(self.key, self._reachable)

    @property
    def oper_status(self) -> str:
        """`up` while the port is open."""
        return "up" if self._acceptor is not None and self._acceptor.listening else "down"

    def delete(self, *, drop: bool) -> None:
        """Close the port; connections go on, or end soon, or at once when `drop`."""
        self.router.unwatch(self.key, self._watch)
        self._reachable(False)
        self.close_connections(drop=drop)
        self.router.records.end(self.record)
        self.router.log.info(self.module, f"Deleted {self.kind} for {self.address}, {self._where()}")

    def counted(self) -> tuple[Callable[[], Measured], Callable[[], Rate]] | tuple[()]:
        """What its flow record goes on to say: how to measure it, and a rate."""
        return ()

    @abstractmethod
    def close_connections(self, *, drop: bool) -> None:
        """The listener is being deleted."""

    @abstractmethod
    def begin(self, sock: Any, address: tuple[object, ...]) -> None:
        """Serve a connection, plain or with its TLS handshake done."""

    def _where(self) -> str:
        return f"{self.attributes['host']}:{self.attributes['port']}"

    def _tls(self, alpn: Sequence[str]) -> ServerTls | None:
        attributes: Mapping[str, Any] = self.attributes
        name = attributes.get("sslProfile")
        if not name:
            return None
        demand = bool(attributes.get("authenticatePeer"))
        return ServerTls(self.router.profile(str(name)), demand=demand, alpn=alpn)

    def _reachable(self, reachable: bool) -> None:
        if reachable and self._acceptor is None:
            acceptor = Acceptor(
                self.router.loop,
                self.router.resolver,
                (str(self.attributes["host"]), str(self.attributes["port"])),
                self._accepted,
                backlog=int(self.attributes.get("backlog") or 0),
            )
            acceptor.on_starved = self.router.unproven.shed
            acceptor.on_up = self._up
            acceptor.on_error = self._bind_failed
            self._acceptor = acceptor
            acceptor.start()
        elif not reachable and self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None
            self.router.log.info(self.module, f"Listener {self.name} for address {self.address} stopped listening")

    def _up(self) -> None:
        text = f"Listener {self.name}: listening for client connections on {self._where()}"
        self.router.log.info(self.module, text)

    def _bind_failed(self, words: str) -> None:
        self.router.log.error(self.module, f"Listener {self.name}: cannot listen on {self._where()}: {words}")

    def _accepted(self, sock: socket.socket, address: tuple[object, ...]) -> None:
        self.opened += 1
        if self.tls is None:
            self.begin(sock, address)
            return
        try:
            self._shake_hands(self.tls, sock, address)
        except TlsError as error:
            self.router.unproven.remove(sock)
            sock.close()
            self.closed += 1
            self.router.log.error(self.module, f"Listener {self.name}: {error}")

    def _shake_hands(self, tls: ServerTls, sock: socket.socket, address: tuple[object, ...]) -> None:
        unproven = self.router.unproven

        def done(secured: Any) -> None:
            unproven.remove(sock)
            self._secured(secured, address)

        unproven.add(sock, lambda: give_up())
        give_up = tls.accept(self.router.loop, sock, done)

    def _secured(self, sock: Any, address: tuple[object, ...]) -> None:
        if sock is None:
            self.closed += 1
        else:
            self.begin(sock, address)
