"""An AMQP connection of the router: opening, sessions and links, whatever its role.

What a connection means (client, neighbour, edge) is decided by its `Role`; this module knows the parts
that all have in common. What always holds: every remote session and link is answered; a link object
lives in `links` from its attach until its detach; the role hears of the end exactly once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.amqp import trace
from skupper_podman.routerd.amqp.engine import Engine
from skupper_podman.routerd.amqp.links import DEFAULT_CAPACITY, Link, StreamPool
from skupper_podman.routerd.amqp.outgoing import OutDelivery
from skupper_podman.routerd.amqp.security import SslProfile, describe_security, secret, secure_client, secure_server
from skupper_podman.routerd.amqp.wire import Pointer, cstring, get_value, lib, put_value, set_condition, symbols, text
from skupper_podman.routerd.amqptypes import Array
from skupper_podman.routerd.codec import Int, Symbol
from skupper_podman.routerd.loop import Timer
from skupper_podman.routerd.message import Q2_DISABLED
from skupper_podman.routerd.streams import Start

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router

PRODUCT: Final = "skupper-router"
VERSION: Final = "2.7.3"
STREAMING_LINKS: Final = "qd.streaming-links"
TRUNKING: Final = "qd.connection_trunking"
CAPABILITIES: Final = ("ANONYMOUS-RELAY", STREAMING_LINKS, TRUNKING)
ROLE_DATA: Final = 4

#: Octets a session takes in that nobody reads, where the entity does not say (`maxSessionFrames`).
#: Octets in all that wait in a connection's sessions for a peer that does not take them, at least so many in each.
_WAITING: Final = 64 * 1024 * 1024
_WAITING_LEAST: Final = 16 * 1024
#: Links that a peer may have: a client, and a router, whose streams have one each.
CLIENT_LINKS: Final = 8192
ROUTER_LINKS: Final = 65536
#: Sessions and links that a peer may begin while it reads nothing of what we answer.
UNREAD: Final = 10_000
_CLIENT_WINDOW: Final = 8 * 1024 * 1024
_ROUTER_WINDOW: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What a listener or connector entity says about its connections."""

    name: str
    role: str
    host: str
    port: str
    cost: int = 1
    max_frame: int = 16384
    channel_max: int = 32767
    idle_ms: int = 16000
    session_frames: int | None = None
    strip: str = "both"
    capacity: int = DEFAULT_CAPACITY
    attributes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, attributes: dict[str, Any]) -> Settings:
        """From validated attributes of a `listener` or `connector`."""
        return cls(
            name=str(attributes["name"]),
            role=str(attributes["role"]),
            host=str(attributes.get("host") or ""),
            port=str(attributes["port"]),
            cost=int(attributes.get("cost") or 1),
            max_frame=int(attributes.get("maxFrameSize") or 16384),
            channel_max=min(32767, int(attributes.get("maxSessions") or 32768) - 1),
            idle_ms=int(attributes.get("idleTimeoutSeconds") or 0) * 1000,
            session_frames=attributes.get("maxSessionFrames"),
            strip=str(attributes.get("stripAnnotations") or "both"),
            capacity=int(attributes.get("linkCapacity") or DEFAULT_CAPACITY),
            attributes=attributes,
        )

    @property
    def session_capacity(self) -> int:
        """Octets that a session of such a connection takes in before somebody reads."""
        if self.session_frames:
            return max(2, self.session_frames) * self.max_frame
        return _CLIENT_WINDOW if self.role == "normal" else _ROUTER_WINDOW


class Role:
    """What the connection is for. The base class serves nobody."""

    #: Whether messages that come in, and those that go out, carry the router-annotations section.
    annotated_in = False
    annotated_out = False

    def __init__(self, conn: AmqpConnection) -> None:
        self.conn = conn

    def opening(self) -> None:
        """Our open is on its way: what need not wait for the peer's may follow it."""

    def opened(self) -> None:
        """Both sides have opened."""

    def attach(self, pointer: Pointer) -> None:
        """The peer attaches a link."""

    def answered(self, link: Link) -> None:
        """The peer has answered an attach of ours."""

    def lost(self) -> None:
        """The connection is gone."""


class _Ended(Role):
    """The role of connections that are no more; it refers to none of them."""

    def __init__(self) -> None:
        pass


