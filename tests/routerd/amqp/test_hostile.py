"""Peers that mean harm: each costs the router at most its own connection, and a bounded amount of memory."""

from __future__ import annotations

import contextlib
import gc
import socket
import weakref
from typing import Any

import pytest

from skupper_podman.routerd import parking
from skupper_podman.routerd.amqp import connection, incoming, links
from skupper_podman.routerd.amqp.connection import AmqpConnection
from skupper_podman.routerd.amqp.wire import lib
from skupper_podman.routerd.codec import Described, UByte, UInt, ULong, encode
from skupper_podman.routerd.core.address import Treatment
from skupper_podman.routerd.core.bodies import MAX_COST
from skupper_podman.routerd.management.schema import validate
from skupper_podman.routerd.message import Properties, RouterAnnotations, compose
from skupper_podman.routerd.streams import RELEASED_SETTLED
from tests.fuzz.live import Node, drained
from tests.fuzz.wire import AMQP, begin, detach, end, flow, opened, receiver, sender, transfer

CONTROL = sender(0, None, "qd.router") + receiver(1, None, "qd.router") + sender(3, None, "qd.router-data")
FROM_B = RouterAnnotations(ingress="0/B", trace=("0/B",))


def client(node: Node, role: str = "normal", links: bytes = b"", **more: Any) -> tuple[socket.socket, AmqpConnection]:
    """An open connection with these links."""
    peer, conn = node.connect(node.listener(role))
    node.feed(peer, AMQP + opened(**more) + begin())
    if links:
        node.feed(peer, links)
    assert not conn.closed
    return peer, conn


def waiting(conn: AmqpConnection) -> int:
    """Octets that wait for the peer in its first session."""
    return int(lib.pn_session_outgoing_bytes(lib.pn_session_head(conn.connection, 0)))


def over(node: Node) -> None:
    """Nothing went wrong inside, and nothing is left."""
    node.check()
    for conn in list(node.router.connections.values()):
        conn.lose("end")
        assert conn.held == 0
    node.pass_time(4)
    assert node.router.switch.parked == 0
    assert node.router.connections == {}
    node.check()
    node.close()


def attach_with(capabilities: bytes) -> bytes:
    """An attach whose target has these octets for its capabilities."""
    source = encode(Described(ULong(0x28), [None] * 10))
    target = b"\x40" * 6 + capabilities
    target = b"\x00\x53\x29\xd0" + (4 + len(target)).to_bytes(4) + (7).to_bytes(4) + target
    items = [encode("s"), encode(UInt(3)), encode(False), encode(UByte(2)), encode(UByte(0)), source, target]
    body = b"".join(items)
    body = b"\x00\x53\x12\xd0" + (4 + len(body)).to_bytes(4) + len(items).to_bytes(4) + body
    return (8 + len(body)).to_bytes(4) + b"\x02\x00\x00\x00" + body


@pytest.mark.parametrize("role", ["normal", "inter-router", "edge"])
def test_half_an_array_is_not_echoed(role: str) -> None:
    """Proton keeps an array that claims more elements than it has, and used to crash when we sent it back."""
    node = Node()
    peer, conn = node.connect(node.listener(role))
    node.feed(peer, AMQP + opened() + begin())
    node.feed(peer, attach_with(bytes.fromhex("f00000000b00000002a304") + b"qd.x"))
    link = lib.pn_link_head(conn.connection, 0)
    assert lib.pn_data_encoded_size(lib.pn_terminus_capabilities(lib.pn_link_target(link))) == 0
    assert not conn.closed
    node.check()
    node.close()


def test_a_second_open_ends_the_connection() -> None:
    """Proton passes it on; it must not make a second role beside the first."""
    node = Node()
    peer, conn = node.connect(node.listener("inter-router"))
    node.feed(peer, AMQP + opened() + begin())
    answer = node.feed(peer, opened("other"))
    assert b"open sent twice" in answer
    assert conn.container == "peer"
    node.pass_time(2)
    assert conn.closed
    node.check()
    node.close()


