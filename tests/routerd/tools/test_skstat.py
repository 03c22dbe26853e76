"""skstat's views: the columns and wording of upstream's tool."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from skupper_podman.routerd.management.agent import Agent
from skupper_podman.routerd.tools import skstat
from tests.routerd.management.samples import Configured, Table, sample_agent
from tests.routerd.tools.server import AgentServer

Show = Callable[..., str]

GENERAL = """\
Router Statistics
  attr                       value
  ========================================
  Version                    2.7.6
  Mode                       interior
  Router Id                  A
  Worker Threads             1
  Uptime                     001:01:01:01
  VmSize                     1.50 KiB
  RSS                        12.0 MiB
  Area                       0
  Auto Links                 0
  Links                      3
  Nodes                      1
  Addresses                  12
  Total Connections          2
  TCP Service Connections    4
  AMQP Service Connections   2
"""

CONNECTIONS = """\
Connections
 id host container role proto dir security authentication meshId last dlv uptime
 =
 1 127.0.0.1:50001 client-1 normal amqp in no-security no-auth - 000:01:01:40
 2 127.0.0.1:50002 E edge amqp in TLSv1.3(TLS_AES_256) CN=e(x.509) 000:00:00:05 000:01:01:40
"""

LINKS = (
    "type dir conn id id class addr cap pri undel unsett deliv presett psdrop acc rej rel mod delay rate stuck "
    "cred blkd"
)
NODES = """\
Routers in the Network
Last Topology Change: Tuesday Nov 14 22:13:20 2023 GMT
  router-id  next-hop  link
  ===========================
  A          (self)    -
  B          -         0
