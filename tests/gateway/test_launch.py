"""``launch.py`` and ``remove.py`` under every shell, as a user without rights, on a host where nothing is installed.

There is no systemd for this user, so what runs, runs in the foreground; units and containers are tested on machines
that boot (tests/e2e/test_gateway.py).
"""

from __future__ import annotations

import ast
import contextlib
import datetime
import json
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from skupper_podman import certs
from skupper_podman.gateway.programs import bundle_programs, directory
from tests.gateway.injuries import TOOLS
from tests.gateway.scene import Scene, site
from tests.podmanlab import until
from tests.routerd.system.lab import SKROUTERD, SKROUTERD35, free_port

SHELLS = {
    "sh": ["sh"], "dash": ["dash"], "bash": ["bash"], "busybox": ["busybox", "sh"], "python": ["python3"], "itself": [],
}  # fmt: skip


class _Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line)


@contextlib.contextmanager
def echo(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server at a port of loopback."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def west() -> Iterator[Scene]:
    with site("one", "two") as scene:
        yield scene


@pytest.fixture
def scene(west: Scene) -> Iterator[Scene]:
    yield west
    west.stop()


def definition(*bindings: tuple[str, int], extra: str = "") -> str:
    lines = [f"- {{name: {name}, host: localhost, service: {{address: '{name}:1'}}, target_ports: [{port}]}}\n"
             for name, port in bindings]  # fmt: skip
    management = f"qdr-listeners:\n- {{name: amqp, host: localhost, port: {free_port()}}}\n"
    return f"name: test\nbindings:\n{''.join(lines) or '  []'}{management}{extra}"


def test_programs_are_python_3_6() -> None:
    for name, content in bundle_programs().items():
        if name.endswith(".py"):
            ast.parse(content, name, feature_version=(3, 6))
            for later in (b"capture_output", b"text=True", b"removeprefix", b"missing_ok", b"from __future__"):
                assert later not in content, f"{name}: {later!r} is younger than Python 3.6"
    modules = {path.stem for path in (directory() / "installer").glob("*.py")} - {"__init__"}
    told = (directory() / "installer" / "__init__.py").read_text()
    assert [name for name in modules if f"{name}.py" not in told] == [], "the map names every module"


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_runs_them(scene: Scene, shell: str) -> None:
    if SHELLS[shell] and not shutil.which(SHELLS[shell][0]):
        pytest.skip(f"needs {shell}")
    place = scene.bundle(definition(("one", 1)), 'a place/it\'s "odd" $HOME')
    script = "launch.sh" if shell == "bash" else "launch.py"
    done = scene.run(*SHELLS[shell], place / "launch.py", "--dry-run", "--foreground")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Launch gateway test, generation 1:\n")
    assert done.stdout.endswith("Nothing has been changed.\n")
    if shell not in ("python", "itself"):
        done = scene.run(*SHELLS[shell], place / script, "-t", "mock")
        assert done.returncode == 2
        assert done.stderr.startswith("Error: gateway type must be one of service, docker or podman\n")
        done = scene.run(*SHELLS[shell], place / "remove.sh")
        assert (done.returncode, done.stdout) == (
            0, "gateway test: nothing of it is on this host for this user\n"
        )  # fmt: skip
        bare = scene.run(
            f"/usr/bin/{SHELLS[shell][0]}", *SHELLS[shell][1:], place / "launch.py", env={"PATH": "/nowhere"}
        )
        assert (bare.returncode, bare.stderr) == (3, "python3 could not be found. Please 'install python3'\n")
    assert list((scene.directory / "home").iterdir()) == []


def refused(scene: Scene, place: Path, code: int, *words: str, **env: str) -> str:
    done = scene.run(place / "launch.py", *words, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Error: ")
    assert [line for line in lines[1:] if not line.startswith("Hint: ")] == []
    assert list((scene.directory / "home").rglob("*.json")) == [], "something was left"
    return done.stderr


def test_what_is_damaged(scene: Scene) -> None:
    place = scene.bundle(definition(("one", 1)), "b")
    for name in ("config/skrouterd.json", "skupper-router-certs/conn1-profile/tls.key", "router/router.tar.gz"):
        content = (place / name).read_bytes()
        (place / name).write_bytes(content + b" ")
        assert f"{name} is not what it was when the bundle was made" in refused(scene, place, 4, "--foreground")
        (place / name).unlink()
        assert f"{name} of the bundle cannot be read" in refused(scene, place, 4, "--foreground")
        (place / name).write_bytes(content)
        (place / name).chmod(0o644)
    manifest = place / "manifest.json"
    text = manifest.read_text()
    for wrong in ("", "{}", "[]", text.replace('"format": 1', '"format": 2'), text.replace('"test"', '"../x"', 1)):
        manifest.write_text(wrong)
        assert "manifest.json" in refused(scene, place, 4, "--foreground")
    manifest.unlink()
    assert "manifest.json is missing" in refused(scene, place, 4)


def test_what_is_missing(scene: Scene) -> None:
    bare = scene.bundle(definition(("one", 1)), "b", with_router=False)
    assert "skrouterd could not be found" in refused(scene, bare, 3, "--foreground")
    assert "this bundle has no router of its own" in refused(scene, bare, 3, "--foreground", "--router", "embedded")
    other = scene.bundle(definition(("one", 1)), "b")
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["router"]["runtime"]["machine"] = "s390x"
    (other / "manifest.json").write_text(json.dumps(manifest))
    assert "the router of this bundle is for s390x" in refused(scene, other, 3, "--foreground")


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ('{"host": {"arch": "amd64"}}', "docker is another name of Podman here\nHint: launch.py -t podman"),
        ('{"ServerErrors": ["it sleeps"]}', "docker does not answer: it sleeps\nHint: is its daemon running"),
        ("cannot connect", "docker does not answer: cannot connect\nHint: is its daemon running"),
        (
            '{"ServerVersion": "28.0", "SecurityOptions": ["name=seccomp", "name=rootless"]}',
            "containers of docker do not have the network of this host: it runs rootless\nHint: launch.py -t service",
        ),
        (
            '{"ServerVersion": "28.0", "OperatingSystem": "Docker Desktop"}',
            "containers of docker do not have the network of this host: it is Docker Desktop",
        ),
    ],
)
def test_what_only_looks_like_docker(scene: Scene, says: str, reason: str) -> None:
    """A daemon that does not answer, or cannot run a gateway, is told apart before anything is changed."""
    place = scene.bundle(definition(("one", 1)), "b")
    fake = scene.directory / "bin" / "docker"
    fake.parent.mkdir(exist_ok=True)
    fake.write_text(f"#!/bin/sh\necho '{says}'\n")
    fake.chmod(0o755)
    said = refused(scene, place, 3, "-t", "docker", PATH=f"{fake.parent}:/usr/sbin:/usr/bin:/sbin:/bin")
    assert said.startswith(f"Error: {reason}")


