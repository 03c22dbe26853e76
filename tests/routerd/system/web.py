"""An HTTP/1.1 server and a gRPC server with their clients: what a network with HTTP services must carry."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc

from tests.routerd.system.lab import Entity, wait_for


def http_listener(port: int, address: str = "web:80", **more: Any) -> Entity:
    """An httpListener."""
    return "httpListener", {"name": f"l-{port}", "host": "127.0.0.1", "port": str(port), "address": address, **more}


def http_connector(port: int, address: str = "web:80", **more: Any) -> Entity:
    """An httpConnector."""
    return "httpConnector", {"name": f"c-{port}", "host": "127.0.0.1", "port": str(port), "address": address, **more}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: WebServer

    def do_GET(self) -> None:
        self.answer(f"{self.server.label} {self.path} {self.headers['Host']}".encode())

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.end_headers()

    def do_PUT(self) -> None:
        """Answer without a length."""
        body = self.body()
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_POST(self) -> None:
        """Answer in chunks."""
        body = self.body()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(body), 30_000):
            piece = body[start : start + 30_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def body(self) -> bytes:
        """The request's body, however it comes."""
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def answer(self, body: bytes) -> None:
        """Answer with a length, in one write."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""


class WebServer(http.server.ThreadingHTTPServer):
    """An HTTP/1.1 server that tells its label."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, label: str = "web") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.label = label
        self.connections: list[Any] = []
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_arguments: object) -> None:
        """Clients may leave."""

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def stop(self) -> None:
        """Serve nobody any more, connections that exist included."""
        self.shutdown()
        self.server_close()
        for request in self.connections:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


def fetch(port: int, method: str = "GET", path: str = "/a?b=c", body: Any = None, **headers: str) -> Any:
    """One request; the response with its body as `content`."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request(method, path, body, headers, encode_chunked=isinstance(body, Iterator))
    response: Any = client.getresponse()
    response.content = response.read()
    client.close()
    return response


def served(port: int) -> bool:
    """Whether the HTTP/1 service answers."""
    try:
        return int(fetch(port).status) == 200
    except (OSError, http.client.HTTPException):
        return False


def check_http1(port: int, large: bytes) -> None:
    """Every kind of request and response."""
    wait_for(lambda: served(port), "HTTP service", 30)
    got = fetch(port)
    assert (got.status, got.content) == (200, f"web /a?b=c 127.0.0.1:{port}".encode())
    assert got.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    got = fetch(port, "HEAD")
    assert (got.status, got.content, int(got.headers["Content-Length"]) > 0) == (200, b"", True)
    assert fetch(port, "DELETE").status == 204
    assert fetch(port, "POST", body=large).content == large
    pieces = [large[start : start + 50_000] for start in range(0, len(large), 50_000)]
    assert fetch(port, "POST", body=iter(pieces), **{"Transfer-Encoding": "chunked"}).content == large
    assert fetch(port, "PUT", body=b"no length").content == b"no length"
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for number in range(20):
        client.request("POST", "/", str(number))
        assert client.getresponse().read() == str(number).encode()
    client.close()
    with futures.ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: fetch(port).status, range(100))) == {200}


class RpcServer:
    """A gRPC server with a method of every kind; messages are plain octets."""

    def __init__(self, label: str = "rpc", credentials: grpc.ServerCredentials | None = None) -> None:
        self.label = label
        self.asked, self.cancelled = threading.Event(), threading.Event()
        self._server = grpc.server(futures.ThreadPoolExecutor(40), options=[("grpc.max_receive_message_length", -1)])
        methods = {
            "Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "Count": grpc.unary_stream_rpc_method_handler(self._count),
            "Join": grpc.stream_unary_rpc_method_handler(lambda requests, _context: b"|".join(requests)),
            "Chat": grpc.stream_stream_rpc_method_handler(self._chat),
            "Hang": grpc.unary_unary_rpc_method_handler(self._hang),
            "Wait": grpc.unary_stream_rpc_method_handler(self._wait),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("S", methods),))
        if credentials is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def _echo(self, request: bytes, context: Any) -> bytes:
        if request == b"fail":
            context.abort(grpc.StatusCode.NOT_FOUND, "not here")
        context.set_trailing_metadata((("x-trail", self.label),))
        return request

    def _count(self, request: bytes, _context: Any) -> Iterator[bytes]:
        for number in range(5):
            yield request + str(number).encode()

    def _chat(self, requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        for request in requests:
            yield request.upper()

    def _wait(self, request: bytes, context: Any) -> Iterator[bytes]:
        context.add_callback(self.cancelled.set)
        yield request
        self.cancelled.wait(20)

    def _hang(self, request: bytes, context: Any) -> bytes:
        context.add_callback(self.cancelled.set)
        self.asked.set()
        self.cancelled.wait(20)
        return request

    def close(self) -> None:
        """Stop serving."""
        self._server.stop(0)


def channel(port: int, credentials: grpc.ChannelCredentials | None = None) -> grpc.Channel:
    """A client's channel that tries again soon."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_reconnect_backoff_ms", 500)]
    if credentials is None:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options)
    return grpc.secure_channel(f"localhost:{port}", credentials, options)


def rpc(where: grpc.Channel, name: str = "Echo") -> Callable[..., Any]:
    """A unary method."""
    method: Callable[..., Any] = where.unary_unary(f"/S/{name}")
    return method


def answers(where: grpc.Channel) -> bool:
    """Whether the gRPC service answers."""
    try:
        return bool(rpc(where)(b"ping", timeout=5) == b"ping")
    except grpc.RpcError:
        return False


def check_grpc(where: grpc.Channel, server: RpcServer, large: bytes, *, cancel: bool = True) -> None:
    """Every kind of call; with `cancel` the server also learns that its client has lost interest."""
    wait_for(lambda: answers(where), "gRPC service", 30)
    echo = rpc(where)
    _, call = where.unary_unary("/S/Echo").with_call(b"hello", timeout=20)
    assert dict(call.trailing_metadata())["x-trail"] == server.label
    for method, request, code in (("Echo", b"fail", "NOT_FOUND"), ("None", b"x", "UNIMPLEMENTED")):
        try:
            rpc(where, method)(request, timeout=20)
        except grpc.RpcError as error:
            assert error.code().name == code  # type: ignore[attr-defined]
        else:
            raise AssertionError("call succeeded")
    assert echo(large, timeout=60) == large
    assert list(where.unary_stream("/S/Count")(b"n", timeout=20)) == [b"n0", b"n1", b"n2", b"n3", b"n4"]
    assert where.stream_unary("/S/Join")(iter([b"a", b"b", large]), timeout=60) == b"a|b|" + large
    requests: queue.Queue[bytes | None] = queue.Queue()
    replies = where.stream_stream("/S/Chat")(iter(requests.get, None), timeout=60)
    for word in (b"one", b"two", b"three"):
        requests.put(word)
        assert next(replies) == word.upper()
    requests.put(None)
    assert list(replies) == []
    with futures.ThreadPoolExecutor(30) as pool:
        words = [str(number).encode() for number in range(200)]
        assert list(pool.map(lambda word: echo(word, timeout=60), words)) == words
    stream = where.unary_stream("/S/Wait")(b"begun", timeout=60)
    assert next(stream) == b"begun"
    stream.cancel()
    if cancel:
        assert server.cancelled.wait(20)
    server.cancelled.set()
