"""The site's bridge network under other containers that come and go."""

import json

from tests.e2e.conftest import wait_until
from tests.lab import Host


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
    wait_until(lambda: host.skupper("status", check=False).returncode == 0, 30, "the supervisor has mended the site")
    before = hardware_address(host, bridge)
    host.run("ip", "link", "set", "lowest", "master", bridge, "up")
    assert hardware_address(host, bridge) == before


def test_network_kept_for_others_is_taken_again(host: Host) -> None:
    init(host)
    host.run_container("other", "skupper", "sleep", "600")
    assert "network skupper is kept" in host.skupper("delete").stdout
    init(host)
    assert host.skupper("status").stdout.startswith("Skupper is enabled")
    host.podman("rm", "--force", "--time", "0", "other")
    host.skupper("delete")
    assert host.labelled() == []
