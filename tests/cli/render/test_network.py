"""Golden tests of ``network status`` (cli reference 3.4)."""

from skupper_podman.cli.render.network import network
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.networkrecords import Link, Router, RouterStatus, Site, SiteStatus

WEST = "a960b766-20bd-42c8-886d-741f3a9f6aa2"
EAST = "496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0"
HOST = "484cccc3-401c-4c30-a6ed-73382701b18a"
WEST_ROUTER = "west-skupper-router-5c5c5d6b9-abcde"
EAST_ROUTER = "east-skupper-router-7f7f7d8c9-fghij"


def kubernetes(identity: str, name: str, router: str, *links: Link) -> SiteStatus:
    site = Site(identity=identity, name=name, namespace=name, platform="kubernetes", version="1.9.6")
    details = Router(name=f"0/{router}", mode="interior", image_name="skupper-router", image_version="2.7.6")
    return SiteStatus(site, (RouterStatus(details, links),))


def link(name: str, direction: str, cost: int = 1) -> Link:
    return Link(name=name, direction=direction, cost=cost, mode="interior")


WEST_SITE = kubernetes(WEST, "west", WEST_ROUTER, link(EAST_ROUTER, "outgoing"))
EAST_SITE = kubernetes(EAST, "east", EAST_ROUTER, link(WEST_ROUTER, "incoming"), link("vm-user-c3d98", "incoming"))
HOST_SITE = SiteStatus(
    Site(identity=HOST, name="vm-user-c3d98", platform="podman", version="1.9.6"),
    (RouterStatus(Router(name="0/vm-user-c3d98", mode="interior"), (link(EAST_ROUTER, "outgoing"),)),),
)
THREE = NetworkStatus(sites=(WEST_SITE, EAST_SITE, HOST_SITE))


def shown(status: NetworkStatus, *, verbose: bool = False, local: str = WEST) -> str:
    return network(status, local, sites=status.sites, verbose=verbose)


def test_three_sites() -> None:
    # Linked sites come by name (1.9: in any order).
    assert shown(THREE) == (
        "Sites:\n"
        "├─ [local] a960b766-20bd-42c8-886d-741f3a9f6aa2(west) \n"
        "│  │ namespace: west\n"
        "│  │ site name: west\n"
        "│  │ version: 1.9.6\n"
        "│  ╰─ Linked sites:\n"
        "│     ╰─ 496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0(east)\n"
        "│        direction: outgoing\n"
        "├─ [remote] 496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0(east) \n"
        "│  │ namespace: east\n"
        "│  │ site name: east\n"
        "│  │ version: 1.9.6\n"
        "│  ╰─ Linked sites:\n"
        "│     ├─ 484cccc3-401c-4c30-a6ed-73382701b18a()\n"
        "│     │  direction: incoming\n"
        "│     ╰─ a960b766-20bd-42c8-886d-741f3a9f6aa2(west)\n"
        "│        direction: incoming\n"
        "╰─ [remote] 484cccc3-401c-4c30-a6ed-73382701b18a() \n"
        "   │ site name: vm-user-c3d98\n"
        "   │ version: 1.9.6\n"
        "   ╰─ Linked sites:\n"
        "      ╰─ 496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0(east)\n"
        "         direction: outgoing\n"
    )


def test_one_site_without_links() -> None:
    status = NetworkStatus(sites=(kubernetes(WEST, "west", WEST_ROUTER),))
    assert shown(status) == (
        "Sites:\n"
        "╰─ [local] a960b766-20bd-42c8-886d-741f3a9f6aa2(west) \n"
        "   namespace: west\n"
        "   site name: west\n"
        "   version: 1.9.6\n"
    )


def test_verbose() -> None:
    text = network(THREE, WEST, sites=(WEST_SITE,), verbose=True)
    assert text == (
        "Sites:\n"
        "╰─ [local] a960b766-20bd-42c8-886d-741f3a9f6aa2(west) \n"
        "   │ namespace: west\n"
        "   │ site name: west\n"
        "   │ version: 1.9.6\n"
        "   ├─ Linked sites:\n"
        "   │  ╰─ 496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0(east)\n"
        "   │     direction: outgoing\n"
        "   ╰─ Routers:\n"
        "      ╰─ name: west-skupper-router-5c5c5d6b9-abcde\n"
        "         │ image name: skupper-router\n"
        "         │ image version: 2.7.6\n"
        "         ╰─ Links:\n"
        "            ╰─ name:  east-skupper-router-7f7f7d8c9-fghij\n"
        "               cost: 1\n"
        "               direction: outgoing\n"
    )


def test_versions_and_gateways() -> None:
    odd = SiteStatus(Site(identity=HOST, name="a", version="1.4.0", minimum_version="1.6.0"))
    gateway = SiteStatus(Site(identity="gateway_x", name="g"))
    lines = shown(NetworkStatus(sites=(odd, gateway))).splitlines()
    assert "│  version: 1.4.0 (minimum version required 1.6.0)" in lines
    assert "╰─  gateway_x() " in lines
    assert lines[-1] == "   version: -"


def test_link_to_an_unknown_router_names_it() -> None:
    status = NetworkStatus(sites=(kubernetes(WEST, "west", WEST_ROUTER, link("elsewhere", "outgoing")),))
    assert "unknown site (router elsewhere)\n" in shown(status)


def test_no_sites() -> None:
    assert shown(NetworkStatus()) == "Sites:\n"
