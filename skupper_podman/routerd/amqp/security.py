"""SASL and TLS of AMQP connections, done by proton; here is only what to ask of it.

What always holds: private keys are read by the TLS library from their files and never pass through
this process's own objects; certificates that were renewed on disk are used by the next connection
without a restart, and until the new ones are complete the old ones are; a file that cannot be read is an
error that names the profile, not a crash later.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from skupper_podman.routerd.amqp.wire import NULL, Pointer, cstring, ffi, lib, text


class TlsError(Exception):
    """A profile whose files cannot be used."""


class SslProfile:
    """The files of an `sslProfile` entity, as domains for proton and as paths for Python's ssl."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.name = str(attributes.get("name") or "")
        self.attributes = attributes
        self.ca = attributes.get("caCertFile")
        self.cert = attributes.get("certFile")
        self.key = attributes.get("privateKeyFile")
        self._password = attributes.get("password")
        self._domains: dict[tuple[object, ...], tuple[tuple[int, ...], Pointer]] = {}

    def server_domain(self, *, demand_certificate: bool, allow_plain: bool) -> Pointer:
        """For a listener; raises `TlsError`."""
        return self._domain(lib.PN_SSL_MODE_SERVER, demand_certificate, allow_plain)

    def client_domain(self, *, verify_host_name: bool) -> Pointer:
        """For a connector; raises `TlsError`."""
        return self._domain(lib.PN_SSL_MODE_CLIENT, verify_host_name, False)

    @property
    def password(self) -> str | None:
        """The password of the private key, read anew each time; raises `TlsError`."""
        try:
            return secret(self._password)
        except OSError as error:
            raise TlsError(f"sslProfile {self.name}: password: {error.strerror}") from None

    def stamps(self) -> tuple[int, ...]:
        """Modification times of the files, to notice a renewal; raises `TlsError` for one that is missing."""
        try:
            return tuple(Path(name).stat().st_mtime_ns for name in (self.ca, self.cert, self.key) if name)
        except OSError as error:
            raise TlsError(f"sslProfile {self.name}: {error.filename}: {error.strerror}") from None

    def _domain(self, mode: int, verify: bool, allow_plain: bool) -> Pointer:
        key = (mode, verify, allow_plain)
        stamps = self.stamps()
        known = self._domains.get(key)
        if known is not None and known[0] == stamps:
            return known[1]
        try:
            domain = self._make(mode, verify, allow_plain)
        except TlsError:
            if known is None:
                raise
            return known[1]  # in the middle of a renewal: the old ones serve until the new ones are complete
        if known is not None:
            lib.pn_ssl_domain_free(known[1])
        self._domains[key] = (stamps, domain)
        return domain

    def _make(self, mode: int, verify: bool, allow_plain: bool) -> Pointer:
        domain = lib.pn_ssl_domain(mode)
        steps: list[tuple[str, int]] = []
        if self.cert:
            args = (cstring(self.cert), cstring(self.key), cstring(self.password))
            steps.append(("certificate and key", lib.pn_ssl_domain_set_credentials(domain, *args)))
        if self.ca:
            steps.append(("CA certificates", lib.pn_ssl_domain_set_trusted_ca_db(domain, cstring(self.ca))))
        if self.attributes.get("ciphers"):
            steps.append(("ciphers", lib.pn_ssl_domain_set_ciphers(domain, cstring(self.attributes["ciphers"]))))
        if self.attributes.get("protocols"):
            steps.append(("protocols", lib.pn_ssl_domain_set_protocols(domain, cstring(self.attributes["protocols"]))))
        if mode == lib.PN_SSL_MODE_CLIENT:
            kind = lib.PN_SSL_VERIFY_PEER_NAME if verify else lib.PN_SSL_VERIFY_PEER
            kind = kind if self.ca else lib.PN_SSL_ANONYMOUS_PEER
        else:
            kind = lib.PN_SSL_VERIFY_PEER if verify else lib.PN_SSL_ANONYMOUS_PEER
        authorities = cstring(self.ca) if kind != lib.PN_SSL_ANONYMOUS_PEER else NULL
        steps.append(("verification", lib.pn_ssl_domain_set_peer_authentication(domain, kind, authorities)))
        if allow_plain:
            lib.pn_ssl_domain_allow_unsecured_client(domain)
        bad = [what for what, code in steps if code != 0]
        if bad:
            lib.pn_ssl_domain_free(domain)
            raise TlsError(f"sslProfile {self.name}: cannot use {', '.join(bad)}")
        return domain


def secret(text: str | None) -> str | None:
    """A password as skrouterd's attributes give it: `env:NAME`, `file:PATH` (first line), `pass:` or `literal:` TEXT.

    Text without such a beginning is the password. Raises OSError for a file that cannot be read.
    """
    kind, colon, rest = (text or "").partition(":")
    if not colon or kind not in ("env", "file", "pass", "literal"):
        return text
    if kind == "env":
        return os.environ.get(rest, "")
    if kind == "file":
        return (Path(rest).read_text(encoding="utf-8").splitlines() or [""])[0]
    return rest


