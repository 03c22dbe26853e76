"""What collectors hear of TCP services: records of this router, and beside them those of a real skrouterd."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proton import Event, Message
from proton.handlers import MessagingHandler
from proton.reactor import Container

from tests.routerd.system.lab import (
    SKROUTERD,
    connect,
    connector,
    exchange,
    free_port,
    listener,
    reset,
    running,
    tcp_connector,
    tcp_listener,
    wait_for,
)

RECORD, IDENTITY, PARENT, START, END, COUNTER = range(6)
LISTENER, CONNECTOR, FLOW, LOG, LINK, ROUTER = 4, 5, 6, 14, 2, 1
OCTETS, LATENCY, RESULT, REASON, TRACE, RATE, UNACKED, WINDOW, COUNT = 23, 24, 28, 29, 31, 35, 37, 39, 40
SOURCE_HOST, SOURCE_PORT, NAME, ADDRESS = 14, 17, 30, 19
SEVERITY, TEXT, FILE, LINE = 48, 49, 50, 51


class Collector(MessagingHandler):
    """Follows the protocol of Skupper 1.9's collectors, in a thread, and keeps the records as they are now."""

    def __init__(self, port: int) -> None:
        super().__init__(prefetch=250)
        self._port = port
        self._directs: dict[str, str] = {}
        self._flushed: set[str] = set()
        self.beats: dict[str, int] = {}
        self.records: dict[str, dict[int, Any]] = {}
        self.types: set[tuple[int, str]] = set()
        self._connection: Any = None
        self._over = False
        self._container = Container(self)
        self._thread = threading.Thread(target=self._container.run, daemon=True)
        self._thread.start()

    def on_start(self, event: Event) -> None:
        self._connection = event.container.connect(f"127.0.0.1:{self._port}")
        event.container.create_receiver(self._connection, "mc/sfe.all")
        self._sender = event.container.create_sender(self._connection, None)
        event.container.schedule(0.1, self)

    def on_timer_task(self, event: Event) -> None:
        if self._over:
            self._connection.close()
        else:
            event.container.schedule(0.1, self)

    def on_message(self, event: Event) -> None:
        message: Message = event.message
        assert event.delivery.settled
        source = str(message.properties["id"]) if message.properties else ""
        if message.subject == "BEACON" and source not in self._directs:
            self._directs[source] = message.properties["direct"]
            for suffix in ("", ".flows", ".logs"):
                event.container.create_receiver(self._connection, message.properties["address"] + suffix)
        elif message.subject == "HEARTBEAT":
            self.beats[source] = self.beats.get(source, 0) + 1
            if source in self._directs and source not in self._flushed:
                self._flushed.add(source)
                self._sender.send(Message(address=self._directs[source], subject="FLUSH"))
        elif message.subject == "RECORD":
            assert len(message.body) <= 50
            for record in message.body:
                self._take(record)

    def _take(self, record: dict[Any, Any]) -> None:
        self.types |= {(int(key), type(value).__name__) for key, value in record.items()}
        assert {type(key).__name__ for key in record} == {"uint"}
        self.records.setdefault(record[IDENTITY], {}).update({int(key): value for key, value in record.items()})

    def of(self, kind: int, source: str) -> list[dict[int, Any]]:
        """The records of a kind whose source is the router of this name."""
        routers = [found for found in list(self.records.values()) if found.get(NAME) == f"0/{source}"]
        prefix = str(routers[0][IDENTITY]).partition(":")[0] if routers else "?"
        mine = [found for found in list(self.records.values()) if str(found[IDENTITY]).startswith(f"{prefix}:")]
        return [found for found in mine if found[RECORD] == kind]

    def close(self) -> None:
        self._over = True
        self._thread.join(10)


