"""The metric of certificates, from files as routers have them."""

from __future__ import annotations

import datetime
from pathlib import Path

from skupper_podman import certs
from skupper_podman.controller import expiry

NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
KEY = certs.new_key()
CA = certs.issue_authority("skupper-site-ca", KEY, NOW)
LEAF = certs.issue(CA, "x", (), KEY, NOW, lifetime=certs.LEAF_LIFETIME)


def directory(path: Path, *, only_trust: bool = False) -> None:
    path.mkdir(parents=True)
    (path / "ca.crt").write_bytes(CA.certificate)
    if not only_trust:
        (path / "tls.crt").write_bytes(LEAF.certificate)


def test_a_sample_for_each(tmp_path: Path) -> None:
    for name in ("skupper-internal", "link1-profile", "skupper-tls-backend"):
        directory(tmp_path / "profiles" / name)
    directory(tmp_path / "profiles" / "skupper-service-client", only_trust=True)
    directory(tmp_path / "messaging")
    (tmp_path / "profiles" / "damaged").mkdir()
    (tmp_path / "profiles" / "damaged" / "tls.crt").write_bytes(b"nonsense")
    leaf, authority = ((NOW + life).timestamp() for life in (certs.LEAF_LIFETIME, certs.LIFETIME))
    name = "skupper_certificate_expiry_timestamp_seconds"
    assert expiry.metrics(tmp_path / "profiles", tmp_path / "messaging") == (
        f"# HELP {name} When a certificate of the site ends, in seconds since 1970.\n"
        f"# TYPE {name} gauge\n"
        f'{name}{{name="backend",kind="service"}} {leaf:.0f}\n'
        f'{name}{{name="link1",kind="link"}} {leaf:.0f}\n'
        f'{name}{{name="skupper-internal",kind="credential"}} {leaf:.0f}\n'
        f'{name}{{name="skupper-local-client",kind="credential"}} {leaf:.0f}\n'
        f'{name}{{name="skupper-site-ca",kind="authority"}} {authority:.0f}\n'
    )


def test_without_files(tmp_path: Path) -> None:
    assert expiry.metrics(tmp_path / "no", tmp_path / "none").count("\n") == 2
