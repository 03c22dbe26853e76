"""What a message of service sync is read as, and what follows from it for a site."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.desired.learned import (
    MAX_SERVICES,
    MAX_TAKEN,
    Failure,
    Learned,
    Refusal,
    announced,
    dump_failures,
    offered,
    parse_failures,
    pending,
)
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.errors import InvalidError
from skupper_podman.model.service import HostPorts, Service, Target

WORD = st.from_regex(r"[a-z]{1,6}", fullmatch=True)


@st.composite
def services(draw: st.DrawFn, origin: str = "") -> Service:
    """Any service that a podman site can have."""
    address = draw(WORD)
    protocol = draw(st.sampled_from(["tcp", "http", "http2"]))
    http = protocol == "http"
    aggregate = draw(st.sampled_from(["", "json", "multipart"])) if http else ""
    return Service(
        address=address,
        ports=tuple(draw(st.lists(st.integers(1, 65535), min_size=1, max_size=3, unique=True))),
        protocol=protocol,
        labels=draw(st.dictionaries(WORD, WORD, max_size=2)),
        origin=origin,
        tls_credentials="" if http else draw(st.sampled_from(["", f"skupper-tls-{address}"])),
        aggregate=aggregate,
        event_channel=http and not aggregate and draw(st.booleans()),
        allowed_sites=tuple(sorted(draw(st.sets(WORD, max_size=2)))),
    )


def one(**keys: Any) -> str:
    entry = {"address": "a", "protocol": "tcp", "ports": [1], "exposeIngress": "", "targets": []}
    return json.dumps([{**entry, **keys}])


@settings(deadline=None)
@given(st.lists(services(), max_size=4, unique_by=lambda service: service.address))
def test_what_one_site_announces_another_one_has(found: list[Service]) -> None:
    here = [
        replace(item, targets=(Target("t", ((item.ports[0], 1),)),), container_name="x", ingress="Never")
        for item in found
    ]
    text = announced([*here, Service("far", (1,), origin="elsewhere")])
    offers = offered(text, "west")
    assert offers.services == {item.address: replace(item, origin="west") for item in found}
    assert not offers.unusable
    learned = Learned(tuple(sorted(offers.services.values(), key=lambda item: item.address)))
    assert Learned.parse(learned.dump()) == learned
    # Carried out and written down, it is what was learned: there is nothing to do any more.
    document = ServicesDocument()
    for service in learned.services:
        document = document.put(service)
    placed = [replace(item, container_name="other", host_ports=HostPorts("", ())) for item in document.services()]
    assert not pending(placed, learned)


@settings(deadline=None)
@given(st.lists(services("w"), max_size=5), st.lists(services("w") | services(), max_size=5))
def test_only_what_came_from_others_changes(wanted: list[Service], found: list[Service]) -> None:
    learned = Learned(tuple({item.address: item for item in wanted}.values()))
    here = {item.address: item for item in found}
    own = {address: item for address, item in here.items() if not item.origin}
    for _ in range(3):
        todo = pending(here.values(), learned)
        assert all(here[address].origin for address in todo.remove)
        assert all(service.address not in here for service in todo.make)
        for address in todo.remove:
            del here[address]
        here |= {service.address: service for service in todo.make}
    assert not pending(here.values(), learned)
    assert here == {**{item.address: item for item in learned.services}, **own}


def test_other_sites_do_not_exhaust_this_host() -> None:
    learned = Learned(tuple(Service(f"s{number:04}", (1,), origin="w") for number in range(MAX_TAKEN + 3)))
    todo = pending([Service("own", (1,))], learned)
    assert len(todo.make) == MAX_TAKEN
    assert todo.surplus == tuple(f"s{number:04}" for number in range(MAX_TAKEN, MAX_TAKEN + 3))
    rest = pending(todo.make, learned)
    assert (rest.make, rest.surplus) == ((), todo.surplus)
    assert not rest
    assert pending(todo.make[1:], learned).make == todo.make[:1]


def test_the_text_is_that_of_1_9() -> None:
    services = [
        Service("backend", (8080,), targets=(Target("t", ((8080, 1),)),)),
        Service("db", (5432,), labels={"b": "2", "a": "<"}, tls_credentials="skupper-tls-db", allowed_sites=("x", "y")),
    ]
    assert announced(services) == (
        '[{"address":"backend","protocol":"tcp","ports":[8080],"exposeIngress":"","targets":[]},'
        '{"address":"db","protocol":"tcp","ports":[5432],"exposeIngress":"","labels":{"a":"\\u003c","b":"2"},'
        '"annotations":{"skupper-podman/allowed-sites":"x,y"},"targets":[],"tlsCredentials":"skupper-tls-db",'
        '"tlsCertAuthority":"skupper-service-client"}]'
    )
    assert announced([]) == "[]"


def test_what_a_site_on_kubernetes_says_is_taken_as_it_is_meant() -> None:
    text = one(
        origin="annotation", labels={"app": "x", "skupper.io/component": "router", "application": "y"},
        tlsCredentials="some-secret", tlsCertAuthority="z", publishNotReadyAddresses=True, targets=[{"name": "t"}],
        annotations={"team": "a", "skupper-podman/allowed-sites": "east, ,west"}, aggregate="json", colour="blue",
    )  # fmt: skip
    assert offered(text, "k8s").services == {
        "a": Service(
            "a", (1,), labels={"app": "x"}, origin="k8s", tls_credentials="skupper-tls-a",
            allowed_sites=("east", "west"),
        )
    }  # fmt: skip
    old = '[{"address":"a","protocol":"tcp","port":8080,"targets":null}]'
    assert offered(old, "k8s").services == {"a": Service("a", (8080,), origin="k8s")}
    assert offered("[]", "k8s").services == {}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"protocol": "udp"}, "protocol udp is not one of tcp, http, http2"),
        ({"headless": {"name": "a", "size": 3}}, "it is headless, which only sites on kubernetes can have"),
        ({"protocol": "http", "tlsCredentials": "x"}, "TLS is not possible with protocol http"),
        ({"ports": []}, "its ports are no numbers"),
        ({"ports": [True]}, "its ports are no numbers"),
        ({"ports": [0]}, "Port 0 is outside valid range."),
        ({"ports": [1, 1]}, "it has a port twice"),
        ({"address": "skupper-router-local"}, "skupper-router-local is a name of the site's own"),
        ({"address": "skupper-controller-podman"}, "is a name of the site's own"),
        ({"address": "../x"}, "Invalid service name"),
        ({"address": 7}, "Invalid service name"),
    ],
)
def test_what_a_podman_site_cannot_have_costs_only_itself(keys: dict[str, Any], words: str) -> None:
    good = json.loads(one(address="good"))
    offers = offered(json.dumps([*json.loads(one(**keys)), *good]), "w")
    assert list(offers.services) == ["good"]
    (reason,) = offers.unusable.values()
    assert words in reason


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["a", "tcp", "address"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["address", "ports", "port", "protocol", "labels", "annotations", "headless", "x"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    ),
)
def test_any_other_value_is_refused_and_nothing_else(value: object) -> None:
    for text in (json.dumps(value), json.dumps([value]), json.dumps(value)[1:]):
        try:
            offers = offered(text, "w")
        except InvalidError as error:
            assert "the services of site w cannot be read" in error.message
        else:
            Learned.parse(Learned(tuple(offers.services.values())).dump())
        try:
            Learned.parse(text)
        except InvalidError as error:
            assert "cannot be read" in error.message
        parse_failures(text.encode())


def test_a_message_is_bounded() -> None:
    entries = [{"address": f"a{number}", "protocol": "tcp", "ports": [1]} for number in range(MAX_SERVICES + 5)]
    assert len(offered(json.dumps(entries), "w").services) == MAX_SERVICES
    nested = "[" * 100_000
    with pytest.raises(InvalidError):
        offered(nested, "w")


def test_a_file_that_somebody_else_wrote_cannot_smuggle_in_a_name() -> None:
    learned = Learned((Service("a", (1,), origin="w"),), {"b": Refusal("w", "no")}, {"c": "w"})
    text = learned.dump()
    assert Learned.parse(text) == learned
    assert Learned.parse(text.replace('"address":"a"', '"address":"skupper-router"')).services == ()
    assert Learned.parse(text.replace('"origin":"w"', '"origin":""')).services == ()
    with pytest.raises(InvalidError, match="another version"):
        Learned.parse(text.replace('"version":1', '"version":2'))


def test_failures() -> None:
    failures = {"b": Failure("no image", "skupper update"), "a": Failure("<>")}
    assert parse_failures(dump_failures(failures)) == failures
    assert parse_failures(b"[]") == parse_failures(b"x") == {}
