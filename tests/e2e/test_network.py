"""The site's bridge network under other containers that come and go."""

import json
from pathlib import Path

from tests.lab import Host
from tests.podmanlab import rootless_host, until


def init(host: Host) -> None:
    host.skupper("init", "--site-name", "solo", "--ingress", "none", "--router", "embedded")


def interface(host: Host) -> str:
    return str(json.loads(host.podman("network", "inspect", "skupper").stdout)[0]["network_interface"])


def hardware_address(host: Host, name: str) -> str:
    return str(json.loads(host.run("ip", "-json", "link", "show", name).stdout)[0]["address"])


def test_gateway_keeps_its_hardware_address(host: Host) -> None:
    init(host)
    bridge = interface(host)
    before = hardware_address(host, bridge)
    # The lowest possible address: a bridge that was not told to keep its own takes this one.
    host.run("ip", "link", "add", "lowest", "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", "far")
    host.run("ip", "link", "set", "lowest", "master", bridge, "up")
    assert hardware_address(host, bridge) == before
    host.podman("stop", "--all", "--time", "1")  # the bridge goes away with its last container, and comes back
    until(lambda: host.skupper("status", check=False).returncode == 0, 30, "the supervisor has mended the site")
    before = hardware_address(host, bridge)
    host.run("ip", "link", "set", "lowest", "master", bridge, "up")
    assert hardware_address(host, bridge) == before


def test_gateway_of_a_rootless_site_keeps_its_address_too() -> None:
    with rootless_host() as host:
        skupper = host.python("-c", "from skupper_podman.cli.main import main; main()")
        options = ("--platform", "podman", "--site-name", "solo", "--ingress", "none", "--router", "embedded")
        assert host.run([*skupper, "init", *options], timeout=120).returncode == 0
        network = host.api().network("skupper")
        assert network is not None
        helper = Path(host.api().info().run_root, "networks/aardvark-dns/aardvark.pid").read_text().strip()
        inside = ["nsenter", f"--target={helper}", "--user", "--preserve-credentials", "--net", "ip"]

        def address() -> str:
            return str(json.loads(host.run([*inside, "-json", "link", "show", network.interface]).stdout)[0]["address"])

        before = address()
        lowest = ["lowest", "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", "far"]
        assert host.run([*inside, "link", "add", *lowest]).returncode == 0
        assert host.run([*inside, "link", "set", "lowest", "master", network.interface, "up"]).returncode == 0
        assert address() == before


def test_network_kept_for_others_is_taken_again(host: Host) -> None:
    init(host)
    host.run_container("other", "skupper", "sleep", "600")
    assert "network skupper is kept" in host.skupper("delete").stdout
    init(host)
    assert host.skupper("status").stdout.startswith("Skupper is enabled")
    host.podman("rm", "--force", "--time", "0", "other")
    host.skupper("delete")
    assert host.labelled() == []
