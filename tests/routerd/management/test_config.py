"""Both notations of the configuration file, the order of application, and errors that say where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.router.config import SiteMetadata
from skupper_podman.router.documents import (
    ServiceRouter,
    SiteRouter,
    link_entities,
    service_config,
    site_config,
    target_connectors,
)
from skupper_podman.routerd.management.config import ConfigError, parse
from skupper_podman.routerd.management.configured_types import LOG_MODULES

SITE = SiteMetadata("s", "1.9.6", "podman")

BLOCKS = """
# A hand-written file
router {
    mode: interior
    id: A                    # the name in the network
    helloMaxAgeSeconds: 5
}

listener {
    host: 0.0.0.0
    port: amqp
    authenticate-peer: no
    http_root_dir:
    openProperties: {
        # a comment inside
        "colour": ["red", {"deep": true}],
        "size": 3,
    }
}

tcp-listener {
    port: 1024
    address: echo:9090
    site_id: s1
}

address {
    pattern: a/#/b    anything after is a comment
    distribution: multicast
}

vhost {
    hostname: #.example.com
    groups: {
        "$default": {
            "users": "*",
            "remoteHosts": "*"
        }
    }
}
"""


def entities(text: str, *, json_form: bool = False) -> list[tuple[str, dict[str, Any]]]:
    return [pair for pair in parse(text, json_form) if pair[0] != "log"]


def test_block_notation() -> None:
    found = dict(entities(BLOCKS))
    assert (found["router"]["id"], found["router"]["mode"], found["router"]["helloMaxAgeSeconds"]) == (
        "A",
        "interior",
        5,
    )
    assert found["listener"]["openProperties"] == {"colour": ["red", {"deep": True}], "size": 3}
    assert "httpRootDir" not in found["listener"]
    assert (found["tcpListener"]["port"], found["tcpListener"]["siteId"]) == ("1024", "s1")
    assert found["router.config.address"]["pattern"] == "a/#/b"
    assert found["vhost"]["groups"]["$default"]["users"] == "*"
    assert found["vhost"]["hostname"] == "#.example.com"


def test_json_notation_with_kebab_names_and_comments() -> None:
    text = """
    # whole-line comment
    [["router", {"id": "A", "mode": "interior"}],
     # another
     ["tcp-listener", {"name": "l", "port": 1024, "address": "echo:9090", "site_id": "s1"}],
     ["ssl-profile", {"name": "p", "ca-cert-file": "/ca"}]]
    """
    found = dict(entities(text, json_form=True))
    assert found["tcpListener"]["siteId"] == "s1"
    assert found["sslProfile"]["caCertFile"] == "/ca"


def test_order_of_application() -> None:
    pairs = [
        ["listener", {"port": 1}],
        ["connector", {"port": 2}],
        ["tcpConnector", {"port": 3, "host": "h", "address": "a"}],
        ["tcpListener", {"port": 4, "address": "a"}],
        ["httpListener", {"port": 5, "address": "a"}],
        ["vhost", {"hostname": "h"}],
        ["autoLink", {"address": "a", "direction": "in"}],
        ["address", {"prefix": "p"}],
        ["address", {"prefix": "q"}],
        ["sslProfile", {"name": "s"}],
        ["policy", {}],
        ["router", {}],
        ["log", {"module": "SERVER", "enable": "debug"}],
    ]
    parsed = parse(json.dumps(pairs), True)
    assert list(dict.fromkeys(kind for kind, _ in parsed)) == [
        "log", "router", "policy", "sslProfile", "router.config.address", "router.config.autoLink", "vhost",
        "httpListener", "tcpListener", "tcpConnector", "connector", "listener",
    ]  # fmt: skip
    assert [valid["identity"] for kind, valid in parsed if kind == "router.config.address"] == ["1", "2"]


def test_what_every_router_has_is_added() -> None:
    parsed = parse("[]", True)
    assert {valid["module"] for kind, valid in parsed if kind == "log"} == set(LOG_MODULES)
    assert next(valid for kind, valid in parsed if kind == "router")["mode"] == "standalone"
    default = next(valid for kind, valid in parsed if valid.get("module") == "DEFAULT")
    assert (default["enable"], default["outputFile"], default["includeTimestamp"]) == ("info+", "stderr", True)
    (warning,) = [valid for _, valid in parse("log {\nmodule: DEFAULT\nenable: warning+\n}", False)
                  if valid.get("module") == "DEFAULT"]  # fmt: skip
    assert (warning["enable"], warning["outputFile"]) == ("warning+", "stderr")


def test_documents_of_skupper_are_valid() -> None:
    site = site_config(SiteRouter("r", SITE, logging={"": "info", "ROUTER_CORE": "debug"}))
    site = site.put_all(link_entities("link1", "host", 55671))
    found = entities(site.dump(), json_form=True)
    listeners = {valid["name"]: valid for kind, valid in found if kind == "listener"}
    assert listeners["interior-listener"]["port"] == "55671"
    assert listeners["interior-listener"]["authenticatePeer"] is True
    assert listeners["@9090"]["websockets"] is True
    for protocol in ("tcp", "http", "http2"):
        service = ServiceRouter("r", SITE, "web", (80,), protocol=protocol, aggregation="json", event_channel=True)
        document = service_config(service).put_all(target_connectors(service, "t", {80: 8080}))
        assert any(valid.get("address") == "web:80" for _, valid in entities(document.dump(), json_form=True))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([["gadget", {}]], "gadget: No such entity type 'gadget'"),
        ([["connection", {"name": "c"}]], "connection 'c': cannot be configured"),
        ([["listener", {"name": "l", "colour": 1}]], "listener 'l': attribute 'colour' is unknown"),
        ([["listener", {"name": "l", "cost": "x"}]], "listener 'l': attribute 'cost' must be an integer, not 'x'"),
        ([["tcpListener", {"name": "l", "address": "a"}]], "tcpListener 'l': attribute 'port' is required"),
        (
            [["listener", {"port": 1}], ["listener", {"port": "1"}]],
            "attribute 'name' must not be 'listener/:1', the name",
        ),
        ([["router", {}], ["router", {"id": "B"}]], "router 'B': there can be only one"),
        ([["log", {"module": "ROUTER"}], ["log", {"module": "ROUTER"}]], "log 'ROUTER': attribute 'name'"),
        ([["log", {"module": "NOPE"}]], "log 'NOPE': attribute 'module' must be one of"),
        ([["address", {"prefix": "a"}], ["address", {"prefix": "a"}]], "attribute 'prefix' Already exists"),
        ([["listener", {"name": "l", "role": "edge"}]], "must not be 'edge' in a router of mode 'standalone'"),
        (
            [["router", {"mode": "edge"}], ["connector", {"name": "c", "role": "inter-router"}]],
            "connector 'c': attribute 'role' may be 'inter-router' only in a router of mode 'interior', not 'edge'",
        ),
        (
            [["router", {"mode": "edge"}], ["listener", {"name": "l", "role": "edge"}]],
            "listener 'l': attribute 'role' may be 'edge' for a listener only",
        ),
        ({}, "not a JSON array"),
        ([["router"]], "element 1 is not an array of an entity type and its attributes"),
    ],
)  # fmt: skip
def test_errors_in_entities(pairs: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(json.dumps(pairs), True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("router {\nmode: interior\n", "line 1: 'router' is not closed"),
        ("mode: interior\n", r"line 1: expected the beginning of an entity"),
        ("router {\n\n  what\n}\n", "line 3: expected 'attribute: value'"),
        ("router {\nid: a\nid: b\n}\n", "line 3: attribute 'id' is given twice"),
        ('listener {\nopenProperties: {\n"a": 1\n', "line 2: not a complete JSON map"),
    ],
)
def test_errors_in_block_notation(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text, False)


@given(st.text(alphabet='router{}:#\n"[],ab mode$', max_size=60), st.booleans())
def test_any_text_is_parsed_or_refused(text: str, json_form: bool) -> None:
    try:
        parse(text, json_form)
    except ConfigError as error:
        assert str(error)
