"""What a gateway's router is told, what is in a bundle, whom the site's router trusts, and what the site keeps."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from gateway_bundle.installer import certificate
from skupper_podman import certs
from skupper_podman.desired.gatewaybundle import (
    BundleGeneration,
    BundleRouter,
    BundleSecrets,
    BundleSite,
    make_bundle,
)
from skupper_podman.desired.gatewayrecords import dump_gateway_record, parse_gateway_record
from skupper_podman.desired.gatewayrouter import gateway_config
from skupper_podman.desired.gatewaytrust import (
    authority_name,
    authority_until,
    gateways_in,
    is_let_in,
    keeping_gateways,
    site_part,
    with_gateways,
)
from skupper_podman.errors import InvalidError, UsageError
from skupper_podman.gateway.programs import bundle_programs
from skupper_podman.model.gateway import (
    AmqpListener,
    Bridge,
    GatewayDefinition,
    GatewayRecord,
    check_gateway_name,
    check_gateway_type,
)

NOW = datetime.datetime(2026, 1, 20, 10, 0, tzinfo=datetime.UTC)
DB = Bridge("db", "db:5432", "localhost", 15432)
DEFINITION = GatewayDefinition("database", (DB,), (Bridge("api", "api:80", "127.0.0.1", 8080, "http", "json"),))
SITE = BundleSite("site-id", "west", "203.0.113.10", 45671, "1.9.6")
SECRETS = BundleSecrets(b"CERT", b"KEY", b"OWN", b"CA", NOW + datetime.timedelta(days=90))


def test_the_router_is_an_edge_that_only_its_own_key_manages() -> None:
    config = gateway_config(DEFINITION, "203.0.113.10", 45671, "1.9.6", "podman")
    assert config.is_edge
    link = config.get("connector", "conn1")
    assert link is not None
    assert (link.text("role"), link.text("host"), link.text("port")) == ("edge", "203.0.113.10", "45671")
    amqp = config.get("listener", "amqp")
    assert amqp is not None
    assert (amqp.text("saslMechanisms"), amqp.text("sslProfile")) == ("EXTERNAL", "management-profile")
    assert amqp.attributes["authenticatePeer"] is True
    binding = config.get("tcpConnector", "db")
    assert binding is not None
    assert dict(binding.attributes) == {
        "name": "db", "address": "db:5432", "host": "localhost", "port": "15432", "siteId": "${ROUTER_ID}",
    }  # fmt: skip
    forward = config.get("httpListener", "api")
    assert forward is not None
    assert (forward.text("protocolVersion"), forward.text("aggregation")) == ("HTTP1", "json")


def test_bridges_that_speak_tls_and_further_listeners() -> None:
    verified = dataclasses.replace(DB, tls_authority="ca.pem")
    shown = Bridge("web", "web:443", "127.0.0.1", 8443, "http2", tls_credentials="dir")
    listeners = (AmqpListener("amqp", "localhost", 5673), AmqpListener("plain", "127.0.0.1", 5674))
    definition = GatewayDefinition("g", (verified,), (shown,), listeners)
    config = gateway_config(definition, "h", 1, "1.9.6", "podman")
    connector, profile = config.get("tcpConnector", "db"), config.get("sslProfile", "bridge-db")
    assert connector is not None
    assert profile is not None
    assert (connector.text("sslProfile"), connector.attributes["verifyHostname"]) == ("bridge-db", True)
    assert "certFile" not in profile.attributes
    served = config.get("sslProfile", "bridge-web")
    assert served is not None
    assert served.text("privateKeyFile").endswith("/bridge-web/tls.key")
    plain = config.get("listener", "plain")
    assert plain is not None
    assert dict(plain.attributes) == {"name": "plain", "host": "127.0.0.1", "port": 5674}


def test_the_archive() -> None:
    def made(generation: int = 3) -> bytes:
        router = BundleRouter("quay.io/x:1", "sha256:1", b"RUNTIME", {"machine": "x86_64", "digest": "d"}, b"IMAGE")
        secrets = dataclasses.replace(SECRETS, tls={"bridge-x/ca.crt": b"T"})
        return make_bundle(
            BundleGeneration(DEFINITION, generation, NOW), SITE, secrets, router, bundle_programs()
        ).archive()  # fmt: skip

    assert made() == made()
    assert made() != made(4)
    with tarfile.open(fileobj=io.BytesIO(made())) as archive:
        members = {member.name: member for member in archive}
        content = {name: archive.extractfile(member).read() for name, member in members.items() if member.isfile()}  # type: ignore[union-attr]
    for name in ("launch.py", "remove.py", "renew.py", "launch.sh", "remove.sh"):
        assert members[name].mode == 0o755
    for name, member in members.items():
        if name.startswith("skupper-router-certs/"):
            assert member.mode == (0o600 if member.isfile() else 0o700), name
    manifest = json.loads(content.pop("manifest.json"))
    assert manifest["files"].keys() == content.keys()
    for name, digest in manifest["files"].items():
        assert digest == f"sha256:{hashlib.sha256(content[name]).hexdigest()}"
    assert (manifest["format"], manifest["gateway"], manifest["generation"]) == (1, "database", 3)
    assert (manifest["created"], manifest["credentialExpires"]) == ("2026-01-20T10:00:00Z", "2026-04-20T10:00:00Z")
    assert manifest["edge"] == {"host": "203.0.113.10", "port": 45671}
    assert manifest["site"]["caSha256"] == hashlib.sha256(b"CA").hexdigest()
    assert manifest["bindings"] == [
        {"name": "db", "address": "db:5432", "protocol": "tcp", "host": "localhost", "port": 15432}
    ]
    assert b"KEY" not in content["gateway.yaml"] + content["config/skrouterd.json"]


@pytest.fixture(scope="module")
def authorities() -> dict[str, certs.KeyPair]:
    key = certs.new_key()
    return {
        name: certs.issue_authority(authority_name(name) if name != "site" else "skupper-site-ca", key, NOW)
        for name in ("site", "site", "a", "b")
    }


def test_trust_of_gateways_beside_that_of_the_site(authorities: dict[str, certs.KeyPair]) -> None:
    site, a, b = (authorities[name].certificate for name in ("site", "a", "b"))
    both = with_gateways(site, {"b": b, "a": a})
    assert gateways_in(both) == {"a": a, "b": b}
    assert site_part(both) == site
    assert both.startswith(site)  # 1.9 and others read only the first
    assert gateways_in(with_gateways(both, {"b": b})) == {"b": b}
    assert with_gateways(both, {}) == site
    assert gateways_in(site) == {}
    assert keeping_gateways(b"NEW\n", both) == b"NEW\n" + a + b
    assert with_gateways(site.rstrip(), {"a": a}) == site + a
    assert site_part(b"damaged -----BEGIN CERTIFICATE----- -----BEGIN CERTIFICATE-----") != b""


def test_a_gateways_certificate_is_no_servers(authorities: dict[str, certs.KeyPair]) -> None:
    pair = certs.issue(
        authorities["a"], "g", (), certs.new_key(), NOW, lifetime=datetime.timedelta(days=9), client_only=True
    )
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = x509.load_pem_x509_certificate(pair.certificate).extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(usage.value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certs.facts(pair.certificate).not_after == NOW + datetime.timedelta(days=9)


def test_a_record_is_read_back() -> None:
    record = GatewayRecord(DEFINITION, "local", "podman", 7, NOW, NOW, "h", 1, "skupper-gateway-database", ("db",))
    assert parse_gateway_record("database", dump_gateway_record(record)) == record
    year = datetime.timedelta(days=365)
    once = dataclasses.replace(record, expires=NOW + year / 365, lifetime=year)
    assert parse_gateway_record("database", dump_gateway_record(once)) == once
    assert (once.validity, once.awaits_launch, record.awaits_launch) == (year, True, False)
    assert not dataclasses.replace(once, expires=NOW + 1.001 * year).awaits_launch
    for content in (b"", b"[]", b"{}", dump_gateway_record(record).replace(b'"version": 1', b'"version": 2')):
        with pytest.raises(InvalidError, match="the record of gateway database is damaged"):
            parse_gateway_record("database", content)
    with pytest.raises(InvalidError):
        parse_gateway_record("other", dump_gateway_record(record))


def test_names_and_types() -> None:
    for name in ("gateway1", "test-gateway1.fqdn", "a"):
        assert check_gateway_name(name) == name
    for name in ("", "A", "1a", "a_b", "a-", "a" * 49, "a;b"):
        with pytest.raises(UsageError, match="Gateway name"):
            check_gateway_name(name)
    assert check_gateway_type("podman") == "podman"
    with pytest.raises(UsageError, match="is not a valid gateway type"):
        check_gateway_type("mock")


def test_a_definition_changes_by_service() -> None:
    other = Bridge("x:1", "x:1", "h", 1)
    changed = DEFINITION.with_binding(other).with_forward(other)
    assert [bridge.name for bridge in changed.bindings] == ["db", "x:1"]
    assert changed.without_binding_of("x").without_forward_of("x") == DEFINITION
    assert DEFINITION.with_binding(dataclasses.replace(DB, port=9)).bindings[0].port == 9


def test_the_authority_of_a_gateway_outlasts_its_credentials(tmp_path: Path) -> None:
    """One that would not is prolonged with its key, so that what it signed before is still let in."""
    year, now = datetime.timedelta(days=365), datetime.datetime.now(datetime.UTC)

    def authority(kept: certs.KeyPair, then: datetime.datetime) -> certs.KeyPair:
        return authority_until(kept, "a", then, then + year, certs.new_key)

    old = certs.issue_authority(authority_name("a"), certs.new_key(), now - 4.5 * year, lifetime=5 * year)
    signed = certs.issue(old, "skupper-gateway-a", (), certs.new_key(), now - 4.5 * year, client_only=True)
    assert authority(old, now - year) is old
    prolonged = authority(old, now)
    assert prolonged.key == old.key
    assert certs.facts(prolonged.certificate).not_after > now + 20 * year
    for name, content in {"crt": signed.certificate, "key": signed.key, "ca": prolonged.certificate}.items():
        (tmp_path / name).write_bytes(content)
    certificate.check(str(tmp_path / "crt"), str(tmp_path / "key"), str(tmp_path / "ca"))
    site = certs.issue_authority("skupper-site-ca", certs.new_key(), now)
    trust = with_gateways(site.certificate, {"a": old.certificate})
    assert is_let_in("a", old.certificate, trust)
    assert not is_let_in("a", prolonged.certificate, trust), "it is put there by the next bundle"
    assert not is_let_in("b", old.certificate, trust)
    fresh = authority(certs.KeyPair(b"", b""), now)
    mixed = authority(certs.KeyPair(old.certificate, fresh.key), now)
    assert len({old.key, fresh.key, mixed.key}) == 3
