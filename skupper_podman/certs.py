"""Certificates of a site in the form Skupper 1.9 reads and writes, so that either program can use the other's.

What always holds: keys are RSA 2048 in PKCS#1 PEM (1.9 loads nothing else); a host is always a dNSName of its
certificate, in the order given, and an iPAddress too when it is an address, because 1.9 finds a site's hosts only among
the dNSNames and skupper-router compares addresses only with those. Clock, serial number and key are arguments.

Format: ``pkg/certs/certs.go`` of Skupper 1.9.
"""

from __future__ import annotations

import datetime
import ipaddress
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from skupper_podman.errors import InvalidError

LIFETIME: Final = datetime.timedelta(days=5 * 365)
"""How long certificates of 1.9 are valid, authorities and leaves alike; ours are so where nobody can renew them."""

LEAF_LIFETIME: Final = datetime.timedelta(days=120)
"""How long certificates are valid that the site renews by itself: a third of it outlasts a host that sleeps a month."""

SERVICE_LIFETIME: Final = datetime.timedelta(days=365)
"""How long certificates of TLS services are valid: servers of users read them too, many of them only at their start."""

GATEWAY_AUTHORITY_LIFETIME: Final = datetime.timedelta(days=25 * 365)
"""How long the authority of a gateway is valid, which signs for that gateway alone and is taken out to revoke it."""

BACKDATE: Final = datetime.timedelta(minutes=5)
"""How far before its issue a certificate is valid already, so that a peer whose clock is late accepts it."""

_COMMENT: Final = x509.ObjectIdentifier("2.16.840.1.113730.1.13")
"""Netscape's comment, which every tool shows and none obeys."""
_ONCE: Final = "to be exchanged once, number "
"""How the comment begins of a certificate that its holder exchanges for another; the number follows."""
_IA5: Final = 0x16

KEY_BITS: Final = 2048


class CertificateError(InvalidError):
    """A certificate or key cannot be read, or does not fit the other."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM; the key is secret and never shown."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What is asked about a certificate. ``dns_names`` are in certificate order, empty ones left out.

    ``once`` is the number of one that its holder exchanges once for another, None for all others.
    """

    subject: str
    issuer: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime
    is_authority: bool
    fingerprint: str
    once: int | None = None

    def valid_at(self, now: datetime.datetime) -> bool:
        """True if ``now`` (aware) is within the validity of the certificate."""
        return self.not_before <= now <= self.not_after


