"""``gateway``: definitions, bundles and status; what it does to this host is tested with a real one."""

from __future__ import annotations

import datetime
import hashlib
import json
import stat
import tarfile
from pathlib import Path

import pytest

from skupper_podman.model.gateway import GatewayDefinition, GatewayRecord
from tests.cli.memory import MemoryPlatform
from tests.cli.terminal import Terminal

YAML = """\
name: database
bindings:
  - {name: db, host: localhost, service: {address: "db:5432"}, target_ports: [15432]}
forwards:
  - {name: api, host: 127.0.0.1, service: {address: api, ports: [80]}, target_ports: [8080]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(YAML)
    return path


def manifest(path: Path) -> dict[str, object]:
    with tarfile.open(path) as archive:
        file = archive.extractfile("manifest.json")
        assert file is not None
        return dict(json.load(file))


def test_a_bundle_and_its_successor(site: Terminal, tmp_path: Path, config: Path, platform: MemoryPlatform) -> None:
    answer = site("gateway", "generate-bundle", str(config), str(tmp_path))
    path = tmp_path / "database.tar.gz"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (answer.code, "service db is not defined at this site" in answer.err) == (0, True)
    assert answer.out == f"Skupper gateway bundle written to '{path}'\nSHA-256: {digest}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert manifest(path)["generation"] == 1
    assert site("gateway", "generate-bundle", str(config), str(tmp_path)).code == 0
    assert manifest(path)["generation"] == 2
    assert platform.gateways()[0].generation == 2


def test_a_bundle_for_one_launch(site: Terminal, tmp_path: Path, config: Path, platform: MemoryPlatform) -> None:
    words = ("gateway", "generate-bundle", str(config), str(tmp_path), "--launch-within", "30m", "--expiry", "240h")
    assert site(*words).code == 0
    (record,) = platform.gateways()
    assert (record.awaits_launch, record.expires - record.created) == (True, datetime.timedelta(minutes=30))
    assert manifest(tmp_path / "database.tar.gz")["exchangeSeconds"] == 240 * 3600


def test_dry_run_writes_nothing(site: Terminal, tmp_path: Path, config: Path, platform: MemoryPlatform) -> None:
    answer = site("gateway", "generate-bundle", str(config), str(tmp_path), "--dry-run")
    assert "create record of gateway database" in answer.out
    assert not (tmp_path / "database.tar.gz").exists()
    assert platform.gateways() == ()


def test_services_are_made_when_asked(site: Terminal, tmp_path: Path, config: Path, platform: MemoryPlatform) -> None:
    assert site("gateway", "generate-bundle", str(config), str(tmp_path), "--create-services").err == ""
    assert platform.services_by_address["db"].ports == (5432,)
    assert "api" not in platform.services_by_address


def test_what_stands_in_the_way(site: Terminal, tmp_path: Path, config: Path, platform: MemoryPlatform) -> None:
    def refused(*words: str) -> str:
        answer = site("gateway", "generate-bundle", *words)
        assert answer.code in (1, 2)
        assert answer.err.startswith("Error: ")
        assert platform.gateways() == ()
        return answer.err

    assert "does not exist" in refused(str(tmp_path / "none"), str(tmp_path))
    assert "is no directory" in refused(str(config), str(tmp_path / "none"))
    (tmp_path / "database.tar.gz").write_text("mine")
    assert "is no bundle" in refused(str(config), str(tmp_path))
    assert "--expiry must be" in refused(str(config), str(tmp_path), "--expiry", "0s")
    for within in ("0s", "-1h", "8760h"):
        assert "--launch-within must be" in refused(str(config), str(tmp_path), "--launch-within", within)
    config.write_text("name: g\nbindings: [{service: {address: db, ports: [x]}}]")
    assert "line 2: x is not a valid port" in refused(str(config), str(tmp_path))
    assert (tmp_path / "database.tar.gz").read_text() == "mine"


def test_files_of_tls(site: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "tls.yaml"
    path.write_text("name: g\nbindings: [{host: h, service: {address: db, ports: [1], tlscertauthority: ca.pem}}]")
    assert "ca.pem does not exist" in site("gateway", "generate-bundle", str(path), str(tmp_path)).err
    (tmp_path / "ca.pem").write_text("no certificate")
    assert "its authority is not a PEM certificate" in site("gateway", "generate-bundle", str(path), str(tmp_path)).err


def test_status(site: Terminal, tmp_path: Path, config: Path, platform: MemoryPlatform) -> None:
    assert site("gateway", "status").out == "No gateway definition found\n"
    site("gateway", "generate-bundle", str(config), str(tmp_path))
    answer = site("gateway", "status")
    assert answer.code == 1
    assert "problem: it is not connected" in answer.out
    platform.connected = frozenset({"database"})
    answer = site("gateway", "status", "database")
    assert answer.code == 0
    assert (
        answer.out
        == """\
