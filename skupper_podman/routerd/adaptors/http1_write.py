"""Heads of HTTP/1 messages that say nothing unusual, as octets.

What always holds: what is written here is read back by the strict parser before it is used, and gives the same parts,
so that no name or value can ever stand for more than itself; it is octet for octet what h11 would have written. Any
other head gives None, and is h11's to write or to refuse.
"""

from __future__ import annotations

from typing import NamedTuple

from skupper_podman.routerd.adaptors.http1_parse import CHUNKED, UNTIL_CLOSE, Raw, plain_request, plain_response


class Written(NamedTuple):
    """A head as octets, the length of the body that is to follow (or `CHUNKED`), and the method of a request."""

    octets: bytes
    length: int
    method: bytes = b""


def written_request(method: bytes, target: bytes, fields: Raw) -> Written | None:
    """A request."""
    hosts = tuple([pair for pair in fields if pair[0].lower() == b"host"])
    if fields[:1] != hosts:
        fields = (*hosts, *(pair for pair in fields if pair not in hosts))
    octets = b"%s %s HTTP/1.1\r\n%s" % (method, target, _lines(fields))
    head = plain_request(octets)
    if head is None or (head.method, head.target, head.fields) != (method, target, fields):
        return None
    return Written(octets, head.length, method)


def written_response(status: int, reason: bytes, fields: Raw) -> Written | None:
    """A response to a client of HTTP/1.1, in chunks when no header gives its length."""
    octets = b"HTTP/1.1 %d %s\r\n%s" % (status, reason, _lines(fields))
    head = plain_response(octets)
    if head is None or (head.status, head.reason, head.fields) != (status, reason, fields):
        return None
    names = [name.lower() for name, _ in fields]
    if b"host" in names:
        return None  # which h11 moves
    if status in (204, 304):
        return Written(octets, 0)
    if head.length not in (CHUNKED, UNTIL_CLOSE):
        return Written(octets, head.length)
    others = [pair for name, pair in zip(names, fields, strict=True) if name != b"transfer-encoding"]
    return Written(b"HTTP/1.1 %d %s\r\n%s" % (status, reason, _lines((*others, _CHUNKED))), CHUNKED)


_CHUNKED = (b"Transfer-Encoding", b"chunked")


def _lines(fields: Raw) -> bytes:
    return b"".join([b"%s: %s\r\n" % pair for pair in fields]) + b"\r\n"
