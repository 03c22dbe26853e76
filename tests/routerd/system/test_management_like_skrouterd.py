"""The same questions to this router and to a real skrouterd of the same configuration get the same answers.

Compared are status codes, the texts that clients look at, the attributes of every type with the AMQP types of their
values, and what the real skstat and skmanage print. Where this router means to differ, `EXCEPT` says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.routerd.system.lab import (
    SKROUTERD,
    Lab,
    Router,
    connect,
    echoes,
    free_port,
    listener,
    profile,
    running,
    tcp_connector,
    tcp_listener,
    wait_for,
)

pytestmark = pytest.mark.skipif(not SKROUTERD, reason="SKUPPER_TEST_SKROUTERD names no skrouterd")

PREFIX: Final = "io.skupper.router."
TYPES: Final = (
    *("router", "connection", "listener", "connector", "tcpListener", "tcpConnector", "tcpConnection", "sslProfile"),
    *("httpListener", "httpConnector", "httpRequestInfo", "log", "logStats", "policy", "allocator", "vhost"),
    *("vhostStats", "vhostUserGroupSettings", "router.node", "router.link", "router.address"),
    *("router.config.address", "router.config.autoLink", "management", "configurationEntity", "entity"),
)
#: Attributes whose values have no type to compare: they are null in one router and may have a value in the other.
EXCEPT: Final = frozenset(
    {"ingressHistogram", "lastInSeconds", "lastOutSeconds", "lastDlvSeconds", "transitOutstanding", "sslSsf", "peer"}
    | {"password", "saslPassword"}  # which this router does not tell
)


class Pair:
    """Both routers, each with a neighbour and a TCP connection that stays open."""

    def __init__(self, directory: Path) -> None:
        self.lab = Lab(directory)
        server = self.lab.server()
        self.ours, self.theirs = (self._router(directory / kind, kind, server.port) for kind in ("ours", "theirs"))

    def _router(self, directory: Path, kind: str, server: int) -> Router:
        directory.mkdir()
        self.lab.directory = directory
        link, front, web = free_port(), free_port(), free_port()
        self.lab.router("SN", "interior", listener("inter-router", link))
        name = "S" if kind == "theirs" else "X"
        made = Router(
            directory, "X", "interior",
            profile(directory),
            ("connector", {"name": "uplink", "host": "localhost", "port": str(link), "role": "inter-router"}),
            ("listener", {"name": "web", "host": "127.0.0.1", "port": web, "http": True}),
            ("address", {"prefix": "nearest", "distribution": "closest"}),
            ("address", {"pattern": "a.#", "distribution": "multicast", "priority": 3, "name": "pattern"}),
            tcp_listener(front, name="front"),
            tcp_connector(server, name="back"),
            metadata="{}", dataConnectionCount="0",
        )  # fmt: skip
        if name == "S":
            made.command = [str(SKROUTERD)]
        self.lab.routers.append(made)
        made.start()
        wait_for(lambda: echoes(front), "the service")
        setattr(self, f"_held_by_{kind}", connect(front))
        wait_for(lambda: len(made.query(PREFIX + "router.node")) == 2, "the neighbour")
        return made


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    try:
        yield made
    finally:
        made.lab.close()


def with_value(body: dict[str, Any]) -> set[str]:
    """The attributes that have one."""
    return {name for name, value in body.items() if value is not None and name not in EXCEPT}


def kinds(rows: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The types of the values of each attribute."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None and name not in EXCEPT:
                found.setdefault(name, set()).add(type(value).__name__)
    return found


@pytest.mark.parametrize("kind", TYPES)
def test_entities_have_the_same_attributes_and_types(pair: Pair, kind: str) -> None:
    body: dict[str, Any] = {"attributeNames": []}
    answers = []
    for router in (pair.theirs, pair.ours):
        answer = router.request({"operation": "QUERY", "entityType": PREFIX + kind}, body)
        assert answer.properties["statusCode"] == 200
        names, rows = answer.body["attributeNames"], answer.body["results"]
        answers.append((names, kinds([dict(zip(names, row, strict=True)) for row in rows])))
    (theirs, their_kinds), (ours, our_kinds) = answers
    assert ours == theirs
    both = their_kinds.keys() & our_kinds.keys()
    assert {name: our_kinds[name] for name in both} == {name: their_kinds[name] for name in both}


@pytest.mark.parametrize("operation", ["GET-TYPES", "GET-OPERATIONS", "GET-ATTRIBUTES", "GET-ANNOTATIONS"])
def test_descriptions_of_types(pair: Pair, operation: str) -> None:
    theirs, ours = (router.request({"operation": operation}, {}).body for router in (pair.theirs, pair.ours))
    theirs.pop(PREFIX + "dummy", None)  # for its own tests
    if operation == "GET-OPERATIONS":
        theirs[PREFIX + "management"].remove("PROFILE")  # of its Python part
    if operation != "GET-ATTRIBUTES":
        assert ours == theirs
    assert {name: sorted(values) for name, values in ours.items()} == {
        name: sorted(values) for name, values in theirs.items()
    }


READS: Final = [
    {},
    {"name": "self"},
    {"identity": "self"},
    {"type": PREFIX + "management", "name": "self"},
    {"type": "org.amqp.management", "name": "self"},
    {"type": PREFIX + "router", "name": "X"},
    {"type": PREFIX + "router", "identity": "1"},
    {"type": PREFIX + "listener"},
    {"type": "listener", "name": "amqp"},
    {"name": "web"},
    {"name": "nobody"},
    {"type": "listener", "name": "nobody"},
    {"type": "listener", "identity": "nobody", "name": "nobody"},
    {"type": "listener", "identity": "nobody", "name": "amqp"},
    {"type": "nothing", "name": "amqp"},
    {"type": "connector", "name": "amqp"},
    {"type": PREFIX + "connector", "name": "uplink"},
    {"type": PREFIX + "tcpListener", "name": "front"},
    {"type": PREFIX + "tcpConnector", "name": "back"},
    {"type": PREFIX + "sslProfile", "name": "tls"},
    {"type": PREFIX + "log", "identity": "log/DEFAULT"},
    {"type": PREFIX + "log", "name": "log/ROUTER"},
    {"type": PREFIX + "logStats", "name": "SERVER"},
    {"type": PREFIX + "policy", "name": "policy"},
    {"type": PREFIX + "router.node", "name": "router.node/X"},
    {"type": PREFIX + "router.node", "identity": "router.node/SN"},
    {"type": PREFIX + "router.config.address", "name": "pattern"},
    {"type": PREFIX + "router.config.address"},
    {"type": PREFIX + "router.config.address", "name": "nobody"},
    {"type": PREFIX + "router.address", "name": "Mecho:1"},
    {"type": PREFIX + "router.address", "identity": "Mnobody"},
    {"type": PREFIX + "router.address"},
    {"type": PREFIX + "connection"},
    {"type": PREFIX + "connection", "name": "nobody"},
    {"type": PREFIX + "connection", "identity": "9999"},
    {"type": PREFIX + "tcpConnection", "name": "nobody"},
]


@pytest.mark.parametrize("which", READS, ids=lambda which: " ".join(which.values()) or "nothing")
def test_reads(pair: Pair, which: dict[str, str]) -> None:
    theirs, ours = (router.request({"operation": "READ", **which}, {}) for router in (pair.theirs, pair.ours))
    assert ours.properties["statusCode"] == theirs.properties["statusCode"]
    if theirs.properties["statusCode"] == 200:
        assert with_value(ours.body) == with_value(theirs.body)
        assert kinds([ours.body]) == kinds([theirs.body])
    else:
        assert ours.body == theirs.body
        if "org.amqp.management" not in which.values():  # whose text is its own
            assert ours.properties == theirs.properties


LOG: Final = {"type": PREFIX + "log", "name": "log/HTTP"}
SERVICE: Final = {"address": "q:1", "port": "0", "host": "127.0.0.1"}

#: Operation, properties, body: in this order, for what the earlier ones make the later ones need.
CHANGES: Final[list[tuple[str, dict[str, str], Any]]] = [
    ("UPDATE", {"type": PREFIX + "listener", "name": "amqp"}, {"cost": 2}),
    ("UPDATE", {"type": PREFIX + "tcpListener", "name": "amqp"}, {"cost": 2}),
    ("UPDATE", {"type": PREFIX + "sslProfile", "name": "tls"}, {"certFile": "x"}),
    ("UPDATE", LOG, {}),
    *[("UPDATE", LOG, {"enable": words}) for words in ("debug+", "warn, Error", "none", "", "default", "rubbish")],
    ("UPDATE", LOG, {"module": "ROUTER"}),
    ("UPDATE", LOG, {"module": "HTTP", "name": "log/HTTP", "enable": "info+", "includeSource": "yes"}),
    ("UPDATE", LOG, {"includeTimestamp": "maybe"}),
    ("UPDATE", LOG, {"outputFile": "/no/such/directory/log"}),
    ("UPDATE", LOG, {"outputFile": "stderr", "includeSource": False}),
    ("UPDATE", LOG, {"nothing": 1}),
    ("UPDATE", {"type": PREFIX + "log", "name": "log/NOBODY"}, {"enable": "info+"}),
    ("UPDATE", {"type": PREFIX + "log"}, {"enable": "info+"}),
    ("UPDATE", {"type": PREFIX + "connection", "identity": "9999"}, {"adminStatus": "deleted"}),
    ("UPDATE", {"type": PREFIX + "connection"}, {"adminStatus": "deleted"}),
    ("UPDATE", {"type": PREFIX + "router.link", "identity": "9999"}, {"adminStatus": "disabled"}),
    ("UPDATE", {"type": PREFIX + "router.node", "name": "router.node/X"}, {"id": "Y"}),
    ("DELETE", {"type": PREFIX + "router", "name": "X"}, {}),
    ("DELETE", {"type": PREFIX + "log", "name": "log/HTTP"}, {}),
    ("DELETE", {"type": PREFIX + "listener", "name": "nobody"}, {}),
    ("DELETE", {"type": PREFIX + "listener"}, {}),
    ("DELETE", {"type": PREFIX + "nothing", "name": "nobody"}, {}),
    ("DELETE", {"type": PREFIX + "connection", "identity": "9999"}, {}),
    ("DELETE", {"type": PREFIX + "router.node", "name": "router.node/X"}, {}),
    ("DELETE", {"type": PREFIX + "router.config.address", "name": "nobody"}, {}),
    ("DELETE", {"type": PREFIX + "router.config.address"}, {}),
    ("CREATE", {"type": PREFIX + "router", "name": "Y"}, {"id": "Y"}),
    ("CREATE", {"type": PREFIX + "nothing", "name": "Y"}, {"id": "Y"}),
    ("CREATE", {"name": "Y"}, {}),
    ("CREATE", {"type": PREFIX + "log"}, {"module": "HTTP"}),
    ("CREATE", {"type": PREFIX + "policy"}, {}),
    ("CREATE", {"type": PREFIX + "router.node"}, {"id": "Y"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, SERVICE),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, SERVICE),
    ("CREATE", {"type": PREFIX + "tcpConnector", "name": "t"}, SERVICE),
    ("READ", {"type": PREFIX + "tcpListener", "identity": "tcpListener/127.0.0.1:0:t"}, {}),
    ("DELETE", {"type": PREFIX + "tcpListener", "name": "t"}, {}),
    ("DELETE", {"type": PREFIX + "tcpListener", "name": "t"}, {}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {"address": "q:1"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {"port": "0"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {**SERVICE, "bogus": 3}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {**SERVICE, "backlog": "abc"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {**SERVICE, "encapsulation": "abc"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {**SERVICE, "sslProfile": "nobody"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {**SERVICE, "authenticatePeer": "perhaps"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {**SERVICE, "operStatus": "up"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {**SERVICE, "name": "u"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, {**SERVICE, "identity": "u"}),
    ("CREATE", {"type": PREFIX + "tcpListener", "name": "t"}, [1]),
    ("CREATE", {"type": PREFIX + "tcpConnector", "name": "t"}, {**SERVICE, "sslProfile": "nobody"}),
    ("CREATE", {"type": PREFIX + "tcpConnector", "name": "t"}, {"port": "1", "address": "q:1"}),
    ("CREATE", {"type": PREFIX + "sslProfile", "name": "p"}, {"certFile": "/none", "privateKeyFile": "/none"}),
    ("CREATE", {"type": PREFIX + "sslProfile", "name": "p"}, {}),
    ("CREATE", {"type": PREFIX + "tcpConnector", "name": "t"}, {**SERVICE, "sslProfile": "p"}),
    ("DELETE", {"type": PREFIX + "sslProfile", "name": "p"}, {}),
    ("CREATE", {"type": PREFIX + "listener", "name": "l"}, {"port": 0, "role": "bogus"}),
    ("CREATE", {"type": PREFIX + "listener", "name": "l"}, {"port": 0, "stripAnnotations": "x"}),
    ("CREATE", {"type": PREFIX + "listener", "name": "l"}, {"port": 0, "openProperties": {"product": "x"}}),
    ("CREATE", {"type": PREFIX + "listener", "name": "l"}, {"port": 0, "role": "edge", "openProperties": {"a": "x"}}),
    ("CREATE", {"type": PREFIX + "listener", "name": "l"}, {"port": 0, "host": "127.0.0.1", "sslProfile": "nobody"}),
    ("DELETE", {"type": PREFIX + "listener", "name": "l"}, {}),
    ("CREATE", {"type": PREFIX + "connector", "name": "c"}, {"port": 1, "host": "127.0.0.1", "sslProfile": "nobody"}),
    ("DELETE", {"type": PREFIX + "connector", "name": "c"}, {}),
    ("CREATE", {"type": PREFIX + "connector", "name": "c"}, {"port": 1, "saslUsername": "u", "saslPassword": "pass:x"}),
    ("CREATE", {"type": PREFIX + "connector", "name": "c"}, {"port": 1}),
    ("DELETE", {"type": PREFIX + "connector", "name": "c"}, {}),
    ("CREATE", {"type": PREFIX + "router.config.address", "name": "a"}, {"prefix": "z", "distribution": "closest"}),
    ("CREATE", {"type": PREFIX + "router.config.address", "name": "a"}, {"prefix": "y", "distribution": "closest"}),
    ("CREATE", {"type": PREFIX + "router.config.address", "name": "b"}, {"prefix": "z", "distribution": "closest"}),
    ("CREATE", {"type": PREFIX + "router.config.address", "name": "b"}, {"prefix": "q", "pattern": "r"}),
    ("CREATE", {"type": PREFIX + "router.config.address", "name": "b"}, {"prefix": "q", "priority": 12}),
    ("DELETE", {"type": PREFIX + "router.config.address", "name": "a"}, {}),
    ("QUERY", {"entityType": PREFIX + "nothing"}, {"attributeNames": ["name"]}),
    ("QUERY", {"entityType": PREFIX + "listener"}, {"attributeNames": ["name", "nothing"]}),
    ("NOTHING", {"type": PREFIX + "listener"}, {}),
    ("NOTHING", {"type": PREFIX + "listener", "name": "amqp"}, {}),
    ("GET-MGMT-NODES", {"type": "org.amqp.management", "name": "self"}, {}),
    ("GET-MGMT-NODES", {"type": "org.amqp.management", "name": "other"}, {}),
    ("GET-TYPES", {"entityType": "nothing"}, {}),
]
#: Texts that are the same words in both; the others are of Python's own making there.
COMMON_TEXTS: Final = (
    "OK", "Created", "No Content", "Forbidden", "Not Found", "Bad Request", "No entity with", "Conflict", "Operation '",
    "No such entity type", "No name or", "Already exists", "Name conflicts",
)  # fmt: skip


def test_changes_and_refusals(pair: Pair) -> None:
    different = []
    for operation, properties, body in CHANGES:
        question = {"operation": operation, **properties}
        theirs, ours = (router.request(question, body) for router in (pair.theirs, pair.ours))
        same = ours.properties["statusCode"] == theirs.properties["statusCode"]
        text = str(theirs.properties["statusDescription"])
        if text.startswith(COMMON_TEXTS) or "No name or identity" in text:
            same &= ours.properties["statusDescription"] == text
        if isinstance(theirs.body, dict) and theirs.body:
            same &= kinds([theirs.body]) == kinds([ours.body])
        if not same:
            different.append((question, body, dict(theirs.properties), dict(ours.properties), theirs.body, ours.body))
    assert different == []


def tool(command: list[str], router: Router, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [*command, "-b", f"127.0.0.1:{router.port}", *arguments],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def real_tool(name: str) -> list[str]:
    """The tool that was installed with the router."""
    assert SKROUTERD is not None
    for place in (Path(SKROUTERD).parent, Path(SKROUTERD).parents[1] / "bin"):
        if (place / name).exists():
            return [str(place / name)]
    pytest.skip(f"no {name} beside {SKROUTERD}")


STATS: Final = (
    "-g", "-c", "-l", "-n", "-e", "-a", "-m", "-p", "--autolinks", "--vhosts", "--vhostgroups", "--vhoststats",
)  # fmt: skip


@pytest.mark.parametrize("option", [*STATS, "-n -v", "-n --csv", "-r SN -n", "--limit 2 -n", "-n --all-routers"])
def test_skstat_both_ways(pair: Pair, option: str) -> None:
    """The real tool says the same of both routers as ours, but for numbers that move."""
    own = [sys.executable, "-m", "skupper_podman.routerd.tools.skstat"]
    for router in (pair.theirs, pair.ours):
        status, real = tool(real_tool("skstat"), router, *option.split())
        assert (status, "Traceback" in real) == (0, False), real
        status, ours = tool(own, router, *option.split())
        assert status == 0
        assert shape(ours) == shape(real)


def shape(text: str) -> list[str]:
    """Titles, headings and first words of a text of skstat, without what differs from second to second."""
    lines = [line for line in text.splitlines()[1:] if not any(word in line for word in ("===", "temp.", "No Edge"))]
    first = [" ".join(line.split()[:1]) for line in lines]
    return ["#" if word.strip('"').isdigit() else word for word in first]


MANAGES: Final = (
    "query --type listener", "query --type tcpListener name port --indent 1", "query --type nothing", "get-mgmt-nodes",
    "query --type listener nothing", "read --type listener --name amqp", "read --type listener --name nobody", "read",
    "read --type router --name X", "delete --type listener --name nobody", "delete", "get-types", "get-types listener",
    "get-operations log", "get-attributes listener", "get-annotations", "nothing", "nothing --type listener",
    "update --type log --name log/HTTP enable=info+", "update --type log --name log/HTTP nothing=1",
    "create --type tcpListener --name q port=0", "query --type listener -r SN", "query --type log --indent -1 -t 3",
)  # fmt: skip


@pytest.mark.parametrize("arguments", MANAGES)
def test_skmanage_both_ways(pair: Pair, arguments: str) -> None:
    own = [sys.executable, "-m", "skupper_podman.routerd.tools.skmanage"]
    for router in (pair.theirs, pair.ours):
        real, ours = (tool(command, router, *arguments.split()) for command in (real_tool("skmanage"), own))
        assert ours == real


def test_a_tool_reads_more_entities_than_one_answer_has(tmp_path: Path) -> None:
    services = [tcp_listener(0, address=f"none:{number}", name=f"l-{number}") for number in range(600)]
    with running(tmp_path) as lab:
        router = lab.router("A", "interior", *services)
        wait_for(lambda: router.query(PREFIX + "router"), "the router", 30)
        status, text = tool(real_tool("skmanage"), router, "query", "--type", "tcpListener", "name")
        assert (status, text.count('"name"')) == (0, 600)