Gateway Definition:
╰─ database type:bundle version:2.7.3
   │ credential: until 2026-01-31 (365 days)
   │ generation: 1
   │ link: connected from 192.0.2.77:4711
   ├─ Bindings:
   │  ╰─ db tcp db:5432 localhost 15432 (answers)
   ╰─ Forwards:
      ╰─ api tcp api:80 127.0.0.1 8080:8080
"""
    )
    found = site("gateway", "status", "-o", "json").data["gateways"][0]
    assert (found["name"], found["kind"], found["connected"], found["daysLeft"]) == ("database", "bundle", True, 365)
    assert found["bindings"][0].pop("answers") is True
    assert found["bindings"][0] == {
        "name": "db", "address": "db:5432", "protocol": "tcp", "host": "localhost", "port": 15432,
    }  # fmt: skip
    assert site("gateway", "status", "nobody").code == 1


def test_delete_and_export(site: Terminal, tmp_path: Path, config: Path, platform: MemoryPlatform) -> None:
    site("gateway", "generate-bundle", str(config), str(tmp_path))
    answer = site("gateway", "export-config", "copy", str(tmp_path), "--name", "database")
    assert answer.out == f"Skupper gateway definition configuration written to '{tmp_path}/copy.yaml'\n"
    assert (tmp_path / "copy.yaml").read_text().startswith("name: copy\n")
    assert site("gateway", "generate-bundle", str(tmp_path / "copy.yaml"), str(tmp_path)).code == 0
    assert site("gateway", "delete", "database").out == "gateway database deleted\n"
    assert [record.name for record in platform.gateways()] == ["copy"]
    assert site("gateway", "delete", "database").code == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("init", "--type", "mock"), "mock is not a valid gateway type. Choose 'service', 'docker' or 'podman'."),
        (("bind", "a", "b"), "Service address, target host and port must all be specified"),
        (("bind", "a", "b", "c"), "c is not a valid port"),
        (("bind", "a", "b:1", "2"), "extra argument: 2"),
        (("bind", "a", "b", "70000"), "70000 is not a valid port"),
        (("expose", "a", "b"), "Gateway service address, target host and port must all be specified"),
        (("expose", "a", "b", "1:x"), "x is not a valid port"),
        (("expose", "a", "b", "1", "--type", "x"), "x is not a valid gateway type"),
        (("forward", "a"), "requires at least 2 arg(s), only received 1"),
        (("forward", "a", "x"), "x is not a valid forward port"),
        (("unbind",), "accepts 1 arg(s), received 0"),
        (("generate-bundle", "a"), "accepts 2 arg(s), received 1"),
    ],
)
def test_wrong_usage(site: Terminal, words: tuple[str, ...], told: str) -> None:
    answer = site("gateway", *words)
    assert answer.code == 2
    assert told in answer.err


def test_what_needs_a_gateway_on_this_host(site: Terminal) -> None:
    for words in (("bind", "a", "b", "1"), ("unbind", "a"), ("forward", "a", "1"), ("unexpose", "a")):
        answer = site("gateway", *words)
        assert answer.code == 1
        assert "to make one: skupper gateway init" in answer.err


def test_what_a_killed_command_recorded_is_launched(site: Terminal, platform: MemoryPlatform) -> None:
    """A record that says what is asked for already is not enough: on this host nothing was launched."""
    for words in (("unbind", "a"), ("unexpose", "a")):
        now = datetime.datetime.now(datetime.UTC)
        platform.gateways_by_name["own"] = GatewayRecord(
            GatewayDefinition("own"), "local", "service", 1, now, now, "192.0.2.1", 45671, "skupper-gateway-own", (),
        )  # fmt: skip
        answer = site("gateway", *words, "--name", "own", "--dry-run")
        assert (answer.code, answer.err) == (0, "")
        assert "gateway on this host, type service" in answer.out


def test_who_a_service_is_made_for_is_recorded_first(site: Terminal) -> None:
    answer = site("gateway", "expose", "db", "localhost", "5432", "--name", "own", "--dry-run")
    assert answer.code == 0, answer.err
    assert answer.out.index("record of gateway own") < answer.out.index("db") < answer.out.index("on this host")
