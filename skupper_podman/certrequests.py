"""A certificate is renewed by who has it: the request, the proof that goes with it, and what is made of both.

The holder makes a new key, asks for a certificate for it, and signs that request with the key of the certificate it
has. What always holds: no private key leaves its host; a request alone is of no use to anybody else, because what it
brings is a certificate for a key that only its maker has.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from skupper_podman import certs
from skupper_podman.errors import InvalidError

MAX_REQUEST: Final = 32 * 1024
"""Octets of a request; one has two kilobytes, and five with a chain."""

_CONTEXT: Final = b"skupper-podman certificate renewal 1\n"
"""What is signed begins with this, so that no signature made for anything else can be passed off as one."""
_MIN_BITS: Final = 2048
_MAX_BITS: Final = 8192


@dataclass(frozen=True, slots=True)
class RenewalRequest:
    """The certificate that its holder has (PEM), and the public key that the next one is for."""

    certificate: bytes
    public: rsa.RSAPublicKey


def dump_request(present: certs.KeyPair, key: bytes) -> bytes:
    """A request for a certificate like ``present`` for the private key ``key`` (PEM).

    Raises:
        CertificateError: one of them cannot be read.
    """
    private, holder = certs.load_key(key), certs.load_key(present.key)
    subject = x509.load_pem_x509_certificate(present.certificate).subject
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(private, hashes.SHA256())
    text = request.public_bytes(serialization.Encoding.PEM)
    proof = holder.sign(_CONTEXT + text, padding.PKCS1v15(), hashes.SHA256())
    document = {
        "certificate": certs.each(present.certificate)[0].decode(),
        "request": text.decode(),
        "proof": base64.b64encode(proof).decode(),
    }
    return json.dumps(document).encode()


def parse_request(body: bytes) -> RenewalRequest:
    """What :func:`dump_request` wrote, with both proofs checked: of the certificate's key, and of the new one.

    Raises:
        InvalidError: it is malformed, or a proof is wrong.
    """
    try:
        document = json.loads(body)
        certificate, text = str(document["certificate"]).encode(), str(document["request"]).encode()
        proof = base64.b64decode(str(document["proof"]), validate=True)
        holder = x509.load_pem_x509_certificate(certificate).public_key()
        request = x509.load_pem_x509_csr(text)
        public = request.public_key()
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError) as error:
        raise InvalidError("the request cannot be read") from error
    if not isinstance(holder, rsa.RSAPublicKey) or not isinstance(public, rsa.RSAPublicKey):
        raise InvalidError("keys must be RSA keys")
    if not _MIN_BITS <= public.key_size <= _MAX_BITS:
        raise InvalidError(f"a key must have {_MIN_BITS} to {_MAX_BITS} bits")
    try:
        holder.verify(proof, _CONTEXT + text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise InvalidError("the request is not signed by the holder of the certificate") from None
    if not request.is_signature_valid:
        raise InvalidError("the request is not signed by the new key")
    return RenewalRequest(certificate, public)


def dump_answer(certificate: bytes, authorities: bytes) -> bytes:
    """The answer: the new certificate (with its chain), and the authorities to trust from now on."""
    return json.dumps({"certificate": certificate.decode(), "authorities": authorities.decode()}).encode()


def parse_answer(body: bytes) -> tuple[bytes, bytes]:
    """Certificate and authorities of an answer.

    Raises:
        InvalidError: it is malformed.
    """
    try:
        document = json.loads(body)
        certificate, authorities = str(document["certificate"]).encode(), str(document["authorities"]).encode()
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidError("the answer cannot be read") from error
    if not certs.each(certificate) or not certs.each(authorities):
        raise InvalidError("the answer has no certificates")
    return certificate, authorities
