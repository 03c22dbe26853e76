"""One TCP connection as source and sink, on a real socket pair, with a network side that the test plays."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.routerd.adaptors.tcp_flow import LEGACY_STEP, LEGACY_WINDOW, TcpFlow
from skupper_podman.routerd.adaptors.tcp_listener import ListenerFlow
from skupper_podman.routerd.amqp.wire import ACCEPTED, MODIFIED, RELEASED
from skupper_podman.routerd.loop import Loop
from skupper_podman.routerd.message import BodyReader, Head, RouterAnnotations, data_section_header
from skupper_podman.routerd.streams import Chunk, Outcome, Source, Start


class FakeRouter:
    """What a flow asks of its router."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.flows = 0

    def next_connection_identity(self) -> int:
        return 1

    def tcp_flow_count(self, change: int) -> None:
        self.flows += change


class Owner:
    """What a flow asks of its listener or connector."""

    def __init__(self) -> None:
        self.octets_in = self.octets_out = 0
        self.ended: list[TcpFlow] = []

    def flow_ended(self, flow: TcpFlow) -> None:
        self.ended.append(flow)


class Network:
    """Source of the message to the socket and sink of the message from it."""

    def __init__(self) -> None:
        self.octets = bytearray()
        self.ended = ""
        self.full = False
        self.acknowledged = 0
        self.outcomes: list[Outcome] = []
        self.resumed = 0

    def congested(self) -> bool:
        return self.full

    def begin(self, start: Start, source: Source) -> None:
        raise AssertionError("the test begins")

    def write(self, chunk: Chunk) -> None:
        self.octets += chunk

    def finish(self) -> None:
        self.ended = self.ended or "finished"

    def abort(self) -> None:
        self.ended = self.ended or "aborted"

    def received(self, offset: int) -> None:
        self.acknowledged = offset

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def resume(self) -> None:
        self.resumed += 1


class Bench:
    """A flow between a socket and a network."""

    def __init__(self, *, lite: bool = False) -> None:
        self.errors: list[BaseException] = []
        self.loop = Loop(self.errors.append)
        self.router = FakeRouter(self.loop)
        self.owner = Owner()
        self.network = Network()
        listening = socket.create_server(("127.0.0.1", 0))
        self.peer = socket.create_connection(listening.getsockname())
        inside, _ = listening.accept()
        listening.close()
        inside.setblocking(False)
        self.peer.setblocking(False)
        self.flow = TcpFlow(self.router, self.owner, lite=lite)  # type: ignore[arg-type]
        self.flow._adopt(inside)
        self.flow._attend()
        self.flow.out = self.network
        self.flow._want_read(True)
        head = Head()
        head.lite = lite
        start = Start(head, RouterAnnotations(flags=5), b"", 0, settled=False, complete=False)
        self.flow.begin(start, self.network)

    def turn(self, times: int = 6) -> None:
        for _ in range(times):
            self.loop.turn(0.001)
        assert self.errors == []

    def read(self) -> bytes:
        got = bytearray()
        while True:
            try:
                data = self.peer.recv(1 << 20)
            except BlockingIOError:
                return bytes(got)
            if not data:
                return bytes(got)
            got += data

    def payload(self) -> bytes:
        octets = bytes(self.network.octets)
        if self.flow.lite:
            return octets
        return b"".join(bytes(piece) for piece in BodyReader().feed(octets))

    def close(self) -> None:
        self.flow._close_socket(reset=True)
        self.peer.close()
        self.loop.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@settings(max_examples=25, deadline=None)
@given(st.booleans(), st.lists(st.binary(max_size=3000), max_size=12), st.lists(st.binary(max_size=3000), max_size=12))
def test_octets_pass_unchanged_however_they_are_cut(lite: bool, sent: list[bytes], got: list[bytes]) -> None:
    bench = Bench(lite=lite)
    for piece in sent:
        bench.peer.sendall(piece)
        bench.turn(2)
    stream = b"".join(got if lite else (data_section_header(len(piece)) + piece for piece in got))
    for cut in range(0, len(stream), 777):
        bench.flow.write(stream[cut : cut + 777])
        bench.turn(1)
    bench.peer.shutdown(socket.SHUT_WR)
    bench.flow.finish()
    bench.turn()
    assert bench.payload() == b"".join(sent)
    assert bench.read() == b"".join(got)
    assert bench.network.ended == "finished"
    assert [outcome.state for outcome in bench.network.outcomes] == [ACCEPTED]
    bench.flow.outcome(Outcome(ACCEPTED, True))
    assert bench.owner.ended == [bench.flow]
    assert bench.router.flows == 0
    bench.close()