def test_a_fault_of_ours_costs_one_connection() -> None:
    node = Node()
    peer, conn = node.connect(node.listener())
    _, other = node.connect(node.listener())

    def faulty(_session: object) -> None:
        raise ZeroDivisionError

    conn.on_session_open = faulty  # type: ignore[method-assign]
    node.feed(peer, AMQP + opened() + begin())
    assert conn.closed
    assert not other.closed
    assert [type(error) for error in node.errors] == [ZeroDivisionError]
    node.close()


# ------------------------------------------------------------------------------------------ consumers that do not read


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("role", ["normal", "inter-router"])
def test_a_consumer_without_credit_costs_a_bounded_amount(
    settled: bool, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_WAITING", 200_000)
    node = Node()
    _, slow = client(node, links=receiver(0, "q"))
    peer, conn = client(node, role, CONTROL if role == "inter-router" else sender(3, None))
    annotations = FROM_B if role == "inter-router" else None
    octets = compose(annotations, properties=Properties(to="q"), body=b"x" * 5000)
    answers = b""
    for number in range(200):
        answers += node.feed(peer, transfer(3, number, octets, settled=settled))
    assert not conn.closed
    assert 150_000 < waiting(slow) < 250_000
    assert node.router.counters.dropped == (200 - slow.all_links()[0].counters.deliveries if settled else 0)
    # A sender of unsettled deliveries is told: 0x26 is released.
    assert (b"\x00S\x26" in answers) is not settled
    over(node)


def test_a_connections_share_is_divided_among_its_sessions() -> None:
    node = Node()
    peer, conn = client(node)
    whole = conn.session_share()
    for channel in range(1, 50):
        node.feed(peer, begin(channel))
    assert conn.session_share() == whole // 50
    over(node)


def test_deliveries_that_are_never_settled_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_OUTSTANDING", 50)
    node = Node()
    taker, slow = client(node, links=receiver(0, "q"))
    node.feed(taker, flow(0, 1000))
    peer, conn = client(node, "inter-router", CONTROL)
    octets = compose(FROM_B, properties=Properties(to="q"), body="x")
    for number in range(200):
        node.feed(peer, transfer(3, number, octets))
        drained(taker)
    assert len(slow.deliveries) == 50
    assert len(conn.deliveries) == 50
    over(node)


def test_management_replies_that_nobody_reads_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_WAITING", 500_000)
    node = Node()
    peer, conn = client(node, links=receiver(5, "replies") + sender(1, "$management"))
    request = compose(
        None,
        properties=Properties(to="$management", reply_to="replies", correlation_id=1),
        application_properties={"operation": "GET-SCHEMA"},
    )
    for number in range(100):
        node.feed(peer, transfer(1, number, request))
    assert 400_000 < waiting(conn) < 700_000
    assert node.router.counters.dropped > 10
    over(node)


def test_a_peer_that_begins_much_and_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "UNREAD", 500)
    node = Node()
    peer, conn = client(node)
    number = 0
    while not conn.closed and number < 20_000:
        number += 1
        with contextlib.suppress(OSError):
            peer.sendall((sender(0, "a", name="l") + detach(0)) * 10)
        node.turn(1)
    assert conn.end_reason == "peer sends and does not read"
    over(node)


# ------------------------------------------------------------------------------------------ senders that send too much


@pytest.mark.parametrize(("role", "limit"), [("normal", "CLIENT_LINKS"), ("edge", "ROUTER_LINKS")])
def test_links_are_bounded(role: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, limit, 20)
    node = Node()
    peer, conn = client(node, role)
    # Refused ones count: their memory is freed when the peer answers, if it does.
    for number in range(20):
        node.feed(peer, sender(number, "ok") if number % 2 else sender(number, "x", "qd.router"))
    assert not conn.closed
    node.feed(peer, detach(1))
    node.feed(peer, sender(1, "again"))
    assert not conn.condition
    answer = node.feed(peer, sender(20, "one more"))
    assert b"amqp:resource-limit-exceeded" in answer
    node.pass_time(2)
    assert conn.closed
    over(node)


