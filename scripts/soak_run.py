"""Mixed traffic through six routers whose links are cut at random; see `scripts/soak`.

The network: a ring of four interior routers whose links pass through relays that can be cut, and an edge router under
each of two of them. Traffic: echoes of random length that are compared octet by octet, long bulk transfers, bursts of
short connections, some of them reset. A connection counts as surviving when no relay was cut between its begin and its
end; on those nothing may be lost. Connections that a cut may have hit must end, not hang.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import select
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.routerd.system.lab import Router, echoes, free_port, reset, running, wait_for
from tests.routerd.system.plan import Plan

#: How much a router may have grown at the end: what its allocator keeps of the worst moment.
MEMORY_SLACK = 24 << 20
DESCRIPTOR_SLACK = 4
LINK_SLACK = 80


class Relay:
    """A TCP relay that can be cut: silently, so that nobody is told, or with all connections closed."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])
        self.silent = False
        self.closed = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            sock, _ = self._listening.accept()
            try:
                if self.closed:
                    raise OSError("cut")
                other = socket.create_connection(self._target, timeout=5)
            except OSError:
                sock.close()
                continue
            for end in (sock, other):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (sock, other)
            self._pairs.add(pair)
            threading.Thread(target=self._carry, args=(pair,), daemon=True).start()

    def _carry(self, pair: tuple[socket.socket, socket.socket]) -> None:
        other = {pair[0]: pair[1], pair[1]: pair[0]}
        with contextlib.suppress(OSError, ValueError):
            while True:
                for sock in select.select(pair, [], [], 1.0)[0]:
                    while self.silent:
                        time.sleep(0.05)
                    data = sock.recv(262144)
                    if not data:
                        raise OSError("end")
                    other[sock].sendall(data)
        self._pairs.discard(pair)
        for sock in pair:
            sock.close()

    def cut(self) -> None:
        """Close every connection and take no others."""
        self.closed = True
        for pair in list(self._pairs):
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Carry again."""
        self.closed = self.silent = False


class Soak:
    """The traffic, the cuts and the judgement."""

    def __init__(self, fronts: list[int], relays: list[Relay], seed: int) -> None:
        self.fronts = fronts
        self.relays = relays
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.cuts = 0
        self.disturbed = False
        self.over = threading.Event()
        #: Held while a router is dead by intention.
        self.lives = threading.Lock()
        self._lock = threading.Lock()

    def count(self, what: str, number: int = 1) -> None:
        """Count something for the report."""
        with self._lock:
            self.counts[what] += number

    def fail(self, words: str) -> None:
        """Something that must not happen."""
        with self._lock:
            self.failures.append(f"{time.strftime('%H:%M:%S')} {words}")

    def cutter(self, victims: list[Router]) -> None:
        """Every 20 to 40 s cut one link for up to 25 s, silently every third time, or kill one of the victims."""
        while not self.over.wait(self.random.uniform(20, 40)):
            self.disturbed = True
            self.cuts += 1
            if victims and self.random.random() < 0.7:
                self._kill(self.random.choice(victims))
            else:
                self._cut(self.random.choice(self.relays))
            self.over.wait(15)  # until every router has heard of it, connections may still take the old way
            self.disturbed = False

    def _cut(self, relay: Relay) -> None:
        if self.cuts % 3:
            relay.cut()
        else:
            relay.silent = True
        self.over.wait(self.random.uniform(1, 25))
        relay.mend()

    def _kill(self, router: Router) -> None:
        with self.lives:
            router.kill()
            self.over.wait(self.random.uniform(0, 5))
            router.start()
        self.count("kills")

    def worker(self, number: int) -> None:
        """One client after another, until the end."""
        rolls = random.Random(number)
        while not self.over.is_set():
            front = rolls.choice(self.fronts)
            cuts, disturbed = self.cuts, self.disturbed
            kind = rolls.choices(["echo", "short", "bulk", "reset"], [6, 10, 1, 2])[0]
            try:
                whole = self._client(kind, front, rolls)
            except OSError as error:
                whole = False
                reason = repr(error)
            else:
                reason = "octets lost or changed"
            if whole:
                self.count(kind)
            elif disturbed or self.disturbed or cuts != self.cuts:
                self.count("ended by a cut")
            else:
                self.fail(f"{kind}: {reason}")
            self.over.wait(rolls.uniform(0, 0.05))

    def _client(self, kind: str, front: int, rolls: random.Random) -> bool:
        sizes = {"echo": rolls.randrange(1, 400_000), "short": rolls.randrange(1, 2000), "bulk": 30_000_000}
        size = sizes.get(kind, 100)
        data = rolls.randbytes(min(size, 1 << 20)) * max(1, size >> 20)
        with socket.create_connection(("127.0.0.1", front), timeout=5) as sock:
            # Twice the idle time: what a cut has hit must have ended by then.
            sock.settimeout(40)
            if kind == "reset":
                sock.sendall(data)
                sock.recv(1)
                reset(sock)
                return True
            sender = threading.Thread(target=self._send, args=(sock, data), daemon=True)
            sender.start()
            got, position = True, 0
            while piece := sock.recv(262144):
                got = got and data[position : position + len(piece)] == piece
                position += len(piece)
            sender.join(40)
        self.count("octets", position)
        return got and position == len(data)

    @staticmethod
    def _send(sock: socket.socket, data: bytes) -> None:
        with contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)


def state(router: Router) -> dict[str, int]:
    """What must not grow."""
    return {
        "memory": router.memory(),
        "descriptors": router.descriptors(),
        "links": len(router.query("router.link")),
        "addresses": len(router.query("router.address")),
        "flows": len(router.query("tcpConnection")),
    }


def judge(name: str, before: dict[str, int], after: dict[str, int]) -> list[str]:
    """What has grown beyond what is allowed."""
    allowed = {"memory": MEMORY_SLACK, "descriptors": DESCRIPTOR_SLACK, "links": LINK_SLACK, "addresses": 0, "flows": 0}
    return [
        f"{name}: {what} grew from {before[what]} to {after[what]}"
        for what, slack in allowed.items()
        if after[what] > before[what] + slack
    ]


def build(plan: Plan) -> tuple[list[int], list[Relay]]:
    """A ring of four with two edges; ports of its services, and the relays in its links."""
    ring = ["P1", "S2", "P3", "S4"]
    plan.interior(*ring).edge("P5", "P6")
    relays = []
    for upper, lower in (("P1", "S2"), ("S2", "P3"), ("P3", "S4"), ("S4", "P1"), ("P1", "P5"), ("P3", "P6")):
        port = free_port()
        relays.append(Relay(port))
        plan.link(upper, lower, port=port, via=relays[-1].port)
    fronts = []
    for address, servers, clients in (
        ("far:1", ("P3",), ("P1", "P5")),
        ("edge:1", ("P6",), ("P5", "S2")),
        ("both:1", ("S2", "S4"), ("P1", "P6")),
    ):
        for name in servers:
            plan.serve(name, address)
        fronts += [plan.front(name, address) for name in clients]
    fronts.append(plan.front("P1", "lite:1", encapsulation="lite"))
    plan.serve("P3", "lite:1", encapsulation="lite")
    return fronts, relays


def settle(plan: Plan, fronts: list[int]) -> dict[str, dict[str, int]]:
    """Wait until everything works and nothing is under way; the state of every router of ours."""
    for front in fronts:
        wait_for(lambda front=front: echoes(front), f"service on {front}", 90)  # type: ignore[misc]
    for name, router in ours(plan).items():
        wait_for(lambda router=router: not router.query("tcpConnection"), f"flows of {name} end", 60)  # type: ignore[misc]
    return {name: state(router) for name, router in ours(plan).items()}


def ours(plan: Plan) -> dict[str, Router]:
    """The routers that are no real skrouterds."""
    return {name: router for name, router in plan.routers.items() if router.command[0] == sys.executable}


def run(minutes: float, seed: int, workers: int, *, kill: bool) -> int:
    """Everything; the exit code."""
    with running(Path(tempfile.mkdtemp(prefix="soak-"))) as lab:
        plan = Plan(lab)
        fronts, relays = build(plan)
        plan.meet(60)
        soak = Soak(fronts, relays, seed)
        settle(plan, fronts)
        threads = [threading.Thread(target=soak.worker, args=(number,), daemon=True) for number in range(workers)]
        for thread in threads:
            thread.start()
        victims = [plan.routers[name] for name in ("S2", "S4")] if kill else []
        cutter = threading.Thread(target=soak.cutter, args=(victims,), daemon=True)
        cutter.start()
        deadline = time.monotonic() + minutes * 60
        time.sleep(min(600.0, minutes * 15))  # a quarter, until pools and buffers have seen their worst moment
        before = wait_for(lambda: {name: state(router) for name, router in ours(plan).items()}, "state", 60)
        while time.monotonic() < deadline:
            time.sleep(min(30.0, max(0.1, deadline - time.monotonic())))
            progress(soak, plan, deadline)
            revive(soak, plan)
        soak.over.set()
        for thread in (*threads, cutter):
            thread.join(90)
            if thread.is_alive():
                soak.fail("a client hangs")
        for relay in relays:
            relay.mend()
        try:
            after = settle(plan, fronts)
        except AssertionError as error:
            soak.fail(str(error))
            for name, router in ours(plan).items():
                for flow in router.query("tcpConnection"):
                    print(f"{name}: {flow}", flush=True)
            after = {name: state(router) for name, router in ours(plan).items()}
        return report(soak, plan, before, after)


def revive(soak: Soak, plan: Plan) -> None:
    """Start again what has crashed; a real skrouterd may, one of ours must not."""
    for name, router in plan.routers.items():
        with soak.lives:
            code = router.process.poll() if router.process is not None else None
        if code is None:
            continue
        print(f"{name} has ended with status {code}, see {router.log_file}", flush=True)
        if name in ours(plan):
            soak.fail(f"{name} has ended with status {code}")
        soak.count("crashes")
        soak.cuts += 1
        router.start()


def progress(soak: Soak, plan: Plan, deadline: float) -> None:
    """One line while it runs."""
    with soak.lives:
        memory = ", ".join(f"{name} {router.memory() >> 20}" for name, router in ours(plan).items())
    left = max(0, round(deadline - time.monotonic()))
    total = sum(number for kind, number in soak.counts.items() if kind in ("echo", "short", "bulk", "reset"))
    counts = f"{total} connections, {soak.cuts} cuts, {len(soak.failures)} failures"
    print(f"{left:5} s left, {counts}; MB: {memory}", flush=True)


def report(soak: Soak, plan: Plan, before: dict[str, Any], after: dict[str, Any]) -> int:
    """Print what happened; 0 when all held."""
    print(f"\n{soak.cuts} cuts; " + ", ".join(f"{number} {kind}" for kind, number in sorted(soak.counts.items())))
    problems = list(soak.failures)
    for name, state_after in after.items():
        cells = ", ".join(f"{what} {before[name][what]} -> {value}" for what, value in state_after.items())
        print(f"{name}: {cells}")
        problems += judge(name, {**before[name], "flows": 0}, state_after)
        if "Internal error" in plan.routers[name].log:
            problems.append(f"{name}: internal error, see {plan.routers[name].log_file}")
    for problem in problems[:50]:
        print(f"PROBLEM {problem}")
    print("passed" if not problems else f"failed: {len(problems)} problems")
    return 1 if problems else 0


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kill", action="store_true", help="also kill transit routers")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    return run(arguments.minutes, arguments.seed, arguments.workers, kill=arguments.kill)


if __name__ == "__main__":
    sys.exit(main())
