"""The gateway to libpod against a real Podman, rootful and rootless: every call, and every way it can fail."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skupper_podman.desired.resources import Container, Mount, Network, PublishedPort, Volume
from skupper_podman.errors import ConflictError, EndpointError, InvalidError, NotFoundError, PlatformError
from skupper_podman.platform.podman import preflight
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.endpoint import Endpoint
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.platform.podman.host import LocalHost
from skupper_podman.platform.podman.hostimage import (
    container_path,
    ensure_host_image,
    host_mounts,
    python_command,
    remove_unused_images,
)
from skupper_podman.platform.podman.images import router_image
from skupper_podman.platform.podman.transport import endpoint_hint
from tests.podmanlab import LabHost, rootful_host, rootless_host, unable, until

needs_podman = pytest.mark.skipif(bool(unable()), reason=unable() or "-")
PYTHON = python_command("x")[0]
WAIT = """
import signal, sys, threading
signal.signal(15, lambda *_: sys.exit(0))
print('up', flush=True)
threading.Event().wait()
"""
PREFLIGHT = """
import sys
from pathlib import Path
from skupper_podman.platform.podman import preflight
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.endpoint import Endpoint
from skupper_podman.platform.podman.host import local_host
url = sys.argv[1]
facts = preflight.look(PodmanApi(url))
found = preflight.check(preflight.Wanted(), facts, Endpoint(url, "x"), local_host(Path("/run")), Path("/tmp"))
print(*(blocker.check for blocker in found))
"""
ASK = """
import sys
from skupper_podman.errors import EndpointError
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.edits import Trees
try:
    PodmanApi(sys.argv[1]).info()
except EndpointError as error:
    print(error.message)
