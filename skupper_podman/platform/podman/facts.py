"""What Podman says about the things it keeps, decoded from its JSON into values.

What always holds: decoding tolerates Podman 4.0 to 5.x, where attributes were renamed, moved, or are null; an attribute
that is absent becomes the empty value of its type, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from skupper_podman.desired.resources import Mount, PublishedPort

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HostInfo:
    """The Podman service and the host it runs on; ``subuids`` counts the ids mapped for a rootless user (with its own),
    ``uptime`` is in seconds, ``cgroup_controllers`` are what its containers can be limited by; None where not told.
    ``rootless_uplink`` is the program that connects rootless containers, empty before Podman 5, which does not tell."""

    version: str
    api_version: str
    rootless: bool
    network_backend: str = ""
    rootless_uplink: str = ""
    hostname: str = ""
    os: str = ""
    arch: str = ""
    kernel: str = ""
    graph_root: str = ""
    run_root: str = ""
    volume_path: str = ""
    cgroup_version: str = ""
    cgroup_manager: str = ""
    cgroup_controllers: tuple[str, ...] | None = None
    oci_runtime: str = ""
    selinux: bool = False
    subuids: int = 0
    uptime: float | None = None


@dataclass(frozen=True, slots=True)
class NetworkAttachment:
    """A container's place on a network; ``ip`` is empty while it does not run."""

    ip: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """A container. ``state`` is Podman's word: created, running, exited, stopped, paused, restarting...

    A listed container (:meth:`PodmanApi.containers`) has ``detailed`` False: the fields after it, and the addresses
    and aliases in ``networks``, are then empty; only :meth:`PodmanApi.container` fills them.
    Times are RFC 3339 texts of an inspected container and of a listed one alike; empty for never.
    """

    name: str
    id: str
    image: str
    image_id: str
    state: str
    labels: dict[str, str]
    command: tuple[str, ...] = ()
    created_at: str = ""
    started_at: str = ""
    exit_code: int = 0
    pid: int = 0
    ports: tuple[PublishedPort, ...] = ()
    networks: dict[str, NetworkAttachment] = field(default_factory=dict)
    detailed: bool = False
    image_digest: str = ""
    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    health: str = ""
    conmon_pid: int = 0
    restart_count: int = 0
    finished_at: str = ""
    error: str = ""
    user: str = ""
    restart_policy: str = ""
    entrypoint: str = ""
    memory_bytes: int = 0
    cpu_millis: int = 0
    read_only: bool = False

    @property
    def running(self) -> bool:
        """True if Podman takes it to be running."""
        return self.state == "running"


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """A network; ``subnets`` in CIDR notation; ``interface`` is its bridge (empty for drivers that have none)."""

    name: str
    id: str
    driver: str
    dns_enabled: bool
    ipv6: bool
    internal: bool
    labels: dict[str, str]
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    interface: str = ""


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """A volume; ``mountpoint`` is its directory on the host of the Podman service."""

    name: str
    driver: str
    mountpoint: str
    labels: dict[str, str]
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image: its id, manifest digest, all its names, and labels."""

    id: str
    digest: str
    names: tuple[str, ...]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command run in a container ended."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a thing Podman keeps: ``action`` is Podman's word (start, died, remove...).

    ``exit_code`` is None for everything but the end of a container; ``time`` is RFC 3339.
    """

    time: str
    kind: str
    action: str
    id: str
    name: str
    exit_code: int | None = None
    labels: dict[str, str] = field(default_factory=dict)


def event(body: Json) -> Event:
    """Decode an element of ``GET events``."""
    actor = _map(body, "Actor")
    attributes = _labels(actor.get("Attributes"))
    action = _text(body, "Action") or _text(body, "status")
    code = attributes.get("containerExitCode", "") if action == "died" else ""
    nanoseconds = body.get("timeNano")
    seconds = nanoseconds / 1e9 if isinstance(nanoseconds, int) else float(_int(body, "time"))
    moment = datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Event(
        moment,
        _text(body, "Type"),
        action,
        _text(actor, "ID") or _text(body, "id"),
        attributes.get("name", ""),
        int(code) if code.lstrip("-").isdigit() else None,
        attributes,
    )


