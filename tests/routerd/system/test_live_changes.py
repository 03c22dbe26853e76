"""Everything that management can change on a running router leaves the streams that pass it alone."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proton import Message, ProtonException, SSLDomain
from proton.utils import BlockingConnection

from tests.routerd.system.lab import (
    Lab,
    Router,
    connect,
    connector,
    credentials,
    echoes,
    exchange,
    free_port,
    listener,
    profile,
    running,
    tcp_connector,
    tcp_listener,
    wait_for,
)

PREFIX = "io.skupper.router."


class Site:
    """Two interior routers joined by mutual TLS, with an echo service from one to the other."""

    def __init__(self, directory: Path) -> None:
        self.lab = Lab(directory)
        self.server = self.lab.server()
        self.link, self.front = free_port(), free_port()
        self.tls = profile(directory)
        self.b = self.lab.router(
            "B", "interior", self.tls, listener("inter-router", self.link, tls=True), tcp_connector(self.server.port)
        )
        self.a = self.lab.router(
            "A", "interior", self.tls, connector("inter-router", self.link, tls=True), tcp_listener(self.front)
        )
        wait_for(lambda: echoes(self.front), "the service")

    def change(self, operation: str, kind: str, name: str, body: dict[str, Any] | None = None) -> Message:
        """One management request to A, which must succeed."""
        answer = self.a.request({"operation": operation, "type": PREFIX + kind, "name": name}, body or {})
        assert answer.properties["statusCode"] in (200, 201, 204), answer.properties
        return answer


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        yield made
    finally:
        made.lab.close()


class Stream(threading.Thread):
    """Sends numbered blocks through the service and checks that each comes back whole and in order."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(daemon=True)
        self.sock = sock
        self.blocks = 0
        self.error: BaseException | None = None
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            while not self._over.is_set():
                block = self.blocks.to_bytes(8, "big") * 4096
                self.sock.sendall(block)
                got = b""
                while len(got) < len(block):
                    got += self.sock.recv(65536) or _fail("the stream has ended")
                assert got == block
                self.blocks += 1
        except BaseException as error:
            self.error = error

    def passes(self) -> None:
        """It has not been disturbed, and goes on."""
        before = self.blocks
        wait_for(lambda: self.blocks >= before + 3 or self.error, "more of the stream")
        assert self.error is None

    def end(self) -> None:
        """Stop sending."""
        self._over.set()
        self.join(20)
        assert self.error is None
        self.sock.close()


def _fail(words: str) -> bytes:
    raise AssertionError(words)


@contextlib.contextmanager
def stream(port: int) -> Iterator[Stream]:
    """A stream that runs while the body does."""
    made = Stream(connect(port))
    made.passes()
    yield made
    made.passes()
    made.end()


def test_services_come_and_go(site: Site) -> None:
    with stream(site.front) as running_stream:
        for turn in range(3):
            port = free_port()
            body = {"host": "127.0.0.1", "port": str(port), "address": f"more:{turn}"}
            assert site.change("CREATE", "tcpListener", "more", body).body["operStatus"] == "down"
            target = {"host": "127.0.0.1", "port": str(site.server.port), "address": f"more:{turn}"}
            site.change("CREATE", "tcpConnector", "target", target)
            assert exchange(port, b"through the new service") == b"through the new service"
            site.change("DELETE", "tcpListener", "more")
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            site.change("DELETE", "tcpConnector", "target")
            running_stream.passes()


def test_a_deleted_service_leaves_its_streams(site: Site) -> None:
    port = free_port()
    body = {"host": "127.0.0.1", "port": str(port), "address": "echo:1"}
    site.change("CREATE", "tcpListener", "short", body)
    wait_for(lambda: echoes(port), "the service")
    with stream(port) as running_stream:
        site.change("DELETE", "tcpListener", "short")
        running_stream.passes()


