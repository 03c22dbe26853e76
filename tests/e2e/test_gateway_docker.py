"""A gateway of type docker, with a real daemon on the machine of test_gateway.py.

The daemon is the host's own, or one that is named: SKUPPER_TEST_DOCKER is a directory below which its programs are, as
a package that was unpacked there has them. Each test goes on where the one before it ended.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gatewayscene import (
    LOW_PORT,
    MARKS,
    PATIENCE,
    Scene,
    database_server,
    definition,
    open_connection,
    said_back,
)
from tests.e2e.machine import USER
from tests.podmanlab import until

PROGRAMS = ("docker", "dockerd", "containerd", "containerd-shim-runc-v2")
TOP = Path(os.environ.get("SKUPPER_TEST_DOCKER") or "/usr")
FOUND = {
    name: path
    for name in PROGRAMS
    for path in (*TOP.glob(f"*bin/{name}"), *TOP.glob(f"usr/*bin/{name}"), TOP / name)
    if path.is_file()
}
pytestmark = [*MARKS, pytest.mark.skipif(len(FOUND) != len(PROGRAMS), reason="needs dockerd or SKUPPER_TEST_DOCKER")]
CERTIFICATE = "/var/lib/skupper/bundle/database/skupper-router-certs/conn1-profile/tls.crt"


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with database_server() as found:
        programs = found.server.directory / "local"
        for name, path in FOUND.items():
            shutil.copy2(path, programs / name)
        found.sh(f"printf 'docker:x:990:{USER}\\n' >> /etc/group")
        daemon_with(found)
        found.sh("systemctl enable --now docker")
        yield found
        found.sh("systemctl stop docker")


def daemon_with(scene: Scene, **settings: object) -> None:
    """The unit of the daemon, and its settings."""
    # The root of a container is no place for images: an overlay over an overlay.
    settings = {"data-root": "/var/lib/containers/docker", **settings}
    unit = "[Service]\nEnvironment=PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nType=notify\nDelegate=yes\n"
    unit += "KillMode=process\nExecStart=/usr/local/bin/dockerd\n[Install]\nWantedBy=multi-user.target\n"
    files = {"systemd/system/docker.service": unit, "docker/daemon.json": json.dumps(settings)}
    scene.sh("mkdir -p /etc/docker")
    for path, text in files.items():
        scene.sh(f"printf %s {shlex.quote(text)} > /etc/{path}")
    scene.sh("systemctl daemon-reload")


def docker(scene: Scene, words: str, **options: object) -> str:
    return scene.sh(f"/usr/local/bin/docker {words}", **options).stdout  # type: ignore[arg-type]


def container(scene: Scene, name: str = "database") -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(docker(scene, f"container inspect {name}"))[0]
    return found


def test_joins(scene: Scene) -> None:
    """Nothing is pulled: the image is made of the bundle's router, which may do nothing but serve."""
    place = scene.bundle(definition(("db", 15432)), "--self-contained")
    assert "run image localhost/skupper-gateway-router" in scene.launch(place, "-t docker --dry-run").stdout
    assert docker(scene, "images -q") == ""
    scene.launch(place, "-t docker")
    until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site")
    found = container(scene)["HostConfig"]
    assert (found["ReadonlyRootfs"], found["CapDrop"], found["CapAdd"]) == (True, ["all"], None)
    assert (found["Privileged"], found["SecurityOpt"]) == (False, ["no-new-privileges"])
    assert found["OomScoreAdj"] == 500
    assert found["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}
    assert found["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}}
    status = json.loads(scene.launch(place, "--status --json").stdout)
    assert (status["type"], status["running"], status["link"], status["problems"]) == ("docker", True, "up", [])
    assert scene.gateways()["database"]["connected"] is True


def test_updated_and_renewed_without_a_cut(scene: Scene) -> None:
    identity = container(scene)["Id"]
    with open_connection(scene) as client:
        assert said_back(client, b"one\n")
        newer = scene.bundle(definition(("db", 15432), ("more", 15433)), "--self-contained", into="newer")
        scene.launch(newer)
        until(lambda: scene.echo("more") == "hello\n", 60, "the second service answers")
        before = scene.sh(f"cat {CERTIFICATE}").stdout
        assert "renewed until" in scene.sh(f"cd {newer} && ./renew.py --now").stdout
        assert scene.sh(f"cat {CERTIFICATE}").stdout != before
        assert said_back(client, b"two\n")
        scene.launch(newer, "--rollback")
        until(lambda: scene.echo("more") == "", 60, "the second service is gone")
        assert said_back(client, b"three\n")
    scene.launch(newer)
    assert container(scene)["Id"] == identity
    assert scene.sh("systemctl is-active database_renewal.timer").stdout == "active\n"
    scene.sh("systemctl start database_renewal")


def test_back_after_a_crash_and_a_reboot(scene: Scene) -> None:
    pid = int(str(container(scene)["State"]["Pid"]))
    scene.sh(f"kill -9 {pid}")
    until(lambda: scene.echo() == "hello\n", 60, "docker has started it again")
    scene.server.reboot()
    scene.server.plug()
    scene.server.await_boot()
    until(lambda: scene.echo() == "hello\n", 60, "the server answers at the site after the boot")
    scene.launch("/root/newer", "--status")


def test_a_daemon_that_does_not_answer(scene: Scene) -> None:
    """Nothing is taken to be gone that only cannot be seen."""
    scene.sh("systemctl stop docker")
    until(lambda: scene.echo() == "", 60, "the server is away")
    reason = "docker does not answer: Cannot connect to the Docker daemon"
    assert f"problem: {reason}" in scene.launch("/root/newer", "--status", expect=6).stdout
    assert f"Error: {reason}" in scene.launch("/root/newer", expect=3).stderr
    assert f"Error: a launch would fail: {reason}" in scene.launch("/root/newer", "--check", expect=3).stderr
    assert f"Error: {reason}" in scene.sh("cd /root/newer && ./remove.py", expect=3).stderr
    scene.sh(f"test -s {CERTIFICATE}")
    scene.sh("systemctl start docker")
    until(lambda: scene.echo() == "hello\n", 60, "the server answers again")


def test_another_type_and_back(scene: Scene) -> None:
    """Of the type before nothing is left, its image neither."""
    low = scene.bundle(definition(("db", 15432), ("more", 15433)) + LOW_PORT, "--self-contained", into="low")
    scene.launch(low)
    until(lambda: scene.hears(81), 60, "the service is called at port 81 of the host")
    assert container(scene)["HostConfig"]["CapAdd"] == ["net_bind_service"]
    scene.launch(low, "-t podman")
    until(lambda: scene.hears(81), 60, "podman serves it")
    assert docker(scene, "ps --all --quiet") == docker(scene, "images --all --quiet") == ""
    scene.launch(low, "-t docker")
    assert scene.sh("podman images --all --quiet").stdout == ""
    scene.sh(f"cd {low} && ./remove.py")
    assert docker(scene, "ps --all --quiet") == docker(scene, "images --all --quiet") == ""


def test_an_image_in_the_bundle(scene: Scene) -> None:
    """It is loaded, run by its own command, and goes with --purge."""
    words = ["/lib/loader", "--library-path", "/lib", "/bin/python3", "-S", "-m", "skupper_podman.routerd", "-c"]
    changes = ["ENV PYTHONHOME=/", f"CMD {json.dumps([*words, '/opt/skupper/config/skrouterd.json'])}"]
    options = [word for change in changes for word in ("--change", change)]
    image = "localhost/router:1"
    scene.sh("tar -xzf /home/database.tar.gz -C /home router/router.tar.gz")
    router = scene.server.directory / "home/router/router.tar.gz"
    scene.west.podman("import", *options, str(router), image)
    scene.west.skupper(
        "gateway", "generate-bundle", str(scene.directory / "gateway.yaml"), str(scene.directory), "--with-image",
        env={"QDROUTERD_IMAGE": image}, timeout=PATIENCE,
    )  # fmt: skip
    shutil.copy(scene.directory / "database.tar.gz", scene.server.directory / "home")
    scene.sh("mkdir /root/image && tar -xzf /home/database.tar.gz -C /root/image")
    scene.launch("/root/image", "-t docker")
    until(lambda: scene.echo() == "hello\n", 60, "the server answers")
    assert "localhost/router" in docker(scene, "images --format '{{.Repository}}'")
    scene.sh("cd /root/image && ./remove.py --purge")
    assert docker(scene, "ps --all --quiet") == ""
    assert docker(scene, "images --all --quiet") == ""


def test_takes_over_from_1_9_for_a_user(scene: Scene) -> None:
    """What ``launch.sh -t docker`` of 1.9 left is found by name and environment; the user is in the group of docker.

    The daemon maps users to others, but not for a container that has the network of the host.
    """
    scene.sh("printf 'dockremap:600000:65536\\n' | tee -a /etc/subuid >> /etc/subgid")
    scene.sh("printf 'dockremap:x:991:991::/:/bin/false\\n' >> /etc/passwd && echo dockremap:x:991: >> /etc/group")
    daemon_with(scene, **{"userns-remap": "dockremap"})
    scene.sh("systemctl restart docker")
    identity = "7a1c2f0e-8f0a-4c7e-9b1d-2f7f5f1c0a12"
    data = f"/home/{USER}/.local/share/skupper/bundle/database"
    config = [["router", {"id": "skupper-gateway-machine", "mode": "edge", "metadata": json.dumps({"id": identity})}]]
    scene.sh(f"mkdir -p {data}/config", user=USER)
    scene.sh(f"printf %s {shlex.quote(json.dumps(config))} > {data}/config/skrouterd.json", user=USER)
    docker(scene, "import /home/router/router.tar.gz old:1", user=USER)
    sleeping = "/lib/loader --library-path /lib /bin/python3 -S -c 'import time; time.sleep(99999)'"
    options = f"--name database --network host --userns host --env SKUPPER_SITE_ID=gateway_database_{identity}"
    docker(scene, f"run --detach --restart always {options} --env PYTHONHOME=/ old:1 {sleeping}", user=USER)
    before = container(scene)["Id"]
    place = scene.bundle(definition(("db", 15432)), "--self-contained", user=USER, into="theirs")
    scene.launch(place, user=USER)
    state = json.loads(scene.sh(f"cat {data}/state.json").stdout)
    assert (state["type"], state["routerId"]) == ("docker", identity)
    assert container(scene)["Id"] != before
    until(lambda: scene.echo() == "hello\n", 60, "the server answers")
    assert docker(scene, "ps --all --format '{{.Names}}'") == "database\n"
    scene.sh(f"cd {place} && ./remove.py", user=USER)
    assert docker(scene, "ps --all --quiet") == ""
    assert scene.sh(f"ls -A {data}", expect=None).returncode != 0


def test_a_gateway_of_the_sites_own_host(scene: Scene) -> None:
    """A site of Podman on the machine exposes what is on loopback by a gateway in docker."""

    def skupper(*words: str) -> str:
        return scene.server.type("skupper", *words, timeout=PATIENCE).stdout

    scene.sh("systemctl enable --now podman.socket")
    skupper("switch", "podman")
    skupper("init", "--site-name", "own", "--ingress-host", scene.server.address, "--router", "embedded")
    skupper("gateway", "init", "--type", "docker")
    skupper("gateway", "expose", "db", "localhost", "5432:15432")
    found = json.loads(skupper("gateway", "status", "-o", "json"))["data"]["gateways"]
    assert [(item["connected"], item["type"]) for item in found] == [(True, "docker")]
    connect = "import socket; s = socket.create_connection(('db', 5432), 5); s.sendall(b'hi\\n'); print(s.recv(9))"
    inside = ("podman", "--remote", "exec", "skupper-router", "python3", "-c", connect)
    until(lambda: scene.server.type(*inside, expect=None).stdout == "b'hi\\n'\n", 60, "a container hears the server")
    skupper("gateway", "delete")
    assert docker(scene, "ps --all --quiet") == ""
    skupper("delete")
