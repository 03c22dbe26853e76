"""``init``, ``delete`` and ``status``."""

from dataclasses import replace

import pytest

from skupper_podman.errors import Blocker, InvalidError, PlatformError, PreflightError
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.site import LogLevel
from skupper_podman.model.siteoptions import FLAGS
from skupper_podman.model.status import Probe
from tests.cli.memory import MemoryPlatform, remote_network
from tests.cli.terminal import Terminal

INSTALLED = "Skupper is now installed for user 'jdoe'.  Use 'skupper status' to get more information.\n"


def test_init(skupper: Terminal, platform: MemoryPlatform) -> None:
    answer = skupper("init")
    assert (answer.code, answer.out, answer.err) == (0, INSTALLED, "")
    spec = platform.requests[0].spec
    assert (spec.name, spec.site_id, spec.ingress, spec.ingress_hosts) == ("", "", "external", ())
    assert platform.requests[0].timeout == 120
    assert platform.closed


def test_init_passes_every_flag_on(skupper: Terminal, platform: MemoryPlatform) -> None:
    answer = skupper(
        "init", "--site-name", "west", "--ingress-host", "a,b", "--ingress-host=192.0.2.1",
        "--ingress-bind-ip=10.0.0.1", "--bind-port=1055", "--bind-port-edge", "1045", "--container-network=n",
        "--enable-ipv6", "--enable-service-sync",
        "--router=embedded", "--router-cpu-limit=0.5", "--router-memory-limit=268435456",
        "--controller-cpu-limit=2", "--controller-memory-limit=1000000000",
        "--router-logging=ROUTER_CORE:debug,info", "--labels=a=b,c=d", "--podman-endpoint=/run/x.sock", "--timeout=90s",
    )  # fmt: skip
    assert answer.code == 0, answer
    request = platform.requests[0]
    assert request.spec.ingress_hosts == ("a", "b", "192.0.2.1")
    assert request.spec.bind_ips == ("10.0.0.1",)
    assert (request.spec.inter_router_port, request.spec.edge_port) == (1055, 1045)
    assert (request.spec.network, request.spec.ipv6, request.spec.router) == ("n", True, "embedded")
    assert request.spec.router_logging == (LogLevel("ROUTER_CORE", "debug"), LogLevel("", "info"))
    assert request.spec.labels == {"a": "b", "c": "d"}
    assert (request.spec.router_cpu_millis, request.spec.router_memory_bytes) == (500, 2**28)
    assert (request.spec.controller_cpu_millis, request.spec.controller_memory_bytes) == (2000, 10**9)
    assert request.spec.service_sync
    assert request.given is not None
    assert request.given == set(FLAGS) - {"ingress", "router_mode", "claims_port"}
    assert (request.endpoint, request.timeout) == ("/run/x.sock", 90)
    assert skupper.opened == ["/run/x.sock"]


def test_init_again_says_so_and_exits_0(site: Terminal) -> None:
    answer = site("init", "-o", "json")
    assert answer.data["action"] == "unchanged"
    answer = site("init")
    assert (answer.code, answer.out) == (0, "Skupper has already been initialized for user jdoe\n")


def test_init_again_changes_the_site(site: Terminal, platform: MemoryPlatform) -> None:
    platform.ahead = ("skupper-router restarts",)
    answer = site("init", "--bind-port=1055", "--dry-run")
    assert answer.out == (
        "Change site vm1-jdoe-c3d98\n"
        "  update site vm1-jdoe-c3d98\n"
        "  note: --bind-port: 55671 -> 1055\n"
        "Nothing has been changed.\n"
    )
    assert answer.err == "Warning: skupper-router restarts\n"
    answer = site("init", "--bind-port=1055")
    assert answer.out == (
        "--bind-port: 55671 -> 1055\n"
        "Skupper is changed for user 'jdoe'.  Use 'skupper status' to get more information.\n"
    )
    assert answer.err == "Warning: skupper-router restarts\n"
    assert site("init", "--bind-port=1055", "-o", "json").data["action"] == "unchanged"
    answer = site("init", "--bind-port=55671", "-o", "json")
    assert (answer.data["action"], answer.data["facts"]["changes"]) == ("changed", ["--bind-port: 1055 -> 55671"])
    assert answer.data["facts"]["ahead"] == ["skupper-router restarts"]


def test_what_is_interrupted_is_said_before_anything_is_done(site: Terminal, platform: MemoryPlatform) -> None:
    platform.ahead, platform.broken_step = ("skupper-router restarts",), PlatformError("it broke")
    answer = site("init", "--bind-port=1055")
    assert (answer.code, answer.err) == (1, "Warning: skupper-router restarts\nError: it broke\n")
    assert platform.closed


