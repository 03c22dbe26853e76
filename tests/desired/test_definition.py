"""A site as YAML: written and read back, and everything unknown refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.desired.definition import dump_definition, parse_definition
from skupper_podman.desired.sitemap import dump_site, parse_site
from skupper_podman.errors import InvalidError
from skupper_podman.model.definition import Definition
from skupper_podman.model.link import Token
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.model.site import LOG_LEVELS, LOG_MODULES, LogLevel, SiteSpec

WORD = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
PORT = st.integers(1, 65535)
LEVELS = st.builds(
    LogLevel, st.sampled_from(["", *LOG_MODULES]), st.sampled_from([*LOG_LEVELS, *(f"{item}+" for item in LOG_LEVELS)])
)
SPECS = st.builds(
    SiteSpec, name=WORD, site_id=st.just(""), router_mode=st.sampled_from(["interior", "edge"]),
    ingress=st.sampled_from(["external", "none"]), ingress_hosts=st.lists(WORD, max_size=3).map(tuple),
    bind_ips=st.lists(st.ip_addresses().map(str), max_size=2).map(tuple), inter_router_port=PORT, edge_port=PORT,
    claims_port=st.one_of(PORT, st.just(0)), network=WORD, ipv6=st.booleans(),
    router_logging=st.lists(LEVELS, max_size=3).map(tuple), router=st.sampled_from(["auto", "image", "embedded"]),
    labels=st.dictionaries(WORD, WORD, max_size=2), router_cpu_millis=st.one_of(st.just(0), st.integers(10, 10**6)),
    router_memory_bytes=st.integers(0, 2**40), controller_cpu_millis=st.one_of(st.just(0), st.integers(10, 10**6)),
    controller_memory_bytes=st.integers(0, 2**40), service_sync=st.booleans(),
)  # fmt: skip
FILES = tuple((name, f"{name} of them\n".encode()) for name in ("ca.crt", "tls.crt", "tls.key"))


@st.composite
def services(draw: st.DrawFn) -> Service:
    address = draw(WORD)
    ports = tuple(draw(st.lists(PORT, min_size=1, max_size=3, unique=True)))
    target = st.builds(Target, WORD, st.just(tuple((port, port) for port in sorted(ports))))
    published = draw(st.booleans())
    return Service(
        address=address,
        ports=ports,
        protocol=draw(st.sampled_from(["tcp", "http2"])),
        targets=tuple(draw(st.lists(target, max_size=2))),
        labels=draw(st.dictionaries(WORD, WORD, max_size=2)),
        tls_credentials=draw(st.sampled_from(["", f"skupper-tls-{address}"])),
        host_ports=HostPorts("127.0.0.1", tuple((port, 1) for port in sorted(ports))) if published else HostPorts(),
        container_name=draw(st.sampled_from(["", "other-name"])),
        ingress=draw(st.sampled_from(["", "Always", "Never"])),
        allowed_sites=tuple(sorted(draw(st.sets(WORD, max_size=2)))),
    )


TOKEN = Token(
    "uplink", "connection-token", {"skupper.io/type": "connection-token"}, {"skupper.io/generated-by": "x"},
    {"ca.crt": b"a", "tls.crt": b"b", "tls.key": b"c"},
)  # fmt: skip


@settings(deadline=None)
@given(SPECS, st.lists(services(), max_size=3, unique_by=lambda service: service.address))
def test_what_is_written_is_read_back(spec: SiteSpec, found: list[Service]) -> None:
    ordered = tuple(sorted(found, key=lambda service: service.address))
    ordered = tuple(replace(item, tls_files=FILES) if item.tls_credentials else item for item in ordered)
    content = dump_definition(Definition(spec, frozenset(), ordered, (TOKEN,)), secrets=True)
    read = parse_definition(content)
    assert read.site == spec
    assert read.services == ordered
    assert read.links == (TOKEN,)
    assert not read.needs
    # What is read is written the same, so that a file in source control does not change by itself.
    assert dump_definition(read, secrets=True) == content
    open_read = parse_definition(dump_definition(read, secrets=False))
    assert open_read.links == ()
    assert open_read.needs == {service.address for service in ordered if service.tls_files}


@settings(deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_other_text_is_refused_and_nothing_else(text: str | bytes) -> None:
    try:
        parse_definition(text)
    except InvalidError:
        pass
    else:
        pytest.fail(f"{text!r} describes a site")


def test_without_secrets_nothing_secret_is_written() -> None:
    secure = Service("a", (1,), tls_credentials="skupper-tls-a", tls_files=FILES)
    content = dump_definition(Definition(SiteSpec("w", ""), frozenset(), (secure,), (TOKEN,)), secrets=False)
    assert [document["kind"] for document in yaml.safe_load_all(content)] == ["ConfigMap", "ConfigMap"]


def test_the_file_as_text() -> None:
    service = Service("db", (5432,), targets=(Target("pg", ((5432, 15432),)),), labels={"team": "a"})
    spec = SiteSpec("west", "", ingress_hosts=("west.example.com",), edge_port=45999, router_memory_bytes=2**29)
    assert dump_definition(Definition(spec, services=(service,)), secrets=False).decode() == (
        "apiVersion: v1\n"
        "kind: ConfigMap\n"
        "metadata:\n"
        "  name: skupper-site\n"
        "data:\n"
        "  name: west\n"
        "  ingress-host: west.example.com\n"
        "  bind-port-edge: '45999'\n"
        "  router-memory-limit: '536870912'\n"
        "---\n"
        "apiVersion: v1\n"
        "kind: ConfigMap\n"
        "metadata:\n"
        "  name: skupper-services\n"
        "data:\n"
        '  db: \'{"address":"db","protocol":"tcp","ports":[5432],"labels":{"team":"a"},'
        '"targets":[{"host":"pg","targetPorts":{"5432":15432}}]}\'\n'
    )


GUIDE = """
apiVersion: v1
data:
  name: my-site
  console: "false"
  flow-collector: "false"
  console-authentication: internal
  cluster-local: "false"
  edge: "false"
  service-sync: "false"
  ingress: "none"
