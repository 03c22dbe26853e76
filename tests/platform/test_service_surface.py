"""Services as ``cli.md`` describes them, called for real: ports, names, TLS, protocols, ingress."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skupper_podman import certs
from skupper_podman.errors import UsageError
from skupper_podman.model.service import Service, Target
from tests.lab import Host
from tests.platform.onehost import check_every_undo, init, inside, needs_podman, one_host, run, session
from tests.podmanlab import until

pytestmark = needs_podman

SERVER = """
import http.server, os, ssl, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.server.server_port} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
for word in sys.argv[1:]:
    port, _, directory = word.partition(":")
    server = http.server.ThreadingHTTPServer(("", int(port)), Handler)
    if directory:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{directory}/tls.crt", f"{directory}/tls.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Host]:
    with one_host() as host:
        run(host, init)
        yield host


def serve(host: Host, name: str, *ports: str, options: tuple[str, ...] = ()) -> None:
    host.run_container(name, "skupper", "python3", "-c", SERVER, *ports, options=options)


def skupper(host: Host, *words: str) -> str:
    return host.skupper(*words, env={"SKUPPER_DATA_HOME": str(host.directory / "data")}).stdout


def fetch(host: Host, url: str, authority: Path | None = None, name: str = "") -> str:
    """What a client on the host gets."""
    context = ssl.create_default_context(cafile=str(authority)) if authority else None
    if context is not None and name:
        return _fetch_as(host, url, context, name)
    with inside(host), urllib.request.urlopen(url, timeout=10, context=context) as answer:
        return str(answer.read().decode())


