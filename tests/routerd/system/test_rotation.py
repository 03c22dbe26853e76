"""Authorities are rotated under links that carry streams: no stream is dropped, and whoever connects meanwhile gets in.

The router that listens has the new authority first; the other one learns of it later, or never, as a site of 1.9.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from proton import ConnectionException, SSLDomain
from proton.utils import BlockingConnection

from skupper_podman import certs
from skupper_podman.rotation import Lineage, succeeded
from tests.routerd.system.lab import Lab, connect, free_port, wait_for
from tests.routerd.system.plan import Plan, kinds, serves

NOW = datetime.datetime.now(datetime.UTC)
FULL = bool(os.environ.get("SKUPPER_TEST_ROTATIONS"))
"""50 rotations under 200 streams with skrouterds, too; else fewer there, which take seconds."""
KEYS = [certs.new_key() for _ in range(8)]


@dataclass
class Side:
    """The files of one router's profile."""

    directory: Path
    keys: itertools.cycle[bytes] = field(default_factory=lambda: itertools.cycle(KEYS[6:]))

    def __post_init__(self) -> None:
        self.directory.mkdir()

    def trust(self, authorities: bytes) -> None:
        self._put("ca.crt", authorities)

    def renew(self, issuer: Lineage) -> None:
        """A certificate of the present authority, for another key than before."""
        pair = certs.issue(issuer.pair, "localhost", ("localhost",), next(self.keys), NOW, lifetime=certs.LEAF_LIFETIME)
        self._put("tls.key", pair.key)
        self._put("tls.crt", issuer.shown(pair.certificate))

    def _put(self, name: str, content: bytes) -> None:
        (self.directory / f"{name}.new").write_bytes(content)
        (self.directory / f"{name}.new").replace(self.directory / name)

    @property
    def profile(self) -> tuple[str, dict[str, str]]:
        return "sslProfile", {
            "name": "tls",
            "caCertFile": str(self.directory / "ca.crt"),
            "certFile": str(self.directory / "tls.crt"),
            "privateKeyFile": str(self.directory / "tls.key"),
        }


class Rotated:
    """Two linked routers; ``listening`` is the site whose authority is rotated."""

    def __init__(self, lab: Lab, directory: Path, pair: str) -> None:
        self.issuer = _first()
        self.listening, self.connecting = Side(directory / "listening"), Side(directory / "connecting")
        for side in (self.listening, self.connecting):
            side.trust(self.issuer.trusted)
            side.renew(self.issuer)
        whole = FULL or pair == "PP"
        self.rotations, self.streams = (50, 200) if whole else (12, 60)
        self.count = 0
        self.door = free_port()
        demanding = {"sslProfile": "tls", "saslMechanisms": "EXTERNAL", "authenticatePeer": True}
        here, there = f"{pair[0]}1", f"{pair[1]}2"
        plan = Plan(lab).interior(here, there)
        plan.entity(here, self.listening.profile).entity(there, self.connecting.profile)
        plan.entity(here, ("listener", {"name": "door", "host": "127.0.0.1", "port": self.door, **demanding}))
        plan.link(here, there, tls=True, listening=demanding)
        self.front = plan.front(here)
        plan.serve(there)
        self.routers = plan.meet()
        self.here, self.there = self.routers[here], self.routers[there]
        serves(self.front)

    def rotate(self, *, told: bool) -> None:
        """A new authority, as a site makes it: trust first. If ``told`` the peer learns of it, too."""
        self.count += 1
        after = succeeded(self.issuer, "skupper-site-ca", KEYS[self.count % 6], NOW)
        self.listening.trust(after.trusted)
        self.enters()
        self.issuer = after
        self.listening.renew(after)
        self.enters()
        if told:
            self.connecting.renew(after)
            self.connecting.trust(after.trusted)
            self.enters()

    def enters(self) -> None:
        """A new connection with the peer's certificate and trust is made and authenticated."""
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        files = self.connecting.directory
        domain.set_credentials(str(files / "tls.crt"), str(files / "tls.key"), None)
        domain.set_trusted_ca_db(str(files / "ca.crt"))
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        url = f"amqps://localhost:{self.door}"
        connection = BlockingConnection(url, timeout=20, ssl_domain=domain, allowed_mechs="EXTERNAL")
        connection.close()

    def connections(self) -> set[str]:
        """What tells the links between the routers from later ones."""
        return {row["identity"] for row in self.here.query("connection") if row["role"].startswith("inter-router")}

    def cut(self) -> None:
        """End the link; it must come back by itself, with the certificates there are now."""
        # A skrouterd does not end links between routers for the asking.
        ours = self.here if self.here.name[0] == "P" else self.there
        kind = "io.skupper.router.connection"
        for row in ours.query("connection"):
            if row["role"].startswith("inter-router"):
                request = {"operation": "UPDATE", "type": kind, "identity": row["identity"]}
                ours.request(request, {"adminStatus": "deleted"})


def _first() -> Lineage:
    pair = certs.issue_authority("skupper-site-ca", KEYS[0], NOW)
    return Lineage(pair.certificate, pair.key)


@pytest.fixture
def rotated(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Rotated:
    return Rotated(lab, tmp_path / "tls", request.param)


def echoed(sock: socket.socket, data: bytes) -> bool:
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        part = sock.recv(len(data) - len(got))
        if not part:
            return False
        got += part
    return got == data


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()


@pytest.mark.parametrize("rotated", kinds("PP", "PS", "SP"), indirect=True)
def test_streams_live_through_rotations(rotated: Rotated) -> None:
    before = rotated.connections()
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(connect(rotated.front)) for _ in range(rotated.streams)]
        for stream in streams:
            stream.settimeout(60)
        for number in range(rotated.rotations):
            rotated.rotate(told=True)
            chosen = streams if number % 10 == 0 else streams[number % 7 :: 7]
            assert all(echoed(stream, b"still here %d" % number) for stream in chosen)
        assert all(echoed(stream, b"all of them") for stream in streams)
        assert rotated.connections() == before
    rotated.cut()
    wait_for(lambda: rotated.connections() and not rotated.connections() & before, "the link is made again")
    serves(rotated.front)


@pytest.mark.parametrize("rotated", kinds("PP", "PS", "SP", "PT", "TP"), indirect=True)
def test_a_peer_that_never_hears_of_the_new_authority_gets_in(rotated: Rotated) -> None:
    before = rotated.connections()
    for _ in range(3):
        rotated.rotate(told=False)
    rotated.cut()
    wait_for(lambda: rotated.connections() and not rotated.connections() & before, "the link is made again")


@pytest.mark.parametrize("rotated", kinds("PP"), indirect=True)
def test_an_authority_that_is_not_trusted_any_more_lets_nobody_in(rotated: Rotated) -> None:
    for _ in range(5):
        rotated.rotate(told=True)
    stranger = _first()
    rotated.connecting.renew(stranger)
    with pytest.raises(ConnectionException):
        rotated.enters()