"""


@pytest.fixture(scope="module", params=["rootful", "rootless"])
def host(request: pytest.FixtureRequest) -> Iterator[LabHost]:
    if unable():
        pytest.skip(unable())
    with (rootful_host if request.param == "rootful" else rootless_host)() as found:
        yield found


@pytest.fixture
def api(host: LabHost) -> Iterator[PodmanApi]:
    found = host.api()
    yield found
    for container in found.containers():
        found.stop(container.name, 1)
        found.remove_container(container.name)
    for volume in found.volumes():
        found.remove_volume(volume.name)
    for network in found.networks():
        if network.name != "podman":
            found.remove_network(network.name)
    found.close()


def make(api: PodmanApi, name: str = "one", code: str = WAIT, **options: object) -> ContainerInfo:
    image = ensure_host_image(api)
    mounts = (*host_mounts(), *options.pop("mounts", ()))  # type: ignore[misc]
    container = Container(
        name,
        image,
        (PYTHON, "-c", code),
        mounts=mounts,
        selinux_disabled=True,
        **options,  # type: ignore[arg-type]
    )
    api.create_container(container)
    api.start(name)
    found = api.container(name)
    assert found is not None
    return found


@pytest.mark.e2e
class TestReal:
    def test_info(self, api: PodmanApi, host: LabHost) -> None:
        info = api.check_version()
        assert int(info.version.split(".")[0]) >= 4
        assert info.rootless == (host.uid != 0)
        assert info.network_backend == "netavark"
        assert Path(info.graph_root).is_dir()
        assert info.uptime is not None
        assert abs(info.uptime - float(Path("/proc/uptime").read_text().split()[0])) < 75
        assert (info.subuids > 60000) == info.rootless

    def test_what_is_not_there(self, api: PodmanApi) -> None:
        assert api.container("none") is api.network("none") is api.volume("none") is api.image("none") is None
        api.remove_container("none")
        api.remove_network("none")
        api.remove_volume("none")
        api.remove_image("none")
        api.stop("none")
        for act in (api.start, api.restart, api.logs, api.kill):
            with pytest.raises(NotFoundError):
                act("none")
        with pytest.raises(NotFoundError):
            api.exec("none", ["true"])
        with pytest.raises(NotFoundError):
            api.create_container(Container("x", "localhost/none:1"))

    def test_networks(self, api: PodmanApi) -> None:
        made = api.create_network(Network("net", labels={"application": "skupper"}))
        assert made.dns_enabled
        assert api.network("net") == made
        assert made in api.networks()
        with pytest.raises(ConflictError, match="already"):
            api.create_network(Network("net"))
        six = api.create_network(Network("six", ipv6=True))
        assert six.ipv6
        assert len(six.subnets) == 2
        make(api, network="net")
        with pytest.raises(ConflictError, match="associated containers"):
            api.remove_network("net")

    def test_volumes(self, api: PodmanApi) -> None:
        labels = {"application": "skupper", "internal.skupper.io/metadata": '{"name":"v","creationTimestamp":null}'}
        made = api.create_volume(Volume("v", labels))
        assert api.volume("v") == made
        assert made.labels == labels
        api.create_volume(Volume("other"))
        assert [found.name for found in api.volumes({"application": None})] == ["v"]
        assert [found.name for found in api.volumes({"application": "else"})] == []
        assert len(api.volumes()) == 2
        with pytest.raises(ConflictError, match="it exists"):
            api.create_volume(Volume("v"))
        make(api, mounts=(Mount("v", "/data"),))
        with pytest.raises(ConflictError, match="being used"):
            api.remove_volume("v")

    def test_container_is_as_asked(self, api: PodmanApi, host: LabHost) -> None:
        api.create_network(Network("net"))
        api.create_volume(Volume("v"))
        port = random.randrange(21000, 29000)
        found = make(
            api,
            env={"A": "b=c"},
            labels={"application": "skupper", "skupper.io/component": "one"},
            network="net",
            aliases=("first", "second"),
            mounts=(Mount("v", "/etc/skupper-router/config"),),
            ports=(PublishedPort(8080, port, "127.0.0.1"),),
        )
        assert found.running
        assert found.pid > 0
        assert found.conmon_pid > 0
        assert found.env["A"] == "b=c"
        assert found.env["PATH"] == container_path()
        assert found.user == f"{host.uid}:{host.gid}"
        assert {"first", "second"} <= set(found.networks["net"].aliases)
        assert found.networks["net"].ip
        assert found.ports == (PublishedPort(8080, port, "127.0.0.1"),)
        assert Mount("v", "/etc/skupper-router/config") in found.mounts
        assert set(host_mounts()) <= set(found.mounts)
        assert (found.read_only, found.restart_policy) == (True, "always")
        assert found.labels == {"application": "skupper", "skupper.io/component": "one"}
        (listed,) = api.containers({"application": "skupper"})
        assert (listed.name, listed.id, listed.state, listed.ports) == ("one", found.id, "running", found.ports)
        assert (listed.started_at[:16], listed.pid) == (found.started_at[:16], found.pid)
        with pytest.raises(ConflictError, match="already in use"):
            api.create_container(Container("one", found.image))

    def test_container_can_do_little(self, api: PodmanApi, host: LabHost) -> None:
        api.create_volume(Volume("v"))
        make(api, mounts=(Mount("v", "/data"), Mount("v", "/read-only", read_only=True)))
        status = api.exec("one", ["cat", "/proc/1/status"]).stdout.decode()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert {facts[key] for key in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")} == {"0" * 16}
        assert facts["NoNewPrivs"] == "1"
        assert facts["Uid"].split() == [str(host.uid)] * 4
        for path in ("/x", "/usr/x", "/etc/x", "/read-only/x", "/etc/ssl/certs/x"):
            assert api.exec("one", ["touch", path]).exit_code != 0, path
        for path in ("/tmp/x", "/run/x", "/data/x"):
            assert api.exec("one", ["touch", path]).exit_code == 0, path
        assert api.exec("one", ["ls", "/etc/ssl/private"]).exit_code != 0
        assert api.exec("one", ["sh", "-c", "head -c 99m /dev/zero > /tmp/full"]).exit_code != 0

    def test_our_programs_are_found(self, api: PodmanApi) -> None:
        make(api)
        done = api.exec("one", ["skmanage", "--version"])
        assert done.exit_code == 0, done
        imports = "import proton, aiohttp, cryptography, yaml, skupper_podman"
        assert api.exec("one", ["python3", "-c", imports]).exit_code == 0

    def test_names_and_aliases_resolve(self, api: PodmanApi) -> None:
        api.create_network(Network("net"))
        make(api, "one", network="net", aliases=("alias",))
        make(api, "two", network="net")
        for name in ("alias", "two"):
            look = f"import socket; print(socket.gethostbyname({name!r}))"
            done = api.exec("one", ["python3", "-c", look])
            assert done.exit_code == 0, done
            assert done.stdout.startswith(b"10.")

    def test_exec(self, api: PodmanApi) -> None:
        make(api)
        done = api.exec("one", ["sh", "-c", "echo out; echo err >&2; exit 3"])
        assert (done.exit_code, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
        many = api.exec("one", ["python3", "-c", "print('x' * 300_000)"])
        assert len(many.stdout) == 300_001
        assert api.exec("one", ["no-such-program"]).exit_code == 127
        for command in ("sleep 60", "while :; do echo x; sleep 0.2; done"):
            with pytest.raises(PlatformError, match="did not end within 1 seconds"):
                api.exec("one", ["sh", "-c", command], timeout=1)
        api.stop("one", 1)
        with pytest.raises(ConflictError):
            api.exec("one", ["true"])

    def test_exec_from_several_threads(self, api: PodmanApi) -> None:
        make(api)
        found: dict[int, bytes] = {}

        def ask(number: int) -> None:
            found[number] = api.exec("one", ["echo", str(number)]).stdout

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {number: f"{number}\n".encode() for number in range(8)}

    def test_life_of_a_container(self, api: PodmanApi) -> None:
        first = make(api)
        api.start("one")
        until(lambda: "up" in api.logs("one"), 10, "its words are in the log")
        api.restart("one", 5)
        until(lambda: api.logs("one").count("up") == 2, 10, "it is up again")
        second = api.container("one")
        assert second is not None
        assert second.pid not in (0, first.pid)
        assert second.id == first.id
        api.stop("one", 5)
        api.stop("one", 5)
        stopped = api.container("one")
        assert stopped is not None
        assert (stopped.running, stopped.exit_code) == (False, 0)
        assert stopped.finished_at
        api.rename_container("one", "uno")
        assert api.container("one") is None
        api.start("uno")
        api.remove_container("uno")
        assert api.containers() == []

    def test_logs_are_in_order_and_bounded(self, api: PodmanApi) -> None:
        code = "import sys\nfor n in range(50):\n print(n, file=sys.stderr)\n" + WAIT
        make(api, code=code)
        until(lambda: len(api.logs("one", tail=100).split()) == 51, 10, "it has said all")
        # Standard output may overtake standard error: the monitor reads both.
        assert [line for line in api.logs("one", tail=6).split() if line != "up"][-5:] == ["45", "46", "47", "48", "49"]
        assert len(api.logs("one", tail=10).split()) == 10
        assert len(api.logs("one", tail=100).split()) == 51

    def test_a_container_that_cannot_start(self, api: PodmanApi) -> None:
        container = Container("bad", ensure_host_image(api), ("/no/such/program",), mounts=host_mounts())
        api.create_container(container)
        with pytest.raises(PlatformError, match=r"no such file or directory"):
            api.start("bad")

    def test_port_in_use(self, api: PodmanApi, host: LabHost) -> None:
        port = random.randrange(21000, 29000)
        api.create_network(Network("net"))
        make(api, "one", network="net", ports=(PublishedPort(80, port),))
        with pytest.raises(ConflictError, match="address already in use"):
            make(api, "two", network="net", ports=(PublishedPort(80, port),))

    def test_host_image(self, api: PodmanApi) -> None:
        name = ensure_host_image(api)
        assert ensure_host_image(api) == name
        found = api.image(name)
        assert found is not None
        assert found.labels == {}
        api.import_image("localhost/skupper-host:old", b"\0" * 1024, ["CMD x"])
        make(api)
        assert remove_unused_images(api) == ("localhost/skupper-host:old",)
        api.stop("one", 1)
        api.remove_container("one")
        assert remove_unused_images(api) == (name,)
        assert api.images() == []

    def test_router_image(self, api: PodmanApi) -> None:
        name = ensure_host_image(api)
        env = {"QDROUTERD_IMAGE": "127.0.0.1:1/router:1"}
        assert router_image("embedded", api, env).image == name
        choice = router_image("auto", api, env)
        assert (choice.kind, choice.image) == ("embedded", name)
        assert "127.0.0.1 is not in reach (Connection refused)" in choice.reason
        with pytest.raises(PlatformError, match="unable to pull image") as caught:
            router_image("image", api, env, timeout=30)
        assert "--router embedded" in caught.value.hint
        api.import_image("localhost/router:1", b"\0" * 1024, ["CMD x"])
        for kind in ("auto", "image"):
            present = router_image(kind, api, {"QDROUTERD_IMAGE": "localhost/router:1"})  # type: ignore[arg-type]
            assert (present.kind, present.image) == ("image", "localhost/router:1")

    def test_files_in_volumes(self, api: PodmanApi, host: LabHost) -> None:
        info = api.create_volume(Volume("v"))
        trees = Trees(api.volume)
        assert trees.file("none", "x") is None
        with pytest.raises(NotFoundError, match="volume none does not exist"):
            trees.tree("none")
        tree = trees.tree("v")
        tree.write("deep/key", b"secret", 0o600, directory_mode=0o700)
        if host.uid:
            for path in (Path(info.mountpoint) / "deep", Path(info.mountpoint) / "deep/key"):
                os.chown(path, host.uid, host.gid)  # as the user's own command would have made it
        make(api, mounts=(Mount("v", "/data"),))
        assert api.exec("one", ["cat", "/data/deep/key"]).stdout == b"secret"
        assert api.exec("one", ["sh", "-c", "echo mine > /data/mine; ln -s /etc/passwd /data/trap"]).exit_code == 0
        assert tree.read("mine") == b"mine\n"
        with pytest.raises(InvalidError):
            tree.read("trap")
        mode = Path(info.mountpoint).stat()
        assert (mode.st_uid, mode.st_gid) == (host.uid, host.gid)
        assert (Path(info.mountpoint) / "deep/key").stat().st_mode & 0o777 == 0o600

    def test_preflight(self, api: PodmanApi, host: LabHost) -> None:
        """Faults of this host, each for real."""
        podman = preflight.look(api)
        assert isinstance(podman, preflight.PodmanFacts)
        endpoint = Endpoint(host.url, "PODMAN_ENDPOINT")
        local = LocalHost(host.uid, host.gid, host.user or "root", host.runtime_dir)
        wanted = preflight.Wanted(
            ("skupper-router",), ("skupper-internal",), "skupper", hosts=("h",), hosts_needed=True
        )
        assert preflight.check(wanted, podman, endpoint, local, host.directory / "data") == ()
        assert (
            host.run(
                ["podman", "--remote", "--url", host.url, "network", "create", "--disable-dns", "skupper"]
            ).returncode
            == 0
        )
        make(api, "skupper-router")
        api.create_volume(Volume("skupper-internal"))
        podman = preflight.look(api)
        found = preflight.check(wanted, podman, endpoint, local, host.directory / "data")
        assert [blocker.check for blocker in found] == ["network-dns", "name-container", "name-volume"]


@needs_podman
@pytest.mark.e2e
def test_dead_service_and_missing_subordinate_ids() -> None:
    with rootless_host() as host:
        api = host.api()
        host.stop_service()
        api.close()
        error = preflight.look(host.api(5))
        assert isinstance(error, EndpointError)
        assert "nothing listens there" in error.message
        ids = Path("/etc/subuid").read_text()
        local = LocalHost(host.uid, host.gid, host.user, host.runtime_dir)
        assert local.sub_ids("subuid").count >= 65536
        assert host.user in ids
        stranger = LocalHost(host.uid + 1, host.gid + 1, f"{host.user}x", host.runtime_dir)
        endpoint = Endpoint(host.url, "PODMAN_ENDPOINT")
        found = preflight.check(preflight.Wanted(), error, endpoint, stranger, host.directory)
        assert {"podman-endpoint", "subuid"} <= {blocker.check for blocker in found}


@needs_podman
@pytest.mark.e2e
def test_network_endpoint() -> None:
    """Podman's service on TCP: refused at an address containers cannot use, accepted at one they can."""
    with rootful_host() as host:
        port = random.randrange(21000, 29000)
        host.run(["ip", "addr", "add", "10.66.0.1/32", "dev", "lo"])
        host.popen(["podman", *host.own_directories(), "system", "service", "-t", "0", f"tcp:0.0.0.0:{port}"])
        for address, expected in (("127.0.0.1", ["podman-remote"]), ("10.66.0.1", [])):
            url = f"http://{address}:{port}"
            ask = ["curl", "-sf", f"{url}/v4.0.0/libpod/_ping"]
            until(lambda: host.run(ask).returncode == 0, 20, "it listens")  # noqa: B023
            done = host.run(host.python("-c", PREFLIGHT, url))
            assert done.stdout.split() == expected, done