def test_reading_stops_at_the_window_and_goes_on_with_acknowledgements(bench: Bench) -> None:
    pushed = 0
    for _ in range(400):
        with contextlib.suppress(BlockingIOError):
            pushed += bench.peer.send(bytes(65536))
        bench.turn(1)
    assert bench.flow.octets_in == LEGACY_WINDOW
    bench.flow.received(100_000)
    bench.turn()
    assert bench.flow.octets_in == LEGACY_WINDOW + 100_000
    bench.flow.outcome(Outcome(ACCEPTED, False))
    for _ in range(1000):
        if bench.flow.octets_in == pushed:
            break
        bench.turn(1)
    assert bench.flow.octets_in == pushed


def test_reading_pauses_while_the_next_hop_is_full(bench: Bench) -> None:
    bench.network.full = True
    bench.peer.sendall(b"one")
    bench.turn()
    bench.peer.sendall(b"two")
    bench.turn()
    assert bench.payload() == b"one"
    bench.network.full = False
    bench.flow.resume()
    bench.turn()
    assert bench.payload() == b"onetwo"


def test_octets_are_acknowledged_when_the_socket_has_taken_them(bench: Bench) -> None:
    block = data_section_header(200_000) + bytes(200_000)
    total = 0
    while not bench.flow._pending_size:
        bench.flow.write(block)
        total += 200_000
    stuck = bench.flow.octets_out
    assert bench.network.acknowledged <= stuck < total
    for _ in range(200):
        bench.read()
        bench.turn(1)
    assert bench.flow.octets_out == total
    assert total - bench.network.acknowledged < LEGACY_STEP


def test_reset_by_the_peer_is_no_clean_end(bench: Bench) -> None:
    bench.peer.sendall(b"half of it")
    bench.turn()
    bench.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    bench.peer.close()
    bench.turn()
    assert bench.network.ended == "aborted"
    assert [(outcome.state, outcome.settled) for outcome in bench.network.outcomes] == [
        (MODIFIED, False),
        (MODIFIED, True),
    ]
    assert bench.owner.ended == [bench.flow]


@pytest.mark.parametrize("reset", [True, False])
def test_refusal_by_the_far_end_closes_the_socket(bench: Bench, reset: bool) -> None:
    state = MODIFIED if reset else RELEASED
    bench.flow.outcome(Outcome(state, False, failed=reset))
    bench.turn()
    try:
        end: Any = bench.peer.recv(10)
    except ConnectionResetError:
        end = "reset"
    assert end == ("reset" if reset else b"")
    bench.flow.outcome(Outcome(state, True, failed=reset))
    assert bench.owner.ended == [bench.flow]


def test_broken_stream_resets_the_socket(bench: Bench) -> None:
    bench.flow.write(data_section_header(100) + b"only a part")
    bench.flow.abort()
    bench.turn()
    assert bench.peer.recv(100) == b"only a part"
    with pytest.raises(ConnectionResetError):
        bench.peer.recv(100)
    assert bench.network.ended == "aborted"
    assert bench.owner.ended == [bench.flow]


def test_nonsense_in_the_body_ends_the_flow(bench: Bench) -> None:
    bench.flow.write(b"\x00\x53\x77\x40 this is no data section")
    bench.turn()
    assert bench.network.ended == "aborted"
    assert bench.network.outcomes[-1].settled


def test_a_far_end_that_settles_before_the_end_leaves_nothing_behind(bench: Bench) -> None:
    bench.peer.sendall(b"some")
    bench.turn()
    bench.flow.outcome(Outcome(ACCEPTED, True))
    bench.peer.sendall(b"more that nobody takes")
    bench.turn()
    assert bench.owner.ended == []
    bench.flow.write(data_section_header(6) + b"answer")
    bench.flow.finish()
    bench.turn()
    assert bench.owner.ended == [bench.flow]
    with contextlib.suppress(ConnectionResetError):
        assert bench.read() == b"answer"


