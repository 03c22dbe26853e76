"""TCP services between every kind of router: shares, deletions under way, encapsulations, TLS, routers that die."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.routerd.system.lab import (
    Lab,
    connect,
    echoes,
    exchange,
    free_port,
    profile,
    read_all,
    reset,
    tcp_connector,
    tcp_listener,
    wait_for,
)
from tests.routerd.system.plan import PAIRS, Plan, kinds, serves
from tests.routerd.system.test_wire_edges import is_open, manage


def naming(name: bytes) -> Callable[[socket.socket], None]:
    """A server that says its name when it is spoken to (a 3.5 holds back what is said at once), and then echoes."""

    def serve(sock: socket.socket) -> None:
        if sock.recv(1):
            sock.sendall(name)
        while data := sock.recv(65536):
            sock.sendall(data)

    return serve


def asked(port: int) -> socket.socket:
    """A connection that is held; the next octet to read is the server's name."""
    sock = connect(port)
    sock.settimeout(10)
    sock.sendall(b"?")
    return sock


@pytest.mark.parametrize("pair", PAIRS)
def test_lowest_cost_first_then_spread(lab: Lab, pair: str) -> None:
    """Near server at cost 1, far one at cost 5: several connections stay near before the far one has its share."""
    front_name, back_name = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(front_name, back_name).link(front_name, back_name, cost=5)
    front = plan.front(front_name)
    plan.serve(front_name, handler=naming(b"n"))
    plan.serve(back_name, handler=naming(b"f"))
    routers = plan.meet()
    wait_for(lambda: remote_consumers(routers[front_name]) == 1, "the far server is known")
    held = []
    names = []
    for _ in range(20):
        sock = asked(front)
        names.append(sock.recv(1))
        held.append(sock)
    assert names[:3] == [b"n"] * 3
    counts = Counter(names)
    if front_name.startswith("T"):  # counts a stream of its own twice, and none of those it sends away
        assert counts[b"f"], names
    else:
        assert 4 <= counts[b"n"] - counts[b"f"] <= 7, names
    for sock in held:
        sock.close()
    wait_for(lambda: one_name(front) == b"n", "with none open the near one is preferred again")


def remote_consumers(router: object) -> int:
    """Remote consumers of the service's address."""
    items = router.query("router.address")  # type: ignore[attr-defined]
    return sum(int(item["remoteCount"]) for item in items if item["key"] == "Mecho:1")


def one_name(port: int) -> bytes:
    """The name of the server that one short connection gets."""
    with asked(port) as sock:
        return sock.recv(1)


@pytest.mark.parametrize("word", kinds("PPP", "PSS", "SPP", "SPS"))
def test_cost_99999_is_for_failover(lab: Lab, word: str) -> None:
    here, near, spare = (f"{kind}{number}" for number, kind in enumerate(word, 1))
    plan = Plan(lab).interior(here, near, spare).link(here, near).link(here, spare, cost=99999)
    front = plan.front(here)
    plan.serve(near, handler=naming(b"n"))
    plan.serve(spare, handler=naming(b"s"))
    routers = plan.meet(30)
    wait_for(lambda: remote_consumers(routers[here]) == 2, "both are known")
    held = [asked(front) for _ in range(30)]
    assert {sock.recv(1) for sock in held} == {b"n"}
    for sock in held:
        sock.close()
    routers[near].kill()
    wait_for(lambda: one_name(front) == b"s", "the spare serves", 20)
    routers[near].start()
    wait_for(lambda: one_name(front) == b"n", "the near one serves again", 30)


@pytest.mark.parametrize("word", kinds("PPP", "PSS", "SPP"))
def test_equal_costs_share(lab: Lab, word: str) -> None:
    here, one, two = (f"{kind}{number}" for number, kind in enumerate(word, 1))
    plan = Plan(lab).interior(here, one, two).link(here, one).link(here, two)
    front = plan.front(here)
    plan.serve(one, handler=naming(b"1"))
    plan.serve(two, handler=naming(b"2"))
    routers = plan.meet(30)
    wait_for(lambda: remote_consumers(routers[here]) == 2, "both are known")
    held = [asked(front) for _ in range(40)]
    counts = Counter(sock.recv(1) for sock in held)
    assert 15 <= counts[b"1"] <= 25, counts
    for sock in held:
        sock.close()


