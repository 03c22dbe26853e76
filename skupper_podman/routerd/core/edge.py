"""The edge protocol's decisions, at both ends (reference section 4).

Why: an edge router has no routing protocol. It mirrors its consumers and producers as links on one connection to an
interior router, and learns from that router which of its producers have somewhere to send to.

What always holds:

* `EdgeProxies`: exactly one of the open connections is active; on it, and on no other, the caller is asked for one
  receiver per address with local consumers and one sender per address with local producers or watchers. A sender is
  bound as a destination exactly between `BindProxy` and `UnbindProxy`.
* `EdgePeers`: each tracked address of each edge connection was last told the state that holds now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from skupper_podman.routerd.core.table import Address, AddressTable

MESH_DISCOVERY: Final = "_$qd.mesh_discovery"
"""Target of the edge's sender that announces its mesh id."""
ADDRESS_TRACKING: Final = "_$qd.edge_addr_tracking"
"""Source of the edge's receiver of tracking messages."""


# ------------------------------------------------------------------------------------------------ on the edge


@dataclass(frozen=True, slots=True)
class Activate:
    """Open the permanent links on this connection: mesh discovery, tracking, uplink and downlink."""

    conn: int


@dataclass(frozen=True, slots=True)
class Deactivate:
    """The active connection is gone, with all links on it; no connection is active until the next `Activate`."""

    conn: int


@dataclass(frozen=True, slots=True)
class OpenReceiver:
    """Open a receiver from ``address``, to take messages for local consumers."""

    conn: int
    address: str


@dataclass(frozen=True, slots=True)
class CloseReceiver:
    """Detach that receiver."""

    conn: int
    address: str


@dataclass(frozen=True, slots=True)
class OpenSender:
    """Open a sender to ``address``; it becomes a destination only with `BindProxy`."""

    conn: int
    address: str


@dataclass(frozen=True, slots=True)
class CloseSender:
    """Detach that sender; an `UnbindProxy` came before if it was bound."""

    conn: int
    address: str


@dataclass(frozen=True, slots=True)
class BindProxy:
    """Add the sender's proxy as a consumer (``is_edge``) of the address: the network has consumers."""

    conn: int
    key: str


@dataclass(frozen=True, slots=True)
class UnbindProxy:
    """Remove that consumer again."""

    conn: int
    key: str


EdgeAction: TypeAlias = (
    Activate | Deactivate | OpenReceiver | CloseReceiver | OpenSender | CloseSender | BindProxy | UnbindProxy
)


class EdgeProxies:
    """Connections of an edge router to its interiors, and the proxy links on the active one."""

    def __init__(self) -> None:
        self.active: int | None = None
        """The connection that carries traffic."""
        self._open: list[int] = []
        self._receivers: dict[str, None] = {}
        self._senders: dict[str, None] = {}
        self._bound: set[str] = set()
        self._actions: list[EdgeAction] = []

    def take_actions(self) -> list[EdgeAction]:
        """The effects since the last call, to be performed in order."""
        actions, self._actions = self._actions, []
        return actions

    def opened(self, conn: int) -> None:
        """An edge connection has opened; it becomes active unless another one is."""
        if conn not in self._open:
            self._open.append(conn)
        if self.active is None:
            self._activate(conn)

    def closed(self, conn: int) -> None:
        """An edge connection is gone; the first other open one takes over. Unknown ones are ignored."""
        if conn in self._open:
            self._open.remove(conn)
        if conn != self.active:
            return
        for key in sorted(self._bound):
            self._actions.append(UnbindProxy(conn, key))
        self._bound.clear()
        self.active = None
        self._actions.append(Deactivate(conn))
        if self._open:
            self._activate(self._open[0])

    def _activate(self, conn: int) -> None:
        self.active = conn
        self._actions.append(Activate(conn))
        self._actions += [OpenSender(conn, key[1:]) for key in self._senders]
        self._actions += [OpenReceiver(conn, key[1:]) for key in self._receivers]

    def consumers_up(self, key: str) -> None:
        """A mobile address has local consumers (`AnnounceUp`)."""
        if key[0] == "M" and key not in self._receivers:
            self._receivers[key] = None
            if self.active is not None:
                self._actions.append(OpenReceiver(self.active, key[1:]))

    def consumers_down(self, key: str) -> None:
        """A mobile address has no local consumers any more (`AnnounceDown`)."""
        if key in self._receivers:
            del self._receivers[key]
            if self.active is not None:
                self._actions.append(CloseReceiver(self.active, key[1:]))

    def sources_up(self, key: str) -> None:
        """A mobile address has local producers or watchers (`SourceUp`)."""
        if key[0] == "M" and key not in self._senders:
            self._senders[key] = None
            if self.active is not None:
                self._actions.append(OpenSender(self.active, key[1:]))

    def sources_down(self, key: str) -> None:
        """A mobile address has no local producers and watchers any more (`SourceDown`)."""
        if key not in self._senders:
            return
        del self._senders[key]
        if self.active is not None:
            self._unbind(key)
            self._actions.append(CloseSender(self.active, key[1:]))

    def tracking(self, conn: int, body: Any) -> bool:
        """Take the body of a tracking message; False when it is malformed (the delivery is to be rejected)."""
        if not isinstance(body, list) or len(body) != 2:
            return False
        key, reachable = body
        if not isinstance(key, str) or not isinstance(reachable, bool):
            return False
        if conn != self.active or key not in self._senders:
            return True
        if not reachable:
            self._unbind(str(key))
        elif key not in self._bound:
            self._bound.add(str(key))
            self._actions.append(BindProxy(conn, str(key)))
        return True

    def _unbind(self, key: str) -> None:
        if self.active is not None and key in self._bound:
            self._bound.remove(key)
            self._actions.append(UnbindProxy(self.active, key))


