"""Networks of six routers: chains, rings and stars of one kind and of several, and what a lost link or router does.

In the words that parametrize the tests each letter is one router, in order; `PSPSPS` is every second one real.
"""

from __future__ import annotations

import time

import pytest

from tests.routerd.system.lab import Lab, exchange, wait_for
from tests.routerd.system.plan import Plan, addresses, costs, kinds, link_states, serves

SIX = kinds("PPPPPP", "PSPSPS", "SSPPSS", "PTPTPT", "PSTPST")
DATA = bytes(range(256)) * 2000


def named(word: str) -> list[str]:
    """Router names of a word."""
    return [f"{kind}{number}" for number, kind in enumerate(word, 1)]


@pytest.mark.parametrize("word", SIX)
def test_chain(lab: Lab, word: str) -> None:
    names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    fronts = [plan.front(names[0], "last:1"), plan.front(names[-1], "first:1")]
    plan.serve(names[-1], "last:1")
    plan.serve(names[0], "first:1")
    routers = plan.meet(40)
    expected = {name: distance for distance, name in enumerate(names) if distance}
    wait_for(lambda: costs(routers[names[0]]) == expected, "costs along the chain")
    for front in fronts:
        serves(front)
        assert exchange(front, DATA) == DATA


@pytest.mark.parametrize("word", SIX)
def test_star_whose_hub_is_restarted(lab: Lab, word: str) -> None:
    names = named(word)
    hub, leaves = names[0], names[1:]
    plan = Plan(lab).interior(*names)
    for leaf in leaves:
        plan.link(hub, leaf)
    front = plan.front(leaves[0])
    plan.serve(leaves[-1])
    routers = plan.meet(40)
    serves(front)
    routers[hub].kill()
    time.sleep(1)
    routers[hub].start()
    plan.complete(40)
    serves(front)
    assert exchange(front, DATA) == DATA


@pytest.mark.parametrize("word", SIX)
def test_ring_takes_the_cheap_way_and_survives_cuts(lab: Lab, word: str) -> None:
    names = named(word)
    a, b, c, d, e, f = names
    plan = Plan(lab).interior(*names)
    # a-b-c-d cost 1 each, d-e-f-a cost 5 each: from a to d the first way, after a cut the other.
    plan.chain(a, b, c, d)
    for upper, lower in ((d, e), (e, f), (a, f)):
        plan.link(upper, lower, cost=5)
    front = plan.front(a)
    plan.serve(d)
    routers = plan.meet(40)
    wait_for(lambda: costs(routers[a]) == {b: 1, c: 2, d: 3, e: 8, f: 5}, "costs in the ring", 20)
    serves(front)
    routers[c].kill()
    plan.complete(40, without=(c,)) if word.count("P") == 6 else None
    wait_for(lambda: costs(routers[a]).get(d) == 15, "the other way round", 30)
    serves(front)
    assert exchange(front, DATA) == DATA
    routers[c].start()
    wait_for(lambda: costs(routers[a]).get(d) == 3, "the first way again", 30)
    serves(front)


@pytest.mark.parametrize("word", kinds("PPP", "SPS", "PSP", "TPT"))
def test_restarted_router_is_told_from_its_old_life(lab: Lab, word: str) -> None:
    first, _, last = names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    plan.serve(last, "old:1")
    routers = plan.meet(30)
    wait_for(lambda: "Mold:1" in addresses(routers[first]), "the old address")
    routers[last].kill()
    second = int(time.time())
    wait_for(lambda: int(time.time()) > second, "another second: lives are told apart by when they began, in seconds")
    routers[last].entities = [
        (kind, {**attributes, "address": "new:1"} if kind == "tcpConnector" else attributes)
        for kind, attributes in routers[last].entities
    ]
    routers[last].start()
    wait_for(lambda: "Mnew:1" in addresses(routers[first]), "the new address", 30)
    wait_for(lambda: "Mold:1" not in addresses(routers[first]), "the old address goes", 30)


@pytest.mark.parametrize("word", kinds("PPP", "PSP", "SPS"))
def test_link_is_lost_and_restored(lab: Lab, word: str) -> None:
    first, _, last = names = named(word)
    plan = Plan(lab).interior(*names).chain(*names)
    front = plan.front(first)
    plan.serve(last)
    routers = plan.meet(30)
    serves(front)
    link = next(attributes for kind, attributes in routers[last].entities if kind == "connector")
    kind = {"type": "io.skupper.router.connector", "name": link["name"]}
    assert routers[last].request({"operation": "DELETE", **kind}, {}).properties["statusCode"] == 204
    wait_for(lambda: link_states(routers[last])[last] == [], "the link is gone", 20)
    assert routers[last].request({"operation": "CREATE", **kind}, link).properties["statusCode"] == 201
    plan.complete(30)
    serves(front)
