"""A database server with Python 3 and systemd and nothing else joins the network of a site by one file and one command.

The machine boots; what is typed on it finds no program of ours. Each test goes on where the one before it ended.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.gatewayscene import (
    MARKS,
    PATIENCE,
    POSTGRES,
    Scene,
    database_server,
    definition,
    open_connection,
    said,
    said_back,
)
from tests.e2e.machine import USER, USER_ID
from tests.e2e.userhost import Completed
from tests.podmanlab import until

pytestmark = MARKS
PLACE = "/var/lib/skupper/bundle/database"


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with database_server() as found:
        yield found


def doctor(scene: Scene) -> list[tuple[str, str]]:
    """What the site's doctor says of gateways."""
    told = scene.west.skupper("doctor", "--check", "gateway", "-o", "json", check=False).stdout
    found = json.loads(told)["data"]["checks"]
    return [(item["result"], "" if item["result"] == "ok" else item["cause"]) for item in found]


def test_joins_by_one_command(scene: Scene) -> None:
    place = scene.bundle(definition(("db", 15432)), "--self-contained")
    assert "ok   site:" in scene.sh(f"cd '{place}' && sh launch.py --check").stdout
    planned = scene.launch(place, "--dry-run").stdout
    assert "start the gateway: it is new" in planned
    assert scene.sh("ls -A /var/lib/skupper", expect=None).returncode != 0, "a dry run left something"
    scene.launch(place)
    until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site")
    gateway = scene.gateways()["database"]
    assert (gateway["connected"], gateway["generation"], gateway["problem"]) == (True, 1, None)
    assert gateway["version"]
    assert [(item["name"], item["answers"]) for item in gateway["bindings"]] == [("db", True)]
    assert doctor(scene) == [("ok", "")]
    network = scene.west.skupper("network", "status").stdout
    assert "site name: database" in network


def test_keys_are_the_services_alone(scene: Scene) -> None:
    found = scene.sh(f"find -L {PLACE}/skupper-router-certs -printf '%m %u %y\\n'").stdout.split("\n")
    user = "skupper-database-3549b002"
    assert {line for line in found if line} == {f"700 {user} d", f"600 {user} f"}
    kept = scene.sh(f"find {PLACE}/bundles -name tls.key -printf '%m %u\\n'").stdout.split("\n")
    assert {line for line in kept if line} == {"600 root"}
    scene.sh(f"head -c1 {PLACE}/bundles/1/skupper-router-certs/conn1-profile/tls.key", user=USER, expect=1)


def test_the_unit_is_hardened_and_healed(scene: Scene) -> None:
    for unit in ("database", "database_renewal"):
        said = scene.sh(f"systemd-analyze security --no-pager {unit}").stdout
        level = float(said.rpartition(f"Overall exposure level for {unit}.service: ")[2].split()[0])
        assert level <= 1.5, said
    pid = scene.sh("systemctl show --property MainPID --value database").stdout.strip()
    assert scene.sh(f"cat /proc/{pid}/oom_score_adj").stdout == "500\n", "the database is to outlive it"
    scene.sh(f"kill -9 {pid}")
    until(lambda: scene.echo() == "hello\n", 60, "systemd has started it again")
    soon = "/run/systemd/system/database.service.d"
    scene.sh(f"mkdir {soon} && printf '[Service]\nWatchdogSec=3\n' > {soon}/soon.conf && systemctl daemon-reload")
    scene.sh("systemctl restart database")
    until(lambda: scene.echo() == "hello\n", 60, "it runs under a watchdog that does not wait long")
    scene.sh("kill -STOP $(systemctl show --property MainPID --value database)")
    until(lambda: scene.echo() == "hello\n", 60, "systemd has started again what hung")
    scene.sh(f"rm -r {soon} && systemctl daemon-reload && systemctl restart database")
    until(lambda: scene.echo() == "hello\n", 60, "it is as it was")