_ENDED: Final = _Ended()


class AmqpConnection(Engine):
    """A connection accepted by a listener or made by a connector."""

    def __init__(
        self,
        router: Router,
        sock: socket.socket,
        settings: Settings,
        peer: str,
        profile: SslProfile | None,
        *,
        incoming: bool,
    ) -> None:
        transport = lib.pn_transport()
        lib.pn_transport_set_max_frame(transport, settings.max_frame)
        lib.pn_transport_set_channel_max(transport, settings.channel_max)
        lib.pn_transport_set_idle_timeout(transport, settings.idle_ms)
        # Proton's own lines on stderr may quote what a stranger has sent.
        lib.pn_transport_trace(transport, lib.PN_TRACE_OFF)
        super().__init__(router.loop, sock, transport)
        self.router = router
        self.settings = settings
        self.peer = peer
        self.incoming = incoming
        self.identity = router.next_connection_identity()
        self.role_name = settings.role
        self.role: Role = Role(self)
        self.container = ""
        self.remote_properties: dict[str, Any] = {}
        self.remote_capabilities: frozenset[str] = frozenset()
        self.remote_open = False
        self.held = 0
        """Octets of messages whose way is not known yet, see `incoming`."""
        self.aside = 0
        """Octets of messages that are held back, taken out of the way of others."""
        self._sessions: set[Pointer] = set()
        self._peer_links: set[Pointer] = set()
        self._unread = 0
        self.opened_at: float | None = None
        self.last_delivery_at: float | None = None
        self.mesh: str | None = None
        self.active = True
        self.extra_properties: dict[Any, Any] = {}
        self.on_open: Callable[[AmqpConnection], None] | None = None
        self.on_end: Callable[[AmqpConnection, str], None] | None = None
        self.deadline: Timer | None = None
        self.tracing = False
        self.end_reason = ""
        self._windowed_streams: StreamPool | None = None
        self._other_streams: StreamPool | None = None
        self._secure(profile)
        self.follow_log()
        self.bind()
        router.connections[self.identity] = self
        if not incoming:
            if settings.attributes.get("saslUsername"):
                lib.pn_connection_set_user(self.connection, cstring(settings.attributes["saslUsername"]))
                lib.pn_connection_set_password(
                    self.connection, cstring(secret(settings.attributes.get("saslPassword")))
                )
            lib.pn_connection_set_hostname(self.connection, cstring(settings.host))
        self.touch()

    def _secure(self, profile: SslProfile | None) -> None:
        setup = secure_server if self.incoming else secure_client
        setup(self.transport, self.settings.attributes, profile)

    # -- opening -----------------------------------------------------------------------------------

    def open_within(self, seconds: float) -> None:
        """Give the connection up unless the peer opens it in time; a connector counts from the last frame heard."""
        heard = lib.pn_transport_get_frames_input(self.transport)

        def check() -> None:
            if self.incoming or lib.pn_transport_get_frames_input(self.transport) == heard:
                self.lose("open timed out")
            else:
                self.open_within(seconds)

        self.deadline = self.loop.call_later(seconds, check)

    def open(self) -> None:
        """Send our open frame."""
        connection = self.connection
        lib.pn_connection_set_container(connection, cstring(self.router.id))
        names = list(CAPABILITIES)
        if self.role_name == "inter-edge":
            names.append("qd.router-inter-edge")
        for offered in (
            lib.pn_connection_offered_capabilities(connection),
            lib.pn_connection_desired_capabilities(connection),
        ):
            put_value(offered, Array.of_symbols(names))
        properties: dict[Any, Any] = {
            Symbol("product"): PRODUCT,
            Symbol("version"): VERSION,
            Symbol("qd.conn-id"): Int(self.identity),
        }
        if self.settings.cost > 1 and self.role_name == "inter-router":
            properties[Symbol("qd.inter-router-cost")] = Int(self.settings.cost)
        data = Symbol("qd.inter-router-role") in self.extra_properties
        if self.settings.role in ("inter-router", "edge") and not data:
            properties[Symbol("qd.annotations-version")] = Int(2)
        properties.update(self.extra_properties)
        if self.is_client:
            own = self.settings.attributes.get("openProperties") or {}
            properties.update({Symbol(str(key)): value for key, value in own.items()})
        put_value(lib.pn_connection_properties(connection), properties)
        lib.pn_connection_open(connection)
        if not self.incoming:
            self.role = self.router.role_for(self)
            self.role.opening()
        self.touch()

    def on_remote_open(self) -> None:
        """Read what the peer says of itself, answer, and hand over to the role."""
        if self.remote_open:
            # Proton lets a second open pass; the role of the first is in use.
            self.fail("amqp:illegal-state", "open sent twice")
            return
        connection = self.connection
        self.remote_open = True
        self.router.unproven.remove(self)
        if self.deadline is not None:
            self.deadline.cancel()
        self.container = text(lib.pn_connection_remote_container(connection)) or ""
        properties = get_value(lib.pn_connection_remote_properties(connection))
        if isinstance(properties, dict):
            self.remote_properties = {str(key): value for key, value in properties.items()}
        self.remote_capabilities = symbols(lib.pn_connection_remote_offered_capabilities(connection))
        if self.incoming:
            if self.settings.role == "inter-router" and self.remote_properties.get("qd.inter-router-role") == ROLE_DATA:
                self.role_name = "inter-router-data"
            self.open()
            self.role = self.router.role_for(self)
        self.opened_at = self.loop.now
        self.router.log.info("ROUTER_CORE", f"[C{self.identity}] Connection Opened: {self.summary()}")
        self.role.opened()
        if self.on_open is not None:
            self.on_open(self)

    @property
    def is_client(self) -> bool:
        """Whether the peer is no router."""
        return self.role_name in ("normal", "route-container")

    @property
    def is_edge(self) -> bool:
        """Whether the peer is an edge router, seen from its interior."""
        return self.role_name == "edge" and self.router.mode == "interior"

    def describe(self) -> dict[str, Any]:
        """Security attributes for management; empty once the connection is gone."""
        if self.closed:
            return {}
        profile = self.router.profiles.get(str(self.settings.attributes.get("sslProfile") or ""))
        return describe_security(self.transport, profile.attributes.get("uidFormat") if profile else None)

    def summary(self) -> str:
        """Who the peer is, in the words of the log and of a connector's `connectionMsg`."""
        security = self.describe()
        encrypted = security["sslProto"] if security.get("isEncrypted") else "no"
        auth = security.get("sasl") if security.get("isAuthenticated") else "no"
        return (
            f"dir={'in' if self.incoming else 'out'} host={self.peer} encrypted={encrypted} auth={auth} "
            f"user={security.get('user') or '(null)'} container_id={self.container}"
        )

    def trace(self, on: bool) -> None:
        """Log this connection's frames whatever the levels are, or as the levels say."""
        self.tracing = on
        self.follow_log()

    def follow_log(self) -> None:
        """Begin or end to log frames, as the levels are now."""
        if self.closed:
            return
        if self.tracing or self.router.log.enabled("PROTOCOL", "debug"):
            trace.start(self.transport, self.router.log, self.identity, always=self.tracing)
        else:
            trace.stop(self.transport)

    def fail(self, name: str, description: str) -> None:
        """Close the connection with an error that the peer has earned."""
        if self.condition is None:
            self.condition = (name, description)
            set_condition(lib.pn_connection_condition(self.connection), name, description)
        self.close()

    # -- sessions and links ------------------------------------------------------------------------

    def begin_session(self, *, watched: bool = False) -> Pointer:
        """A session of our own; `watched` ones count towards congestion."""
        session = lib.pn_session(self.connection)
        lib.pn_session_set_incoming_capacity(session, self.settings.session_capacity)
        lib.pn_session_open(session)
        if watched:
            self.watched_sessions.append(session)
        self.touch()
        return session

    def on_session_open(self, session: Pointer) -> None:
        """Answer a session of the peer's."""
        self._sessions.add(session)
        if lib.pn_session_state(session) & lib.PN_LOCAL_UNINIT:
            if not self._reads():
                return
            lib.pn_session_set_incoming_capacity(session, self.settings.session_capacity)
            lib.pn_session_open(session)

    def on_session_close(self, session: Pointer) -> None:
        """Its links are gone with it."""
        for link in self.all_links():
            if link.pointer is not None and lib.pn_link_session(link.pointer) == session:
                pointer = link.pointer
                link.gone()
                lib.pn_link_free(pointer)
        self._peer_links = {link for link in self._peer_links if lib.pn_link_session(link) != session}
        self._sessions.discard(session)
        if session in self.watched_sessions:
            self.watched_sessions.remove(session)
        self.waiting.pop(session, None)
        lib.pn_session_close(session)
        lib.pn_session_free(session)

    def on_link_open(self, link: Pointer) -> None:
        """An answer to our attach, or an attach of the peer's."""
        known: Any = self.links.get(link)
        if known is not None:
            self.role.answered(known)
        elif lib.pn_link_state(link) & lib.PN_LOCAL_UNINIT and self._reads():
            self._peer_links.add(link)
            if len(self._peer_links) > (CLIENT_LINKS if self.is_client else ROUTER_LINKS):
                self.fail("amqp:resource-limit-exceeded", "too many links")
            else:
                self.role.attach(link)

    def _reads(self) -> bool:
        """Whether the peer takes what we send, or has not begun much since it stopped; else it is cut off."""
        self._unread = self._unread + 1 if self.stalled else 0
        if self._unread > UNREAD:
            self.loop.call_soon(lambda: self.lose("peer sends and does not read"))
            return False
        return True

    def session_share(self) -> int:
        """Octets that may wait in one of this connection's sessions."""
        return max(_WAITING_LEAST, _WAITING // (len(self._sessions) or 1))

    def on_link_close(self, link: Pointer, closed: bool) -> None:
        """Answer the detach and forget the link."""
        known: Any = self.links.get(link)
        if known is not None:
            known.gone()
        self._peer_links.discard(link)
        if closed or lib.pn_link_state(link) & lib.PN_LOCAL_CLOSED:
            lib.pn_link_close(link)
        else:
            lib.pn_link_detach(link)
        lib.pn_link_free(link)
        self.touch()

    def all_links(self) -> list[Link]:
        """The links that exist now."""
        return list(self.links.values())  # type: ignore[arg-type]

    # -- streams -----------------------------------------------------------------------------------

    def stream(self, start: Start) -> OutDelivery:
        """A delivery for one stream, on a link that it has for itself.

        Streams that run their own window share one session and are read at any time. Others are held back by the
        session's window when their consumer is slow, so they must not share it with the first.
        """
        if start.annotations.flags & Q2_DISABLED:
            return OutDelivery(self._windowed().take())
        if self._other_streams is None:
            self._other_streams = self._pool(watched=False)
        return OutDelivery(self._other_streams.take())

    def prepare_streams(self, count: int) -> None:
        """Attach links for the first streams now."""
        self._windowed().prepare(count)

    def _windowed(self) -> StreamPool:
        if self._windowed_streams is None:
            self._windowed_streams = self._pool(watched=True)
        return self._windowed_streams

    def _pool(self, *, watched: bool) -> StreamPool:
        return StreamPool(self, "qd.router-data" if self.role_name == "inter-router" else None, watched=watched)

    def scrub(self) -> None:
        """Give back what a burst of streams has left."""
        for pool in (self._windowed_streams, self._other_streams):
            if pool is not None and not self.closed:
                pool.scrub()

    @property
    def takes_streams(self) -> bool:
        """Whether the peer accepts anonymous streaming links."""
        return self.role_name != "normal" or STREAMING_LINKS in self.remote_capabilities

    # -- end ---------------------------------------------------------------------------------------

    def on_lost(self, reason: str) -> None:
        """Tell links, role and owner."""
        if self.condition is not None:
            # What follows a quoting mark is what the peer has sent: none of a log's business.
            reason = f"{self.condition[0]}: {self.condition[1]}".partition(" ['")[0]
        self.end_reason = reason
        self.router.unproven.remove(self)
        if self.deadline is not None:
            self.deadline.cancel()
        for link in self.all_links():
            link.gone()
        self.role.lost()
        # Nothing must refer to this from a circle: the collector would leave it for long.
        self.role = _ENDED
        self.deadline = self.on_open = None
        self._windowed_streams = self._other_streams = None
        self.router.log.info("SERVER", f"[C{self.identity}] Connection to {self.peer} closed: {reason}")
        self.router.connection_lost(self)
        if self.on_end is not None:
            callback, self.on_end = self.on_end, None
            callback(self, reason)