def test_init_again_refuses_what_is_fixed(site: Terminal) -> None:
    answer = site("init", "--container-network=other")
    assert answer.code == 1
    assert answer.err == (
        "Error: the site vm1-jdoe-c3d98 keeps for life what it was made with: "
        "--container-network is skupper, not other\n"
        "Hint: leave the option out, or make the site anew: skupper delete, then skupper init\n"
    )


def test_init_dry_run(skupper: Terminal, platform: MemoryPlatform) -> None:
    answer = skupper("init", "--dry-run", "--site-name", "west")
    assert answer.out == "Create site west\n  create site west\nNothing has been changed.\n"
    assert platform.spec is None
    assert platform.requests[0].dry_run
    answer = skupper("init", "--dry-run", "-o", "json")
    assert answer.data["wouldChange"] is True
    assert answer.data["steps"] == [{"verb": "create", "what": "site vm1-jdoe-c3d98", "detail": ""}]


def test_init_shows_notes_and_warnings(skupper: Terminal, platform: MemoryPlatform) -> None:
    platform.notes, platform.warnings = ("the embedded router runs",), ("lingering is off",)
    answer = skupper("init")
    assert answer.out == "the embedded router runs\n" + INSTALLED
    assert answer.err == "Warning: lingering is off\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--router-mode=x"], 'invalid "--router-mode=x", it must be one of "interior, edge"'),
        (["--router-logging=X:info"], "Bad value for --router-logging: Invalid logging module for router: X"),
        (["--router-logging=loud"], "Bad value for --router-logging: Invalid logging level for router: loud"),
        (["--site-name=a b"], "invalid skupper site name: value contains spaces"),
        (["--ingress=route"], "Invalid value for ingress: route"),
        (["--timeout=0"], "invalid timeout value"),
        (["--bind-port=0"], "Port 0 is outside valid range."),
        (["--bind-port=5", "--bind-port-edge=5"], "--bind-port and --bind-port-edge are both 5: they must differ"),
        (["--router=go"], 'invalid "--router=go", it must be one of "auto, image, embedded"'),
        (["--router-cpu-limit=many"], "invalid cpu limit (decimal) for router: many"),
        (["--controller-memory-limit=1G"], "invalid memory limit (bytes) for controller: 1G"),
        (["--labels=x"], "Bad value for --labels: x must be formatted as key=value"),
    ],
)
def test_init_checks_values_before_it_touches_anything(skupper: Terminal, words: list[str], message: str) -> None:
    answer = skupper("init", *words)
    assert (answer.code, answer.err) == (
        2,
        f"Error: {message}\nHint: run 'skupper init --help' for usage\n",
    )
    assert skupper.opened == []


@pytest.mark.parametrize(
    "flag",
    [
        "--enable-console", "--enable-flow-collector", "--console-auth=internal", "--console-user=a",
        "--console-password=b", "--flow-collector-record-ttl=5m", "--bind-port-flow-collector=8010",
        "--external-prometheus-server=x", "--prometheus-auth=tls", "--prometheus-user=a", "--prometheus-password=b",
        "--flow-collector-cpu-limit=1", "--flow-collector-memory-limit=1", "--prometheus-cpu-limit=1",
        "--prometheus-memory-limit=1",
    ],
)  # fmt: skip
def test_flags_that_do_not_work_yet_are_refused_by_name(skupper: Terminal, flag: str) -> None:
    answer = skupper("init", flag)
    assert answer.code == 1
    assert answer.err.startswith(f"Error: {flag.partition('=')[0]}")
    assert "not supported in this release" in answer.err
    assert skupper.opened == []


def test_all_refused_flags_are_named_at_once(skupper: Terminal) -> None:
    answer = skupper("init", "--enable-console", "--prometheus-cpu-limit=2", "--enable-flow-collector=false")
    assert answer.err.startswith("Error: --enable-console, --prometheus-cpu-limit are not supported in this release: ")


def test_saying_no_to_what_is_not_there_is_fine(skupper: Terminal) -> None:
    assert skupper("init", "--enable-console=false", "--console-user=").code == 0


def test_ingress_hosts_without_ingress_give_a_warning(skupper: Terminal, platform: MemoryPlatform) -> None:
    answer = skupper("init", "--ingress=none", "--ingress-host=a")
    assert answer.code == 0
    assert answer.err.startswith("Warning: --ingress-host has no effect with --ingress none")
    assert platform.requests[0].spec.ingress_hosts == ()


