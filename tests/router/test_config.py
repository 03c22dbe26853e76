"""The document as 1.9 writes it: layout, kinds, order, and what survives a rewrite."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.router.config import TYPE_ORDER, Entity, RouterConfig, RouterConfigError, SiteMetadata

LAYOUT = r"""[
    [
        "router",
        {
            "helloMaxAgeSeconds": "3",
            "id": "host1-alice-1a2b3",
            "metadata": "{\"id\":\"<site-id>\",\"version\":\"1.9.6\",\"platform\":\"podman\"}",
            "mode": "interior"
        }
    ],
    [
        "listener",
        {
            "host": "localhost",
            "name": "amqp",
            "port": 5672
        }
    ],
    [
        "log",
        {
            "module": "DEFAULT",
            "enable": "info+"
        }
    ]
]"""


def test_layout_is_kept_byte_for_byte() -> None:
    # Go escapes the characters special to HTML; <site-id> stands for a real id, which has none.
    text = LAYOUT.replace("<site-id>", "8a2f6f3e-0001")
    assert RouterConfig.parse(text).dump() == text


def test_html_characters_are_escaped_as_go_does() -> None:
    config = RouterConfig.of([Entity.of("address", {"prefix": "a<b>&é\u2028", "distribution": "closest"})])
    assert r'"prefix": "a\u003cb\u003e\u0026é\u2028"' in config.dump()
    assert RouterConfig.parse(config.dump()) == config


def test_types_come_in_the_order_of_1_9_and_unknown_types_last() -> None:
    types = ["vhost", *reversed(TYPE_ORDER), "autoLink"]
    config = RouterConfig.parse(json.dumps([[name, {"name": "n", "prefix": "p", "module": "m"}] for name in types]))
    assert [pair[0] for pair in json.loads(config.dump())] == [*TYPE_ORDER, "vhost", "autoLink"]


def test_unknown_attributes_and_types_survive_even_when_zero() -> None:
    pairs = [
        ["listener", {"name": "l", "port": 1, "idleTimeoutSeconds": 0, "linkCapacity": 0}],
        ["log", {"module": "ROUTER", "enable": "", "includeSource": False}],
        ["policy", {"maxConnections": 0, "deep": {"b": [1.0, {"a": None}]}}],
        ["policy", {"maxConnections": 1}],
    ]
    written = json.loads(RouterConfig.parse(json.dumps(pairs)).dump())
    assert written == [
        ["listener", {"idleTimeoutSeconds": 0, "name": "l", "port": 1}],
        ["log", {"module": "ROUTER", "enable": "", "includeSource": False}],
        ["policy", {"deep": {"b": [1, {"a": None}]}, "maxConnections": 0}],
        ["policy", {"maxConnections": 1}],
    ]


def test_kinds_are_those_of_1_9() -> None:
    entity = Entity.of("listener", {"host": "h", "port": "5672", "authenticatePeer": "yes", "http": "no", "cost": "2"})
    assert dict(entity.attributes) == {
        "name": "h@5672", "host": "h", "port": 5672, "authenticatePeer": True, "cost": 2,
    }  # fmt: skip
    assert Entity.of("tcpListener", {"name": "x", "port": 8080}).get("port") == "8080"
    assert Entity.of("listener", {"name": "x", "port": "amqp"}).get("port") == "amqp"
    assert Entity.of("router", {"helloMaxAgeSeconds": 3}).get("helloMaxAgeSeconds") == "3"


@pytest.mark.parametrize(
    ("entity_type", "attributes", "kept"),
    [
        ("listener", {"name": "a", "port": 0, "cost": 0, "http": False, "host": ""}, {"name": "a", "port": 0}),
        ("connector", {"name": "a", "host": "", "port": "", "cost": 0}, {"name": "a", "host": "", "port": ""}),
        ("tcpConnector", {"name": "a", "verifyHostname": False}, {"name": "a", "verifyHostname": False}),
        ("connector", {"name": "a", "verifyHostname": False}, {"name": "a", "verifyHostname": False}),
        ("listener", {"name": "a", "port": 1, "metrics": False}, {"name": "a", "port": 1, "metrics": False}),
        ("httpListener", {"name": "a", "eventChannel": False, "aggregation": ""}, {"name": "a"}),
        ("router", {"id": "r", "dropTcpConnections": False, "dataConnectionCount": ""}, {"id": "r"}),
    ],
)
def test_zero_values_are_left_out_unless_that_would_change_their_meaning(
    entity_type: str, attributes: dict[str, object], kept: dict[str, object]
) -> None:
    assert dict(Entity.of(entity_type, attributes).attributes) == kept  # type: ignore[arg-type]


def test_put_add_replace_remove() -> None:
    first, second = (Entity.of("connector", {"name": name, "host": "h", "port": "1"}) for name in "ab")
    config = RouterConfig.of([first, second])
    changed = first.changed(cost=3)
    assert config.put(changed).entities == (changed, second)
    assert config.replace(changed).get("connector", "a") == changed
    assert config.remove("connector", "a").entities == (second,)
    assert config.remove("connector", "none") is config
    assert config.remove("listener", "a") is config
    with pytest.raises(RouterConfigError, match="already has a connector named 'a'"):
        config.add(first)
    with pytest.raises(RouterConfigError, match="has no connector named 'c'"):
        config.replace(Entity.of("connector", {"name": "c"}))
    assert changed.changed(cost=None) == first


def test_later_of_two_with_one_key_counts() -> None:
    config = RouterConfig.parse('[["router",{"id":"a"}],["router",{"id":"b"}],["address",{"prefix":"p"}]]')
    assert config.router_id == "b"
    assert config.get("address", "p") is not None


def test_attributes_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Entity.of("router", {}).attributes["id"] = "x"  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid JSON"),
        ("{}", "expected an array at top level"),
        ('["router"]', "element 1 is not an array of type and attributes"),
        ('[["router", {}], [1, {}]]', "the type of element 2 is not a string"),
        ('[["router", []]]', "the attributes of element 1 are not an object"),
    ],
)
def test_errors_name_the_element(text: str, message: str) -> None:
    with pytest.raises(RouterConfigError, match=message):
        RouterConfig.parse(text)


def test_site_metadata() -> None:
    site = SiteMetadata("id1", "1.9.6", "podman")
    assert site.dump() == '{"id":"id1","version":"1.9.6","platform":"podman"}'
    assert SiteMetadata.parse(site.dump()) == site
    assert SiteMetadata.parse("old-site-id") == SiteMetadata(id="old-site-id")
    assert SiteMetadata.parse("12") == SiteMetadata(id="12")
    assert SiteMetadata("x").dump() == '{"id":"x"}'
    config = RouterConfig.of([Entity.of("router", {"id": "r"})]).with_site(site)
    assert config.site == site
    assert RouterConfig().site == SiteMetadata()


_scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
_attributes = st.dictionaries(st.text(max_size=8), _scalars | st.lists(_scalars, max_size=3), max_size=5)


@given(st.lists(st.tuples(st.sampled_from([*TYPE_ORDER, "vhost"]), _attributes), max_size=6))
def test_reading_what_was_written_gives_the_same_document(pairs: list[tuple[str, dict[str, object]]]) -> None:
    config = RouterConfig.of(Entity.of(name, attributes) for name, attributes in pairs)  # type: ignore[arg-type]
    text = config.dump()
    assert RouterConfig.parse(text).dump() == text
