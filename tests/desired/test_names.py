"""What named sites call their things: told apart, found again, and the names of 1.9 for the site without one."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.desired import names
from skupper_podman.desired.names import DEFAULT, Names
from skupper_podman.desired.resources import Authority, Container, Credential, Network, Volume, VolumeFile
from skupper_podman.desired.site import site_resources
from skupper_podman.errors import UsageError
from skupper_podman.model.namespace import check_namespace
from skupper_podman.model.service import Service
from tests.desired.examples import BACKEND, PUBLISHED, SPEC, STATE

NAMESPACES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
LINKS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True)
PODMAN = r"[a-zA-Z0-9][a-zA-Z0-9_.-]*"
BLUE = replace(STATE, spec=replace(SPEC, namespace="blue", network=Names("blue").network))


def test_the_site_without_a_name_has_the_names_of_1_9() -> None:
    assert DEFAULT.components == ("skupper-router", "skupper-controller-podman")
    assert DEFAULT.labels == {"application": "skupper"}
    assert (DEFAULT.network, DEFAULT.internal, DEFAULT.claims) == ("skupper", "skupper-internal", "skupper-claims")
    assert DEFAULT.service(BACKEND) == "backend"
    assert DEFAULT.service(PUBLISHED) == "front"
    assert len(DEFAULT.site_volumes) == len(set(DEFAULT.site_volumes)) == 17


def test_a_named_site_adds_its_name_everywhere() -> None:
    blue = Names("blue")
    assert blue.components == ("skupper-router.blue", "skupper-controller-podman.blue")
    assert blue.labels == {"application": "skupper.blue"}
    assert blue.site_volumes == tuple(f"{name}.blue" for name in DEFAULT.site_volumes)
    assert blue.service(BACKEND) == "backend.blue"
    assert blue.service(PUBLISHED) == "front"  # asked for by a person, so it is taken literally
    assert blue.is_component("skupper-router.blue", {"skupper.io/component.blue": "skupper-router"})
    assert not blue.is_component("skupper-router", {"skupper.io/component.blue": "skupper-router"})
    assert not blue.is_component("skupper-router.blue", {"skupper.io/component": "skupper-router"})


def test_no_resource_of_a_named_site_is_called_as_one_of_another() -> None:
    """All that a named site has on its host differs in name and label from what the other one has."""

    def on_host(resources: tuple[object, ...]) -> set[str]:
        kinds = (Network, Volume, Container)
        return {item.name for item in resources if isinstance(item, kinds)} - {"front"}

    plain, blue = site_resources(STATE), site_resources(BLUE)
    assert on_host(blue) == {f"{name}.blue" for name in on_host(plain)}
    for item in blue:
        if isinstance(item, Network | Volume | Container):
            assert item.labels["application"] == "skupper.blue", item
            # By any of these, 1.9 would take it for its own.
            assert not item.labels.keys() & {f"skupper.io/{kind}" for kind in ("component", "address", "type")}, item
        if isinstance(item, VolumeFile):
            assert item.volume.endswith(".blue"), item
        if isinstance(item, Credential):
            assert item.volume.endswith(".blue"), item
            assert item.authority.endswith(".blue"), item
        if isinstance(item, Authority):
            assert item.name.endswith(".blue"), item
        if isinstance(item, Container):
            own = [mount.source for mount in item.mounts if not mount.source.startswith("/")]
            assert all(source.endswith(".blue") for source in own), item
            assert item.network == "skupper.blue"


def test_inside_its_network_a_named_site_is_like_any_other() -> None:
    """Names seen by containers, certificates and routers are those of every site, so that all tools work in it."""

    def containers(state: object) -> dict[str, Container]:
        found = site_resources(state)  # type: ignore[arg-type]
        return {item.name.removesuffix(".blue"): item for item in found if isinstance(item, Container)}

    plain, blue = containers(STATE), containers(BLUE)
    for name, item in plain.items():
        assert set(item.aliases) <= set(blue[name].aliases)
        assert item.env == blue[name].env
        assert [mount.target for mount in item.mounts] == [mount.target for mount in blue[name].mounts]
    hosts = [
        {(item.common_name, item.hosts) for item in site_resources(state) if isinstance(item, Credential)}
        for state in (STATE, BLUE)
    ]
    assert hosts[0] == hosts[1]


@given(NAMESPACES | st.just(""), NAMESPACES | st.just(""), LINKS, LINKS)
def test_two_sites_never_share_a_name(first: str, second: str, one: str, other: str) -> None:
    a, b = Names(first), Names(second)
    if first != second:
        assert a.own(one) != b.own(other)
        assert not a.owns(b.labels)
    assert a.plain(a.own(one)) == one
    assert Names.of_labels(a.labels) == a


@given(NAMESPACES, st.from_regex(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))
def test_names_are_good_for_podman_and_for_dns(namespace: str, address: str) -> None:
    names = Names(namespace)
    for name in (*names.components, *names.site_volumes, names.network, names.service(Service(address, (1,)))):
        assert re.fullmatch(PODMAN, name)
        assert len(name) < 250
        assert all(0 < len(part) <= 63 for part in name.split("."))


@pytest.mark.parametrize("labels", [{}, {"application": "other"}, {"application": "skupper-v2"}, {"app": "skupper"}])
def test_what_is_no_sites(labels: dict[str, str]) -> None:
    assert Names.of_labels(labels) is None


@given(NAMESPACES)
def test_good_names_are_taken(name: str) -> None:
    assert check_namespace(name) == ("" if name == "default" else name)


@pytest.mark.parametrize("name", ["A", "a_b", "a.b", "-a", "a-", "a b", "é", "a" * 64, "a\n", "..", "a/b"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="invalid namespace") as caught:
        check_namespace(name)
    assert "\n" not in caught.value.message


def test_containers_that_made_way_are_known() -> None:
    assert names.is_aside(names.aside("skupper-router", "0a1b2c"))
    assert names.is_aside(names.aside("backend-replaced-", "ffffff"))
    for name in ("skupper-router", "my-replaced-service", "x-replaced-0a1b2", "x-replaced-0a1b2c-y", "-replaced-"):
        assert not names.is_aside(name)
