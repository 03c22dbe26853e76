"""Plain heads of HTTP/1: whatever is read or written without h11 is what h11 would have read or written."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.routerd.adaptors.http1_parse import (
    CHUNKED,
    UNTIL_CLOSE,
    Raw,
    is_reason,
    plain_request,
    plain_response,
)
from skupper_podman.routerd.adaptors.http1_write import written_request, written_response

NAMES = [
    b"Host", b"host", b"Content-Length", b"Transfer-Encoding", b"transfer-encoding", b"Connection", b"Expect", b"TE",
    b"Upgrade", b"Keep-Alive", b"A", b"x-y", b"A B", b"A ", b" A", b"", b"A:", b"Content_Length", b"H\xc3\xb6st",
    b"A\0",
]  # fmt: skip
VALUES = [
    b"x", b"", b"5", b"05", b"+5", b"5, 5", b"5 5", b"-1", b"0x5", b"5" * 20, b"\xb25", b"chunked", b"Chunked", b"gzip",
    b"gzip, chunked", b"chunked ", b"keep-alive", b"Keep-Alive", b"close", b"upgrade", b"100-continue", b"a: b",
    b"a\tb", b" a", b"a ", b"\xff", b"\x7f", b"\x01", b"a\0b", b"a\rb", b"a\nb", b"a\r\nHost: b", b"a\r\n b", b"a\x0bb",
]  # fmt: skip
names = st.one_of(st.sampled_from(NAMES), st.sampled_from([b"A", b"B"]), st.binary(max_size=3))
values = st.one_of(st.sampled_from(VALUES), st.sampled_from([b"x", b"5"]), st.binary(max_size=4))
fields = st.lists(st.tuples(names, values), max_size=4).map(lambda made: ((b"Host", b"x"), *made))
hostless = st.lists(st.tuples(names, values), max_size=4).map(tuple)
separators = st.sampled_from([b": ", b": ", b": ", b":", b":\t ", b" :", b""])
ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b" \r\n", b"\r\r\n"])
request_lines = st.sampled_from([
    b"GET / HTTP/1.1", b"HEAD /a?b HTTP/1.1", b"POST * HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"GET / HTTP/1.0",
    b"G\0 / HTTP/1.1",
    b"GET /\xff HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET /a b HTTP/1.1", b" GET / HTTP/1.1", b"",
    b"GET /",
    b"GET / HTTP/2.0", b"get / http/1.1", b"GET / HTTP/1.1\r\n", b"\r\nGET / HTTP/1.1", b"GET /\x7f HTTP/1.1",
])  # fmt: skip
status_lines = st.sampled_from([
    b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 204 ", b"HTTP/1.1 200", b"HTTP/1.1 304 \xff",
    b"HTTP/1.1 999 a\tb",
    b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 S", b"HTTP/1.0 200 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 20 OK",
    b"HTTP/1.1 200 a\0",
    b"HTTP/1.1  200 OK", b"HTTP/1.1 200 \x7f", b"", b"HTTP/2 200 OK", b"HTTP/1.1 200 a\rb", b"ICY 200 OK",
    b"HTTP/1.1 099 a",
])  # fmt: skip


@st.composite
def heads(draw: st.DrawFn, lines: st.SearchStrategy[bytes]) -> bytes:
    """Octets of a head, more or less."""
    octets = draw(lines) + draw(ends)
    for name, value in draw(st.one_of(fields, fields, hostless)):
        octets += name + draw(separators) + value + draw(ends)
    return octets + draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b""]))


def body_of(length: int) -> bytes:
    """What a body of this length, or in chunks, is on the wire."""
    return b"0\r\n\r\n" if length == CHUNKED else bytes(length)


def drain(http: h11.Connection) -> list[object]:
    """All events that there are, up to the end of the connection."""
    events: list[object] = []
    while (event := http.next_event()) is not h11.NEED_DATA and event is not h11.PAUSED:
        if isinstance(event, h11.ConnectionClosed):
            break
        events.append(event)
    return events


@settings(max_examples=400)
@given(heads(request_lines))
def test_h11_agrees_on_every_request_that_is_accepted(octets: bytes) -> None:
    head = plain_request(octets)
    if head is None:
        return
    http = h11.Connection(h11.SERVER)
    http.receive_data(octets)
    event = http.next_event()
    assert isinstance(event, h11.Request)
    assert (head.method, head.target, head.version) == (event.method, event.target, event.http_version)
    assert list(head.fields) == event.headers.raw_items()
    assert not http.they_are_waiting_for_100_continue
    if head.length < 1000:
        if head.length:
            assert http.next_event() is h11.NEED_DATA
            http.receive_data(body_of(head.length))
        assert isinstance(drain(http)[-1], h11.EndOfMessage)
        http.send(h11.Response(status_code=204, headers=[]))
        http.send(h11.EndOfMessage())
        http.start_next_cycle()
        assert http.trailing_data == (b"", False)


@settings(max_examples=400)
@given(heads(status_lines))
def test_h11_agrees_on_every_response_that_is_accepted(octets: bytes) -> None:
    head = plain_response(octets)
    if head is None:
        return
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    http.send(h11.EndOfMessage())
    http.receive_data(octets)
    event = http.next_event()
    assert isinstance(event, h11.Response)
    assert (head.status, head.reason, head.version) == (event.status_code, event.reason, event.http_version)
    assert list(head.fields) == event.headers.raw_items()
    if head.status in (204, 304):
        assert isinstance(http.next_event(), h11.EndOfMessage)
    elif head.length == UNTIL_CLOSE:
        http.receive_data(b"x")
        http.receive_data(b"")
        assert [type(event) for event in drain(http)[:2]] == [h11.Data, h11.EndOfMessage]
    elif head.length < 1000:
        if head.length:
            assert http.next_event() is h11.NEED_DATA
            http.receive_data(body_of(head.length))
        assert isinstance(drain(http)[-1], h11.EndOfMessage)
        http.start_next_cycle()


@settings(max_examples=300)
@given(st.sampled_from([b"GET", b"POST", b"CONNECT", b"", b"A B"]), st.sampled_from([b"/", b"*", b"/ x", b""]), fields)
def test_requests_are_written_as_h11_writes_them(method: bytes, target: bytes, pairs: Raw) -> None:
    written = written_request(method, target, pairs)
    if written is not None:
        http = h11.Connection(h11.CLIENT)
        assert written.octets == http.send(h11.Request(method=method, target=target, headers=list(pairs)))
        assert written.method == method
        if written.length < 1000:
            http.send(h11.Data(data=b"" if written.length == CHUNKED else bytes(written.length)))
            http.send(h11.EndOfMessage())


@settings(max_examples=300)
@given(
    st.sampled_from([b"GET", b"HEAD"]),
    st.sampled_from([200, 204, 304, 404, 100, 2000]),
    st.sampled_from([b"", b"OK", b"a\r\nb", b"\xff"]),
    hostless,
)
def test_responses_are_written_as_h11_writes_them(method: bytes, status: int, reason: bytes, pairs: Raw) -> None:
    written = written_response(status, reason, pairs)
    if written is not None:
        http = h11.Connection(h11.SERVER)
        http.receive_data(method + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len(drain(http)) == 2
        assert written.octets == http.send(h11.Response(status_code=status, reason=reason, headers=list(pairs)))
        if method == b"HEAD" or written.length < 1000:
            length = 0 if method == b"HEAD" or written.length == CHUNKED else written.length
            http.send(h11.Data(data=bytes(length)))
            http.send(h11.EndOfMessage())
            http.start_next_cycle()


@pytest.mark.parametrize(
    ("octets", "length"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0),
        (b"GET / HTTP/1.1\r\nhost:\r\nA:\tb \xff c\r\n\r\n", 0),
        (b"PUT /a?b=c HTTP/1.1\r\nContent-Length: 12\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n", 12),
        (b"POST * HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n", CHUNKED),
    ],
)
def test_plain_requests(octets: bytes, length: int) -> None:
    head = plain_request(octets)
    assert head is not None
    assert head.length == length
    assert written_request(head.method, head.target, head.fields) is not None


@pytest.mark.parametrize(
    ("octets", "length"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", UNTIL_CLOSE),
        (b"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n", CHUNKED),
    ],
)
def test_plain_responses(octets: bytes, length: int) -> None:
    head = plain_response(octets)
    assert head is not None
    assert head.length == length
    assert written_response(head.status, head.reason, head.fields) is not None


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 1, 1", b"Content-Length: 1\r\nContent-Length: 1", b"Content-Length: +1",
        b"Content-Length : 1",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Transfer-Encoding: Chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding:\x0bchunked", b"A: b\n c",
        b"A: b\r\n c", b"A: b\nContent-Length: 1", b"A: b\rContent-Length: 1", b"A: \0", b"Host: y",
        b"Connection: close",
        b"Connection: Upgrade", b"Upgrade: x", b"Expect: 100-continue", b"A: b ", b": b", b"A",
        b"Content-Length: 1" + b"0" * 20,
    ],
)  # fmt: skip
def test_whatever_is_unusual_is_left_to_h11(line: bytes) -> None:
    assert plain_request(b"POST / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n") is None


def test_reasons() -> None:
    assert is_reason(b"Not\tFound \xff")
    assert not is_reason(b"a\r\nb")


@pytest.mark.parametrize("piece", [b" ", b"a", b"\t ", b"a: ", b"a: b\r\n", b"\r\n", b":", b"a:\r\n"])
@pytest.mark.parametrize("begin", [b"", b"a:", b"a: b"])
def test_heads_are_read_in_one_go(piece: bytes, begin: bytes) -> None:
    """Nothing that is repeated makes the search go back and back: with these lengths it would not end today."""
    octets = b"Host: x\r\n" + begin + piece * (1_000_000 // len(piece)) + b"\0\r\n\r\n"
    assert plain_request(b"GET / HTTP/1.1\r\n" + octets) is None
    assert plain_response(b"HTTP/1.1 200 OK\r\n" + octets) is None