"""


@pytest.fixture
def agent() -> Agent:
    return sample_agent()


@pytest.fixture
def server(agent: Agent) -> Iterator[AgentServer]:
    with AgentServer(agent) as running:
        yield running


@pytest.fixture
def show(server: AgentServer, capsys: pytest.CaptureFixture[str]) -> Show:
    def run(*arguments: str) -> str:
        assert skstat.main(["-b", server.url, *arguments]) == 0
        return capsys.readouterr().out

    return run


def squeezed(text: str) -> list[str]:
    return [re.sub(" +", " ", line).strip() for line in text.splitlines()]


def body(text: str) -> list[str]:
    """What comes after the heading of time, router id and an empty line."""
    lines = squeezed(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00:00 UTC", lines[0])
    assert lines[1:3] == ["A", ""]
    return [re.sub("=+", "=", line) for line in lines[3:]]


def expected(text: str) -> list[str]:
    return [re.sub("=+", "=", line) for line in squeezed(text)]


def test_general(show: Show) -> None:
    assert body(show()) == expected(GENERAL)
    assert body(show("-g")) == expected(GENERAL)


def test_connections(show: Show) -> None:
    assert body(show("-c")) == expected(CONNECTIONS)


def test_edge_connections(show: Show, agent: Agent) -> None:
    lines = body(show("-e"))
    assert lines[1] == "id host container dir security authentication active"
    assert lines[3] == "2 127.0.0.1:50002 E in TLSv1.3(TLS_AES_256) CN=e(x.509) yes"
    agent.provide("connection", Table())
    assert body(show("-e")) == ["No Edge Router Connections"]


def test_links(show: Show) -> None:
    lines = body(show("-l"))
    assert lines[:2] == ["Router Links", LINKS]
    assert lines[3] == "endpoint in 1 1 mobile $management 250 4 7 1 250 -"
    assert lines[4] == "endpoint out 1 2 250 4 7 1 250 01:01:01"
    assert body(show("-l", "-v"))[1] == f"{LINKS} admin oper name"


def test_nodes(show: Show, agent: Agent) -> None:
    assert body(show("-n")) == expected(NODES)
    verbose = body(show("-n", "-v"))
    assert verbose[2] == "router-id next-hop link ver cost neighbors valid-origins"
    assert verbose[5] == "B - 0 1 1 [] []"
    agent.provide("router.node", Table())
    assert body(show("-n")) == ["Router is Standalone - No Router List"]


def test_addresses(show: Show) -> None:
    lines = body(show("-a"))
    assert lines[1] == "class addr distrib pri local remote in out thru"
    assert lines[3] == "mobile echo:9090 balanced - 1 1 1,234,567"
    assert lines[4] == "local qdhello flood 9 0 0"
    verbose = body(show("-a", "-v"))[1]
    assert verbose == "class addr distrib pri in-proc local remote in out thru to-proc from-proc watch"


def test_memory(show: Show, agent: Agent) -> None:
    lines = body(show("-m"))
    assert lines[1] == "type size batch thread-max total in-threads rebal-in rebal-out"
    assert lines[3] == "qd_bitmask_t 24 64 128 990 64"
    assert lines[5:] == ["Memory Summary", "VmSize RSS Pooled", "=", "1.50 KiB 12.0 MiB 23.2 KiB"]
    agent.provide("allocator", Table())
    assert body(show("-m")) == ["No memory statistics available"]


def test_policy(show: Show) -> None:
    lines = body(show("-p"))
    assert "Maximum Concurrent Connections 65535" in lines
    assert "Policy Directory (nil)" in lines
    assert "Connections Processed 3" in lines
    assert "Total Denials 0" in lines


def test_auto_links(show: Show, agent: Agent) -> None:
    assert body(show("--autolinks")) == ["AutoLinks", "No AutoLinks found"]
    agent.provide("autoLink", Table({"address": "a", "direction": "in", "operStatus": "active"}))
    assert body(show("--autolinks"))[3] == "a in active"


def test_vhosts(show: Show, agent: Agent) -> None:
    for option, text in (("--vhosts", "No Vhosts"), ("--vhostgroups", "No Vhosts"), ("--vhoststats", "No Vhost Stats")):
        assert show(option) == text + "\n"
    vhost = {"hostname": "h", "maxConnections": 5, "groups": {"$default": {"users": "*"}}}
    agent.provide("vhost", Configured(vhost))
    agent.provide("vhostStats", Table({"hostname": "h", "connectionsApproved": 3, "perUserState": {"u": ["1.2.3.4"]}}))
    assert squeezed(show("--vhosts"))[3].startswith("h 5")
    groups = squeezed(show("--vhostgroups"))
    assert groups[3].startswith("h $default (nil) (nil)")
    assert "Vhost 'h' UserGroup '$default'" in groups
    assert squeezed(show("--vhoststats"))[-1] == "h u ['1.2.3.4']"


def test_log(show: Show) -> None:
    lines = show("--log", "--limit", "2").splitlines()
    assert [line.partition(" ROUTER ")[2] for line in lines] == ["(info) line 3", "(info) line 4"]


def test_all_entities(show: Show) -> None:
    text = show("--all-entities")
    titles = ["Router Links", "Router Addresses", "Connections", "AutoLinks", "Router Statistics", "Memory Pools"]
    positions = [text.index(f"\n{title}\n") for title in [*titles, "Policy Configuration", "No Vhosts"]]
    assert positions == sorted(positions)


def test_limit_and_csv(show: Show) -> None:
    lines = show("-c", "--limit", "1", "--csv").splitlines()[3:]
    assert lines[0] == "Connections"
    assert lines[1].startswith('"id","host","container"')
    assert len(lines) == 3


def test_other_routers(show: Show, server: AgentServer, agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    assert body(show("-r", "A", "-n")) == expected(NODES)
    assert skstat.main(["-b", server.url, "-d", "X", "-n"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("SendException: RELEASED: ")
    agent.provide("router.node", Table({"id": "A"}, {"id": "A"}))
    lines = squeezed(show("--all-routers", "-c"))
    assert lines.count("Router A") == 2
    assert lines.count("Connections") == 2


def test_no_router(capsys: pytest.CaptureFixture[str]) -> None:
    assert skstat.main(["-b", "127.0.0.1:1"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "ConnectionException: Cannot reach the router at amqp://127.0.0.1:1: Connection refused\n"


@pytest.mark.parametrize("arguments", [["-g", "-c"], ["-r", "A", "-d", "B"], ["--frob"], ["-t", "0"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        skstat.main(arguments)
    assert caught.value.code == 2
