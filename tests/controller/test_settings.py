"""What the controller is told at its start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skupper_podman.controller.settings import Endpoint, endpoint_of_connect_json, endpoint_of_url, parse
from skupper_podman.errors import InvalidError, UsageError

ENVIRONMENT = {
    "SKUPPER_SITE_ID": "id-1", "SKUPPER_SITE_NAME": "west", "SKUPPER_ROUTER_MODE": "edge", "SKUPPER_PLATFORM": "podman",
}  # fmt: skip


def test_environment_of_a_1_9_container_is_enough(tmp_path: Path) -> None:
    settings = parse(["--messaging", str(tmp_path)], ENVIRONMENT, "box")
    assert (settings.site_id, settings.site_name, settings.router_mode, settings.host_name) == (
        "id-1", "west", "edge", "box",
    )  # fmt: skip
    assert settings.endpoint == Endpoint(
        "skupper-router-local", 5671, tmp_path / "ca.crt", tmp_path / "tls.crt", tmp_path / "tls.key"
    )
    assert settings.status_file == Path("/etc/skupper-network-status/skupper-network-status.json")
    assert settings.services_file == Path("/etc/skupper-services/skupper-services.json")
    assert (settings.health_host, settings.health_port, settings.namespace) == ("0.0.0.0", 8080, "")


def test_options_win(tmp_path: Path) -> None:
    arguments = ["--site-id", "x", "--url", "amqp://[::1]:7", "--status", str(tmp_path), "--health-port", "0"]
    settings = parse(arguments, {**ENVIRONMENT, "SKUPPER_SITE_NAME": "w"}, "box")
    assert (settings.site_id, settings.site_name, settings.health_port) == ("x", "w", 0)
    assert str(settings.endpoint) == "amqp://[::1]:7"
    assert settings.endpoint.ca is None


def test_connect_json_is_read_if_present(tmp_path: Path) -> None:
    document = {
        "scheme": "amqps", "host": "router", "port": "5671",
        "tls": {"ca": "/x/ca.crt", "cert": "/x/tls.crt", "key": "/x/tls.key", "verify": True},
    }  # fmt: skip
    (tmp_path / "connect.json").write_text(json.dumps(document))
    settings = parse(["--messaging", str(tmp_path)], ENVIRONMENT, "box")
    assert settings.endpoint == Endpoint("router", 5671, Path("/x/ca.crt"), Path("/x/tls.crt"), Path("/x/tls.key"))
    unverified = parse(["--messaging", str(tmp_path), "--no-verify-host"], ENVIRONMENT, "box")
    assert not unverified.endpoint.verify_host


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", '{"host":""}', '{"host":"h","port":"x"}', '{"host":"h","port":0}', '{"host":7}',
     '{"host":"h","scheme":"http"}', '{"host":"h","tls":3}', "[" * 100_000],
)  # fmt: skip
def test_malformed_connect_json(text: str) -> None:
    with pytest.raises(InvalidError):
        endpoint_of_connect_json(text)


@pytest.mark.parametrize(
    "url", ["", "host:1", "http://h", "amqp://", "amqp://h:port", "amqps://h:99999", "amqp://[::1"]
)
def test_malformed_url(url: str) -> None:
    with pytest.raises(InvalidError):
        endpoint_of_url(url)


@pytest.mark.parametrize("missing", ["SKUPPER_SITE_ID", "SKUPPER_SITE_NAME"])
def test_missing_site(missing: str) -> None:
    environment = {key: value for key, value in ENVIRONMENT.items() if key != missing}
    with pytest.raises(UsageError, match=missing):
        parse([], environment, "box")


@pytest.mark.parametrize("port", ["-1", "x", "65536"])
def test_bad_health_port(port: str) -> None:
    with pytest.raises(UsageError, match="port"):
        parse([f"--health-port={port}"], ENVIRONMENT, "box")
