"""HTTP services over a chain of routers, with real clients and servers: http.client, curl, gRPC."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from tests.routerd.system.lab import Lab, connector, free_port, listener, profile, running, wait_for
from tests.routerd.system.web import (
    RpcServer,
    WebServer,
    answers,
    channel,
    check_grpc,
    check_http1,
    fetch,
    http_connector,
    http_listener,
    rpc,
    served,
)

LARGE = os.urandom(3_000_000)


class Chain:
    """edge - interior - interior - edge with mutual TLS, an HTTP/1 and a gRPC service."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.web, self.rpc = WebServer(), RpcServer()
        self.http1, self.http2 = free_port(), free_port()
        link, edge_a, edge_b = free_port(), free_port(), free_port()
        tls = profile(directory)
        lab.router("A", "interior", tls, listener("inter-router", link, tls=True), listener("edge", edge_a, tls=True))
        lab.router("B", "interior", tls, connector("inter-router", link, tls=True), listener("edge", edge_b, tls=True))
        self.front = lab.router(
            "A-svc", "edge", tls, connector("edge", edge_a, tls=True), http_listener(self.http1, siteId="a"),
            http_listener(self.http2, "rpc:80", protocolVersion="HTTP2", siteId="a"),
        )  # fmt: skip
        self.back = lab.router(
            "B-svc", "edge", tls, connector("edge", edge_b, tls=True), http_connector(self.web.port, siteId="b"),
            http_connector(self.rpc.port, "rpc:80", protocolVersion="HTTP2", siteId="b"),
        )  # fmt: skip


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    directory = tmp_path_factory.mktemp("http")
    with running(directory) as lab:
        made = Chain(lab, directory)
        yield made
        for router in lab.routers:
            assert "Internal error" not in router.log
        made.rpc.close()
        made.web.stop()


def test_http1(chain: Chain) -> None:
    check_http1(chain.http1, LARGE)


def test_grpc(chain: Chain) -> None:
    with channel(chain.http2) as where:
        check_grpc(where, chain.rpc, LARGE)


def test_server_learns_that_nobody_waits_for_its_answer(chain: Chain) -> None:
    with channel(chain.http2) as where:
        wait_for(lambda: answers(where), "gRPC service", 30)
        chain.rpc.asked.clear()
        chain.rpc.cancelled.clear()
        call = where.unary_unary("/S/Hang").future(b"x")
        assert chain.rpc.asked.wait(20)
        call.cancel()
        assert chain.rpc.cancelled.wait(20)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(chain: Chain, tmp_path: Path) -> None:
    wait_for(lambda: served(chain.http1), "HTTP service", 30)
    (tmp_path / "body").write_bytes(LARGE)
    url = f"http://127.0.0.1:{chain.http1}/x"
    upload = ["--data-binary", f"@{tmp_path / 'body'}"]
    for more in (upload, [*upload, "-H", "Transfer-Encoding: chunked"], [*upload, "-H", "Expect: 100-continue"]):
        done = subprocess.run(["curl", "-sSf", "-m", "60", *more, url], capture_output=True, check=True)
        assert done.stdout == LARGE
    old = subprocess.run(["curl", "-sSf", "-m", "20", "-0", url], capture_output=True, check=True)
    assert old.stdout == f"web /x 127.0.0.1:{chain.http1}".encode()


def test_management_shows_it(chain: Chain) -> None:
    wait_for(lambda: served(chain.http1), "HTTP service", 30)
    with channel(chain.http2) as where:
        wait_for(lambda: answers(where), "gRPC service", 30)
        counters = chain.front.query("router")[0]["connectionCounters"]
        assert counters["http2"] == 1
        protocols = {entity["protocol"]: entity for entity in chain.back.query("connection")}
        assert (protocols["http/1.x"]["dir"], protocols["http2"]["container"]) == ("out", "HttpAdaptor")
    (entity,) = [item for item in chain.front.query("httpListener") if item["protocolVersion"] == "HTTP1"]
    assert (entity["operStatus"], entity["siteId"]) == ("up", "a")
    assert {item["protocolVersion"] for item in chain.back.query("httpConnector")} == {"HTTP1", "HTTP2"}
    infos = {(item["address"], item["direction"]): item for item in chain.front.query("httpRequestInfo")}
    info = infos["web:80", "in"]
    assert (info["host"], info["site"]) == ("127.0.0.1", "b")
    assert info["details"]["GET:200"] >= 1


