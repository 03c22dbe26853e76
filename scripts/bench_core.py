"""What the routing core costs in a large network: real state machines and octets, in simulated time, in one process.

Seconds to converge are those of the simulated clock, until every router knows the true cost to every other; routers
tick once a second here, and earlier in the product. Processor time is real: of all routers together, and of one.

    python -m scripts.bench_core [--json] [--routers N] [--addresses N]
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from random import Random

from tests.routerd.core.network import Network

ROUTERS = 200
ADDRESSES = 10_000
_STEP = 0.25
_LIMIT = 120.0


def figures(routers: int = ROUTERS, addresses: int = ADDRESSES) -> dict[str, dict[str, object]]:
    """All figures of this group."""
    net = build(routers)
    first, second = list(net.routers)[:2]
    size = f"{routers} routers"
    found = {f"{size} from nothing": converge(net, lambda: None)}
    net.run(5.0)
    found[f"{size}, one link lost"] = converge(net, lambda: net.cut(first, second))
    net.run(5.0)
    found[f"{size}, the link back"] = converge(net, lambda: net.mend(first, second))
    net.run(5.0)
    start = time.process_time()
    net.run(4.0)
    found[f"{size}, an idle second"] = _cost(net, (time.process_time() - start) / 4)
    found[f"{addresses} addresses learned"] = learn(addresses)
    return found


def build(count: int) -> Network:
    """A ring through all routers and a chord from each, so that there are many paths and none is very long."""
    net = Network(1)
    random = Random(1)
    names = [f"router-{number}" for number in range(count)]
    net.add(*names)
    for number, name in enumerate(names):
        net.link(name, names[(number + 1) % count])
        net.link(name, random.choice([other for other in names if other != name]), random.choice((1, 2, 5)))
    return net


def converge(net: Network, change: Callable[[], None]) -> dict[str, object]:
    """Seconds until every router knows the new truth, and what that took."""
    copies, began, start = net.copies, net.now, time.process_time()
    change()
    spent = time.process_time() - start
    truth = {name: distances(net.graph(), name) for name in net.routers}
    while not knows(net, truth):
        if net.now - began > _LIMIT:
            raise RuntimeError(f"not converged within {_LIMIT:.0f} simulated seconds")
        start = time.process_time()
        net.run(_STEP)
        spent += time.process_time() - start
    return {"converge s": round(net.now - began, 2), **_cost(net, spent), "messages": net.copies - copies}


def _cost(net: Network, seconds: float) -> dict[str, object]:
    return {"CPU s, all": round(seconds, 2), "CPU ms, one": round(1000 * seconds / len(net.routers), 1)}


def distances(graph: dict[str, dict[str, int]], root: str) -> dict[str, int]:
    """True costs from a router to all others."""
    found: dict[str, int] = {}
    heap = [(0, root)]
    while heap:
        distance, router = heapq.heappop(heap)
        if router not in found:
            found[router] = distance
            for peer, cost in graph[router].items():
                heapq.heappush(heap, (distance + cost, peer))
    del found[root]
    return found


def knows(net: Network, truth: dict[str, dict[str, int]]) -> bool:
    """Whether every router knows the true cost to every other, and a next hop."""
    for name, costs in truth.items():
        routing = net.routers[name].routing
        if len(routing.reachable()) != len(costs):
            return False
        if any(routing.cost(other) != cost or routing.next_hop(other) is None for other, cost in costs.items()):
            return False
    return True


def learn(count: int) -> dict[str, object]:
    """Time until the far end of a chain of three knows so many new addresses, and the memory that takes there."""
    net = Network(2)
    net.add("A", "B", "C")
    net.link("A", "B")
    net.link("B", "C")
    net.run(10.0)
    for number in range(count):
        net.consume("A", f"service-{number}:8080")
    began, spent = net.now, 0.0
    while len(net.routers["C"].table) < count:
        if net.now - began > _LIMIT:
            raise RuntimeError(f"not learned within {_LIMIT:.0f} simulated seconds")
        start = time.process_time()
        net.run(_STEP)
        spent += time.process_time() - start
    return {"converge s": round(net.now - began, 2), **_cost(net, spent), "MB, one": round(memory(count), 1)}


def memory(count: int) -> float:
    """MB that a router holds for so many addresses of another."""
    net = Network(3)
    net.add("A", "B")
    net.link("A", "B")
    net.run(5.0)
    for number in range(count):
        net.consume("A", f"service-{number}:8080")
    net.routers["A"].routing.tick(net.now)
    net._perform(net.routers["A"])
    gc.collect()
    tracemalloc.start()
    net.drain()
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / (1 << 20)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--routers", type=int, default=ROUTERS)
    parser.add_argument("--addresses", type=int, default=ADDRESSES)
    arguments = parser.parse_args()
    table = figures(arguments.routers, arguments.addresses)
    if arguments.json:
        sys.stdout.write(json.dumps({"core": table}, indent=2) + "\n")
        return 0
    from scripts.bench_all import lines

    sys.stdout.write("\n".join(lines("core", table)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