# --------------------------------------------------------------------------------------------- on the interior


@dataclass(frozen=True, slots=True)
class SendTracking:
    """Tell an edge router on its tracking link whether an address is reachable; ``body`` is the amqp-value."""

    conn: int
    key: str
    reachable: bool

    @property
    def body(self) -> list[Any]:
        """The body of the tracking message."""
        return [self.key, self.reachable]


@dataclass(slots=True)
class _Peer:
    mesh: str | None = None
    listening: bool = False
    senders: dict[str, int] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


class EdgePeers:
    """The edge routers connected to an interior: their mesh ids, and which addresses they follow.

    It observes the table (``on_change``), so tracking messages follow changes of the table by themselves.
    """

    def __init__(self, table: AddressTable) -> None:
        self._table = table
        self._peers: dict[int, _Peer] = {}
        self._followers: dict[str, set[int]] = {}
        self._actions: list[SendTracking] = []
        table.on_change = self._address_changed

    def take_actions(self) -> list[SendTracking]:
        """The tracking messages since the last call."""
        actions, self._actions = self._actions, []
        return actions

    def opened(self, conn: int) -> None:
        """An edge connection has opened."""
        self._peers.setdefault(conn, _Peer())

    def closed(self, conn: int) -> None:
        """An edge connection is gone. Remove its consumers and producers from the table as well."""
        peer = self._peers.pop(conn, None)
        for key in peer.senders if peer else ():
            self._unfollow(conn, key)

    def mesh(self, conn: int) -> str | None:
        """The mesh id announced on an edge connection."""
        peer = self._peers.get(conn)
        return peer.mesh if peer else None

    def set_mesh(self, conn: int, mesh: str) -> None:
        """Take a mesh id; consumers of the connection must show it as ``mesh`` already."""
        peer = self._peers.get(conn)
        if peer is None or peer.mesh == mesh:
            return
        peer.mesh = mesh
        self._table.mesh_changed(conn)
        for key in peer.senders:
            self._tell(conn, peer, key)

    def tracking_up(self, conn: int) -> None:
        """The edge has attached its tracking receiver: tell what is reachable."""
        peer = self._peers.get(conn)
        if peer is not None:
            peer.listening = True
            for key in peer.senders:
                self._tell(conn, peer, key)

    def tracking_down(self, conn: int) -> None:
        """The tracking link is gone."""
        peer = self._peers.get(conn)
        if peer is not None:
            peer.listening = False
            peer.told.clear()

    def sender_up(self, conn: int, key: str) -> None:
        """The edge has attached a sender to an address; other classes than mobile are ignored."""
        peer = self._peers.get(conn)
        if peer is None or key[0] != "M":
            return
        peer.senders[key] = peer.senders.get(key, 0) + 1
        self._followers.setdefault(key, set()).add(conn)
        self._tell(conn, peer, key)

    def sender_down(self, conn: int, key: str) -> None:
        """The edge has detached a sender."""
        peer = self._peers.get(conn)
        if peer is None or key not in peer.senders:
            return
        peer.senders[key] -= 1
        if not peer.senders[key]:
            del peer.senders[key]
            peer.told.discard(key)
            self._unfollow(conn, key)

    def _unfollow(self, conn: int, key: str) -> None:
        followers = self._followers[key]
        followers.discard(conn)
        if not followers:
            del self._followers[key]

    def _address_changed(self, address: Address) -> None:
        for conn in sorted(self._followers.get(address.key, ())):
            self._tell(conn, self._peers[conn], address.key)

    def _tell(self, conn: int, peer: _Peer, key: str) -> None:
        if not peer.listening:
            return
        reachable = self._table.edge_reachable(key, conn, peer.mesh)
        if reachable == (key in peer.told):
            return
        if reachable:
            peer.told.add(key)
        else:
            peer.told.remove(key)
        self._actions.append(SendTracking(conn, key, reachable))
