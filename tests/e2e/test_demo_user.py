"""The demo of an ordinary user: two named sites on one host, rootless, under the user's systemd."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.userhost import PROJECT, user_host
from tests.lab import Lab
from tests.podmanlab import unable

SYSTEMD = Path("/lib/systemd/systemd")
OF_PODMAN = {"containers", "libpod", "crun", "runc", "netns", "podman"}
"""What Podman itself leaves in the runtime directory. Locks are left, too, and go with it."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(unable()), reason=unable() or "-"),
    pytest.mark.skipif(not SYSTEMD.exists(), reason="needs systemd"),
    pytest.mark.timeout(900),
]


def test_the_demo_for_one_user() -> None:
    """No root, no namespaces: what a user types, links two sites of theirs, and takes all of it back."""
    with Lab("unused") as lab, user_host(lab, 9, systemd=True) as host:
        program = host.directory / "demo_user.py"
        shutil.copy(PROJECT / "scripts" / "demo_user.py", program)
        program.chmod(0o644)
        before = host.belongings()
        done = host.type(str(host.bin / "python3"), str(program), expect=None, timeout=800)
        assert done.returncode == 0, done.text
        assert done.stdout.count("Hello from site east, over the service network.") == 1, done.text
        assert "Link link1 is connected" in done.stdout
        assert done.stdout.count("It is connected to 1 other site.") == 2, done.text
        assert "left of the two sites: nothing" in done.stdout
        after = host.belongings()
        for kind in ("containers", "volumes", "networks", "secrets", "ports", "images"):
            assert after[kind] == before[kind], kind
        assert not {name for name in after["files"] - before["files"] if "skupper" in name}
        assert after["runtime"] - before["runtime"] <= OF_PODMAN