@needs_podman
@pytest.mark.e2e
def test_full_storage() -> None:
    """Podman's storage on a small file system that is full: preflight says so, and so does Podman's own failure."""
    with rootful_host() as host:
        host.stop_service()
        small = host.directory / "root"
        host.run(["sh", "-c", f"mkdir -p {small} && mount -t tmpfs -o size=2m tmpfs {small}"])
        host.start_service()
        api = host.api()
        api.create_volume(Volume("v"))
        assert host.run(["sh", "-c", f"head -c 9m /dev/zero > {small}/fill"]).returncode != 0
        done = host.run(host.python("-c", PREFLIGHT, host.url))
        assert done.stdout.split() == ["disk-full"], done
        with pytest.raises(PlatformError, match="no space left on device") as caught:
            ensure_host_image(api)
        assert "df -h" in caught.value.hint


# A service that is no Podman, or does not answer: no Podman needed.


@pytest.mark.parametrize("kind", ["absent", "dead", "file"])
def test_no_service(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "p.sock"
    if kind == "dead":
        with socket.socket(socket.AF_UNIX) as found:
            found.bind(str(path))
    if kind == "file":
        path.write_text("")
    reason = "no such socket" if kind == "absent" else "nothing listens there"
    with pytest.raises(EndpointError) as caught:
        PodmanApi(f"unix://{path}").info()
    assert caught.value.message == f"Podman endpoint is not available: unix://{path} ({reason})"
    assert caught.value.hint == f"podman system service --time=0 unix://{path}"


@needs_podman
@pytest.mark.e2e
def test_socket_of_another_user() -> None:
    with rootful_host() as host:
        done = host.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *host.python("-c", ASK, host.url)]
        )
        assert done.stdout.strip() == f"Podman endpoint is not available: {host.url} (permission denied)"


