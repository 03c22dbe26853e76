"""HTTP/1 on the wire: the short way past h11 does what h11 does, whatever comes, and however it is cut."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skupper_podman.routerd.adaptors.http1_messages import to_client, to_server
from skupper_podman.routerd.adaptors.http1_parse import RequestHead, ResponseHead
from skupper_podman.routerd.adaptors.http1_wire import Closed, End, Wire
from skupper_podman.routerd.adaptors.http_heads import HttpHead

# fmt: off
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUESTS = [
    GET, GET.replace(b"GET", b"HEAD"), CHUNKED, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", b"hello",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", GET.replace(b"\r\n", b"\n"),
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
]
CHUNKS = [
    b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"5;x=y\r\nhello\r\n", b"5\r\nhelloo\r\n", b"00\r\n\r\n",
    b"A \r\n",
    b"5", b"\r\n", b"hel", b"lo", b"x\r\n", b"\n", b"0\r", b"ffffffffff\r\n", b"0\r\nA\r\n\r\n",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"hello",
    b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
]
# fmt: on
HEADS = [
    HttpHead("200", [(":reason", "OK")], [("Content-Length", "5")]),
    HttpHead("200", [(":reason", "OK")], [("transfer-encoding", "chunked"), ("A", "b")]),
    HttpHead("404", [], []),
    HttpHead("204", [], []),
    HttpHead("100", [], []),
    HttpHead("200", [], [("Content-Length", "5, 5")]),
]
ASKED = [
    HttpHead("GET", [(":path", "/")], []),
    HttpHead("HEAD", [(":path", "/")], [("Host", "y")]),
    HttpHead("POST", [(":path", "/")], [("Content-Length", "5")]),
    HttpHead("POST", [(":path", "/")], [("Transfer-Encoding", "chunked")]),
    HttpHead("POST", [(":path", "/")], [("Content-Length", "5"), ("Expect", "100-continue")]),
    HttpHead("CONNECT", [(":path", "a:1")], []),
]

Step = tuple[str, Any]
writing = st.one_of(
    st.tuples(st.just("data"), st.sampled_from([b"", b"hello", b"hel", b"lo"])),
    st.tuples(st.just("end"), st.sampled_from([(), (), ((b"A", b"b"),)])),
    st.just(("next", None)),
)


def steps(heads: list[HttpHead], octets: list[bytes]) -> st.SearchStrategy[list[Step]]:
    """What may happen to a connection, in any order."""
    known = st.sampled_from(octets)
    receiving = st.one_of(known, known, st.sampled_from(CHUNKS), st.binary(max_size=9))
    return st.lists(
        st.one_of(
            st.tuples(st.just("receive"), receiving),
            st.tuples(st.just("receive"), receiving),
            st.tuples(st.just("head"), st.sampled_from(heads)),
            writing,
        ),
        max_size=12,
    )


def judged(wire: Wire) -> Wire:
    """The same connection, but with h11 from the beginning."""
    wire._judge()
    return wire


class Play:
    """A connection, and all that it says; with or without h11 from the beginning of each exchange."""

    def __init__(self, role: Any, cut: int, *, strict: bool) -> None:
        self.server = role is h11.SERVER
        self.cut = cut
        self.strict = strict
        self.wire = judged(Wire(role)) if strict else Wire(role)
        self.said: list[Any] = []
        self.ended = False
        self.begun = False

    def run(self, script: list[Step]) -> list[Any]:
        """Everything that happens, until something is wrong."""
        for what, argument in script:
            if what == "head" and self.server and not self.begun:
                break  # to a request that has not come only errors are responses, and they are the last
            try:
                getattr(self, what)(argument)
            except h11.RemoteProtocolError as error:
                self.said.append(("remote", error.error_status_hint, self.wire.may_respond))
                break
            except (h11.LocalProtocolError, ValueError):
                self.said.append(("local", self.wire.may_respond))
                break
            except AttributeError as error:
                assert "'tuple' object has no attribute '__name__'" in str(error)  # h11 means to raise a local error
                self.said.append(("local", self.wire.may_respond))
                break
            self.said.append((self.wire.reusable, self.wire.may_respond))
            if not self.server and not self.begun and not isinstance(self.said[-2:][0], tuple):
                break  # something that nobody has asked for: the connection ends
        return self.said

    def receive(self, octets: bytes) -> None:
        if self.ended:
            return
        self.ended = not octets
        size = self.cut or len(octets) or 1
        for at in range(0, len(octets) or 1, size):
            self.wire.receive(octets[at : at + size])
            self._drain()

    def _drain(self) -> None:
        while (event := self.wire.next_event()) is not None:
            match event:
                case RequestHead():
                    self.begun = True
                    self.said.append([event.method, event.target, event.version, event.fields])
                case ResponseHead():
                    self.said.append([event.status, event.reason, event.version, event.fields])
                case End():
                    self.said.append(["end", list(event.trailers), self.wire.unread])
                case Closed():
                    self.said.append("closed")
                    return
                case _ if self.said and isinstance(self.said[-1], bytes):
                    self.said[-1] += bytes(event)
                case _:
                    self.said.append(bytes(event))

    def head(self, head: HttpHead) -> None:
        sendable = to_client(head) if self.server else to_server(head, "server:80", None)
        self.begun = True
        self.said.append(["sent", self.wire.begin(sendable.written, sendable.event)])

    def data(self, payload: bytes) -> None:
        self.said.append(["sent", self.wire.data(payload)])

    def end(self, trailers: Any) -> None:
        self.said.append(["sent", self.wire.end(trailers)])

    def next(self, _argument: None) -> None:
        if self.wire.reusable:
            self.wire.next_exchange()
            self.begun = False
            if self.strict:
                judged(self.wire)
            self._drain()


def agree(role: Any, script: list[Step], cut: int) -> list[Any]:
    """Both ways say the same; what it is."""
    said = Play(role, cut, strict=False).run(script)
    assert said == Play(role, cut, strict=True).run(script)
    return said


@settings(max_examples=500, deadline=None)
@given(steps(HEADS, REQUESTS), st.sampled_from([0, 0, 1, 3]))
@example([("receive", CHUNKED + b"5\r\nhel"), ("receive", b"lo"), ("receive", b"x\r\n")], 0)
@example([("receive", CHUNKED + b"5\r\nhello\r\n"), ("head", HEADS[1]), ("data", b"a"), ("receive", b"0;\r\n\r\n")], 0)
@example([("receive", GET), ("receive", b""), ("head", HEADS[4]), ("head", HEADS[2]), ("end", ())], 0)
@example([("receive", GET + GET), ("head", HEADS[3]), ("end", ()), ("next", None), ("receive", b"")], 0)
def test_connections_from_clients_are_what_they_are_with_h11(script: list[Step], cut: int) -> None:
    agree(h11.SERVER, script, cut)


@settings(max_examples=500, deadline=None)
@given(steps(ASKED, RESPONSES), st.sampled_from([0, 0, 1, 3]))
@example([("head", ASKED[0]), ("receive", b"")], 0)
@example([("head", ASKED[2]), ("data", b"hel"), ("receive", RESPONSES[6]), ("data", b"lo"), ("end", ())], 0)
@example([("head", ASKED[1]), ("end", ()), ("receive", RESPONSES[1]), ("next", None), ("receive", b"?")], 0)
def test_connections_to_servers_are_what_they_are_with_h11(script: list[Step], cut: int) -> None:
    agree(h11.CLIENT, script, cut)


def exchange(request: bytes, response: HttpHead, body: bytes) -> list[Step]:
    """A whole exchange as a client's connection sees it."""
    return [("receive", request), ("head", response), ("data", body), ("end", ()), ("next", None)]


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize(
    ("request_", "response", "body"),
    [
        (GET, HEADS[0], b"hello"),
        (CHUNKED + b"5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n", HEADS[1], b"hello"),
        (REQUESTS[3] + b"hello", HEADS[2], b"hello"),
        (REQUESTS[1], HEADS[1], b""),
        (CHUNKED + b"5;x\r\nhello\r\n0\r\nA: b\r\n\r\n", HEADS[5], b"hello"),
    ],
)
def test_exchanges_follow_each_other(request_: bytes, response: HttpHead, body: bytes, cut: int) -> None:
    said = agree(h11.SERVER, 3 * exchange(request_, response, body), cut)
    assert said.count((True, False)) == 3  # each is complete once
    assert said[-1] == (False, True)