def secure_server(transport: Pointer, attributes: dict[str, Any], profile: SslProfile | None) -> None:
    """Set a listener's side of SASL and TLS up; raises `TlsError`."""
    lib.pn_transport_set_server(transport)
    mechanisms = attributes.get("saslMechanisms")
    authenticate = bool(attributes.get("authenticatePeer"))
    encrypt = bool(attributes.get("requireEncryption"))
    external = "EXTERNAL" in (mechanisms or "").split()
    sasl = lib.pn_sasl(transport)
    default = "EXTERNAL" if authenticate else "ANONYMOUS"
    lib.pn_sasl_allowed_mechs(sasl, cstring(mechanisms or default))
    lib.pn_transport_require_auth(transport, authenticate)
    lib.pn_transport_require_encryption(transport, encrypt)
    if profile is not None:
        plain = not (attributes.get("requireSsl") or encrypt or authenticate)
        domain = profile.server_domain(demand_certificate=external or authenticate, allow_plain=plain)
        lib.pn_ssl_init(lib.pn_ssl(transport), domain, NULL)


def secure_client(transport: Pointer, attributes: dict[str, Any], profile: SslProfile | None) -> None:
    """Set a connector's side of SASL and TLS up; raises `TlsError`."""
    sasl = lib.pn_sasl(transport)
    default = "ANONYMOUS" if profile is None else "EXTERNAL ANONYMOUS"
    if attributes.get("saslUsername"):
        default += " PLAIN"
    lib.pn_sasl_allowed_mechs(sasl, cstring(attributes.get("saslMechanisms") or default))
    if profile is not None:
        domain = profile.client_domain(verify_host_name=attributes.get("verifyHostname") is not False)
        ssl = lib.pn_ssl(transport)
        lib.pn_ssl_init(ssl, domain, NULL)
        lib.pn_ssl_set_peer_hostname(ssl, cstring(attributes.get("host")))


def describe_security(transport: Pointer, uid_format: str | None) -> dict[str, Any]:
    """What management shows of a connection's security."""
    encrypted = bool(lib.pn_transport_is_encrypted(transport))
    sasl = text(lib.pn_sasl_get_mech(lib.pn_sasl(transport)))
    found: dict[str, Any] = {
        "sasl": sasl,
        "isAuthenticated": bool(lib.pn_transport_is_authenticated(transport)),
        "isEncrypted": encrypted,
        "ssl": encrypted,
        "sslProto": None,
        "sslCipher": None,
        "sslSsf": 0,
        "user": text(lib.pn_transport_get_user(transport)),
    }
    if encrypted:
        ssl = lib.pn_ssl(transport)
        buffer = ffi.new("char[]", 128)
        if lib.pn_ssl_get_protocol_name(ssl, buffer, 128):
            found["sslProto"] = text(buffer)
        if lib.pn_ssl_get_cipher_name(ssl, buffer, 128):
            found["sslCipher"] = text(buffer)
            found["sslSsf"] = 128 if "128" in (found["sslCipher"] or "") else 256
        if sasl == "EXTERNAL":
            found["user"] = _certificate_user(ssl, uid_format) or found["user"]
    return found


def _certificate_user(ssl: Pointer, uid_format: str | None) -> str | None:
    if not uid_format:
        return text(lib.pn_ssl_get_remote_subject(ssl))
    fields = {
        "c": lib.PN_SSL_CERT_SUBJECT_COUNTRY_NAME,
        "s": lib.PN_SSL_CERT_SUBJECT_STATE_OR_PROVINCE,
        "l": lib.PN_SSL_CERT_SUBJECT_CITY_OR_LOCALITY,
        "o": lib.PN_SSL_CERT_SUBJECT_ORGANIZATION_NAME,
        "u": lib.PN_SSL_CERT_SUBJECT_ORGANIZATION_UNIT,
        "n": lib.PN_SSL_CERT_SUBJECT_COMMON_NAME,
    }
    hashes = {"1": (lib.PN_SSL_SHA1, 41), "2": (lib.PN_SSL_SHA256, 65), "5": (lib.PN_SSL_SHA512, 129)}
    parts: list[str] = []
    for letter in uid_format:
        if letter in fields:
            parts.append(text(lib.pn_ssl_get_remote_subject_subfield(ssl, fields[letter])) or "")
        elif letter in hashes:
            kind, size = hashes[letter]
            buffer = ffi.new("char[]", size)
            if lib.pn_ssl_get_cert_fingerprint(ssl, buffer, size, kind) == 0:
                parts.append(text(buffer) or "")
    return ";".join(part for part in parts if part) or None
