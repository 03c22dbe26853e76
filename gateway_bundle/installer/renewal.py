"""The credential is renewed at the site that gave it: a new key that never leaves this host, and a certificate for it.

The site is known by the authorities the gateway trusts; it knows the gateway by a signature with the present key. What
comes is tried before it takes the place of what works. The router reads its files at its next connection, so nothing
restarts and no connection ends. Of the two files one is exchanged before the other; what a power cut leaves half-done
is completed by the next look.
"""

import base64
import contextlib
import datetime
import http.client
import json
import os
import ssl
from typing import Any, Dict, Optional, Tuple
from urllib.parse import urlsplit

from . import certificate
from .failures import DAMAGED, EXPIRED, MISSING, NO_LINK, Failure
from .files import held, read, write

CERTIFICATE, KEY, TRUST, OWN_AUTHORITY = "tls.crt", "tls.key", "ca.crt", "gateway-ca.crt"
LAST = "last-renewal.json"
"""In the credential's directory: when the last renewal was tried, and why it failed."""
_NEXT = ".next"
_CONTEXT = b"skupper-podman certificate renewal 1\n"
_PATIENCE = 10.0
_LIMIT = 1 << 18


class Renewal:
    """Renews the credential in `directory` at `url`; `now` is the time."""

    def __init__(self, directory: str, url: str, now: datetime.datetime) -> None:
        self.directory = directory
        self.url = url
        self.now = now

    def look(self, early: bool) -> str:
        """Renew the credential if it is due, or `early`; else learn whom to trust. Gives what was done, in a line.

        Raises Failure; it is noted for `--status`.
        """
        with held(self.directory):
            complete(self.directory)
            try:
                done = self._look(early)
            except Failure as failure:
                self._note(failure.message)
                raise
            self._note("")
            return done

    def exchange(self, given: str) -> None:
        """Take a new credential for the one in directory `given`; the site does that once. Raises Failure."""
        with held(self.directory):
            complete(self.directory)
            present, key = (read(os.path.join(given, name)) or b"" for name in (CERTIFICATE, KEY))
            self._renew(present, key)
            self._note("")

    def authorities(self) -> bytes:
        """The authorities of the site as it tells them; raises Failure if it cannot be asked."""
        return self._ask(None)

    def _look(self, early: bool) -> str:
        try:
            present = read(self._path(CERTIFICATE)) or b""
            end = certificate.validity(present)[1]
            due = certificate.renewal(present)
        except ValueError as error:
            raise Failure(1, "%s: %s" % (self._path(CERTIFICATE), error), "launch a fresh bundle") from error
        if end <= self.now:
            raise Failure(
                EXPIRED, "the credential has expired", "launch a fresh bundle: skupper gateway generate-bundle"
            )
        # Whoever trusts the site's new authorities has renewed; so the site knows when it can do without the old.
        if not (early or due <= self.now or self.authorities() != read(self._path(TRUST))):
            return "the credential is renewed from %s on" % due.strftime("%Y-%m-%d %H:%M UTC")
        made = self._renew(present, read(self._path(KEY)) or b"")
        return "renewed until %s" % certificate.validity(made)[1].strftime("%Y-%m-%d %H:%M UTC")

    def _renew(self, present: bytes, present_key: bytes) -> bytes:
        """Get the certificate that follows `present`, and put it in place; raises Failure."""
        key, request = _request(present, present_key)
        made, authorities = _answer(self._ask(request))
        self._take(made, key)
        self._learn(authorities)
        return made

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _take(self, made: bytes, key: bytes) -> None:
        """Put both files in place, after they were tried; raises Failure."""
        write(self._path(KEY + _NEXT), key, 0o600)
        write(self._path(CERTIFICATE + _NEXT), made, 0o600)
        try:
            paths = (self._path(name) for name in (CERTIFICATE + _NEXT, KEY + _NEXT, OWN_AUTHORITY))
            certificate.check(*paths)
            if certificate.validity(made)[1] <= self.now:
                raise ValueError("it has ended")
        except (OSError, ValueError) as error:
            complete(self.directory)
            raise Failure(1, "the site's answer is a certificate that does not fit: %s" % error) from error
        os.rename(self._path(KEY + _NEXT), self._path(KEY))
        os.rename(self._path(CERTIFICATE + _NEXT), self._path(CERTIFICATE))

    def _learn(self, authorities: bytes) -> None:
        """Trust these authorities from now on; raises Failure if they are none."""
        if authorities == read(self._path(TRUST)):
            return
        try:
            context = ssl.create_default_context(cadata=authorities.decode("ascii"))
            if not context.get_ca_certs():
                raise ValueError("there is none")
        except (OSError, ValueError) as error:
            raise Failure(1, "the site's answer has no authorities: %s" % error) from error
        write(self._path(TRUST), authorities, 0o600)

    def _ask(self, body: Optional[bytes]) -> bytes:
        """What the site answers to a request, or without one to the question for its authorities; raises Failure."""
        try:
            parts = urlsplit(self.url)
            host, port = str(parts.hostname), parts.port or 443
        except ValueError as error:
            raise Failure(DAMAGED, "%s is no place to renew a credential at" % self.url) from error
        where = "%s:%d" % (host, port)
        try:
            context = ssl.create_default_context(cafile=self._path(TRUST))
            connection = http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=context)
            with contextlib.closing(connection):
                connection.request("GET" if body is None else "POST", parts.path, body)
                response = connection.getresponse()
                answer = response.read(_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error)
            raise Failure(
                NO_LINK, "%s, where credentials are renewed, cannot be reached: %s" % (where, reason),
                "is it open to this host?",
            ) from error  # fmt: skip
        if response.status != 200:
            lines = answer.decode("utf-8", "replace").strip().splitlines() or ["HTTP status %d" % response.status]
            reason = "".join(letter for letter in lines[0] if letter.isprintable())[:200]
            hint = "launch a fresh bundle: skupper gateway generate-bundle"
            raise Failure(1, "the site at %s does not renew the credential: %s" % (where, reason), hint)
        return answer

    def _note(self, problem: str) -> None:
        content = {"time": self.now.strftime("%Y-%m-%dT%H:%M:%SZ"), "problem": problem}
        with contextlib.suppress(OSError):
            write(self._path(LAST), (json.dumps(content) + "\n").encode(), 0o600)


