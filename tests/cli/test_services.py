"""``expose``, ``unexpose`` and ``service``."""

from pathlib import Path

import pytest

from skupper_podman.errors import InvalidError
from skupper_podman.model.service import HostPorts, Service, Target
from skupper_podman.model.status import ServiceStatus
from tests.cli.memory import PEER_ID, MemoryPlatform, remote_network
from tests.cli.terminal import Terminal

ADDRESS = "--address=backend"


def test_expose(site: Terminal, platform: MemoryPlatform) -> None:
    answer = site("expose", "host", "10.0.0.1", ADDRESS, "--port", "8080")
    assert (answer.code, answer.out, answer.err) == (0, "host 10.0.0.1 exposed as backend (tcp 8080)\n", "")
    assert platform.services_by_address["backend"].targets == (Target("10.0.0.1", ((8080, 8080),)),)


def test_expose_with_every_flag(site: Terminal, platform: MemoryPlatform) -> None:
    answer = site(
        "expose", "host", "web", ADDRESS, "--port=80,81", "--target-port=8080,81:9090", "--protocol=http",
        "--aggregate=json", "--generate-tls-secrets", "--container-name=c", "--host-ip=127.0.0.1",
        "--host-port=1080,1081", "--label=a=b", "--label", "c=d",
    )  # fmt: skip
    assert answer.code == 0, answer
    assert platform.services_by_address["backend"] == Service(
        "backend",
        (80, 81),
        "http",
        (Target("web", ((80, 8080), (81, 9090))),),
        {"a": "b", "c": "d"},
        tls_credentials="skupper-tls-backend",
        aggregate="json",
        container_name="c",
        host_ports=HostPorts("127.0.0.1", ((80, 1080), (81, 1081))),
    )


def test_ports_are_deduced_from_target_ports(site: Terminal, platform: MemoryPlatform) -> None:
    assert site("expose", "host", "web", ADDRESS, "--target-port=80:8080").code == 0
    assert platform.services_by_address["backend"].ports == (80,)


def test_old_tls_flag_still_works_with_a_notice(site: Terminal, platform: MemoryPlatform) -> None:
    answer = site("expose", "host", "web", ADDRESS, "--port=80", "--enable-tls")
    assert answer.err == "Flag --enable-tls has been deprecated, use 'generate-tls-secrets' instead\n"
    assert platform.services_by_address["backend"].tls_credentials


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--address is required"),
        ([ADDRESS], "--port is required"),
        (
            [ADDRESS, "--port=80"],
            "Target type and target value must all be specified (e.g. 'skupper expose <target-type> <target-value>')",
        ),
        ([ADDRESS, "--port=80", "host", "a", "b"], "illegal argument: b"),
        ([ADDRESS, "--port=80", "pods", "a"], "invalid target type: pods - valid target types are: [host]"),
        ([ADDRESS, "--port=80", "host", ""], "a hostname or IP is required"),
        ([ADDRESS, "--port=80", "host", "http://x"], "invalid hostname or ip"),
        (
            [ADDRESS, "--port=80,81", "host", "h", "--target-port=1"],
            "service defines 2 ports but only 1 mapped (all ports must be mapped)",
        ),
        ([ADDRESS, "--port=80", "host", "h", "--target-port=x:1"], "invalid source port: x"),
        ([ADDRESS, "--port=80", "host", "h", "--target-port=0"], "invalid target port: 0"),
        ([ADDRESS, "--port=80", "host", "h", "--target-port=81:1"], "source port not defined in service: 81"),
        ([ADDRESS, "--port=80", "host", "h", "--host-port=x:1"], "invalid service port: x"),
        ([ADDRESS, "--port=80", "host", "h", "--host-port=z"], "invalid host port: z"),
        ([ADDRESS, "--port=80", "host", "h", "--host-port=81:1"], "81 is not a valid service port"),
        ([ADDRESS, "--port=0", "host", "h"], "Port 0 is outside valid range."),
        ([ADDRESS, "--port=80,80", "host", "h"], "a port is given twice: 80, 80"),
        (
            [ADDRESS, "--port=80", "host", "h", "--protocol=udp"],
            "udp is not a valid mapping. Choose 'tcp', 'http' or 'http2'.",
        ),
        (
            [ADDRESS, "--port=80", "host", "h", "--aggregate=json", "--event-channel"],
            "Only one of aggregate and event-channel can be specified for a given service.",
        ),
        (
            [ADDRESS, "--port=80", "host", "h", "--aggregate=xml"],
            "xml is not a valid aggregation strategy. Choose 'json' or 'multipart'.",
        ),
        (
            [ADDRESS, "--port=80", "host", "h", "--aggregate=json"],
            "The aggregate option is currently only valid for http",
        ),
        (
            [ADDRESS, "--port=80", "host", "h", "--event-channel"],
            "The event-channel option is currently only valid for http",
        ),
        (
            [ADDRESS, "--port=80", "host", "h", "--enable-ingress-from-target-site=Sometimes"],
            "Invalid value for ingress-mode: Sometimes. Must be Always or Never.",
        ),
        ([ADDRESS, "--port=80", "host", "h", "--host-ip=here"], "invalid --host-ip: here is not an address"),
    ],
)
def test_expose_checks(site: Terminal, words: list[str], message: str) -> None:
    opened = len(site.opened)
    answer = site("expose", *words)
    assert (answer.code, answer.err) == (2, f"Error: {message}\nHint: run 'skupper expose --help' for usage\n")
    assert len(site.opened) == opened


