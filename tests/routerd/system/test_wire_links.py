"""Connections and links between two routers, both ways round and with every kind of peer."""

from __future__ import annotations

import re
import signal
import socket
import time

import pytest
from proton import symbol
from proton.utils import BlockingConnection, LinkDetached

from tests.routerd.system.lab import Lab, Router, connect, exchange, free_port, profile, wait_for
from tests.routerd.system.plan import PAIRS, Plan, costs, kinds, link_states, reached, serves


@pytest.mark.parametrize("pair", PAIRS)
def test_two_routers_meet_at_the_larger_cost(lab: Lab, pair: str) -> None:
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(here, there).link(here, there, cost=2, listening={"cost": 3})
    routers = plan.meet()
    wait_for(lambda: costs(routers[here]) == {there: 3}, "cost of the larger")
    wait_for(lambda: costs(routers[there]) == {here: 3}, "cost of the larger")
    for router in routers.values():
        wait_for(lambda router=router: link_states(router) == {here: [there], there: [here]}, "link states")


@pytest.mark.parametrize("trunking", ["0", "2"])
@pytest.mark.parametrize("pair", PAIRS)
def test_streams_with_and_without_data_connections(lab: Lab, pair: str, trunking: str) -> None:
    listening, connecting = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(listening).interior(connecting, dataConnectionCount=trunking)
    plan.link(listening, connecting)
    fronts = [plan.front(listening, "a:1"), plan.front(connecting, "b:1")]
    plan.serve(connecting, "a:1")
    plan.serve(listening, "b:1")
    routers = plan.meet()
    data = bytes(range(256)) * 12_000
    for front in fronts:
        serves(front)
        assert exchange(front, data) == data
    for router in routers.values():
        roles = [conn["role"] for conn in router.query("connection")]
        assert roles.count("inter-router-data") == int(trunking)
        assert roles.count("inter-router") == 1


@pytest.mark.parametrize("pair", PAIRS)
def test_mutual_tls(lab: Lab, pair: str) -> None:
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(here, there)
    tls = profile(lab.directory)
    plan.entity(here, tls).entity(there, tls)
    demanding = {"sslProfile": "tls", "saslMechanisms": "EXTERNAL", "authenticatePeer": True}
    plan.link(here, there, tls=True, listening=demanding)
    front = plan.front(here)
    plan.serve(there)
    routers = plan.meet()
    serves(front)
    for router, other in ((here, there), (there, here)):
        found = [conn for conn in routers[router].query("connection") if conn["container"] == other]
        assert all(conn["isEncrypted"] and conn["sasl"] == "EXTERNAL" for conn in found)


ANY_TLS = re.compile("certificate|TLS|SSL", re.IGNORECASE)


def message(router: Router) -> str:
    """What a router says of its only connector."""
    return str(router.query("connector")[0]["connectionMsg"])


@pytest.mark.parametrize("pair", PAIRS)
def test_foreign_certificate_is_refused(lab: Lab, pair: str) -> None:
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(here, there)
    for name in (here, there):
        directory = lab.directory / name
        directory.mkdir()
        plan.entity(name, profile(directory))
    demanding = {"sslProfile": "tls", "saslMechanisms": "EXTERNAL", "authenticatePeer": True}
    plan.link(here, there, tls=True, listening=demanding)
    routers = plan.start()
    wait_for(lambda: routers[here].query("listener"), "the listener's router answers")
    wait_for(lambda: ANY_TLS.search(message(routers[there])), "the handshake fails")
    assert routers[there].query("connector")[0]["connectionStatus"] != "SUCCESS"
    assert reached(routers[here]) == [here]
    assert reached(routers[there]) == [there]


@pytest.mark.parametrize("pair", kinds("PP", "PS", "SP"))
def test_idle_connections_stay(lab: Lab, pair: str) -> None:
    """With an idle time of 2 s, 7 s show that empty frames flow on every connection."""
    here, there, edge = f"{pair[0]}1", f"{pair[1]}2", f"{pair[1]}3"
    plan = Plan(lab).interior(here).interior(there, dataConnectionCount="2").edge(edge)
    quick = {"idleTimeoutSeconds": 2}
    plan.link(here, there, listening=quick, **quick)
    plan.link(here, edge, listening=quick, **quick).link(here, edge, listening=quick, **quick)
    routers = plan.meet()

    def identities(name: str) -> set[str]:
        mine = [conn for conn in routers[name].query("connection") if conn["container"] in routers]
        return {str(conn["identity"]) for conn in mine}

    wait_for(lambda: len(identities(here)) == 5, "all five connections")
    before = {name: identities(name) for name in routers}
    time.sleep(7)
    assert {name: identities(name) for name in routers} == before


