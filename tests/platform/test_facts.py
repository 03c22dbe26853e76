"""Decoding what Podman says: real answers of 4.3 and 5.x shapes, and anything else without an exception."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.desired.resources import Mount, PublishedPort
from skupper_podman.platform.podman import facts
from skupper_podman.platform.podman.facts import NetworkAttachment, parse_uptime

INSPECTED_4: dict[str, Any] = {
    "Id": "2f7f", "Name": "c1", "Created": "2026-11-20T11:17:32Z", "Image": "fc96", "ImageName": "localhost/x:abc",
    "ImageDigest": "sha256:cbd9", "RestartCount": 2,
    "State": {"Status": "running", "Pid": 16, "ConmonPid": 15, "ExitCode": 0, "StartedAt": "2026-11-20T11:17:33Z",
              "FinishedAt": "0001-01-01T00:00:00Z", "Healthcheck": {"Status": "healthy"}, "Error": ""},
    "Config": {"Env": ["A=b=c", "EMPTY="], "Cmd": ["run", "it"], "Labels": {"application": "skupper"}, "User": "0:0",
               "Entrypoint": "/entry point"},
    "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "28080"}], "53/udp": [{"HostPort": "53"}]},
                   "RestartPolicy": {"Name": "always"}, "Memory": 100, "CpuQuota": 200000, "CpuPeriod": 100000,
                   "ReadonlyRootfs": True},
    "Mounts": [{"Type": "volume", "Name": "v1", "Source": "/s/_data", "Destination": "/etc/x/", "RW": True},
               {"Type": "bind", "Source": "/usr", "Destination": "/usr", "RW": False}],
    "NetworkSettings": {"Networks": {"skupper": {"IPAddress": "10.89.0.4", "Aliases": ["al1", "2f7f"]}}},
}  # fmt: skip


def test_inspected_container() -> None:
    found = facts.inspected_container(INSPECTED_4)
    assert found.detailed
    assert found.running
    assert found.env == {"A": "b=c", "EMPTY": ""}
    assert found.mounts == (Mount("v1", "/etc/x"), Mount("/usr", "/usr", read_only=True))
    assert found.ports == (PublishedPort(8080, 28080),)
    assert found.networks == {"skupper": NetworkAttachment("10.89.0.4", ("al1", "2f7f"))}
    assert (found.health, found.restart_count, found.cpu_millis, found.memory_bytes) == ("healthy", 2, 2000, 100)
    assert (found.entrypoint, found.user, found.restart_policy) == ("/entry point", "0:0", "always")
    assert (found.started_at, found.finished_at) == ("2026-11-20T11:17:33Z", "")


def test_what_podman_5_says_otherwise() -> None:
    body = {
        **INSPECTED_4,
        "Name": "/c1",
        "Image": "sha256:fc96",
        "Config": {**INSPECTED_4["Config"], "Entrypoint": ["/entry", "point"]},
        "State": {**INSPECTED_4["State"], "Healthcheck": None, "Health": {"Status": "starting"}},
        "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "28080"}]}},
    }
    found = facts.inspected_container(body)
    assert (found.name, found.image_id, found.entrypoint, found.health) == ("c1", "fc96", "/entry point", "starting")
    assert found.ports == (PublishedPort(8080, 28080),)


def test_listed_container() -> None:
    body = {
        "Id": "2f7f", "Names": ["c1"], "Image": "x", "ImageID": "sha256:fc", "State": "running", "Labels": None,
        "Networks": ["skupper"], "Pid": 16, "StartedAt": 1795173452, "Command": None, "ExitCode": 0,
        "Ports": [{"host_ip": "10.0.0.1", "container_port": 80, "host_port": 90, "range": 2, "protocol": "tcp"},
                  {"container_port": 53, "host_port": 53, "range": 1, "protocol": "udp"}],
    }  # fmt: skip
    found = facts.listed_container(body)
    assert not found.detailed
    assert found.started_at == "2026-11-20T11:17:32Z"
    assert found.ports == (PublishedPort(80, 90, "10.0.0.1"), PublishedPort(81, 91, "10.0.0.1"))
    assert found.labels == {}
    assert facts.listed_container({**body, "StartedAt": -62135596800}).started_at == ""


def test_network_volume_image_and_host() -> None:
    body = {
        "name": "n",
        "id": "1",
        "driver": "bridge",
        "dns_enabled": True,
        "subnets": [{"subnet": "10.0.0.0/24", "gateway": "10.0.0.1"}],
    }
    assert facts.network_info(body) == facts.network_info([body])
    assert facts.network_info(body).gateways == ("10.0.0.1",)
    assert facts.volume_info({"Name": "v", "Labels": None}).labels == {}
    assert facts.image_info({"Id": "sha256:1", "RepoTags": ["a:b"], "Labels": {"x": "y"}}).names == ("a:b",)
    info = facts.host_info(
        {"host": {"security": {"rootless": True}, "idMappings": {"uidmap": [{"size": 1}, {"size": 65536}]},
                  "uptime": "1h 0m 2.00s"},
         "version": {"Version": "4.0.1"}}
    )  # fmt: skip
    assert (info.rootless, info.subuids, info.api_version, info.uptime) == (True, 65537, "4.0.1", 3602.0)
    assert info.cgroup_controllers is None
    assert facts.host_info({"host": {"cgroupControllers": ["cpu", "pids"]}}).cgroup_controllers == ("cpu", "pids")
    assert facts.host_info({"host": {"cgroupControllers": []}}).cgroup_controllers == ()


def test_uptime() -> None:
    assert parse_uptime("0h 46m 42.00s") == 2802
    assert parse_uptime("26h 2m 3.50s (Approximately 1.08 days)") == 26 * 3600 + 123.5
    assert parse_uptime("") is None
    assert parse_uptime("since yesterday") is None


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _damaged(body: Any, draw: st.DrawFn) -> Any:
    """``body`` with some of its values replaced by something else, at any depth."""
    if isinstance(body, dict):
        return {
            key: draw(json) if draw(st.integers(0, 9)) == 0 else _damaged(value, draw) for key, value in body.items()
        }
    if isinstance(body, list):
        return [draw(json) if draw(st.integers(0, 9)) == 0 else _damaged(value, draw) for value in body]
    return body


@st.composite
def damaged_container(draw: st.DrawFn) -> dict[str, Any]:
    found = _damaged(INSPECTED_4, draw)
    assert isinstance(found, dict)
    return found


@given(damaged_container())
def test_no_attribute_is_taken_for_granted(body: dict[str, Any]) -> None:
    facts.inspected_container(body)


@given(
    st.dictionaries(
        st.sampled_from(("Names", "Ports", "Labels", "Networks", "StartedAt", "State", "Command", "Pid")), json
    )
)
def test_no_listed_attribute_is_taken_for_granted(body: dict[str, Any]) -> None:
    facts.listed_container(body)


@given(
    st.dictionaries(
        st.sampled_from(("host", "store", "version", "name", "subnets", "Labels", "RepoTags", "Config")), json
    )
)
def test_nor_are_those_of_other_things(body: dict[str, Any]) -> None:
    facts.host_info(body)
    facts.network_info(body)
    facts.volume_info(body)
    facts.image_info(body)
