"""HTTP heads as AMQP messages and back, both versions."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skupper_podman.routerd.adaptors import http_heads
from skupper_podman.routerd.adaptors.http1_messages import (
    BodyParser,
    BodyWriter,
    is_chunked,
    request_head,
    response_head,
    to_client,
    to_server,
)
from skupper_podman.routerd.adaptors.http1_parse import CHUNKED, RequestHead, ResponseHead
from skupper_podman.routerd.adaptors.http1_wire import Wire
from skupper_podman.routerd.adaptors.http2_messages import (
    head_of,
    request_headers,
    response_headers,
    trailer_headers,
    trailers_of,
)
from skupper_podman.routerd.adaptors.http_bodies import BodyError, data_section
from skupper_podman.routerd.adaptors.http_heads import (
    Envelope,
    HttpHead,
    Known,
    NotHttpError,
    compose_head,
    read_head,
    text,
)
from skupper_podman.routerd.codec import Symbol, ULong
from skupper_podman.routerd.message import Head, Header, HeadParser, Message, Properties, compose

ENVELOPE = Envelope("web:80", "abcde:1", reply_to="amqp:/_topo/0/A/temp.x", message_id=ULong(7), site="siteA")

header_names = st.text("ABCabc-", min_size=1, max_size=8).filter(
    lambda name: name.lower() not in ("connection", "te", "upgrade", "host")
)
header_values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), max_size=12)
headers = st.lists(st.tuples(header_names, header_values), max_size=6)


def parsed(octets: bytes) -> Head:
    parser = HeadParser()
    parser.feed(octets)
    return parser.finish()


def request(*lines: bytes) -> RequestHead:
    wire = Wire(h11.SERVER)
    wire.receive(b"\r\n".join((*lines, b"", b"")))
    event = wire.next_event()
    assert isinstance(event, RequestHead)
    return event


def outcome_of(head: Head) -> HttpHead | None:
    """The HTTP head, or None when it is none."""
    try:
        return read_head(head)
    except NotHttpError:
        return None


@given(headers, st.sampled_from(["GET", "200", ""]), st.text(max_size=4), st.integers(0, 90), st.integers(0, 255))
@example([("AAA", "\u00a1\u00a1")], "GET", "000", 53, 0)
@example([], "GET", "000", 5, 255)
@example([(":flowid", "other")], "GET", "000", 0, 0xD1)
@example([(":later", "x"), ("A", "b")], "GET", "000", 8, 3)
@example([], "GET", "000", 8, 0)
def test_heads_that_are_known_are_read_as_any_other(
    pairs: list[tuple[str, str]], subject: str, flow: str, at: int, octet: int
) -> None:
    """What is remembered of heads gives the same, whatever comes: also octets that are changed somewhere."""
    _, good = compose_head(HttpHead(subject, [(":path", "/")], pairs), Envelope("web:80", flow), symbols=True)
    raw = bytearray(good._raw_application_properties or b"")
    changed = Head()
    changed.subject = subject
    raw[at % len(raw)] = octet
    changed._raw_application_properties = bytes(raw)
    for head in (good, changed):
        found = [outcome_of(head), outcome_of(head)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http_heads, "_known_head", lambda _head: None)
            assert found == [outcome_of(head)] * 2


def test_what_is_made_of_a_head_is_shared_by_those_that_differ_in_their_flow_only() -> None:
    event = request(b"GET / HTTP/1.1", b"Host: a:1")
    assert request_head(event) is request_head(request(b"GET / HTTP/1.1", b"Host: a:1"))
    found = []
    for flow in ("a:1", "b:22"):
        _, head = compose_head(request_head(event), Envelope("web:80", flow), symbols=True)
        found.append(read_head(head))
    assert [head.flow_id for head in found] == ["a:1", "b:22"]
    assert to_server(found[0], "s:1", None) is to_server(found[1], "s:1", None)
    assert to_server(found[0], "s:1", "x") is not to_server(found[1], "s:1", None)
    assert to_client(HttpHead("200", [])) is not to_client(HttpHead("200", []))


def test_what_is_made_of_headers_does_not_depend_on_the_path_of_a_response() -> None:
    def answer(path: str, status: str = "200", reason: str = "OK") -> HttpHead:
        sent = HttpHead(status, [(":version", "1.1"), (":reason", reason), (":path", path)], [("A", "b")])
        return read_head(compose_head(sent, ENVELOPE, symbols=True)[1])

    first, second = answer("/1"), answer("/2")
    assert (first.start[2], second.start[2]) == ((":path", "/1"), (":path", "/2"))
    assert to_client(first) is to_client(second)
    assert to_client(answer("/3", "404")).status == 404
    assert to_client(answer("/3", reason="Fine")).event().reason == b"Fine"
    assert to_client(answer("/3")) is to_client(first)


def test_of_headers_with_many_first_lines_little_is_remembered() -> None:
    for number in range(100):
        sent = HttpHead("GET", [(":version", "1.1"), (":path", f"/{number}")], [("A", "b")])
        head = read_head(compose_head(sent, ENVELOPE, symbols=True)[1])
        assert to_server(head, "server:80", None).event().target == b"/%d" % number
        assert len(head.made) <= 16


def test_few_and_small_heads_are_remembered() -> None:
    made: list[int] = []
    known = Known(lambda number: made.append(number) or [number])
    assert known.of(lambda: 10, 1) is known.of(lambda: 10, 1)
    known.of(lambda: Known.SMALL + 1, 2)
    known.of(lambda: Known.SMALL + 1, 2)
    assert made == [1, 2, 2]
    for number in range(3, 3 + 2 * Known.MOST):
        known.of(lambda: 10, number)
        assert len(known._made) <= Known.MOST


def test_a_request_has_the_octets_of_skupper_router() -> None:
    event = request(b"GET /path?x=1 HTTP/1.1", b"Host: a:1", b"User-Agent: curl/7.88.1", b"X-Req: a")
    octets, _ = compose_head(request_head(event), ENVELOPE, symbols=True)
    assert octets == compose(
        None,
        header=Header(),
        properties=Properties(
            message_id=ULong(7), to="web:80", subject="GET", reply_to="amqp:/_topo/0/A/temp.x", group_id="siteA"
        ),
        application_properties={
            Symbol(":flowid"): "abcde:1",
            ":version": "1.1",
            ":path": "/path?x=1",
            Symbol("Host"): "a:1",
            Symbol("User-Agent"): "curl/7.88.1",
            Symbol("X-Req"): "a",
        },
    )


def test_http2_keys_are_strings() -> None:
    head = head_of([(b":method", b"GET"), (b":path", b"/"), (b"accept", b"*/*")], ":method")
    octets, _ = compose_head(head, ENVELOPE, symbols=False)
    properties = Message.decode(octets).application_properties
    kinds = {key: type(key) for key in properties}
    assert kinds == {":flowid": Symbol, ":method": str, ":path": str, "accept": str}


@given(headers, st.booleans())
def test_heads_survive(pairs: list[tuple[str, str]], symbols: bool) -> None:
    head = HttpHead("GET", [(":path", "/")], pairs)
    octets, own = compose_head(head, ENVELOPE, symbols=symbols)
    received = parsed(octets)
    for other in (own, received):
        found = read_head(other)
        assert (found.subject, found.start, found.headers, found.flow_id) == ("GET", head.start, pairs, "abcde:1")
        assert other.to == "web:80"
        assert other.reply_to == ENVELOPE.reply_to
        assert other.message_id == 7
        assert type(other.message_id) is ULong
        assert other.group_id == "siteA"
        assert other.body_offset == len(octets)


@given(st.binary(max_size=30))
def test_any_octets_are_text(octets: bytes) -> None:
    assert isinstance(text(octets), str)


def test_headers_of_the_connection_stop() -> None:
    event = request(
        b"GET / HTTP/1.1", b"Host: a", b"Connection: close, X-Private, Host", b"X-Private: 1", b"Upgrade: websocket",
        b"Keep-Alive: timeout=5", b"TE: trailers", b"X-Public: 2",
    )  # fmt: skip
    assert [name for name, _ in request_head(event).headers] == ["Host", "TE", "X-Public"]


def test_one_length_is_passed_on() -> None:
    event = request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 3", b"Transfer-Encoding: chunked")
    head = request_head(event)
    assert head.header("content-length") is None
    assert is_chunked(head)


def test_host() -> None:
    head = HttpHead("GET", [(":path", "/")], [("Host", "client.example"), ("A", "b")])
    assert dict(to_server(head, "server:80", None).event().headers)[b"host"] == b"client.example"
    assert dict(to_server(head, "server:80", "other").event().headers)[b"host"] == b"other"
    old = HttpHead("GET", [(":path", "/"), (":version", "1.0")], [])
    assert dict(to_server(old, "server:80", None).event().headers)[b"host"] == b"server:80"


@pytest.mark.parametrize(
    ("subject", "start", "pairs"),
    [
        ("GET", [], []),
        ("GET", [(":path", "")], []),
        ("GET", [(":path", "/ HTTP/1.1\r\nX: y")], []),
        ("GE T", [(":path", "/")], []),
        ("GET", [(":path", "/")], [("bad name", "x")]),
        ("GET", [(":path", "/")], [("name", "x\r\ny: z")]),
        ("GET", [(":path", "/")], [("Host", "a"), ("Host", "b")]),
    ],
)
def test_bad_requests_are_refused(subject: str, start: list[tuple[str, str]], pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(NotHttpError):
        to_server(HttpHead(subject, start, pairs), "server:80", None)


@pytest.mark.parametrize("subject", ["", "abc", "1000", "99", "101", "²00"])
def test_bad_statuses_are_refused(subject: str) -> None:
    with pytest.raises(NotHttpError):
        to_client(HttpHead(subject, [], []))
    with pytest.raises(NotHttpError):
        response_headers(HttpHead(subject, [], []))


def test_messages_that_are_not_http() -> None:
    head = Head()
    with pytest.raises(NotHttpError):
        read_head(head)
    head = parsed(compose(None, properties=Properties(subject="GET"), application_properties={"a": 1}))
    with pytest.raises(NotHttpError):
        read_head(head)
    head = parsed(compose(None, properties=Properties(subject="GET"), application_properties={"a": "b"}))
    head._raw_application_properties = b"\xd1\x00"
    with pytest.raises(NotHttpError):
        read_head(head)


def test_responses() -> None:
    fields = ((b"Transfer-Encoding", b"chunked"), (b"Connection", b"close"), (b"A", b"b"))
    answer = ResponseHead(200, b"OK", b"1.1", fields, CHUNKED)
    head = response_head(answer, "/p")
    assert head == HttpHead(
        "200", [(":version", "1.1"), (":reason", "OK"), (":path", "/p")], [("Transfer-Encoding", "chunked"), ("A", "b")]
    )
    assert response_head(answer, "/p", chunks_understood=False).headers == [("A", "b")]
    back = to_client(head).event()
    assert isinstance(back, h11.Response)
    assert (back.status_code, back.reason) == (200, b"OK")
    assert isinstance(to_client(HttpHead("100", [], [])).event(), h11.InformationalResponse)


@pytest.mark.parametrize("reason", ["x\r\nSet-Cookie: a=b", "x\n", "\0"])
def test_reasons_that_are_no_text_are_refused(reason: str) -> None:
    for status in ("200", "404", "100"):
        with pytest.raises(NotHttpError):
            to_client(HttpHead(status, [(":reason", reason)], []))


@given(st.booleans(), st.lists(st.binary(max_size=100), max_size=5))
def test_bodies_survive(chunked: bool, parts: list[bytes]) -> None:
    writer, parser = BodyWriter(chunked=chunked), BodyParser(chunked=chunked)
    wire = b"".join(map(writer.data, parts)) + writer.end([])
    assert b"".join(bytes(piece) for piece in parser.feed(wire)) == b"".join(parts)
    assert parser.end() == []


def test_half_a_body_is_no_body() -> None:
    parser = BodyParser(chunked=True)
    parser.feed(data_section(b"5\r\nhel"))
    with pytest.raises(BodyError):
        parser.end()
    parser = BodyParser(chunked=False)
    parser.feed(data_section(b"hello")[:-1])
    with pytest.raises(BodyError):
        parser.end()


def test_http2_request_headers() -> None:
    head = HttpHead(
        "POST",
        [(":method", "POST"), (":path", "/p"), (":scheme", "http"), (":authority", "client"), (":protocol", "x")],
        [("TE", "trailers"), ("Connection", "x-a"), ("X-A", "1"), ("Transfer-Encoding", "chunked"), ("X-B", " 2 ")],
    )
    sent = request_headers(head, scheme="https", authority="server:1", host_override=None)
    assert sent == [
        (b":method", b"POST"), (b":path", b"/p"), (b":scheme", b"https"), (b":authority", b"client"),
        (b"te", b"trailers"), (b"x-b", b"2"),
    ]  # fmt: skip
    overridden = request_headers(head, scheme="http", authority="server:1", host_override="other")
    assert (b":authority", b"other") in overridden


@pytest.mark.parametrize(
    ("start", "pairs"),
    [
        ([(":path", "/")], []),
        ([(":method", "GET")], []),
        ([(":method", "CONNECT"), (":path", "/")], []),
        ([(":method", "GET"), (":path", "/a\nb")], []),
        ([(":method", "GET"), (":path", "/")], [("a b", "c")]),
        ([(":method", "GET"), (":path", "/")], [("a", "c\r\nd: e")]),
    ],
)
def test_bad_http2_requests_are_refused(start: list[tuple[str, str]], pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(NotHttpError):
        request_headers(HttpHead("GET", start, pairs), scheme="http", authority="a", host_override=None)


def test_http2_responses_and_trailers() -> None:
    head = head_of([(b":status", b"200"), (b"set-cookie", b"a"), (b"set-cookie", b"b")], ":status")
    assert response_headers(head) == [(b":status", b"200"), (b"set-cookie", b"a"), (b"set-cookie", b"b")]
    assert trailer_headers(trailers_of([(b"grpc-status", b"0")])) == [(b"grpc-status", b"0")]
    with pytest.raises(NotHttpError):
        trailer_headers([("a", 1)])
    with pytest.raises(NotHttpError):
        head_of([(b"a", b"b")], ":status")