def test_again_and_updated_without_a_cut(scene: Scene) -> None:
    place = "/root/my gateway"
    assert "already running, generation 1" in scene.launch(place).stdout
    with open_connection(scene) as client:
        assert said(client, b"one\n") == b"one\n"
        pid = scene.sh("systemctl show --property MainPID --value database").stdout
        newer = scene.bundle(definition(("db", 15432), ("more", 15433)), "--self-contained", into="newer")
        assert "add tcpConnector more, without a restart" in scene.launch(newer, "--dry-run").stdout
        scene.launch(newer)
        assert said(client, b"two\n") == b"two\n"
        until(lambda: scene.echo("more") == "hello\n", 60, "the second service answers")
        assert scene.sh("systemctl show --property MainPID --value database").stdout == pid
        refused = scene.launch(place, expect=9)
        assert "this bundle is generation 1, installed is 2" in refused.stderr
        scene.launch(newer, "--rollback")
        until(lambda: scene.echo("more") == "", 60, "the second service is gone")
        assert said(client, b"three\n") == b"three\n"
        problem = "it is older than generation 2, which was issued: it does not carry more yet"
        assert scene.gateways()["database"]["problem"] == problem
        assert doctor(scene) == [("warn", problem)]
        scene.launch(newer)
        assert said(client, b"four\n") == b"four\n"


@contextlib.contextmanager
def renewing_at_once(scene: Scene) -> Iterator[None]:
    """The unit that renews does not wait until it is time."""
    command = scene.sh("sed -n s/^ExecStart=//p /etc/systemd/system/database_renewal.service").stdout.strip()
    place = "/run/systemd/system/database_renewal.service.d"
    text = f"[Service]\nExecStart=\nExecStart={command} --now\n"
    scene.sh(f"mkdir {place} && printf %s {shlex.quote(text)} > {place}/now.conf && systemctl daemon-reload")
    try:
        yield
    finally:
        scene.sh(f"rm -r {place} && systemctl daemon-reload")


def test_the_credential_is_renewed_without_a_cut(scene: Scene) -> None:
    """By a unit that may do little; nothing restarts; the site knows, and lets the new one in."""
    assert scene.sh("systemctl is-enabled database_renewal.timer").stdout == "enabled\n"
    scene.sh("systemctl start database_renewal")
    said = "cat /var/lib/skupper/bundle/database/skupper-router-certs/conn1-profile/"
    assert json.loads(scene.sh(said + "last-renewal.json").stdout)["problem"] == ""
    before, until_ = scene.sh(said + "tls.crt").stdout, scene.gateways()["database"]["expires"]
    pid = scene.sh("systemctl show --property MainPID --value database").stdout
    with open_connection(scene) as client, renewing_at_once(scene):
        assert said_back(client, b"one\n")
        scene.sh("systemctl start database_renewal")
        assert said_back(client, b"two\n")
    assert scene.sh(said + "tls.crt").stdout != before
    assert str(scene.gateways()["database"]["expires"]) > str(until_)
    assert scene.sh("systemctl show --property MainPID --value database").stdout == pid
    test_keys_are_the_services_alone(scene)
    # A credential that was renewed is not undone by the bundle, and it is what the gateway is let in with.
    assert "already running" in scene.launch("/root/newer").stdout
    scene.sh("systemctl restart database")
    until(lambda: scene.echo() == "hello\n", 60, "the new credential is let in")
    found = json.loads(scene.launch("/root/newer", "--status --json").stdout)
    assert (found["notRenewed"], found["problems"]) == ("", [])


def test_status_tells_the_truth(scene: Scene) -> None:
    place = "/root/newer"
    found = json.loads(scene.launch(place, "--status --json").stdout)
    assert (found["running"], found["link"], found["generation"], found["problems"]) == (True, "up", 2, [])
    scene.sh("systemctl stop echo15433")
    assert "localhost:15433 for more:5432 does not answer" in scene.launch(place, "--status").stdout
    gateway = scene.gateways()["database"]
    assert gateway["problem"] == "what it leads to does not answer: localhost:15433 for more:5432"
    assert {item["name"]: item["answers"] for item in gateway["bindings"]} == {"db": True, "more": False}
    scene.sh("systemctl start echo15433")
    scene.sh("systemctl stop database")
    assert "not running" in scene.launch(place, "--status", expect=6).stdout
    scene.sh("systemctl start database")
    until(lambda: scene.launch(place, "--status", expect=None).returncode == 0, 60, "it is back")


