"""The main job: two hosts, one token, one service called by name; and everything a user sees on the way."""

import json
import stat

from tests.e2e.conftest import PAGE, PROGRAMS, Sites
from tests.lab import Host
from tests.podmanlab import until


def client(sites: Sites, *argv: str, timeout: float = 120) -> str:
    return sites.west.in_network(
        "skupper", "python3", "client.py", argv[0], "backend", "8080", *argv[1:], options=PROGRAMS, timeout=timeout
    ).stdout.strip()


def test_service_is_called_by_name(sites: Sites) -> None:
    assert sites.fetch() == PAGE


def test_status_says_what_is_connected(sites: Sites) -> None:
    west = sites.west.skupper("status").stdout
    assert west.startswith('Skupper is enabled for "root" with site name "west". It is connected to 1 other site.')
    assert west.rstrip().endswith("It has 1 exposed service.")
    assert "Link link1 is connected" in sites.east.skupper("link", "status").stdout
    assert sites.east.skupper("link", "status", "link1").stdout == "Link link1 is connected\n"
    assert "backend:8080 (tcp)" in sites.west.skupper("service", "status").stdout
    network = sites.west.skupper("network", "status").stdout
    assert "[local]" in network
    assert "site name: east" in network


def test_json_of_every_read(sites: Sites) -> None:
    for argv in (("status",), ("link", "status"), ("service", "status"), ("network", "status"), ("version",)):
        envelope = json.loads(sites.east.skupper(*argv, "-o", "json").stdout)
        assert envelope["apiVersion"] == "skupper-podman/v1"
        assert envelope["data"]


def test_octets_arrive_unchanged_both_ways(sites: Sites) -> None:
    for action in ("echo-sum", "fetch-sum"):
        mine, theirs = client(sites, action, str(256 << 20), timeout=280).split()
        assert mine == theirs


def test_two_hundred_connections_at_once(sites: Sites) -> None:
    assert client(sites, "many", "200") == "200"


def test_private_keys_are_private(sites: Sites) -> None:
    for host in (sites.west, sites.east):
        keys = [
            *(host.directory / "root/volumes").rglob("tls.key"),
            *(host.directory / "root/volumes").rglob("password"),
        ]
        assert keys
        for key in keys:
            assert stat.S_IMODE(key.stat().st_mode) == 0o600, key
    assert stat.S_IMODE((sites.lab.directory / "west.token").stat().st_mode) == 0o600


def test_containers_have_the_least_privilege(sites: Sites) -> None:
    names = sites.west.podman("ps", "--filter", "label=application=skupper", "--format", "{{.Names}}").stdout.split()
    assert {"skupper-router", "skupper-controller-podman", "backend"} <= set(names)
    for name in names:
        details = json.loads(sites.west.podman("inspect", name).stdout)[0]
        assert not details["EffectiveCaps"], name
        assert details["HostConfig"]["ReadonlyRootfs"], name
        assert any("no-new-privileges" in option for option in details["HostConfig"]["SecurityOpt"]), name
        assert "podman.sock" not in json.dumps(details["Mounts"]), name


def test_a_service_may_have_a_low_port(sites: Sites) -> None:
    """No capability is left in the container to bind it."""
    east = sites.east
    east.skupper("expose", "host", "web", "--address", "low", "--port", "80", "--target-port", "8080")
    command = ("curl", "--silent", "--max-time", "5", "http://low/")
    until(lambda: east.in_network("skupper", *command, check=False).stdout == PAGE, 15, "port 80 answers")
    east.skupper("unexpose", "host", "web", "--address", "low")


def test_commands_can_be_run_again(sites: Sites) -> None:
    before = sites.west.podman("ps", "--all", "--format", "{{.ID}} {{.Names}}").stdout
    again = sites.west.skupper(
        "init", "--site-name", "west", "--ingress-host", sites.west.address, "--router", "embedded"
    )
    assert "already been initialized" in again.stdout
    assert sites.west.podman("ps", "--all", "--format", "{{.ID}} {{.Names}}").stdout == before


def test_dry_run_changes_nothing(sites: Sites) -> None:
    west: Host = sites.west
    before = (west.labelled(), west.podman("ps", "--format", "{{.ID}} {{.Status}}").stdout.split("\n")[0][:12])
    for argv in (("delete",), ("service", "delete", "backend"), ("service", "create", "other", "9090")):
        plan = west.skupper(*argv, "--dry-run")
        assert plan.stdout.strip()
    assert sites.east.skupper("link", "delete", "link1", "--dry-run").stdout.strip()
    assert (west.labelled(), west.podman("ps", "--format", "{{.ID}} {{.Status}}").stdout.split("\n")[0][:12]) == before
    assert sites.fetch() == PAGE


def test_foreign_things_survive_delete(sites: Sites) -> None:
    """Runs last in this module: it deletes both sites."""
    for number in range(5):
        sites.west.run_container(f"foreign{number}", "podman", "sleep", "600")
        sites.west.podman("volume", "create", f"foreign{number}")
    # A user's own container may carry the label for reasons of its own: it is not ours to remove.
    sites.west.run_container("labelled", "podman", "sleep", "600", options=("--label", "application=skupper"))
    sites.west.podman("volume", "create", "--label", "application=skupper", "labelled")
    for host in (sites.west, sites.east):
        host.podman("rm", "--force", "--time", "0", "web", check=False)
        assert "Skupper is now removed for user 'root'." in host.skupper("delete").stdout
    assert sites.east.labelled() == []
    assert sorted(sites.west.labelled()) == ["container labelled", "volume labelled"]
    running = sites.west.podman("ps", "--format", "{{.Names}}").stdout.split()
    assert sorted(running) == [*(f"foreign{number}" for number in range(5)), "labelled"]
    volumes = sites.west.podman("volume", "ls", "--format", "{{.Name}}").stdout.split()
    assert sorted(volumes) == [*(f"foreign{number}" for number in range(5)), "labelled"]
    after = sites.west.skupper("status", check=False)
    assert "not enabled" in after.stdout + after.stderr