def test_what_is_plain_needs_no_h11() -> None:
    made: list[object] = []
    wire = Wire(h11.SERVER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Wire, "_judge", lambda self: made.append(self))
        for request, response in ((GET, HEADS[0]), (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", HEADS[1])):
            wire.receive(request)
            events = [wire.next_event()]
            while not isinstance(events[-1], End):
                events.append(wire.next_event())
            wire.begin(to_client(response).written, _never)
            wire.data(b"hello")
            wire.end()
            assert wire.reusable
            wire.next_exchange()
    assert made == []


def _never() -> None:
    raise AssertionError("h11 is not needed")


def test_after_an_exchange_nothing_is_left_of_h11() -> None:
    wire = Wire(h11.SERVER)
    wire.receive(b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n" + GET)
    assert isinstance(wire.next_event(), RequestHead)
    assert wire._h11 is not None
    assert isinstance(wire.next_event(), End)
    wire.send(h11.Response(status_code=204, headers=[]))
    wire.send(h11.EndOfMessage())
    wire.next_exchange()
    assert wire._h11 is None
    assert wire.unread == len(GET)
    assert isinstance(wire.next_event(), RequestHead)


def test_many_small_chunks_take_no_more_time_each_than_few() -> None:
    """Octets are not copied for each event: counted, for time would be a guess."""

    class Counted(bytes):
        copied = 0

        def __getitem__(self, index: Any) -> Any:
            found = super().__getitem__(index)
            if isinstance(index, slice):
                Counted.copied += len(found)
            return found

    wire = Wire(h11.SERVER)
    wire.receive(CHUNKED)
    assert isinstance(wire.next_event(), RequestHead)
    wire.receive(Counted(b"1\r\nx\r\n" * 10_000))
    found = iter(wire.next_event, None)
    assert sum(len(event) for event in found if isinstance(event, bytes)) == 10_000
    assert Counted.copied < 10 * 60_000


