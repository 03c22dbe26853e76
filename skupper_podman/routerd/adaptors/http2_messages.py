"""HTTP/2 header lists as AMQP messages and back: pure translation, no I/O.

What always holds: what goes to h2 is a valid header list, for h2 finds out too late that it is not; the
headers that HTTP/2 has no place for (`Connection` and the like) stop here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from skupper_podman.routerd.adaptors.http_bodies import Pairs
from skupper_podman.routerd.adaptors.http_heads import HttpHead, NotHttpError, named_in_connection, text

Octets = list[tuple[bytes, bytes]]

#: Octets of a header list as HTTP/2 counts them.
MAX_HEADERS: Final = 32768
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_BAD_VALUE: Final = re.compile(r"[\x00\r\n]")
_REQUEST_START: Final = frozenset((":method", ":path", ":scheme", ":authority"))


def head_of(headers: Iterable[tuple[bytes, bytes]], subject: str) -> HttpHead:
    """A header list from the wire; `subject` names the pseudo header that becomes the message's subject."""
    start: Pairs = []
    rest: Pairs = []
    for name, value in headers:
        pair = (text(name), text(value))
        (start if name[:1] == b":" else rest).append(pair)
    found = dict(start).get(subject)
    if not found:
        raise NotHttpError(f"{subject} is missing")
    return HttpHead(found, start, rest)


def trailers_of(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """Trailers from the wire."""
    return [(text(name), text(value)) for name, value in headers]


def request_headers(head: HttpHead, *, scheme: str, authority: str, host_override: str | None) -> Octets:
    """A message as a request to a server; raises `NotHttpError`."""
    start = {name: value for name, value in head.start if name in _REQUEST_START}
    if ":method" not in start or not start.get(":path"):
        raise NotHttpError("an HTTP/1 request came to an HTTP/2 connector")
    if start[":method"] == "CONNECT":
        raise NotHttpError("CONNECT is not served")
    headers = head.headers
    named = start.get(":authority") or head.header("host") or authority
    if host_override:
        named = host_override
        headers = [pair for pair in headers if pair[0].lower() != "host"]
    start |= {":scheme": scheme, ":authority": named}
    return _checked([*start.items()], pseudo=True) + _regular(headers)


def response_headers(head: HttpHead) -> Octets:
    """A message as a response to a client; raises `NotHttpError`."""
    status = head.subject
    if not (status.isascii() and status.isdigit() and len(status) == 3) or status < "200":
        raise NotHttpError("subject is not a final HTTP status")
    return [(b":status", status.encode()), *_regular(head.headers)]


def trailer_headers(footer: Sequence[tuple[Any, Any]]) -> Octets:
    """A footer as trailers; raises `NotHttpError`."""
    if not all(isinstance(name, str) and isinstance(value, str) for name, value in footer):
        raise NotHttpError("trailer is not text")
    return _regular([(str(name), str(value)) for name, value in footer])


def _regular(pairs: Pairs) -> Octets:
    dropped = named_in_connection(pairs) | {"transfer-encoding"}
    kept = [(name.lower(), value) for name, value in pairs if name.lower() not in dropped]
    return _checked([(name, value) for name, value in kept if name != "te" or value.strip() == "trailers"])


def _checked(pairs: Pairs, *, pseudo: bool = False) -> Octets:
    for name, value in pairs:
        if not _NAME.fullmatch(name[1:] if pseudo else name) or _BAD_VALUE.search(value):
            raise NotHttpError("header is malformed")
    return [(name.encode(), value.strip(" \t").encode()) for name, value in pairs]
