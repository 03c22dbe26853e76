"""What else a router does, with real processes: encapsulations, TLS, trunks, management, health."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from proton import Delivery, Message
from proton.reactor import AtMostOnce
from proton.utils import BlockingConnection, LinkDetached, SendException

from tests.routerd.system.lab import (
    Lab,
    connect,
    connector,
    credentials,
    echoes,
    exchange,
    free_port,
    listener,
    profile,
    read_all,
    reset,
    tcp_connector,
    tcp_listener,
    wait_for,
)


def pair(lab: Lab, front: dict[str, object] | None = None, **attributes: object) -> tuple[int, int]:
    """Two linked interiors with an echo service; the client port, and the number of the server's port."""
    server = lab.server()
    port, link = free_port(), free_port()
    lab.router("A", "interior", listener("inter-router", link), tcp_listener(port, **(front or {})))
    lab.router("B", "interior", connector("inter-router", link), tcp_connector(server.port), **attributes)
    wait_for(lambda: echoes(port), "service")
    return port, server.port


def test_lite_encapsulation(lab: Lab) -> None:
    port, _ = pair(lab, {"encapsulation": "lite"})
    data = os.urandom(4_000_000)
    assert exchange(port, data) == data
    assert exchange(port, b"") == b""
    sock = connect(port)
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    reset(sock)
    assert echoes(port)


def test_streams_use_data_connections(lab: Lab) -> None:
    port, _ = pair(lab, dataConnectionCount="2")
    data = os.urandom(2_000_000)
    assert exchange(port, data) == data
    conns = lab.routers[0].query("connection")
    assert [conn["role"] for conn in conns if conn["protocol"] == "amqp"].count("inter-router-data") == 2
    data_connections = {conn["identity"] for conn in conns if conn["role"] == "inter-router-data"}
    exchange(port, data)
    used = {link["connectionId"] for link in lab.routers[0].query("router.link") if link["deliveryCount"]}
    assert used & data_connections


def test_tls_of_client_and_server(lab: Lab, tmp_path: Path) -> None:
    tls = profile(tmp_path)
    files = tls[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["certFile"], files["privateKeyFile"])

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secured:
            while data := secured.recv(65536):
                secured.sendall(data)

    server = lab.server(serve)
    port, link = free_port(), free_port()
    front = tcp_listener(port, sslProfile="tls")
    back = tcp_connector(server.port, sslProfile="tls", verifyHostname=False)
    lab.router("A", "interior", tls, listener("inter-router", link, tls=True), front)
    lab.router("B", "interior", tls, connector("inter-router", link, tls=True), back)
    client = ssl.create_default_context(cafile=files["caCertFile"])
    with client.wrap_socket(connect(port), server_hostname="localhost") as sock:
        data = os.urandom(300_000)
        sock.sendall(data)
        got = b""
        while len(got) < len(data):
            got += sock.recv(65536)
        assert got == data


def test_wrong_certificate_is_refused(lab: Lab, tmp_path: Path) -> None:
    link = free_port()
    lab.router("A", "interior", profile(tmp_path), listener("inter-router", link, tls=True))
    other = {"name": "tls", **{key: str(path) for key, path in credentials(tmp_path / "other").items()}}
    b = lab.router("B", "interior", ("sslProfile", other), connector("inter-router", link, tls=True))
    status = wait_for(
        lambda: [item for item in b.query("connector") if item["connectionStatus"] == "FAILED"], "connection fails"
    )
    assert status[0]["connectionMsg"]
    assert [node["id"] for node in b.query("router.node")] == ["B"]


def test_plain_client_is_refused_where_a_certificate_is_demanded(lab: Lab, tmp_path: Path) -> None:
    port = free_port()
    amqps = {"name": "amqps", "host": "127.0.0.1", "port": port, "sslProfile": "tls", "saslMechanisms": "EXTERNAL"}
    router = lab.router("A", "interior", profile(tmp_path), ("listener", {**amqps, "authenticatePeer": True}))
    wait_for(lambda: router.query("router"), "router answers")
    sock = connect(port)
    sock.sendall(b"AMQP\x00\x01\x00\x00")
    sock.settimeout(5)
    with contextlib.suppress(ConnectionResetError):
        assert b"container" not in read_all(sock)
    assert router.query("router")


def test_bare_amqp_header_is_accepted(lab: Lab) -> None:
    router = lab.router("A", "interior")
    wait_for(lambda: router.query("router"), "router answers")
    conn = BlockingConnection(f"127.0.0.1:{router.port}", timeout=5, sasl_enabled=False)
    conn.create_sender("$management")
    conn.close()