def test_addresses_are_dns_labels(site: Terminal) -> None:
    answer = site("expose", "host", "h", "--address=Back_End", "--port=80")
    assert answer.code == 2
    assert answer.err.startswith('Error: Invalid service name: ["a DNS-1035 label must consist of')


def test_unexpose(site: Terminal, platform: MemoryPlatform) -> None:
    site("expose", "host", "a", ADDRESS, "--port=80")
    site("service", "bind", "backend", "host", "b")
    answer = site("unexpose", "host", "a", ADDRESS)
    assert (answer.code, answer.out) == (0, "host a unexposed\n")
    assert "backend" in platform.services_by_address
    assert site("unexpose", "host", "a", ADDRESS).err.startswith("Error: Could not find target a for service interface")
    site("unexpose", "host", "b", ADDRESS)
    assert platform.services_by_address == {}
    assert site("unexpose", "host", "b").err.startswith("Error: --address is required\n")


@pytest.mark.parametrize(("words", "ports"), [(["backend", "80", "81"], (80, 81)), (["backend:8080"], (8080,))])
def test_create(site: Terminal, platform: MemoryPlatform, words: list[str], ports: tuple[int, ...]) -> None:
    answer = site("service", "create", *words)
    assert (answer.code, answer.out) == (0, "Service backend created\n")
    assert platform.services_by_address["backend"].ports == ports
    assert site("service", "create", *words).err.startswith("Error: Service backend already defined")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Name and port(s) must be specified"),
        (["a"], "Name and port(s) must be specified"),
        (["a", "x"], "x is not a valid port"),
        (["a:x"], "x is not a valid port"),
        (["a", "-1"], "unknown shorthand flag: '1' in -1"),
        (["a", "70000"], "Port 70000 is outside valid range."),
        (["a", "9" * 5000], "Port 999999 is outside valid range."),
    ],
)
def test_create_checks(site: Terminal, words: list[str], message: str) -> None:
    answer = site("service", "create", *words)
    assert answer.code == 2
    assert answer.err.startswith(f"Error: {message}\n")


def test_create_with_the_old_mapping_flag(site: Terminal, platform: MemoryPlatform) -> None:
    answer = site("service", "create", "a", "80", "--mapping=http2")
    assert answer.err == "Flag --mapping has been deprecated, protocol is now the flag to set the mapping\n"
    assert platform.services_by_address["a"].protocol == "http2"


@pytest.mark.parametrize("flag", ["--bridge-image"])
def test_create_refuses_what_has_no_effect(site: Terminal, flag: str) -> None:
    answer = site("service", "create", "a", "80", flag, "x")
    assert answer.code == 1
    assert answer.err.startswith(f"Error: {flag} is not supported in this release")


def test_delete(site: Terminal, platform: MemoryPlatform) -> None:
    site("service", "create", "backend", "80")
    assert site("service", "delete", "backend").out == "Service backend deleted\n"
    answer = site("service", "delete", "backend")
    assert answer.code == 1
    assert answer.err.startswith("Error: Service backend not defined\n")


def test_bind_and_unbind(site: Terminal, platform: MemoryPlatform) -> None:
    site("service", "create", "backend", "80")
    answer = site("service", "bind", "backend", "host", "web", "--target-port", "8080")
    assert (answer.code, answer.out) == (0, "host web bound to service backend\n")
    assert platform.services_by_address["backend"].targets == (Target("web", ((80, 8080),)),)
    again = site("service", "bind", "backend", "host", "web", "--target-port", "8080")
    assert (again.code, again.out) == (0, "host web is bound already to service backend\n")
    assert site("service", "unbind", "backend", "host", "web").out == "host web unbound from service backend\n"
    assert platform.services_by_address["backend"].targets == ()
    assert site("service", "bind", "nope", "host", "web").err.startswith("Error: Service nope not defined\n")


@pytest.mark.parametrize("verb", ["bind", "unbind"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "Service name, target type and target value must all be specified (e.g. 'skupper service bind "),
        (["a", "host", "b", "c"], "illegal argument: c"),
        (["a", "deployment", "b"], "invalid target type: deployment - valid target types are: [host]"),
        (["a", "host", "/"], "invalid hostname or ip"),
    ],
)
def test_bind_checks(site: Terminal, verb: str, words: list[str], message: str) -> None:
    answer = site("service", verb, *words)
    assert answer.code == 2
    assert answer.err.startswith(f"Error: {message}")


