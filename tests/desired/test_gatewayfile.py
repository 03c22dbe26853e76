"""A gateway's YAML file: every key, every problem with its line, and what is written is read back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skupper_podman.desired.gatewayfile import dump_gateway, parse_gateway
from skupper_podman.errors import InvalidError
from skupper_podman.model.gateway import AmqpListener, Bridge, GatewayDefinition

DOCUMENTED = """\
name: database
bindings:
    - name: database
      host: localhost
      service:
        address: database:5432
        protocol: tcp
        ports:
            - 5432
      target_ports:
        - 5432
qdr-listeners:
    - name: amqp
      host: localhost
      port: 5672
"""
EXPORTED = """\
name: myapp
qdr-listeners:
    - extrafieldsimpl: {}
      name: amqp
      host: localhost
      port: 55672
bindings:
    - name: mydb:3306
      host: 10.0.0.5
      service:
        address: mydb:3306
        protocol: tcp
        ports:
            - 3307
        exposeIngress: ""
        tlscredentials: ""
        tlscertauthority: ""
        publishnotreadyaddresses: false
        bridgeimage: ""
      target_ports:
        - 3307
forwards:
    - name: api:9090
      service:
        address: api:9090
        protocol: http
        ports:
            - 19090
        eventchannel: true
      target_ports:
        - 19090
"""


def definition(text: str) -> GatewayDefinition:
    return parse_gateway(text).definition


def problems(text: str) -> str:
    with pytest.raises(InvalidError) as raised:
        parse_gateway(text)
    return raised.value.message.removeprefix("Failed to unmarshal gateway config file: ")


def entry(service: str, rest: str = "") -> str:
    return f"name: g\nbindings:\n- service: {service}\n  host: h\n{rest}"


def test_the_documented_file() -> None:
    found = parse_gateway(DOCUMENTED)
    assert found.warnings == ()
    assert found.definition == GatewayDefinition("database", (Bridge("database", "database:5432", "localhost", 5432),))
    assert dump_gateway(found.definition).decode().startswith(DOCUMENTED.splitlines()[0])


def test_a_file_that_1_9_exported() -> None:
    found = parse_gateway(EXPORTED).definition
    assert found.listeners == (AmqpListener("amqp", "localhost", 55672),)
    assert found.bindings == (Bridge("mydb:3306", "mydb:3306", "10.0.0.5", 3307),)
    assert found.forwards == (Bridge("api:9090", "api:9090", "127.0.0.1", 19090, "http", event_channel=True),)


def test_the_layout_is_that_of_1_9() -> None:
    wanted = EXPORTED.replace("    - extrafieldsimpl: {}\n      name: amqp", "    - name: amqp").partition("forwards:")[
        0
    ]
    assert dump_gateway(replace(definition(EXPORTED), forwards=())).decode() == wanted


@pytest.mark.parametrize(
    ("service", "rest", "pairs"),
    [
        ("{address: db, ports: [5432]}", "", [("db:5432", 5432)]),
        ("{address: db, ports: [5432]}", "  target_ports: [15432]", [("db:5432", 15432)]),
        ("{address: db}", "  target_ports: [5432]", [("db:5432", 5432)]),
        ("{address: 'db:5432', ports: [99]}", "  target_ports: [15432]", [("db:5432", 15432)]),
        ("{address: 'db:5432'}", "", [("db:5432", 5432)]),
        ("{address: db, ports: [1, 2]}", "  target_ports: [3, 4]", [("db:1", 3), ("db:2", 4)]),
        ("db", "  ports: [{port: 1, targetPort: 2}, 3]", [("db:1", 2), ("db:3", 3)]),
        ("{address: db, ports: [1]}", "  local_port: '7'", [("db:1", 7)]),
    ],
)
def test_ports_by_rule(service: str, rest: str, pairs: list[tuple[str, int]]) -> None:
    found = definition(entry(service, rest)).bindings
    assert [(bridge.address, bridge.port) for bridge in found] == pairs
    assert len({bridge.name for bridge in found}) == len(pairs)


def test_several_ports_with_a_name() -> None:
    found = definition(entry("{address: db, ports: [1, 2]}", "  name: x")).bindings
    assert [bridge.name for bridge in found] == ["x-1", "x-2"]


def test_every_protocol_and_tls_in_both_spellings() -> None:
    text = entry("{address: a, ports: [1], protocol: http2, tlsCredentials: dir, tlscertauthority: ca.pem}")
    assert definition(text).bindings[0] == Bridge(
        "a:1", "a:1", "h", 1, "http2", tls_credentials="dir", tls_authority="ca.pem"
    )
    http = definition(entry("{address: a, ports: [1], protocol: http, aggregate: multipart}")).bindings[0]
    assert (http.protocol, http.aggregate) == ("http", "multipart")


def test_where_a_forward_listens() -> None:
    def host(text: str) -> str:
        return definition(f"name: g\nforwards:\n- service: {{address: a, ports: [1]}}\n{text}").forwards[0].host

    assert host("") == "127.0.0.1"
    assert host("  host: 0.0.0.0") == "0.0.0.0"
    assert host("  host: ''") == ""
    assert host("  host: 10.1.1.1\n  loopback: true") == "127.0.0.1"
    warned = parse_gateway("name: g\nforwards:\n- service: {address: a, ports: [1]}\n").warnings
    assert warned == (
        "line 3: forward a listens on 127.0.0.1 only, where 1.9 would listen on every address: host: 0.0.0.0 asks "
        "for that",
    )


def test_all_problems_are_told_with_their_lines() -> None:
    text = """\