def test_hints_name_the_unit_of_the_default_sockets() -> None:
    assert endpoint_hint("unix:///run/user/1000/podman/podman.sock") == "systemctl --user enable --now podman.socket"
    assert endpoint_hint("unix:///run/podman/podman.sock") == "systemctl enable --now podman.socket"


def test_remote_endpoint_that_is_not_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(EndpointError, match="nothing listens there"):
            PodmanApi(f"http://127.0.0.1:{unused.getsockname()[1]}").info()
    with pytest.raises(EndpointError, match="its host name cannot be resolved"):
        PodmanApi("http://no-such-host.invalid:80", 10).info()


def _whole_request(connection: socket.socket) -> bytes:
    """One HTTP request to its end: a socket closed with octets unread resets the connection."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
        head, complete, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if complete and len(body) >= (int(length[1]) if length else 0):
            break
    return received


class Impostor:
    """Something that listens on a socket and answers every request with ``answer``, a piece at a time."""

    def __init__(self, path: Path, *pieces: bytes, pause: float = 0.0) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(5)
        self._pieces = pieces
        self._pause = pause
        self._ended = threading.Event()
        self.requests: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            self.requests.append(_whole_request(connection))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in self._pieces:
                    connection.sendall(piece)
                    self._ended.wait(self._pause)
            if not self._pieces:
                self._ended.wait(60)

    def close(self) -> None:
        self._ended.set()
        self._listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


def test_hung_service(tmp_path: Path) -> None:
    found = Impostor(tmp_path / "s")
    began = time.monotonic()
    with pytest.raises(EndpointError, match="did not answer within 1 seconds") as caught:
        PodmanApi(f"unix://{tmp_path / 's'}", 1).info()
    assert 0.9 < time.monotonic() - began < 30
    assert "systemctl" in caught.value.hint
    found.close()


def test_service_that_never_comes_to_an_end(tmp_path: Path) -> None:
    """The limit is one for the whole exchange: a byte now and then does not help."""
    found = Impostor(tmp_path / "s", HEAD, *[b" "] * 600, pause=0.1)
    began = time.monotonic()
    with pytest.raises(EndpointError, match="did not answer within 1 seconds"):
        PodmanApi(f"unix://{tmp_path / 's'}", 1).info()
    assert time.monotonic() - began < 30
    found.close()


@pytest.mark.parametrize(
    "answer",
    [HEAD + b"<html>", HEAD, b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"],
    ids=["html", "empty", "not-http", "closed", "short"],
)
def test_something_that_is_not_podman(tmp_path: Path, answer: bytes) -> None:
    found = Impostor(tmp_path / "s", answer or b" ")
    with pytest.raises((EndpointError, InvalidError)) as caught:
        PodmanApi(f"unix://{tmp_path / 's'}", 5).check_version()
    assert caught.value.message
    found.close()


@pytest.mark.parametrize(
    ("version", "good"),
    [("3.4.4", False), ("", False), ("x", False), ("4.0.0", True), ("5.2.1", True), ("10.0.0", True)],
)
def test_version(tmp_path: Path, version: str, good: bool) -> None:
    found = Impostor(tmp_path / "s", HEAD + b'{"version":{"APIVersion":"%s"}}' % version.encode())
    api = PodmanApi(f"unix://{tmp_path / 's'}", 5)
    if good:
        assert api.check_version().api_version == version
    else:
        with pytest.raises(EndpointError, match=r"podman version must be 4.0.0 or greater, found: ") as caught:
            api.check_version()
        assert caught.value.hint == "Please update your podman installation."
    assert found.requests[0].startswith(b"GET /v4.0.0/libpod/info ")
    found.close()


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            404,
            b'{"cause":"no such container","message":"no container x"}',
            NotFoundError,
            "create container x: no container x",
        ),
        (500, b'{"cause":"c","message":"network not found"}', NotFoundError, "network not found"),
        (409, b'{"message":"m"}', ConflictError, "m"),
        (500, b'{"message":"the name is already in use"}', ConflictError, "already in use"),
        (500, b"plain words", PlatformError, "create container x: plain words"),
        (500, b"", PlatformError, "create container x: HTTP status 500"),
        (500, b'["list"]', PlatformError, "list"),
    ],
)
def test_refusals(tmp_path: Path, status: int, body: bytes, kind: type[PlatformError], words: str) -> None:
    found = Impostor(tmp_path / "s", b"HTTP/1.1 %d X\r\nConnection: close\r\n\r\n%s" % (status, body))
    with pytest.raises(kind, match=words):
        PodmanApi(f"unix://{tmp_path / 's'}", 5).create_container(Container("x", "i"))
    found.close()


def test_names_cannot_leave_their_place_in_the_path(tmp_path: Path) -> None:
    found = Impostor(tmp_path / "s", b"HTTP/1.1 404 X\r\nConnection: close\r\n\r\n")
    assert PodmanApi(f"unix://{tmp_path / 's'}", 5).container("../volumes/x?a=b#c") is None
    assert found.requests[0].startswith(b"GET /v4.0.0/libpod/containers/..%2Fvolumes%2Fx%3Fa%3Db%23c/json ")
    found.close()