def host_info(body: Json) -> HostInfo:
    """Decode ``GET info``."""
    host, store, version = _map(body, "host"), _map(body, "store"), _map(body, "version")
    security = _map(host, "security")
    return HostInfo(
        version=_text(version, "Version"),
        api_version=_text(version, "APIVersion") or _text(version, "Version"),
        rootless=bool(security.get("rootless")),
        network_backend=_text(host, "networkBackend"),
        rootless_uplink=_text(host, "rootlessNetworkCmd"),
        hostname=_text(host, "hostname"),
        os=_text(host, "os"),
        arch=_text(host, "arch"),
        kernel=_text(host, "kernel"),
        graph_root=_text(store, "graphRoot"),
        run_root=_text(store, "runRoot"),
        volume_path=_text(store, "volumePath"),
        cgroup_version=_text(host, "cgroupVersion"),
        cgroup_manager=_text(host, "cgroupManager"),
        cgroup_controllers=_controllers(host),
        oci_runtime=_text(_map(host, "ociRuntime"), "name"),
        selinux=bool(security.get("selinuxEnabled")),
        subuids=sum(_int(entry, "size") for entry in _maps(_map(host, "idMappings").get("uidmap"))),
        uptime=parse_uptime(_text(host, "uptime")),
    )


def _controllers(host: Mapping[str, Any]) -> tuple[str, ...] | None:
    found = host.get("cgroupControllers", ())
    return tuple(map(str, found)) if isinstance(found, list | tuple) and "cgroupControllers" in host else None


_UPTIME = re.compile(r"(?:(\d+)h )?(?:(\d+)m )?([\d.]+)s")


def parse_uptime(text: str) -> float | None:
    """Seconds of the uptime Podman reports, as in ``26h 2m 3.00s (Approximately 1.08 days)``; None for none."""
    match = _UPTIME.match(text)
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds)


def listed_container(body: Json) -> ContainerInfo:
    """Decode an element of ``GET containers/json``."""
    names = _texts(body.get("Names"))
    return ContainerInfo(
        name=names[0] if names else "",
        id=_text(body, "Id"),
        image=_text(body, "Image"),
        image_id=_text(body, "ImageID").removeprefix("sha256:"),
        state=_text(body, "State").lower(),
        labels=_labels(body.get("Labels")),
        command=_texts(body.get("Command")),
        created_at=_text(body, "Created"),
        started_at=_from_unix(body.get("StartedAt")),
        exit_code=_int(body, "ExitCode"),
        pid=_int(body, "Pid"),
        ports=tuple(port for entry in _maps(body.get("Ports")) for port in _listed_ports(entry)),
        networks={name: NetworkAttachment() for name in _texts(body.get("Networks"))},
    )


def _listed_ports(entry: Json) -> list[PublishedPort]:
    count = min(max(_int(entry, "range"), 1), 65536)
    first, host, ip = _int(entry, "container_port"), _int(entry, "host_port"), _text(entry, "host_ip")
    if _text(entry, "protocol") not in ("", "tcp"):
        return []
    return [PublishedPort(first + offset, host + offset, _any_ip(ip)) for offset in range(count)]


def inspected_container(body: Json) -> ContainerInfo:
    """Decode ``GET containers/{name}/json``."""
    state, config, host = _map(body, "State"), _map(body, "Config"), _map(body, "HostConfig")
    health = _map(state, "Health") or _map(state, "Healthcheck")  # Podman 4.0 to 4.2 say Healthcheck
    entrypoint = config.get("Entrypoint")  # a string up to Podman 4, a list from 5 on
    return ContainerInfo(
        name=_text(body, "Name").lstrip("/"),
        id=_text(body, "Id"),
        image=_text(body, "ImageName"),
        image_id=_text(body, "Image").removeprefix("sha256:"),
        state=_text(state, "Status").lower(),
        labels=_labels(config.get("Labels")),
        command=_texts(config.get("Cmd")),
        created_at=_text(body, "Created"),
        started_at=_time(state.get("StartedAt")),
        exit_code=_int(state, "ExitCode"),
        pid=_int(state, "Pid"),
        ports=_inspected_ports(_map(host, "PortBindings")),
        networks={
            name: NetworkAttachment(
                _text(entry, "IPAddress") or _text(entry, "GlobalIPv6Address"), _texts(entry.get("Aliases"))
            )
            for name, entry in _map(_map(body, "NetworkSettings"), "Networks").items()
            if isinstance(entry, Mapping)
        },
        detailed=True,
        image_digest=_text(body, "ImageDigest"),
        env=dict(item.partition("=")[::2] for item in _texts(config.get("Env"))),
        mounts=tuple(_mount(entry) for entry in _maps(body.get("Mounts"))),
        health=_text(health, "Status"),
        conmon_pid=_int(state, "ConmonPid"),
        restart_count=_int(body, "RestartCount"),
        finished_at=_time(state.get("FinishedAt")),
        error=_text(state, "Error"),
        user=_text(config, "User"),
        restart_policy=_text(_map(host, "RestartPolicy"), "Name"),
        entrypoint=" ".join(_texts(entrypoint)) if isinstance(entrypoint, list) else str(entrypoint or ""),
        memory_bytes=_int(host, "Memory"),
        cpu_millis=_cpu_millis(host),
        read_only=bool(host.get("ReadonlyRootfs")),
    )