name: Bad_Name
bindigns: []
bindings:
- service: {address: UPPER, ports: [1]}
- service: {address: a, ports: [70000], protocol: udp}
  host: "not a host"
- service: {address: a, ports: [1, 2]}
  target_ports: [3]
- {}
forwards: 5
qdr-listeners:
- port: x
"""
    told = problems(text)
    for part in (
        "line 1: Gateway name must consist of", "line 2: bindigns is no key of a gateway; did you mean bindings?",
        "line 4: Invalid service name", "line 5: 70000 is not a valid port", "line 5: udp is not a protocol",
        "line 6: invalid hostname or ip", "line 8: 2 ports on the network, but 1 target_ports",
        "line 9: the binding names no service", "line 10: forwards must be a list", "line 12: x is not a valid port",
    ):  # fmt: skip
        assert part in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: the file is empty"),
        ("[a]", "line 1: a gateway is defined by keys and values"),
        ("bindings: []", "line 1: the gateway has no name"),
        ("name: a\nname: b", "line 2: name is there twice"),
        ("name: [a]", "line 1: name must be a text"),
        ("name: a\n\tb: c", "line 2: found character"),
        ("name: a\nb: *c", "line 2: found undefined alias"),
        (entry("{address: 'a:b'}"), "line 3: b is not a valid port"),
        (entry("{ports: [1]}"), "line 3: the service has no address"),
        (entry("{address: a}"), "line 3: the binding has no ports"),
        (entry("{address: a, ports: 5}"), "line 3: cannot unmarshal !!int `5` into a list of ports"),
        (entry("{address: 'a:1', ports: [1, 2]}"), "line 3: the address a:1 names one port"),
        (
            entry("{address: a, ports: [1], aggregate: json}"),
            "line 3: aggregate and eventchannel are for protocol http",
        ),
        (entry("{address: a, ports: [1], protocol: http, aggregate: xml}"), "line 3: xml is not a way to aggregate"),
        (entry("{address: a, ports: [1], protocol: http, tlscredentials: x}"), "line 3: there is no TLS with protocol"),
        (entry("[a]"), "line 3: service must be an address"),
        (entry("a", "  ports: 5"), "line 5: ports must be a list"),
        (entry("a", "  ports: [{targetPort: 5}]"), "line 5: the element of ports has no port"),
        (entry("{address: a, ports: [1]}", "- service: {address: a, ports: [1]}"), "bindings have two of the name a:1"),
        ("name: g\nbindings: [5]", "line 2: an element of bindings must have keys and values"),
        (
            "name: g\nforwards:\n- service: {address: a, ports: [80]}\n- service: {address: b, ports: [80]}",
            "line 4: forwards a:80 and b:80 both listen at port 80",
        ),
    ],
)
def test_one_problem(text: str, told: str) -> None:
    assert told in problems(text)


def test_what_is_ignored_is_told() -> None:
    text = entry("{address: a, ports: [1], exposeIngress: Always, headless: false, zebra: 1}")
    assert parse_gateway(text).warnings == (
        "line 3: exposeIngress has no effect on a gateway",
        "line 3: zebra is no key of a service, and was ignored",
    )


def test_a_file_without_a_name() -> None:
    assert parse_gateway("bindings: []", named=False).definition.name == ""


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
PORTS = st.integers(1, 65535)


@st.composite
def definitions(draw: st.DrawFn) -> GatewayDefinition:
    def bridges(host: st.SearchStrategy[str]) -> tuple[Bridge, ...]:
        found = {}
        for port in draw(st.lists(PORTS, max_size=3, unique=True)):
            protocol = draw(st.sampled_from(["tcp", "http", "http2"]))
            aggregate = draw(st.sampled_from(["", "json", "multipart"])) if protocol == "http" else ""
            channel = protocol == "http" and not aggregate and draw(st.booleans())
            tls = "" if protocol == "http" else draw(st.sampled_from(["", "a dir", 'it\'s: "odd" #1']))
            name = draw(NAMES)
            address = f"{draw(NAMES)}:{draw(PORTS)}"
            found[name] = Bridge(name, address, draw(host), port, protocol, aggregate, channel, tls, tls)
        return tuple(sorted(found.values(), key=lambda bridge: (bridge.protocol != "tcp", bridge.name)))

    listener = AmqpListener("amqp", draw(st.sampled_from(["localhost", "127.0.0.1"])), draw(PORTS))
    hosts = st.sampled_from(["localhost", "10.0.0.1", "2001:db8::1", "db.example.com"])
    return GatewayDefinition(draw(NAMES), bridges(hosts), bridges(st.sampled_from(["", "127.0.0.1"])), (listener,))


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_what_is_written_is_read_back(wanted: GatewayDefinition) -> None:
    assert parse_gateway(dump_gateway(wanted)).definition == wanted


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.binary(max_size=60)))
def test_anything_else_is_an_error_and_nothing_worse(text: str | bytes) -> None:
    try:
        parse_gateway(text)
    except InvalidError as error:
        assert "\n" not in error.message
