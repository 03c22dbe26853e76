"""TCP streams whose way through the network breaks at any moment: both ends are told, and no router keeps anything.

All routers run in this process on one loop whose clock the test turns, so each moment can be met: a step is one turn.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from skupper_podman.routerd.amqp.connection import AmqpConnection, Settings
from skupper_podman.routerd.entities import Entities
from skupper_podman.routerd.log import Log
from skupper_podman.routerd.loop import Loop
from skupper_podman.routerd.management.schema import validate
from skupper_podman.routerd.router import Router
from tests.fuzz.live import is_closed

ADDRESS = "echo:1"
#: Turns in which a whole stream has come and gone, with some to spare.
STEPS = 60
#: Octets that fill every window and buffer on the way.
FLOOD = bytes(8 << 20)


class Network:
    """Routers, the links between them, and one service: a client's port and a server's."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.now = 1000.0
        self.loop = Loop(self.errors.append, lambda: self.now)
        self.routers: dict[str, Router] = {}
        self.links: dict[frozenset[str], tuple[AmqpConnection, AmqpConnection]] = {}
        self._entities: list[Entities] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self._port = 0
        self.ends: tuple[Entities, Entities]
        self.client: socket.socket | None = None
        self.served: socket.socket | None = None

    def router(self, name: str, mode: str = "interior") -> Entities:
        """A router; what it is given."""
        log = Log()
        log.configure("DEFAULT", {"outputFile": "/dev/null"})
        router = Router(validate("router", {"id": name, "mode": mode}), log, self.loop)
        router.report = self.errors.append  # type: ignore[method-assign]
        self.routers[name] = router
        self._entities.append(Entities(router))
        return self._entities[-1]

    def link(self, upper: str, lower: str, role: str = "inter-router") -> None:
        """A connection that `lower` has made to `upper`."""
        outside, inside = socket.socketpair()
        settings = Settings.of(validate("listener", {"host": "127.0.0.1", "port": "1", "role": role}))
        ends = []
        for name, sock, incoming in ((upper, inside, True), (lower, outside, False)):
            sock.setblocking(False)
            ends.append(AmqpConnection(self.routers[name], sock, settings, "peer", None, incoming=incoming))
        ends[1].open()
        self.links[frozenset((upper, lower))] = ends[0], ends[1]

    def serve(self, front: Entities, back: Entities, encapsulation: str) -> None:
        """The service, of HTTP where the encapsulation is `http`."""
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self._port = sock.getsockname()[1]
        more = {"address": ADDRESS, "host": "127.0.0.1"}
        kind = "http"
        if encapsulation != "http":
            kind, more["encapsulation"] = "tcp", encapsulation
        server = self._server.getsockname()[1]
        for entities, name, port in ((back, f"{kind}Connector", server), (front, f"{kind}Listener", self._port)):
            entities.create(name, validate(name, {"name": name, "port": str(port), **more}))
        self.until(lambda: (front.tcp_listeners + front.http_listeners)[0].oper_status == "up")
        self.turn(20)

    def turn(self, times: int = 1) -> None:
        """Let all routers work."""
        for _ in range(times):
            self.loop.turn(0.0)
            if self.served is None:
                with contextlib.suppress(BlockingIOError):
                    self.served = self._server.accept()[0]
                    self.served.setblocking(False)

    def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until it is so."""
        for _ in range(200):
            if condition():
                return
            self.pass_time(0.25)
        raise AssertionError("it never came to that")

    def pass_time(self, seconds: float) -> None:
        """Let time pass in small steps."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.25
            self.turn(3)

    def dial(self) -> socket.socket:
        """A client."""
        self.client = socket.create_connection(("127.0.0.1", self._port))
        self.client.setblocking(False)
        return self.client

    def flows(self) -> dict[str, int]:
        """TCP connections that routers have."""
        return {name: router.tcp_connections() for name, router in self.routers.items() if router.tcp_connections()}

    def kill(self, name: str) -> None:
        """A router vanishes, and the kernel closes its connections."""
        for names, ends in self.links.items():
            if name in names:
                for conn in ends:
                    if conn.router is self.routers[name]:
                        self.loop.unregister(conn.descriptor.fd)
                        conn.sock.close()
                        conn.touch = lambda: None  # type: ignore[method-assign]
        del self.routers[name]

    def close(self) -> None:
        """End all; fails when a router had an internal error."""
        for entities in self._entities:
            entities.close()
        for router in self.routers.values():
            for conn in list(router.connections.values()):
                conn.lose("end")
        self.turn(3)
        for sock in (self._server, self.client, self.served):
            if sock is not None:
                sock.close()
        self.loop.close()
        assert self.errors == []


