"""Gateways on hosts of many kinds: every shell and user, other people's files, no systemd, a site that moves, 1.9.

The machine is that of test_gateway.py. Each test goes on where the one before it ended.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gatewayscene import LOW_PORT, MARKS, POSTGRES, Scene, database_server, definition
from tests.e2e.machine import USER, USER_ID
from tests.podmanlab import until

pytestmark = MARKS
SKROUTERD = os.environ.get("SKUPPER_TEST_SKROUTERD")
BINDING = ("db", 15432)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with database_server() as found:
        yield found


def test_every_shell_for_every_user_and_type(scene: Scene) -> None:
    """Whatever runs it, for whomever and as what: it looks at the host and finds that it can be launched."""
    places = {
        user: scene.bundle(definition(BINDING), "--self-contained", user=user, into="it's 100% \"odd\" $HOME")
        for user in ("root", USER)
    }
    for user, place in places.items():
        for shell in ("dash", "bash", "busybox sh"):
            for kind in ("service", "podman"):
                said = scene.sh(f"{shell} {shlex.quote(place)}/launch.sh -t {kind} --dry-run", user=user).stdout
                assert "start the gateway: it is new" in said, (user, shell, kind)
                assert ("run the bundle's own router" in said) == (kind == "service")
    refused = scene.sh(f"busybox sh {shlex.quote(places['root'])}/launch.py --rollback", expect=3).stderr
    assert "is not installed for this user" in refused


def test_what_another_user_unpacked(scene: Scene) -> None:
    """Root launches what a user unpacked; who cannot read the keys is told so; the keys end up with the service."""
    theirs = scene.bundle(definition(BINDING), "--self-contained", user=USER, into="theirs")
    scene.launch(theirs)
    until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site")
    keys = scene.sh("find -L /var/lib/skupper/bundle/database/skupper-router-certs -name tls.key -printf '%m %u\n'")
    assert keys.stdout == "600 skupper-database-3549b002\n"
    scene.sh("rm -rf /opt/roots && mkdir /opt/roots && tar -xzf /home/database.tar.gz -C /opt/roots")
    scene.sh("find /opt/roots -type d -exec chmod 755 {} +")
    refused = scene.launch("/opt/roots", user=USER, expect=4).stderr
    assert "cannot be read: Permission denied" in refused
    assert scene.sh(f"ls -A /home/{USER}/.local/share/skupper", user=USER, expect=None).returncode != 0


def test_an_ordinary_user_beside_it(scene: Scene) -> None:
    """A second bundle on the host, of a user, whose management port is taken by the first.

    Before, launch.sh of a 1.9 bundle put one of its name there, which is taken over.
    """
    data = f"/home/{USER}/.local/share/skupper/bundle/second"
    identity = "6f1c2f0e-8f0a-4c7e-9b1d-2f7f5f1c0a11"
    config = [
        ["router", {"id": "skupper-gateway-machine", "mode": "edge", "metadata": json.dumps({"id": identity})}],
        ["listener", {"name": "amqp", "host": "localhost", "port": 5672}],
    ]
    unit = "[Unit]\nDescription=Qpid Dispatch router daemon\n[Service]\nExecStart=/usr/bin/sleep 99999\n"
    units = f"/home/{USER}/.config/systemd/user"
    scene.sh(f"mkdir -p {data}/config {units}", user=USER)
    scene.sh(f"printf %s {shlex.quote(json.dumps(config))} > {data}/config/skrouterd.json", user=USER)
    scene.sh(f"printf %s {shlex.quote(unit)} > {units}/second.service && systemctl --user start second", user=USER)
    place = scene.bundle(definition(("db", 15432), name="second"), "--self-contained", user=USER)
    assert "take over from the launch.sh of a 1.9 bundle" in scene.launch(place, "--dry-run", user=USER).stdout
    scene.launch(place, user=USER)
    assert json.loads(scene.sh(f"cat {data}/state.json").stdout)["routerId"] == identity
    assert "sleep" not in scene.sh("systemctl --user cat second", user=USER).stdout
    assert scene.gateways()["second"]["connected"] is True
    scene.sh("systemctl --user is-active second_renewal.timer && systemctl --user start second_renewal", user=USER)
    modes = scene.sh(f"find {data} -name tls.key -printf '%m %U\\n'").stdout.split("\n")
    assert set(filter(None, modes)) == {f"600 {USER_ID}"}
    assert json.loads(scene.sh(f"cat {data}/state.json").stdout)["managementPort"] != 5672
    scene.launch(place, "-t podman", user=USER)
    assert scene.gateways()["second"]["connected"] is True
    assert scene.sh("podman ps --format '{{.Names}}'", user=USER).stdout == "second\n"
    takes_over_a_container(scene, f"cd '{place}' && ./remove.py")


def takes_over_a_container(scene: Scene, remove_second: str) -> None:
    """What ``launch.sh -t podman`` of 1.9 left is found by name and environment, stopped, and replaced."""
    image = scene.sh("podman images --format '{{.Repository}}:{{.Tag}}'", user=USER).stdout.split()[0]
    identity = "7a1c2f0e-8f0a-4c7e-9b1d-2f7f5f1c0a12"
    data = f"/home/{USER}/.local/share/skupper/bundle/third"
    config = [["router", {"id": "skupper-gateway-machine", "mode": "edge", "metadata": json.dumps({"id": identity})}]]
    scene.sh(f"mkdir -p {data}/config", user=USER)
    scene.sh(f"printf %s {shlex.quote(json.dumps(config))} > {data}/config/skrouterd.json", user=USER)
    sleeping = "/lib/loader --library-path /lib /bin/python3 -S -c 'import time; time.sleep(99999)'"
    options = f"--name third --network host --env SKUPPER_SITE_ID=gateway_third_{identity} --env PYTHONHOME=/"
    scene.sh(f"podman run --detach {options} {image} {sleeping}", user=USER)
    before = scene.sh("podman inspect --format '{{.Id}}' third", user=USER).stdout
    place = scene.bundle(definition(("more", 15433), name="third"), "--self-contained", user=USER, into="third")
    scene.launch(place, user=USER)
    state = json.loads(scene.sh(f"cat {data}/state.json").stdout)
    assert (state["type"], state["routerId"]) == ("podman", identity)
    assert scene.sh("podman inspect --format '{{.Id}}' third", user=USER).stdout != before
    assert scene.gateways()["third"]["connected"] is True
    assert scene.sh("podman ps --all --format '{{.Names}}'", user=USER).stdout.split() == ["second", "third"]
    for words in (remove_second, f"cd '{place}' && ./remove.py"):
        scene.sh(words, user=USER)
    assert scene.sh("podman ps --all --quiet", user=USER).stdout == ""
    assert scene.sh(f"ls -A {data}", expect=None).returncode != 0
    assert scene.sh("systemctl --user list-unit-files 'second*' --no-legend", user=USER, expect=None).stdout == ""


def test_the_site_has_another_address(scene: Scene) -> None:
    """Both sides say what is wrong and what to do; a fresh bundle is launched over the old one."""
    moved = "10.77.0.50"
    scene.west.run("ip", "addr", "add", f"{moved}/24", "dev", "eth0")
    scene.west.skupper("init", "--ingress-host", moved)
    assert scene.gateways()["database"]["problem"] == (
        f"its bundle leads to {scene.west.address}, but this site is reached at {moved}"
    )
    away = f"iptables -{{}} OUTPUT -d {scene.west.address} -p tcp --dport 45671 -j REJECT --reject-with tcp-reset"
    scene.sh(away.format("I"))
    scene.sh("systemctl restart database")
    said = scene.launch(f"/home/{USER}/theirs", "--status", expect=7).stdout
    assert f"the site at {scene.west.address}:45671 cannot be reached" in said
    assert "if the site has moved, get a fresh bundle: skupper gateway generate-bundle" in said
    place = scene.bundle(definition(BINDING), "--self-contained", into="moved")
    assert "add connector conn1, without a restart" in scene.launch(place, "--dry-run").stdout
    assert f"connected to {moved}:45671" in scene.launch(place).stdout
    until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site")
    assert scene.gateways()["database"]["problem"] is None
    scene.sh(away.format("D"))
    scene.sh(f"{place}/remove.py")


def test_good_for_one_launch(scene: Scene) -> None:
    """The first to launch it gets a lasting credential for a key of its own; the next one gets nothing."""

    def key(place: str) -> str:
        return scene.sh(f"sha256sum < '{place}'/skupper-router-certs/conn1-profile/tls.key").stdout

    installed = "/var/lib/skupper/bundle/database"
    place = scene.bundle(definition(BINDING), "--self-contained", "--launch-within", "1h", into="once")
    waiting = "its bundle is to be launched until "
    # The connection of the one that was removed may take a while to be gone on a busy machine.
    until(lambda: str(scene.gateways()["database"]["problem"]).startswith(waiting), 60, "the site waits for a launch")
    assert "ok   renewal:" in scene.launch(place, "--check").stdout
    scene.launch(place)
    until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site")
    assert key(installed) != key(place)
    status = json.loads(scene.launch(place, "--status --json").stdout)
    assert (status["credentialDaysLeft"], status["link"], status["problems"]) == (364, "up", [])
    assert (scene.gateways()["database"]["problem"], scene.gateways()["database"]["daysLeft"]) == (None, 364)
    assert "already running" in scene.launch(place).stdout
    scene.sh("cp /home/database.tar.gz /home/stolen.tar.gz")
    scene.sh(f"mkdir /home/{USER}/stolen && tar -xzf /home/stolen.tar.gz -C /home/{USER}/stolen", user=USER)
    refused = scene.launch(f"/home/{USER}/stolen", user=USER, expect=1).stderr
    assert "the credential of this bundle was exchanged already" in refused
    assert scene.sh(f"ls -A /home/{USER}/.local/share/skupper", user=USER, expect=None).returncode != 0
    before, pid = key(installed), scene.sh("systemctl show --property MainPID --value database").stdout
    newer = scene.bundle(definition(BINDING, ("more", 15433)), "--self-contained", "--launch-within", "1h", into="new")
    scene.launch(newer)
    until(lambda: scene.echo("more") == "hello\n", 60, "the second service answers")
    assert scene.sh("systemctl show --property MainPID --value database").stdout == pid
    assert key(installed) not in (before, key(newer))
    assert "Note" not in scene.launch(newer, "--rollback").stdout
    scene.sh(f"cd {newer} && ./remove.py")
    refused = scene.launch(newer, expect=1).stderr
    assert "the credential of this bundle was exchanged already" in refused
    assert scene.sh("ls -d /var/lib/skupper", expect=None).returncode != 0


def test_it_listens_below_1024(scene: Scene) -> None:
    """A router gets the one right that this needs when a forward needs it, and a forward that is added says so."""
    place = scene.bundle(definition(BINDING), "--self-contained", into="high")
    scene.launch(place)
    low = scene.bundle(definition(BINDING) + LOW_PORT, "--self-contained", into="low")
    assert "start the gateway: it is to listen below port 1024" in scene.launch(low, "--dry-run").stdout
    for kind in ("service", "podman"):
        scene.launch(low, f"-t {kind}")
        until(lambda: scene.hears(81), 60, f"the service is called at port 81 of the host, type {kind}")
    container = json.loads(scene.sh("podman inspect database").stdout)[0]
    assert container["EffectiveCaps"] == ["CAP_NET_BIND_SERVICE"]
    scene.launch(low, "-t service")
    assert scene.sh("podman images --all --quiet").stdout == "", "an image was left"
    scene.sh(f"{low}/remove.py")


def test_a_container_where_there_is_no_systemd(scene: Scene) -> None:
    """Podman itself starts it again; nobody renews its credential but who calls renew.py, and that is said."""
    place = scene.bundle(definition(BINDING), "--self-contained", into="bare")
    # The journal stays: Podman sees which process is the first, and writes to it.
    hide = "mkdir -p /tmp/j && mount --bind /run/systemd/journal /tmp/j && mount -t tmpfs none /run/systemd"
    keep = "mkdir /run/systemd/journal && mount --bind /tmp/j /run/systemd/journal"
    hidden = f"unshare --mount sh -c '{hide} && {keep} && cd {place} && \"$@\"' -"
    refused = scene.sh(f"{hidden} ./launch.py", expect=3).stderr
    assert "systemd does not run this host" in refused
    assert "launch.py --foreground" in refused
    said = scene.sh(f"{hidden} ./launch.py -t podman").stdout
    assert "not renewed by itself: systemd does not run this host; cron can call renew.py once a day" in said
    until(lambda: scene.echo() == "hello\n", 60, "the server answers through the container")
    policy = scene.sh("podman inspect --format '{{.HostConfig.RestartPolicy.Name}}' database").stdout
    assert policy == "always\n"
    assert "renewed until" in scene.sh(f"{hidden} ./renew.py --now").stdout
    status = json.loads(scene.sh(f"{hidden} ./launch.py --status --json").stdout)
    assert (status["running"], status["link"], status["problems"]) == (True, "up", [])
    scene.sh(f"{hidden} ./remove.py")
    assert scene.sh("podman ps --all --quiet").stdout == ""
    assert scene.sh("ls -d /var/lib/skupper", expect=None).returncode != 0


@pytest.mark.skipif(not (POSTGRES and SKROUTERD), reason="needs PostgreSQL and SKUPPER_TEST_SKROUTERD")
def test_a_database_through_every_type(scene: Scene) -> None:
    """A skrouterd of the host, named; the bundle's own router; a container."""
    assert SKROUTERD is not None
    top = Path(SKROUTERD).parents[1]
    shutil.copytree(top, scene.server.directory / "home" / "router", symlinks=True)
    scene.sh(f"mkdir -p {top.parent} && cp -a /home/router {top}")
    scene.sh(f"cd && {POSTGRES}/initdb -D pg -U ann --auth trust --no-sync", user=USER)
    start = f"{POSTGRES}/postgres -D pg -p 15434 -c listen_addresses=localhost -c unix_socket_directories="
    scene.sh(f"systemd-run --unit=pg --uid={USER} --working-directory=/home/{USER} {start}")
    scene.west.skupper("service", "create", "pg", "5432")

    def rows() -> str:
        words = (f"{POSTGRES}/psql", "-h", "pg", "-U", "ann", "-At", "-c", "select 40 + 2", "postgres")
        return scene.west.in_network("skupper", *words, check=False).stdout

    place = scene.bundle(definition(("pg", 15434)), "--self-contained", into="pg")
    for named, words, router in (
        (f"QDROUTERD_HOME={SKROUTERD}", "", "skrouterd 2"),
        ("", "--router embedded", "the bundle's own router"),
        ("", "-t podman", "run image localhost/skupper-gateway-router"),
    ):
        assert router in scene.sh(f"cd {place} && {named} ./launch.py {words} --dry-run").stdout
        scene.sh(f"cd {place} && {named} ./launch.py {words}")
        until(lambda: rows() == "42\n", 30, f"the first row through {router}")
        assert scene.gateways()["database"]["connected"] is True
    scene.sh(f"{place}/remove.py")