def test_links_of_an_ended_session_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CLIENT_LINKS", 20)
    node = Node()
    peer, conn = client(node)
    for _ in range(5):
        node.feed(peer, begin(1))
        for number in range(15):
            node.feed(peer, sender(number, "x", channel=1, name=f"l{number}"))
        node.feed(peer, end(1))
    assert not conn.closed
    assert conn.links == {}
    over(node)


def test_unfinished_messages_are_held_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "HELD", 100_000)
    node = Node()
    peer, conn = client(node)
    head = b"\x00\x53\x75\xb0\x10\x00\x00\x00"
    answers = b""
    for number in range(40):
        node.feed(peer, sender(number, None, name=f"l{number}"))
        answers += node.feed(peer, transfer(number, number, head + bytes(10_000), more=True))
    assert conn.held <= 110_000
    # And with no end of the head in sight.
    section = b"\x00\x53\x74\xd1\x00\x00\xf0\x00\x00\x00\x00\x02"
    for number in range(40, 80):
        node.feed(peer, sender(number, None, name=f"l{number}"))
        answers += node.feed(peer, transfer(number, number, section + bytes(10_000), more=True))
    assert conn.held <= 110_000
    assert b"too many unfinished messages" in answers
    over(node)


def test_messages_for_edges_that_nobody_knows_wait_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skupper_podman.routerd.switch.MOST_OF_ALL", 100_000)
    assert parking.MOST_OF_ALL > 1 << 20
    node = Node()
    peer, conn = client(node, "inter-router", CONTROL)
    octets = compose(FROM_B, properties=Properties(to="amqp:/_edge/E9/x"), body=b"x" * 5000)
    for number in range(100):
        node.feed(peer, transfer(3, number, octets))
    assert 90_000 < node.router.switch.parked < 120_000
    assert len(conn.deliveries) < 20
    over(node)


@pytest.mark.parametrize("copies", [1, 2])
def test_a_stream_that_keeps_to_no_window_is_held_back(copies: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "OVERRUN", 1 << 20)
    node = Node()
    node.router.rules.default = Treatment.MULTICAST
    takers = [client(node, links=receiver(0, "q")) for _ in range(copies)]
    peer, conn = client(node, "inter-router", CONTROL)
    annotations = RouterAnnotations(flags=7, ingress="0/B", trace=("0/B",))
    head = compose(annotations, properties=Properties(to="q"), application_properties={"x": "y"})
    node.feed(peer, transfer(3, 0, head + b"\x00\x53\x75\xb0\x7f\x00\x00\x00", more=True))
    for _ in range(3000):
        node.feed(peer, transfer(3, 0, bytes(15_000), more=True))
        if conn.closed or conn.condition:
            break
    # Proton holds it to its session's window, which it has overrun.
    assert conn.condition is not None
    assert conn.condition[0] == "amqp:session:window-violation"
    assert all(waiting(slow) < 4 << 20 for _, slow in takers)
    over(node)


def test_a_second_message_to_the_reply_address_of_a_connection_is_refused() -> None:
    node = Node()

    class Told:
        outcomes: list[object]

        def __init__(self) -> None:
            self.outcomes = []

        def received(self, offset: int) -> None: ...

        def outcome(self, outcome: object) -> None:
            self.outcomes.append(outcome)

        def resume(self) -> None: ...

    from skupper_podman.routerd.adaptors.tcp_listener import ListenerFlow, TcpListener
    from skupper_podman.routerd.message import Head
    from skupper_podman.routerd.streams import FAILED_SETTLED, Start

    attributes = validate("tcpListener", {"name": "l", "host": "127.0.0.1", "port": "0", "address": "echo"})
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    entity = TcpListener(node.router, attributes)
    tcp = ListenerFlow(entity, ours, ("127.0.0.1", 1))
    first, second = Told(), Told()
    start = Start(Head(), FROM_B, b"\x00\x53\x75\xa0\x02hi", 0, settled=False, complete=False)
    tcp.begin(start, first)
    tcp.begin(start, second)
    assert second.outcomes == [FAILED_SETTLED]
    assert first.outcomes == []
    assert theirs.recv(10) == b"hi"
    tcp.abort()
    theirs.close()
    entity.delete(drop=True)
    over(node)