def test_listeners_connectors_and_profiles_come_and_go(site: Site) -> None:
    files = {name: value for name, value in site.tls[1].items() if name != "name"}
    with stream(site.front) as running_stream:
        port = free_port()
        site.change("CREATE", "sslProfile", "second", files)
        site.change("CREATE", "listener", "plain", {"host": "127.0.0.1", "port": str(port), "sslProfile": "second"})
        wait_for(lambda: BlockingConnection(f"127.0.0.1:{port}", timeout=5), "the listener").close()
        site.change("CREATE", "connector", "c", {"host": "127.0.0.1", "port": str(port), "role": "normal"})
        wait_for(lambda: status(site.a, "c") == "SUCCESS", "the connector")
        site.change("DELETE", "connector", "c")
        site.change("DELETE", "listener", "plain")
        site.change("DELETE", "sslProfile", "second")
        with pytest.raises(ProtonException):
            BlockingConnection(f"127.0.0.1:{port}", timeout=5)
        running_stream.passes()


def status(router: Router, name: str) -> object:
    """A connector's state."""
    return next(row["connectionStatus"] for row in router.query(PREFIX + "connector") if row["name"] == name)


def test_a_listener_whose_profile_is_missing_waits_for_it(site: Site) -> None:
    port = free_port()
    site.change("CREATE", "listener", "early", {"host": "127.0.0.1", "port": str(port), "sslProfile": "late"})
    with pytest.raises(ProtonException):
        BlockingConnection(f"127.0.0.1:{port}", timeout=5)
    files = {name: value for name, value in site.tls[1].items() if name != "name"}
    site.change("CREATE", "sslProfile", "late", files)
    BlockingConnection(f"127.0.0.1:{port}", timeout=5).close()
    site.change("DELETE", "listener", "early")
    site.change("DELETE", "sslProfile", "late")


def test_log_settings_change_and_frames_are_shown_without_content(site: Site, tmp_path: Path) -> None:
    output = tmp_path / "frames.log"
    secret = "s3cret-payload"
    with stream(site.front) as running_stream:
        site.change("UPDATE", "log", "log/PROTOCOL", {"enable": "trace+", "outputFile": str(output)})
        assert secret in exchange(site.front, secret.encode()).decode()
        log_in_with_a_password(site.a.port, b"\0somebody\0p4ssword")
        running_stream.passes()
        site.change("UPDATE", "log", "log/PROTOCOL", {"enable": "info+", "outputFile": "stderr"})
        size = output.stat().st_size
        running_stream.passes()
        assert output.stat().st_size == size
    text = output.read_text()
    assert re.search(r"PROTOCOL \(debug\) \[C\d+\]:.*@transfer\(20\) \[handle=.*\] \(\d+ octets\)", text)
    assert re.search(r"@sasl-init\(65\) \[mechanism=:PLAIN\]", text)
    assert re.search(r"@attach\(18\) .*address=\"\$management\"", text)
    for word in (secret, "p4ssword", "somebody", "statusDescription", "attributeNames", r"\x00S"):
        assert word not in text


def log_in_with_a_password(port: int, response: bytes) -> None:
    """Send a SASL init of mechanism PLAIN, whether it is offered or not, and wait for the end."""
    fields = b"\x02\xa3\x05PLAIN\xa0" + bytes((len(response),)) + response
    frame = b"\x02\x01\x00\x00\x00\x53\x41\xc0" + bytes((len(fields),)) + fields
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"AMQP\x03\x01\x00\x00" + (len(frame) + 4).to_bytes(4, "big") + frame)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass


def test_one_connection_is_traced_whatever_the_level(site: Site) -> None:
    identity = next(row["identity"] for row in site.a.query(PREFIX + "connection") if row["role"] == "inter-router")
    target = {"operation": "UPDATE", "type": PREFIX + "connection", "identity": identity}
    answer = site.a.request(target, {"enableProtocolTrace": True})
    assert answer.properties["statusCode"] == 200
    wait_for(lambda: f"PROTOCOL (debug) [C{identity}]:" in site.a.log, "frames in the log")
    site.a.request(target, {"enableProtocolTrace": False})