def present_certificate(directory: str) -> str:
    """The file with the certificate that goes with the key, also where a renewal was cut short between the two."""
    made, key = (os.path.join(directory, name + _NEXT) for name in (CERTIFICATE, KEY))
    return made if os.path.exists(made) and not os.path.exists(key) else os.path.join(directory, CERTIFICATE)


def complete(directory: str) -> None:
    """End a renewal that was cut short: while the key is not exchanged it has not begun."""
    made, key = (os.path.join(directory, name + _NEXT) for name in (CERTIFICATE, KEY))
    if os.path.exists(key):
        for path in (made, key):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    elif os.path.exists(made):
        os.rename(made, os.path.join(directory, CERTIFICATE))


def last_problem(directory: str) -> str:
    """Why the last renewal of the credential in a directory failed; empty if it did not, or there was none."""
    with contextlib.suppress(ValueError, AttributeError):
        return str(json.loads((read(os.path.join(directory, LAST)) or b"{}").decode()).get("problem", ""))
    return ""


def unable() -> str:
    """Why this Python cannot make keys; empty if it can."""
    if ssl.OPENSSL_VERSION_INFO < (1, 1, 1):  # the site speaks nothing older there
        return "%s has no TLS 1.3" % ssl.OPENSSL_VERSION
    try:
        _crypto()
    except Failure as failure:
        return failure.message
    return ""


def _crypto() -> Any:
    try:
        from .libcrypto import Crypto, CryptoError  # some Pythons have no ctypes
    except ImportError as error:
        raise Failure(MISSING, "this Python cannot make keys: %s" % error) from error
    try:
        return Crypto()
    except CryptoError as error:
        raise Failure(MISSING, "this Python cannot make keys: %s" % error) from error


def _request(present: bytes, present_key: bytes) -> Tuple[bytes, bytes]:
    """A new key, and the request for its certificate as the site reads it: who asks, for what, and the proof."""
    crypto = _crypto()
    try:
        key, request = crypto.request()
        proof = crypto.signature(present_key, _CONTEXT + request)
    except Exception as error:
        raise Failure(1, "no request could be made: %s" % error) from error
    content = {
        "certificate": present.decode("ascii"),
        "request": request.decode("ascii"),
        "proof": base64.b64encode(proof).decode("ascii"),
    }
    return key, json.dumps(content).encode()


def _answer(body: bytes) -> Tuple[bytes, bytes]:
    """Certificate and authorities of an answer; raises Failure."""
    try:
        found: Dict[str, Any] = json.loads(body.decode())
        return str(found["certificate"]).encode("ascii"), str(found["authorities"]).encode("ascii")
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(1, "the site's answer cannot be read") from error