def ended(sock: socket.socket | None) -> bool:
    """Whether the stream towards this end is over, by an end or a reset; what is left of it is read."""
    return sock is None or is_closed(sock)


def assert_over(network: Network, moment: int) -> None:
    """Nothing is left of the streams, neither in the routers nor at both ends."""
    assert network.flows() == {}, moment
    assert ended(network.client), moment
    assert ended(network.served), moment


@contextlib.contextmanager
def chain(encapsulation: str, form: str) -> Iterator[Network]:
    """A client's router, a transit router B and a server's router; with edges below both ends in the form `edges`."""
    network = Network()
    try:
        front = network.router("A")
        network.router("B")
        back = network.router("C")
        network.link("B", "A")
        network.link("B", "C")
        if form == "edges":
            front, back = network.router("E", "edge"), network.router("F", "edge")
            network.link("A", "E", "edge")
            network.link("C", "F", "edge")
        network.ends = front, back
        network.serve(front, back, encapsulation)
        yield network
    finally:
        network.close()


def talk(network: Network) -> Iterator[None]:
    """A stream from begin to end, in turns: a request, half-closed, and an answer."""
    client = network.dial()
    yield from once(network, 8)
    client.sendall(b"question")
    yield from once(network, 8)
    client.shutdown(socket.SHUT_WR)
    yield from once(network, 8)
    if network.served is not None:
        network.served.sendall(b"answer")
        yield from once(network, 8)
        network.served.close()
    yield from once(network, STEPS)


def once(network: Network, times: int) -> Iterator[None]:
    """So many turns."""
    for _ in range(times):
        network.turn()
        yield


def server_first(network: Network) -> Iterator[None]:
    """The server closes its direction first, and the client goes on."""
    client = network.dial()
    yield from once(network, 10)
    if network.served is not None:
        network.served.shutdown(socket.SHUT_WR)
    yield from once(network, 10)
    client.sendall(b"more")
    yield from once(network, STEPS)


