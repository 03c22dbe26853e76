"""Addresses that come and go, and announcements that are lost: in the end all routers know the same."""

from __future__ import annotations

import contextlib
import random
import socket
import threading

import pytest
from proton.utils import BlockingConnection

from tests.routerd.system.lab import Lab, Router, free_port, wait_for
from tests.routerd.system.plan import Plan, addresses, kinds

#: How the name of an announcement of addresses is written in a routing message, and one that no router knows.
ANNOUNCEMENT, NONSENSE = b"\xa1\x03MAU", b"\xa1\x03MAX"


class Forger:
    """A relay in a link: while it is armed, no announcement of addresses passes."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._sock.getsockname()[1])
        self.armed = False
        self.lost = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._sock.accept()
                try:
                    far = socket.create_connection(self._target)
                except OSError:
                    near.close()
                    continue
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(262144):
                if self.armed:
                    self.lost += data.count(ANNOUNCEMENT)
                    data = data.replace(ANNOUNCEMENT, NONSENSE)
                sink.sendall(data)
        source.close()
        sink.close()

    def close(self) -> None:
        """Take no further connections."""
        self._sock.close()


def announced(router: Router, of: str) -> set[str]:
    """The addresses of a client of router `of` that a router knows."""
    return {key for key in addresses(router) if key.startswith(f"M{of}.")}


class Consumers:
    """A client that receives from many addresses of its own router."""

    def __init__(self, router: Router) -> None:
        self._name = router.name
        self._conn = BlockingConnection(f"127.0.0.1:{router.port}", timeout=20)
        self._receivers: dict[int, object] = {}
        self._next = 0

    @property
    def keys(self) -> set[str]:
        """What every router must know."""
        return {f"M{self._name}.{number}" for number in self._receivers}

    def more(self, count: int) -> None:
        """Receive from further addresses."""
        for number in range(self._next, self._next + count):
            self._receivers[number] = self._conn.create_receiver(f"{self._name}.{number}", credit=1)
        self._next += count

    def fewer(self, count: int, rolls: random.Random) -> None:
        """Receive from some no longer."""
        for number in rolls.sample(sorted(self._receivers), count):
            self._receivers.pop(number).close()  # type: ignore[attr-defined]

    def close(self) -> None:
        """From none."""
        self._receivers.clear()
        self._conn.close()


@pytest.mark.parametrize("word", kinds("PP", "PS", "SP", "PT", "TP"))
def test_lost_announcements_are_asked_for_again(lab: Lab, word: str) -> None:
    """Those that only add, and those that only delete; the next one, or an advertisement, tells of the gap."""
    names = [f"{kind}{number}" for number, kind in enumerate(word, 1)]
    port = free_port()
    forger = Forger(port)
    plan = Plan(lab).interior(*names).link(*names, port=port, via=forger.port)
    routers = plan.meet()
    for source, other in (names, names[::-1]):
        consumers = Consumers(routers[source])
        consumers.more(20)
        wait_for(lambda s=source, o=other, c=consumers: announced(routers[o], s) == c.keys, "all are known")
        for change in (lambda c=consumers: c.more(5), lambda c=consumers: c.fewer(5, random.Random(5))):
            forger.armed, forger.lost = True, 0
            change()
            wait_for(lambda: forger.lost, "an announcement is lost")
            forger.armed = False
            wait_for(lambda s=source, o=other, c=consumers: announced(routers[o], s) == c.keys, "known after a loss")
        consumers.close()
        wait_for(lambda s=source, o=other: not announced(routers[o], s), "none is left")
    forger.close()


@pytest.mark.parametrize("word", kinds("PPP", "PSP", "SPS"))
def test_churn_leaves_nothing_behind_and_nothing_out(lab: Lab, word: str) -> None:
    """As many addresses as a hundred sites have, a quarter of them exchanged again and again."""
    names = [f"{kind}{number}" for number, kind in enumerate(word, 1)]
    routers = Plan(lab).interior(*names).chain(*names).meet()
    rolls = random.Random(32)
    everybody = {name: Consumers(router) for name, router in routers.items()}
    memory: list[list[int]] = []

    def agreed() -> bool:
        return all(announced(router, of) == each.keys for router in routers.values() for of, each in everybody.items())

    for each in everybody.values():
        each.more(100)
    for _ in range(4):
        wait_for(agreed, "everybody knows the same")
        memory.append([router.memory() for router in routers.values()])
        for each in everybody.values():
            each.fewer(25, rolls)
            each.more(25)
    wait_for(agreed, "everybody knows the same")
    for name, first, last in zip(names, memory[1], memory[-1], strict=True):
        assert name[0] != "P" or last < first + (4 << 20), (name, memory)
    for each in everybody.values():
        each.close()
    wait_for(agreed, "nothing is left")