def test_client_cannot_attach_a_router_link(lab: Lab) -> None:
    router = lab.router("A", "interior")
    wait_for(lambda: router.query("router"), "router answers")
    conn = BlockingConnection(f"127.0.0.1:{router.port}", timeout=5)
    from proton.reactor import LinkOption

    class Capability(LinkOption):
        def apply(self, link: object) -> None:
            link.target.capabilities.put_object("qd.router")  # type: ignore[attr-defined]

    with pytest.raises(LinkDetached):
        conn.create_sender(None, options=Capability())
    conn.close()


def test_messages_between_clients_of_two_routers(lab: Lab) -> None:
    link = free_port()
    a = lab.router("A", "interior", listener("inter-router", link))
    b = lab.router("B", "interior", connector("inter-router", link))
    wait_for(lambda: len(a.query("router.node")) == 2, "A and B meet")
    there = BlockingConnection(f"127.0.0.1:{b.port}", timeout=10)
    here = BlockingConnection(f"127.0.0.1:{a.port}", timeout=10)
    # In this order: a presettled message leaves the blocking client only when it waits for something.
    receivers = [here.create_receiver("mc/news", credit=10), there.create_receiver("mc/news", credit=10)]
    single = there.create_receiver("queue", credit=300)
    wait_for(lambda: any(item["key"] == "Mqueue" for item in a.query("router.address")), "A hears of the queue")
    news = here.create_sender("mc/news", options=AtMostOnce())
    news.send(Message(body="all"))
    assert [receiver.receive().body for receiver in receivers] == ["all", "all"]
    sender = here.create_sender("queue")
    bodies = ["x" * 600_000, *range(300)]
    outcomes: list[int] = []

    def send() -> None:
        outcomes.extend(sender.send(Message(body=body)).remote_state for body in bodies)
        with contextlib.suppress(SendException):
            sender.send(Message(body="refused"))
        outcomes.append(-1)

    sending = threading.Thread(target=send)
    sending.start()
    for body in bodies:
        assert single.receive().body == body
        single.accept()
    assert single.receive().body == "refused"
    single.reject()
    there.wait(lambda: not sending.is_alive(), timeout=5)
    assert outcomes == [Delivery.ACCEPTED] * len(bodies) + [-1]
    here.close()
    there.close()


def test_services_are_made_and_deleted_by_management(lab: Lab) -> None:
    server = lab.server()
    port = free_port()
    router = lab.router("A", "interior")
    wait_for(lambda: router.query("router"), "router answers")

    def ask(operation: str, kind: str, name: str, body: dict[str, object] | None = None) -> int:
        properties = {"operation": operation, "type": f"io.skupper.router.{kind}", "name": name}
        return int(router.request(properties, body or {}).properties["statusCode"])

    service = {"host": "127.0.0.1", "address": "made:1"}
    assert ask("CREATE", "tcpListener", "l", {**service, "port": str(port)}) == 201
    assert router.query("tcpListener")[0]["operStatus"] == "down"
    assert ask("CREATE", "tcpConnector", "c", {**service, "port": str(server.port)}) == 201
    wait_for(lambda: echoes(port), "service")
    assert ask("CREATE", "tcpConnector", "c", {**service, "port": "1"}) == 400
    with connect(port) as held:
        held.sendall(b"1")
        assert held.recv(1) == b"1"
        assert ask("DELETE", "tcpConnector", "c") == 204
        wait_for(lambda: router.query("tcpListener")[0]["operStatus"] == "down", "listener closes")
        held.sendall(b"2")
        assert held.recv(1) == b"2"
    assert ask("DELETE", "tcpListener", "l") == 204
    assert ask("DELETE", "tcpListener", "l") == 404


def test_health_and_metrics(lab: Lab) -> None:
    port = free_port()
    web = {"name": "@9090", "role": "normal", "port": port, "http": True, "httpRootDir": "disabled", "healthz": True}
    lab.router("A", "interior", ("listener", web))
    connect(port).close()
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    conn.request("GET", "/healthz")
    answer = conn.getresponse()
    assert (answer.status, answer.read()) == (200, b"OK\n")
    conn.request("GET", "/metrics")
    answer = conn.getresponse()
    text = answer.read().decode()
    assert "# TYPE qdr_connections_total gauge\n" in text
    conn.request("GET", "/other")
    assert conn.getresponse().status == 404
    conn.close()
    with connect(port) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        read_all(sock)


