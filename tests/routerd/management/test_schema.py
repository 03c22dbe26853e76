"""Kinds, defaults and checks of attributes."""

from __future__ import annotations

from typing import Any

import pytest

from skupper_podman.routerd.management.schema import (
    MissingAttributeError,
    SchemaError,
    UnknownTypeError,
    camel_case,
    dump,
    entity_types,
    find_type,
    validate,
)

LISTENER_DEFAULTS = {
    "host": "", "port": "amqp", "role": "normal", "cost": 1, "authenticatePeer": False, "requireEncryption": False,
    "requireSsl": False, "maxFrameSize": 16384, "maxSessions": 32768, "idleTimeoutSeconds": 16,
    "initialHandshakeTimeoutSeconds": 0, "stripAnnotations": "both", "healthz": True, "metrics": True,
    "websockets": True, "http": False, "messageLoggingComponents": "none",
    "type": "io.skupper.router.listener", "identity": "listener/:amqp", "name": "listener/:amqp",
}  # fmt: skip


def test_defaults_of_a_listener() -> None:
    assert validate("listener", {}) == LISTENER_DEFAULTS


def test_defaults_of_a_router() -> None:
    valid = validate("router", {"id": "A"})
    assert (valid["mode"], valid["area"], valid["helloMaxAgeSeconds"], valid["workerThreads"]) == (
        "standalone",
        "0",
        3,
        4,
    )
    assert (valid["dataConnectionCount"], valid["dropTcpConnections"], valid["defaultDistribution"]) == (
        "auto",
        False,
        "balanced",
    )
    assert (valid["identity"], valid["name"]) == ("1", "A")


@pytest.mark.parametrize(
    ("entity_type", "attributes", "identity", "name"),
    [
        ("tcpListener", {"host": "h", "port": 1, "address": "a", "name": "la"}, "tcpListener/h:1:la", "la"),
        ("tcpListener", {"host": "h", "port": 1, "address": "a"}, "tcpListener/h:1", "tcpListener/h:1"),
        ("connector", {"port": 5}, "connector/127.0.0.1:5", "connector/127.0.0.1:5"),
        ("sslProfile", {"name": "p"}, "sslProfile/p", "p"),
        ("log", {"module": "ROUTER"}, "log/ROUTER", "log/ROUTER"),
        ("vhost", {"hostname": "h"}, "vhost/h", "vhost/h"),
        ("address", {"prefix": "mc"}, None, None),
    ],
)
def test_identity_and_default_name(
    entity_type: str, attributes: dict[str, Any], identity: str | None, name: str | None
) -> None:
    valid = validate(entity_type, attributes)
    assert (valid.get("identity"), valid.get("name")) == (identity, name)


@pytest.mark.parametrize(
    ("given", "value"),
    [("yes", True), ("On", True), ("TRUE", True), (True, True), (1, True), ("no", False), ("off", False), (0, False)],
)
def test_booleans(given: object, value: bool) -> None:
    assert validate("listener", {"http": given})["http"] is value


def test_numbers_text_and_maps() -> None:
    valid = validate("connector", {"port": 5672, "cost": "3", "openProperties": {"a": 1}, "linkCapacity": None})
    assert (valid["port"], valid["cost"], valid["openProperties"]) == ("5672", 3, {"a": 1})
    assert "linkCapacity" not in valid
    assert validate("listener", {"stripAnnotations": False})["stripAnnotations"] == "no"
    assert validate("router", {"mode": 1})["mode"] == "interior"


def test_deprecated_names() -> None:
    link = validate("autoLink", {"addr": "a", "dir": "in"})
    assert (link["address"], link["direction"]) == ("a", "in")
    with pytest.raises(SchemaError, match="is given twice, also as 'addr'"):
        validate("autoLink", {"addr": "a", "address": "a", "dir": "in"})
    connector = validate("httpConnector", {"address": "a", "port": "1", "verifyHostName": "no"})
    assert connector["verifyHostname"] is False


