"""Takes secrets out of text and JSON that leave the host.

Two nets, one behind the other: the secrets that are known (the contents of key and password files, also encoded), and
everything that looks like one (private keys in PEM, values of keys called password or token, passwords in URLs and
hashes of them). What always holds: what is taken out leaves a mark; certificates, which are public, stay.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any, Final

MARK: Final = "***redacted***"
_SHORTEST: Final = 6
"""A known secret shorter than this is only taken out where its name shows what it is."""
_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
_NAMED: Final = re.compile(
    rb"""(?ix) (["']? [a-z0-9_.-]* (?: password | passwd | passphrase | secret | token | apikey | api_key | credential )
    [a-z0-9_-]* ["']? \s* [:=] \s*) (" (?:[^"\\]|\\.)* " | ' [^']* ' | [^\s,;&}\]"']+)"""
)
_IN_URL: Final = re.compile(rb"(?i)([a-z][a-z0-9+.-]*://[^\s:/@]+:)[^\s/@]+@")
_HASH: Final = re.compile(rb"\$(?:2[aby]|5|6|apr1|y)\$[./A-Za-z0-9$]{20,}")
_KEY_NAMES: Final = re.compile(r"(?i)password|passwd|passphrase|secret$|token$|tls\.key|privatekey$|apikey|credential$")
_PUBLIC_NAMES: Final = frozenset({"tlscredentials"})


class Redactor:
    """Knows the ``secrets`` of a site."""

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        forms: set[bytes] = set()
        for secret in secrets:
            forms |= _forms(secret)
        # Longest first: a part of a secret must not hide the rest of it.
        self._known = sorted(forms, key=len, reverse=True)

    def octets(self, content: bytes) -> bytes:
        """``content`` without secrets."""
        mark = MARK.encode()
        content = _PRIVATE_KEY.sub(mark, content)
        for secret in self._known:
            content = content.replace(secret, mark)
        content = _IN_URL.sub(rb"\1" + mark + b"@", content)
        content = _HASH.sub(mark, content)
        return _NAMED.sub(_quoted, content)

    def value(self, value: Any) -> Any:
        """A JSON value without secrets; an attribute whose name says that it is one loses its value."""
        if isinstance(value, dict):
            return {key: MARK if _is_secret_name(str(key), item) else self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, str):
            return self.octets(value.encode(errors="surrogateescape")).decode(errors="replace")
        return value

    def document(self, value: Any) -> bytes:
        """A JSON value as text, without secrets."""
        return (json.dumps(self.value(value), indent=2, default=str, ensure_ascii=False) + "\n").encode()


def _quoted(match: re.Match[bytes]) -> bytes:
    value = match[2]
    if value.lower() in (b"null", b"none", b"true", b"false", b'""', b"''") or MARK.encode() in value:
        return match[0]
    quote = value[:1] if value[:1] in (b'"', b"'") else b""
    return match[1] + quote + MARK.encode() + quote


def _is_secret_name(name: str, value: Any) -> bool:
    if name.lower() in _PUBLIC_NAMES or isinstance(value, dict | list | bool | int) or value in (None, ""):
        return False
    return bool(_KEY_NAMES.search(name))


def _forms(secret: bytes) -> set[bytes]:
    """A secret as it may appear: as it is, without the line end, by lines, in base64, and escaped in JSON."""
    plain = secret.strip()
    if len(plain) < _SHORTEST:
        return set()
    forms = {plain, base64.b64encode(secret), base64.b64encode(plain), base64.urlsafe_b64encode(plain)}
    forms.add(json.dumps(plain.decode(errors="replace"))[1:-1].encode())
    forms |= {line for line in plain.splitlines() if len(line) >= 16 and not line.startswith(b"-----")}
    return forms
