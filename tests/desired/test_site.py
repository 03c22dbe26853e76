"""The resources of a site, against the documents of the podman-site reference and its invariants I1 to I10."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from skupper_podman.desired import names
from skupper_podman.desired.containers import controller_container, router_container, service_container
from skupper_podman.desired.records import SERVICE_FILE, dump_placement, dump_spec, origin_in, parse_spec, placed
from skupper_podman.desired.resources import (
    Authority,
    Container,
    Credential,
    Mount,
    Network,
    PublishedPort,
    Resource,
    Volume,
    VolumeFile,
)
from skupper_podman.desired.services import parse_resolver
from skupper_podman.desired.site import (
    SiteState,
    service_router_config,
    site_resources,
    site_router_config,
)
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.model.site import SiteSpec
from skupper_podman.router.config import Entity, RouterConfig
from tests.desired.examples import BACKEND, IMAGE, LINK, PUBLISHED, RUNTIME, SITE_ID, SPEC, STATE, TLS

PROFILES = "/etc/skupper-router-certs"


def of_kind(kind: type[Any], resources: tuple[Resource, ...]) -> dict[str, Any]:
    return {resource.name: resource for resource in resources if isinstance(resource, kind)}


def files(resources: tuple[Resource, ...]) -> dict[str, VolumeFile]:
    found = (resource for resource in resources if isinstance(resource, VolumeFile))
    return {f"{file.volume}:{file.path}": file for file in found}


RESOURCES = site_resources(STATE)
VOLUMES: dict[str, Volume] = of_kind(Volume, RESOURCES)
CONTAINERS: dict[str, Container] = of_kind(Container, RESOURCES)
FILES = files(RESOURCES)


def profile(name: str) -> list[Any]:
    return [
        "sslProfile",
        {
            "name": name,
            "caCertFile": f"{PROFILES}/{name}/ca.crt",
            "certFile": f"{PROFILES}/{name}/tls.crt",
            "privateKeyFile": f"{PROFILES}/{name}/tls.key",
        },
    ]


METADATA = f'{{"id":"{SITE_ID}","version":"1.9.6","platform":"podman"}}'
SITE_CONFIG = [
    ["router", {"helloMaxAgeSeconds": "3", "id": SPEC.name, "metadata": METADATA, "mode": "interior"}],
    profile("skupper-amqps"),
    ["sslProfile", {"name": "skupper-service-client", "caCertFile": f"{PROFILES}/skupper-service-client/ca.crt"}],
    profile("skupper-internal"),
    profile("link1-profile"),
    [
        "connector",
        {
            "name": "link1", "role": "inter-router", "host": "192.0.2.10", "port": "55671", "cost": 1,
            "sslProfile": "link1-profile", "verifyHostname": True,
        },
    ],
    [
        "listener",
        {"name": "@9090", "role": "normal", "port": 9090, "http": True, "httpRootDir": "disabled", "healthz": True,
         "metrics": True},
    ],
    ["listener", {"name": "amqp", "host": "localhost", "port": 5672}],
    [
        "listener",
        {"name": "amqps", "port": 5671, "sslProfile": "skupper-amqps", "saslMechanisms": "EXTERNAL",
         "authenticatePeer": True},
    ],
    [
        "listener",
        {"name": "interior-listener", "role": "inter-router", "port": 55671, "sslProfile": "skupper-internal",
         "saslMechanisms": "EXTERNAL", "authenticatePeer": True, "maxFrameSize": 16384, "maxSessionFrames": 640},
    ],
    [
        "listener",
        {"name": "edge-listener", "role": "edge", "port": 45671, "sslProfile": "skupper-internal",
         "saslMechanisms": "EXTERNAL", "authenticatePeer": True, "maxFrameSize": 16384, "maxSessionFrames": 640},
    ],
    ["address", {"prefix": "mc", "distribution": "multicast"}],
    ["log", {"module": "DEFAULT", "enable": "info+"}],
]  # fmt: skip


def ordered(document: Any) -> list[Any]:
    return sorted(document, key=lambda pair: (pair[0], str(pair[1].get("name") or pair[1])))


def test_router_configuration_is_the_reference_example() -> None:
    written = FILES["skupper-internal:skrouterd.json"].content.decode()
    assert ordered(json.loads(written)) == ordered(SITE_CONFIG)
    assert written.startswith('[\n    [\n        "router",\n        {\n            "helloMaxAgeSeconds": "3",')
    assert not written.endswith("\n")


def test_service_router_configuration_is_the_reference_example() -> None:
    state = SiteState(SPEC, RUNTIME)
    service = replace(BACKEND, tls_credentials="skupper-tls-backend")
    found = json.loads(service_router_config(state, service, site_router_config(state)).dump())
    assert ordered(found) == ordered(
        [
            ["router", {"helloMaxAgeSeconds": "3", "id": f"{SPEC.name}-backend", "metadata": METADATA, "mode": "edge"}],
            profile("skupper-internal"),
            profile("skupper-tls-backend"),
            [
                "connector",
                {"name": "uplink", "role": "edge", "host": "skupper-router", "port": "45671",
                 "sslProfile": "skupper-internal"},
            ],
            ["listener", {"name": "amqp", "host": "127.0.0.1", "port": 5672}],
            [
                "tcpConnector",
                {"name": "backend@backend-target:8080:9090", "address": "backend:8080", "host": "backend-target",
                 "port": "9090", "siteId": f"{SITE_ID}-backend", "sslProfile": "skupper-tls-backend",
                 "verifyHostname": False},
            ],
            [
                "tcpListener",
                {"name": "backend:8080", "address": "backend:8080", "host": "backend", "port": "8080",
                 "siteId": SITE_ID, "sslProfile": "skupper-tls-backend"},
            ],
            ["log", {"module": "DEFAULT", "enable": "info+"}],
        ]
    )  # fmt: skip


def test_services_file_is_the_reference_example() -> None:
    state = SiteState(SPEC, RUNTIME, services=(BACKEND,))
    written = files(site_resources(state))["skupper-services:skupper-services.json"].content.decode()
    assert written == (
        '{"backend":{"address":"backend","protocol":"tcp","ports":[8080],"exposeIngress":"","labels":{"team":"a"},'
        '"targets":[{"name":"*domain.EgressResolverHost={\\"host\\":\\"backend-target\\",\\"ports\\":{\\"8080\\":9090}}",'
        '"targetPorts":{"8080":9090},"service":"backend-target"}]}}'
    )


def test_router_container_is_the_reference_example() -> None:
    container = router_container(SPEC, IMAGE)
    assert container.name == "skupper-router"
    assert container.image == "quay.io/skupper/skupper-router:2.7.6"
    assert container.command == ()
    assert container.env == {
        "APPLICATION_NAME": "skupper-router",
        "QDROUTERD_CONF": "/etc/skupper-router/config/skrouterd.json",
        "QDROUTERD_CONF_TYPE": "json",
        "SKUPPER_SITE_ID": SITE_ID,
    }
    assert container.labels == {"application": "skupper", "skupper.io/component": "skupper-router"}
    assert container.aliases == ("skupper-router", "skupper-router-local")
    assert container.ports == (PublishedPort(55671, 55671), PublishedPort(45671, 45671))
    assert {
        Mount("skupper-internal", "/etc/skupper-router/config"),
        Mount("skupper-router-certs", "/etc/skupper-router-certs"),
        Mount("skupper-local-server", "/etc/skupper-router-certs/skupper-amqps"),
        Mount("skupper-site-server", "/etc/skupper-router-certs/skupper-internal"),
    } <= set(container.mounts)
    assert not container.selinux_disabled


def test_embedded_router_sees_the_host() -> None:
    container = router_container(SPEC, RUNTIME)
    assert Mount("/usr", "/usr", read_only=True) in container.mounts
    assert container.selinux_disabled


def test_bind_addresses_and_ports() -> None:
    spec = replace(SPEC, bind_ips=("192.0.2.5", "192.0.2.6"), inter_router_port=1671, edge_port=1672)
    assert set(router_container(spec, IMAGE).ports) == {
        PublishedPort(55671, 1671, "192.0.2.5"),
        PublishedPort(45671, 1672, "192.0.2.5"),
        PublishedPort(55671, 1671, "192.0.2.6"),
        PublishedPort(45671, 1672, "192.0.2.6"),
    }
    assert router_container(replace(spec, ingress="none"), IMAGE).ports == ()


def test_no_container_gets_the_podman_socket() -> None:
    for container in CONTAINERS.values():
        assert not any("sock" in mount.source or "/run" in mount.source for mount in container.mounts)


def test_service_container() -> None:
    container = service_container(SPEC, IMAGE, PUBLISHED)
    assert container.name == "front"
    assert container.aliases == ("front", "web")
    assert container.labels == {"application": "skupper", "skupper.io/address": "web"}
    assert container.ports == (PublishedPort(80, 8080, "127.0.0.1"), PublishedPort(443, 8443, "127.0.0.1"))
    assert container.env["QDROUTERD_CONF"] == "/etc/skupper-router/config/web/skrouterd.json"
    assert container.env["APPLICATION_NAME"] == SITE_ID
    assert set(container.mounts) == set(router_container(SPEC, IMAGE).mounts)
    assert "skupper.io/component" not in container.labels


def test_a_service_label_never_hides_ours() -> None:
    service = Service("x", (1,), labels={"application": "mine", "skupper.io/address": "other", "team": "a"})
    labels = service_container(SPEC, RUNTIME, service).labels
    assert labels == {"application": "skupper", "skupper.io/address": "x", "team": "a"}


# The invariants by which the Go command line of 1.9 takes a site for one (podman-site reference)


def test_i1_router_metadata_has_id_and_version() -> None:
    config = RouterConfig.parse(FILES["skupper-internal:skrouterd.json"].content.decode())
    assert json.loads(config.router.text("metadata")) == {"id": SITE_ID, "version": "1.9.6", "platform": "podman"}


def test_i2_i3_authorities_and_credentials_are_labelled() -> None:
    by_type: dict[str, set[str]] = {}
    for volume in VOLUMES.values():
        assert volume.labels["application"] == "skupper"
        by_type.setdefault(volume.labels.get("skupper.io/type", ""), set()).add(volume.name)
    assert by_type["CertAuthority"] == {"skupper-local-ca", "skupper-site-ca", "skupper-service-ca"}
    assert by_type["Credential"] == {
        "skupper-local-server", "skupper-local-client", "skupper-service-client", "skupper-console-certs",
        "skupper-site-server",
    }  # fmt: skip
    assert by_type["connection-token"] == {"link1"}
    assert VOLUMES["skupper-local-ca"].labels["internal.skupper.io/metadata"] == (
        '{"name":"skupper-local-ca","creationTimestamp":null}'
    )
    issued = [resource for resource in RESOURCES if isinstance(resource, Authority | Credential)]
    assert len(issued) == 3 + 5 + 1


def test_i4_i5_components() -> None:
    for name in ("skupper-router", "skupper-controller-podman"):
        assert CONTAINERS[name].labels["skupper.io/component"] == name
    assert all(container.network == "skupper" for container in CONTAINERS.values())
    assert controller_container(SPEC, RUNTIME).aliases == ("skupper", "skupper-controller-podman")


def test_i6_hosts_of_the_site_server() -> None:
    found = [item for item in RESOURCES if isinstance(item, Credential) and item.volume == "skupper-site-server"]
    assert found == [
        Credential(
            "skupper-site-server", "skupper-site-ca", "skupper-router",
            ("skupper-router", "host1.example.com", "192.0.2.5"),
        )
    ]  # fmt: skip


def test_i8_i9_every_local_service_has_a_container_and_resolvers() -> None:
    document = json.loads(FILES["skupper-services:skupper-services.json"].content)
    addresses = {container.labels.get("skupper.io/address") for container in CONTAINERS.values()} - {None}
    assert set(document) == addresses == {"backend", "secure", "web"}
    for entry in document.values():
        for target in entry["targets"]:
            assert parse_resolver(target["name"]) is not None


def test_i10_link_volume() -> None:
    labels = VOLUMES["link1"].labels
    assert labels["skupper.io/type"] == "connection-token"
    metadata = json.loads(labels["internal.skupper.io/metadata"])
    assert metadata["annotations"] == dict(LINK.annotations)
    assert FILES["link1:tls.key"].mode == 0o600
    assert FILES["skupper-router-certs:link1-profile/tls.key"].mode == 0o600
    assert FILES["skupper-router-certs:link1-profile/ca.crt"].content == b"CA"


def test_files_a_router_reads_come_before_what_names_them() -> None:
    keys = list(FILES)
    assert keys.index("skupper-router-certs:link1-profile/tls.key") < keys.index("skupper-internal:skrouterd.json")
    kinds = [type(resource).__name__ for resource in RESOURCES]
    # What the site is to be is written before anything else is made.
    assert kinds[:3] == ["Volume", "VolumeFile", "Network"]
    assert keys[0] == "skupper-internal:skupper-podman-site.json"
    assert kinds.index("Container") > kinds.index("Credential") > kinds.index("Authority") > kinds.index("Volume")


def test_local_client_document() -> None:
    document = FILES["skupper-local-client:connect.json"].content
    assert document.startswith(b"\n{\n")
    assert document.endswith(b"}\n")
    assert json.loads(document)["host"] == "skupper-router-local"


def test_what_is_not_ours_survives() -> None:
    extra = Entity.of("address", {"prefix": "mine", "distribution": "closest"})
    other = RouterConfig.parse(json.dumps([["autoLink", {"name": "a", "address": "x"}]]))
    present = site_router_config(STATE).put(extra).put_all(other)
    present = present.with_site(replace(present.site, version="1.8.0"))
    config = site_router_config(replace(STATE, configs={"": present}))
    assert config.get("address", "mine") == extra
    assert config.of_type("autoLink")
    assert config.site.version == "1.8.0"


def test_removed_link_leaves_the_configuration() -> None:
    with_link = replace(STATE, configs={"": site_router_config(STATE)})
    config = site_router_config(with_link.without_link("link1"))
    assert config.get("connector", "link1") is None
    assert config.get("sslProfile", "link1-profile") is None


def test_targets_of_a_service_are_exactly_those_wanted() -> None:
    two = replace(BACKEND, targets=(Target("one", ((8080, 1),)), Target("two", ((8080, 2),))))
    site = site_router_config(STATE)
    present = service_router_config(STATE, two, site)
    state = replace(STATE, configs={"backend": present})
    config = service_router_config(state, replace(two, targets=two.targets[1:]), site)
    assert [entity.key for entity in config.of_type("tcpConnector")] == ["backend@two:8080:2"]


def test_services_of_other_sites_are_services_with_a_note_where_they_came_from() -> None:
    foreign = Service("far", (1,), origin="other-site")
    resources = site_resources(replace(STATE, services=(foreign,)))
    assert of_kind(Container, resources).keys() >= {"far"}
    assert '"origin":"other-site"' in files(resources)["skupper-services:skupper-services.json"].content.decode()
    # Kept apart from the services file, so that one that is lost does not make it this site's own.
    kept = files(resources)[f"skupper-internal:far/{SERVICE_FILE}"].content
    assert origin_in(kept) == "other-site"
    assert origin_in(dump_placement(replace(foreign, origin=""), "far")) == ""
    assert origin_in(b"[]") == origin_in(b"{") == ""


def test_only_some_services() -> None:
    some = site_resources(STATE, only={"backend"})
    assert set(of_kind(Container, some)) == {"skupper-router", "skupper-controller-podman", "backend"}
    place = "skupper-services:skupper-services.json"
    assert files(some)[place] == FILES[place]


def test_network_is_labelled() -> None:
    assert of_kind(Network, RESOURCES)["skupper"].labels == {
        "application": "skupper",
        "app.kubernetes.io/part-of": "skupper",
    }


def test_site_file_round_trip() -> None:
    for spec in (
        SPEC,
        SiteSpec("a", "b"),
        replace(SPEC, ingress="none", ipv6=True, labels={"x": "y"}, bind_ips=("::1",)),
    ):
        assert parse_spec(dump_spec(spec)) == spec


def test_damaged_site_file_is_none() -> None:
    for content in (b"", b"null", b"[]", b"{}", b'{"version": 2}', b"\xff", dump_spec(SPEC)[:-20]):
        assert parse_spec(content) is None


def test_placement_round_trip() -> None:
    for service in (PUBLISHED, BACKEND):
        bare = replace(service, container_name="", host_ports=HostPorts())
        assert placed(bare, dump_placement(service, names.DEFAULT.service(service)), service.address) == service
    for content in (b"", b"{}", b"[1]", b'{"container": "x", "hostIp": "", "hostPorts": [1]}'):
        assert placed(BACKEND, content, "backend") == BACKEND


def test_names_of_volumes() -> None:
    assert set(VOLUMES) == {*names.DEFAULT.site_volumes, "link1"}
    assert TLS.tls_credentials == names.tls_directory("secure")