@pytest.mark.parametrize("pair", kinds("PP", "PS", "SP"))
def test_deletions_leave_flows_alone(lab: Lab, pair: str) -> None:
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(here, there).link(here, there)
    routers = plan.meet()
    server = lab.server()
    port = free_port()
    entities = {here: tcp_listener(port), there: tcp_connector(server.port)}
    for name, entity in entities.items():
        manage(routers[name], "CREATE", entity)
    serves(port)
    with connect(port) as held:
        for step, name in enumerate((there, here)):
            manage(routers[name], "DELETE", entities[name])
            wait_for(lambda: not is_open(port), "the listener closes")
            held.sendall(b"%d" % step)
            assert held.recv(1) == b"%d" % step
        data = os.urandom(3_000_000)
        sender = threading.Thread(target=lambda: (held.sendall(data), held.shutdown(socket.SHUT_WR)))
        sender.start()
        assert read_all(held) == data
        sender.join()


@pytest.mark.parametrize("pair", kinds("PP", "PS", "SP"))
@pytest.mark.parametrize("front_form", ["legacy", "lite"])
def test_encapsulations_of_the_two_ends(lab: Lab, pair: str, front_form: str) -> None:
    """A connector of ours serves both; a skrouterd's refuses the other one, and the client sees its connection end."""
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    back_form = "legacy" if front_form == "lite" else "lite"
    plan = Plan(lab).interior(here, there).link(here, there)
    front = plan.front(here, encapsulation=front_form)
    plan.serve(there, encapsulation=back_form)
    plan.meet()
    if there.startswith("P"):
        serves(front)
        assert exchange(front, bytes(2_000_000)) == bytes(2_000_000)
        return
    with connect(front) as sock, contextlib.suppress(ConnectionResetError):
        sock.sendall(b"hello")
        sock.settimeout(10)
        assert sock.recv(10) == b""


def echoed_then_ended(port: int, data: bytes) -> bytes:
    """Send, read as much, half-close, read to the end: a loaded 3.5 may cut off what a server says as it ends."""
    with connect(port) as sock, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(sock.sendall, data)
        got = bytearray()
        while len(got) < len(data) and (piece := sock.recv(262144)):
            got += piece
        sending.result()
        sock.shutdown(socket.SHUT_WR)
        return bytes(got) + read_all(sock)


@pytest.mark.parametrize("pair", kinds("PP", "PT", "TP"))
def test_lite_both_ways(lab: Lab, pair: str) -> None:
    """The encapsulation that 2.7 and 3.x share, with everything a stream can do."""
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    plan = Plan(lab).interior(here, there).link(here, there)
    front = plan.front(here, encapsulation="lite") if here[0] != "T" else plan.front(here)
    server = plan.serve(there, encapsulation="lite") if there[0] != "T" else plan.serve(there)
    plan.meet()
    serves(front)
    data = os.urandom(10_000_000)
    whole = echoed_then_ended if there[0] == "T" else exchange
    assert whole(front, data) == data
    for _ in range(30):  # a 3.5 loses octets now and then that come too early
        assert whole(front, data[:2_000_000]) == data[:2_000_000]
    assert exchange(front, b"") == b""
    sock = connect(front)
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    reset(sock)
    wait_for(lambda: not server.connections, "the server's end")
    server.close()
    with connect(front) as sock, contextlib.suppress(ConnectionResetError):
        sock.settimeout(10)
        assert sock.recv(1) == b""


@pytest.mark.parametrize("word", kinds("PPP", "SPS", "PSP", "PPS", "SPP"))
def test_router_killed_in_the_middle_of_a_stream(lab: Lab, word: str) -> None:
    names = [f"{kind}{number}" for number, kind in enumerate(word, 1)]
    plan = Plan(lab).interior(*names).chain(*names)
    front = plan.front(names[0])
    server = plan.serve(names[-1])
    routers = plan.meet(30)
    serves(front)
    for victim in (names[1], names[2]):
        sock = connect(front)
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        routers[victim].kill()
        sock.settimeout(15)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""
        sock.close()
        wait_for(lambda: not server.connections, "the server's end of it", 20)
        routers[victim].start()
        plan.complete(30)
        serves(front)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("pair", kinds("PP", "PS", "SP", "PT", "TP"))
