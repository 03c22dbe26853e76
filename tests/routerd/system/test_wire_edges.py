"""Edge routers under interiors of every kind: links, tracking, a second interior to fall back to."""

from __future__ import annotations

import socket

import pytest
from proton import Message

from tests.routerd.system.amqpclients import Collector, Producer
from tests.routerd.system.lab import Entity, Lab, Router, exchange, free_port, tcp_connector, wait_for
from tests.routerd.system.plan import Plan, addresses, kinds, serves

#: Interior, then edge.
UNDER = kinds("PP", "SP", "PS", "TP", "PT")


def is_open(port: int) -> bool:
    """Whether somebody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def manage(router: Router, operation: str, entity: Entity, node: str = "$management") -> None:
    """CREATE or DELETE an entity."""
    kind, attributes = entity
    names = {"operation": operation, "type": f"io.skupper.router.{kind}", "name": attributes["name"]}
    answer = router.request(names, attributes if operation == "CREATE" else {}, node)
    assert answer.properties["statusCode"] in (201, 204), answer.properties


@pytest.mark.parametrize("word", UNDER)
def test_edge_and_interior_reach_each_other(lab: Lab, word: str) -> None:
    inner, edge = f"{word[0]}1", f"{word[1]}2"
    plan = Plan(lab).interior(inner).edge(edge).link(inner, edge)
    fronts = [plan.front(inner, "on-edge:1"), plan.front(edge, "on-inner:1")]
    plan.serve(edge, "on-edge:1")
    plan.serve(inner, "on-inner:1")
    routers = plan.start()
    for front in fronts:
        serves(front)
        assert exchange(front, bytes(2_000_000)) == bytes(2_000_000)
    assert {f"H{edge}", "Mon-edge:1"} <= addresses(routers[inner])
    mesh = [conn["meshId"] for conn in routers[inner].query("connection") if conn["container"] == edge]
    assert len(mesh[0]) == 15
    # Management of the edge through the interior.
    answer = routers[inner].query("router", f"amqp:/_edge/{edge}/$management")
    assert answer[0]["id"] == edge


@pytest.mark.parametrize("word", kinds("PPP", "SPS", "PSP", "PSS", "SPP"))
def test_listener_opens_and_closes_with_a_connector_anywhere(lab: Lab, word: str) -> None:
    """An edge follows a connector on the far interior, on its own interior and on itself."""
    far, inner, edge = (f"{kind}{number}" for number, kind in enumerate(word, 1))
    plan = Plan(lab).interior(far, inner).edge(edge).link(far, inner).link(inner, edge)
    front = plan.front(edge)
    server = lab.server()
    routers = plan.meet(30)
    assert not is_open(front)
    service = tcp_connector(server.port)
    for name in (far, inner, edge):
        wait_for(lambda name=name: routers[name].query("tcpListener") is not None, "router answers")
        manage(routers[name], "CREATE", service)
        serves(front)
        manage(routers[name], "DELETE", service)
        wait_for(lambda: not is_open(front), f"closed after {name}", 20)


@pytest.mark.parametrize("word", kinds("PPP", "SSP", "PSP", "SPP", "PPS", "TTP"))
def test_second_interior_takes_over_and_keeps(lab: Lab, word: str) -> None:
    one, two, edge = (f"{kind}{number}" for number, kind in enumerate(word, 1))
    plan = Plan(lab).interior(one, two).edge(edge).link(one, two)
    plan.link(one, edge).link(two, edge)
    fronts = {one: plan.front(one, "edge:1"), two: plan.front(two, "edge:1")}
    uplink = plan.front(edge, "two:1")
    plan.serve(edge, "edge:1")
    for name in (one, two):
        plan.serve(name, "two:1")
    routers = plan.meet(30)
    for front in (*fronts.values(), uplink):
        serves(front)

    def active() -> str:
        found = [conn for conn in routers[edge].query("connection") if conn["role"] == "edge" and conn["active"]]
        assert len(found) <= 1
        return str(found[0]["container"]) if found else ""

    first = wait_for(active, "an active connection")
    second = two if first == one else one
    standby = [conn["identity"] for conn in routers[second].query("connection") if conn["container"] == edge]
    if standby:
        links = [link for link in routers[second].query("router.link") if link["connectionId"] == standby[0]]
        assert links == []
    routers[first].kill()
    wait_for(lambda: active() == second, "the second takes over", 10)
    serves(fronts[second], 10)
    serves(uplink, 10)
    routers[first].start()
    plan.complete(30)
    serves(fronts[first])
    assert active() == second


@pytest.mark.parametrize("word", kinds("PPP", "SPP", "PSS", "PSP", "SPS"))
def test_multicast_between_edges_arrives_once(lab: Lab, word: str) -> None:
    inner, one, two = (f"{kind}{number}" for number, kind in enumerate(word, 1))
    plan = Plan(lab).interior(inner).edge(one, two).link(inner, one).link(inner, two)
    routers = plan.start()
    for edge in (one, two):
        wait_for(lambda edge=edge: f"H{edge}" in addresses(routers[inner]), f"{edge} is there", 20)
    collectors = {name: Collector(routers[name].port, "mc.all") for name in (inner, one, two)}
    wait_for(lambda: "Mmc.all" in addresses(routers[inner]), "the address")
    producer = Producer(routers[one].port, "mc.all")
    wait_for(lambda: producer.credit > 0, "credit")

    def complete() -> bool:
        producer.send(Message(body="probe"))
        return all("probe" in collector.bodies for collector in collectors.values())

    wait_for(complete, "everybody hears")
    for number in range(20):
        producer.send(Message(body=number))
    wait_for(lambda: all(19 in collector.bodies for collector in collectors.values()), "the last one")
    for collector in collectors.values():
        assert [body for body in collector.bodies if body != "probe"] == list(range(20))
        collector.close()
    producer.close()


@pytest.mark.parametrize("word", kinds("PPPP", "PSPS", "SPSP", "PSSP", "SPPS"))
def test_edge_to_edge_over_two_interiors(lab: Lab, word: str) -> None:
    edge, inner, other, far = (f"{kind}{number}" for number, kind in enumerate(word, 1))
    plan = Plan(lab).interior(inner, other).edge(edge, far)
    plan.link(inner, other).link(inner, edge).link(other, far)
    front, back = plan.front(edge, "far:1", siteId="site"), plan.front(far, "near:1")
    plan.serve(far, "far:1")
    plan.serve(edge, "near:1")
    plan.meet(30)
    for port in (front, back):
        serves(port)
        assert exchange(port, bytes(3_000_000)) == bytes(3_000_000)


@pytest.mark.parametrize("word", UNDER)
def test_edge_that_restarts(lab: Lab, word: str) -> None:
    inner, edge = f"{word[0]}1", f"{word[1]}2"
    plan = Plan(lab).interior(inner).edge(edge).link(inner, edge)
    front = plan.front(inner)
    plan.serve(edge)
    routers = plan.start()
    serves(front)
    routers[edge].kill()
    wait_for(lambda: f"H{edge}" not in addresses(routers[inner]), "the edge is gone")
    wait_for(lambda: not is_open(front), "the listener closes")
    routers[edge].start()
    serves(front)
    assert free_port()
