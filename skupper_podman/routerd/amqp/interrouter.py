"""Links between interior routers: the control link, ten data links a direction, streaming links, trunk groups.

What always holds: the connecting side opens the permanent links, the listening side mirrors them in the
order of arrival, which alone tells a data link's priority; the routing engine knows a neighbour's
connection exactly while both control links are attached; data connections carry streams only and wait
in their group when they come before the main connection, or outlive it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from skupper_podman.routerd.amqp.connection import TRUNKING, AmqpConnection, Role
from skupper_podman.routerd.amqp.endpoints import WRONG_ROLE, attach_receiving, attach_sending, capabilities
from skupper_podman.routerd.amqp.incoming import InDelivery
from skupper_podman.routerd.amqp.links import DEFAULT_CAPACITY, InLink, Link, OutLink, echo_termini, new_link, refuse
from skupper_podman.routerd.amqp.wire import Pointer, lib
from skupper_podman.routerd.core.bodies import MAX_COST
from skupper_podman.routerd.streams import Outcome, Sink, Start

if TYPE_CHECKING:
    from skupper_podman.routerd.neighbours import Neighbours
    from skupper_podman.routerd.router import Router

CONTROL: Final = "qd.router"
DATA: Final = "qd.router-data"
PRIORITIES: Final = 10
#: Streaming links attached before there is a stream.
_PREPARED: Final = 2


class Group:
    """The connections of one inter-router link that share a correlator."""

    def __init__(self) -> None:
        self.main: AmqpConnection | None = None
        self.data: list[AmqpConnection] = []
        self._turn = 0

    def stream_connection(self) -> AmqpConnection | None:
        """The next data connection in turn; None when there is none."""
        if not self.data:
            return None
        self._turn += 1
        return self.data[self._turn % len(self.data)]


class Groups:
    """All groups of a router, by correlator."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def get(self, correlator: str) -> Group:
        """The group, made when it is not known yet."""
        return self._groups.setdefault(correlator, Group())

    def leave(self, correlator: str, conn: AmqpConnection) -> None:
        """A connection is gone; an empty group is forgotten."""
        group = self._groups.get(correlator)
        if group is None:
            return
        if group.main is conn:
            group.main = None
        if conn in group.data:
            group.data.remove(conn)
        if group.main is None and not group.data:
            del self._groups[correlator]


def correlator_of(conn: AmqpConnection) -> str:
    """The group correlator in the connecting side's open; empty when there is none."""
    for key, value in conn.extra_properties.items():
        if str(key) == "qd.group-correlator":
            return str(value)
    value = conn.remote_properties.get("qd.group-correlator")
    return str(value) if isinstance(value, str) and conn.incoming else ""


