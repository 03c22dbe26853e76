"""Certificates: what 1.9 and OpenSSL must find in them."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from cryptography.x509.verification import PolicyBuilder, Store

from skupper_podman import certs

NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
KEYS = [certs.new_key() for _ in range(3)]
HOSTS = ("skupper-router", "host1.example.com", "192.0.2.5", "2001:db8::5")
CA = certs.issue_authority("skupper-site-ca", KEYS[0], NOW)
LEAF = certs.issue(CA, "skupper-router", HOSTS, KEYS[1], NOW)


def loaded(pair: certs.KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def test_key_is_pkcs1_of_2048_bits() -> None:
    assert KEYS[0].startswith(b"-----BEGIN RSA PRIVATE KEY-----\n")
    key = load_pem_private_key(KEYS[0], None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048


def test_every_host_is_a_dns_name_in_order_and_addresses_are_both() -> None:
    names = loaded(LEAF).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == HOSTS
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(host) for host in HOSTS[2:]]
    assert certs.facts(LEAF.certificate).dns_names == HOSTS


def test_without_hosts_there_is_no_alternative_name() -> None:
    leaf = certs.issue(CA, "skupper-router-local", (), KEYS[2], NOW)
    with pytest.raises(x509.ExtensionNotFound):
        loaded(leaf).extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    assert certs.facts(leaf.certificate).dns_names == ()


@pytest.mark.parametrize(("pair", "authority"), [(CA, True), (LEAF, False)])
def test_extensions(pair: certs.KeyPair, authority: bool) -> None:
    extensions = loaded(pair).extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.key_encipherment) == (True, True)
    assert usage.value.key_cert_sign == authority
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=authority, path_length=None)
    extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(extended) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    oids = {extension.oid for extension in extensions}
    assert (ExtensionOID.SUBJECT_KEY_IDENTIFIER in oids) == authority
    assert (ExtensionOID.AUTHORITY_KEY_IDENTIFIER in oids) != authority


def test_validity_and_serial() -> None:
    found = loaded(LEAF)
    assert found.not_valid_after_utc - NOW == datetime.timedelta(days=5 * 365)
    assert NOW - found.not_valid_before_utc == certs.BACKDATE
    assert 0 < found.serial_number < 1 << 128
    assert found.signature_hash_algorithm is not None
    assert found.signature_hash_algorithm.name == "sha256"
    facts = certs.facts(LEAF.certificate)
    assert facts.valid_at(NOW)
    assert not facts.valid_at(NOW + datetime.timedelta(days=6 * 365))


def test_chain_verifies() -> None:
    verifier = PolicyBuilder().store(Store([loaded(CA)])).time(NOW).build_server_verifier(x509.DNSName(HOSTS[1]))
    assert verifier.verify(loaded(LEAF), [])[0].subject.rfc4514_string() == "CN=skupper-router"
    assert certs.signed_by(LEAF.certificate, CA.certificate)
    assert not certs.signed_by(CA.certificate, LEAF.certificate)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_accepts_the_chain(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(CA.certificate)
    (tmp_path / "tls.crt").write_bytes(LEAF.certificate)
    (tmp_path / "tls.key").write_bytes(LEAF.key)
    when = str(int(NOW.timestamp()))
    argv = [
        "openssl",
        "verify",
        "-x509_strict",
        "-attime",
        when,
        "-CAfile",
        "ca.crt",
        "-verify_hostname",
        HOSTS[2],
        "tls.crt",
    ]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    checked = subprocess.run(
        ["openssl", "rsa", "-in", "tls.key", "-check", "-noout"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RSA key ok" in checked.stdout + checked.stderr


def test_halves_belong_together() -> None:
    assert certs.belongs(LEAF)
    assert not certs.belongs(certs.KeyPair(LEAF.certificate, KEYS[2]))
    assert not certs.belongs(certs.KeyPair(b"", b""))
    assert not certs.belongs(certs.KeyPair(LEAF.certificate, b"-----BEGIN RSA PRIVATE KEY-----\nx\n"))


def test_what_is_no_certificate_says_so() -> None:
    for text in (b"", b"x", CA.key, CA.certificate[:200]):
        with pytest.raises(certs.CertificateError):
            certs.facts(text)
    with pytest.raises(certs.CertificateError):
        certs.issue(certs.KeyPair(CA.certificate, b"x"), "a", (), KEYS[2], NOW)


def test_a_host_that_cannot_be_named_is_refused() -> None:
    with pytest.raises(certs.CertificateError, match="cannot be put into a certificate"):
        certs.alternative_names(["müller.example"])


def test_long_names_are_cut_but_hosts_are_whole() -> None:
    long = "a" * 60 + "." + "b" * 60
    leaf = certs.issue(CA, long, (long,), KEYS[2], NOW)
    assert certs.facts(leaf.certificate).dns_names == (long,)


def test_key_pool_gives_each_key_once() -> None:
    made = iter(range(100))
    pool = certs.KeyPool(2, lambda: str(next(made)).encode())
    pool.start()
    pool.start()
    keys = [pool.take() for _ in range(4)]
    assert len(set(keys)) == 4


def test_a_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(LEAF)
