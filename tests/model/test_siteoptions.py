"""How an existing site is compared with what ``init`` is asked for now."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.errors import ConflictError, UsageError
from skupper_podman.model.site import LogLevel, SiteSpec
from skupper_podman.model.siteoptions import FIXED, FLAGS, differences, merged

FOUND = SiteSpec(
    "host-user-1a2b3", "id", ingress_hosts=("a", "b"), inter_router_port=1, router_logging=(LogLevel("", "info"),),
    router="embedded", router_cpu_millis=1500, router_memory_bytes=2**28,
)  # fmt: skip
PLAIN = SiteSpec("", "")


@pytest.mark.parametrize(
    "asked",
    [
        PLAIN,
        FOUND,
        replace(PLAIN, router_logging=(LogLevel("DEFAULT", "info+"),)),
        replace(PLAIN, name="host-user-1a2b3", ingress_hosts=("a", "b")),
        replace(PLAIN, router="auto"),
    ],
)
def test_nothing_new_asked_changes_nothing(asked: SiteSpec) -> None:
    assert merged(asked, FOUND) == FOUND


def test_hosts_are_kept_for_the_day_that_ingress_comes_back() -> None:
    closed = merged(replace(PLAIN, ingress="none", ingress_hosts=("z",)), FOUND)
    assert (closed.ingress, closed.ingress_hosts) == ("none", ("a", "b"))
    assert merged(PLAIN, closed) == closed
    assert merged(PLAIN, closed, frozenset({"ingress"})) == FOUND


def test_an_option_given_with_its_default_asks_for_it() -> None:
    given = frozenset({"inter_router_port", "router_cpu_millis"})
    assert merged(PLAIN, FOUND, given) == replace(FOUND, inter_router_port=55671, router_cpu_millis=0)
    assert merged(replace(PLAIN, edge_port=7), FOUND, frozenset()) == FOUND


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (replace(PLAIN, ingress_hosts=("b", "a")), "--ingress-host: a,b -> b,a"),
        (replace(PLAIN, edge_port=7), "--bind-port-edge: 45671 -> 7"),
        (replace(PLAIN, bind_ips=("::1",)), "--ingress-bind-ip: none -> ::1"),
        (replace(PLAIN, router_logging=(LogLevel("ROUTER", "debug"),)), "--router-logging: info -> ROUTER:debug"),
        (replace(PLAIN, router="image"), "--router: embedded -> image"),
        (replace(PLAIN, router_cpu_millis=500), "--router-cpu-limit: 1.5 -> 0.5"),
        (replace(PLAIN, controller_memory_bytes=9), "--controller-memory-limit: none -> 9"),
    ],
)
def test_each_difference_is_a_line(asked: SiteSpec, line: str) -> None:
    assert [str(item) for item in differences(FOUND, merged(asked, FOUND))] == [line]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (replace(PLAIN, name="other"), "--site-name is host-user-1a2b3, not other"),
        (replace(PLAIN, network="n"), "--container-network is skupper, not n"),
        (replace(PLAIN, ipv6=True), "--enable-ipv6 is False, not True"),
        (replace(PLAIN, labels={"a": "b"}), "--labels is none, not a=b"),
    ],
)
def test_what_is_fixed_is_refused_by_name_with_a_way_out(asked: SiteSpec, words: str) -> None:
    with pytest.raises(ConflictError) as caught:
        merged(asked, FOUND)
    assert words in caught.value.message
    assert "skupper delete" in caught.value.hint


def test_ports_that_become_the_same_are_refused() -> None:
    with pytest.raises(UsageError, match="are both 1: they must differ"):
        merged(replace(PLAIN, edge_port=1), FOUND)


@settings(deadline=None)
@given(st.frozensets(st.sampled_from(sorted(set(FLAGS) - FIXED))))
def test_only_what_was_given_is_taken_over(names: frozenset[str]) -> None:
    asked = SiteSpec(
        "x", "y", ingress_hosts=("z",), bind_ips=("127.0.0.1",), inter_router_port=2, edge_port=3, claims_port=0,
        router_logging=(LogLevel("", "debug"),), router_cpu_millis=1, router_memory_bytes=1, controller_cpu_millis=1,
        controller_memory_bytes=1, router="image", service_sync=True,
    )  # fmt: skip
    wanted = merged(asked, FOUND, names)
    assert {item.option for item in differences(FOUND, wanted)} == names - {"ingress"}
    assert differences(wanted, merged(asked, wanted, names)) == ()