def test_tls_on_both_sides_of_the_service(lab: Lab, pair: str, verify: bool) -> None:
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    tls = profile(lab.directory)
    files = tls[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["certFile"], files["privateKeyFile"])

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secured:
            while data := secured.recv(65536):
                secured.sendall(data)

    plan = Plan(lab).interior(here, there).link(here, there).entity(here, tls).entity(there, tls)
    front = plan.front(here, sslProfile="tls")
    # The certificate is for localhost and 127.0.0.1.
    named = {"host": "localhost"} if verify else {}
    plan.serve(there, handler=serve, sslProfile="tls", verifyHostname=verify, **named)
    plan.meet()
    client = ssl.create_default_context(cafile=files["caCertFile"])

    def echo() -> bool:
        with client.wrap_socket(connect(front), server_hostname="localhost") as sock:
            sock.sendall(b"ping")
            return sock.recv(4) == b"ping"

    wait_for(echo, "service")
    with client.wrap_socket(connect(front), server_hostname="localhost") as sock:
        sock.settimeout(60)
        data = os.urandom(2_000_000)
        got = bytearray()
        # A TLS socket of Python is not to be read and written by two threads at the same time.
        for begin in range(0, len(data), 50_000):
            sock.sendall(data[begin : begin + 50_000])
            while len(got) < min(begin + 50_000, len(data)):
                got += sock.recv(65536)
        assert got == data


@pytest.mark.parametrize("pair", kinds("PP", "SP", "TP"))
def test_server_whose_name_does_not_match_is_refused(lab: Lab, pair: str) -> None:
    here, there = f"{pair[0]}1", f"{pair[1]}2"
    tls = profile(lab.directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls[1]["certFile"], tls[1]["privateKeyFile"])
    served: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as secured:
            served.append(secured.recv(10))

    plan = Plan(lab).interior(here, there).link(here, there).entity(there, tls)
    front = plan.front(here)
    plan.serve(there, handler=serve, sslProfile="tls", verifyHostname=True, host="127.0.0.2")
    plan.meet()
    with connect(front) as sock, contextlib.suppress(ConnectionResetError):
        sock.settimeout(15)
        sock.sendall(b"secret")
        assert sock.recv(10) == b""
    assert b"secret" not in served


@pytest.mark.parametrize("word", kinds("PPP", "PSP", "SPS"))
def test_ten_thousand_short_connections(lab: Lab, word: str) -> None:
    """No link, flow, descriptor or memory is left. 10,000 with SKUPPER_TEST_LONG, 1,500 otherwise."""
    names = [f"{kind}{number}" for number, kind in enumerate(word, 1)]
    plan = Plan(lab).interior(*names).chain(*names)
    front = plan.front(names[0])
    plan.serve(names[-1])
    routers = plan.meet(30)
    serves(front)
    mine = [router for router in routers.values() if router.name.startswith("P")]
    total = 10_000 if os.environ.get("SKUPPER_TEST_LONG") else 1_500

    def burst(count: int) -> None:
        for number in range(count):
            with connect(front) as sock:
                sock.sendall(b"%d" % number)
                if number % 3 == 0:
                    reset(sock)
                elif number % 3 == 1:
                    assert sock.recv(16) == b"%d" % number

    def together(count: int) -> None:
        workers = [threading.Thread(target=burst, args=(count // 5,)) for _ in range(5)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for router in mine:
            wait_for(lambda router=router: not router.query("tcpConnection"), f"flows of {router.name} end", 30)

    together(500)
    before = [(router.descriptors(), len(router.query("router.link")), router.memory()) for router in mine]
    together(total)
    after = [(router.descriptors(), len(router.query("router.link")), router.memory()) for router in mine]
    for then, now in zip(before, after, strict=True):
        assert now[0] <= then[0] + 2
        assert now[1] <= then[1] + 16
        assert now[2] <= then[2] + (6 << 20)
    assert echoes(front)
