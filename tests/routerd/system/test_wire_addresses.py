"""Addresses, treatments and outcomes across two and three routers of every kind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from proton import Delivery, Message
from proton.utils import BlockingConnection

from tests.routerd.system.amqpclients import Collector, Producer
from tests.routerd.system.lab import Lab, Router, exchange, wait_for
from tests.routerd.system.plan import Plan, addresses, kinds, serves
from tests.routerd.system.test_wire_topologies import named

LINES = kinds("PPP", "SPS", "PSP", "TPT", "PTP")


def line(lab: Lab, word: str) -> list[Router]:
    """Three routers in a line that know one another."""
    names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    for name in names:
        plan.entity(name, ("address", {"prefix": "close", "distribution": "closest"}))
        plan.entity(name, ("address", {"prefix": "nobody", "distribution": "unavailable"}))
    routers = plan.meet(30)
    return [routers[name] for name in names]


def known(address: str, *routers: Router) -> None:
    """Wait until routers have a destination for an address."""
    for router in routers:
        wait_for(lambda router=router: f"M{address}" in addresses(router), f"{router.name} knows {address}")


@pytest.mark.parametrize("word", LINES)
def test_treatments(lab: Lab, word: str) -> None:
    first, middle, last = line(lab, word)
    everywhere = [Collector(router.port, "mc.news") for router in (first, middle, last)]
    close = [Collector(router.port, "close.one") for router in (middle, last)]
    even = [Collector(router.port, "even") for router in (middle, last)]
    for address in ("mc.news", "close.one", "even"):
        known(address, first)
    wait_for(lambda: remotes(first, "Meven") == 2, "both remote consumers")
    wait_for(lambda: remotes(first, "Mclose.one") == 2, "both remote consumers")
    wait_for(lambda: remotes(first, "Mmc.news") == 2, "both remote consumers")

    news = Producer(first.port, "mc.news")
    for number in range(20):
        news.send(Message(body=number))
    for collector in everywhere:
        wait_for(lambda collector=collector: sorted(collector.bodies) == list(range(20)), "each exactly once")

    sender = Producer(first.port, "close.one")
    for number in range(20):
        sender.send(Message(body=number))
    wait_for(lambda: len(close[0].messages) == 20, "the cheaper one gets all")
    assert close[1].messages == []

    for collector in even:
        collector.outcome = None
    spread = Producer(first.port, "even")
    for number in range(100):
        spread.send(Message(body=number))
    wait_for(lambda: sum(len(collector.messages) for collector in even) == 100, "all arrive")
    # A backlog at the nearer consumer spills to the farther one: their costs differ by one.
    assert min(len(collector.messages) for collector in even) >= 40
    for client in (*everywhere, *close, *even, news, sender, spread):
        client.close()


def remotes(router: Router, key: str) -> int:
    """How many other routers have consumers of an address."""
    return sum(int(item["remoteCount"]) for item in router.query("router.address") if item["key"] == key)


@pytest.mark.parametrize("word", LINES)
def test_outcomes_travel_back(lab: Lab, word: str) -> None:
    first, _, last = line(lab, word)
    collector = Collector(last.port, "judge")
    known("judge", first)
    producer = Producer(first.port, "judge")
    wanted = [Delivery.ACCEPTED, Delivery.REJECTED, Delivery.RELEASED, Delivery.MODIFIED]
    for count, outcome in enumerate(wanted, 1):
        collector.outcome = outcome
        producer.send(Message(body=count))
        wait_for(lambda count=count: len(producer.states) == count, "an outcome")
    assert producer.states == wanted
    assert producer.conditions[1].name == "test:refused"
    # Lost while unsettled: modified with delivery-failed. Presettled: arrives, no outcome.
    collector.outcome = None
    producer.send(Message(body="held"))
    wait_for(lambda: collector.bodies[-1] == "held", "delivery")
    collector.close()
    wait_for(lambda: producer.states[4:] == [Delivery.MODIFIED], "the loss is told")
    known_no_more("judge", first)
    again = Collector(last.port, "judge")
    wait_for(lambda: remotes(first, "Mjudge") == 1 and producer.credit > 0, "credit again")
    producer.send(Message(body="presettled"), presettled=True)
    wait_for(lambda: again.bodies == ["presettled"], "presettled delivery")
    for client in (producer, again):
        client.close()


@pytest.mark.parametrize("kind", kinds("P", "S"))
def test_anonymous_senders(lab: Lab, kind: str) -> None:
    router = lab.router(f"{kind}1", "interior")
    wait_for(lambda: router.query("router.node"), "router answers")
    collector = Collector(router.port, "here")
    producer = Producer(router.port, None)
    wait_for(lambda: producer.credit > 0, "credit")
    producer.send(Message(address="here", body=1))
    producer.send(Message(address="not-here", body=2))
    producer.send(Message(body=3))
    wait_for(lambda: len(producer.states) == 3, "outcomes")
    assert sorted(producer.states) == sorted([Delivery.ACCEPTED, Delivery.RELEASED, Delivery.REJECTED])
    names = [condition.name for condition in producer.conditions if condition]
    assert names == ["amqp:precondition-failed"]
    assert collector.bodies == [1]
    for client in (collector, producer):
        client.close()


@pytest.mark.parametrize("word", kinds("PP", "PS", "SP"))
def test_credit_comes_and_goes_with_the_consumer(lab: Lab, word: str) -> None:
    names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    routers = plan.meet()
    here, there = routers[names[0]], routers[names[1]]
    producer = Producer(here.port, "later")
    time.sleep(0.5)
    assert producer.credit == 0
    collector = Collector(there.port, "later")
    wait_for(lambda: producer.credit > 0, "credit")
    collector.close()
    known_no_more("later", here)
    if word[0] == "S":  # a skrouterd takes the credit back with the first message that finds nobody
        producer.send(Message(body="to nobody"))
        wait_for(lambda: producer.states == [Delivery.RELEASED], "released")
    wait_for(lambda: producer.credit == 0, "the rest is drained")
    producer.close()


def known_no_more(address: str, router: Router) -> None:
    """Wait until no other router has consumers."""
    wait_for(lambda: remotes(router, f"M{address}") == 0, f"{address} is gone")


@pytest.mark.parametrize("word", kinds("PP", "PS", "SP"))
def test_drain(lab: Lab, word: str) -> None:
    """A receiver that drains gets what there is, and then its credit is used up."""
    names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    routers = plan.meet()
    conn = BlockingConnection(f"127.0.0.1:{routers[names[0]].port}", timeout=10)
    receiver = conn.create_receiver("drained", credit=0)
    known("drained", routers[names[1]])
    producer = Producer(routers[names[1]].port, "drained")
    wait_for(lambda: producer.credit > 0, "credit")
    for number in range(3):
        producer.send(Message(body=number))
    time.sleep(1)  # so that they wait for credit when the drain comes
    receiver.link.drain(10)
    conn.wait(lambda: len(receiver.fetcher.incoming) == 3 and receiver.link.credit == 0, timeout=10)
    assert [receiver.fetcher.pop().body for _ in range(3)] == [0, 1, 2]
    conn.close()
    producer.close()


@pytest.mark.parametrize("word", LINES)
def test_messages_of_any_length(lab: Lab, word: str) -> None:
    first, _, last = line(lab, word)
    collector = Collector(last.port, "long")
    known("long", first)
    producer = Producer(first.port, "long")
    bodies = [os.urandom(size) for size in (0, 1, 16_000, 70_000, 300_000, 5_000_000)]
    for body in bodies:
        producer.send(Message(body=body))
    wait_for(lambda: len(producer.states) == len(bodies), "outcomes", 30)
    assert sorted(map(bytes, collector.bodies), key=len) == bodies
    assert set(producer.states) == {Delivery.ACCEPTED}
    producer.close()
    collector.close()


@pytest.mark.parametrize("word", kinds("PP", "PS", "SP", "PT"))
def test_priorities_have_links_of_their_own(lab: Lab, word: str) -> None:
    names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    routers = plan.meet()
    here, there = routers[names[0]], routers[names[1]]
    collector = Collector(there.port, "ranked")
    known("ranked", here)
    producer = Producer(here.port, "ranked")
    for priority in range(10):
        for _ in range(priority + 1):
            producer.send(Message(body=priority, priority=priority))
    wait_for(lambda: len(collector.messages) == 55, "all arrive")

    def counts() -> dict[int, int]:
        links = here.query("router.link")
        out = [link for link in links if link["linkType"] == "inter-router" and link["linkDir"] == "out"]
        return {int(link["priority"]): int(link["deliveryCount"]) for link in out}

    wait_for(lambda: counts() == {priority: priority + 1 for priority in range(10)}, "a link for each")
    producer.close()
    collector.close()


# Two of ours: see test_wire_churn.
@pytest.mark.parametrize("word", kinds("PS", "SP", "PT", "TP"))
def test_many_addresses_come_and_go(lab: Lab, word: str) -> None:
    """500 at once, half of them deleted again: both sides agree in the end."""
    names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    routers = plan.meet()
    here, there = routers[names[0]], routers[names[1]]
    for source, other in ((here, there), (there, here)):
        conn = BlockingConnection(f"127.0.0.1:{source.port}", timeout=20)
        receivers = [conn.create_receiver(f"{source.name}.{number}", credit=1) for number in range(250)]
        wait_for(lambda other=other, source=source: mine(other, source) == 250, "all are known")
        for receiver in receivers[::2]:
            receiver.close()
        wait_for(lambda other=other, source=source: mine(other, source) == 125, "half are left")
        conn.close()
        wait_for(lambda other=other, source=source: mine(other, source) == 0, "none is left")


def mine(router: Router, of: Router) -> int:
    """How many of the addresses of a test a router knows."""
    return sum(key.startswith(f"M{of.name}.") for key in addresses(router))


# A skrouterd sends further streams on the link whose message is still underway: what waits must not be in their way.
@pytest.mark.parametrize("word", kinds("PPP", "SPS", "PSP"))
def test_huge_message_to_a_slow_consumer_disturbs_nobody(lab: Lab, word: str) -> None:
    names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    front = plan.front(names[0])
    plan.serve(names[-1])
    routers = plan.meet(30)
    serves(front)
    first, last = routers[names[0]], routers[names[-1]]
    collector = Collector(last.port, "slow", credit=0)
    quick = Collector(last.port, "quick")
    known("slow", first)
    producer = Producer(first.port, "slow")
    other = Producer(first.port, "quick")
    wait_for(lambda: producer.credit > 0 and other.credit > 0, "credit")
    before = [router.memory() for router in routers.values()]
    # Streams of one skrouterd share a session and links: so much is set aside for them.
    large = [5_000_000] * 3 if word == "PSP" else [4_000_000] * 2
    for size in large:
        producer.send(Message(body=bytes(size)))
    time.sleep(1)
    for number in range(50):
        other.send(Message(body=number))
    wait_for(lambda: len(quick.messages) == 50, "others pass")
    assert exchange(front, bytes(3_000_000)) == bytes(3_000_000)
    mine = [router for router in routers.values() if router.name.startswith("P")]
    grown = [router.memory() - size for router, size in zip(routers.values(), before, strict=True) if router in mine]
    assert max(grown) < 64 << 20, grown
    collector.give(10)
    wait_for(lambda: len(collector.messages) == len(large), "all arrive in the end", 30)
    for client in (collector, quick, producer, other):
        client.close()


@pytest.mark.parametrize("word", kinds("PPP", "SPS", "PSP"))
def test_message_whose_sender_is_lost_is_broken_off(lab: Lab, word: str) -> None:
    """Five megabytes of a message that will never be complete, to a consumer that reads and one that does not yet."""
    names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    routers = plan.meet(30)
    first, last = routers[names[0]], routers[names[-1]]

    def lose(address: str, credit: int) -> None:
        collector = Collector(last.port, address, credit=credit)
        known(address, first)
        dying, lasting = Producer(first.port, address), Producer(first.port, address)
        wait_for(lambda: dying.credit and lasting.credit, "credit")

        def begin() -> None:
            dying.sender.delivery("half")
            dying.sender.stream(b"\x00\x53\x75\xb0" + (10_000_000).to_bytes(4) + bytes(5_000_000))

        dying.do(begin)
        if last.name[0] == "P":
            wait_for(lambda: begun(last, address), "its beginning has come")
        else:
            time.sleep(1)  # a skrouterd counts what is complete
        dying.close()
        lasting.send(Message(body="whole"))
        collector.give(10)
        wait_for(lambda: collector.bodies, "the next message")
        assert collector.bodies == ["whole"]
        for client in (collector, lasting):
            client.close()

    lose("reads", 10)
    lose("waits", 0)


def begun(router: Router, address: str) -> bool:
    """Whether a router has passed a message of an address on to its consumer, or holds it for that."""
    links = router.query("router.link")
    return any(link["owningAddr"] == f"M{address}" and link["deliveryCount"] for link in links)


@pytest.mark.parametrize("word", kinds("PP", "PS", "SP"))
def test_unavailable_and_unknown(lab: Lab, word: str) -> None:
    names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    for name in names:
        plan.entity(name, ("address", {"prefix": "nobody", "distribution": "unavailable"}))
    routers = plan.meet()
    here = routers[names[0]]
    for make in refused(here.port):
        client = make()
        wait_for(lambda client=client: client.errors, "the link is refused")
        assert client.errors[0] in ("amqp:not-found", "qd:no-route-to-dest")
        client.close()


def refused(port: int) -> list[Callable[[], Producer | Collector]]:
    """Links that a router must refuse."""
    return [lambda: Producer(port, "nobody.here"), lambda: Collector(port, "nobody.here", credit=0)]