# ------------------------------------------------------------------------------------ what peers say of themselves


@pytest.mark.parametrize("cost", [ULong(2**64 - 1), 2**40, -5, "many", True])
def test_a_link_cost_that_cannot_be_announced(cost: object) -> None:
    node = Node()
    _peer, conn = client(node, "inter-router", CONTROL, properties={"qd.inter-router-cost": cost})
    node.pass_time(2)
    assert node.router.routing is not None
    assert 1 <= node.router.routing._costs[conn.identity] <= MAX_COST
    over(node)


def test_large_open_properties_are_refused_by_the_frame_size() -> None:
    node = Node()
    peer, conn = node.connect(node.listener())
    properties = {f"key{number}": "x" * 100 for number in range(500)}
    node.feed(peer, AMQP + opened(properties=properties))
    assert not conn.remote_open
    node.pass_time(2)
    assert conn.closed
    over(node)


def test_mesh_ids_that_change_all_the_time_cost_one_look_at_the_table_a_second() -> None:
    node = Node()
    peer, conn = client(node, "edge", sender(0, "_$qd.mesh_discovery"))
    seen: list[str] = []
    tell = node.router.edge_mesh
    node.router.edge_mesh = lambda which, mesh: (seen.append(mesh), tell(which, mesh))[1]  # type: ignore[method-assign]
    for number in range(50):
        octets = compose(RouterAnnotations(), application_properties={"meshid": f"{number:015}"})
        node.feed(peer, transfer(0, number, octets, settled=True))
    node.pass_time(3)
    assert seen == [f"{0:015}", f"{49:015}"]
    assert conn.mesh == f"{49:015}"
    over(node)


def test_addresses_as_long_as_a_frame_are_served() -> None:
    node = Node()
    long = "a/" * 7000 + "z"
    peer, conn = client(node, links=receiver(0, long) + flow(0, 5) + sender(1, None))
    octets = compose(None, properties=Properties(to=long), body="x")
    answer = node.feed(peer, transfer(1, 0, octets[:8000], more=True) + transfer(1, 0, octets[8000:]))
    assert len(answer) > 14_000
    longer = compose(None, properties=Properties(to="b" * 70_000), body="x")
    answer = b""
    for at in range(0, len(longer), 8000):
        answer += node.feed(peer, transfer(1, 1, longer[at : at + 8000], more=at + 8000 < len(longer)))
    assert b"message head exceeds" in answer
    assert not conn.closed
    assert RELEASED_SETTLED.settled
    over(node)


@pytest.mark.parametrize("role", ["normal", "inter-router", "edge"])
def test_a_closed_connection_is_freed_without_the_collector(role: str) -> None:
    """The collector looks at old objects very rarely: connections that come and go must not wait for it."""
    node = Node()
    more = b"" if role == "normal" else CONTROL if role == "inter-router" else sender(7, "_$qd.mesh_discovery")
    gc.collect()
    gc.disable()
    try:
        alive = []
        for _ in range(3):
            links = sender(4, "q") + receiver(5, "q") + sender(6, None) + receiver(8, None, dynamic=True)
            peer, conn = client(node, role, more + links)
            node.feed(peer, transfer(4, 0, compose(None, properties=Properties(to="q"), body="x")))
            alive += [weakref.ref(conn), *(weakref.ref(link) for link in conn.all_links())]
            peer.close()
            node.turn()
            assert conn.closed
            del peer, conn
        node.pass_time(65)
        left = [reference() for reference in alive if reference() is not None]
        assert left == []
    finally:
        gc.enable()
    over(node)
