"""The services file and the strings in it that 1.9 compares byte for byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.desired.services import ServicesDocument, parse_resolver, resolver, with_target, without_host
from skupper_podman.errors import InvalidError
from skupper_podman.model.service import Service, Target

PORTS = st.dictionaries(st.integers(1, 65535), st.integers(1, 65535), max_size=4).map(
    lambda d: tuple(sorted(d.items()))
)
TARGETS = st.builds(Target, st.text("abz019.-<>&\u2028", max_size=12), PORTS)


def test_resolver_is_what_go_writes() -> None:
    assert resolver(Target("backend-target", ((8080, 9090),))) == (
        '*domain.EgressResolverHost={"host":"backend-target","ports":{"8080":9090}}'
    )
    # Go orders the keys of a map as strings, and escapes what is special to HTML.
    assert resolver(Target("a<b>&c", ((80, 1), (8080, 2), (443, 3)))) == (
        '*domain.EgressResolverHost={"host":"a\\u003cb\\u003e\\u0026c","ports":{"443":3,"80":1,"8080":2}}'
    )


@given(TARGETS)
def test_resolver_round_trip(target: Target) -> None:
    assert parse_resolver(resolver(target)) == target


@given(st.text(max_size=60))
def test_garbage_is_no_resolver(text: str) -> None:
    assert parse_resolver(text) is None
    parse_resolver(f"*domain.EgressResolverHost={text}")  # never raises


@pytest.mark.parametrize("text", ["", " \n", "{}", "null"])
def test_no_services(text: str) -> None:
    assert ServicesDocument.parse(text).services() == ()


@pytest.mark.parametrize("text", ["[", "[]", "1", '{"a": 1}', '{"a": null}'])
def test_damaged_file(text: str) -> None:
    with pytest.raises(InvalidError, match=r"skupper-services\.json cannot be read"):
        ServicesDocument.parse(text)


@given(
    st.lists(
        st.builds(Service, st.sampled_from("abcd"), st.just((1, 2)), targets=st.lists(TARGETS, max_size=2).map(tuple))
    )
)
def test_round_trip(services: list[Service]) -> None:
    document = ServicesDocument()
    for service in services:
        document = document.put(service)
    wanted = {service.address: service for service in services}
    assert {item.address: item for item in ServicesDocument.parse(document.dump()).services()} == wanted


def test_unknown_keys_of_an_entry_survive() -> None:
    text = '{"a":{"address":"a","protocol":"tcp","ports":[1],"exposeIngress":"Never","targets":[],"bridgeImage":"x"}}'
    document = ServicesDocument.parse(text)
    assert document.dump() == text
    entry = json.loads(document.put(Service("a", (2,))).dump())["a"]
    assert entry["bridgeImage"] == "x"
    assert entry["exposeIngress"] == "Never"
    assert entry["ports"] == [2]


def test_order_of_keys_is_go_s() -> None:
    service = Service(
        "a", (1,), "http", (Target("t", ((1, 2),)),), {"z": "1", "b": "2"}, "", "skupper-tls-a", "json", True
    )
    assert list(json.loads(ServicesDocument().put(service).dump())["a"]) == [
        "address", "protocol", "ports", "exposeIngress", "eventchannel", "aggregate", "labels", "targets",
        "tlsCredentials",
    ]  # fmt: skip


def test_targets_come_and_go() -> None:
    service = with_target(with_target(Service("a", (1,)), Target("x", ((1, 1),))), Target("y", ((1, 2),)))
    assert [target.host for target in service.targets] == ["x", "y"]
    assert [target.host for target in without_host(service, "x").targets] == ["y"]
    assert without_host(service, "z") == service