class Scenario:
    """A client's router and a server's router, and a collector at either."""

    def __init__(self, directory: Path, front: str, back: str, lite: bool, at_front: bool) -> None:
        self.context = running(directory)
        self.lab = self.context.__enter__()
        self.names = front, back
        self.lite = lite
        more = {"encapsulation": "lite"} if lite else {}
        link, self.port, self.bad, dead = (free_port() for _ in range(4))
        server = self.lab.server()
        self.front = self.lab.router(
            front, "interior", listener("inter-router", link), tcp_listener(self.port, name="good", **more),
            tcp_listener(self.bad, address="bad:1", name="bad", **more),
        )  # fmt: skip
        self.back = self.lab.router(
            back, "interior", connector("inter-router", link), tcp_connector(server.port, **more),
            tcp_connector(dead, address="bad:1", **more),
        )  # fmt: skip
        place = self.front if at_front else self.back
        wait_for(lambda: place.query("io.skupper.router.router"), "the router")
        self.collector = Collector(place.port)
        wait_for(lambda: len(self.collector.beats) == 2, "heartbeats of both", 40)
        wait_for(lambda: exchange(self.port) == b"hello", "the service", 30)
        wait_for(lambda: self.collector.of(LISTENER, front) and self.collector.of(CONNECTOR, back), "records", 30)

    def close(self) -> None:
        self.collector.close()
        self.context.__exit__(None, None, None)

    def flow(self, side: int, name: str, octets: int) -> dict[int, Any]:
        """The ended flow of a side that has counted so many octets."""
        router = self.names[side]
        parents = {found[IDENTITY] for found in self.collector.of((LISTENER, CONNECTOR)[side], router)}

        def ended() -> list[dict[int, Any]]:
            flows = [found for found in self.collector.of(FLOW, router) if END in found and OCTETS in found]
            return [found for found in flows if found[OCTETS] == octets and found.get(PARENT) in parents]

        return wait_for(ended, f"{name}: ended flow of {router}", 20)[-1]


ROUTERS = [pair for pair in itertools.product(("A", "SA"), ("B", "SB")) if SKROUTERD or "S" not in "".join(pair)]


@pytest.fixture(scope="module", params=[(*pair, lite) for pair in ROUTERS for lite in (False, True)], ids=str)
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    front, back, lite = request.param
    made = Scenario(tmp_path_factory.mktemp("flows"), front, back, lite, at_front=not front.startswith("S"))
    try:
        yield made
    finally:
        made.close()


def test_a_connection_is_a_pair_of_flows(scenario: Scenario) -> None:
    with connect(scenario.port) as sock:
        port = sock.getsockname()[1]
        sock.sendall(b"x" * 30_000)
        got = 0
        while got < 30_000:
            got += len(sock.recv(65536))
    front, back = (scenario.flow(side, "pair", 30_000) for side in (0, 1))
    assert back[COUNTER] == front[IDENTITY]
    assert front[END] >= front[START] > 1_600_000_000_000_000
    for flow, router in ((front, scenario.names[0]), (back, scenario.names[1])):
        assert 0 < flow[LATENCY] < 60_000_000
        assert RESULT not in flow
        # A real skrouterd tells less of a flow in lite encapsulation.
        if not scenario.lite:
            assert (flow[UNACKED], flow[WINDOW]) == (30_000, 1_459_620)
        if not (scenario.lite and router.startswith("S")):
            assert flow[SOURCE_HOST] == "127.0.0.1"
            assert flow[SOURCE_PORT].isdigit()
    if not (scenario.lite and scenario.names[0].startswith("S")):
        assert front[SOURCE_PORT] == str(port)
    if not (scenario.lite and scenario.names[1].startswith("S")):
        assert back[TRACE] == f"0/{scenario.names[0]}"


def test_a_server_that_refuses_is_the_reason(scenario: Scenario) -> None:
    with connect(scenario.bad, 30) as sock:
        sock.sendall(b"seven77")
        try:
            while sock.recv(10):
                pass
        except OSError:
            pass

    def refused() -> dict[int, Any] | None:
        back = [found for found in scenario.collector.of(FLOW, scenario.names[1]) if END in found and REASON in found]
        return next((found for found in back if "refused" in found[REASON]), None)

    back = wait_for(refused, "the reason", 20)
    assert back[RESULT] == "proton:io"
    assert back[REASON].startswith("Connection refused - on connect 127.0.0.1:")
    front = wait_for(lambda: scenario.collector.records.get(back[COUNTER]), "the other flow", 20)
    wait_for(lambda: END in front, "the end of the other flow", 20)
    assert (front[RESULT], front[REASON]) == ("delivery-failed", "destination unreachable")


def test_a_reset_is_the_reason(scenario: Scenario) -> None:
    sock = connect(scenario.port)
    sock.sendall(b"y" * 77)
    while sock.recv(1000) != b"":
        break
    reset(sock)
    front = scenario.flow(0, "reset", 77)
    assert front[RESULT] == "proton:io"
    # A skrouterd says either, as it happens to notice it.
    assert re.match(r"Connection reset by peer - (async disconnect|recv error) 127\.0\.0\.1:", front[REASON])


