"""What a certificate says of its time, when it is due to be renewed, and whether it would be let in."""

import datetime
import hashlib
import os
import ssl
from typing import Tuple

SHARE = 2 / 3
"""Share of its life after which a certificate is renewed."""
JITTER = 0.04
"""Width of the span, around that share, over which the renewals of many gateways are spread."""


def validity(pem: bytes) -> Tuple[datetime.datetime, datetime.datetime]:
    """From when until when a certificate (of several, the first) is valid; raises ValueError if it is none."""
    der = _der(pem)
    try:
        at = _inside(der, _inside(der, 0))  # Certificate, then what of it is signed
        if der[at] == 0xA0:  # the version
            at = _after(der, at)
        for _ in ("serial number", "algorithm", "issuer"):
            at = _after(der, at)
        first = _inside(der, at)
        return _time(der, first), _time(der, _after(der, first))
    except IndexError as error:
        raise ValueError("the certificate is cut short") from error


def renewal(pem: bytes) -> datetime.datetime:
    """When it is to be renewed: after two thirds of its life, each certificate at a slightly other share."""
    begin, end = validity(pem)
    spread = int.from_bytes(hashlib.sha256(_der(pem)).digest()[:4], "big") / 2**32 - 0.5
    return begin + (end - begin) * (SHARE + JITTER * spread)


def check(certificate: str, key: str, authority: str) -> None:
    """Let who trusts the file `authority` take the certificate as a client's, as the site's router will.

    Both ends of a handshake, in memory; raises ssl.SSLError or OSError if the certificate would not be let in.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(authority)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE  # here only the client is looked at
    for context in (server, client):
        context.load_cert_chain(certificate, key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(10):  # flights of a handshake; it has two or three
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)
        if not ends:
            return
    raise ssl.SSLError(1, "the handshake does not end")


def _der(pem: bytes) -> bytes:
    text = pem.decode("ascii", "replace")
    mark = "-----END CERTIFICATE-----"
    begin, end = text.find("-----BEGIN CERTIFICATE-----"), text.find(mark)
    if begin < 0 or end < begin:
        raise ValueError("there is no certificate")
    return ssl.PEM_cert_to_DER_cert(text[begin : end + len(mark)])


def _span(der: bytes, at: int) -> Tuple[int, int]:
    """Where the content of the element at `at` begins and ends."""
    length, at = der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(der[at : at + count], "big"), at + count
    return at, at + length


def _inside(der: bytes, at: int) -> int:
    return _span(der, at)[0]


def _after(der: bytes, at: int) -> int:
    return _span(der, at)[1]


def _time(der: bytes, at: int) -> datetime.datetime:
    begin, end = _span(der, at)
    form = "%y%m%d%H%M%SZ" if der[at] == 0x17 else "%Y%m%d%H%M%SZ"
    moment = datetime.datetime.strptime(der[begin:end].decode("ascii", "replace"), form)
    return moment.replace(tzinfo=datetime.timezone.utc)


def until(path: str) -> datetime.datetime:
    """Until when the certificate in a file is valid; raises ValueError or OSError."""
    with open(path, "rb") as file:
        return validity(file.read())[1]


def exists(directory: str) -> bool:
    """Whether a directory has a certificate and a key."""
    return all(os.path.isfile(os.path.join(directory, name)) for name in ("tls.crt", "tls.key"))