def test_other_encapsulation_is_refused(bench: Bench) -> None:
    other = Bench()
    head = Head()
    head.lite = True
    network = Network()
    other.flow.begin(Start(head, RouterAnnotations(flags=5), b"", 0, settled=False, complete=False), network)
    assert [outcome.settled for outcome in network.outcomes] == [True]
    assert other.owner.ended == [other.flow]
    other.close()


def test_hang_up_without_reading_does_not_spin(bench: Bench) -> None:
    bench.network.full = True
    bench.peer.sendall(b"left unread")
    bench.turn()
    bench.flow.finish()
    bench.peer.sendall(b"more")
    bench.peer.shutdown(socket.SHUT_WR)
    bench.turn()
    assert bench.flow.descriptor is None
    bench.network.full = False
    bench.flow.resume()
    bench.turn()
    assert bench.payload() == b"left unreadmore"
    assert bench.network.ended == "finished"


def test_what_came_before_the_socket_is_all_sent_once_there_is_one(bench: Bench) -> None:
    """More than the socket takes at once, and nothing that follows would push the rest."""
    inside, bench.flow.sock = bench.flow.sock, None
    assert bench.flow.descriptor is not None
    bench.flow.descriptor.close()
    bench.flow.descriptor = None
    inside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    payload = bytes(range(256)) * 4000
    for cut in range(0, len(payload), 50_000):
        piece = payload[cut : cut + 50_000]
        bench.flow.write(data_section_header(len(piece)) + piece)
    bench.flow._adopt(inside)
    bench.flow._attend()
    bench.flow._flush()
    got = bytearray()
    for _ in range(3000):
        got += bench.read()
        if len(got) == len(payload):
            break
        bench.turn(1)
    assert bytes(got) == payload


class Records:
    """What a flow asks of the flow records."""

    def start(self, *_of: object) -> str:
        return "flow:1"

    def end(self, _record: str) -> None:
        """Nobody collects."""


class ListenerRouter(FakeRouter):
    """What a client's connection asks of its router; every message goes to `network`."""

    stream_annotations = RouterAnnotations(flags=5)

    def __init__(self, loop: Loop) -> None:
        super().__init__(loop)
        self.records = Records()
        self.network = Began()

    def temporary(self, _flow: object) -> tuple[str, str]:
        return "key", "amqp:/_topo/0/A/temp.1"

    def forget_temporary(self, _key: str) -> None:
        """There is one flow only."""

    def route_local(self, _key: str, _start: Start) -> Network:
        return self.network


class Began(Network):
    """A network whose message the flow begins."""

    def begin(self, start: Start, source: Source) -> None:
        """The head is of no interest here."""


class Listener(Owner):
    """What a client's connection asks of its listener."""

    address, site_id, record, key, tls = "echo:1", "", "listener:1", "Mecho:1", None

    def __init__(self, router: ListenerRouter, *, lite: bool) -> None:
        super().__init__()
        self.router, self.lite = router, lite


@pytest.mark.parametrize("lite", [False, True])
def test_lite_listeners_send_nothing_before_the_reply_has_begun(lite: bool) -> None:
    """skrouterd's lite connectors, 3.5's above all, change and lose octets that come before they have replied."""
    errors: list[BaseException] = []
    loop = Loop(errors.append)
    router = ListenerRouter(loop)
    listener = Listener(router, lite=lite)
    inside, client = socket.socketpair()
    inside.setblocking(False)
    flow = ListenerFlow(listener, inside, ("127.0.0.1", 4))  # type: ignore[arg-type]
    flow.start()
    client.sendall(b"early")
    flow.resume()  # as when the next hop takes octets again
    for _ in range(4):
        loop.turn(0.001)
    assert bool(router.network.octets) is not lite
    head = Head()
    head.lite = lite
    flow.begin(Start(head, RouterAnnotations(flags=5), b"", 0, settled=False, complete=False), Network())
    for _ in range(4):
        loop.turn(0.001)
    assert bytes(router.network.octets).endswith(b"early")
    assert errors == []
    flow.abort()
    client.close()
    loop.close()