kind: ConfigMap
metadata:
  name: skupper-site
"""


def test_the_file_of_the_user_guide() -> None:
    read = parse_definition(GUIDE)
    assert read.site == SiteSpec("my-site", "", ingress="none")
    assert read.given == {"name", "ingress", "service_sync"}


def test_services_as_1_9_and_as_people_write_them() -> None:
    text = """
kind: ConfigMap
metadata: {name: skupper-services}
data:
  backend: '{"address":"backend","protocol":"tcp","ports":[8080],"exposeIngress":"","headless":null,"targets":[{"name":"*domain.EgressResolverHost={\\"host\\":\\"web\\",\\"ports\\":{\\"8080\\":9090}}","targetPorts":{"8080":9090},"service":"web"}]}'
  db: |
    ports: [5432]
    targets:
    - host: 192.0.2.7
"""  # noqa: E501
    backend, db = parse_definition(text).services
    assert backend == Service("backend", (8080,), targets=(Target("web", ((8080, 9090),)),))
    assert db == Service("db", (5432,), targets=(Target("192.0.2.7", ((5432, 5432),)),))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("colour", "blue", "skupper-site: colour is no key of a podman site"),
        ("console", "true", "skupper-site: console: 'true' is not supported: the flow collector"),
        ("service-sync", "perhaps", "skupper-site: service-sync: 'perhaps' is neither true nor false"),
        ("routers", "2", "skupper-site: routers: '2' is not supported: it is of kubernetes sites"),
        ("router-node-selector", "a=b", "router-node-selector is no key of a podman site"),
        ("ingress", "loadbalancer", "skupper-site: ingress: 'loadbalancer' is not one of external, none"),
        ("bind-port", "0", "skupper-site: bind-port: Port 0 is outside valid range."),
        ("bind-port", "x", "skupper-site: bind-port: 'x' is no port"),
        ("edge", "perhaps", "skupper-site: edge: 'perhaps' is neither true nor false"),
        ("name", "a b", "skupper-site: name: invalid skupper site name: value contains spaces"),
        ("router-logging", "X:info", "skupper-site: router-logging: Invalid logging module for router: X"),
        ("router-cpu-limit", "lots", "skupper-site: router-cpu-limit: invalid cpu limit (decimal) for router: lots"),
        ("labels", "x", "skupper-site: labels: 'x' is not key=value,..."),
    ],
)
def test_keys_of_a_site_that_are_refused(key: str, value: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_site({key: value})
    assert words in caught.value.message


def test_quantities_of_kubernetes() -> None:
    spec, _given = parse_site({"router-cpu-limit": "500m", "controller-memory-limit": "64Mi"})
    assert (spec.router_cpu_millis, spec.controller_memory_bytes) == (500, 2**26)
    assert parse_site(dump_site(spec) | {"name": "a"})[0] == replace(spec, name="a")


SERVICES = "kind: ConfigMap\nmetadata: {name: skupper-services}\ndata:\n  a: "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no documents"),
        ("kind: Deployment\nmetadata: {name: x}", "Deployment is nothing a podman site is made of"),
        ("kind: ConfigMap\nmetadata: {name: x}\ndata: {}", "ConfigMap x is not known"),
        ("kind: ConfigMap\nmetadata: {name: skupper-site}\nspec: {}", "ConfigMap skupper-site: spec is no key of it"),
        ("kind: ConfigMap\nmetadata: {name: skupper-site}\ndata: {edge: true}", 'text, in quotes: edge: "true"'),
        (GUIDE + "---" + GUIDE, "ConfigMap skupper-site is there twice"),
        ("kind: Secret\nmetadata: {name: x}\ndata: {a: '?'}", "Secret x: its data is not base64"),
        ("kind: Secret\nmetadata: {name: x}\ndata: {}", "Secret x is no token, and no service names it"),
        (SERVICES + "'{\"ports\":[1],\"colour\":2}'", "skupper-services: a: colour is no key of a service"),
        (SERVICES + "'{\"ports\":[1],\"headless\":{\"name\":\"x\"}}'", "headless is not supported on podman"),
        (SERVICES + "'[1]'", "skupper-services: a: it is no object"),
        (SERVICES + "'{\"ports\":[]}'", "skupper-services: a: it has no ports"),
        (SERVICES + "'{\"ports\":[0]}'", "skupper-services: a: Port 0 is outside valid range."),
        (SERVICES + "'{\"ports\":[1],\"allowedSites\":[\"a b\"]}'", "invalid site 'a b'"),
        (SERVICES + "'{\"ports\":[true]}'", "skupper-services: a: True is not a valid port"),
        (SERVICES + "'{\"ports\":[1],\"targets\":[{\"selector\":\"app=x\"}]}'", "selector is no key of a target"),
        (SERVICES + "'{\"ports\":[1],\"targets\":[{\"host\":\"x\",\"targetPorts\":{\"2\":3}}]}'", "source port"),
        (SERVICES + "'{\"address\":\"b\",\"ports\":[1]}'", "skupper-services: a: its address is b"),
    ],
)  # fmt: skip
def test_files_that_are_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_definition(text)
    assert words in caught.value.message
