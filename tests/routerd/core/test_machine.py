"""Any history of cuts, mends, restarts, losses and address changes ends, after some quiet, in the true picture."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from .network import Network, Sink

NAMES = "ABCDEF"
ROUTERS = st.sampled_from(NAMES)
ADDRESSES = st.sampled_from(["a", "b", "mc/x", "near/y"])


class NetworkMachine(RuleBasedStateMachine):
    """Six routers with random wires; the end of every history is checked by `Network.check`."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Network()
        self.sinks: list[tuple[str, str, Sink]] = []

    @initialize(seed=st.integers(0, 1000), wires=st.lists(st.tuples(ROUTERS, ROUTERS, st.integers(1, 3)), max_size=9))
    def build(self, seed: int, wires: list[tuple[str, str, int]]) -> None:
        self.net = Network(seed)
        self.net.add(*NAMES)
        for a, b, cost in wires:
            if a != b:
                self.net.link(a, b, cost)
        self.losses = Random(seed)

    @rule(seconds=st.sampled_from([0.3, 1.0, 2.5, 7.0]))
    def wait(self, seconds: float) -> None:
        self.net.run(seconds)

    @precondition(lambda self: self.net.wires)
    @rule(data=st.data())
    def cut_or_mend(self, data: st.DataObject) -> None:
        wire = data.draw(st.sampled_from(self.net.wires))
        if wire.up:
            self.net.cut_wire(wire)
        else:
            self.net.mend(*wire.ends)

    @precondition(lambda self: len(self.net.wires) < 12)
    @rule(a=ROUTERS, b=ROUTERS, cost=st.integers(1, 3))
    def new_wire(self, a: str, b: str, cost: int) -> None:
        if a != b:
            self.net.link(a, b, cost)

    @rule(name=ROUTERS, seconds=st.sampled_from([0.0, 0.5, 5.0]))
    def restart(self, name: str, seconds: float) -> None:
        self.net.restart(name, seconds)
        self.sinks = [entry for entry in self.sinks if entry[0] != name]

    @rule(name=ROUTERS, address=ADDRESSES)
    def consume(self, name: str, address: str) -> None:
        self.sinks.append((name, address, self.net.consume(name, address)))

    @precondition(lambda self: self.sinks)
    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.sinks) - 1))
        self.net.stop(*self.sinks.pop(index))

    @rule(share=st.sampled_from([0.0, 0.3, 1.0]))
    def tick_early(self, share: float) -> None:
        self.net.eager = share

    @rule(share=st.sampled_from([0.0, 0.2, 0.6]))
    def lose(self, share: float) -> None:
        losses = self.losses
        self.net.drop = lambda sender, receiver, opcode: losses.random() < share

    @rule(name=ROUTERS, address=ADDRESSES)
    def send(self, name: str, address: str) -> None:
        """Messages never circle, whatever the routers believe at the moment."""
        self.net.send(name, address)

    def teardown(self) -> None:
        net = self.net
        if not net.routers:
            return
        net.drop = lambda sender, receiver, opcode: False
        # Loss of the last advertisement is repaired by the next periodic one.
        net.run(35)
        net.check()
        epochs = [router.routing.epoch for router in net.routers.values()]
        net.run(20)
        assert [router.routing.epoch for router in net.routers.values()] == epochs
        for name, address, sink in self.sinks:
            if address == "mc/x":
                sink.got.clear()
                net.send(name, "mc/x", "once")
                assert sink.got == ["once"]


NetworkMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestNetwork = NetworkMachine.TestCase
