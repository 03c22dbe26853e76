"""skmanage: what Skupper 1.9 runs in its containers, and what people type."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skupper_podman.router.config import SiteMetadata
from skupper_podman.router.documents import ServiceRouter, target_connectors
from skupper_podman.routerd.tools import skmanage
from skupper_podman.routerd.tools.skmanage import full_type, typed_value
from tests.routerd.management.samples import sample_agent
from tests.routerd.tools.server import AgentServer

PREFIX = "io.skupper.router."
Run = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[AgentServer]:
    with AgentServer(sample_agent()) as running:
        yield running


@pytest.fixture
def run(server: AgentServer, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the tool; gives its JSON, its text, or with a status other than 0 the line it fails with."""

    def call(*arguments: str, status: int = 0) -> Any:
        assert skmanage.main([*arguments, "-b", server.url]) == status
        captured = capsys.readouterr()
        if status:
            assert captured.out == ""
            assert captured.err.count("\n") == 1
            return captured.err.strip()
        assert captured.err == ""
        try:
            return json.loads(captured.out)
        except ValueError:
            return captured.out

    return call


def test_connections_as_skupper_asks_for_them(run: Run) -> None:
    rows = run("query", "--type", "connection")
    assert [(row["container"], row["role"], row["active"], row["operStatus"]) for row in rows] == [
        ("client-1", "normal", True, "up"),
        ("E", "edge", True, "up"),
    ]
    assert "meshId" not in rows[0]


def test_bridges_as_skupper_makes_them(run: Run) -> None:
    service = ServiceRouter("r", SiteMetadata("s"), "backend", (8080,))
    (connector,) = target_connectors(service, "backend-target", {8080: 9090})
    attributes = {name: value for name, value in connector.attributes.items() if name != "name"}
    words = [f"{name}={str(value).lower() if value is False else value}" for name, value in attributes.items()]
    created = run("create", "--type", "tcpConnector", "--name", str(connector.key), *words)
    assert {name: created[name] for name in attributes} == attributes
    assert run("delete", "--type", "tcpConnector", "--name", str(connector.key)) == ""
    gone = run("delete", "--type", "tcpConnector", "--name", str(connector.key), status=1)
    assert gone == f"NotFoundStatus: No entity with name={connector.key}"


def test_values_are_typed_by_the_schema() -> None:
    assert typed_value("listener", "cost", "3") == 3
    assert typed_value("listener", "port", "3") == "3"
    assert typed_value("listener", "http", "true") is True
    assert typed_value("", "cost", "3") == "3"
    assert typed_value("gadget", "cost", "false") is False


def test_names_of_types() -> None:
    assert full_type("address") == f"{PREFIX}router.config.address"
    assert full_type("node") == f"{PREFIX}router.node"
    assert full_type("gadget") == f"{PREFIX}gadget"
    assert full_type("org.example.gadget") == "org.example.gadget"
    assert full_type("") == ""


def test_query_columns_and_selection(run: Run) -> None:
    assert run("query", "id", "nextHop", "--type", "node") == [{"id": "B"}, {"id": "A", "nextHop": "(self)"}]
    assert run("query", "--type", "log", "--name", "log/ROUTER", "enable") == [{"enable": "info+"}]
    assert run("QUERY", "--type", "link", "--identity", "2")[0]["linkDir"] == "out"
    assert {row["type"] for row in run("query", "type")} >= {f"{PREFIX}log", f"{PREFIX}policy"}


def test_read_and_update(run: Run) -> None:
    assert run("read", "--name", "log/ROUTER")["enable"] == "info+"
    assert run("update", "--type", "log", "--name", "log/ROUTER", "enable=debug", "includeSource=true")["includeSource"]
    assert run("read", "--type", "connection", "--identity", "1")["container"] == "client-1"
    assert run("read")["type"] == f"{PREFIX}management"


def test_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def feed(value: object) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(value if isinstance(value, str) else json.dumps(value)))

    one = {"type": "tcpListener", "name": "one", "port": 1, "address": "a"}
    feed(one)
    assert run("create", "--stdin")["port"] == "1"
    feed([{**one, "name": "two", "port": 2}, {**one, "name": "three", "port": 3, "type": f"{PREFIX}tcpListener"}])
    assert [row["name"] for row in run("create", "--stdin")] == ["two", "three"]
    feed([{"name": "log/ROUTER", "enable": "error"}])
    assert run("update", "--stdin", "--type", "log")[0]["enable"] == "error"
    feed("{")
    assert run("create", "--stdin", status=1).startswith("Error: Standard input is not JSON")
    feed([1])
    assert run("create", "--stdin", status=1) == "Error: Standard input is not a JSON map or list of maps"