def test_a_router_that_does_not_start_changes_nothing(scene: Scene) -> None:
    fake = '#!/bin/sh\n[ "$1" = --version ] && echo 2.7.6 && exit\necho cannot work >&2\nexit 1\n'
    scene.sh(f"printf %s {shlex.quote(fake)} > /opt/skrouterd && chmod 755 /opt/skrouterd")
    place = scene.bundle(definition(("db", 15432)), "--self-contained", into="third")
    failed = scene.sh(f"cd {place} && QDROUTERD_HOME=/opt/skrouterd ./launch.py", expect=6).stderr
    assert failed.startswith("Error: gateway database does not start: cannot work\n")
    until(lambda: scene.echo("more") == "hello\n", 60, "what ran before runs again")
    assert json.loads(scene.launch(place, "--status --json").stdout)["generation"] == 2
    assert scene.sh(f"ls {PLACE}/bundles").stdout.split() == ["1", "2"]


def test_from_systemd_to_podman_and_back(scene: Scene) -> None:
    """Nothing is pulled: the image is made of the bundle's router."""
    place = "/root/newer"
    scene.launch(place, "-t podman")
    until(lambda: scene.echo() == "hello\n", 60, "the server answers through the container")
    container = json.loads(scene.sh("podman inspect database").stdout)[0]
    assert container["HostConfig"]["ReadonlyRootfs"] is True
    assert container["EffectiveCaps"] in (None, [])
    assert json.loads(scene.launch(place, "--status --json").stdout)["type"] == "podman"
    with renewing_at_once(scene):
        scene.sh("systemctl start database_renewal")
    assert scene.launch(place, "--status", expect=None).returncode == 0
    scene.sh("podman kill database")
    until(lambda: scene.echo() == "hello\n", 60, "systemd has started the container again")
    scene.launch(place, "-t service")
    until(lambda: scene.echo() == "hello\n", 60, "the server answers through the service")
    assert scene.sh("podman ps --all --quiet").stdout == ""
    test_keys_are_the_services_alone(scene)


@pytest.mark.skipif(not POSTGRES, reason="needs PostgreSQL")
def test_a_database_under_a_running_query(scene: Scene) -> None:
    start = f"{POSTGRES}/postgres -D pg -p 15434 -c listen_addresses=localhost -c unix_socket_directories="
    scene.sh(f"cd && {POSTGRES}/initdb -D pg -U ann --auth trust --no-sync", user=USER)
    unit = f"systemd-run --unit=pg --uid={USER} --working-directory=/home/{USER} {start}"
    scene.sh(unit)
    scene.west.skupper("service", "create", "pg", "5432")
    bindings = (("db", 15432), ("more", 15433), ("pg", 15434))
    scene.launch(scene.bundle(definition(*bindings), "--self-contained", into="newer"))

    def query(text: str) -> str:
        return scene.west.in_network(
            "skupper", f"{POSTGRES}/psql", "-h", "pg", "-U", "ann", "-At", "-c", text, "postgres", check=False
        ).stdout

    until(lambda: query("select 40 + 2") == "42\n", 60, "the database answers")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(query, "select 'slept' from pg_sleep(4)")
        busy = "select count(*) from pg_stat_activity where query like '%pg_sleep(4)' and state = 'active'"
        until(lambda: query(busy).strip() not in ("", "0"), 60, "the query runs")
        scene.launch(scene.bundle(definition(*bindings, ("other", 15433)), "--self-contained", into="newer"))
        assert slow.result(60) == "slept\n"
    scene.sh("systemctl stop pg")


def test_back_after_a_reboot(scene: Scene) -> None:
    scene.server.reboot()
    scene.server.plug()
    scene.server.await_boot()
    until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site after the boot")


def test_what_is_wrong_has_its_own_code(scene: Scene) -> None:
    place = scene.bundle(definition(("db", 15432), ("more", 15433)), "--self-contained", into="broken")
    cases = {
        4: "echo >> launch.sh && ./launch.py",
        2: "./launch.py -t mock",
        3: "./launch.py -t docker",
    }
    for code, words in cases.items():
        done = scene.sh(f"rm -rf /tmp/c && cp -a '{place}' /tmp/c && cd /tmp/c && {words}", expect=code)
        assert done.stderr.startswith("Error: ")
    scene.sh(f"rm -rf /tmp/c && cp -a '{place}' /tmp/c && rm /tmp/c/config/skrouterd.json")
    assert "cannot be read" in scene.sh("/tmp/c/launch.py", expect=4).stderr
    assert scene.echo() == "hello\n", "nothing of this touched what runs"


