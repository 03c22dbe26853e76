"""Golden tests of ``service status`` (cli reference 3.3)."""

from dataclasses import replace

from skupper_podman.cli.render.services import Options, services
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.networkrecords import Address, Connector, Listener, Router, RouterStatus, Site, SiteStatus
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.model.status import ServiceStatus

WEST = "a960b766-20bd-42c8-886d-741f3a9f6aa2"
EAST = "496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0"
HOST = "484cccc3-401c-4c30-a6ed-73382701b18a"
BACKEND = ServiceStatus(Service("backend", (8080,)), "ok", reachable=True)
DB = ServiceStatus(Service("db", (5432,)), "ok", reachable=True)


def site(identity: str, namespace: str, policy: str, addresses: dict[str, str | None]) -> SiteStatus:
    """A site that listens for the addresses, and has a connector for those with a target name."""
    listeners = tuple(Listener(address=address) for address in addresses)
    connectors = tuple(
        Connector(address=address, target=target) for address, target in addresses.items() if target is not None
    )
    router = RouterStatus(Router(name="0/r"), listeners=listeners, connectors=connectors)
    return SiteStatus(Site(identity=identity, name=namespace, namespace=namespace, policy=policy), (router,))


ADDRESSES = (Address(name="backend:8080", protocol="tcp"), Address(name="db:5432", protocol="tcp"))
NETWORK = NetworkStatus(
    ADDRESSES,
    (
        site(WEST, "west", "disabled", {"backend:8080": None, "db:5432": None}),
        site(EAST, "east", "disabled", {"backend:8080": "backend-9d84544df-rbzjx", "db:5432": None}),
    ),
)


def test_list() -> None:
    assert services([BACKEND, DB], NETWORK, Options()) == (
        "Services exposed through Skupper:\n"  #
        "├─ backend:8080 (tcp)\n"
        "╰─ db:5432 (tcp)\n"
    )


def test_none() -> None:
    assert services([], NETWORK, Options()) == "No services defined\n"


def test_verbose() -> None:
    assert services([BACKEND, DB], NETWORK, Options(verbose=True)) == (
        "Services exposed through Skupper:\n"
        "├─ backend:8080 (tcp)\n"
        "│  ╰─ Sites:\n"
        "│     ├─ a960b766-20bd-42c8-886d-741f3a9f6aa2(west)\n"
        "│     │  policy: disabled\n"
        "│     ╰─ 496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0(east)\n"
        "│        │ policy: disabled\n"
        "│        ╰─ Targets:\n"
        "│           ╰─ backend:8080 name=backend-9d84544df-rbzjx\n"
        "╰─ db:5432 (tcp)\n"
        "   ╰─ Sites:\n"
        "      ├─ a960b766-20bd-42c8-886d-741f3a9f6aa2(west)\n"
        "      │  policy: disabled\n"
        "      ╰─ 496ca1de-0c80-4e70-bbb4-d0d6ec2a09c0(east)\n"
        "         policy: disabled\n"
    )


def test_own_podman_site_shows_its_own_sections() -> None:
    service = Service(
        "backend",
        (8080,),
        targets=(Target("10.0.0.1", ((8080, 9090),)),),
        host_ports=HostPorts("", ((8080, 18080),)),
    )
    network = NetworkStatus(ADDRESSES, (site(HOST, "", "", {"backend:8080": "t"}),))
    text = services([ServiceStatus(service, "ok")], network, Options(verbose=True, local_site=HOST))
    assert text == (
        "Services exposed through Skupper:\n"
        "╰─ backend:8080 (tcp)\n"
        "   ╰─ Sites:\n"
        "      ╰─ 484cccc3-401c-4c30-a6ed-73382701b18a\n"
        "         │ policy: -\n"
        "         ├─ Host ports:\n"
        "         │  ╰─ ip: * - ports: 18080 -> 8080\n"
        "         ╰─ Targets:\n"
        "            ╰─ host: 10.0.0.1 - ports: map[8080:9090]\n"
    )


def test_target_without_a_name_has_a_trailing_blank() -> None:
    network = NetworkStatus(ADDRESSES, (site(EAST, "east", "", {"backend:8080": ""}),))
    assert "╰─ backend:8080 \n" in services([BACKEND], network, Options(verbose=True))


def test_labels() -> None:
    labelled = replace(BACKEND, service=replace(BACKEND.service, labels={"team": "a", "app": "backend"}))
    assert services([labelled, DB], NETWORK, Options(show_labels=True)) == (
        "Services exposed through Skupper:\n"
        "├─ backend:8080 (tcp)\n"
        "│  ╰─ Labels:\n"
        "│     ├─ app=backend\n"
        "│     ╰─ team=a\n"
        "╰─ db:5432 (tcp)\n"
    )


def test_order_and_protocol_are_those_of_the_network() -> None:
    network = NetworkStatus((Address(name="db:5432", protocol="http1"),))
    assert services([BACKEND, DB], network, Options()).splitlines()[1:] == [
        "├─ db:5432 (http1)",
        "╰─ backend:8080 (tcp)",
    ]


def test_what_is_wrong_is_said() -> None:
    failing = replace(BACKEND, health="failing", detail="container backend is exited", fix="skupper init")
    assert services([failing], NETWORK, Options()).splitlines()[1:] == [
        "╰─ backend:8080 (tcp)",
        "   health: failing: container backend is exited",
        "   next: skupper init",
    ]
    lonely = replace(BACKEND, reachable=False, detail="no target anywhere")
    assert services([lonely], NETWORK, Options()).splitlines()[2] == "   note: no target anywhere"
