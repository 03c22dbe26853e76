"""Shortest paths against a plain reference: every tie in the documented order, valid origins by walking paths."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.core.path import Paths, complete, compute, tree

NAMES = "ABCDEFG"


@st.composite
def graphs(draw: st.DrawFn, symmetric: bool = False) -> dict[str, dict[str, int]]:
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    states: dict[str, dict[str, int]] = {name: {} for name in names}
    for a in names:
        for b in names:
            if (a < b or (not symmetric and a != b)) and draw(st.booleans()):
                cost = draw(st.integers(1, 3))
                states[a][b] = cost
                if symmetric:
                    states[b][a] = cost
    return states


def reference_tree(root: str, states: dict[str, dict[str, int]]) -> tuple[dict[str, str], dict[str, int]]:
    """Settle routers one by one: the cheapest first, at equal cost the lexically lowest; strictly cheaper replaces."""
    cost = {root: 0}
    previous: dict[str, str] = {}
    open_routers = set(states)
    while candidates := [(cost[name], name) for name in open_routers if name in cost]:
        here = min(candidates)[1]
        open_routers.remove(here)
        for there, step in states[here].items():
            if there in open_routers and (there not in cost or cost[here] + step < cost[there]):
                cost[there] = cost[here] + step
                previous[there] = here
    del cost[root]
    return previous, cost


def walk(previous: dict[str, str], root: str, end: str) -> list[str]:
    path = [end]
    while path[-1] != root:
        path.append(previous[path[-1]])
    return path[::-1]


@given(graphs())
def test_trees_match_the_reference(states: dict[str, dict[str, int]]) -> None:
    for root in states:
        found = tree(root, states)
        previous, cost = reference_tree(root, states)
        assert dict(found.previous) == previous
        assert dict(found.cost) == cost


@given(graphs())
def test_paths_match_the_reference(states: dict[str, dict[str, int]]) -> None:
    for own in states:
        paths = compute(own, states)
        previous, cost = reference_tree(own, states)
        assert dict(paths.costs) == cost
        assert dict(paths.next_hops) == {name: walk(previous, own, name)[1] for name in previous}
        assert paths.radius == max((len(walk(previous, own, name)) - 1 for name in previous), default=0)
        for end in previous:
            origins = set()
            for origin in previous:
                other, reached = reference_tree(origin, states)
                if end in reached and own in walk(other, origin, end)[:-1]:
                    origins.add(origin)
            assert paths.valid_origins[end] == origins


@given(graphs(symmetric=True))
def test_every_origin_has_one_path_of_valid_routers_to_every_destination(states: dict[str, dict[str, int]]) -> None:
    """The multicast tree: from the origin, exactly the routers on its path to d take the origin as valid for d."""
    everyone = {name: compute(name, states) for name in states}
    for origin, own in everyone.items():
        for end in own.costs:
            previous, _ = reference_tree(origin, states)
            on_path = set(walk(previous, origin, end)[1:-1])
            takers = {
                name
                for name, paths in everyone.items()
                if name not in (origin, end) and origin in paths.valid_origins.get(end, ())
            }
            assert takers == on_path


def test_a_router_known_only_as_a_neighbour_is_reachable_and_leads_back() -> None:
    states = {"A": {"B": 4}}
    assert complete(states)["B"] == {"A": 1}
    assert compute("A", states) == Paths({"B": "B"}, {"B": 4}, {"B": frozenset()}, 1)


def test_the_line_seen_in_the_reference() -> None:
    states = {"F": {"A": 5}, "A": {"F": 5, "B": 1}, "B": {"A": 1}}
    paths = compute("A", states)
    assert paths.costs == {"F": 5, "B": 1}
    assert paths.valid_origins == {"F": {"B"}, "B": {"F"}}
