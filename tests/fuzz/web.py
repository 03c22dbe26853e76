"""Fuzz targets of HTTP services: octets of clients and of servers, at a router in this process.

The promise, in one sentence: whatever a client or a server sends, the router loses at most its connection and the
requests on it, keeps nothing of them, and reports no fault of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection

from skupper_podman.routerd.adaptors.http2_frames import PREFACE, FrameTooLongError, GoawayFilter
from skupper_podman.routerd.adaptors.http_bodies import (
    BodyError,
    ChunkDecoder,
    FooterReader,
    data_section,
    footer_section,
)
from skupper_podman.routerd.codec import CodecError
from skupper_podman.routerd.management.schema import validate

from .live import Node, drained

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"
_REQUEST = [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "x"), ("te", "trailers")]


def _outcome(call: Callable[[bytes], Any], octets: bytes, size: int) -> str:
    """What a decoder makes of octets in pieces of one size, without regard to where its own pieces end."""
    found = b""
    others = []
    try:
        for at in range(0, len(octets), size):
            for part in call(octets[at : at + size]):
                if isinstance(part, bytes | memoryview):
                    found += part
                else:
                    others.append((len(found), part))
    except (BodyError, CodecError, FrameTooLongError) as error:
        return type(error).__name__
    return repr((found, others))


def bodies(octets: bytes) -> None:
    """Chunks, footers and frames: whole and a byte at a time."""
    octets = octets[:2000]
    makers: list[Callable[[], Callable[[bytes], Any]]] = [
        lambda: ChunkDecoder().feed,
        lambda: FooterReader().feed,
        lambda: GoawayFilter(preface=False).feed,
        lambda: GoawayFilter(preface=True).feed,
    ]
    for make in makers:
        assert _outcome(make(), octets, max(1, len(octets))) == _outcome(make(), octets, 1)


class Service:
    """A listener and a connector of one version, each case with its own client and server."""

    def __init__(self, version: str, *, hostile_server: bool) -> None:
        self._node = Node()
        self._hostile_server = hostile_server
        attributes = {"host": "127.0.0.1", "address": "web:80", "protocolVersion": version}
        entities = self._node.entities
        entities.create("httpListener", validate("httpListener", {"name": "l", "port": "0", **attributes}))
        # Nothing listens there: servers are those that `feed` gives to the pool.
        entities.create("httpConnector", validate("httpConnector", {"name": "c", "port": "1", **attributes}))
        self._listener, self._connector = entities.http_listeners[0], entities.http_connectors[0]
        self._request = GET if version == "HTTP1" else _http2_request()
        self._response = _OK if version == "HTTP1" else _http2_response()
        self._node.turn()

    def feed(self, octets: bytes) -> None:
        node, listener, pool = self._node, self._listener, self._connector.pool
        client, inside = _pair()
        server, outside = _pair()
        self._connector._set_reachable(True)
        pool.connected(outside)
        listener.begin(inside, ("127.0.0.1", 1))
        half = len(octets) // 2
        for part in (octets[:half], octets[half:]):
            if self._hostile_server:
                node.feed(client, self._request if part is not octets[half:] else b"")
                node.feed(server, part)
            else:
                node.feed(client, part)
                node.feed(server, self._response)
            drained(client)
        node.pass_time(0.5)
        client.close()
        server.close()
        node.pass_time(6.0)
        assert not listener.clients
        assert not pool.connections
        assert not pool.exchanges
        assert not node.router.temporaries
        assert not any(node.router.http.connections.values())
        node.check()


def _pair() -> tuple[socket.socket, socket.socket]:
    outer, inner = socket.socketpair()
    for sock in (outer, inner):
        sock.setblocking(False)
    return outer, inner


_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _http2_request() -> bytes:
    http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    http.initiate_connection()
    http.send_headers(1, _REQUEST)
    http.send_data(1, b"body")
    http.send_headers(1, [("x-trail", "t")], end_stream=True)
    return http.data_to_send()


def _http2_response(*, reset: bool = False) -> bytes:
    http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    http.initiate_connection()
    http.receive_data(_http2_request())
    http.send_headers(1, [(":status", "200"), ("content-type", "application/grpc")])
    http.send_data(1, b"answer")
    if reset:
        http.reset_stream(1, 8)
    else:
        http.send_headers(1, [("grpc-status", "0")], end_stream=True)
    return http.data_to_send()


TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "web-bodies": lambda: bodies,
    "http1-client": lambda: Service("HTTP1", hostile_server=False).feed,
    "http1-server": lambda: Service("HTTP1", hostile_server=True).feed,
    "http2-client": lambda: Service("HTTP2", hostile_server=False).feed,
    "http2-server": lambda: Service("HTTP2", hostile_server=True).feed,
}


def seeds() -> dict[str, list[bytes]]:
    """What the corpus of every target is made of."""
    post = b"POST / HTTP/1.1\r\nHost: x\r\n"
    chunks = b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nTrail: er\r\n\r\n"
    goaway = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0"
    head = b"HTTP/1.1 200 OK\r\n"
    return {
        "web-bodies": [
            chunks,
            data_section(b"x") + footer_section([("a", "b")]),
            PREFACE + goaway + b"\0\0\x01\0\0\0\0\0\1x",
        ],
        "http1-client": [
            GET * 3,
            post + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\nbody" + GET,
            post + b"Transfer-Encoding: chunked\r\nConnection: close, A\r\nA: b\r\n\r\n" + chunks,
            b"HEAD / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        ],
        "http1-server": [
            _OK,
            b"HTTP/1.1 100 Continue\r\n\r\n" + _OK,
            head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks,
            head + b"Connection: close\r\n\r\nto the end",
            b"HTTP/1.0 204 No Content\r\nA: b\r\nA: c\r\n\r\n",
        ],
        "http2-client": [_http2_request(), _http2_request() + goaway, PREFACE + b"\0\0\0\4\0\0\0\0\0"],
        "http2-server": [_http2_response(), goaway + _http2_response(), _http2_response(reset=True)],
    }
