"""Shortest paths over the link states of all routers (reference section 3.7).

Why: all routers must choose the same paths from the same link states, or messages circle; the order of ties is part
of the protocol.

What always holds: of paths with equal cost the one wins whose routers, taken in order of cost and then of id, were
reached first; a next hop is always a router in the own link state; no router is on the path to itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

LinkStates = Mapping[str, Mapping[str, int]]
"""Router id to the costs of its neighbours, each at least 1."""
_FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class Tree:
    """Shortest paths from one router; maps hold the reachable others only. ``order`` lists them by distance."""

    previous: Mapping[str, str]
    cost: Mapping[str, int]
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Paths:
    """What one router derives: per destination the next hop (a neighbour's id), the cost and the valid origins.

    ``radius`` is the greatest number of hops of a chosen path. This router is a valid origin of everything and is
    not listed in ``valid_origins``.
    """

    next_hops: Mapping[str, str] = field(default_factory=dict)
    costs: Mapping[str, int] = field(default_factory=dict)
    valid_origins: Mapping[str, frozenset[str]] = field(default_factory=dict)
    radius: int = 0


def complete(collection: LinkStates) -> dict[str, Mapping[str, int]]:
    """The link states, with one for each router that appears only as a neighbour: back to it, at cost 1."""
    states: dict[str, Mapping[str, int]] = dict(collection)
    for router, peers in collection.items():
        for peer in peers:
            if peer not in states:
                states[peer] = {router: 1}
    return states


def tree(root: str, states: LinkStates) -> Tree:
    """Dijkstra's algorithm from ``root`` over ``complete`` link states."""
    cost = {root: 0}
    previous: dict[str, str] = {}
    order: list[str] = []
    heap = [(0, root)]
    pop, push, known = heapq.heappop, heapq.heappush, cost.get
    while heap:
        distance, router = pop(heap)
        if distance > cost[router]:
            continue  # reached at less cost meanwhile
        order.append(router)
        for peer, link_cost in states[router].items():
            alternative = distance + link_cost
            if alternative < known(peer, _FAR):
                cost[peer] = alternative
                previous[peer] = router
                push(heap, (alternative, peer))
    del cost[root]
    return Tree(previous, cost, tuple(order[1:]))


def compute(own_id: str, collection: LinkStates) -> Paths:
    """Paths of router ``own_id``, whose own link state is part of ``collection``."""
    states = complete(collection)
    own = tree(own_id, states)
    next_hops: dict[str, str] = {}
    hops = {own_id: 0}
    for router in own.order:
        before = own.previous[router]
        next_hops[router] = router if before == own_id else next_hops[before]
        hops[router] = hops[before] + 1
    return Paths(next_hops, own.cost, _valid_origins(own_id, own.order, states), max(hops.values()))


def _valid_origins(own_id: str, others: tuple[str, ...], states: LinkStates) -> dict[str, frozenset[str]]:
    """For each destination the routers whose path to it passes this router."""
    origins: dict[str, set[str]] = {router: set() for router in others}
    for root in others:
        other = tree(root, states)
        behind = {own_id}
        for router in other.order:
            if other.previous[router] in behind:
                # What is reached through this router is reachable from it.
                behind.add(router)
                origins[router].add(root)
    return {router: frozenset(roots) for router, roots in origins.items()}
