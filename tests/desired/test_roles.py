"""What a site has and has not, by its role: one that redeems claims, one that accepts no links, an edge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from skupper_podman.desired import names
from skupper_podman.desired.containers import claims_ports, controller_container, ingress_ports, router_container
from skupper_podman.desired.records import dump_spec, parse_spec
from skupper_podman.desired.resources import Mount, PublishedPort, Volume
from skupper_podman.desired.site import (
    SiteState,
    service_router_config,
    site_credentials,
    site_resources,
    site_router_config,
    site_volume_names,
)
from skupper_podman.errors import UsageError
from skupper_podman.model.service import Service
from skupper_podman.model.site import SiteSpec, check_site_ports
from skupper_podman.router.config import Entity, RouterConfig
from tests.desired.examples import BACKEND, LINK, RUNTIME, SPEC

EDGE = replace(SPEC, router_mode="edge", ingress="none", ingress_hosts=())
SECOND = replace(
    LINK, name="link2", annotations={**LINK.annotations, "edge-host": "192.0.2.20", "skupper.io/cost": "7"}
)


def claims_of(spec: SiteSpec) -> set[str]:
    """What of a site's controller and volumes is there for claims."""
    controller = controller_container(spec, RUNTIME)
    found = {mount.source for mount in controller.mounts} & {names.DEFAULT.claims, names.DEFAULT.site_ca}
    found |= {"port"} if controller.ports else set()
    found |= {"environment"} if "SKUPPER_CLAIMS_PORT" in controller.env else set()
    volumes = {item.name for item in site_resources(SiteState(spec, RUNTIME)) if isinstance(item, Volume)}
    assert volumes == set(site_volume_names(spec))
    return found | ({"volume"} if names.DEFAULT.claims in volumes else set())


def test_claims_need_the_authority_and_their_records_and_no_more() -> None:
    controller = controller_container(SPEC, RUNTIME)
    assert Mount(names.DEFAULT.site_ca, names.SITE_CA_PATH, read_only=True) in controller.mounts
    assert Mount(names.DEFAULT.claims, names.CLAIMS_PATH) in controller.mounts
    assert Mount(names.DEFAULT.gateways, names.GATEWAYS_PATH, read_only=True) in controller.mounts
    assert controller.ports == (PublishedPort(8081, 8081),)
    assert controller.env["SKUPPER_CLAIMS_PORT"] == "8081"
    assert names.DEFAULT.site_ca not in {mount.source for mount in router_container(SPEC, RUNTIME).mounts}
    other = replace(SPEC, claims_port=9443, bind_ips=("192.0.2.1", "192.0.2.2"))
    assert claims_ports(other) == (PublishedPort(8081, 9443, "192.0.2.1"), PublishedPort(8081, 9443, "192.0.2.2"))


@pytest.mark.parametrize(
    "spec",
    [replace(SPEC, claims_port=0), replace(SPEC, claims_port=None), replace(SPEC, ingress="none"), EDGE],
    ids=["none", "earlier", "no-ingress", "edge"],
)
def test_a_site_that_redeems_none_has_nothing_of_it(spec: SiteSpec) -> None:
    assert claims_of(SPEC) == {names.DEFAULT.claims, names.DEFAULT.site_ca, "port", "environment", "volume"}
    assert claims_of(spec) == set()


def test_the_description_of_an_earlier_release_stays_what_it_is() -> None:
    earlier = dump_spec(replace(SPEC, claims_port=None))
    assert b"claimsPort" not in earlier
    found = parse_spec(earlier)
    assert found is not None
    assert (found.claims_port, dump_spec(found)) == (None, earlier)
    for port in (0, 8081, 9443):
        again = parse_spec(dump_spec(replace(SPEC, claims_port=port)))
        assert again is not None
        assert again.claims_port == port


def test_every_port_is_one_thing() -> None:
    check_site_ports(replace(SPEC, claims_port=0))
    for change in ({"claims_port": 55671}, {"claims_port": 70000}, {"edge_port": 55671}, {"inter_router_port": 0}):
        with pytest.raises(UsageError):
            check_site_ports(replace(SPEC, **change))  # type: ignore[arg-type]


# -- edges


def connectors(config: RouterConfig) -> dict[str, Any]:
    return {item.text("name"): dict(item.attributes) for item in config.of_type("connector")}


def test_an_edge_links_as_an_edge_and_accepts_none() -> None:
    config = site_router_config(SiteState(EDGE, RUNTIME, (LINK, SECOND)))
    assert config.is_edge
    found = connectors(config)
    assert {name: (item["role"], item["host"], item["port"]) for name, item in found.items()} == {
        "link1": ("edge", "192.0.2.10", "45671"), "link2": ("edge", "192.0.2.20", "45671"),
    }  # fmt: skip
    assert {item.text("role") for item in config.of_type("listener")} <= {"", "normal"}
    assert ingress_ports(EDGE) == ()
    (server,) = (
        item
        for item in site_credentials(replace(EDGE, ingress_hosts=("x",)))
        if item.volume == names.DEFAULT.site_server
    )
    assert server.hosts == (names.DEFAULT.router,)


def test_services_of_an_edge_have_the_links_for_themselves() -> None:
    state = SiteState(EDGE, RUNTIME, (LINK, SECOND), (BACKEND,))
    config = service_router_config(state, BACKEND, site_router_config(state))
    found = connectors(config)
    assert {name: (item["role"], item["sslProfile"]) for name, item in found.items()} == {
        "link1": ("edge", "link1-profile"), "link2": ("edge", "link2-profile"),
    }  # fmt: skip
    profiles = {item.text("name") for item in config.of_type("sslProfile")}
    assert profiles == {"link1-profile", "link2-profile"}
    assert "uplink" not in found


def test_a_link_that_goes_leaves_the_services_too() -> None:
    before = SiteState(EDGE, RUNTIME, (LINK, SECOND), (BACKEND,))
    present = service_router_config(before, BACKEND, site_router_config(before))
    present = present.put(Entity.of("log", {"module": "SERVER", "enable": "debug"}))
    after = replace(before.without_link("link1"), configs={"backend": present})
    config = service_router_config(after, BACKEND, site_router_config(after))
    assert set(connectors(config)) == {"link2"}
    assert config.get("sslProfile", "link1-profile") is None
    assert config.get("log", "SERVER") is not None


def test_without_a_link_a_service_of_an_edge_is_alone() -> None:
    lone = Service("lone", (80,))
    state = SiteState(EDGE, RUNTIME, (), (lone,))
    assert connectors(service_router_config(state, lone, site_router_config(state))) == {}
