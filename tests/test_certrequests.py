"""Requests for the renewal of a certificate: only its holder can make one, and only the new key's maker gains by it."""

from __future__ import annotations

import base64
import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from skupper_podman import certs
from skupper_podman.certrequests import dump_answer, dump_request, parse_answer, parse_request
from skupper_podman.errors import InvalidError

NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
KEYS = [certs.new_key() for _ in range(4)]
CA = certs.issue_authority("skupper-site-ca", KEYS[0], NOW)
PRESENT = certs.issue(CA, "peer-1", (), KEYS[1], NOW)


def changed(**parts: str) -> bytes:
    return json.dumps({**json.loads(dump_request(PRESENT, KEYS[2])), **parts}).encode()


def test_the_next_certificate_is_for_the_new_key() -> None:
    request = parse_request(dump_request(PRESENT, KEYS[2]))
    assert request.certificate == PRESENT.certificate
    assert b"PRIVATE" not in dump_request(PRESENT, KEYS[2])
    made = certs.issue_to(request.public, CA, "peer-1", (), NOW, lifetime=certs.LEAF_LIFETIME)
    assert certs.belongs(certs.KeyPair(made, KEYS[2]))
    assert certs.facts(made).not_after == NOW + certs.LEAF_LIFETIME
    assert parse_answer(dump_answer(made, CA.certificate)) == (made, CA.certificate)


def test_a_chain_asks_with_its_first() -> None:
    chained = certs.KeyPair(PRESENT.certificate + CA.certificate, PRESENT.key)
    assert parse_request(dump_request(chained, KEYS[2])).certificate == PRESENT.certificate


def test_who_does_not_hold_the_certificate_cannot_ask() -> None:
    thief = json.loads(dump_request(certs.KeyPair(PRESENT.certificate, KEYS[3]), KEYS[2]))
    with pytest.raises(InvalidError, match="holder"):
        parse_request(json.dumps(thief).encode())


def test_a_request_of_another_cannot_be_put_under_the_proof() -> None:
    other = json.loads(dump_request(PRESENT, KEYS[3]))
    with pytest.raises(InvalidError, match="holder"):
        parse_request(changed(request=other["request"]))


def test_a_request_must_be_signed_by_the_new_key() -> None:
    """Somebody who has a certificate cannot get one for the public key of another."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    from skupper_podman.certrequests import _CONTEXT

    text = x509.load_pem_x509_csr(json.loads(dump_request(PRESENT, KEYS[2]))["request"].encode())
    octets = bytearray(text.public_bytes(serialization.Encoding.DER))
    octets[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(octets)).public_bytes(serialization.Encoding.PEM)
    proof = certs.load_key(KEYS[1]).sign(_CONTEXT + forged, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidError, match="new key"):
        parse_request(changed(request=forged.decode(), proof=base64.b64encode(proof).decode()))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b"\xff", b'{"certificate": 1, "request": 2, "proof": 3}', b"[" * 100_000,
     changed(certificate="x"), changed(request="x"), changed(proof="x"), changed(certificate=CA.key.decode())],
)  # fmt: skip
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidError):
        parse_request(body)


def test_other_kinds_of_keys_are_refused() -> None:
    from cryptography.hazmat.primitives import hashes

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    text = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    with pytest.raises(InvalidError, match="RSA"):
        parse_request(changed(request=text.public_bytes(serialization.Encoding.PEM).decode()))


@pytest.mark.parametrize("body", [b"", b"{}", b'{"certificate": "x", "authorities": "y"}', b"[" * 100_000])
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(InvalidError):
        parse_answer(body)
