"""The blocking client against a real AMQP server."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from proton import SSLDomain

from skupper_podman.errors import ManagementError
from skupper_podman.router.management import (
    AgentAbsentError,
    BusUrl,
    ManagementClient,
    RequestRefusedError,
    RouterTimeoutError,
    RouterUnreachableError,
    Sasl,
    Tls,
    node_address,
)
from tests.routerd.management.samples import Table, connection, sample_agent
from tests.routerd.tools.server import AgentServer


@pytest.fixture
def server() -> Iterator[AgentServer]:
    with AgentServer(sample_agent()) as running:
        yield running


def test_requests(server: AgentServer) -> None:
    with ManagementClient(server.url) as client:
        result = client.query("router.node", ["id", "nextHop"])
        assert result.names == ("id", "nextHop")
        assert result.dicts() == [{"id": "B", "nextHop": None}, {"id": "A", "nextHop": "(self)"}]
        assert result.dicts(without_nulls=True)[0] == {"id": "B"}
        created = client.create("tcpListener", "one", {"port": "1", "address": "a", "authenticatePeer": True})
        assert (created["name"], created["authenticatePeer"]) == ("one", True)
        assert client.read("tcpListener", "one") == created
        assert client.read("tcpListener", identity=created["identity"]) == created
        assert client.update("log", "log/ROUTER", {"enable": "debug"})["enable"] == "debug"
        client.delete("tcpListener", "one")
        assert client.management_nodes() == [f"amqp:/_topo/0/{name}/$management" for name in "BA"]
        assert client.request_node("GET-LOG", {"limit": 1})[0][2] == "line 4"


def test_values_are_plain(server: AgentServer) -> None:
    with ManagementClient(server.url) as client:
        (router,) = client.query("router").dicts()
    assert {type(value) for value in router.values()} <= {str, int, bool, dict, list, type(None)}
    assert router["connectionCounters"] == {"tcp": 4, "amqp": 2}


def test_refusals_carry_their_status(server: AgentServer) -> None:
    with ManagementClient(server.url) as client:
        with pytest.raises(RequestRefusedError, match="No entity with name=x") as caught:
            client.read("listener", "x")
        assert (caught.value.status, caught.value.status_name) == (404, "NotFoundStatus")
        with pytest.raises(RequestRefusedError) as caught:
            client.query("gadget")
        assert (caught.value.status, caught.value.status_name) == (400, "BadRequestStatus")
        assert client.query("log")  # and the client goes on


def test_other_routers(server: AgentServer) -> None:
    with ManagementClient(server.url) as client:
        assert client.query("router", ["id"], node=node_address("A")).rows == (("A",),)
        with pytest.raises(AgentAbsentError, match="no management agent _edge/X/"):
            client.query("router", node=node_address(edge_router="X"))
    with ManagementClient(f"{server.url}/_topo/0/A/$management") as client:
        assert client.node == "_topo/0/A/$management"
        assert client.query("router", ["id"]).rows == (("A",),)


@pytest.mark.parametrize(
    ("rows", "limit", "expected"), [(1200, 0, 1200), (1000, 0, 1000), (1200, 7, 7), (1200, 501, 501)]
)
def test_long_tables_come_in_pages(rows: int, limit: int, expected: int) -> None:
    agent = sample_agent()
    agent.provide("connection", Table(*(connection(number) for number in range(rows))))
    with AgentServer(agent) as server, ManagementClient(server.url) as client:
        result = client.query("connection", ["identity"], limit=limit)
        assert [row[0] for row in result.rows] == [str(number) for number in range(expected)]


def test_no_answer_in_time() -> None:
    server = AgentServer(sample_agent(), mute=True)
    with server, ManagementClient(server.url, timeout=0.3) as client:
        for _ in range(2):
            with pytest.raises(RouterTimeoutError, match=r"\$management of .* did not answer"):
                client.query("router")


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            RouterUnreachableError, match=f"Cannot reach the router at amqp://{url}: Connection refused"
        ):
            ManagementClient(url)
        taken.listen()
        with pytest.raises(RouterTimeoutError, match=f"No answer from amqp://{url} within 0.2 s"):
            ManagementClient(url, timeout=0.2)


def test_connection_that_breaks() -> None:
    with AgentServer(sample_agent()) as server:
        client = ManagementClient(server.url, timeout=5)
        assert client.query("router")
    with pytest.raises(RouterUnreachableError, match="Connection refused"):
        client.query("router")
    with AgentServer(sample_agent(), port=server.port):
        assert client.query("router")
    client.close()
    client.close()
    with pytest.raises(RouterUnreachableError, match="is closed"):
        client.query("router")


def test_sasl(server: AgentServer) -> None:
    with ManagementClient(server.url, sasl=Sasl("ANONYMOUS")) as client:
        assert client.query("router")
    assert server.users == ["anonymous"]


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost", BusUrl("localhost", 5672)),
        ("0.0.0.0:1", BusUrl("0.0.0.0", 1)),
        ("amqps://h", BusUrl("h", 5671, secure=True)),
        ("amqp://h:amqps", BusUrl("h", 5671)),
        ("amqp://u:p%40@[::1]:7/x/y", BusUrl("::1", 7, False, "x/y", "u", "p@")),
    ],
)
def test_urls(text: str, url: BusUrl) -> None:
    assert BusUrl.parse(text) == url
    assert "p@" not in repr(url)


@pytest.mark.parametrize("text", ["http://h", "amqp://h:no", "h:99999"])
def test_wrong_urls(text: str) -> None:
    with pytest.raises(ManagementError):
        BusUrl.parse(text)


class Authority:
    """A certificate authority that writes PEM files."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.sign(self.key.public_key(), self.name, is_authority=True)
        self.trust = str(directory / f"{name}.crt")
        Path(self.trust).write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def sign(
        self, key: ec.EllipticCurvePublicKey, name: x509.Name, *, is_authority: bool = False, host: str = ""
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self.name, name, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
        builder = builder.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        if host:
            names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str, host: str = "") -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self.sign(key.public_key(), subject, host=host)
        paths = self.directory / f"{name}.tls.crt", self.directory / f"{name}.tls.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return str(paths[0]), str(paths[1])


def test_mutual_tls(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path, "ca"), Authority(tmp_path, "other")
    domain = SSLDomain(SSLDomain.MODE_SERVER)
    domain.set_credentials(*authority.issue("server", "localhost"), None)
    domain.set_trusted_ca_db(authority.trust)
    domain.set_peer_authentication(SSLDomain.VERIFY_PEER, authority.trust)
    certificate, key = authority.issue("client")
    good = Tls(authority.trust, certificate, key)
    with AgentServer(sample_agent(), domain=domain) as server:
        with ManagementClient(server.url, tls=good) as client:
            assert client.query("router", ["id"]).rows == (("A",),)
        assert "CN=client" in server.users
        with pytest.raises(RouterUnreachableError):
            ManagementClient(server.url, tls=Tls(authority.trust), timeout=3)
        with pytest.raises(RouterUnreachableError, match="certificate verify failed"):
            ManagementClient(server.url, tls=Tls(stranger.trust, certificate, key), timeout=3)
        with pytest.raises(ManagementError, match="cannot read /nowhere/ca"):
            ManagementClient(server.url, tls=Tls("/nowhere/ca.crt"))