def test_what_is_out_of_time(scene: Scene) -> None:
    day = datetime.timedelta(days=1)
    expired = scene.bundle(definition(("one", 1)), "b", expires=-day, made=-29 * day)
    assert "the credential of this bundle expired" in refused(scene, expired, 8, "--foreground")
    early = scene.bundle(definition(("one", 1)), "b", made=2 * day)
    assert "this host's clock is wrong" in refused(scene, early, 8, "--foreground")


def test_a_port_that_is_taken(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        forward = f"forwards:\n- {{name: f, service: {{address: two, ports: [1]}}, target_ports: [{port}]}}\n"
        place = scene.bundle(definition(("one", 1), extra=forward), "b")
        told = refused(scene, place, 5, "--foreground")
        assert f"port {port}, at which forward f is to listen, cannot be used" in told
        planned = scene.run(place / "launch.py", "--foreground", "--auto-port", "--dry-run").stdout
        assert f"port {port} is taken, forward f listens at" in planned


def test_the_site_is_looked_at_first(scene: Scene) -> None:
    with echo() as port:
        place = scene.bundle(definition(("one", port)), "b")
        done = scene.run(place / "launch.py", "--check", "--foreground", "--json")
        checks = {item["check"]: item["ok"] for item in json.loads(done.stdout)["checks"]}
        assert checks == {"integrity": True, "clock": True, "router": True, "site": True, "target one": True}
    away = scene.bundle(definition(("one", 1)), "b", edge=free_port())
    told = refused(scene, away, 7, "--check", "--foreground")
    assert "cannot be reached: Connection refused" in told
    stranger = scene.bundle(definition(("one", 1)), "b")
    (stranger / "skupper-router-certs/conn1-profile/ca.crt").write_bytes(scene.own.certificate)
    path = stranger / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["files"]["skupper-router-certs/conn1-profile/ca.crt"]
    path.write_text(json.dumps(manifest))
    assert "is not the site that made this bundle" in refused(scene, stranger, 7, "--check", "--foreground")


def works(scene: Scene, service: str) -> bool:
    with contextlib.suppress(OSError):
        return scene.call(service) == b"hello\n"
    return False


def test_in_the_foreground(scene: Scene) -> None:
    """Runs, is changed without a cut, tells how it is, is found by a second launch, and leaves nothing."""
    with echo() as port:
        text = definition(("one", port))
        place = scene.bundle(text, "first")
        process = scene.start(place / "launch.py", "--foreground")
        until(lambda: works(scene, "one"), 20, "the server answers at the site")
        data = scene.directory / "home/.local/share/skupper/bundle/test"
        modes = {path.stat().st_mode & 0o777 for path in data.rglob("*") if path.is_file() and "certs" in str(path)}
        assert modes == {0o600}
        assert {path.stat().st_mode & 0o777 for path in (data, data / "skupper-router-certs")} == {0o700}
        with socket.create_connection(("127.0.0.1", scene.services["one"]), 5) as client:
            client.sendall(b"before\n")
            assert client.recv(100) == b"before\n"
            text = text.replace(
                "qdr", f"- {{name: two, host: localhost, service: {{address: 'two:1'}}, target_ports: [{port}]}}\nqdr"
            )
            newer = scene.bundle(text, "second", generation=2)
            done = scene.run(newer / "launch.py")
            assert done.returncode == 0, done.stderr
            until(lambda: works(scene, "two"), 10, "the second service answers")
            client.sendall(b"after\n")
            assert client.recv(100) == b"after\n"
        status = json.loads(scene.run(newer / "launch.py", "--status", "--json").stdout)
        assert (status["generation"], status["link"], status["problems"]) == (2, "up", [])
        assert scene.run(place / "launch.py").returncode == 9
        second = scene.run(newer / "launch.py", "--foreground")
        assert (second.returncode, "runs under another supervisor" in second.stderr) == (1, True)
        assert scene.run(newer / "launch.py", "--rollback").returncode == 0
        until(lambda: not works(scene, "two"), 10, "the second service is gone")
        process.terminate()
        assert process.wait(30) == 0
        assert scene.run(newer / "launch.py", "--status").returncode != 0
        done = scene.run(newer / "remove.py")
        assert (done.returncode, done.stdout) == (0, "gateway test: removed\n")
        assert not data.parent.exists()


def test_a_change_that_fails_in_the_end_is_taken_back(scene: Scene) -> None:
    """Also in the router that runs, which had taken it up already."""
    with echo() as port:
        place = scene.bundle(definition(("one", port)), "first")
        scene.start(place / "launch.py", "--foreground")
        until(lambda: works(scene, "one"), 20, "the server answers at the site")
        data = scene.directory / "home/.local/share/skupper/bundle/test"
        before = {name: (data / name).read_bytes() for name in ("state.json", "config/skrouterd.json")}
        (data / "install.log").unlink()
        (data / "install.log").mkdir()  # the last thing that is written
        newer = scene.bundle(definition(("two", port)), "second", generation=2)
        done = scene.run(newer / "launch.py")
        assert (done.returncode, done.stderr) == (1, f"Error: Is a directory: {data}/install.log\n")
        assert {name: (data / name).read_bytes() for name in before} == before
        until(lambda: works(scene, "one"), 10, "what was there answers again")
        assert not works(scene, "two")
        status = json.loads(scene.run(place / "launch.py", "--status", "--json").stdout)
        assert (status["generation"], [item["inRouter"] for item in status["bindings"]]) == (1, [True])


def test_a_change_of_what_runs_that_is_killed(scene: Scene) -> None:
    """Killed between the router and its file, the same launch comes to the end, and no connection is cut."""
    with echo() as port:
        text = definition(("one", port))
        first = scene.bundle(text, "first")
        second = scene.bundle(
            text.replace(
                "qdr", f"- {{name: two, host: localhost, service: {{address: 'two:1'}}, target_ports: [{port}]}}\nqdr"
            ),
            "second",
            generation=2,
        )
        scene.start(first / "launch.py", "--foreground")
        until(lambda: works(scene, "one"), 20, "the server answers at the site")
        report = scene.directory / "home" / "moments"

        def hurt(moment: int) -> int:
            return scene.run(
                "python3", TOOLS / "hurt.py", "SIGKILL", str(moment), report, second / "launch.py"
            ).returncode

        with socket.create_connection(("127.0.0.1", scene.services["one"]), 5) as client:
            assert hurt(-1) == 0
            moments = report.read_text().splitlines()
            chosen = [
                number for number, moment in enumerate(moments)
                if " create " in moment or (moment.startswith("rename") and "config/.skrouterd.json" in moment)
            ]  # fmt: skip
            assert len(chosen) == 3, moments
            for moment in chosen:
                assert scene.run(second / "launch.py", "--rollback").returncode == 0
                until(lambda: not works(scene, "two"), 10, "the second service is gone")
                assert hurt(moment) == -9
                told = scene.run(first / "launch.py", "--status").stdout
                assert "a launch is at work or was cut short" in told
                done = scene.run(second / "launch.py")
                assert (done.returncode, "cannot be changed" in done.stdout) == (0, False)
                until(lambda: works(scene, "two"), 10, "the second service answers")
                assert "problem" not in scene.run(second / "launch.py", "--status").stdout
                client.sendall(b"still\n")
                assert client.recv(100) == b"still\n"


def test_what_a_power_cut_left_short_beside_a_running_router(scene: Scene) -> None:
    """Status tells of it, and the same launch repairs it although nothing is to be changed."""
    with echo() as port:
        place = scene.bundle(definition(("one", port)), "b")
        scene.start(place / "launch.py", "--foreground")
        until(lambda: works(scene, "one"), 20, "it works")
        data = scene.directory / "home/.local/share/skupper/bundle/test"
        (data / "bundles/1/manifest.json").write_bytes(b"{")
        told = scene.run(place / "launch.py", "--status")
        assert (told.returncode, told.stderr) == (
            1, f"Error: {data}/bundles is damaged\nHint: launch the bundle again\n"
        )  # fmt: skip
        assert scene.run(place / "launch.py").returncode == 0
        assert scene.run(place / "launch.py", "--status").returncode == 0
        for name in ("config/skrouterd.json", "skupper-router-certs/conn1-profile/tls.key"):
            (data / name).write_bytes((data / name).read_bytes()[:100])
            told = scene.run(place / "launch.py", "--status")
            assert (told.returncode != 0, told.stderr) == (True, "")
            assert "damaged: launch the bundle again" in told.stdout


def test_strangers_do_not_manage_the_router(scene: Scene) -> None:
    with echo() as port:
        place = scene.bundle(definition(("one", port)), "b")
        scene.start(place / "launch.py", "--foreground")
        until(lambda: works(scene, "one"), 20, "it works")
        state = json.loads((scene.directory / "home/.local/share/skupper/bundle/test/state.json").read_text())
        command = [sys.executable, "-m", "skupper_podman.routerd.tools.skmanage", "--timeout", "5"]
        bus = f"amqp://127.0.0.1:{state['managementPort']}"
        done = subprocess.run([*command, "--bus", bus, "query"], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert works(scene, "one")


def test_tls_to_the_target(scene: Scene) -> None:
    now = datetime.datetime.now(datetime.UTC)
    authority = certs.issue_authority("database-ca", certs.new_key(), now)
    server = certs.issue(authority, "database", ("localhost",), certs.new_key(), now)
    (scene.directory / "server.pem").write_bytes(server.certificate + server.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(scene.directory / "server.pem")
    with echo(context) as port:
        text = definition(("one", port)).replace("{address: 'one:1'}", "{address: 'one:1', tlscertauthority: ca.pem}")
        place = scene.bundle(text, "b", tls={"bridge-one/ca.crt": authority.certificate})
        scene.start(place / "launch.py", "--foreground")
        until(lambda: works(scene, "one"), 20, "the server answers over TLS")


@pytest.mark.skipif(not SKROUTERD, reason="needs SKUPPER_TEST_SKROUTERD")
def test_skrouterd_of_the_host(scene: Scene) -> None:
    with echo() as port:
        text = definition(("one", port))
        place = scene.bundle(text, "b", with_router=False)
        env = {"QDROUTERD_HOME": str(SKROUTERD)}
        scene.start(place / "launch.py", "--foreground", env=env)
        until(lambda: works(scene, "one"), 20, "the server answers at the site")
        text = text.replace(
            "qdr", f"- {{name: two, host: localhost, service: {{address: 'two:1'}}, target_ports: [{port}]}}\nqdr"
        )
        newer = scene.bundle(text, "second", generation=2, with_router=False)
        done = scene.run(newer / "launch.py", env=env)
        assert done.returncode == 0, done.stderr
        until(lambda: works(scene, "two"), 10, "the second service answers")
        status = json.loads(scene.run(newer / "launch.py", "--status", "--json", env=env).stdout)
        assert (status["link"], status["problems"]) == ("up", [])


@pytest.mark.skipif(not SKROUTERD35, reason="needs SKUPPER_TEST_SKROUTERD35")
def test_a_router_of_another_age_is_refused(scene: Scene) -> None:
    place = scene.bundle(definition(("one", 1)), "b", with_router=False)
    told = refused(scene, place, 3, "--foreground", QDROUTERD_HOME=str(SKROUTERD35))
    assert "carries services in a form that this network does not understand" in told