def test_survives_running_out_of_descriptors(lab: Lab) -> None:
    server = lab.server()
    port = free_port()
    router = lab.router("A", "interior", tcp_listener(port), tcp_connector(server.port))
    wait_for(lambda: echoes(port), "service")
    assert router.process is not None
    subprocess.run(["prlimit", f"--pid={router.process.pid}", "--nofile=64:64"], check=True)
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    for sock in held:
        sock.close()
    wait_for(lambda: echoes(port), "service again")


def test_version_option() -> None:
    for option in ("-v", "--version", "-version"):
        command = [sys.executable, "-m", "skupper_podman.routerd", option]
        assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def test_bad_configuration_names_entity_and_attribute(tmp_path: Path) -> None:
    config = tmp_path / "bad.json"
    config.write_text('[["router", {"id": "A", "mode": "sideways"}]]')
    command = [sys.executable, "-m", "skupper_podman.routerd", "-c", str(config)]
    result = subprocess.run(command, capture_output=True, check=False, text=True)
    assert result.returncode == 1
    assert "router" in result.stderr
    assert "mode" in result.stderr


def test_configuration_as_skupper_writes_it(lab: Lab, tmp_path: Path) -> None:
    server = lab.server()
    service, inter_router, edge, health = (free_port() for _ in range(4))
    files = {key: str(path) for key, path in credentials(tmp_path / "certs").items()}
    site = [
        ("router", {"helloMaxAgeSeconds": "3", "id": "host1-alice-1a2b3", "mode": "interior",
                    "metadata": '{"id":"x","version":"1.9.6","platform":"podman"}'}),
        ("sslProfile", {"name": "skupper-internal", **files}),
        ("sslProfile", {"name": "skupper-service-client", "caCertFile": str(tmp_path / "comes-later.crt")}),
        ("listener", {"name": "@9090", "role": "normal", "port": health, "http": True, "httpRootDir": "disabled",
                      "healthz": True, "metrics": True}),
        ("listener", {"name": "amqp", "host": "localhost", "port": lab_port}) if (lab_port := free_port()) else None,
        ("listener", {"name": "interior-listener", "role": "inter-router", "port": inter_router,
                      "sslProfile": "skupper-internal", "saslMechanisms": "EXTERNAL", "authenticatePeer": True,
                      "maxFrameSize": 16384, "maxSessionFrames": 640}),
        ("listener", {"name": "edge-listener", "role": "edge", "port": edge, "sslProfile": "skupper-internal",
                      "saslMechanisms": "EXTERNAL", "authenticatePeer": True, "maxFrameSize": 16384,
                      "maxSessionFrames": 640}),
        ("address", {"prefix": "mc", "distribution": "multicast"}),
        ("log", {"module": "DEFAULT", "enable": "info+"}),
    ]  # fmt: skip
    router = lab.router("site", "interior")
    router.kill()
    router.entities = [entity for entity in site if entity is not None]
    router.port = lab_port
    router.start()
    per_service = lab.router("svc", "edge")
    per_service.kill()
    per_service.entities = [
        ("router", {"helloMaxAgeSeconds": "3", "id": "host1-alice-1a2b3-backend", "mode": "edge"}),
        ("sslProfile", {"name": "skupper-internal", **files}),
        ("sslProfile", {"name": "skupper-tls-backend", **files}),
        ("connector", {"name": "uplink", "role": "edge", "host": "localhost", "port": str(edge),
                       "sslProfile": "skupper-internal"}),
        ("listener", {"name": "amqp", "host": "127.0.0.1", "port": per_service.port}),
        ("tcpConnector", {"name": "backend@backend-target:8080:9090", "address": "backend:8080", "host": "localhost",
                          "port": str(server.port), "siteId": "x-backend", "verifyHostname": False}),
        ("tcpListener", {"name": "backend:8080", "address": "backend:8080", "host": "localhost", "port": str(service),
                         "siteId": "x"}),
        ("log", {"module": "DEFAULT", "enable": "info+"}),
    ]  # fmt: skip
    per_service.start()
    wait_for(lambda: echoes(service), "service")
    wait_for(lambda: [item for item in router.query("connection") if item["role"] == "edge"], "edge is connected")
    assert "comes-later.crt" in router.log
    assert {item["operStatus"] for item in per_service.query("tcpListener")} == {"up"}
