"""Configured entities: made from validated attributes, whether they come from the file or from CREATE.

What always holds: an entity is registered exactly while it is in force; deleting one leaves established
TCP connections alone unless the router's `dropTcpConnections` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.adaptors.http_connector import HttpConnector
from skupper_podman.routerd.adaptors.http_listener import HttpListener
from skupper_podman.routerd.adaptors.tcp_connector import TcpConnector
from skupper_podman.routerd.adaptors.tcp_listener import TcpListener
from skupper_podman.routerd.amqp.connector import AmqpConnector
from skupper_podman.routerd.amqp.listener import AmqpListener
from skupper_podman.routerd.amqp.security import SslProfile, TlsError
from skupper_podman.routerd.core.address import Rule, Treatment
from skupper_podman.routerd.health import HttpListener as HealthListener
from skupper_podman.routerd.management.provider import BAD_REQUEST, NOT_IMPLEMENTED, ManagementError

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

Attributes = dict[str, Any]

_NO_LIMITS: Final = {"enableVhostPolicy": False, "maxConnections": 65535, "maxMessageSize": 0}


class Entities:
    """What has been configured, by type; creates and deletes."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.listeners: list[AmqpListener | HealthListener] = []
        self.connectors: list[AmqpConnector] = []
        self.tcp_listeners: list[TcpListener] = []
        self.tcp_connectors: list[TcpConnector] = []
        self.http_listeners: list[HttpListener] = []
        self.http_connectors: list[HttpConnector] = []
        self.rules: list[tuple[Attributes, Rule]] = []
        self.bridges: dict[str, list[Any]] = {
            "tcpListener": self.tcp_listeners,
            "tcpConnector": self.tcp_connectors,
            "httpListener": self.http_listeners,
            "httpConnector": self.http_connectors,
        }
        self.passive: dict[str, list[Attributes]] = {}
        self._rule_number = 0
        self._makers: dict[str, Callable[[Attributes], None]] = {
            "sslProfile": self.create_ssl_profile,
            "listener": self.create_listener,
            "connector": self.create_connector,
            "tcpListener": self.create_tcp_listener,
            "tcpConnector": self.create_tcp_connector,
            "httpListener": self.create_http_listener,
            "httpConnector": self.create_http_connector,
            "router.config.address": self.create_address,
            "log": self.set_log,
        }

    def create(self, kind: str, attributes: Attributes) -> Attributes:
        """Create an entity of a type by its short name; gives its attributes. Raises `ManagementError`."""
        maker = self._makers.get(kind)
        if maker is not None:
            try:
                maker(attributes)
            except (TlsError, ValueError, OSError) as error:
                raise ManagementError(BAD_REQUEST, str(error)) from None
        elif kind == "policy" and attributes != {**attributes, **_NO_LIMITS}:
            # A limit that is accepted and not enforced would be worse than none.
            raise ManagementError(NOT_IMPLEMENTED, f"This router enforces no policy; it accepts only {_NO_LIMITS}")
        elif kind in ("policy", "vhost", "vhostUserGroupSettings", "router"):
            self.passive.setdefault(kind, []).append(attributes)
        else:
            raise ManagementError(NOT_IMPLEMENTED, f"This router does not support entities of type {kind}")
        return attributes

    def create_ssl_profile(self, attributes: Attributes) -> None:
        """Remember the files; they are read when a connection needs them, and may come later."""
        profile = SslProfile(attributes)
        try:
            profile.stamps()
        except TlsError as error:
            self.router.log.warning("SERVER", str(error))
        self.router.profiles[profile.name] = profile

    def create_listener(self, attributes: Attributes) -> None:
        """Listen for AMQP, or for HTTP when the entity says so."""
        self._check_profile(attributes)
        made = HealthListener if attributes.get("http") or attributes.get("httpRootDir") else AmqpListener
        self.listeners.append(made(self.router, attributes))

    def create_connector(self, attributes: Attributes) -> None:
        """Connect to another router, for as long as the entity exists."""
        self._check_profile(attributes)
        self.connectors.append(AmqpConnector(self.router, attributes))

    def create_tcp_listener(self, attributes: Attributes) -> None:
        """Serve clients of an address while it is reachable."""
        self._check_files(attributes)
        self.tcp_listeners.append(TcpListener(self.router, attributes))

    def create_tcp_connector(self, attributes: Attributes) -> None:
        """Serve an address with a TCP server."""
        self._check_files(attributes)
        self.tcp_connectors.append(TcpConnector(self.router, attributes))

    def create_http_listener(self, attributes: Attributes) -> None:
        """Serve HTTP clients of an address while it is reachable."""
        self.http_listeners.append(HttpListener(self.router, attributes))

    def create_http_connector(self, attributes: Attributes) -> None:
        """Serve an address with an HTTP server."""
        self.http_connectors.append(HttpConnector(self.router, attributes))

    def create_address(self, attributes: Attributes) -> None:
        """Configure how messages to some addresses are distributed."""
        rule = Rule(
            Treatment[str(attributes.get("distribution") or "balanced").upper()],
            attributes.get("prefix"),
            attributes.get("pattern"),
            attributes.get("priority"),
        )
        self.router.add_rule(rule)
        self._rule_number += 1
        attributes["identity"] = str(self._rule_number)
        self.rules.append((attributes, rule))

    def set_log(self, attributes: Attributes) -> None:
        """Apply the settings of one log module."""
        self.router.log.configure(str(attributes["module"]), attributes)

    def delete(self, kind: str, entity: Mapping[str, Any]) -> None:
        """Delete an entity of a type by its short name."""
        identity = entity.get("identity")
        drop = bool(self.router.attributes.get("dropTcpConnections"))
        if kind == "sslProfile":
            self.router.profiles.pop(str(entity.get("name")), None)
        elif kind == "router.config.address":
            for attributes, rule in list(self.rules):
                if attributes.get("identity") == identity:
                    self.router.rules.remove(rule)
                    self.rules.remove((attributes, rule))
        elif kind in ("listener", "connector"):
            plain: list[Any] = self.listeners if kind == "listener" else self.connectors
            for made in _with_identity(plain, identity):
                plain.remove(made)
                made.delete()
        elif kind in self.bridges:
            bridges = self.bridges[kind]
            for made in _with_identity(bridges, identity):
                bridges.remove(made)
                made.delete(drop=drop)
        else:
            kept = self.passive.get(kind, [])
            kept[:] = [attributes for attributes in kept if attributes.get("identity") != identity]

    def close(self) -> None:
        """Stop listening and connecting."""
        plain: list[Any] = [*self.listeners, *self.connectors]
        for made in plain:
            made.delete()
        for bridges in self.bridges.values():
            for bridge in bridges:
                bridge.delete(drop=True)

    def _check_profile(self, attributes: Attributes) -> None:
        """A profile that is missing is reported, not refused: it may come, and until then nobody connects."""
        if attributes.get("role") == "inter-edge":
            raise ValueError("role inter-edge is not supported: connect edge routers to an interior router")
        name = attributes.get("sslProfile")
        if name and name not in self.router.profiles:
            self.router.log.error("CONN_MGR", f"{attributes['name']}: there is no sslProfile '{name}' yet")

    def _check_files(self, attributes: Attributes) -> None:
        """The files of a TCP service's profile must be usable when the service is created."""
        name = attributes.get("sslProfile")
        if name:
            self.router.profile(str(name)).stamps()


def _with_identity(made: Iterable[Any], identity: object) -> list[Any]:
    return [item for item in made if item.attributes.get("identity") == identity]