def flood(network: Network) -> Iterator[None]:
    """Nobody reads, so that windows and buffers are full in both directions."""
    client = network.dial()
    yield from once(network, 10)
    for _ in range(STEPS // 2):
        for sock in (client, network.served):
            with contextlib.suppress(BlockingIOError):
                if sock is not None:
                    sock.send(FLOOD)
        network.turn()
        yield
    yield from once(network, STEPS)


def reset(network: Network) -> Iterator[None]:
    """The client resets its connection."""
    client = network.dial()
    yield from once(network, 10)
    client.sendall(b"question")
    yield from once(network, 4)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    network.client = None
    yield from once(network, STEPS)


@pytest.mark.parametrize("form", ["interiors", "edges"])
@pytest.mark.parametrize("encapsulation", ["legacy", "lite"])
@pytest.mark.parametrize("course", [talk, server_first, flood, reset])
def test_a_transit_router_that_vanishes_ends_the_streams_at_both_sides(
    course: Callable[[Network], Iterator[None]], encapsulation: str, form: str
) -> None:
    for moment in (*range(0, 40, 4), STEPS):
        with chain(encapsulation, form) as network:
            for _ in zip(range(moment), course(network), strict=False):
                pass
            network.kill("B")
            network.pass_time(15)
            assert_over(network, moment)
            assert [router.temporaries for router in network.routers.values() if router.temporaries] == [], moment


def request(network: Network) -> Iterator[None]:
    """Two requests of HTTP over one connection, one with a body that comes in pieces."""
    client = network.dial()
    yield from once(network, 4)
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    yield from once(network, 8)
    for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi", b"ne"):
        if network.served is not None:
            with contextlib.suppress(BlockingIOError):
                network.served.recv(1000)
            network.served.sendall(answer)
        yield from once(network, 6)
    client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
    yield from once(network, 8)
    client.sendall(b"more")
    yield from once(network, STEPS)


@pytest.mark.parametrize("form", ["interiors", "edges"])
def test_requests_whose_way_vanishes_are_answered_or_broken_off(form: str) -> None:
    under_way = 0
    for moment in range(0, 64, 3):
        with chain("http", form) as network:
            for _ in zip(range(moment), request(network), strict=False):
                pass
            front, back = network.ends
            under_way += sum(len(connector.pool.exchanges) for connector in back.http_connectors)
            network.kill("B")
            network.pass_time(15)
            asked = [client.exchange for listener in front.http_listeners for client in listener.clients]
            assert [exchange for exchange in asked if exchange is not None and exchange.request_ended] == [], moment
            assert [len(connector.pool.exchanges) for connector in back.http_connectors] == [0], moment
    assert under_way > 3


def broken_off(sock: socket.socket | None) -> bool:
    """Whether the stream towards this end was reset, so that what has come of it does not look complete."""
    assert sock is not None
    try:
        while sock.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize("victim", ["A", "B", "C"])
@pytest.mark.parametrize("encapsulation", ["legacy", "lite"])
def test_what_is_broken_off_does_not_look_complete(encapsulation: str, victim: str) -> None:
    """Both ends have got a part, and neither the end."""
    with chain(encapsulation, "edges") as network:
        client = network.dial()
        network.turn(20)
        client.sendall(b"a part")
        network.turn(20)
        assert network.served is not None
        assert network.served.recv(100) == b"a part"
        network.served.sendall(b"another part")
        network.turn(20)
        assert client.recv(100) == b"another part"
        network.kill(victim)
        network.pass_time(15)
        assert broken_off(client)
        assert broken_off(network.served)
        assert network.flows() == {}


@pytest.mark.parametrize("encapsulation", ["legacy", "lite"])
@pytest.mark.parametrize("course", [talk, flood])
def test_an_edge_whose_interior_vanishes_ends_its_streams_and_serves_over_the_other(
    course: Callable[[Network], Iterator[None]], encapsulation: str
) -> None:
    for moment in range(0, 40, 6):
        with chain(encapsulation, "edges") as network:
            network.link("B", "E", "edge")
            network.turn(20)
            for _ in zip(range(moment), course(network), strict=False):
                pass
            network.kill("A")
            network.pass_time(15)
            assert_over(network, moment)
            for sock in (network.client, network.served):
                if sock is not None:
                    sock.close()
            network.served = None
            for _ in talk(network):
                pass
            assert network.client is not None
            assert network.client.recv(100) == b"answer", moment
            network.pass_time(1)
            assert network.flows() == {}, moment


@pytest.mark.parametrize("encapsulation", ["legacy", "lite"])
@pytest.mark.parametrize("form", ["interiors", "edges"])
def test_a_client_that_comes_while_the_link_is_being_lost_is_not_kept(form: str, encapsulation: str) -> None:
    """Its router may not yet have drawn all conclusions from the loss, which are for the end of the turn."""
    with chain(encapsulation, form) as network:
        upper, lower = ("A", "E") if form == "edges" else ("B", "A")
        conn = next(end for end in network.links[frozenset((upper, lower))] if end.router is network.routers[lower])
        client = network.dial()
        conn.lose("cut")
        network.pass_time(15)
        assert network.flows() == {}
        assert ended(client)