def test_rates_and_counts_are_told_while_it_lasts(scenario: Scenario) -> None:
    with connect(scenario.port) as sock:
        sock.sendall(b"z" * 5000)

        def rated() -> set[str]:
            flows = {name: scenario.collector.of(FLOW, name) for name in scenario.names}
            live = {name: [found for found in flows[name] if END not in found] for name in flows}
            return {name for name in live if any(found[OCTETS] == 5000 and found.get(RATE) for found in live[name])}

        # A real skrouterd tells octets of lite encapsulation at the end only.
        expected = {name for name in scenario.names if not (scenario.lite and name.startswith("S"))}
        wait_for(lambda: rated() == expected, "rates", 30)
    if scenario.lite:
        services = scenario.collector.of(LISTENER, scenario.names[0])
        wait_for(lambda: any(found.get(COUNT, 0) > 0 for found in services), "a count of connections", 20)


def test_objects_are_described_and_their_end_is_told(scenario: Scenario) -> None:
    front, back = scenario.names
    collector = scenario.collector
    (router,) = collector.of(ROUTER, front)
    assert router[13] == "interior"
    assert router[32].startswith("2.7.")
    (link,) = collector.of(LINK, front)
    assert (link[NAME], link[33], link[34], link[PARENT]) == (back, 1, "incoming", router[IDENTITY])
    (link,) = collector.of(LINK, back)
    assert (link[NAME], link[33], link[34]) == (front, 1, "outgoing")
    by_name = {found[NAME]: found for found in collector.of(LISTENER, front)}
    good = by_name["good"]
    assert (good[15], good[16], good[18], good[ADDRESS]) == ("127.0.0.1", "tcp", str(scenario.port), "echo:1")
    target = {"operation": "CREATE", "type": "io.skupper.router.tcpListener", "name": "n" * 400}
    scenario.front.request(target, {"host": "127.0.0.1", "port": str(free_port()), "address": "short:1"})
    wait_for(lambda: any(found[NAME].startswith("nnn") for found in collector.of(LISTENER, front)), "the new one", 20)
    long = next(found for found in collector.of(LISTENER, front) if found[NAME].startswith("nnn"))
    assert len(long[NAME]) <= 300
    scenario.front.request({**target, "operation": "DELETE"}, {})
    wait_for(lambda: END in collector.records[long[IDENTITY]], "its end", 20)


def test_warnings_are_log_records(scenario: Scenario) -> None:
    target = {"operation": "CREATE", "type": "io.skupper.router.listener", "name": "taken"}
    scenario.front.request(target, {"host": "127.0.0.1", "port": str(scenario.front.port)})

    def told() -> list[dict[int, Any]]:
        found = scenario.collector.of(LOG, scenario.names[0])
        return [record for record in found if "Listener error on" in record.get(TEXT, "")]

    record = wait_for(told, "a log record", 20)[0]
    assert record[TEXT].startswith("LOG_SERVER: Listener error on 127.0.0.1:")
    assert (record[SEVERITY], record[START]) == (3, record[END])
    assert record[FILE]
    assert record[LINE] > 0
    scenario.front.request({**target, "operation": "DELETE"}, {})


def test_values_have_the_types_of_vanflow(scenario: Scenario) -> None:
    numbers = {START, END, OCTETS, LATENCY, RATE, UNACKED, WINDOW, COUNT, 33, 38, 42, 48, 51}
    for key, kind in scenario.collector.types:
        assert kind == ("uint" if key == RECORD else "ulong" if key in numbers else "str"), key


def test_what_is_recorded_is_logged(scenario: Scenario) -> None:
    router = scenario.front
    target = {"operation": "UPDATE", "type": "io.skupper.router.log", "name": "log/FLOW_LOG"}
    assert f"FLOW_LOG (info) LISTENER [{scenario.collector.of(LISTENER, router.name)[0][IDENTITY]}] BEGIN" in router.log
    assert "vanAddress=echo:1 name=good" in router.log
    router.request(target, {"enable": "debug+"})
    assert exchange(scenario.port) == b"hello"
    wait_for(lambda: "FLOW_LOG (debug) FLOW [" in router.log and " END" in router.log, "the flow", 20)
    router.request(target, {"enable": "info+"})