class InterRouterRole(Role):
    """A main connection to another interior router."""

    annotated_in = annotated_out = True

    def __init__(self, conn: AmqpConnection, neighbours: Neighbours) -> None:
        super().__init__(conn)
        self._neighbours = neighbours
        self.control_out: OutLink | None = None
        self.control_in: InLink | None = None
        self._data_out: list[OutLink] = []
        self._data_in: list[InLink] = []
        self._answered: set[Link] = set()
        self._up = False
        self._correlator = correlator_of(conn)
        self._group: Group | None = None

    # -- setting up --------------------------------------------------------------------------------

    def opening(self) -> None:
        """Open the permanent links without waiting for the peer: on a slow network a round trip counts."""
        self._open_pair(CONTROL)
        for _ in range(PRIORITIES):
            self._open_pair(DATA)
        if not self._correlator:
            self.conn.prepare_streams(_PREPARED)

    def opened(self) -> None:
        """Join the group."""
        if self._correlator:
            self._group = self.conn.router.groups.get(self._correlator)
            self._group.main = self.conn

    def _open_pair(self, capability: str) -> None:
        conn = self.conn
        session = conn.begin_session()
        receiver = new_link(session, sender=False, capability=capability)
        sender = new_link(session, sender=True, capability=capability)
        incoming = self._add_in(receiver, capability)
        self._add_out(sender, capability)
        lib.pn_link_open(receiver)
        lib.pn_link_open(sender)
        incoming.grant(DEFAULT_CAPACITY)

    def _add_in(self, pointer: Pointer, capability: str) -> InLink:
        conn = self.conn
        if capability == CONTROL:
            link = InLink(conn, pointer, self._control_message, kind="router-control")
            link.priority = 9
            self.control_in = link
            link.on_closed = self._control_lost
            return link
        switch = conn.router.switch
        link = InLink(conn, pointer, lambda delivery, start: switch.from_link(delivery.link, start, None, None))
        link.kind = "inter-router"
        if len(self._data_in) < PRIORITIES:
            link.priority = len(self._data_in)
            self._data_in.append(link)
        return link

    def _add_out(self, pointer: Pointer, capability: str) -> OutLink:
        if capability == CONTROL:
            link = OutLink(self.conn, pointer, kind="router-control")
            link.priority = 9
            link.owning_key = "Lqdhello"
            link.on_closed = self._control_lost
            self.control_out = link
            return link
        link = OutLink(self.conn, pointer, kind="inter-router")
        if len(self._data_out) < PRIORITIES:
            link.priority = len(self._data_out)
            self._data_out.append(link)
        return link

    def attach(self, pointer: Pointer) -> None:
        """Mirror a permanent link, or take a streaming link."""
        sender = bool(lib.pn_link_is_sender(pointer))
        wanted = capabilities(pointer, sender=sender)
        kind = CONTROL if CONTROL in wanted else DATA if DATA in wanted else None
        if kind is None:
            if self.control_out is None and self.control_in is None:
                words = "Link attach forbidden on inter-router connection"
                refuse(self.conn, pointer, WRONG_ROLE, words)
            elif sender:
                attach_sending(self.conn, pointer)
            else:
                attach_receiving(self.conn, pointer)
            return
        echo_termini(pointer)
        if sender:
            link: Link = self._add_out(pointer, kind)
            lib.pn_link_open(pointer)
        else:
            incoming = self._add_in(pointer, kind)
            lib.pn_link_open(pointer)
            incoming.grant(DEFAULT_CAPACITY)
            link = incoming
        self.conn.touch()
        self.answered(link)

    def answered(self, link: Link) -> None:
        """A link exists on both sides; with both control links the routing engine begins."""
        if link is not self.control_in and link is not self.control_out:
            return
        self._answered.add(link)
        if len(self._answered) == 2 and not self._up:
            self._up = True
            if self.conn.incoming and not self._correlator:
                self.conn.prepare_streams(_PREPARED)
            self._neighbours.up(self.conn, self._cost())

    def _cost(self) -> int:
        remote = self.conn.remote_properties.get("qd.inter-router-cost")
        cost = int(remote) if isinstance(remote, int) and not isinstance(remote, bool) and remote > 0 else 1
        return min(max(cost, self.conn.settings.cost), MAX_COST)

    # -- use ---------------------------------------------------------------------------------------

    def data_link(self, priority: int) -> OutLink | None:
        """The link of a priority, or of the next lower one that exists."""
        links = self._data_out
        for index in range(min(priority, len(links) - 1), -1, -1):
            if links[index].pointer is not None:
                return links[index]
        return None

    def stream_connection(self) -> AmqpConnection:
        """The connection that takes the next stream to this neighbour."""
        conn = self.conn
        if self._group is not None and TRUNKING in conn.remote_capabilities:
            return self._group.stream_connection() or conn
        return conn

    def _control_message(self, delivery: InDelivery, _start: Start) -> Sink | Outcome:
        return self._neighbours.sink(self.conn)

    # -- end ---------------------------------------------------------------------------------------

    def _control_lost(self) -> None:
        if self._up:
            self._up = False
            self._neighbours.down(self.conn)

    def lost(self) -> None:
        """Tell the routing engine, leave the group."""
        self._control_lost()
        if self._correlator:
            self.conn.router.groups.leave(self._correlator, self.conn)


class DataRole(Role):
    """A connection of a group that carries streams only."""

    annotated_in = annotated_out = True

    def __init__(self, conn: AmqpConnection) -> None:
        super().__init__(conn)
        self._correlator = correlator_of(conn)

    def opened(self) -> None:
        """Join the group, which may still wait for its main connection."""
        if not self._correlator:
            self.conn.router.log.error("SERVER", f"[C{self.conn.identity}] Data connection without group correlator")
            self.conn.close()
            return
        self.conn.router.groups.get(self._correlator).data.append(self.conn)

    def attach(self, pointer: Pointer) -> None:
        """Take a streaming link; nothing else belongs here."""
        if lib.pn_link_is_sender(pointer):
            refuse(self.conn, pointer, WRONG_ROLE, "Only streaming links are allowed on a data connection")
        else:
            attach_receiving(self.conn, pointer)

    def lost(self) -> None:
        """Leave the group."""
        if self._correlator:
            self.conn.router.groups.leave(self._correlator, self.conn)


def neighbour_role(router: Router, identity: int) -> Any:
    """The role object of a neighbour's main connection, None when it is gone."""
    conn = router.connections.get(identity)
    return conn.role if conn is not None and isinstance(conn.role, InterRouterRole) else None
