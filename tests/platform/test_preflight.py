"""What blocks a site: decided from facts, all at once, each with a remedy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.desired.names import Names
from skupper_podman.desired.resources import PublishedPort
from skupper_podman.errors import Blocker, EndpointError
from skupper_podman.platform.podman.endpoint import Endpoint
from skupper_podman.platform.podman.facts import ContainerInfo, HostInfo, NetworkAttachment, NetworkInfo, VolumeInfo
from skupper_podman.platform.podman.host import BindProblem, Owner, Space, SubIds
from skupper_podman.platform.podman.preflight import MINIMUM_FREE, PodmanFacts, Wanted, WantedPort, check

DATA_HOME = Path("/home/alice/.local/share/skupper")
ENDPOINT = Endpoint("unix:///run/user/1000/podman/podman.sock", "default")
INFO = HostInfo(
    version="4.3.1", api_version="4.3.1", rootless=True, network_backend="netavark", hostname="here", kernel="6.1",
    graph_root="/home/alice/storage", volume_path="/home/alice/storage/volumes", subuids=65537, uptime=5000.0,
)  # fmt: skip
OURS = {"application": "skupper"}


@dataclass
class Facts:
    """A host made of answers."""

    uid: int = 1000
    gid: int = 1000
    user: str = "alice"
    directories: set[str] = field(default_factory=lambda: {"/run/user/1000", "/home/alice/storage"})
    bind: dict[int, BindProblem] = field(default_factory=dict)
    owner: Owner | None = None
    spaces: dict[str, Space] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    ids: SubIds = field(default_factory=lambda: SubIds(65536, 165536))
    seconds: float | None = 5010.0
    lowest: int = 1024
    bad: str = ""

    def runtime_dir(self) -> Path:
        return Path("/run/user/1000")

    def is_directory(self, path: Path) -> bool:
        return str(path) in self.directories

    def try_bind(self, ip: str, port: int) -> BindProblem:
        return self.bind.get(port, "")

    def port_owner(self, port: int) -> Owner | None:
        return self.owner

    def addresses(self) -> tuple[str, ...]:
        return ("127.0.0.1", "10.0.0.7")

    def lookup(self, name: str) -> tuple[str, ...]:
        return {"localhost": ("127.0.0.1",), "here": ("10.0.0.7",)}.get(name, ())

    def space(self, path: Path) -> Space | None:
        return self.spaces.get(str(path), Space(str(path), 10**9, 1000, writable=True))

    def has_program(self, name: str) -> bool:
        return name not in self.missing

    def sub_ids(self, kind: Literal["subuid", "subgid"]) -> SubIds:
        return self.ids

    def uptime(self) -> float | None:
        return self.seconds

    def kernel(self) -> str:
        return "6.1"

    def lowest_port(self) -> int:
        return self.lowest

    def unreadable(self) -> str:
        return self.bad

    def installer(self) -> str:
        return "sudo apt install"


WANTED = Wanted(
    containers=("skupper-router", "skupper-controller-podman"),
    volumes=("skupper-internal",),
    network="skupper",
    ports=(
        WantedPort(PublishedPort(55671, 55671), "--bind-port"),
        WantedPort(PublishedPort(45671, 45671), "--bind-port-edge"),
    ),
    hosts=("here",),
    hosts_needed=True,
)


def blockers(
    host: Facts | None = None,
    podman: PodmanFacts | EndpointError | None = None,
    wanted: Wanted = WANTED,
    endpoint: Endpoint = ENDPOINT,
) -> dict[str, Blocker]:
    found = check(wanted, podman or PodmanFacts(INFO), endpoint, host or Facts(), DATA_HOME)
    return {blocker.check: blocker for blocker in found}


def container(name: str, labels: dict[str, str], *ports: int, state: str = "running") -> ContainerInfo:
    published = tuple(PublishedPort(80, port) for port in ports)
    return ContainerInfo(name, "1", "i", "2", state, labels, ports=published)


def test_a_good_host_has_none() -> None:
    assert blockers() == {}


def test_dead_endpoint() -> None:
    error = EndpointError(
        "Podman endpoint is not available: x (no such socket)", "systemctl --user enable --now podman.socket"
    )
    found = blockers(podman=error)
    assert set(found) == {"podman-endpoint"}
    assert found["podman-endpoint"].cause.endswith("(chosen by default)")
    assert found["podman-endpoint"].fix == error.hint


def test_no_podman_at_all() -> None:
    found = blockers(Facts(missing={"podman"}), EndpointError("x"))
    assert found["podman-missing"].fix == "sudo apt install podman"
    assert "podman-endpoint" not in found


def test_no_runtime_directory() -> None:
    found = blockers(Facts(directories=set()), EndpointError("x", "y"))
    assert "loginctl enable-linger alice" in found["runtime-dir"].fix
    assert "podman-endpoint" in found
    elsewhere = Endpoint("unix:///x.sock", "CONTAINER_HOST")
    assert "runtime-dir" not in blockers(Facts(directories=set()), EndpointError("x", "y"), endpoint=elsewhere)


@pytest.mark.parametrize(
    ("info", "host", "words"),
    [
        (replace(INFO, uptime=90000.0, hostname="there"), Facts(), "it runs on another host, there"),
        (replace(INFO, kernel="5.4"), Facts(), "another host"),
        (INFO, Facts(directories={"/run/user/1000"}), "/home/alice/storage cannot be seen from here"),
        (replace(INFO, rootless=False), Facts(), "it runs as root"),
        (INFO, Facts(uid=0), "it runs as an ordinary user"),
    ],
)
def test_remote_endpoint(info: HostInfo, host: Facts, words: str) -> None:
    found = blockers(host, PodmanFacts(info))["podman-remote"]
    assert found.cause.startswith("You cannot use a remote podman endpoint - ")
    assert words in found.cause
    assert "--podman-endpoint unix://" in found.fix


def test_network_endpoint() -> None:
    assert blockers(endpoint=Endpoint("http://here:8080", "CONTAINER_HOST")) == {}
    local = blockers(endpoint=Endpoint("http://localhost:8080", "CONTAINER_HOST"))["podman-remote"]
    assert local.cause == "local addresses cannot be used, got: 127.0.0.1 (from CONTAINER_HOST)"
    unknown = blockers(endpoint=Endpoint("http://nowhere:8080", "PODMAN_ENDPOINT"))["podman-remote"]
    assert unknown.cause == "unable to resolve hostname: nowhere (from PODMAN_ENDPOINT)"


def test_unknown_uptime_is_no_reason() -> None:
    assert blockers(Facts(seconds=None)) == {}
    assert blockers(podman=PodmanFacts(replace(INFO, uptime=None, kernel=""))) == {}


def test_network_without_dns() -> None:
    network = NetworkInfo("skupper", "1", "bridge", dns_enabled=False, ipv6=False, internal=False, labels={})
    found = blockers(podman=PodmanFacts(INFO, networks=(network,)))
    assert "DNS is not enabled" in found["network-dns"].cause
    assert "podman network rm skupper" in found["network-dns"].fix
    assert blockers(podman=PodmanFacts(INFO, networks=(replace(network, name="other"),))) == {}
    assert blockers(podman=PodmanFacts(INFO, networks=(replace(network, dns_enabled=True),))) == {}


@pytest.mark.parametrize(
    ("backend", "missing", "fix"),
    [
        ("netavark", {"aardvark-dns"}, "sudo apt install aardvark-dns"),
        ("netavark", {"netavark", "aardvark-dns"}, "sudo apt install netavark aardvark-dns"),
        ("cni", {"dnsname"}, "sudo apt install golang-github-containernetworking-plugin-dnsname"),
    ],
)
def test_network_backend(backend: str, missing: set[str], fix: str) -> None:
    found = blockers(Facts(missing=missing), PodmanFacts(replace(INFO, network_backend=backend)))
    assert found["network-backend"].fix == fix


def test_rootless_uplink() -> None:
    assert "network-rootless" in blockers(Facts(missing={"slirp4netns", "pasta"}))
    assert blockers(Facts(missing={"slirp4netns"})) == {}
    found = blockers(Facts(missing={"pasta"}), PodmanFacts(replace(INFO, rootless_uplink="pasta")))["network-rootless"]
    assert found.cause == "rootless containers cannot reach the network: pasta is not installed"
    assert found.fix == "sudo apt install passt"
    assert blockers(Facts(missing={"pasta"}), PodmanFacts(replace(INFO, rootless_uplink="slirp4netns"))) == {}


def test_foreign_names() -> None:
    mine, foreign = container("skupper-router", OURS), container("skupper-controller-podman", {})
    volume = VolumeInfo("skupper-internal", "local", "/x", {})
    found = blockers(podman=PodmanFacts(INFO, (mine, foreign, container("web", {})), (volume,)))
    assert set(found) == {"name-container", "name-volume"}
    assert found["name-container"].fix == "podman rename skupper-controller-podman skupper-controller-podman-other"
    assert "podman volume rm skupper-internal" in found["name-volume"].fix


def test_subordinate_ids() -> None:
    none = Facts(ids=SubIds(0, 165536))
    found = blockers(none, PodmanFacts(replace(INFO, subuids=1)))
    assert found["subuid"].fix == (
        "sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 alice && podman system migrate"
    )
    assert "subuid" in blockers(none, EndpointError("x", "y"))
    assert "subuid" not in blockers(none), "Podman has them from elsewhere"
    assert "subuid" not in blockers(Facts(ids=SubIds(0, 0, known=False)), EndpointError("x", "y"))
    assert "subuid" not in blockers(
        Facts(uid=0, ids=SubIds(0, 0)), PodmanFacts(replace(INFO, rootless=False, subuids=0))
    )
    assert blockers(Facts(missing={"newuidmap"}))["uidmap"].fix == "sudo apt install uidmap"


def test_taken_port_names_its_owner_and_a_free_one() -> None:
    host = Facts(bind={55671: "taken", 55672: "taken"}, owner=Owner("www-data", 42, "nginx"))
    found = blockers(host)["port-taken"]
    assert found.cause == "port 55671 is taken by nginx (pid 42, user www-data)"
    assert found.fix == "choose another port: --bind-port 55673; or stop it: kill 42"
    unseen = blockers(Facts(bind={45671: "taken"}, owner=Owner("bob")))["port-taken"]
    assert unseen.cause == "port 45671 is taken by a process of user bob"
    assert "ss -ltnp" in unseen.fix
    assert blockers(Facts(bind={45671: "taken"}))["port-taken"].cause == "port 45671 is taken"


def test_port_of_a_container() -> None:
    host = Facts(bind={55671: "taken"}, owner=Owner("alice", 7, "rootlessport"))
    foreign = blockers(host, PodmanFacts(INFO, (container("web", {}, 55671),)))["port-taken"]
    assert foreign.cause == "port 55671 is taken by container web"
    assert "podman stop web" in foreign.fix
    assert blockers(host, PodmanFacts(INFO, (container("skupper-router", OURS, 55671),))) == {}, "a repair"
    stopped = container("skupper-router", OURS, 55671, state="exited")
    assert "port-taken" in blockers(host, PodmanFacts(INFO, (stopped,)))


def test_privileged_port() -> None:
    wanted = replace(WANTED, ports=(WantedPort(PublishedPort(55671, 443), "--bind-port"),))
    found = blockers(Facts(bind={443: "forbidden"}), wanted=wanted)["port-privileged"]
    assert "below 1024" in found.cause
    assert found.fix == "sudo sysctl net.ipv4.ip_unprivileged_port_start=443; or choose a higher one: --bind-port PORT"


def test_bind_ip() -> None:
    absent = replace(WANTED, ports=(WantedPort(PublishedPort(55671, 55671, "10.9.9.9"), "--bind-port"),))
    found = blockers(Facts(bind={55671: "absent"}), wanted=absent)["bind-ip"]
    assert found.cause == "10.9.9.9 is not an address of this host"
    assert "10.0.0.7" in found.fix
    name = replace(WANTED, ports=(WantedPort(PublishedPort(55671, 55671, "example.com")),))
    assert blockers(wanted=name)["bind-ip"].cause == "example.com is not an IP address"


def test_same_port_twice() -> None:
    twice = replace(
        WANTED, ports=(WantedPort(PublishedPort(1, 7000), "--a"), WantedPort(PublishedPort(2, 7000), "--b"))
    )
    assert blockers(wanted=twice)["port-twice"].fix == "choose another one: --b PORT"
    apart = (WantedPort(PublishedPort(1, 7000, "10.0.0.1")), WantedPort(PublishedPort(2, 7000, "10.0.0.2")))
    assert blockers(wanted=replace(WANTED, ports=apart)) == {}


def test_full_disk() -> None:
    full = Space("/home", MINIMUM_FREE - 1, 5, writable=True)
    found = blockers(Facts(spaces={"/home/alice/storage": full, "/home/alice/storage/volumes": full}))
    assert found["disk-full"].cause.endswith("/home/alice/storage, has only 63 MiB left")
    assert "df -h /home" in found["disk-full"].fix
    inodes = Space("/home", 10**9, 0, writable=True)
    assert "no inodes left" in blockers(Facts(spaces={str(DATA_HOME): inodes}))["disk-full"].cause
    assert blockers(Facts(spaces={str(DATA_HOME): Space("/home", 10**9, None, writable=True)})) == {}


def test_ports_and_networks_of_other_sites_are_theirs_also_while_those_do_not_run() -> None:
    other = ContainerInfo(
        "skupper-router.red", "1", "", "", "exited", {"application": "skupper.red"},
        networks={"skupper.red": NetworkAttachment()},
    )  # fmt: skip
    podman = PodmanFacts(INFO, containers=(other,))
    port = WantedPort(PublishedPort(55671, 55672), "--bind-port")
    wanted = Wanted(ports=(port,), network="skupper.red", names=Names("blue"), taken={55672: "site red"})
    found = {item.check: item for item in check(wanted, podman, ENDPOINT, Facts(), DATA_HOME)}
    assert found["port-taken"].cause == "port 55672 is that of site red, which does not use it now"
    assert found["port-taken"].fix == "choose another port: --bind-port 55673"
    assert "network skupper.red is that of site red" in found["network-shared"].cause
    own = replace(wanted, names=Names("red"), taken={})
    assert check(own, podman, ENDPOINT, Facts(), DATA_HOME) == ()


def test_data_home_must_be_writable() -> None:
    found = blockers(Facts(spaces={str(DATA_HOME): Space("/home", 10**9, 9, writable=False)}))
    assert found["data-home"].cause == f"user alice cannot write to {DATA_HOME}"


def test_ingress_hosts() -> None:
    found = blockers(wanted=replace(WANTED, hosts=()))["ingress-hosts"]
    assert "--ingress-host NAME" in found.fix
    assert blockers(wanted=replace(WANTED, hosts=(), hosts_needed=False)) == {}


def test_unreadable_installation() -> None:
    assert "/opt/py" in blockers(Facts(bad="/opt/py"))["installation"].cause
    assert blockers(Facts(bad="/opt/py"), wanted=replace(WANTED, host_image=False)) == {}


def test_all_at_once() -> None:
    host = Facts(
        directories=set(), bind={55671: "taken", 45671: "taken"}, missing={"newuidmap"}, ids=SubIds(0, 0), bad="/x",
        spaces={str(DATA_HOME): Space("/home", 0, 0, writable=False)},
    )  # fmt: skip
    found = check(replace(WANTED, hosts=()), EndpointError("dead", "revive"), ENDPOINT, host, DATA_HOME)
    assert [blocker.check for blocker in found] == [
        "runtime-dir", "podman-endpoint", "subuid", "uidmap", "port-taken", "port-taken", "disk-full", "data-home",
        "ingress-hosts", "installation",
    ]  # fmt: skip


hosts = st.builds(
    Facts,
    uid=st.sampled_from((0, 1000)),
    directories=st.sets(st.sampled_from(("/run/user/1000", "/home/alice/storage"))),
    bind=st.dictionaries(
        st.sampled_from((55671, 45671, 443)), st.sampled_from(("", "taken", "forbidden", "absent", "invalid"))
    ),
    owner=st.none() | st.builds(Owner, st.just("bob"), st.integers(0, 9), st.sampled_from(("", "nginx"))),
    spaces=st.dictionaries(
        st.sampled_from((str(DATA_HOME), "/home/alice/storage")),
        st.builds(Space, st.just("/x"), st.integers(0, 2 * MINIMUM_FREE), st.none() | st.integers(0, 2), st.booleans()),
    ),
    missing=st.sets(
        st.sampled_from(("podman", "netavark", "aardvark-dns", "slirp4netns", "pasta", "newuidmap", "dnsname"))
    ),
    ids=st.builds(SubIds, st.integers(0, 2), st.integers(0, 200000), st.booleans()),
    seconds=st.none() | st.floats(0, 10**6),
    bad=st.sampled_from(("", "/x")),
)
named = st.sampled_from(("skupper-router", "web", "skupper-controller-podman"))
labels = st.sampled_from((OURS, {}, {"application": "other"}))
podmans = st.builds(
    PodmanFacts,
    st.builds(
        replace,
        st.just(INFO),
        rootless=st.booleans(),
        subuids=st.integers(0, 3),
        network_backend=st.sampled_from(("cni", "netavark", "")),
    ),
    st.lists(st.builds(container, named, labels, st.sampled_from((55671, 1))), max_size=3).map(tuple),
    st.lists(
        st.builds(VolumeInfo, st.just("skupper-internal"), st.just("local"), st.just("/x"), labels), max_size=1
    ).map(tuple),
)
errors = st.builds(EndpointError, st.just("dead"), st.just("revive"))
wants = st.builds(
    Wanted,
    containers=st.just(WANTED.containers),
    volumes=st.just(WANTED.volumes),
    network=st.just("skupper"),
    ports=st.lists(
        st.builds(
            WantedPort,
            st.builds(PublishedPort, st.just(1), st.sampled_from((55671, 443)), st.sampled_from(("", "10.0.0.7", "x"))),
            st.sampled_from(("", "--p")),
        ),
        max_size=3,
    ).map(tuple),
    hosts=st.sampled_from(((), ("h",))),
    hosts_needed=st.booleans(),
    host_image=st.booleans(),
)


LIMITED = replace(WANTED, limits={"--router-cpu-limit": "cpu", "--router-memory-limit": "memory"})


def limited(controllers: tuple[str, ...] | None, version: str = "v2", *, rootless: bool = True) -> str:
    info = replace(INFO, rootless=rootless, cgroup_version=version, cgroup_controllers=controllers)
    found = blockers(podman=PodmanFacts(info), wanted=LIMITED)
    return f"{found['limits'].cause} | {found['limits'].fix}" if "limits" in found else ""


def test_limits_that_would_be_ignored() -> None:
    assert limited(("cpu", "memory", "pids")) == limited(None) == limited((), rootless=False) == ""
    assert blockers(podman=PodmanFacts(replace(INFO, rootless=True, cgroup_controllers=()))) == {}, "none are wanted"
    one = limited(("memory", "pids"))
    assert "cannot be limited in cpu: systemd does not delegate" in one
    assert "Delegate=cpu memory pids" in one
    assert one.endswith("or without limits: --router-cpu-limit 0")
    old = limited((), "v1")
    assert "cannot be limited in cpu and memory: this host has cgroups of version 1" in old
    assert old.endswith("or without limits: --router-cpu-limit 0 --router-memory-limit 0")


@given(wants, podmans | errors, hosts)
def test_every_blocker_has_a_cause_and_a_remedy(
    wanted: Wanted, podman: PodmanFacts | EndpointError, host: Facts
) -> None:
    found = check(wanted, podman, ENDPOINT, host, DATA_HOME)
    assert len(set(found)) == len(found)
    for blocker in found:
        assert blocker.check
        assert blocker.cause.strip()
        assert blocker.fix.strip()
        assert "None" not in blocker.cause + blocker.fix
    if isinstance(podman, EndpointError):
        assert {"podman-endpoint", "podman-missing"} & {blocker.check for blocker in found}


@given(wants, podmans | errors, hosts)
def test_no_check_hides_another(wanted: Wanted, podman: PodmanFacts | EndpointError, host: Facts) -> None:
    """Making one thing worse never makes a blocker of another kind go away."""
    before = {blocker.check for blocker in check(wanted, podman, ENDPOINT, host, DATA_HOME)}
    worse = replace(host, spaces={**host.spaces, str(DATA_HOME): Space("/y", 0, 0, writable=False)}, bad="/x")
    after = {blocker.check for blocker in check(wanted, podman, ENDPOINT, worse, DATA_HOME)}
    assert before <= after | {"disk-full"}