def test_preflight_lists_every_blocker(skupper: Terminal, platform: MemoryPlatform) -> None:
    blockers = (
        Blocker("port-free", "port 55671 is taken by pid 7", "kill 7"),
        Blocker("disk", "the disk is full", "df -h"),
    )
    platform.broken_step = PreflightError(blockers)
    answer = skupper("init")
    assert answer.code == 1
    assert answer.err == (
        "Error: this host is not ready; nothing has been changed\n"
        "  port-free: port 55671 is taken by pid 7\n"
        "    Hint: kill 7\n"
        "  disk: the disk is full\n"
        "    Hint: df -h\n"
    )
    assert platform.spec is None


def test_a_failing_step_is_undone(skupper: Terminal, platform: MemoryPlatform) -> None:
    platform.broken_step = PlatformError("no space", "df -h")
    answer = skupper("init")
    assert (answer.code, answer.err) == (1, "Error: no space\nHint: df -h\n")
    assert platform.spec is None


def test_an_interrupt_is_undone_and_exits_130(skupper: Terminal, platform: MemoryPlatform) -> None:
    platform.broken_step = KeyboardInterrupt()
    answer = skupper("init")
    assert (answer.code, answer.err) == (130, "Error: interrupted; everything begun was undone\n")
    assert platform.spec is None


def test_delete(site: Terminal, platform: MemoryPlatform) -> None:
    assert site("delete", "--dry-run").code == 0
    assert platform.spec is not None
    answer = site("delete")
    assert (answer.code, answer.out, answer.err) == (0, "Skupper is now removed for user 'jdoe'.\n", "")
    again = site("delete")
    assert (again.code, again.out, again.err) == (0, "Skupper is not enabled for user 'jdoe'\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["status"], ["link", "status"], ["link", "delete", "x"], ["service", "status"], ["service", "delete", "x"],
        ["network", "status"], ["token", "create", "t"], ["service", "create", "a", "80"],
        ["service", "bind", "a", "host", "b"], ["unexpose", "host", "h", "--address=a"],
    ],
)  # fmt: skip
def test_without_a_site_every_command_says_so(skupper: Terminal, words: list[str]) -> None:
    answer = skupper(*words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        "Error: Skupper is not enabled for user 'jdoe'\nHint: to create a site: skupper init\n"  #
    )


def test_status_of_a_linked_site(site: Terminal, platform: MemoryPlatform) -> None:
    assert platform.spec is not None
    platform.network = remote_network(platform.spec)
    site("service", "create", "backend", "8080")
    assert site("status").out == (
        'Skupper is enabled for "jdoe" with site name "vm1-jdoe-c3d98". It is connected to 1 other site. '
        "It has 1 exposed service.\n"
    )
    assert site("status", "-v").out.splitlines()[4] == "total connections:     1 "
    assert site("status", "-o", "json").data["connections"] == {"total": 1, "direct": 1, "indirect": 0}


@pytest.mark.parametrize("health", ["failing", "unknown"])
def test_status_never_says_ok_when_a_probe_does_not(site: Terminal, platform: MemoryPlatform, health: str) -> None:
    platform.probes = (Probe("container skupper-router", health, "gone", fix="skupper init"),)  # type: ignore[arg-type]
    for words in (["status"], ["status", "-v"]):
        answer = site(*words)
        assert answer.code == 1
        assert "healthy" in answer.out.splitlines()[0]
        assert "container skupper-router: gone" in answer.out
        assert "Skupper is enabled" not in answer.out
    answer = site("status", "-o", "json")
    assert answer.code == 1
    assert answer.data["health"] == health


def test_status_without_any_probe_is_not_ok(site: Terminal, platform: MemoryPlatform) -> None:
    platform.probes = ()
    assert site("status").code == 1


def test_status_while_the_network_status_is_missing(site: Terminal, platform: MemoryPlatform) -> None:
    platform.network_error = InvalidError("error reading skupper-network-status: no such file")
    answer = site("status")
    assert answer.code == 1
    assert "unknown  network status: error reading skupper-network-status: no such file" in answer.out
    platform.network_error, platform.network = None, NetworkStatus()
    assert "Site information is not yet available" in site("status").out
    assert site("status", "-o", "json").data["connections"] is None


def test_names_of_other_sites_cannot_forge_output(site: Terminal, platform: MemoryPlatform) -> None:
    assert platform.spec is not None
    network = remote_network(platform.spec)
    evil = replace(network.sites[1], site=replace(network.sites[1].site, name="x\nSites: \x1b[31mred"))
    platform.network = replace(network, sites=(network.sites[0], evil))
    out = site("network", "status").out
    assert "\x1b" not in out
    assert "site name: x\\x0aSites: \\x1b[31mred" in out
