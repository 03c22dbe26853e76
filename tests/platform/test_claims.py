"""Claims are redeemed at a real TLS server; reachability is tried against real sockets."""

from __future__ import annotations

import datetime
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skupper_podman import certs
from skupper_podman.desired import tokens
from skupper_podman.errors import InvalidError, LinkCheckError, PlatformError, SkupperError
from skupper_podman.model.link import Token
from skupper_podman.platform.podman import linkchecks
from skupper_podman.platform.podman.claims import redeem
from skupper_podman.platform.podman.reach import Unreachable, probe

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


def found(host: str, port: int, data: Mapping[str, bytes], limit: float = 2.5) -> Unreachable:
    answer = probe(host, port, data, limit)
    assert answer is not None
    return answer


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_router_that_wants_certificates_is_reached(tmp_path: Path) -> None:
    context = server_context(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tmp_path / "ca.crt")
    with listener(context) as port:
        assert probe("127.0.0.1", port, DATA) is None


def test_another_authority_is_never_right(tmp_path: Path) -> None:
    with listener(server_context(tmp_path)) as port:
        answer = found("127.0.0.1", port, {**DATA, "ca.crt": authority().certificate})
    assert "does not show the certificate of the site" in answer.reason
    assert (answer.check, answer.lasting) == ("link-tls", True)


def test_something_else_on_the_port_is_noticed() -> None:
    with listener(None) as port:
        answer = found("127.0.0.1", port, DATA)
    assert "does not speak TLS" in answer.reason
    assert (answer.check, answer.lasting) == ("link-tls", False)


def test_nobody_there() -> None:
    answer = found("127.0.0.1", closed_port(), DATA)
    assert "cannot be reached from this host now: Connection refused" in answer.reason
    assert (answer.check, answer.lasting) == ("link-tcp", False)
    answer = found("no-such-host.invalid", 1, DATA, 5.0)
    assert "cannot be resolved" in answer.reason
    assert (answer.check, answer.lasting) == ("link-dns", False)


def test_silence_is_bounded() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        answer = found("127.0.0.1", server.getsockname()[1], DATA, 0.2)
    assert "did not answer within" in answer.reason
    assert answer.check == "link-tcp"


# the checks of a link, in their order


def token_for(port: int, **annotations: str) -> Token:
    token = tokens.connection_token("t", ISSUER, "127.0.0.1", (port, port), DATA)
    return replace(token, annotations={**token.annotations, **annotations})


def claim_for(port: int, **annotations: str) -> Token:
    token = tokens.claim_token("c", ISSUER, f"https://127.0.0.1:{port}/c", b"top secret", CA.certificate)
    return replace(token, annotations={**token.annotations, **annotations})


def checked(token: Token, site_id: str = SITE_ID, links: Mapping[str, str] | None = None, days: int = 0) -> str:
    """The check that refuses the token, empty if none does."""
    now = NOW + datetime.timedelta(days=days, minutes=1)
    try:
        linkchecks.check_token(token, site_id, links or {}, "inter-router", now)
    except LinkCheckError as error:
        assert "top secret" not in f"{error.message} {error.hint}"
        return error.check
    return ""


def test_each_check_has_its_name_and_its_turn() -> None:
    token, late = token_for(1), {"skupper.io/claim-expiration": "2020-01-01T00:00:00Z"}
    assert checked(token) == checked(claim_for(1)) == ""
    assert checked(replace(token, data={})) == "link-token"
    assert checked(replace(token, data={**DATA, "tls.key": SERVER.key})) == "link-token"
    assert checked(token, days=6 * 365, site_id=ISSUER) == "link-expiry"
    assert checked(token, days=-2) == "link-expiry"
    assert checked(claim_for(1, **late), site_id=ISSUER) == "link-expiry"
    assert checked(claim_for(1, **{"skupper.io/claim-expiration": "soon"})) == "link-expiry"
    assert checked(token, site_id=ISSUER, links={"link1": ISSUER}) == "link-self"
    assert (
        checked(replace(token_for(1, **{"skupper.io/site-version": "0.7.0"})), links={"l": ISSUER}) == "link-duplicate"
    )
    assert checked(token_for(1, **{"skupper.io/site-version": "0.7.0"})) == "link-version"


def test_an_edge_needs_an_edge_port() -> None:
    token = replace(token_for(1), annotations={**token_for(1).annotations, "edge-host": ""})
    with pytest.raises(LinkCheckError, match="not a valid skupper token") as caught:
        linkchecks.check_token(token, SITE_ID, {}, "edge", NOW)
    assert "for edge connections" in caught.value.hint


def test_a_router_that_is_away_is_a_warning_and_a_wrong_one_an_error(tmp_path: Path) -> None:
    (warning,) = linkchecks.check_peer(token_for(closed_port()), "inter-router")
    assert warning.endswith("the link is made as soon as it can be reached")
    with listener(server_context(tmp_path)) as port:
        wrong = replace(token_for(port), data={**DATA, "ca.crt": authority().certificate})
        with pytest.raises(LinkCheckError, match="does not show the certificate") as caught:
            linkchecks.check_peer(wrong, "inter-router")
    assert caught.value.check == "link-tls"


def test_a_claim_needs_its_issuer_now(tmp_path: Path) -> None:
    with pytest.raises(LinkCheckError, match="cannot be redeemed") as caught:
        linkchecks.check_issuer(claim_for(closed_port()))
    assert caught.value.check == "link-tcp"
    with listener(server_context(tmp_path)) as port:
        linkchecks.check_issuer(claim_for(port))
    with listener(server_context(tmp_path)) as port:
        stranger = replace(claim_for(port), data={"password": b"x", "ca.crt": authority().certificate})
        with pytest.raises(LinkCheckError, match="does not show the certificate") as caught:
            linkchecks.check_issuer(stranger)
    assert caught.value.check == "link-tls"
    with pytest.raises(LinkCheckError, match="Invalid URL"):
        linkchecks.check_issuer(claim_for(1, **{"skupper.io/url": "http://127.0.0.1/x"}))
