"""The claims server: whoever holds a claim and its password gets a certificate to link with, as often as it allows.

At one more path whoever has such a certificate gets the next one (:mod:`skupper_podman.controller.renewals`).

The wire is that of Skupper 1.9 on Kubernetes: ``POST /<claim>?site-version=V`` over TLS 1.3, the password as body, the
redeeming site's id in the header ``skupper-site-name``; the answer is a certificate token as YAML. What always holds: a
use is on the disk before the certificate leaves; what a stranger can make this process keep or do is bounded (open
connections, their time, the size of a request, guesses of a password); neither password nor key reaches a log.

Protocol: ``pkg/kube/claims/claim_verifier.go`` of Skupper 1.9.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from skupper_podman import certs
from skupper_podman.certrequests import MAX_REQUEST
from skupper_podman.claimstore import ClaimRefusedError, ClaimStore
from skupper_podman.controller.log import log
from skupper_podman.controller.renewals import Renewals
from skupper_podman.controller.settings import ClaimSettings
from skupper_podman.controller.throttle import Teller, Throttle
from skupper_podman.desired.claimrecords import CLAIM_REFUSED, ClaimRecord, Refusal
from skupper_podman.desired.records import parse_spec
from skupper_podman.desired.tokens import (
    RENEWAL_PATH,
    RENEWS_HEADER,
    check_version,
    connection_token,
    dump_token,
    with_renewal,
)
from skupper_podman.errors import InvalidError, SkupperError
from skupper_podman.files import Tree, read_bytes

MAX_BODY: Final = 4096
MAX_CONNECTIONS: Final = 200
CONNECTION_TIME: Final = 60.0
_HANDSHAKE_TIME: Final = 10.0
_MAX_SUBJECT: Final = 253

NOT_POST: Final = Refusal(405, "Only POST is supported")
NOT_GET_OR_POST: Final = Refusal(405, "Only GET and POST are supported")
BAD_BODY: Final = Refusal(400, "Request body not valid")
TOO_OLD: Final = Refusal(400, "minimum version required 0.8.0")
TOO_MANY: Final = Refusal(429, "Too many wrong passwords, try again later")
NOT_READY: Final = Refusal(500, "the site cannot issue certificates now")


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Makes the token that answers a claim, from the site's files as they are at that moment."""

    settings: ClaimSettings

    def token(
        self, record: ClaimRecord, subject: str, key: bytes, now: datetime.datetime, *, renews: bool = False
    ) -> bytes:
        """The token as YAML. Only who ``renews`` gets a certificate that must be renewed within months.

        Raises:
            SkupperError: the site's authority or description cannot be used.
        """
        spec = parse_spec(read_bytes(self.settings.site_file) or b"")
        if spec is None or not spec.ingress_hosts:
            raise InvalidError(f"{self.settings.site_file} is missing or damaged")
        directory = self.settings.authority
        authority = certs.KeyPair(read_bytes(directory / "tls.crt") or b"", read_bytes(directory / "tls.key") or b"")
        lifetime = certs.LEAF_LIFETIME if renews and spec.claims_port else certs.LIFETIME
        pair = certs.issue(authority, subject, (), key, now, lifetime=lifetime)
        host = record.host if record.host in spec.ingress_hosts else spec.ingress_hosts[0]
        data = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}
        ports = (spec.inter_router_port, spec.edge_port)
        token = connection_token(subject, spec.site_id, host, ports, data)
        return dump_token(with_renewal(token, host, spec.claims_port or 0))


