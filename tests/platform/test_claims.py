"""Claims are redeemed at a real TLS server; reachability is tried against real sockets."""

from __future__ import annotations

import datetime
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skupper_podman import certs
from skupper_podman.desired import tokens
from skupper_podman.errors import InvalidError, PlatformError, SkupperError
from skupper_podman.model.link import Token
from skupper_podman.platform.podman.claims import redeem
from skupper_podman.platform.podman.reach import reachability

NOW = datetime.datetime.now(datetime.UTC)
SITE_ID = "0d3b4c8e-0000-4000-8000-000000000001"
ISSUER = "0d3b4c8e-0000-4000-8000-000000000002"


def authority() -> certs.KeyPair:
    return certs.issue_authority("skupper-site-ca", certs.new_key(), NOW)


CA = authority()
SERVER = certs.issue(CA, "skupper-router", ("skupper-router", "127.0.0.1"), certs.new_key(), NOW)
CLIENT = certs.issue(CA, "skupper", (), certs.new_key(), NOW)
DATA = {"ca.crt": CA.certificate, "tls.crt": CLIENT.certificate, "tls.key": CLIENT.key}
ANSWER = tokens.connection_token("t", ISSUER, "192.0.2.9", (55671, 45671), DATA)


class Issuer(http.server.BaseHTTPRequestHandler):
    """Answers as the claim server of 1.9 does."""

    seen: list[dict[str, Any]]
    reply: tuple[int, bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append({"path": self.path, "name": self.headers["skupper-site-name"], "body": body})
        status, content = self.reply
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def server_context(directory: Path) -> ssl.SSLContext:
    (directory / "tls.crt").write_bytes(SERVER.certificate)
    (directory / "tls.key").write_bytes(SERVER.key)
    (directory / "ca.crt").write_bytes(CA.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    return context


@contextmanager
def issuer(directory: Path, status: int, content: bytes) -> Iterator[tuple[Token, list[dict[str, Any]]]]:
    seen: list[dict[str, Any]] = []
    handler = type("Handler", (Issuer,), {"seen": seen, "reply": (status, content)})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = server_context(directory).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    annotations = {
        tokens.CLAIM_URL: f"https://127.0.0.1:{server.server_address[1]}/claim-1",
        tokens.GENERATED_BY: ISSUER,
        tokens.SITE_VERSION: "1.9.6",
    }
    token = Token(
        "claim-1", "token-claim", {"skupper.io/type": "token-claim"}, annotations,
        {"ca.crt": CA.certificate, "password": b"top secret"},
    )  # fmt: skip
    try:
        yield token, seen
    finally:
        server.shutdown()
        server.server_close()


def test_a_claim_becomes_a_token(tmp_path: Path) -> None:
    with issuer(tmp_path, 200, tokens.dump_token(ANSWER)) as (token, seen):
        assert redeem(token, SITE_ID) == ANSWER
    assert seen == [{"path": "/claim-1?site-version=1.9.6", "name": SITE_ID, "body": b"top secret"}]


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (404, b"No such claim\n", r"No such claim \(it has expired, was used up"),
        (403, b"Claim refused\n", "Claim refused"),
        (400, b"minimum version required 0.8.0", "minimum version"),
        (500, b"", "HTTP status 500"),
        (503, b"Internal error", "Internal error"),
    ],
)
def test_refusals_say_why_and_what_to_do(tmp_path: Path, status: int, text: bytes, message: str) -> None:
    with issuer(tmp_path, status, text) as (token, _), pytest.raises(SkupperError, match=message) as caught:
        redeem(token, SITE_ID)
    assert caught.value.hint
    assert "top secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"nonsense: [", b"kind: Secret", b"\xff\xfe"])
def test_an_answer_that_is_no_token(tmp_path: Path, content: bytes) -> None:
    with issuer(tmp_path, 200, content) as (token, _), pytest.raises(InvalidError):
        redeem(token, SITE_ID)


def test_a_claim_for_a_claim_is_refused(tmp_path: Path) -> None:
    with issuer(tmp_path, 200, b"") as (token, _):
        pass
    with (
        issuer(tmp_path, 200, tokens.dump_token(token)) as (other, _),
        pytest.raises(InvalidError, match="something else"),
    ):
        redeem(other, SITE_ID)


def test_the_password_is_sent_to_nobody_else(tmp_path: Path) -> None:
    with issuer(tmp_path, 200, tokens.dump_token(ANSWER)) as (token, seen):
        stranger = replace(token, data={**token.data, "ca.crt": authority().certificate})
        with pytest.raises(PlatformError, match="is not the site that issued the token"):
            redeem(stranger, SITE_ID)
        assert not seen


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "https://", "https://a:b/", "file:///etc/passwd", ""])
def test_urls_that_are_no_claim(url: str) -> None:
    token = Token("c", "token-claim", {}, {tokens.CLAIM_URL: url}, {"password": b"x"})
    with pytest.raises(InvalidError, match="Invalid URL"):
        redeem(token, SITE_ID)


def test_an_issuer_that_is_away() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = Token("c", "token-claim", {}, {tokens.CLAIM_URL: f"https://127.0.0.1:{port}/c"}, {"password": b"x"})
    with pytest.raises(PlatformError, match="cannot be reached"):
        redeem(token, SITE_ID)


# reachability


@contextmanager
def listener(context: ssl.SSLContext | None) -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)

        def serve() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    if context is None:
                        connection.sendall(b"hello\n")
                        return
                    with context.wrap_socket(connection, server_side=True) as tls:
                        tls.recv(1)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_a_router_that_wants_certificates_is_reached(tmp_path: Path) -> None:
    context = server_context(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tmp_path / "ca.crt")
    with listener(context) as port:
        assert reachability("127.0.0.1", port, DATA) == ()


def test_another_authority_is_noticed(tmp_path: Path) -> None:
    with listener(server_context(tmp_path)) as port:
        warnings = reachability("127.0.0.1", port, {**DATA, "ca.crt": authority().certificate})
    assert "does not show the certificate of the site" in warnings[0]


def test_something_else_on_the_port_is_noticed() -> None:
    with listener(None) as port:
        assert "does not speak TLS" in reachability("127.0.0.1", port, DATA)[0]


def test_nobody_there() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert "cannot be reached from this host now: Connection refused" in reachability("127.0.0.1", port, DATA)[0]
    assert "cannot be resolved" in reachability("no-such-host.invalid", 1, DATA, 5.0)[0]


def test_silence_is_bounded() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        assert "did not answer within" in reachability("127.0.0.1", server.getsockname()[1], DATA, 0.2)[0]