def new_key() -> bytes:
    """A new RSA key as PKCS#1 PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


class KeyPool:
    """Keys made in background threads, because making one takes a tenth of a second and a site needs seven.

    Nothing is made before :meth:`start`. :meth:`take` makes a key itself when the pool has none left.
    """

    def __init__(self, count: int, make: Callable[[], bytes] = new_key) -> None:
        self._count = count
        self._make = make
        self._pending: list[Future[bytes]] = []
        self._started = False

    def start(self) -> None:
        """Begin to make the keys; a second call does nothing."""
        if self._started or not self._count:
            return
        self._started = True
        executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="keys")
        self._pending = [executor.submit(self._make) for _ in range(self._count)]
        executor.shutdown(wait=False)

    def take(self) -> bytes:
        """A key nobody else has; waits for one that is being made."""
        return self._pending.pop(0).result() if self._pending else self._make()


def issue_authority(
    name: str,
    key: bytes,
    now: datetime.datetime,
    serial: int | None = None,
    lifetime: datetime.timedelta = LIFETIME,
) -> KeyPair:
    """A self-signed authority whose subject is ``name``. ``key`` is PEM, ``now`` aware."""
    private = load_key(key)
    subject = _subject(name)
    builder = _builder(subject, subject, private.public_key(), now, serial, now + lifetime)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
    return KeyPair(_pem(builder.sign(private, hashes.SHA256())), key)


def issue(
    authority: KeyPair,
    common_name: str,
    hosts: Iterable[str],
    key: bytes,
    now: datetime.datetime,
    serial: int | None = None,
    lifetime: datetime.timedelta = LIFETIME,
    *,
    client_only: bool = False,
    once: int | None = None,
) -> KeyPair:
    """A certificate for both ends of TLS, signed by ``authority``, with ``hosts`` as alternative names in this order.

    It does not outlive the authority. With ``client_only`` nobody who checks takes it for a server's; ``once`` numbers
    one that is to be exchanged (:attr:`CertificateFacts.once`).

    Raises:
        CertificateError: the authority's certificate or key cannot be read.
    """
    public = load_key(key).public_key()
    made = issue_to(public, authority, common_name, hosts, now, serial, lifetime, client_only=client_only, once=once)
    return KeyPair(made, key)


def issue_to(
    public: rsa.RSAPublicKey,
    authority: KeyPair,
    common_name: str,
    hosts: Iterable[str],
    now: datetime.datetime,
    serial: int | None = None,
    lifetime: datetime.timedelta = LIFETIME,
    *,
    client_only: bool = False,
    once: int | None = None,
) -> bytes:
    """As :func:`issue`, for a key whose private half is elsewhere. Raises as :func:`issue`."""
    parent, parent_key = _load(authority.certificate), load_key(authority.key)
    until = min(now + lifetime, parent.not_valid_after_utc)
    usages = (ExtendedKeyUsageOID.CLIENT_AUTH,) if client_only else _BOTH_ENDS
    builder = _builder(_subject(common_name), parent.subject, public, now, serial, until, usages)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority=False), critical=True)
    builder = builder.add_extension(_authority_key_identifier(parent, parent_key), critical=False)
    names = alternative_names(hosts)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if once is not None:
        text = f"{_ONCE}{once}".encode()
        comment = x509.UnrecognizedExtension(_COMMENT, bytes((_IA5, len(text))) + text)
        builder = builder.add_extension(comment, critical=False)
    return _pem(builder.sign(parent_key, hashes.SHA256()))


def cross_certificate(authority: KeyPair, successor: bytes, now: datetime.datetime, serial: int | None = None) -> bytes:
    """The certificate of authority ``successor`` as ``authority`` signs it.

    Shown after a certificate of the successor, it leads whoever trusts only ``authority`` to trust that one as well.

    Raises:
        CertificateError: one of them cannot be read.
    """
    parent, parent_key, child = _load(authority.certificate), load_key(authority.key), _load(successor)
    public = child.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        raise CertificateError("not an RSA certificate")
    until = min(parent.not_valid_after_utc, child.not_valid_after_utc)
    builder = _builder(child.subject, parent.subject, public, now, serial, until)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    builder = builder.add_extension(_authority_key_identifier(parent, parent_key), critical=False)
    return _pem(builder.sign(parent_key, hashes.SHA256()))


def alternative_names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    """Every host as dNSName, those that are addresses as iPAddress after them; the order is kept."""
    names: list[x509.GeneralName] = []
    addresses: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.DNSName(host))
        except ValueError as error:
            raise CertificateError(f"{host!r} cannot be put into a certificate: {error}") from None
        try:
            addresses.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            continue
    return names + addresses


def facts(certificate: bytes) -> CertificateFacts:
    """What a PEM certificate says (of a chain, its first).

    Raises:
        CertificateError: it cannot be read.
    """
    loaded = _load(certificate)
    dns, addresses = _names(loaded)
    return CertificateFacts(
        _common_name(loaded.subject),
        _common_name(loaded.issuer),
        dns,
        addresses,
        loaded.not_valid_before_utc,
        loaded.not_valid_after_utc,
        _is_authority(loaded),
        loaded.fingerprint(hashes.SHA256()).hex(":"),
        _once(loaded),
    )


def _once(certificate: x509.Certificate) -> int | None:
    try:
        value = certificate.extensions.get_extension_for_oid(_COMMENT).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None
    text = value.value[2:].decode("ascii", "replace") if isinstance(value, x509.UnrecognizedExtension) else ""
    number = text.removeprefix(_ONCE)
    return int(number) if number != text and number.isascii() and number.isdigit() else None


def belongs(pair: KeyPair) -> bool:
    """True if both halves can be read and the certificate is for the key."""
    try:
        return _load(pair.certificate).public_key() == load_key(pair.key).public_key()
    except CertificateError:
        return False


def signed_by(certificate: bytes, authorities: bytes) -> bool:
    """True if one of ``authorities`` issued ``certificate`` (PEM; of a chain, its first)."""
    return bool(issuer_of(certificate, authorities))


def issuer_of(certificate: bytes, authorities: bytes) -> bytes:
    """The one of ``authorities`` (PEM, one after the other) that issued ``certificate``; empty if none did."""
    return next((one for one in each(authorities) if _issued(certificate, one)), b"")


def _issued(certificate: bytes, authority: bytes) -> bool:
    try:
        _load(certificate).verify_directly_issued_by(_load(authority))
    except (CertificateError, InvalidSignature, ValueError, TypeError):
        return False
    return True


def each(bundle: bytes) -> tuple[bytes, ...]:
    """The certificates of a PEM file, one by one; none if it cannot be read."""
    try:
        return tuple(_pem(item) for item in x509.load_pem_x509_certificates(bundle))
    except ValueError:
        return ()


def _load(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise CertificateError(f"not a PEM certificate: {error}") from None


def load_key(key: bytes) -> rsa.RSAPrivateKey:
    """The private key of a PEM file.

    Raises:
        CertificateError: there is none, or of another kind.
    """
    try:
        # Proving the primes of a key takes longer than making a certificate, and protects only who trusts a stranger's
        # key; ours are from our own volumes, and a wrong one in a token harms nobody but its holder.
        loaded = serialization.load_pem_private_key(key, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"not a PEM private key: {error}") from None
    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise CertificateError("not an RSA private key")
    return loaded


_BOTH_ENDS: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: rsa.RSAPublicKey,
    now: datetime.datetime,
    serial: int | None,
    until: datetime.datetime,
    usages: Iterable[x509.ObjectIdentifier] = _BOTH_ENDS,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(secrets.randbits(127) + 1 if serial is None else serial)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(until)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )


def _authority_key_identifier(parent: x509.Certificate, parent_key: rsa.RSAPrivateKey) -> x509.AuthorityKeyIdentifier:
    try:
        identifier = parent.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(parent_key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=authority,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    # The upper bound of a common name is 64 characters; alternative names carry the whole host anyway.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _common_name(name: x509.Name) -> str:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if values else ""


def _names(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    dns = tuple(name for name in names.get_values_for_type(x509.DNSName) if name)
    return dns, tuple(str(address) for address in names.get_values_for_type(x509.IPAddress))


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
