"""The routing engine of an interior router: HELLO, link state, paths and address announcements tied together.

Why: this is the whole routing protocol as one object without I/O; the runtime feeds it control links, routing
messages and a tick once a second, and performs the actions it gives.

What always holds:

* ``next_hop``, ``cost`` and ``valid_origins`` agree with the link states known at the last tick or change of the own
  links; no next hop leads over a link that is gone.
* What was asked for and did not come is asked for again at the next tick.
* Addresses of a router are given (`RemoteAddress`) only while it is reachable, and `HOLDOFF` seconds longer; when the
  same life of it comes back, they are given again at once and then confirmed.
* Malformed or foreign messages change nothing and are logged; nothing a peer sends raises, nor makes this keep or
  compute more than `limits` allow.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from skupper_podman.routerd.core.actions import (
    Body,
    Flood,
    Log,
    PathsChanged,
    RemoteAddress,
    RouterLost,
    RoutingAction,
    SendOnLink,
    SendToRouter,
)
from skupper_podman.routerd.core.address import Treatment
from skupper_podman.routerd.core.bodies import (
    ADDRESS_VERSION,
    ENGINE_VERSION,
    AddressUpdate,
    Advertisement,
    Descriptor,
    Hello,
    LinkStateUpdate,
    ProtocolError,
    address_request,
    have_seq,
    identify,
    link_state_request,
)
from skupper_podman.routerd.core.hello import Heard, HelloProtocol
from skupper_podman.routerd.core.limits import ANSWER_INTERVAL, MAX_ROUTERS, MAX_WARNED, PATH_COST
from skupper_podman.routerd.core.linkstate import Node, NodeTracker
from skupper_podman.routerd.core.mobile import Change, MobileSync
from skupper_podman.routerd.core.path import Paths, compute
from skupper_podman.routerd.core.timers import Timers
from skupper_podman.routerd.message import RoutingStyle

HOLDOFF: Final = 1.0
"""Seconds for which an unreachable router keeps its addresses: a changing network often finds another path."""
MOST_PATIENCE: Final = 8.0
"""Seconds that a slow network can add to the age at which a neighbour counts as lost."""
HELLO_ADDRESS: Final = "amqp:/_local/qdhello"
_NO_ORIGINS: Final[frozenset[str]] = frozenset()


class Routing:
    """Routing state of one interior router.

    ``instance`` is its boot time in seconds since the epoch. Queries name connections by the caller's numbers and
    routers by their ids; ``epoch`` grows whenever their answers may have changed.
    """

    def __init__(self, own_id: str, instance: int, area: str = "0", timers: Timers | None = None) -> None:
        timers = timers or Timers()
        self.own_id = own_id
        self.instance = instance & 0x7FFFFFFF
        self.area = area
        self.epoch = 0
        self.last_topology_change: float | None = None
        self._timers = timers
        self._all_engines = f"amqp:/_topo/{area}/all/qdrouter"
        self._hello = HelloProtocol(own_id, self.instance, timers.hello_interval, timers.hello_max_age)
        self._tracker = NodeTracker(own_id, timers.hello_max_age, timers.state_max_age)
        self._mobile = MobileSync(own_id)
        self._paths = Paths()
        self._hops: dict[str, int] = {}
        self._flood: tuple[int, ...] = ()
        self._costs: dict[int, int] = {}
        self._last_ra: float | None = None
        self._published = False
        self._warned: set[str] = set()
        self._paths_rest: float | None = None
        self._answered: dict[str, float] = {}
        self._actions: list[RoutingAction] = []

    # ------------------------------------------------------------------------------------------ events

    def take_actions(self) -> list[RoutingAction]:
        """The effects since the last call, to be performed in order."""
        actions, self._actions = self._actions, []
        return actions

    def control_link_up(self, conn: int, cost: int, now: float) -> None:
        """A pair of control links is up on a connection of this effective cost."""
        self._costs[conn] = cost
        self._send_hello(conn)

    def control_link_down(self, conn: int, now: float) -> None:
        """A control link is gone; unknown ones are ignored."""
        if self._costs.pop(conn, None) is None:
            return
        node = self._tracker.link_lost(conn)
        if node is not None:
            self._log("ROUTER_LS", "info", f"Link to Neighbor Router Lost - {node.id}")
            if node.conn is None:
                self._hello.forget(node.id)
            self._update_paths(now)

    def control_link_delay(self, conn: int, round_trip: float) -> None:
        """How long the network behind a control link takes: where a lost HELLO comes late, it is waited for."""
        self._tracker.set_patience(conn, min(MOST_PATIENCE, 4 * round_trip))

    def receive(self, conn: int, opcode: str, body: object, now: float) -> None:
        """A routing message came in over a control link, possibly relayed by that neighbour."""
        try:
            sender, version = identify(body)
            newest = ADDRESS_VERSION if opcode in ("MAR", "MAU") else ENGINE_VERSION
            if version > newest:
                self._warn_version(opcode, sender, version)
                return
            self._dispatch(conn, opcode, sender, body, now)
        except ProtocolError as error:
            self._log("ROUTER", "error", f"Control message error: opcode={opcode}: {error}")

    def tick(self, now: float) -> None:
        """At least once a second: HELLO, expiry, paths, requests, announcements.

        Further ticks in between only make announcements and requests leave earlier.
        """
        hello = self._hello.tick(now)
        if hello is not None:
            for conn in self._costs:
                self._send(SendOnLink, conn, HELLO_ADDRESS, "HELLO", hello.body(self.area))
        for node in self._tracker.expire(now):
            self._lose(node)
            self._mobile.retire(node.id, node.instance)
            self._log("ROUTER", "debug", f"Node {node.id} deleted")
        announce = self._tracker.publish() or self._published
        self._published = False
        if announce:
            # Requests for it may find no way: skrouterd checks valid origins by the state that is out of date.
            self._actions.append(Flood(self._all_engines, "LSU", self._own_state(), RoutingStyle.ENGINE))
        self._update_paths(now)
        self._expire_unreachable(now)
        self._send_requests(now)
        update = self._mobile.tick()
        if update is not None:
            to = f"_topo/{self.area}/all/qdrouter.ma"
            self._actions.append(Flood(to, "MAU", update.body(self.area), RoutingStyle.ADDRESSES))
        # After the update: an earlier advertisement of the new number would make every router ask for the whole set.
        if announce or update is not None or self._advertisement_due(now):
            self._send_advertisement(now)

    def address_up(self, key: str, treatment: Treatment, in_links: int = 0, mesh: str | None = None) -> None:
        """An address of class M or H has local consumers now (`AnnounceUp`); others hear of it at the next tick."""
        self._mobile.set(Descriptor(key, treatment, in_links, mesh))

    def address_changed(self, key: str, treatment: Treatment, in_links: int = 0, mesh: str | None = None) -> None:
        """What is announced of an address changed (`AnnounceChanged`)."""
        self._mobile.set(Descriptor(key, treatment, in_links, mesh))

    def address_down(self, key: str) -> None:
        """An address has no local consumers any more (`AnnounceDown`)."""
        self._mobile.unset(key)

    # ------------------------------------------------------------------------------------------ queries

    @property
    def radius(self) -> int:
        """Hops to the most distant router."""
        return self._paths.radius

    @property
    def mobile_seq(self) -> int:
        """Number of the last announcement of own addresses."""
        return self._mobile.mobile_seq

    @property
    def own_links(self) -> dict[str, int]:
        """The own link state: neighbours and costs."""
        return dict(self._tracker.own_peers)

    def next_hop(self, router_id: str) -> int | None:
        """Connection on which messages to a router leave, None while it is unreachable."""
        return self._hops.get(router_id)

    def next_hop_id(self, router_id: str) -> str | None:
        """The neighbour through which a router is reached; the router itself when it is the neighbour."""
        return self._paths.next_hops.get(router_id)

    def cost(self, router_id: str) -> int | None:
        """Cost of the path to a router, None while it is unreachable."""
        return self._paths.costs.get(router_id)

    def valid_origins(self, router_id: str) -> frozenset[str]:
        """Other routers whose messages to ``router_id`` pass this one."""
        return self._paths.valid_origins.get(router_id, _NO_ORIGINS)

    def valid_origin(self, router_id: str, origin: str) -> bool:
        """True when this router forwards messages from router ``origin`` to ``router_id``."""
        return origin == self.own_id or origin in self._paths.valid_origins.get(router_id, _NO_ORIGINS)

    def knows(self, router_id: str) -> bool:
        """True for this router and every router it has heard of."""
        return router_id == self.own_id or router_id in self._tracker.nodes

    def reachable(self) -> Collection[str]:
        """Ids of all routers with a next hop."""
        return self._hops.keys()

    def flood_connections(self) -> Sequence[int]:
        """The connections that messages to all routers leave on: every next hop, once."""
        return self._flood

    def nodes(self) -> Collection[Node]:
        """All other routers known, reachable or not; not to be changed."""
        return self._tracker.nodes.values()

    def neighbour(self, conn: int) -> str | None:
        """Id of the router behind a control link, None before HELLOs went both ways."""
        return self._tracker.neighbour_of(conn)

    def neighbours(self) -> dict[str, int]:
        """Neighbours and the connection in use to each."""
        return {node.id: conn for node in self._tracker.nodes.values() if (conn := node.conn) is not None}

    def trace_connections(self, nodes: Sequence[str]) -> Collection[int]:
        """Connections of those of the routers ``nodes`` that are neighbours, parallel ones included."""
        known = self._tracker.nodes
        return {conn for router in nodes if (node := known.get(router)) is not None for conn in node.links}

    # ------------------------------------------------------------------------------------------ messages

    def _dispatch(self, conn: int, opcode: str, sender: str, body: object, now: float) -> None:
        if opcode == "HELLO":
            self._on_hello(conn, Hello.read(body), now)
        elif sender == self.own_id:
            return
        elif opcode == "RA":
            self._on_advertisement(Advertisement.read(body), now)
        elif opcode == "LSU":
            update = LinkStateUpdate.read(body)
            node = self._learn(update.id, now)
            if node is not None:
                self._check_instance(node, update.instance)
                self._tracker.updated(node, update, now)
                self._check_overflow()
        elif opcode == "LSR":
            if self._learn(sender, now) is not None:
                self._answer_request(sender)
        elif opcode == "MAU":
            self._on_address_update(AddressUpdate.read(body), now)
        elif opcode == "MAR":
            self._on_address_request(sender, have_seq(body), now)
        else:
            self._log("ROUTER", "debug", f"Unknown routing message {opcode} from {sender}")

    def _on_hello(self, conn: int, hello: Hello, now: float) -> None:
        meaning, fresh = self._hello.receive(hello, now)
        if meaning in (Heard.DUPLICATE, Heard.ECHO):
            self._warn_own_id(meaning)
            return
        cost = self._costs.get(conn)
        if cost is None:
            return
        if fresh:
            self._send_hello(conn)
        if meaning is not Heard.MUTUAL:
            return
        node = self._tracker.refresh(hello.id, conn, cost, now)
        self._check_overflow()
        if node is not None:
            self._check_instance(node, hello.instance)
            if hello.id not in self._hops or self._tracker.own_changed:
                self._update_paths(now)

    def _warn_own_id(self, meaning: Heard) -> None:
        if meaning is Heard.DUPLICATE:
            text = f"Detected Neighbor Router with a Duplicate ID - {self.own_id}"
        else:
            # A router of the same id that was started in the same second looks the same.
            text = f"A connection leads to this router itself or to another one with the same ID - {self.own_id}"
        self._warn_once("\0" + meaning.name, "ROUTER_HELLO", "critical", text)

    def _on_advertisement(self, message: Advertisement, now: float) -> None:
        node = self._learn(message.id, now)
        if node is None:
            return
        self._check_instance(node, message.instance)
        self._tracker.advertised(node, message, now)
        if message.ls_seq > node.ls_seq and node.id in self._hops and node.state_due(now):
            self._request_state(node, now)

    def _answer_request(self, router_id: str) -> None:
        # One number must not stand for two states: a change not advertised yet gets its number here.
        self._published = self._tracker.publish() or self._published
        self._send(SendToRouter, router_id, self._engine_address(router_id), "LSU", self._own_state())

    def _own_state(self) -> Body:
        peers = self._tracker.own_peers
        return LinkStateUpdate(self.own_id, self.instance, self._tracker.own_seq, peers).body(self.area)

    def _on_address_update(self, update: AddressUpdate, now: float) -> None:
        node = self._tracker.nodes.get(update.id)
        if node is None:
            self._log("ROUTER_MA", "warning", f"Received MAU from an unknown router with router id {update.id}")
            return
        if node.lost:
            return
        changes, ask = self._mobile.receive(update)
        if self._mobile.overflow:
            self._warn_once("\0addresses", "ROUTER_MA", "error", "Too many addresses announced; some are ignored")
        node.mobile_seq = max(node.mobile_seq, update.mobile_seq)
        if ask and node.id in self._hops:
            self._request_addresses(node, now)
        self._publish_changes(update.id, changes)

    def _on_address_request(self, router_id: str, known: int, now: float) -> None:
        if router_id not in self._tracker.nodes:
            self._log("ROUTER_MA", "warning", f"Received MAR from an unknown router with router id {router_id}")
        elif known < self._mobile.mobile_seq and now - self._answered.get(router_id, -1.0) >= ANSWER_INTERVAL:
            self._answered[router_id] = now
            body = self._mobile.absolute().body(self.area)
            to = self._engine_address(router_id) + ".ma"
            self._send(SendToRouter, router_id, to, "MAU", body, RoutingStyle.ADDRESSES)

    # ------------------------------------------------------------------------------------------ consequences

    def _learn(self, router_id: str, now: float) -> Node | None:
        node = self._tracker.learn(router_id, now)
        self._check_overflow()
        return node

    def _check_overflow(self) -> None:
        if self._tracker.overflow:
            text = f"Exceeded Maximum Router Count of {MAX_ROUTERS}; further routers and links are ignored"
            self._warn_once("\0overflow", "ROUTER", "error", text)

    def _check_instance(self, node: Node, instance: int) -> None:
        unknown = node.instance == 0
        if self._tracker.restarted(node, instance):
            self._log("ROUTER", "info", f"Detected Restart of Router Node {node.id}")
            self._forget_addresses(node.id)
        elif unknown and instance:
            # Addresses that came before the instance was known may be those of an earlier one.
            self._mobile.distrust(node.id)
            if self._mobile.revive(node.id, instance) and not node.lost:
                self._restore_addresses(node)

    def _update_paths(self, now: float) -> None:
        """Compute paths anew if the graph changed, and next hops if the links did."""
        paths = self._paths
        if self._tracker.graph_changed and (self._paths_rest is None or now >= self._paths_rest):
            self._tracker.graph_changed = False
            self.last_topology_change = now
            states = self._tracker.collection()
            paths = compute(self.own_id, states)
            # A large graph that changes all the time must leave time for everything else.
            self._paths_rest = now + PATH_COST * len(states) * sum(map(len, states.values()))
        direct = self.neighbours()
        hops = {router: direct[hop] for router, hop in paths.next_hops.items() if hop in direct}
        if hops == self._hops and paths == self._paths:
            return
        self._log("ROUTER_LS", "info", f"Computed next hops: {dict(paths.next_hops)}, costs: {dict(paths.costs)}")
        self._hops, self._paths = hops, paths
        self._flood = tuple(dict.fromkeys(hops.values()))
        self.epoch += 1
        self._actions.append(PathsChanged())
        for node in self._tracker.nodes.values():
            if node.id in hops:
                if node.lost:
                    self._restore_addresses(node)
                node.unreachable_since, node.lost = None, False
            elif node.unreachable_since is None:
                node.unreachable_since = now
                # It may come back as another life that began in the same second and counts from one again.
                node.ls_seq = 0
                self._mobile.distrust(node.id)

    def _expire_unreachable(self, now: float) -> None:
        for node in self._tracker.nodes.values():
            since = node.unreachable_since
            if not node.lost and since is not None and now - since >= HOLDOFF:
                self._lose(node)

    def _lose(self, node: Node) -> None:
        """Take the addresses back; what they were is kept, for most routers that are lost come back."""
        self._answered.pop(node.id, None)
        if node.lost:
            return
        node.lost = True
        self._publish_changes(node.id, [Change(Descriptor(key), False) for key in self._mobile.addresses(node.id)])
        self._actions.append(RouterLost(node.id))

    def _restore_addresses(self, node: Node) -> None:
        self._publish_changes(node.id, [Change(item, True) for item in self._mobile.addresses(node.id).values()])

    def _forget_addresses(self, router_id: str) -> None:
        self._publish_changes(router_id, self._mobile.flush(router_id))

    def _publish_changes(self, router_id: str, changes: Sequence[Change]) -> None:
        for change in changes:
            item = change.descriptor
            self._actions.append(RemoteAddress(router_id, item.key, item.treatment, item.mesh, change.present))

    def _send_requests(self, now: float) -> None:
        for node in self._tracker.nodes.values():
            if node.id not in self._hops:
                continue
            if node.state_due(now):
                self._request_state(node, now)
            if node.addresses_due(self._mobile.known_seq(node.id), now):
                self._request_addresses(node, now)

    def _request_state(self, node: Node, now: float) -> None:
        node.state_wanted = False
        node.state_asked = now
        body = link_state_request(self.own_id, self.area)
        self._send(SendToRouter, node.id, self._engine_address(node.id), "LSR", body)

    def _request_addresses(self, node: Node, now: float) -> None:
        node.addresses_asked = now
        body = address_request(self.own_id, self.area, self._mobile.known_seq(node.id))
        to = self._engine_address(node.id) + ".ma"
        self._send(SendToRouter, node.id, to, "MAR", body, RoutingStyle.ADDRESSES)

    def _advertisement_due(self, now: float) -> bool:
        if self._last_ra is None:
            return True
        changed = self.last_topology_change
        flux = changed is not None and now - changed <= 2 * self._timers.ra_interval_flux
        interval = self._timers.ra_interval_flux if flux else self._timers.ra_interval
        return now - self._last_ra >= interval

    def _send_advertisement(self, now: float) -> None:
        self._last_ra = now
        message = Advertisement(self.own_id, self.instance, self._tracker.own_seq, self._mobile.mobile_seq)
        self._actions.append(Flood(self._all_engines, "RA", message.body(self.area), RoutingStyle.ENGINE))

    def _send_hello(self, conn: int) -> None:
        self._send(SendOnLink, conn, HELLO_ADDRESS, "HELLO", self._hello.hello().body(self.area))

    def _engine_address(self, router_id: str) -> str:
        return f"amqp:/_topo/{self.area}/{router_id}/qdrouter"

    def _send(
        self, kind: type[Any], whom: int | str, to: str, opcode: str, body: Body, style: RoutingStyle | None = None
    ) -> None:
        self._actions.append(kind(whom, to, opcode, body, style or RoutingStyle.ENGINE))

    def _warn_version(self, opcode: str, sender: str, version: int) -> None:
        module = "ROUTER_MA" if opcode in ("MAR", "MAU") else "ROUTER"
        text = f"Received {opcode} at protocol version {version} from {sender}. Ignoring."
        self._warn_once(sender, module, "warning", text)

    def _warn_once(self, about: str, module: str, level: str, text: str) -> None:
        if about not in self._warned and (about[0] == "\0" or len(self._warned) < MAX_WARNED):
            self._warned.add(about)
            self._log(module, level, text)

    def _log(self, module: str, level: str, text: str) -> None:
        self._actions.append(Log(module, level, text))
