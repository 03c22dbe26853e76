"""A gateway on machines of other distributions: their systemd, their Python, their C library.

SKUPPER_TEST_MACHINE_ROOT names directories with the root of one each, divided by colons, as debootstrap makes them,
with python3, systemd, dbus-user-session and libpam-systemd (tried: Debian 11 and 13).
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from tests.e2e.gatewayscene import MARKS, Scene, definition, open_connection, said_back, site_and_server
from tests.e2e.machine import USER
from tests.podmanlab import until

ROOTS = [path for path in os.environ.get("SKUPPER_TEST_MACHINE_ROOT", "").split(":") if path]
pytestmark = [*MARKS, pytest.mark.skipif(not ROOTS, reason="needs SKUPPER_TEST_MACHINE_ROOT")]
BINDING = ("db", 15432)


@pytest.mark.parametrize("root", ROOTS or ["-"])
def test_joins_stays_and_goes(root: str) -> None:
    with site_and_server("db", "more", root=Path(root)) as scene:
        for port in (15432, 15433):
            start = f"ExecStart=/usr/bin/python3 /home/echo.py {port}"
            unit = f"[Service]\n{start}\n[Install]\nWantedBy=multi-user.target\n"
            scene.sh(f"printf %s {shlex.quote(unit)} > /etc/systemd/system/echo{port}.service")
            scene.sh(f"systemctl enable --now echo{port}")
        as_root(scene)
        # A kernel with control groups of the first version may have no logind for a new systemd, and so no users.
        if scene.sh(f"loginctl enable-linger {USER}", expect=None).returncode == 0:
            until(lambda: scene.state_of_user() in ("running", "degraded"), 60, "the user's own systemd is up")
            as_a_user(scene)
        assert scene.sh("ls -d /var/lib/skupper /var/lib/private/skupper", expect=None).stdout == ""


def as_root(scene: Scene) -> None:
    place = scene.bundle(definition(BINDING), "--self-contained", "--launch-within", "1h")
    scene.launch(place)
    until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site")
    said = scene.sh("systemd-analyze security --no-pager database").stdout
    assert float(said.rpartition("Overall exposure level for database.service: ")[2].split()[0]) <= 1.5, said
    newer = scene.bundle(definition(BINDING, ("more", 15433)), "--self-contained", into="newer")
    with open_connection(scene) as client:
        assert said_back(client, b"one\n")
        scene.launch(newer)
        until(lambda: scene.echo("more") == "hello\n", 60, "the second service answers")
        assert "renewed until" in scene.sh(f"{newer}/renew.py --now").stdout
        scene.sh("systemctl start database_renewal")
        assert said_back(client, b"two\n")
    scene.sh("kill -9 $(systemctl show --property MainPID --value database)")
    until(lambda: scene.echo() == "hello\n", 60, "systemd has started it again")
    scene.server.reboot()
    scene.server.plug()
    scene.server.await_boot()
    until(lambda: scene.echo() == "hello\n", 60, "the server answers after the boot")
    found = json.loads(scene.launch(newer, "--status --json").stdout)
    assert (found["link"], found["problems"], found["notRenewed"]) == ("up", [], "")
    scene.sh(f"{newer}/remove.py")


def as_a_user(scene: Scene) -> None:
    place = scene.bundle(definition(BINDING, name="second"), "--self-contained", user=USER)
    scene.launch(place, user=USER)
    until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site")
    scene.sh("systemctl --user start second_renewal", user=USER)
    assert json.loads(scene.launch(place, "--status --json", user=USER).stdout)["problems"] == []
    scene.sh(f"cd {shlex.quote(place)} && ./remove.py", user=USER)
