"""What init chooses by itself."""

from __future__ import annotations

import ipaddress
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.model.site import check_site_name
from skupper_podman.platform.podman.defaults import in_time, ingress_hosts, local_addresses, site_name, usable_address


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