def test_the_laptop_of_the_readme(scene: Scene) -> None:
    """The commands of the README as they stand there, on a machine that takes no connection from outside."""
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    section = text.partition("## A server on a laptop")[2].partition("\n## ")[0]
    blocks = {kind: re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("yaml", "sh")}
    (at_site, on_laptop), (definition,) = blocks["sh"], blocks["yaml"]
    place, away = scene.directory / "readme", scene.server.directory / "home" / USER / "laptop"
    place.mkdir()
    (place / "laptop.yaml").write_text(definition)
    scene.west.run("sh", "-c", f"cd {place} && {at_site}")
    scene.sh(f"mkdir /home/{USER}/laptop", user=USER)
    shutil.copy(place / "laptop.tar.gz", away)
    shutil.chown(away / "laptop.tar.gz", USER_ID, USER_ID)
    scene.sh("systemd-run --unit=echo9090 /usr/bin/python3 /home/echo.py 9090")
    scene.sh("iptables -A INPUT -i eth0 -p tcp --syn -j DROP")
    scene.sh(f"cd /home/{USER}/laptop && {on_laptop}", user=USER)
    assert len((at_site + on_laptop).strip().splitlines()) == 3
    until(lambda: scene.echo("echo", 9090) == "hello\n", 60, "the laptop's server answers at the site")
    scene.sh(f"cd /home/{USER}/laptop && ./remove.py", user=USER)
    scene.west.skupper("gateway", "delete", "laptop")
    scene.west.skupper("service", "delete", "echo")


def test_revoked_alone(scene: Scene) -> None:
    other = scene.bundle(definition(("more", 15433), name="other"), "--self-contained", into="other")
    scene.launch(other)
    scene.west.skupper("gateway", "delete", "database")
    until(lambda: scene.echo() == "", 60, "nobody answers any more")
    assert scene.gateways().keys() >= {"other"}
    assert scene.gateways()["other"]["connected"] is True
    said = scene.launch("/root/newer", "--check", expect=7).stderr
    assert "does not accept the credential" in said
    assert "does not accept the credential" in scene.launch("/root/newer", "--wait 2", expect=7).stderr
    until(lambda: scene.launch("/root/newer", "--status", expect=None).returncode == 7, 60, "it sees no link")


def test_let_in_again_by_a_fresh_bundle(scene: Scene) -> None:
    place = scene.bundle(definition(("db", 15432)), "--self-contained", into="fresh")
    scene.launch(place)  # its generations begin anew
    until(lambda: scene.echo() == "hello\n", 60, "the server answers again")


def test_nobody_is_left_when_all_access_is_revoked(scene: Scene) -> None:
    scene.west.skupper("revoke-access")
    until(lambda: not any(item["connected"] for item in scene.gateways().values()), 60, "all gateways are cut off")
    scene.launch(scene.bundle(definition(("db", 15432)), "--self-contained", into="fresh"))
    until(lambda: scene.echo() == "hello\n", 60, "the server answers again")


def test_removed_without_a_trace(scene: Scene) -> None:
    for place in ("/root/fresh", "/root/other"):
        scene.sh(f"cd {place} && sh ./remove.sh")
        assert "nothing of it is on this host" in scene.sh(f"cd {place} && ./remove.py").stdout
    for path in ("/var/lib/skupper", "/var/lib/private/skupper", "/etc/systemd/system/database*"):
        assert scene.sh(f"ls -d {path}", expect=None).returncode != 0, path
    assert scene.sh("systemctl is-active echo15432").stdout == "active\n"


_IMAGES = "podman images --format '{{.Repository}}:{{.Tag}}' | sort"


