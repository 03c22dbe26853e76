"""Nothing secret passes, and what is no secret stays."""

from __future__ import annotations

import base64
import datetime
import json

from hypothesis import given
from hypothesis import strategies as st

from skupper_podman import certs
from skupper_podman.redact import MARK, Redactor

SECRETS = st.binary(min_size=8, max_size=80).filter(lambda octets: len(octets.strip()) >= 8)


@given(SECRETS, st.binary(max_size=50), st.binary(max_size=50))
def test_a_known_secret_never_passes(secret: bytes, before: bytes, after: bytes) -> None:
    redactor = Redactor([secret])
    for form in (secret, base64.b64encode(secret), base64.b64encode(secret.strip())):
        out = redactor.octets(before + form + after)
        assert secret.strip() not in out.replace(MARK.encode(), b"") or secret.strip() in before + after


def test_private_keys_are_taken_out_certificates_stay() -> None:
    key = certs.new_key()
    shown = certs.issue_authority("ca", key, datetime.datetime.now(datetime.UTC)).certificate
    text = b"log line\n" + key + b"next\n" + shown
    out = Redactor().octets(text)
    assert b"PRIVATE" not in out
    assert shown in out
    assert b"log line" in out
    assert b"PRIVATE" not in Redactor().octets(key[:300])  # cut off
    # A single line of a key that is known is a secret, too.
    line = key.splitlines()[3]
    assert line not in Redactor([key]).octets(b"dump: " + line)
    assert line.decode() not in json.dumps(Redactor([key]).value({"file": key.decode()}))


def test_what_looks_like_a_secret() -> None:
    redactor = Redactor()
    for text, secret in (
        (b'{"password": "hunter2 \\"x\\""}', b"hunter2"),
        (b"SKUPPER_CONSOLE_PASSWORD=hunter2", b"hunter2"),
        (b"password: hunter2\n", b"hunter2"),
        (b"--metrics-token=hunter2 --x", b"hunter2"),
        (b"https://user:hunter2@example.com/", b"hunter2"),
        (b"#  admin: $2a$14$abcdefghijklmnopqrstuvwxyz0123456789", b"abcdefghijkl"),
    ):
        out = redactor.octets(text)
        assert secret not in out, out
        assert MARK.encode() in out


def test_what_is_no_secret_stays() -> None:
    redactor = Redactor([b"x", b""])
    for text in (
        b'["connector", {"name": "link1", "sslProfile": "link1-profile", "privateKeyFile": "/etc/x/tls.key"}]',
        b"2026-11-26 05:12:31 SERVER (info) Connection to 10.0.0.1:55671 failed: refused",
        b"amqps://skupper-router-local:5671",
        b'{"password": null}',
    ):
        assert redactor.octets(text) == text
    value = {"tlsCredentials": "skupper-tls-a", "secret": {"a": 1}, "tokens": ["t"], "password": "p", "token": "t"}
    assert redactor.value(value) == {**value, "password": MARK, "token": MARK}