def served(port: int) -> bytes:
    """The certificate that a TLS port shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock, context.wrap_socket(sock) as secured:
        return secured.getpeercert(binary_form=True) or b""


def test_renewed_certificates_are_used_and_no_stream_is_dropped(tmp_path: Path) -> None:
    with running(tmp_path) as lab:
        server, service, amqp, web = lab.server(), free_port(), free_port(), free_port()
        tls = profile(tmp_path)
        lab.router(
            "A", "interior", tls,
            ("listener", {"name": "tls", "host": "127.0.0.1", "port": str(amqp), "sslProfile": "tls"}),
            ("listener", {"name": "web", "host": "127.0.0.1", "port": str(web), "http": True, "sslProfile": "tls"}),
            tcp_listener(service, sslProfile="tls"), tcp_connector(server.port),
        )  # fmt: skip
        places = (service, amqp, web)
        before = {port: wait_for(lambda port=port: served(port), "TLS") for port in places}
        assert len(set(before.values())) == 1
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        running_stream = Stream(context.wrap_socket(connect(service)))
        running_stream.passes()
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_peer_authentication(SSLDomain.ANONYMOUS_PEER)
        client = BlockingConnection(f"amqps://127.0.0.1:{amqp}", timeout=5, ssl_domain=domain)
        fresh = credentials(tmp_path / "fresh")
        put = {name: Path(tls[1][name]) for name in fresh}
        shutil.copy(fresh["certFile"], put["certFile"])  # half of a renewal: a certificate without its key
        assert {served(port) for port in places} == set(before.values())
        for name, path in fresh.items():
            shutil.copy(path, put[name])
        assert len({served(port) for port in places}) == 1
        assert served(amqp) not in before.values()
        running_stream.passes()
        running_stream.end()
        client.create_sender("after").close()
        client.close()


def test_counts_behind_the_metrics(site: Site) -> None:
    web = free_port()
    site.change("CREATE", "listener", "web", {"host": "127.0.0.1", "port": str(web), "http": "yes"})
    before = metrics(web)
    assert before["qdr_routers_total"] == 1
    assert before["qdr_amqp_service_connections"] == 0
    client = BlockingConnection(f"127.0.0.1:{site.a.port}", timeout=5)
    held = connect(site.front)
    held.sendall(b"x")
    assert held.recv(1) == b"x"
    after = metrics(web)
    assert after["qdr_amqp_service_connections"] == 1
    assert after["qdr_tcp_service_connections"] == before["qdr_tcp_service_connections"] + 1
    assert after["qdr_connections_total"] == before["qdr_connections_total"] + 2
    assert after["qdr_deliveries_ingress_total"] > before["qdr_deliveries_ingress_total"]
    assert after["qdr_router_rss_bytes"] == after["qdr_router_rss_bytes"] > 1_000_000
    assert after["qdr_address_t:in_use"] == after["qdr_addresses_total"] > 0
    held.close()
    client.close()
    wait_for(lambda: metrics(web)["qdr_tcp_service_connections"] == before["qdr_tcp_service_connections"], "the end")
    site.change("DELETE", "listener", "web")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", web), timeout=5).close()


def metrics(port: int) -> dict[str, int]:
    """Every number of the page; each with its type in the line before."""
    with wait_for(lambda: socket.create_connection(("127.0.0.1", port), timeout=5), "the page") as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        text = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    head, _, body = text.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK")
    return {name: int(value) for name, value in re.findall(r"# TYPE \S+ (?:gauge|counter)\n(\S+) (\d+)\n", body)}


def test_a_slow_delivery_is_counted_and_a_link_without_credit_is_shown(tmp_path: Path) -> None:
    with running(tmp_path) as lab:
        router = lab.router("A", "interior")
        wait_for(lambda: router.query(PREFIX + "router"), "the router")
        conn = BlockingConnection(f"127.0.0.1:{router.port}", timeout=20)
        receiver = conn.create_receiver("slow", credit=1)
        sender = conn.create_sender("slow")
        delivery = sender.link.send(Message(body="x"))
        message = receiver.receive(timeout=10)
        assert message.body == "x"
        time.sleep(1.2)  # the time is what is counted
        receiver.accept()
        conn.wait(lambda: delivery.settled, timeout=10)
        found = router.query(PREFIX + "router")[0]
        assert (found["deliveriesDelayed1Sec"], found["deliveriesDelayed10Sec"]) == (1, 0)
        in_link = next(row for row in router.query(PREFIX + "router.link") if row["owningAddr"] == "Mslow"
                       and row["linkDir"] == "in")  # fmt: skip
        assert in_link["deliveriesDelayed1Sec"] == 1

        def dry() -> bool:
            rows = router.query(PREFIX + "router.link")
            return any(row["owningAddr"] == "Mslow" and row["zeroCreditSeconds"] > 0 for row in rows)

        wait_for(dry, "a link without credit", 30)
        conn.close()