def test_an_image_in_the_bundle(scene: Scene) -> None:
    """What is in the image does not matter to the bundle; here it is a router of ours, since none can be pulled."""
    scene.bundle(definition(("db", 15432)), "--self-contained", into="unused")
    with tarfile.open(scene.directory / "database.tar.gz") as archive:
        archive.extract("router/router.tar.gz", scene.directory)
    words = ["/lib/loader", "--library-path", "/lib", "/bin/python3", "-S", "-m", "skupper_podman.routerd", "-c"]
    changes = ["ENV PYTHONHOME=/", f"CMD {json.dumps([*words, '/opt/skupper/config/skrouterd.json'])}"]
    options = [word for change in changes for word in ("--change", change)]
    router, image = scene.directory / "router/router.tar.gz", "localhost/router:1"
    scene.west.podman("import", *options, str(router), image)
    path = scene.directory / "gateway.yaml"
    place = "/root/image"
    scene.west.skupper(
        "gateway", "generate-bundle", str(path), str(scene.directory), "--with-image", env={"QDROUTERD_IMAGE": image}
    )
    shutil.copy(scene.directory / "database.tar.gz", scene.server.directory / "home")
    scene.sh(f"mkdir {place} && tar -xzf /home/database.tar.gz -C {place}")
    assert "skrouterd could not be found" in scene.launch(place, expect=3).stderr
    before = scene.sh(_IMAGES).stdout
    scene.launch(place, "-t podman")
    assert image in scene.sh(_IMAGES).stdout
    until(lambda: scene.echo() == "hello\n", 60, "the server answers")
    scene.sh(f"{place}/remove.py --purge")
    assert scene.sh(_IMAGES).stdout == before


def test_a_gateway_of_the_sites_own_host(scene: Scene) -> None:
    """The machine becomes a site, and what it serves on loopback is exposed by a gateway, which ends with the site."""

    def skupper(*words: str, expect: int = 0) -> Completed:
        return scene.server.type("skupper", *words, expect=expect, timeout=PATIENCE)

    def hears(where: tuple[str, ...], host: str, port: int) -> bool:
        connect = f"import socket; s = socket.create_connection(('{host}', {port}), 5)"
        talk = f"{connect}; s.sendall(b'hi\\n'); print(s.recv(9))"
        return scene.server.type(*where, "python3", "-c", talk, expect=None).stdout == "b'hi\\n'\n"

    def gateway() -> dict[str, list[dict[str, object]]]:
        found = json.loads(skupper("gateway", "status", "-o", "json").stdout)["data"]["gateways"]
        assert [item["connected"] for item in found] == [True]
        return dict(found[0])

    inside = ("podman", "--remote", "exec", "skupper-router")
    scene.sh("systemctl enable --now podman.socket")
    skupper("switch", "podman")
    skupper("init", "--site-name", "own", "--ingress-host", scene.server.address, "--router", "embedded")
    skupper("gateway", "expose", "db", "localhost", "5432:15432")
    until(lambda: hears(inside, "db", 5432), 60, "a container hears the server of the host")
    skupper("service", "create", "api", "80")
    skupper("gateway", "bind", "api", "127.0.0.1", "15433")
    skupper("gateway", "forward", "db", "7000", "--loopback")
    until(lambda: hears((), "127.0.0.1", 7000), 60, "the host calls the service at a port of its own")
    found = gateway()
    assert [item["name"] for item in found["bindings"]] == ["api:80", "db:5432"]
    (own,) = found["forwards"]
    assert (own["name"], own["host"], own["port"]) == ("db:5432", "127.0.0.1", 7000)
    refused = skupper("gateway", "bind", "api", "h", "1", "2", expect=2).stderr
    assert "2 ports provided, but the service has 1" in refused
    assert "previously created as service type" in skupper("gateway", "init", "--type", "podman", expect=1).stderr
    skupper("gateway", "export-config", "copy", "/root")
    skupper("gateway", "unforward", "db")
    assert gateway()["forwards"] == []
    skupper("gateway", "init", "--config", "/root/copy.yaml")
    assert len(gateway()["forwards"]) == 1
    skupper("gateway", "unforward", "db")
    skupper("gateway", "unbind", "api")
    skupper("gateway", "unexpose", "db")
    assert skupper("gateway", "status").stdout == "No gateway definition found\n"
    assert scene.sh("ls -d /var/lib/skupper", expect=None).returncode != 0
    services = skupper("service", "status").stdout
    assert "api:80" in services
    assert "db:5432" not in services
    skupper("gateway", "init")
    assert gateway()["bindings"] == []
    skupper("delete")
    assert scene.sh("ls -d /var/lib/skupper", expect=None).returncode != 0
