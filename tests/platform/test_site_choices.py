"""What init chooses by itself, and how it compares an existing site with what is asked for."""

from __future__ import annotations

import ipaddress
import re
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.errors import ConflictError
from skupper_podman.model.site import LogLevel, SiteSpec, check_site_name
from skupper_podman.platform.podman.defaults import in_time, ingress_hosts, local_addresses, site_name, usable_address
from skupper_podman.platform.podman.options import check_same

FOUND = SiteSpec(
    "host-user-1a2b3", "id", ingress_hosts=("a", "b"), inter_router_port=1, router_logging=(LogLevel("", "info"),)
)
PLAIN = SiteSpec("", "")


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_default_name_is_a_valid_one(hostname: str, user: str) -> None:
    assert check_site_name(site_name(hostname, user))


def test_default_name_is_host_user_and_a_number() -> None:
    assert re.fullmatch(r"host1-alice-[0-9a-f]{5}", site_name("host1", "Alice"))


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "fe80::1%eth0", "169.254.1.1", "0.0.0.0", "224.0.0.1", "x", ""])
def test_addresses_nobody_else_can_use(text: str) -> None:
    assert usable_address(text) is None


@pytest.mark.parametrize("text", ["192.0.2.1", "10.0.0.1", "2001:db8::1"])
def test_usable_addresses(text: str) -> None:
    assert str(usable_address(text)) == text


def test_hosts_of_this_machine() -> None:
    addresses = local_addresses()
    assert all(ipaddress.ip_address(address) for address in addresses)
    hosts = ingress_hosts()
    assert set(addresses) <= set(hosts)
    assert len(set(hosts)) == len(hosts)
    assert not any(host.endswith(".") or host.startswith("localhost") for host in hosts)


def test_a_lookup_that_hangs_is_left_behind() -> None:
    forever = threading.Event()

    def hang() -> str:
        forever.wait(60)
        return "late"

    def fail() -> str:
        raise OSError("no such name")

    assert in_time([lambda: "found", hang, fail], 0.1, "") == ["found", "", ""]
    forever.set()


def test_nothing_asked_is_no_conflict() -> None:
    check_same(PLAIN, FOUND)
    check_same(FOUND, FOUND)
    check_same(replace(PLAIN, router_logging=(LogLevel("DEFAULT", "info+"),)), FOUND)
    check_same(replace(PLAIN, ingress="none"), replace(FOUND, ingress="none"))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (replace(PLAIN, name="other"), "--site-name is host-user-1a2b3, not other"),
        (replace(PLAIN, ingress_hosts=("b", "a")), "--ingress-host is a,b, not b,a"),
        (replace(PLAIN, edge_port=7), "--bind-port-edge is 45671, not 7"),
        (replace(PLAIN, network="n"), "--container-network is skupper, not n"),
        (replace(PLAIN, router_logging=(LogLevel("ROUTER", "debug"),)), "--router-logging is info, not ROUTER:debug"),
        (replace(PLAIN, labels={"a": "b"}), "--labels is none, not a=b"),
        (replace(PLAIN, router="image"), "--router is auto, not image"),
    ],
)
def test_each_difference_is_named(asked: SiteSpec, words: str) -> None:
    with pytest.raises(ConflictError) as caught:
        check_same(asked, FOUND)
    assert words in caught.value.message