def test_created_and_deleted_while_it_runs(chain: Chain) -> None:
    port, name = free_port(), "more"
    properties = {"type": "io.skupper.router.httpListener", "name": name}
    body = {"host": "127.0.0.1", "port": str(port), "address": "web:80"}
    refused = chain.front.request({**properties, "operation": "CREATE"}, {**body, "aggregation": "xml"})
    assert refused.properties["statusCode"] == 400
    assert chain.front.request({**properties, "operation": "CREATE"}, body).properties["statusCode"] == 201
    wait_for(lambda: served(port), "new listener")
    read = chain.front.request({**properties, "operation": "READ"}, {})
    assert (read.body["port"], read.body["protocolVersion"]) == (str(port), "HTTP1")
    assert chain.front.request({**properties, "operation": "DELETE"}, {}).properties["statusCode"] == 204
    wait_for(lambda: not served(port), "listener goes")
    assert served(chain.http1)


def test_requests_are_shared_over_servers_of_the_network(lab: Lab) -> None:
    servers = [WebServer("one"), WebServer("two")]
    calls = [RpcServer("one"), RpcServer("two")]
    http1, http2, link = free_port(), free_port(), free_port()
    lab.router(
        "A", "interior", listener("inter-router", link), http_listener(http1),
        http_listener(http2, "rpc:80", protocolVersion="HTTP2"),
    )  # fmt: skip
    for number in range(2):
        lab.router(
            f"B{number}", "interior", connector("inter-router", link), http_connector(servers[number].port),
            http_connector(calls[number].port, "rpc:80", protocolVersion="HTTP2"),
        )  # fmt: skip
    wait_for(lambda: served(http1), "HTTP service", 30)

    pool = futures.ThreadPoolExecutor(20)

    def labels() -> set[bytes]:
        return {content.split()[0] for content in pool.map(lambda _: fetch(http1).content, range(60))}

    wait_for(lambda: labels() == {b"one", b"two"}, "both servers")
    with channel(http2) as where:
        wait_for(lambda: answers(where), "gRPC service", 30)

        def trails() -> set[str]:
            method = where.unary_unary("/S/Echo")
            done = pool.map(lambda _: method.with_call(b"x", timeout=20)[1], range(60))
            return {dict(call.trailing_metadata())["x-trail"] for call in done}

        # One connection of the client, both servers: each call goes its own way.
        wait_for(lambda: trails() == {"one", "two"}, "both gRPC servers")
    pool.shutdown()
    for server in calls:
        server.close()


def test_tls_of_client_and_server(lab: Lab, tmp_path: Path) -> None:
    tls = profile(tmp_path)
    read = {key: Path(value).read_bytes() for key, value in tls[1].items() if key != "name"}
    pair = [(read["privateKeyFile"], read["certFile"])]
    server = RpcServer(credentials=grpc.ssl_server_credentials(pair, read["caCertFile"], require_client_auth=True))
    web = WebServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls[1]["certFile"], tls[1]["privateKeyFile"])
    web.socket = context.wrap_socket(web.socket, server_side=True)
    http1, http2 = free_port(), free_port()
    secured = {"sslProfile": "tls", "host": "localhost"}
    lab.router(
        "A", "interior", tls, http_listener(http2, "rpc:80", protocolVersion="HTTP2", authenticatePeer=True, **secured),
        http_connector(server.port, "rpc:80", protocolVersion="HTTP2", **secured),
        http_listener(http1, **secured), http_connector(web.port, **secured),
    )  # fmt: skip
    mutual = grpc.ssl_channel_credentials(read["caCertFile"], *pair[0])
    with channel(http2, mutual) as where:
        wait_for(lambda: answers(where), "gRPC over TLS", 30)
        assert rpc(where)(LARGE, timeout=60) == LARGE
    with channel(http2, grpc.ssl_channel_credentials(read["caCertFile"])) as stranger:
        assert not answers(stranger)
    client = ssl.create_default_context(cafile=tls[1]["caCertFile"])
    client.set_alpn_protocols(["h2", "http/1.1"])

    def get() -> bytes:
        import http.client

        conn = http.client.HTTPSConnection("localhost", http1, timeout=10, context=client)
        conn.request("POST", "/", LARGE)
        return conn.getresponse().read()

    wait_for(lambda: get() == LARGE, "HTTP/1 over TLS", 30)
    server.close()
    web.stop()
