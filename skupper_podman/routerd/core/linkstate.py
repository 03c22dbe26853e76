"""What is known of every router: neighbour links, link states, their age, and which requests are due.

Why: reference sections 3.4 to 3.6. Routers come and go, restart under the same id, and messages get lost; this is
the one place that says which of them exist and what graph they form.

What always holds:

* A router is a neighbour exactly while at least one control link was confirmed by HELLO within ``hello_max_age``.
  Of parallel links the cheapest carries traffic, among equals the oldest, so that it does not flap.
* ``own_seq`` grows with every change of the own neighbours that others have been or will be told of.
* At most `MAX_ROUTERS` routers are known, this one included, and `MAX_EDGES` links between them; the graph has no
  other routers than these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from skupper_podman.routerd.core.bodies import Advertisement, LinkStateUpdate
from skupper_podman.routerd.core.limits import MAX_EDGES, MAX_ROUTERS

UNLISTED_AGE = 3.0
"""Seconds for which a router that nobody lists is kept: its link state may still be on its way."""
RETRY = 0.9
"""Seconds after which an unanswered request is repeated, a little less than the time between two ticks."""


@dataclass(slots=True)
class Link:
    """A control link over which a neighbour was heard.

    ``refreshed`` is the time of the last HELLO, ``patience`` what a slow network adds to the time until the next.
    """

    cost: int
    refreshed: float
    patience: float = 0.0


@dataclass(slots=True)
class Node:
    """Another router. ``instance`` is its boot time, 0 for unknown; ``peers`` its neighbours with their costs.

    ``ls_seq`` is the number of the link state held, ``advertised_seq`` and ``mobile_seq`` are the numbers of link
    state and addresses it advertised last. ``last_seen`` is the time its link state was last confirmed. ``index`` is
    a small number that stays the same while the router is known. ``lost`` is False from the moment it is reachable
    until it has been unreachable for the hold-off time.
    """

    id: str
    index: int
    last_seen: float
    instance: int = 0
    version: int = 1
    ls_seq: int = 0
    advertised_seq: int = 0
    mobile_seq: int = 0
    peers: Mapping[str, int] = field(default_factory=dict)
    links: dict[int, Link] = field(default_factory=dict)
    state_wanted: bool = True
    state_asked: float | None = None
    addresses_asked: float | None = None
    unlisted_since: float | None = None
    unreachable_since: float | None = None
    lost: bool = True

    @property
    def conn(self) -> int | None:
        """The control link in use, None when this is no neighbour."""
        if not self.links:
            return None
        return min(self.links, key=lambda conn: self.links[conn].cost)

    def state_due(self, now: float) -> bool:
        """True when its link state is to be asked for: none is held or a newer one exists, and none is on its way."""
        missing = self.ls_seq == 0 or self.ls_seq < self.advertised_seq
        return self.state_wanted or (missing and (self.state_asked is None or now - self.state_asked >= RETRY))

    def addresses_due(self, known_seq: int, now: float) -> bool:
        """True when its addresses are to be asked for, known up to ``known_seq``, and none are on their way."""
        asked = self.addresses_asked
        return self.mobile_seq > known_seq and (asked is None or now - asked >= RETRY)

    @property
    def link_cost(self) -> int | None:
        """Cost of the link in use."""
        conn = self.conn
        return None if conn is None else self.links[conn].cost


class NodeTracker:
    """All routers this one knows of, and its own link state."""

    def __init__(self, own_id: str, hello_max_age: float = 3.0, state_max_age: float = 60.0) -> None:
        self.own_id = own_id
        self.hello_max_age = hello_max_age
        self.state_max_age = state_max_age
        self.own_seq = 0
        self.nodes: dict[str, Node] = {}
        self.own_changed = False
        """The own neighbours changed; cleared by `publish`."""
        self.graph_changed = False
        """Paths are to be computed again; cleared by the caller."""
        self.overflow = False
        """A router or a link state was left out because of `MAX_ROUTERS` or `MAX_EDGES`."""
        self._peers: dict[str, int] = {}

    # ------------------------------------------------------------------------------------------ neighbours

    @property
    def own_peers(self) -> Mapping[str, int]:
        """The own link state: neighbours and costs."""
        return self._peers

    def collection(self) -> dict[str, Mapping[str, int]]:
        """The graph: link states of all routers, the own included."""
        nodes, own = self.nodes, self.own_id
        states: dict[str, Mapping[str, int]] = {own: self._peers}
        for router, node in nodes.items():
            states[router] = {peer: cost for peer, cost in node.peers.items() if peer in nodes or peer == own}
        return states

    def neighbour_of(self, conn: int) -> str | None:
        """The neighbour behind a control link."""
        return next((node.id for node in self.nodes.values() if conn in node.links), None)

    def refresh(self, router_id: str, conn: int, cost: int, now: float) -> Node | None:
        """A HELLO confirmed a neighbour on a link."""
        for other in self.nodes.values():
            if other.id != router_id and conn in other.links:
                del other.links[conn]
        node = self.learn(router_id, now)
        if node is None:
            return None
        link = node.links.get(conn)
        if link is None:
            if not node.links:
                node.state_wanted = True
            node.links[conn] = Link(cost, now)
        else:
            link.cost, link.refreshed = cost, now
        self._sync_peers()
        return node

    def set_patience(self, conn: int, seconds: float) -> None:
        """Allow for a slow network on one link."""
        for node in self.nodes.values():
            link = node.links.get(conn)
            if link is not None:
                link.patience = seconds

    def link_lost(self, conn: int) -> Node | None:
        """A control link is gone; gives the router it led to."""
        router_id = self.neighbour_of(conn)
        if router_id is None:
            return None
        node = self.nodes[router_id]
        del node.links[conn]
        self._sync_peers()
        return node

    def _sync_peers(self) -> None:
        costs = {node.id: cost for node in self.nodes.values() if (cost := node.link_cost) is not None}
        if costs != self._peers:
            self._peers = costs
            self.own_changed = self.graph_changed = True

    # ------------------------------------------------------------------------------------------ other routers

    def learn(self, router_id: str, now: float) -> Node | None:
        """The record of a router, made if new; None for this router itself and beyond `MAX_ROUTERS`."""
        node = self.nodes.get(router_id)
        if node is not None or router_id == self.own_id:
            return node
        if len(self.nodes) + 1 >= MAX_ROUTERS:
            self.overflow = True
            return None
        taken = {node.index for node in self.nodes.values()}
        index = next(number for number in range(1, MAX_ROUTERS) if number not in taken)
        # No new graph: without links and listed by nobody, it changes no path.
        node = self.nodes[router_id] = Node(router_id, index, now)
        return node

    def restarted(self, node: Node, instance: int) -> bool:
        """Compare the instance a router gives with the known one; True (and its state forgotten) when it differs."""
        if instance == 0 or node.instance == instance:
            return False
        known, node.instance = node.instance, instance
        if known == 0:
            return False
        node.peers, node.ls_seq, node.advertised_seq, node.mobile_seq = {}, 0, 0, 0
        node.state_asked = node.addresses_asked = None
        node.state_wanted = self.graph_changed = True
        return True

    def advertised(self, node: Node, message: Advertisement, now: float) -> None:
        """Take a router's sequence numbers."""
        node.last_seen = now
        if message.ls_seq > node.advertised_seq:
            node.state_asked = None
        if message.mobile_seq > node.mobile_seq:
            node.addresses_asked = None
        node.advertised_seq = message.ls_seq
        node.mobile_seq = message.mobile_seq

    def updated(self, node: Node, message: LinkStateUpdate, now: float) -> None:
        """Take a router's link state, if it is newer; routers it names become known."""
        if message.ls_seq <= node.ls_seq:
            return
        others = sum(len(other.peers) for other in self.nodes.values() if other is not node)
        if others + len(message.peers) > MAX_EDGES:
            self.overflow = True
            return
        changed = dict(message.peers) != dict(node.peers)
        node.ls_seq, node.peers, node.last_seen = message.ls_seq, dict(message.peers), now
        self.graph_changed = self.graph_changed or changed
        for peer in message.peers:
            self.learn(peer, now)

    # ------------------------------------------------------------------------------------------ time

    def expire(self, now: float) -> list[Node]:
        """Drop silent links, old link states and, once nobody lists them, routers; gives the routers dropped."""
        for node in self.nodes.values():
            limit = now - self.hello_max_age
            for conn in [number for number, link in node.links.items() if link.refreshed + link.patience < limit]:
                del node.links[conn]
            if node.peers and now - node.last_seen > self.state_max_age:
                node.peers, node.ls_seq = {}, 0
                self.graph_changed = True
        self._sync_peers()
        listed = {peer for node in self.nodes.values() for peer in node.peers if peer != node.id}
        return list(self._drop_unlisted(listed, now))

    def _drop_unlisted(self, listed: set[str], now: float) -> Iterator[Node]:
        for node in tuple(self.nodes.values()):
            if node.peers or node.links or node.id in listed:
                node.unlisted_since = None
            elif node.unlisted_since is None:
                node.unlisted_since = now
            elif now - node.unlisted_since >= UNLISTED_AGE:
                del self.nodes[node.id]
                yield node

    def publish(self) -> bool:
        """Give the own link state a new number if it changed; True when others are to be told."""
        changed, self.own_changed = self.own_changed, False
        if changed:
            self.own_seq += 1
        return changed