def test_status(site: Terminal, platform: MemoryPlatform) -> None:
    assert site("service", "status").out == "No services defined\n"
    site("expose", "host", "10.0.0.1", ADDRESS, "--port=8080", "--target-port=9090", "--label=app=x")
    answer = site("service", "status", "-v", "--show-labels")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        "Services exposed through Skupper:\n"
        "╰─ backend:8080 (tcp)\n"
        "   ├─ Sites:\n"
        "   │  ╰─ 484cccc3-401c-4c30-a6ed-73382701b18a\n"
        "   │     │ policy: -\n"
        "   │     ╰─ Targets:\n"
        "   │        ╰─ host: 10.0.0.1 - ports: map[8080:9090]\n"
        "   ╰─ Labels:\n"
        "      ╰─ app=x\n"
    )


def test_status_tells_where_a_service_came_from_and_whom_it_is_for(site: Terminal, platform: MemoryPlatform) -> None:
    site("service", "create", "a", "1", "--allow-site", "west,north", "--allow-site=west")
    platform.services_by_address["b"] = Service("b", (2,), origin=PEER_ID)
    assert site("service", "status").out == (
        "Services exposed through Skupper:\n"
        "├─ a:1 (tcp)\n"
        "│  only for: north, west\n"
        f"╰─ b:2 (tcp)\n   from: {PEER_ID}\n"
    )
    own, other = site("service", "status", "-o", "json").data["services"]
    assert (own["allowedSites"], own["originSite"]) == (["north", "west"], None)
    assert (other["origin"], other["originSite"]) == (PEER_ID, None)
    assert platform.spec is not None
    platform.network = remote_network(platform.spec)
    found = next(item for item in platform.network.sites if item.site.identity == PEER_ID)
    assert f"from: {found.site.name}({PEER_ID})" in site("service", "status", "b").out
    assert site("service", "status", "b", "-o", "json").data["services"][0]["originSite"] == found.site.name
    answer = site("service", "create", "c", "3", "--allow-site", "a b")
    assert answer.code == 2
    assert answer.err.startswith("Error: invalid site 'a b': give the name or the id of a site\n")


def test_status_of_one(site: Terminal) -> None:
    site("service", "create", "a", "1")
    site("service", "create", "b", "2")
    assert "b:2" not in site("service", "status", "a").out
    assert site("service", "status", "c").err == "Error: Service c not defined\nHint: services of this site: a, b\n"


def test_status_says_what_is_wrong(site: Terminal, platform: MemoryPlatform) -> None:
    site("service", "create", "backend", "80")
    platform.service_health = ServiceStatus(Service("x", (1,)), "failing", "container is exited", "skupper init")
    answer = site("service", "status")
    assert answer.code == 1
    assert "health: failing: container is exited" in answer.out
    assert site("service", "status", "-o", "json").data["services"][0]["health"] == "failing"


def test_status_without_a_network_status(site: Terminal, platform: MemoryPlatform) -> None:
    site("service", "create", "backend", "80")
    platform.network_error = InvalidError("no such file")
    answer = site("service", "status")
    assert (answer.code, answer.out.splitlines()[1]) == (0, "╰─ backend:80 (tcp)")
    assert answer.err == "Warning: what other sites have is not known: no such file\n"


def test_a_site_may_leave_a_service_with_targets_to_others(site: Terminal, platform: MemoryPlatform) -> None:
    site("service", "create", "a", "80", "--enable-ingress=never")
    site("expose", "host", "h", ADDRESS, "--port=80", "--enable-ingress-from-target-site=Never")
    first, second = platform.services_by_address["a"], platform.services_by_address["backend"]
    assert (first.ingress, first.listens) == ("Never", True)
    assert (second.ingress, second.listens) == ("Never", False)


def test_certificates_that_are_brought(site: Terminal, platform: MemoryPlatform, tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "other.pem").write_text("other")
    cert = f"--tls-cert={tmp_path}"
    site("service", "create", "a", "80", cert)
    site("expose", "host", "h", ADDRESS, "--port=80", cert, f"--tls-trust={tmp_path}/other.pem")
    first, second = platform.services_by_address["a"], platform.services_by_address["backend"]
    assert first.tls_files == (("ca.crt", b"ca.crt"), ("tls.crt", b"tls.crt"), ("tls.key", b"tls.key"))
    assert (second.tls_credentials, dict(second.tls_files)["ca.crt"]) == ("skupper-tls-backend", b"other")
    assert "tls.key" not in repr(second)
    site("service", "bind", "a", "host", "h", f"--tls-trust={tmp_path}")
    assert platform.trust == b"ca.crt"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tls-cert=DIR", "--generate-tls-secrets"],
         "the option --generate-tls-secrets can not be used with custom certificates"),
        (["--tls-cert=DIR"], "tls.crt file is missing in DIR"),
        (["--tls-cert=DIR/none"], "DIR/none is no directory"),
    ],
)  # fmt: skip
def test_certificates_that_are_not_there(site: Terminal, tmp_path: Path, words: list[str], message: str) -> None:
    answer = site("service", "create", "a", "80", *(word.replace("DIR", str(tmp_path)) for word in words))
    assert answer.err.partition("\n")[0] == "Error: " + message.replace("DIR", str(tmp_path))
