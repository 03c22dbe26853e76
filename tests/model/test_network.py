"""The network status document: bytes in and out, and every derived answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.model.network import Connections, NetworkStatus, NetworkStatusError
from skupper_podman.model.networkrecords import Address, Link, Listener, Records, Router, RouterStatus, Site, SiteStatus
from tests.model.network_example import ADDRESS, LOCAL, TEXT, WEST

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["addresses", "siteStatus", "site", "routerStatus", "router", "links", "listeners", "name", "identity"]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


def site(name: str, *routers: RouterStatus, platform: str = "podman", identity: str = "") -> SiteStatus:
    return SiteStatus(Site(identity=identity or f"id-{name}", name=name, platform=platform), routers)


def router(name: str, *links: Link, mode: str = "interior") -> RouterStatus:
    return RouterStatus(Router(name=f"0/{name}", mode=mode), links)


def out(peer: str, mode: str = "interior") -> Link:
    return Link(name=peer, direction="outgoing", mode=mode, cost=1 if mode == "interior" else 0)


def incoming(peer: str) -> Link:
    return Link(name=peer, direction="incoming", mode="interior", cost=1)


def names(linked: object) -> list[tuple[str, str]]:
    return [(item.site.name if item.site else "?", item.direction) for item in linked]  # type: ignore[attr-defined]


def test_document_of_another_writer_is_reproduced_byte_for_byte() -> None:
    assert NetworkStatus.parse(TEXT).dump(LOCAL) == TEXT


def test_local_site_comes_first_and_the_rest_by_name() -> None:
    network = NetworkStatus(sites=(site("b"), site("c"), site("a")))
    assert [item["site"]["name"] for item in network.to_json("id-c")["siteStatus"]] == ["c", "a", "b"]


def test_empty_network_dumps_nulls() -> None:
    assert NetworkStatus().dump() == '{"addresses":null,"siteStatus":null}'
    assert NetworkStatus.parse('{"addresses":null}') == NetworkStatus()


@pytest.mark.parametrize("key", ["nameSpace", "namespace", "NAMESPACE"])
def test_namespace_is_read_in_any_case_and_written_in_one(key: str) -> None:
    network = NetworkStatus.parse(json.dumps({"siteStatus": [{"site": {"identity": "i", key: "west"}}]}))
    assert network.sites[0].site.namespace == "west"
    assert '"nameSpace":"west"' in network.dump()


def test_nulls_unknown_keys_and_wrong_types_do_no_harm() -> None:
    document = {
        "addresses": [None, 7, {"name": "db:1", "listenerCount": "two", "extra": []}],
        "siteStatus": [{"site": None, "routerStatus": None}, {"routerStatus": [{"router": None, "links": [3]}]}, "x"],
    }
    network = NetworkStatus.parse(json.dumps(document))
    assert network.addresses == (Address(name="db:1"),)
    assert network.sites == (SiteStatus(Site()), SiteStatus(Site(), (RouterStatus(Router()),)))


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "null", '{"a":', "[" * 100_000, "\udcff", "1" * 5000])
def test_anything_but_an_object_is_refused_with_one_error(text: str) -> None:
    with pytest.raises(NetworkStatusError, match="invalid network status"):
        NetworkStatus.parse(text)


@given(JSON)
def test_any_json_parses_or_is_refused_and_parsing_is_stable(document: object) -> None:
    try:
        network = NetworkStatus.parse(json.dumps(document))
    except NetworkStatusError:
        assert not isinstance(document, dict)
        return
    again = NetworkStatus.parse(network.dump())
    assert again.dump() == network.dump()
    for status in network.sites:
        network.linked_sites(status.site.identity)
        network.incoming_links(status.site.identity)
        assert network.connections(status.site.identity).indirect >= 0


def test_displayable_routers_hide_the_proxies_of_services() -> None:
    network = NetworkStatus.parse(TEXT)
    local, west = network.site(LOCAL), network.site(WEST)
    assert local is not None and west is not None
    assert [item.router.id for item in local.displayable_routers] == ["host1-alice-3f2a1"]
    assert [item.router.id for item in west.displayable_routers] == ["west-skupper-router-7b45b6b8f4-52tjs"]


def test_site_without_a_usual_router_shows_what_it_has() -> None:
    assert site("a", platform="").displayable_routers == ()
    odd = site("a", router("zz"), router("proxy", mode="edge"), platform="")
    assert [item.router.id for item in odd.displayable_routers] == ["zz"]
    edge = site("a", router("proxy", mode="edge"))
    assert [item.router.id for item in edge.displayable_routers] == ["proxy"]
    gateway = site("gw", router("skupper-gateway-gw-host"), platform="")
    assert len(gateway.displayable_routers) == 1


def test_linked_sites_of_both_ends() -> None:
    network = NetworkStatus.parse(TEXT)
    assert names(network.linked_sites(LOCAL)) == [("west", "outgoing")]
    assert names(network.linked_sites(WEST)) == [("host1-alice-3f2a1", "incoming")]
    assert network.connections(LOCAL) == Connections(1, 1)


def test_links_inside_a_site_are_hidden() -> None:
    network = NetworkStatus.parse(TEXT)
    main, proxy = network.sites[0].routers
    assert [link.peer for link in network.links_to_other_sites(main)] == ["west-skupper-router-7b45b6b8f4-52tjs"]
    assert network.links_to_other_sites(proxy) == ()


def test_edge_site_is_a_linked_site_and_an_incoming_link_without_a_record_of_ours() -> None:
    network = NetworkStatus(sites=(site("hub", router("hub")), site("leaf", router("leaf", out("hub", "edge")))))
    assert names(network.linked_sites("id-hub")) == [("leaf", "incoming")]
    (link,) = network.incoming_links("id-hub")
    assert (link.router, link.mode, link.site and link.site.name) == ("leaf", "edge", "leaf")
    assert network.incoming_links("id-leaf") == ()


def test_routers_of_services_on_an_edge_site_add_no_links() -> None:
    leaf = site("leaf", router("leaf", out("hub", "edge")), router("leaf-web", out("hub", "edge")))
    network = NetworkStatus(sites=(site("hub", router("hub")), leaf))
    assert [link.router for link in network.incoming_links("id-hub")] == ["leaf"]
    assert [item.routers for item in network.linked_sites("id-hub")] == [("leaf",)]


def test_link_name_is_compared_whole() -> None:
    network = NetworkStatus(sites=(site("a", router("a")), site("ab", router("ab")), site("c", router("c", out("a")))))
    assert names(network.linked_sites("id-ab")) == []
    assert names(network.linked_sites("id-a")) == [("c", "incoming")]


def test_links_in_both_directions_give_one_site_with_both() -> None:
    network = NetworkStatus(
        sites=(site("a", router("a", out("b"), incoming("b"))), site("b", router("b", out("a"), incoming("a"))))
    )
    assert names(network.linked_sites("id-a")) == [("b", "outgoing, incoming")]
    assert [link.router for link in network.incoming_links("id-a")] == ["b"]


def test_unknown_peer_is_reported_and_not_counted() -> None:
    network = NetworkStatus(sites=(site("a", router("a", out("ghost"), incoming("spook"))), site("z")))
    assert [(item.site, item.routers) for item in network.linked_sites("id-a")] == [
        (None, ("ghost",)),
        (None, ("spook",)),
    ]
    assert network.connections("id-a") == Connections(1, 0)
    assert [(item.router, item.site) for item in network.incoming_links("id-a")] == [("spook", None)]


def test_indirect_connections() -> None:
    network = NetworkStatus(
        sites=(site("a", router("a", out("b"))), site("b", router("b", out("c"))), site("c", router("c")))
    )
    assert network.connections("id-a").indirect == 1
    assert network.connections("id-b") == Connections(2, 2)
    assert network.connections("unknown") == Connections(3, 0)


def test_sites_of_a_service() -> None:
    network = NetworkStatus.parse(TEXT)
    sites = network.service_sites("backend:8080")
    assert [(item.site.identity, len(item.listeners), len(item.connectors)) for item in sites] == [
        (LOCAL, 1, 0),
        (WEST, 1, 1),
    ]
    assert sites[1].connectors[0].target == "backend-9d84544df-rbzjx"
    assert network.service_sites("other:1") == ()
    address = network.address("backend:8080")
    assert address is not None and (address.identity, address.listener_count) == (ADDRESS, 2)
    assert [item.site.name for item in network.sites_named("west")] == [item.site.name for item in sites[1:]]


def test_records_are_built_when_they_are_looked_at() -> None:
    document = {"address": "a:1", "destHost": "h", "flowCountL4": "no number"}
    records = Records(Listener, [document, {}])
    assert len(records) == 2
    built = (Listener(address="a:1", host="h"), Listener())
    assert records == built
    assert records == Records(Listener, [document, {"unknown": 1}])
    assert records != built[:1]
    assert (records[0], records[1:]) == (built[0], built[1:])
    assert hash(RouterStatus(Router(), (), records)) == hash(RouterStatus(Router(), (), built))
    assert repr(records) == repr(built)
