"""The body of containers/create: as 1.9 writes it, and never less safe."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.desired.resources import Container, Mount, PublishedPort
from skupper_podman.platform.podman.body import SCRATCH, container_body

ROUTER = Container(
    name="skupper-router",
    image="quay.io/skupper/skupper-router:2.7.6",
    env={"APPLICATION_NAME": "skupper-router"},
    labels={"application": "skupper", "skupper.io/component": "skupper-router"},
    network="skupper",
    aliases=("skupper-router", "skupper-router-local"),
    mounts=(Mount("skupper-internal", "/etc/skupper-router/config/"),),
    ports=(PublishedPort(55671, 55671), PublishedPort(45671, 45671, "10.0.0.1")),
)


def test_router_of_19() -> None:
    body = container_body(ROUTER, 1000, 1000)
    expected: dict[str, Any] = {
        "name": "skupper-router",
        "image": "quay.io/skupper/skupper-router:2.7.6",
        "env": {"APPLICATION_NAME": "skupper-router"},
        "labels": {"application": "skupper", "skupper.io/component": "skupper-router"},
        "restart_policy": "always",
        "user": "1000:1000",
        "userns": {"nsmode": "keep-id"},
        "idmappings": {"HostUIDMapping": False, "HostGIDMapping": False},
        "netns": {"nsmode": "bridge"},
        "cni_networks": ["skupper"],
        "Networks": {"skupper": {"aliases": ["skupper-router", "skupper-router-local"]}},
        "volumes": [{"Name": "skupper-internal", "Dest": "/etc/skupper-router/config/", "Options": ["z", "U"]}],
        "portmappings": [
            {"container_port": 55671, "host_port": 55671, "protocol": "tcp"},
            {"container_port": 45671, "host_port": 45671, "host_ip": "10.0.0.1", "protocol": "tcp"},
        ],
    }
    assert {key: body[key] for key in expected} == expected
    assert "command" not in body
    assert "selinux_opts" not in body
    assert "resource_limits" not in body


def test_restart_policy_is_podmans_only_without_systemd() -> None:
    assert container_body(ROUTER, 0, 0, "no")["restart_policy"] == "no"


def test_root_has_no_user_namespace() -> None:
    assert "userns" not in container_body(ROUTER, 0, 0)


def test_selinux_and_limits() -> None:
    body = container_body(Container("c", "i", selinux_disabled=True, cpu_millis=2500, memory_bytes=1024), 0, 0)
    assert body["selinux_opts"] == ["disable"]
    assert body["annotations"] == {"io.podman.annotations.label": "disable"}
    assert body["resource_limits"] == {"cpu": {"quota": 250000, "period": 100000}, "memory": {"limit": 1024}}


def test_alias_defaults_to_the_name() -> None:
    assert container_body(Container("c", "i", network="n"), 0, 0)["Networks"] == {"n": {"aliases": ["c"]}}


mounts = st.builds(
    Mount,
    st.sampled_from(("volume", "/usr", "/run/podman/podman.sock", "/etc/ssl/certs")),
    st.sampled_from(("/etc/x", "/usr", "/tmp", "/tmp/", "/run", "/tmp/podman.sock")),
    st.booleans(),
)
containers = st.builds(
    Container,
    st.just("c"),
    st.just("i"),
    mounts=st.lists(mounts, max_size=4, unique_by=lambda m: m.target.rstrip("/")).map(tuple),
)


@given(containers, st.sampled_from((0, 1000)))
def test_no_container_is_ever_more_than_it_needs_to_be(container: Container, uid: int) -> None:
    body = container_body(container, uid, uid)
    assert body["cap_drop"] == ["ALL"]
    assert "cap_add" not in body
    assert "privileged" not in body
    assert body["no_new_privileges"] is True
    assert body["read_only_filesystem"] is True
    binds = [entry for entry in body["mounts"] if entry["type"] == "bind"]
    assert len(binds) + len(body["volumes"]) == len(container.mounts)
    for entry in binds:
        assert not {"z", "Z", "U"} & set(entry["options"]), "the host's files must not be relabelled or change owner"
        wanted = next(m for m in container.mounts if m.target == entry["destination"])
        assert ("ro" in entry["options"]) == wanted.read_only
    targets = [entry["destination"].rstrip("/") for entry in body["mounts"]] + [
        v["Dest"].rstrip("/") for v in body["volumes"]
    ]
    assert len(targets) == len(set(targets))
    assert set(SCRATCH) <= set(targets)
    scratch = [entry for entry in body["mounts"] if entry["type"] == "tmpfs"]
    assert all(any(option.startswith("size=") for option in entry["options"]) for entry in scratch)