@pytest.mark.parametrize(
    ("entity_type", "attributes", "attribute", "reason"),
    [
        ("listener", {"http": "maybe"}, "http", "must be yes or no, not 'maybe'"),
        ("listener", {"cost": "x"}, "cost", "must be an integer, not 'x'"),
        ("listener", {"cost": True}, "cost", "must be an integer, not True"),
        ("listener", {"cost": 0}, "cost", "must be at least 1, not 0"),
        ("listener", {"cost": 2**31}, "cost", "must be at most 2147483647"),
        ("listener", {"role": "boss"}, "role", "must be one of normal, inter-router, route-container, edge"),
        ("listener", {"host": ["a"]}, "host", "must be a string"),
        ("listener", {"openProperties": "x"}, "openProperties", "must be a map"),
        ("listener", {"openProperties": {"é": 1}}, "openProperties", "ASCII strings"),
        ("listener", {"openProperties": {"qd.x": 1}}, "openProperties", "reserved key 'qd.x'"),
        ("listener", {"role": "edge", "openProperties": {"x": 1}}, "openProperties", "is not allowed with role 'edge'"),
        ("listener", {"identity": "x"}, "identity", "cannot be set"),
        ("listener", {"type": "connector"}, "type", "must be io.skupper.router.listener"),
        ("listener", {"colour": "red"}, "colour", "is unknown"),
        ("router", {"id": "a|b"}, "id", "must not contain '|'"),
        ("router", {"id": "a b"}, "id", "must not contain ' '"),
        ("router", {"dataConnectionCount": "many"}, "dataConnectionCount", "must be 'auto' or a number"),
        ("autoLink", {"addr": "a", "dir": "in", "connection": "c", "containerId": "d"}, "connection", "together"),
        ("log", {"module": "ROUTER", "enable": "info+,loud"}, "enable", "'loud' is none"),
    ],
)  # fmt: skip
def test_errors_name_the_attribute(entity_type: str, attributes: dict[str, Any], attribute: str, reason: str) -> None:
    with pytest.raises(SchemaError) as caught:
        validate(entity_type, attributes)
    assert caught.value.attribute == attribute
    assert reason in caught.value.reason


def test_missing_attribute_and_unknown_type() -> None:
    with pytest.raises(MissingAttributeError, match="tcpConnector: attribute 'host': is required"):
        validate("tcpConnector", {"address": "a", "port": "1"})
    with pytest.raises(UnknownTypeError):
        validate("gadget", {})


def test_secrets_stay_out_of_errors() -> None:
    with pytest.raises(SchemaError) as caught:
        validate("sslProfile", {"password": ["geheim"]})
    assert "geheim" not in str(caught.value)


def test_validate_leaves_its_argument_alone() -> None:
    given = {"port": 1}
    validate("listener", given)
    assert given == {"port": 1}


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("listener", "listener"),
        ("address", "router.config.address"),
        ("autolink", "router.config.autoLink"),
        ("router.address", "router.address"),
        ("link", "router.link"),
        ("io.skupper.router.router.node", "router.node"),
        ("IO.SKUPPER.ROUTER.TCPLISTENER", "tcpListener"),
    ],
)
def test_names_of_types(name: str, short: str) -> None:
    assert find_type(name).name == short


@pytest.mark.parametrize(
    ("name", "camel"),
    [("tcp-listener", "tcpListener"), ("site_id", "siteId"), ("sslProfile", "sslProfile"), ("port", "port")],
)
def test_camel_case(name: str, camel: str) -> None:
    assert camel_case(name) == camel


def test_every_type_has_what_all_entities_have() -> None:
    for definition in entity_types().values():
        assert {"name", "identity", "type"} <= set(definition.attributes)
        assert definition.description.endswith(".")
        for attribute in definition.attributes.values():
            if attribute.default is not None:
                assert attribute.convert(attribute.default) == attribute.default
    assert len(dump()["entityTypes"]) >= len(entity_types()) - 1
