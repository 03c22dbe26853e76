"""Operations and status codes of skupper-router 2.7 (router-wire reference, 7.2)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.routerd.amqptypes import Int, UInt, ULong
from skupper_podman.routerd.management.agent import Agent, Response
from skupper_podman.routerd.management.endpoint import answer
from skupper_podman.routerd.message import NO_BODY, Message, Properties
from tests.routerd.management.samples import PREFIX, Table, sample_agent

LISTENER = {"host": "127.0.0.1", "port": "1234", "address": "echo"}


def ask(agent: Agent, operation: str, body: Any = None, **properties: Any) -> Response:
    return agent.handle({"operation": operation, **properties}, body if body is not None else {})


def query(agent: Agent, entity_type: str, *names: str, **properties: Any) -> list[dict[str, Any]]:
    response = ask(agent, "QUERY", {"attributeNames": list(names)}, entityType=entity_type, **properties)
    assert response.status == 200, response.description
    return [dict(zip(response.body["attributeNames"], row, strict=True)) for row in response.body["results"]]


@pytest.fixture
def agent() -> Agent:
    return sample_agent()


def test_query_all_attributes_reports_every_column_in_order(agent: Agent) -> None:
    response = ask(agent, "QUERY", {"attributeNames": []}, entityType=PREFIX + "connection")
    names = response.body["attributeNames"]
    assert names[:4] == ["name", "identity", "host", "role"]
    assert names[-1] == "meshId"
    assert response.body["results"][0][names.index("meshId")] is None
    assert response.body["results"][0][names.index("type")] == PREFIX + "connection"


@pytest.mark.parametrize("name", ["router.node", "node", PREFIX + "router.node", "NODE", "Router.Node"])
def test_types_by_short_and_full_names_in_any_case(agent: Agent, name: str) -> None:
    assert query(agent, name, "id", "nextHop") == [{"id": "B", "nextHop": None}, {"id": "A", "nextHop": "(self)"}]


@pytest.mark.parametrize(
    ("offset", "count", "expected"),
    [(0, 1, ["1"]), (1, 5, ["2"]), (2, 5, []), (None, None, ["1", "2"]), (0, 0, ["1", "2"])],
)
def test_paging(agent: Agent, offset: int | None, count: int | None, expected: list[str]) -> None:
    properties = {name: value for name, value in (("offset", offset), ("count", count)) if value is not None}
    assert [row["identity"] for row in query(agent, "connection", "identity", **properties)] == expected


def test_paging_with_numbers_that_are_none(agent: Agent) -> None:
    assert query(agent, "connection", "identity", offset=-1) == []
    assert len(query(agent, "connection", "identity", offset="x", count="x")) == 2
    assert len(query(agent, "connection", "identity", count=-5)) == 2


def test_unknown_columns(agent: Agent) -> None:
    replaced = ask(agent, "QUERY", {"attributeNames": ["bogus", "host"]}, entityType="connection")
    assert replaced.body["attributeNames"] == ["name", "host"]
    assert replaced.body["results"][0] == ["connection/127.0.0.1:50001", "127.0.0.1:50001"]
    refused = ask(agent, "QUERY", {"attributeNames": ["bogus"]}, entityType="listener")
    assert (refused.status, refused.description) == (
        404,
        "Unknown attributes ['bogus'] for type io.skupper.router.listener.",
    )
    assert ask(agent, "QUERY", {"attributeNames": "host"}, entityType="connection").status == 400


def test_query_without_type_leaves_the_core_types_out(agent: Agent) -> None:
    types = {row["type"].removeprefix(PREFIX) for row in query(agent, "", "type", "name")}
    configured = {"log", "policy", "router", "router.config.address"}
    assert types == {"management", "router.node", "allocator", *configured}
    assert {row["type"].removeprefix(PREFIX) for row in query(agent, "configurationEntity", "type")} == configured
    assert query(agent, "management", "identity", "name") == [{"identity": "self", "name": "self"}]
    assert {row["type"] for row in query(agent, "entity", "type")} == {PREFIX + name for name in types}


def test_numbers_have_the_types_of_the_wire(agent: Agent) -> None:
    (row,) = query(agent, "router", "uptimeSeconds", "linkCount", "workerThreads")
    assert [type(value) for value in row.values()] == [UInt, ULong, Int]


def test_read(agent: Agent) -> None:
    by_name = ask(agent, "READ", type="log", name="log/ROUTER")
    assert (by_name.status, by_name.body["enable"]) == (200, "info+")
    assert ask(agent, "read", type="log", identity="log/ROUTER").body == by_name.body
    assert ask(agent, "READ", name="log/ROUTER").body == by_name.body
    assert ask(agent, "READ", type="connection", identity="1").body["meshId"] is None  # the core reports nulls
    assert ask(agent, "READ").body["identity"] == "self"


@pytest.mark.parametrize(
    ("properties", "status", "description"),
    [
        ({}, 400, "No 'operation' property"),
        ({"operation": "READ", "type": "listener"}, 400, "listener: No name or identity provided"),
        ({"operation": "READ", "type": "nope", "name": "x"}, 400, "No such entity type 'nope'"),
        ({"operation": "QUERY", "entityType": "nope"}, 400, "No such entity type 'nope'"),
        ({"operation": "READ", "type": "listener", "name": "x"}, 404, "No entity with name=x"),
        ({"operation": "DELETE", "type": "listener", "name": "x"}, 404, "No entity with name=x"),
        ({"operation": "READ", "type": "router", "name": "A"}, 403, "Forbidden"),
        ({"operation": "DELETE", "type": "router", "name": "A"}, 403, "Forbidden"),
        ({"operation": "CREATE", "type": "router", "name": "A"}, 403, "Forbidden"),
        ({"operation": "DELETE", "name": "A"}, 501, "Operation 'DELETE' not implemented"),
        ({"operation": "FROB"}, 501, "Operation 'FROB' not implemented for 'io.skupper.router.management'"),
        ({"operation": "FROB", "type": "listener"}, 400, "io.skupper.router.listener: No name or identity provided"),
        ({"operation": "FROB", "type": "log", "name": "log/ROUTER"}, 501, "Operation 'FROB' not implemented for"),
        ({"operation": "READ", "type": "connection"}, 400, "Name not supported. Identity required"),
        ({"operation": "READ", "type": "connection", "name": "x"}, 400, "Name not supported. Identity required"),
        ({"operation": "READ", "type": "connection", "identity": "77"}, 404, "Not Found"),
        ({"operation": "READ", "type": "router.address"}, 404, "Not Found"),
        ({"operation": "READ", "type": "router.config.address"}, 400, "No name or identity provided"),
        ({"operation": "DELETE", "type": "connection", "identity": "1"}, 403, "Forbidden"),
        ({"operation": "DELETE", "type": "router.address", "name": "Mecho:9090"}, 501, "Operation 'DELETE'"),
        ({"operation": "READ", "type": "listener", "name": "log/ROUTER"}, 400, "does not extend requested type"),
        ({"operation": "READ", "type": "configurationEntity", "name": "log/ROUTER"}, 404, "log' is not"),
        ({"operation": "DELETE"}, 501, "Operation 'DELETE' not implemented for 'io.skupper.router.management'"),
        ({"operation": "UPDATE", "type": "router.node", "name": "router.node/A"}, 501, "Operation 'UPDATE'"),
        ({"operation": "DELETE", "type": "router.link", "identity": "1"}, 403, "Forbidden"),
        ({"operation": "UPDATE", "type": "connection", "identity": "77"}, 400, "Bad Request"),
        ({"operation": "UPDATE", "type": "router.link", "identity": "77"}, 404, "Not Found"),
        ({"operation": "UPDATE", "type": "connection", "identity": "1"}, 400, "Bad Request"),
        ({"operation": "CREATE", "type": "connection", "name": "x"}, 501, "Operation 'CREATE'"),
        ({"operation": "CREATE", "name": "x"}, 400, "No 'type' attribute"),
        ({"operation": "READ", "type": "log", "identity": "log/ROUTER", "name": "log/DEFAULT"}, 400, "Conflicting"),
        ({"operation": "QUERY", "type": "listener"}, 400, "No name or identity provided"),
        ({"operation": "GET-TYPES", "name": "other"}, 404, "No entity with name=other"),
    ],
)
def test_refusals(agent: Agent, properties: dict[str, Any], status: int, description: str) -> None:
    response = agent.handle(properties, {})
    assert response.status == status
    assert description in response.description
    bare = status == 403 and properties["operation"] in ("READ", "CREATE")
    assert response.body == (None if bare else {})


def test_create_read_delete(agent: Agent) -> None:
    created = ask(agent, "CREATE", LISTENER, type="tcpListener", name="one")
    assert (created.status, created.description) == (201, "Created")
    assert created.body["identity"] == "tcpListener/127.0.0.1:1234:one"
    assert (created.body["encapsulation"], created.body["operStatus"]) == ("legacy", "down")
    assert ask(agent, "READ", type="tcpListener", name="one").body == created.body
    again = ask(agent, "CREATE", LISTENER, type=PREFIX + "tcpListener", name="one")
    assert (again.status, again.description) == (
        400,
        "tcpListener: attribute 'name': must not be 'one', the name of another tcpListener",
    )
    deleted = ask(agent, "DELETE", type="tcpListener", name="one")
    assert (deleted.status, deleted.body) == (204, {})
    assert ask(agent, "READ", type="tcpListener", name="one").status == 404


def test_same_name_in_two_types(agent: Agent) -> None:
    assert ask(agent, "CREATE", LISTENER, type="tcpListener", name="one").status == 201
    taken = ask(agent, "CREATE", LISTENER, type="tcpConnector", name="one")
    assert (taken.status, taken.description.partition(": ")[0]) == (400, "tcpConnector")
    assert ask(agent, "CREATE", {"prefix": "p"}, type="address", name="one").status == 201
    assert ask(agent, "READ", name="one").status == 500
    assert ask(agent, "READ", type="tcpListener", name="one").status == 200


@pytest.mark.parametrize(
    ("entity_type", "body", "status", "description"),
    [
        ("tcpListener", {**LISTENER, "bogus": 1}, 400, "attribute 'bogus': is unknown"),
        ("tcpListener", {**LISTENER, "encapsulation": "heavy"}, 400, "must be one of legacy, lite, not 'heavy'"),
        ("tcpListener", {**LISTENER, "bytesIn": 1}, 400, "attribute 'bytesIn': cannot be set"),
        ("tcpListener", {**LISTENER, "identity": "x"}, 400, "'identity' attribute cannot be specified"),
        ("tcpListener", {"host": "h", "address": "a"}, 500, "attribute 'port': is required"),
        ("tcpListener", {**LISTENER, "name": "other"}, 400, "Conflicting values for 'name'"),
        ("tcpListener", {**LISTENER, "port": "in-use"}, 500, "Address already in use"),
        ("tcpListener", {**LISTENER, "port": "bug"}, 500, "ZeroDivisionError: division by zero"),
        ("address", {"prefix": "mc"}, 400, "Already exists"),
        ("address", {"prefix": "a", "pattern": "b"}, 400, "must be given, or else"),
        ("address", {}, 400, "must be given, or else"),
        ("address", {"prefix": "a", "priority": 12}, 400, "must be at most 9"),
        ("listener", {"role": "inter-router", "cost": "0"}, 400, "must be at least 1"),
    ],
)
def test_create_refusals(agent: Agent, entity_type: str, body: dict[str, Any], status: int, description: str) -> None:
    response = ask(agent, "CREATE", body, type=entity_type, name="one")
    assert response.status == status
    assert description in response.description


def test_create_checks_the_role_against_the_mode() -> None:
    agent = sample_agent()
    agent.provide("router", Table({"id": "E", "mode": "edge"}))
    response = ask(agent, "CREATE", {"role": "edge"}, type="listener", name="x")
    assert response.status == 400
    assert "only in a router of mode 'interior'" in response.description


def test_secrets_are_not_reported(agent: Agent) -> None:
    created = ask(agent, "CREATE", {"password": "pass:geheim"}, type="sslProfile", name="p")
    assert created.status == 201
    assert "geheim" not in str(created.body)
    assert query(agent, "sslProfile", "name", "password") == [{"name": "p", "password": None}]


def test_update(agent: Agent) -> None:
    updated = ask(agent, "UPDATE", {"enable": "debug", "includeSource": "yes"}, type="log", name="log/ROUTER")
    assert (updated.status, updated.body["enable"], updated.body["includeSource"]) == (200, "debug", True)
    same = ask(agent, "UPDATE", {"module": "ROUTER", "enable": "info"}, type="log", name="log/ROUTER")
    assert same.status == 200
    other = ask(agent, "UPDATE", {"module": "SERVER"}, type="log", name="log/ROUTER")
    assert (other.status, other.description) == (400, "log: attribute 'module': cannot be changed by UPDATE")
    assert ask(agent, "UPDATE", {"bogus": 1}, type="log", name="log/ROUTER").status == 400
    closed = ask(agent, "UPDATE", {"adminStatus": "deleted"}, type="connection", identity="1")
    assert (closed.status, closed.body["adminStatus"]) == (200, "deleted")


def test_provider_without_create() -> None:
    agent = Agent()
    assert ask(agent, "CREATE", LISTENER, type="tcpListener", name="x").status == 501
    assert query(agent, "tcpListener") == []


def test_node_operations(agent: Agent) -> None:
    nodes = ask(agent, "GET-MGMT-NODES", type="org.amqp.management", name="self")
    assert nodes.body == ["amqp:/_topo/0/B/$management", "amqp:/_topo/0/A/$management"]
    types = ask(agent, "GET-TYPES").body
    assert types[PREFIX + "listener"] == [PREFIX + "configurationEntity", PREFIX + "entity"]
    assert types[PREFIX + "entity"] == []
    assert list(ask(agent, "GET-TYPES", entityType="listener").body) == [PREFIX + "listener"]
    assert PREFIX + "tcpConnector" in ask(agent, "GET-TYPES", entityType="configurationEntity").body
    operations = ask(agent, "GET-OPERATIONS", entityType="listener").body
    assert sorted(operations[PREFIX + "listener"]) == ["CREATE", "DELETE", "READ"]
    attributes = ask(agent, "GET-ATTRIBUTES", entityType="address").body
    assert "prefix" in attributes[PREFIX + "router.config.address"]
    assert ask(agent, "GET-ANNOTATIONS").body == {}
    assert len(ask(agent, "GET-LOG").body) == 5
    assert ask(agent, "GET-LOG", limit=2).body[0][2] == "line 3"


def test_schema_is_answered_as_map_and_as_json(agent: Agent) -> None:
    as_map = ask(agent, "GET-SCHEMA").body
    assert as_map["entityTypes"]["listener"]["attributes"]["role"]["default"] == "normal"
    assert as_map["entityTypes"]["address"]["fullyQualifiedType"] == PREFIX + "router.config.address"
    assert json.loads(ask(agent, "GET-JSON-SCHEMA", indent=2).body) == as_map


def test_messages() -> None:
    request = Message(
        properties=Properties(reply_to="temp.1", correlation_id=ULong(7)),
        application_properties={"operation": "QUERY", "entityType": "router"},
        body={"attributeNames": ["id"]},
    )
    reply = answer(sample_agent(), request)
    assert reply is not None
    message = Message.decode(reply.encode())
    assert (message.to, message.correlation_id, type(message.correlation_id)) == ("temp.1", 7, ULong)
    assert message.application_properties == {"statusCode": 200, "statusDescription": "OK"}
    assert type(message.application_properties["statusCode"]) is Int
    assert message.body == {"attributeNames": ["id"], "results": [["A"]]}
    assert answer(sample_agent(), Message(application_properties={"operation": "QUERY"})) is None


def test_a_value_without_amqp_form_is_an_internal_error() -> None:
    agent = Agent()
    agent.provide("log", Table({"module": "ROUTER", "name": object(), "identity": "1"}))
    request = Message(
        properties=Properties(reply_to="temp.1"), application_properties={"operation": "QUERY", "entityType": "log"}
    )
    reply = answer(agent, request)
    assert reply is not None
    assert reply.application_properties["statusCode"] == 500


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=10) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_words = st.sampled_from(
    [
        "QUERY",
        "READ",
        "CREATE",
        "UPDATE",
        "DELETE",
        "GET-LOG",
        "GET-JSON-SCHEMA",
        "GET-TYPES",
        "listener",
        "log",
        "self",
    ]
)
_keys = st.sampled_from(["operation", "type", "entityType", "name", "identity", "offset", "count", "limit", "indent"])
_bodies = st.dictionaries(
    st.sampled_from(["attributeNames", "port", "host", "name", "type", "enable", "module", "openProperties", "cost"]),
    _values,
)


@given(st.dictionaries(_keys, _words | _values), st.just(NO_BODY) | _bodies | _values)
def test_any_request_is_answered(properties: dict[str, Any], body: Any) -> None:
    response = sample_agent().handle(properties, body)
    assert response.status in {200, 201, 204, 400, 403, 404, 500, 501}
    assert response.description
