"""Ports that are chosen for a named site."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.desired.ports import USUAL, published, with_free_ports
from skupper_podman.errors import ConflictError
from skupper_podman.model.site import SiteSpec, check_site_ports

PLAIN = SiteSpec("west", "id", namespace="blue")
PORTS = st.integers(1, 65535)
NEAR = st.sampled_from([port + step for port in USUAL.values() for step in range(1, 9)])
ASKED = st.dictionaries(st.sampled_from(sorted(USUAL)), NEAR | PORTS)


def test_the_ports_of_1_9_are_left_to_the_site_without_a_name() -> None:
    found = with_free_ports(PLAIN, (), lambda _port: True)
    assert published(found) == (55672, 45672, 8082)


@given(st.frozensets(NEAR), ASKED.filter(lambda asked: len(set(asked.values())) == len(asked)))
def test_what_is_chosen_is_free_and_what_is_asked_for_is_kept(taken: frozenset[int], asked: dict[str, int]) -> None:
    found = with_free_ports(replace(PLAIN, **asked), asked, lambda port: port not in taken)
    for name, usual in USUAL.items():
        port = getattr(found, name)
        if name in asked:
            assert port == asked[name]
        else:
            assert port not in taken
            assert port > usual
            # The first that would do.
            others = {getattr(found, other) for other in USUAL if other != name}
            assert all(near in taken | others for near in range(usual + 1, port))
    check_site_ports(found)


@given(st.integers(1, 40))
def test_one_after_the_other_they_never_meet(count: int) -> None:
    taken: set[int] = set()
    for _ in range(count):
        ports = published(with_free_ports(PLAIN, (), lambda port, taken=frozenset(taken): port not in taken))
        assert len(set(ports)) == 3
        assert not taken & set(ports)
        taken |= set(ports)


def test_a_site_that_takes_no_claims_gets_no_port_for_them() -> None:
    found = with_free_ports(replace(PLAIN, claims_port=0), {"claims_port"}, lambda _port: True)
    assert published(found) == (55672, 45672)


def test_a_site_that_takes_no_links_publishes_nothing() -> None:
    assert published(replace(PLAIN, ingress="none")) == ()
    assert published(replace(PLAIN, router_mode="edge")) == ()


def test_a_host_without_a_free_port_is_said_to_have_none() -> None:
    with pytest.raises(ConflictError, match="no port from 55672 to 65535 is free") as caught:
        with_free_ports(PLAIN, (), lambda _port: False)
    assert "--bind-port" in caught.value.hint