def _inspected_ports(bindings: Json) -> tuple[PublishedPort, ...]:
    found = []
    for key, entries in bindings.items():
        port, _, protocol = key.partition("/")
        if protocol not in ("", "tcp") or not port.isdigit():
            continue
        for entry in _maps(entries):
            host_port = _text(entry, "HostPort")
            found.append(
                PublishedPort(int(port), int(host_port) if host_port.isdigit() else 0, _any_ip(_text(entry, "HostIp")))
            )
    return tuple(sorted(found, key=lambda item: (item.container_port, item.host_ip, item.host_port)))


def _cpu_millis(host: Json) -> int:
    quota, period = _int(host, "CpuQuota"), _int(host, "CpuPeriod")
    return round(quota * 1000 / period) if quota > 0 and period > 0 else 0


def _mount(entry: Json) -> Mount:
    source = _text(entry, "Name") if _text(entry, "Type") == "volume" else _text(entry, "Source")
    return Mount(source, _text(entry, "Destination").rstrip("/") or "/", read_only=not entry.get("RW", True))


def network_info(body: Json | list[Any]) -> NetworkInfo:
    """Decode ``GET networks/{name}/json`` (a list of one in some releases)."""
    if isinstance(body, list):
        body = body[0] if body else {}
    subnets = _maps(body.get("subnets"))
    return NetworkInfo(
        name=_text(body, "name"),
        id=_text(body, "id"),
        driver=_text(body, "driver"),
        dns_enabled=bool(body.get("dns_enabled")),
        ipv6=bool(body.get("ipv6_enabled")),
        internal=bool(body.get("internal")),
        labels=_labels(body.get("labels")),
        subnets=tuple(_text(entry, "subnet") for entry in subnets),
        gateways=tuple(_text(entry, "gateway") for entry in subnets if entry.get("gateway")),
        interface=_text(body, "network_interface"),
    )


def volume_info(body: Json) -> VolumeInfo:
    """Decode ``GET volumes/{name}/json``."""
    return VolumeInfo(
        name=_text(body, "Name"),
        driver=_text(body, "Driver"),
        mountpoint=_text(body, "Mountpoint"),
        labels=_labels(body.get("Labels")),
        created_at=_text(body, "CreatedAt"),
    )


def image_info(body: Json) -> ImageInfo:
    """Decode ``GET images/{name}/json`` or an element of ``GET images/json``."""
    names = _texts(body.get("RepoTags")) or _texts(body.get("Names")) or _texts(body.get("NamesHistory"))
    labels = body.get("Labels") or _map(body, "Config").get("Labels")
    return ImageInfo(_text(body, "Id").removeprefix("sha256:"), _text(body, "Digest"), names, _labels(labels))


def _map(body: Json, key: str) -> dict[str, Any]:
    value = body.get(key)
    return dict(value) if isinstance(value, Mapping) else {}


def _maps(value: Any) -> list[dict[str, Any]]:
    return [dict(entry) for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _text(body: Json, key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(entry) for entry in value) if isinstance(value, list) else ()


def _int(body: Json, key: str) -> int:
    value = body.get(key)
    return value if isinstance(value, int) else 0


def _labels(value: Any) -> dict[str, str]:
    return {str(key): str(entry) for key, entry in value.items()} if isinstance(value, Mapping) else {}


def _any_ip(ip: str) -> str:
    """Podman 5 reports all addresses as 0.0.0.0, Podman 4 as nothing: both become empty."""
    return "" if ip == "0.0.0.0" else ip


def _time(value: Any) -> str:
    return value if isinstance(value, str) and not value.startswith("0001-") else ""


def _from_unix(value: Any) -> str:
    """Seconds since 1970 as RFC 3339 in UTC; Podman lists the zero time of Go as a large negative number."""
    if not isinstance(value, int) or not 0 < value < 2**37:
        return ""
    return datetime.fromtimestamp(value, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
