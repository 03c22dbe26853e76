"""HTTP to the Podman service through podman-py's client: time limits, and one wording for every failure.

What always holds: each request has a deadline for the whole exchange, not only for a silent socket; no connection is
kept between requests (a service started by its socket unit goes away after five idle seconds, and a kept connection
would then fail); whatever podman-py, requests or urllib3 raise becomes one of our errors.
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from skupper_podman.errors import ConflictError, EndpointError, InvalidError, NotFoundError, PlatformError
from skupper_podman.platform.podman.endpoint import SOCKET_HINT, SYSTEM_SOCKET_HINT

API_VERSION = "4.0.0"
"""Path prefix of every call; Podman 4 and 5 both serve it."""

_CHUNK = 65536
_BODY_LIMIT = 256 * 1024 * 1024

Params = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response of the service, read to its end."""

    status: int
    content: bytes

    def json(self) -> Any:
        """The decoded body.

        Raises:
            InvalidError: it is not JSON, so what answers is not Podman.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise InvalidError("the Podman endpoint answered with something else than JSON") from error


class TimedOutError(EndpointError):
    """The service took the request, or did not even do that, and no complete answer came in time."""


class Transport:
    """Requests to one Podman service. Safe to use from several threads."""

    def __init__(self, url: str, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare for ``url`` (unix://, http:// or https://); ``timeout`` in seconds is the default limit of a request.

        Nothing is sent yet.
        """
        from podman.api.client import APIClient

        self.url = url
        self.timeout = timeout
        self._clock = clock
        self._tls = url.startswith("https://")
        # podman-py knows no https scheme; the request itself is made to https by its keyword ``verify``.
        base = url.replace("https://", "http://", 1) if self._tls else url
        self._client = APIClient(base_url=base, version=API_VERSION, timeout=timeout)
        self._client.headers["Connection"] = "close"

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        timeout: float | None = None,
        what: str = "",
    ) -> Reply:
        """Do one request and read the whole answer; ``what`` names the work in messages.

        ``body`` is sent as it is when bytes, else as JSON.

        Raises:
            EndpointError: there was no answer (in time).
            NotFoundError: status 404. ConflictError: status 409. PlatformError: any other status from 400 on.
        """
        parts = []
        status = 0
        total = 0
        for answered, chunk in self._exchange(method, path, params, body, timeout or self.timeout, what):
            status = answered
            parts.append(chunk)
            total += len(chunk)
            if total > _BODY_LIMIT:
                raise PlatformError(f"{what or path}: the answer of Podman is too large")
        return Reply(status, b"".join(parts))

    def lines(
        self, method: str, path: str, *, params: Params | None = None, timeout: float, what: str, headers: Any = None
    ) -> Iterator[dict[str, Any]]:
        """Do one request and yield each JSON object of its answer as it arrives. Raises as :meth:`request`."""
        rest = b""
        for _, chunk in self._exchange(method, path, params, None, timeout, what, headers):
            *complete, rest = (rest + chunk).split(b"\n")
            yield from _objects(complete)
        yield from _objects([rest])

    def _exchange(
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Any,
        timeout: float,
        what: str,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[tuple[int, bytes]]:
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        deadline = self._clock() + timeout
        send = dict(headers or {})
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body)
            send.setdefault("Content-Type", "application/json")
        call = getattr(self._client, method.lower())
        options = {"data": data} if method in ("POST", "PUT") else {}
        try:
            response = call(
                path,
                params=dict(params or {}),
                headers=send,
                timeout=timeout,
                stream=True,
                verify=True if self._tls else None,
                **options,
            )
            try:
                if response.status_code >= 400:
                    raise _refusal(response.status_code, response.content, what or path)
                yield response.status_code, b""
                for chunk in _arriving(response):
                    if self._clock() > deadline:
                        raise _silent(self.url, timeout, what)
                    yield response.status_code, chunk
            finally:
                response.close()
        except (RequestException, HTTPError, OSError) as error:
            raise self._no_answer(error, timeout, what) from error

    def _no_answer(self, error: BaseException, timeout: float, what: str) -> EndpointError:
        for cause in _chain(error):
            if isinstance(cause, TimeoutError) or type(cause).__name__ in (
                "ReadTimeout",
                "ConnectTimeout",
                "ReadTimeoutError",
            ):
                return _silent(self.url, timeout, what)
        return EndpointError(
            f"Podman endpoint is not available: {self.url} ({_reason(error)})", endpoint_hint(self.url)
        )


def _arriving(response: Any) -> Iterator[bytes]:
    """The body as it arrives: reading pieces of a fixed size would wait for a slow writer and miss the deadline."""
    if response.headers.get("Transfer-Encoding", "").lower() == "chunked":
        yield from response.iter_content(None)
        return
    while chunk := response.raw.read1(_CHUNK):
        yield chunk


def segment(name: str) -> str:
    """``name`` as one segment of a URL path (image names keep their slashes encoded)."""
    return quote(name, safe="")


def endpoint_hint(url: str) -> str:
    """The command that brings the service of ``url`` up."""
    if url.startswith("unix:///run/podman/"):
        return SYSTEM_SOCKET_HINT
    if url.startswith("unix:///run/user/"):
        return SOCKET_HINT
    return f"podman system service --time=0 {url}"


def _silent(url: str, timeout: float, what: str) -> TimedOutError:
    doing = f" ({what})" if what else ""
    return TimedOutError(
        f"Podman did not answer within {timeout:g} seconds at {url}{doing}",
        "see what it is doing: systemctl --user status podman.service; restart it: systemctl --user restart podman",
    )


def _refusal(status: int, content: bytes, what: str) -> PlatformError | ConflictError | NotFoundError:
    message = content.decode(errors="replace").strip()
    try:
        decoded = json.loads(content)
        message = str(decoded.get("message") or decoded.get("cause") or message)
    except (ValueError, AttributeError):
        pass
    text = f"{what}: {message or f'HTTP status {status}'}"
    if status == 404 or any(words in message for words in _MISSING):
        return NotFoundError(text)
    if status == 409 or any(words in message for words in _IN_THE_WAY):
        return ConflictError(text)
    hint = "free some space: podman system df; df -h" if "no space left" in message else ""
    return PlatformError(text, hint)


# Podman 4 answers 500 where 5 answers 404 or 409.
_MISSING = ("image not known", "network not found", "no such container", "no such volume", "no such network")
_IN_THE_WAY = ("already in use", "already exists", "already used", "being used", "container state improper")


def _objects(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.strip():
            try:
                decoded = json.loads(line)
            except ValueError:
                continue
            if isinstance(decoded, dict):
                yield decoded


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and everything it wraps: causes, contexts, and exceptions passed as arguments."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        current = pending.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending += [current.__cause__, current.__context__, getattr(current, "reason", None)]
        pending += [argument for argument in current.args if isinstance(argument, BaseException)]


_REASONS = {
    errno.ENOENT: "no such socket",
    errno.ECONNREFUSED: "nothing listens there",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOTSOCK: "not a socket",
    errno.ECONNRESET: "the connection was closed",
    errno.EPIPE: "the connection was closed",
}


def _reason(error: BaseException) -> str:
    causes = list(_chain(error))
    for cause in causes:
        number = getattr(cause, "errno", None)
        if isinstance(number, int) and number in _REASONS:
            return _REASONS[number]
    for cause in causes:
        if type(cause).__name__ in ("NameResolutionError", "gaierror"):
            return "its host name cannot be resolved"
        if type(cause).__name__ in ("RemoteDisconnected", "IncompleteRead", "BadStatusLine"):
            return "the connection was closed before an answer came"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return type(error).__name__
