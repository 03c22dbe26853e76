"""What flow records and totals tell of HTTP requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from skupper_podman.model.flow import Attribute, RecordType
from skupper_podman.routerd.adaptors.http_totals import MOST_DETAILS, MOST_RECORDS, HttpTotals, Request
from tests.routerd.adaptors.h2peer import Peer, echoing, serving
from tests.routerd.adaptors.httpbench import Bench, bench, dial, read_until, replying

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok"


class Spy:
    """Records as they are started, updated and ended."""

    def __init__(self) -> None:
        self.records: dict[str, dict[Attribute, Any]] = {}
        self.ended: list[str] = []
        self.measures: dict[str, Any] = {}

    def start(
        self, kind: RecordType, parent: str, attributes: Mapping[Attribute, Any], measure: Any = None, _rate: Any = None
    ) -> str:
        identity = f"R:{len(self.records)}"
        if measure is not None:
            self.measures[identity] = measure
        self.records[identity] = {Attribute.RECORD_TYPE: kind, Attribute.PARENT: parent, **attributes}
        return identity

    def update(self, identity: str, attributes: Mapping[Attribute, Any]) -> None:
        assert identity not in self.ended
        self.records[identity].update(attributes)

    def end(self, identity: str) -> None:
        assert identity not in self.ended
        if identity in self.measures:
            self.update(identity, self.measures[identity]())
        self.ended.append(identity)

    def below(self, parent: str) -> list[str]:
        return [identity for identity, values in self.records.items() if values[Attribute.PARENT] == parent]

    def entity(self, kind: RecordType) -> str:
        (identity,) = [key for key, values in self.records.items() if values[Attribute.RECORD_TYPE] is kind]
        return identity


@pytest.fixture
def router() -> Iterator[Bench]:
    with bench() as made:
        made.router.records = Spy()  # type: ignore[assignment]
        yield made


def exchanges(spy: Spy) -> tuple[dict[Attribute, Any], dict[Attribute, Any], str]:
    """The records of one request at its two ends, and the identity of the first."""
    (client,) = spy.below(spy.entity(RecordType.LISTENER))
    servers = spy.below(spy.entity(RecordType.CONNECTOR))
    (asked,) = spy.below(client)
    (served,) = [identity for server in servers for identity in spy.below(server)]
    assert {asked, served} <= set(spy.ended)
    return spy.records[asked], spy.records[served], asked


def test_records_of_http1(router: Bench) -> None:
    router.serve(replying(OK))
    with dial(router.listen()) as sock:
        sock.sendall(REQUEST)
        assert read_until(sock, b"ok") == OK
    router.quiet()
    spy: Any = router.router.records
    asked, served, identity = router.do(lambda: exchanges(spy))
    assert (asked[Attribute.METHOD], asked[Attribute.RESULT], asked[Attribute.REASON]) == ("GET", "200", "Fine")
    assert (served[Attribute.COUNTER_FLOW], served[Attribute.OCTETS]) == (identity, len(OK))
    assert asked[Attribute.OCTETS] == len(REQUEST)
    client, server = spy.records[asked[Attribute.PARENT]], spy.records[served[Attribute.PARENT]]
    assert client[Attribute.OCTETS] == len(REQUEST)
    assert client[Attribute.SOURCE_HOST] == server[Attribute.SOURCE_HOST] == "127.0.0.1"
    assert int(server[Attribute.SOURCE_PORT]) > 0
    (info,) = [info for info in router.router.http.infos() if info.describe()["direction"] == "in"]
    assert (info.octets_in, info.octets_out) == (len(REQUEST), len(OK))
    assert asked[Attribute.LATENCY] >= served[Attribute.LATENCY] >= 0
    assert spy.records[spy.entity(RecordType.LISTENER)][Attribute.PROTOCOL] == "http1"


def test_records_of_http2(router: Bench) -> None:
    router.serve(serving(echoing), protocolVersion="HTTP2")
    client = Peer(dial(router.listen(protocolVersion="HTTP2")), client=True)
    number = client.request()
    assert client.answer_of(number).status == "200"
    client.sock.close()
    router.quiet()
    spy: Any = router.router.records
    asked, served, identity = router.do(lambda: exchanges(spy))
    assert (asked[Attribute.METHOD], asked[Attribute.RESULT], asked[Attribute.STREAM_ID]) == ("GET", "200", number)
    assert served[Attribute.COUNTER_FLOW] == identity
    assert spy.records[asked[Attribute.COUNTER_FLOW]] is served
    assert (served[Attribute.STREAM_ID], served[Attribute.TRACE]) == (1, "Local")
    client_record, server_record = spy.records[asked[Attribute.PARENT]], spy.records[served[Attribute.PARENT]]
    assert client_record[Attribute.OCTETS] == asked[Attribute.OCTETS]
    assert server_record[Attribute.SOURCE_HOST] == "127.0.0.1"
    assert spy.records[spy.entity(RecordType.CONNECTOR)][Attribute.PROTOCOL] == "http2"


def counted(totals: HttpTotals, host: str = "h", method: str = "GET", status: str = "200") -> None:
    totals.count(Request("a", host, "s", True, method, status, 1, 2, 3))


def test_totals_add_up() -> None:
    totals = HttpTotals()
    for _ in range(3):
        counted(totals)
    counted(totals, method="MADE-UP", status="")
    (info,) = totals.infos()
    assert info.describe() == {
        "name": "i_h_a@s", "identity": "i_h_a@s", "address": "a", "host": "h", "site": "s", "direction": "in",
        "requests": 4, "bytesIn": 4, "bytesOut": 8, "maxLatency": 3, "details": {"GET:200": 3, "OTHER:000": 1},
    }  # fmt: skip


def test_totals_are_bounded() -> None:
    totals = HttpTotals()
    for number in range(MOST_RECORDS + 10):
        counted(totals, host=str(number))
        counted(totals, host="0", status=str(number))
    assert len(totals.infos()) == MOST_RECORDS
    assert max(len(info.details) for info in totals.infos()) <= MOST_DETAILS