def _fetch_as(host: Host, url: str, context: ssl.SSLContext, name: str) -> str:
    """The same, where the certificate is for another name than the address that is dialled."""
    address = url.partition("//")[2].partition("/")[0].partition(":")
    with (
        inside(host), socket.create_connection((address[0], int(address[2])), 10) as raw,
        context.wrap_socket(raw, server_hostname=name) as secure,
    ):  # fmt: skip
        secure.sendall(b"GET /tls HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: secure.recv(65536), b"")).partition(b"\r\n\r\n")[2].decode()


def fetched(host: Host, *arguments: Any) -> str:
    try:
        return fetch(host, *arguments)
    except (OSError, urllib.error.URLError):
        return ""


def entities(host: Host, container: str, kind: str) -> list[dict[str, Any]]:
    return list(json.loads(host.podman("exec", container, "skmanage", "query", "--type", kind).stdout))


def complete(host: Host) -> None:
    with session(host) as platform:
        assert init(platform).lines() == []


def test_several_ports_names_addresses_and_labels(site: Host) -> None:
    serve(site, "web", "9001", "9002")
    out = skupper(
        site, "expose", "host", "web", "--address", "multi", "--port", "80,81", "--target-port", "9001,81:9002",
        "--host-ip", "127.0.0.1", "--host-port", "28080,81:28081", "--container-name", "front", "--label", "a=b",
    )  # fmt: skip
    assert out == "host web exposed as multi (tcp 80, 81)\n"
    assert fetch(site, "http://127.0.0.1:28080/x") == "9001 /x"
    assert fetch(site, "http://127.0.0.1:28081/y") == "9002 /y"
    inner = "import urllib.request as u,sys; print(*(u.urlopen(w, timeout=9).read().decode() for w in sys.argv[1:]))"
    shown = site.in_network("skupper", "python3", "-c", inner, "http://multi:80/a", "http://front:81/b")
    assert shown.stdout == "9001 /a 9002 /b\n"
    (body,) = json.loads(site.podman("inspect", "front").stdout)
    assert body["Config"]["Labels"]["a"] == "b"
    assert body["NetworkSettings"]["Ports"]["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "28080"}]
    complete(site)
    skupper(site, "service", "delete", "multi")
    assert site.podman("ps", "--all", "--format", "{{.Names}}").stdout.split().count("front") == 0


def test_tls_with_certificates_of_the_site(site: Host) -> None:
    out = skupper(site, "service", "create", "secure", "8443", "--generate-tls-secrets", "--host-port", "28443")
    place = out.partition("made for them in ")[2].split()[0]
    assert place.endswith("/skupper-tls-secure")
    serve(site, "tlsweb", "9443:/certs", options=("--volume", f"{place}:/certs:ro"))
    skupper(site, "service", "bind", "secure", "host", "tlsweb", "--target-port", "9443")
    authority = site.directory / "root/volumes/skupper-service-client/_data/ca.crt"
    url = "https://127.0.0.1:28443/tls"
    until(lambda: fetched(site, url, authority, "secure"), 20, "the service answers")
    assert fetch(site, url, authority, "secure") == "9443 /tls"
    for kind in ("tcpListener", "tcpConnector"):
        (entity,) = entities(site, "secure", kind)
        assert entity["sslProfile"] == "skupper-tls-secure"
    complete(site)
    # A server with a certificate of somebody else is not believed, until that one is trusted.
    stranger = pair(site.directory / "stranger", "tlsweb")
    site.podman("rm", "--force", "--time", "0", "tlsweb")
    serve(site, "tlsweb", "9443:/certs", options=("--volume", f"{stranger}:/certs:ro"))
    until(lambda: site.podman("exec", "tlsweb", "python3", "-c", "0").returncode == 0, 10, "the server runs")
    assert fetched(site, url, authority, "secure") == ""
    skupper(
        site, "service", "bind", "secure", "host", "tlsweb", "--target-port", "9443",
        "--tls-trust", str(stranger / "ca.crt"),
    )  # fmt: skip
    until(lambda: fetched(site, url, authority, "secure") == "9443 /tls", 20, "the service answers again")
    complete(site)
    skupper(site, "service", "delete", "secure")
    assert not Path(place).exists()


def pair(directory: Path, name: str) -> Path:
    """A certificate for ``name`` with its authority, as in a Secret."""
    directory.mkdir()
    now = datetime.datetime.now(datetime.UTC)
    authority = certs.issue_authority("somebody", certs.new_key(), now)
    made = certs.issue(authority, name, (name,), certs.new_key(), now)
    files = {"ca.crt": authority.certificate, "tls.crt": made.certificate, "tls.key": made.key}
    for file, content in files.items():
        (directory / file).write_bytes(content)
    return directory


def test_tls_with_certificates_that_are_brought(site: Host, tmp_path: Path) -> None:
    mine, theirs = pair(tmp_path / "mine", "shop"), pair(tmp_path / "theirs", "till")
    serve(site, "till", "9444:/certs", options=("--volume", f"{theirs}:/certs:ro"))
    skupper(
        site, "expose", "host", "till", "--address", "shop", "--port", "8444", "--target-port", "9444",
        "--tls-cert", str(mine), "--tls-trust", str(theirs / "ca.crt"), "--host-port", "28444",
    )  # fmt: skip
    assert fetch(site, "https://127.0.0.1:28444/tls", mine / "ca.crt", "shop") == "9444 /tls"
    kept = site.directory / "root/volumes/skupper-router-certs/_data/skupper-tls-shop"
    assert {file.name: file.stat().st_mode & 0o777 for file in kept.iterdir()} == {
        "ca.crt": 0o644, "tls.crt": 0o644, "tls.key": 0o600,
    }  # fmt: skip
    complete(site)
    with session(site) as platform:
        for files in (
            {"tls.crt": (mine / "tls.crt").read_bytes(), "tls.key": (theirs / "tls.key").read_bytes()},
            {"ca.crt": b"nothing"},
            {"tls.crt": b""},
        ):
            whole = {name: (mine / name).read_bytes() for name in ("ca.crt", "tls.crt", "tls.key")} | files
            service = Service("a", (1,), tls_credentials="x", tls_files=tuple(whole.items()))
            with pytest.raises(UsageError):
                platform.plan_service_create(service)
        with pytest.raises(UsageError, match="not possible with protocol http"):
            platform.plan_service_create(Service("a", (1,), protocol="http", tls_credentials="x"))


def test_a_service_with_targets_may_be_for_other_sites_only(site: Host) -> None:
    skupper(site, "service", "create", "export", "80", "--enable-ingress", "Never")
    assert [row["name"] for row in entities(site, "export", "tcpListener")] == ["export:80"]
    skupper(site, "service", "bind", "export", "host", "192.0.2.9")
    assert entities(site, "export", "tcpListener") == []
    complete(site)
    site.podman("restart", "--time", "1", "export")
    until(lambda: entities(site, "export", "tcpConnector"), 20, "the router is back")
    assert entities(site, "export", "tcpListener") == []
    skupper(site, "service", "unbind", "export", "host", "192.0.2.9")
    assert [row["name"] for row in entities(site, "export", "tcpListener")] == ["export:80"]
    complete(site)


@pytest.mark.parametrize(("protocol", "version"), [("http", "HTTP1"), ("http2", "HTTP2")])
def test_http(site: Host, protocol: str, version: str) -> None:
    serve(site, f"web-{protocol}", "9080")
    port = {"http": "28082", "http2": "28083"}[protocol]
    skupper(
        site, "expose", "host", f"web-{protocol}", "--address", protocol, "--port", "80", "--target-port", "9080",
        "--protocol", protocol, "--host-port", port,
    )  # fmt: skip
    for kind in ("httpListener", "httpConnector"):
        (entity,) = entities(site, protocol, kind)
        assert (entity["address"], entity["protocolVersion"]) == (f"{protocol}:80", version)
    if protocol == "http":
        assert fetch(site, f"http://127.0.0.1:{port}/page") == "9080 /page"
    skupper(site, "service", "bind", protocol, "host", "192.0.2.77", "--target-port", "9080")
    assert len(entities(site, protocol, "httpConnector")) == 2
    skupper(site, "service", "unbind", protocol, "host", "192.0.2.77")
    assert len(entities(site, protocol, "httpConnector")) == 1
    complete(site)


@pytest.mark.slow
def test_every_step_can_be_taken_back(site: Host, tmp_path: Path) -> None:
    mine = pair(tmp_path / "mine", "vault")
    files = tuple((name, (mine / name).read_bytes()) for name in ("ca.crt", "tls.crt", "tls.key"))
    vault = Service("vault", (80, 81), ingress="Never", tls_credentials="x", tls_files=files)
    check_every_undo(site, lambda platform: platform.plan_service_create(vault))
    run(site, lambda platform: platform.plan_service_create(vault))
    target, trust = Target("192.0.2.9", ((80, 1), (81, 2))), pair(tmp_path / "other", "x") / "ca.crt"
    check_every_undo(site, lambda platform: platform.plan_bind("vault", target, trust.read_bytes()))
    check_every_undo(site, lambda platform: platform.plan_service_delete("vault"))