class ClaimServer:
    """Serves the claims of a directory. Certificates are read again when their files change."""

    def __init__(self, settings: ClaimSettings, now: Callable[[], datetime.datetime] = _utc_now) -> None:
        self._settings = settings
        self._now = now
        self._store = ClaimStore(Tree(settings.directory))
        self._issuer = Issuer(settings)
        self._renewals = Renewals(settings)
        self._throttle = Throttle()
        self._told = Teller(log)
        self._one = asyncio.Lock()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._stamp: tuple[int, ...] = ()
        self._server: asyncio.Server | None = None
        self._runner: web.ServerRunner | None = None
        self._open: dict[asyncio.BaseProtocol, float] = {}
        # One thread for the store, whose lock is the process's; keys are made on two more.
        self._files = ThreadPoolExecutor(1, "claims")
        self._keys = ThreadPoolExecutor(2, "claim-keys")
        #: why nobody is served, empty when all is well
        self.failure = "the claims server has not started"

    @property
    def port(self) -> int:
        """The port it listens on; 0 while it does not."""
        sockets = self._server.sockets if self._server else ()
        return int(sockets[0].getsockname()[1]) if sockets else 0

    async def start(self) -> None:
        """Listen, if there is a certificate and the port is free; :meth:`tick` tries again."""
        if not self._load_certificate():
            return
        handler = web.Server(self._answer, access_log=None, keepalive_timeout=5, lingering_time=2)
        self._runner = web.ServerRunner(handler, shutdown_timeout=0.2)
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._protocol,
                self._settings.host,
                self._settings.port,
                ssl=self._context,
                ssl_handshake_timeout=_HANDSHAKE_TIME,
                ssl_shutdown_timeout=1.0,
                backlog=64,
            )
        except OSError as error:
            self._fail(f"cannot listen on port {self._settings.port}: {error.strerror or error}")
            return
        self.failure = ""
        log(f"claims are redeemed on port {self.port}")

    async def stop(self) -> None:
        """Stop listening and end what is open."""
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._files.shutdown(wait=False)
        self._keys.shutdown(wait=False)

    async def tick(self) -> None:
        """Take up renewed certificates; end connections that take too long."""
        if self._server is None:
            await self.start()
        elif self._load_certificate():
            self.failure = ""
        limit = time.monotonic() - CONNECTION_TIME
        for protocol, since in list(self._open.items()):
            transport = getattr(protocol, "transport", None)
            if transport is None or transport.is_closing():
                del self._open[protocol]
            elif since < limit:
                transport.abort()

    def _load_certificate(self) -> bool:
        certificate, key = (self._settings.server / name for name in ("tls.crt", "tls.key"))
        try:
            stamp = (*_stamp(certificate), *_stamp(key))
            if stamp != self._stamp:
                self._context.load_cert_chain(certificate, key)
                self._stamp = stamp
        except (OSError, ssl.SSLError) as error:
            self._fail(f"no certificate: {error.strerror or error}")
            return False
        return True

    def _fail(self, reason: str) -> None:
        if reason != self.failure:
            log(f"claims: {reason}")
        self.failure = reason

    def _protocol(self) -> asyncio.BaseProtocol:
        """A new connection's protocol; it closes at once when there are too many."""
        assert self._runner is not None
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= MAX_CONNECTIONS:
            return _Closing()
        protocol = server()
        self._open[protocol] = time.monotonic()
        return protocol

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if request.path == RENEWAL_PATH:
                return web.Response(body=await self._renewed(request), content_type="text/plain")
            return web.Response(body=await self._redeemed(request), content_type="text/plain")
        except ClaimRefusedError as error:
            refusal = error.refusal
            return web.Response(status=refusal.status, text=f"{refusal.text}\n")

    async def _renewed(self, request: web.BaseRequest) -> bytes:
        """The authorities, or the next certificate of who has one.

        Raises:
            ClaimRefusedError: it is not given.
        """
        loop = asyncio.get_running_loop()
        if request.method == "GET":
            return await loop.run_in_executor(self._files, self._renewals.authorities)
        if request.method != "POST":
            raise ClaimRefusedError(NOT_GET_OR_POST)
        body = await _body(request, MAX_REQUEST)
        try:
            return await loop.run_in_executor(self._files, self._renewals.renewed, body, self._now())
        except ClaimRefusedError as error:
            self._told.tell(f"renewal refused: {error.refusal.text}")
            raise

    async def _redeemed(self, request: web.BaseRequest) -> bytes:
        """The token for the claim that is asked for.

        Raises:
            ClaimRefusedError: it is not given.
        """
        if request.method != "POST":
            raise ClaimRefusedError(NOT_POST)
        password = await _body(request, MAX_BODY)
        name = request.path.replace("/", "")
        subject = _subject(request.headers.get("skupper-site-name", "")) or name
        try:
            check_version(request.query.get("site-version", ""))
        except InvalidError:
            raise ClaimRefusedError(TOO_OLD) from None
        try:
            record = await self._admitted(name, password)
            token = await self._used(record, password, subject, renews=RENEWS_HEADER in request.headers)
        except ClaimRefusedError as error:
            self._told.tell(f"claim {_shown(name)} refused to {_shown(subject)}: {error.refusal.text}")
            raise
        log(f"claim {name} redeemed by {_shown(subject)}")
        return token

    async def _admitted(self, name: str, password: bytes) -> ClaimRecord:
        """The record of a claim that can be redeemed now. Passwords are looked at one after the other, and counted.

        Raises:
            ClaimRefusedError: it cannot be redeemed.
        """
        loop = asyncio.get_running_loop()
        async with self._one:
            if self._throttle.closed(name, time.monotonic()):
                raise ClaimRefusedError(TOO_MANY)
            try:
                record = await loop.run_in_executor(self._files, self._store.check, name, password, self._now())
            except ClaimRefusedError as error:
                if error.refusal == CLAIM_REFUSED:
                    self._throttle.failed(name, time.monotonic())
                raise
            self._throttle.succeeded(name)
            return record

    async def _used(self, record: ClaimRecord, password: bytes, subject: str, *, renews: bool) -> bytes:
        """The token for one use. A key takes a tenth of a second, so it is made only for who knows the password."""
        loop = asyncio.get_running_loop()
        key = await loop.run_in_executor(self._keys, certs.new_key)
        try:
            token = self._issuer.token(record, subject, key, self._now(), renews=renews)
        except SkupperError as error:
            log(f"claims: {error.message}")
            raise ClaimRefusedError(NOT_READY) from None
        # Only now: what cannot be answered costs no use.
        await loop.run_in_executor(self._files, self._store.redeem, record.name, password, self._now())
        return token


class _Closing(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def _body(request: web.BaseRequest, limit: int) -> bytes:
    """The body, which must be whole and have at most ``limit`` octets.

    Raises:
        ClaimRefusedError: it is not.
    """
    body = b""
    try:
        async with asyncio.timeout(CONNECTION_TIME / 2):
            while len(body) <= limit:
                part = await request.content.read(limit + 1 - len(body))
                if not part:
                    return body
                body += part
    except (TimeoutError, OSError, web.HTTPException):
        pass
    raise ClaimRefusedError(BAD_BODY)


def _subject(text: str) -> str:
    """A site's id as it told it; it becomes the name of the token, and the certificate's."""
    return "".join(character for character in text if character.isprintable()).strip()[:_MAX_SUBJECT]


def _shown(text: str) -> str:
    return repr(text[:64])


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_ino