def test_descriptions(run: Run) -> None:
    assert run("get-types", "listener") == {f"{PREFIX}listener": [f"{PREFIX}configurationEntity", f"{PREFIX}entity"]}
    assert "prefix" in run("get-attributes", "--type", "address")[f"{PREFIX}router.config.address"]
    assert "UPDATE" in run("get-operations", "log")[f"{PREFIX}log"]
    assert run("get-annotations") == {}
    assert run("get-mgmt-nodes") == [f"amqp:/_topo/0/{name}/$management" for name in "BA"]
    assert run("get-schema")["prefix"] == "io.skupper.router"
    assert run("get-json-schema", "indent=1")["prefix"] == "io.skupper.router"
    assert [line[2] for line in run("get-log", "limit=1")] == ["line 4"]


def test_custom_operations(run: Run) -> None:
    assert run("get-log", "--properties", '{"limit": 2}')[0][2] == "line 3"
    assert run("frob", "x=1", "--body", "hello", status=1).startswith("NotImplementedStatus: Operation 'FROB'")
    assert run("frob", "--properties", "[1]", status=2).endswith("--properties is not a JSON map")
    assert "is not valid JSON" in run("frob", "--body", "{", status=2)


def test_indent(run: Run, server: AgentServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert skmanage.main(["query", "--type", "node", "id", "--indent", "-1", "-b", server.url]) == 0
    assert capsys.readouterr().out == '[{"id": "B"}, {"id": "A"}]\n'


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        ("read --type listener", 1, f"BadRequestStatus: {PREFIX}listener: No name or identity provided"),
        ("read --type router --name A", 1, "ForbiddenStatus: Forbidden"),
        ("query --type gadget", 1, f"BadRequestStatus: No such entity type '{PREFIX}gadget'"),
        ("create --type tcpListener --name x address=a", 1, "InternalServerErrorStatus: tcpListener: attribute 'port'"),
        ("update --type listener cost=x --name y", 2, "skmanage: error: cost is a number, not 'x'"),
        ("read extra", 2, "skmanage: error: Unexpected arguments: extra"),
        ("get-types a b", 2, "skmanage: error: Unexpected arguments: b"),
        ("query -r X --type router", 1, "SendException: RELEASED: The network of"),
        ("query -d X --type router", 1, "SendException: RELEASED: The network of"),
    ],
)
def test_failures_are_one_line(run: Run, words: str, status: int, line: str) -> None:
    assert run(*words.split(), status=status).startswith(line)


def test_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with AgentServer(sample_agent(), mute=True) as server:
        assert skmanage.main(["query", "--type", "router", "-t", "0.2", "-b", server.url]) == 1
    assert capsys.readouterr().err.startswith("Timeout: The management agent $management")


def test_no_operation(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        skmanage.main([])
    assert caught.value.code == 2
    assert "No operation specified" in capsys.readouterr().err


def test_password_file_that_is_absent(run: Run) -> None:
    line = run("read", "--sasl-username", "u", "--sasl-password-file", "/nowhere", status=2)
    assert line == "skmanage: error: cannot read the password file /nowhere: No such file or directory"


def test_password_file(tmp_path: Path, server: AgentServer) -> None:
    (tmp_path / "password").write_text("geheim\n")
    arguments = ["read", "--sasl-mechanisms", "ANONYMOUS", "--sasl-password-file", str(tmp_path / "password")]
    assert skmanage.main([*arguments, "-b", server.url]) == 0


@pytest.mark.parametrize("tool", ["skmanage", "skstat"])
def test_help_loads_no_heavy_package(tool: str) -> None:
    heavy = ("proton", "typer", "podman", "aiohttp", "cryptography", "yaml", "jinja2")
    code = (
        f"import sys\nfrom skupper_podman.routerd.tools import {tool}\n"
        f"try:\n    {tool}.main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"assert not set(sys.modules) & {set(heavy)!r}, set(sys.modules) & {set(heavy)!r}"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "--bus" in result.stdout


def test_a_reader_that_stops_reading_is_no_traceback(server: AgentServer) -> None:
    command = f"{sys.executable} -m skupper_podman.routerd.tools.skmanage query -b {server.url} | head -1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("[\n", "")
