"""Heads of HTTP/1 messages that say nothing unusual, read by two regular expressions.

Why: h11 takes a head apart line by line, with an object for each, and most heads are plain. What always holds: a head
that is accepted here is accepted by h11, with the same parts, the same framing of its body and a connection that stays
open; any other gives None, and is h11's to judge. So this is never less strict than h11 (`tests/routerd/adaptors/
test_http1_parse.py` holds it to that), and all that is dangerous (two lengths, a length beside a coding, bare line
ends, folded lines, spaces around names, controls in values) is never decided here.
"""

from __future__ import annotations

import re
from typing import Any, Final

#: Name and value of each header, as they stood on the wire.
Raw = tuple[tuple[bytes, bytes], ...]

#: In place of a body's length: it has chunked coding, or lasts until the connection ends.
CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

# Each octet can be matched in one way only, so nothing that can be repeated makes a search go back far. (Possessive
# repetitions would say so, but those of Python before 3.11.5 also match what they should not.)
_TOKEN: Final = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_FIELDS: Final = rb"(?:" + _TOKEN + rb":[ \t]*(?:[!-~\x80-\xff][\t -~\x80-\xff]*(?<![ \t]))?\r\n)*\r\n"
_REQUEST: Final = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/1\.1\r\n" + _FIELDS)
_REASON: Final = rb"([\t -~\x80-\xff]*)"
_RESPONSE: Final = re.compile(rb"HTTP/1\.1 ([2-9][0-9][0-9]) " + _REASON + rb"\r\n" + _FIELDS)
# The same lines again, now that they are known to be well-formed.
_FIELD: Final = re.compile(rb"\r\n([^:\r]+):[ \t]*([^\r]*)")
_SPECIAL: Final = re.compile(rb"\r\n(connection|content-length|expect|host|transfer-encoding|upgrade):", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_WHOLE_REASON: Final = re.compile(_REASON)


class RequestHead:
    """A request, without its body. `length` is that of the body, or `CHUNKED`."""

    __slots__ = ("fields", "length", "made", "method", "target", "version")

    def __init__(self, method: bytes, target: bytes, version: bytes, fields: Raw, length: int) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
        self.length = length
        #: What has been made of it, by whoever made it.
        self.made: Any = None


class ResponseHead:
    """A response, without its body. `length` is what its headers say: that of the body, `CHUNKED` or `UNTIL_CLOSE`."""

    __slots__ = ("fields", "length", "reason", "status", "version")

    def __init__(self, status: int, reason: bytes, version: bytes, fields: Raw, length: int) -> None:
        self.status = status
        self.reason = reason
        self.version = version
        self.fields = fields
        self.length = length


def plain_request(octets: bytes) -> RequestHead | None:
    """The request whose head these octets are, up to the empty line; None when h11 is to judge."""
    match = _REQUEST.fullmatch(octets)
    if match is None or match[1] == b"CONNECT":
        return None
    fields = tuple(_FIELD.findall(octets))
    special = _SPECIAL.findall(octets)
    if len(special) == 1 and special[0].lower() == b"host":
        length: int | None = 0
    elif [name.lower() for name in special].count(b"host") == 1:
        length = _framing(fields, 0)
    else:
        return None
    return None if length is None else RequestHead(match[1], match[2], b"1.1", fields, length)


def plain_response(octets: bytes) -> ResponseHead | None:
    """The response whose head these octets are, up to the empty line; None when h11 is to judge."""
    match = _RESPONSE.fullmatch(octets)
    if match is None:
        return None
    fields = tuple(_FIELD.findall(octets))
    length = _framing(fields, UNTIL_CLOSE)
    return None if length is None else ResponseHead(int(match[1]), match[2], b"1.1", fields, length)


def is_reason(octets: bytes) -> bool:
    """Whether these octets can stand in a status line."""
    return _WHOLE_REASON.fullmatch(octets) is not None


def _framing(fields: Raw, without: int) -> int | None:
    """The length that headers give, `without` when they give none; None when they say anything unusual."""
    found = None
    for name, value in fields:
        match name.lower():
            case b"content-length" if found is None and _LENGTH.fullmatch(value):
                found = int(value)
            case b"transfer-encoding" if found is None and value == b"chunked":
                found = CHUNKED
            case b"connection" if value.lower() == b"keep-alive":
                pass
            case b"connection" | b"content-length" | b"expect" | b"transfer-encoding" | b"upgrade":
                return None
    return without if found is None else found