@pytest.mark.parametrize("pair", kinds("PP", "SP", "TP", "PS"))
def test_duplicate_id_is_told_and_ignored(lab: Lab, pair: str) -> None:
    """Two connectors of one id meet a third router; and a router with the listener's own id is no neighbour."""
    first, twin = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(first, twin).link(first, twin)
    plan.start()
    routers = plan.routers
    wait_for(lambda: reached(routers[first]) == sorted([first, twin]), "they meet")
    routers[twin].stop()
    time.sleep(1.1)  # routers that start in the same second cannot be told apart
    entities = routers[twin].entities
    entities[0] = ("router", {**entities[0][1], "id": first})
    routers[twin].start()
    mine = routers[first if pair[0] == "P" else twin]
    words = f"Detected Neighbor Router with a Duplicate ID - {first}"
    wait_for(lambda: mine.log.count(words) == 1, "the duplicate is told", 20)
    time.sleep(2.5)
    assert mine.log.count(words) == 1
    wait_for(lambda: routers[first].query("router.node")[0]["linkState"] == [], "no neighbour is left", 20)


@pytest.mark.parametrize("pair", PAIRS)
def test_parallel_connections(lab: Lab, pair: str) -> None:
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    ports = [free_port(), free_port()]
    plan = Plan(lab).interior(here, there)
    for port in ports:
        plan.link(here, there, port=port)
    front = plan.front(here)
    plan.serve(there)
    routers = plan.meet()
    serves(front)
    for _ in range(20):
        assert exchange(front, b"x" * 50_000) == b"x" * 50_000
    deleted = routers[there].request(
        {"operation": "DELETE", "type": "io.skupper.router.connector", "name": f"to-{here}-{ports[0]}"}, {}
    )
    assert deleted.properties["statusCode"] == 204
    wait_for(lambda: exchange(front, b"again") == b"again", "service over the other", 15)
    assert reached(routers[here]) == sorted([here, there])


@pytest.mark.parametrize("pair", PAIRS)
def test_client_on_a_normal_listener_is_no_router(lab: Lab, pair: str) -> None:
    from proton.reactor import LinkOption

    class Capability(LinkOption):
        def apply(self, link: object) -> None:
            link.target.capabilities.put_object(symbol("qd.router"))  # type: ignore[attr-defined]

    router = lab.router(f"{pair[0]}1", "interior")
    wait_for(lambda: router.query("router.node"), "router answers")
    conn = BlockingConnection(f"127.0.0.1:{router.port}", timeout=5)
    with pytest.raises(LinkDetached, match="forbidden"):
        conn.create_sender(None, options=Capability())
    conn.close()


@pytest.mark.parametrize("pair", PAIRS)
def test_neighbour_that_dies_or_freezes(lab: Lab, pair: str) -> None:
    """The P of the pair notices a killed peer at once, a frozen one within the age of its HELLOs."""
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(here, there).link(here, there)
    routers = plan.meet()
    other = routers[there if pair[0] == "P" else here]
    mine = routers[here if pair[0] == "P" else there]
    assert other.process is not None
    other.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: reached(mine) == [mine.name], "the frozen neighbour is dropped", 8)
    finally:
        other.process.send_signal(signal.SIGCONT)
    plan.complete()
    other.kill()
    wait_for(lambda: reached(mine) == [mine.name], "the dead neighbour is dropped", 3)
    other.start()
    plan.complete()


@pytest.mark.parametrize("pair", kinds("PP", "PS", "SP"))
def test_frozen_peer_is_disconnected_within_twice_its_idle_time(lab: Lab, pair: str) -> None:
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    quick = {"idleTimeoutSeconds": 3}
    plan = Plan(lab).interior(here, there).link(here, there, listening=quick, **quick)
    routers = plan.meet()
    mine, other = (routers[here], routers[there]) if pair[0] == "P" else (routers[there], routers[here])
    assert other.process is not None
    other.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(
            lambda: not [conn for conn in mine.query("connection") if conn["container"] == other.name],
            "the connection is given up",
            12,
        )
    finally:
        other.process.send_signal(signal.SIGCONT)
    plan.complete()


def test_silent_stranger_is_disconnected(lab: Lab) -> None:
    """A peer that opens a socket and says nothing does not stay for ever."""
    port = free_port()
    more = {"initialHandshakeTimeoutSeconds": 1}
    plan = Plan(lab).interior("P1", "P2").link("P1", "P2", port=port, listening=more)
    plan.meet()
    sock = connect(port)
    sock.settimeout(10)
    try:
        assert sock.recv(1) == b""
    except ConnectionResetError:
        pass
    finally:
        sock.close()
    assert socket.create_connection(("127.0.0.1", port), timeout=5).close() is None
