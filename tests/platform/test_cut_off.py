"""Certificates whose exchange was killed between the key and the certificate: what lies beside is not lost."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from skupper_podman import certs
from skupper_podman.desired import names
from skupper_podman.desired.tokens import connection_token
from skupper_podman.platform.podman.authority import completing, lineage_in
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.facts import VolumeInfo
from skupper_podman.platform.podman.observe import _Reader

NOW = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
OLD, NEW = (certs.issue_authority("skupper-site-ca", certs.new_key(), NOW) for _ in range(2))
CA = names.DEFAULT.site_ca
WAITING = ".tls.crt.0123456789ab.tmp"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A volume with a new key and an old certificate."""
    (tmp_path / "tls.key").write_bytes(NEW.key)
    (tmp_path / "tls.crt").write_bytes(OLD.certificate)
    return tmp_path


def test_an_authority_is_completed(place: Path) -> None:
    trees = Trees(lambda _name: None, {CA: str(place)})
    assert lineage_in(trees, CA) is None
    (place / WAITING).write_bytes(OLD.certificate)
    assert lineage_in(trees, CA) is None, "of another key"
    assert completing(trees, [CA]) == []
    (place / WAITING).write_bytes(NEW.certificate)
    found = lineage_in(trees, CA)
    assert found is not None
    assert found.pair == NEW
    (step,) = completing(trees, [CA])
    step.do()
    assert (place / "tls.crt").read_bytes() == NEW.certificate
    assert sorted(path.name for path in place.iterdir()) == ["tls.crt", "tls.key"]
    assert completing(trees, [CA]) == []
    step.undo()
    assert (place / "tls.crt").read_bytes() == OLD.certificate


def test_a_new_authority_without_its_certificate_is_completed(place: Path) -> None:
    (place / "tls.crt").rename(place / WAITING)
    (place / WAITING).write_bytes(NEW.certificate)
    (step,) = completing(Trees(lambda _name: None, {CA: str(place)}), [CA])
    step.do()
    assert (place / "tls.crt").read_bytes() == NEW.certificate


def test_a_whole_authority_is_left_alone(place: Path) -> None:
    (place / "tls.crt").write_bytes(NEW.certificate)
    (place / WAITING).write_bytes(OLD.certificate)
    trees = Trees(lambda _name: None, {CA: str(place)})
    assert completing(trees, [CA, names.DEFAULT.local_ca]) == []


def test_a_link_has_the_certificate_of_its_key(place: Path) -> None:
    token = connection_token("skupper", "id", "192.0.2.1", (1, 2), {})
    volume = VolumeInfo("link1", "local", str(place), {**names.DEFAULT.labels, **token.labels})
    assert volume.labels[names.DEFAULT.type_label] == names.CONNECTION_TOKEN
    (place / "ca.crt").write_bytes(OLD.certificate)
    for waiting, certificate in ((OLD.certificate, OLD.certificate), (NEW.certificate, NEW.certificate)):
        (place / WAITING).write_bytes(waiting)
        reader = _Reader(names.DEFAULT, Trees(lambda _name: None, {"link1": str(place)}), {"link1": volume}, {})
        reader.read(())
        (link,) = reader.links()
        assert link.data == {"ca.crt": OLD.certificate, "tls.crt": certificate, "tls.key": NEW.key}
