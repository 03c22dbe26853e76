"""Quadlet files for the containers of a site: what :mod:`body` tells Podman's API, told to Podman's systemd generator.

What always holds: a file is made from the very body the API would get, and a key of it that has no translation is
refused, so that the two cannot drift apart; the files say everything 4.4 (the first Quadlet) has no key for by
``PodmanArgs=``; a network or volume is named as the site names it, which needs ``NetworkName=`` and ``VolumeName=`` of
4.7. File names begin with ``skupper-``: a generated unit hides the host's own of the same name, such as sshd.service.

Format: podman-systemd.unit(5). A value ends up in an ``ExecStart=`` line, where % and $ are doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from skupper_podman.desired import names
from skupper_podman.desired.names import Names
from skupper_podman.desired.resources import Container, Network, Volume
from skupper_podman.errors import PlatformError
from skupper_podman.model.units import UnitFile
from skupper_podman.platform.podman.body import container_body
from skupper_podman.supervisor.unit import assignment, text, word

FIRST: Final = (4, 4)
"""The first Podman with Quadlet."""
NAMED: Final = (4, 7)
"""The first one that can be told the name of a network and of a volume."""

_MARK: Final = "# Written by skupper generate unit"

_SAID_BY_QUADLET: Final = frozenset({"restart_policy", "idmappings", "netns", "cni_networks", "annotations"})
"""What a unit says by other means (its ``Restart=``), or Podman does by itself."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Who the site runs as, which Podman reads the files (its version's first two numbers), and how to wait for the
    network: the command of ``ExecStartPre=`` and its environment, empty where the system manager waits. ``names`` are
    the site's, ``supervisor`` the unit that must not run beside these files."""

    uid: int
    gid: int
    podman: tuple[int, int]
    waiting: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    names: Names = names.DEFAULT
    supervisor: str = "skupper-podman.service"

    @property
    def named(self) -> bool:
        """Whether networks and volumes can have files of their own."""
        return self.podman >= NAMED


def quadlet_files(
    network: Network, volumes: Iterable[Volume], containers: Iterable[Container], around: Surroundings
) -> tuple[UnitFile, ...]:
    """The files of a site, the network's first.

    Raises:
        PlatformError: a container has a setting that these files cannot express.
    """
    files = []
    if around.named:
        files.append(UnitFile(f"{_stem(network.name)}.network", _network(network, around)))
        files += [UnitFile(f"{_stem(volume.name)}.volume", _volume(volume, around)) for volume in volumes]
    known = {volume.name for volume in volumes}
    files += [
        UnitFile(f"{unit_of(item, around.names)}.container", _container(item, known, around)) for item in containers
    ]
    return tuple(files)


def mark(own: Names) -> str:
    """How each file of a site begins; ``delete`` removes only files that do."""
    return f"{_MARK}{f' --namespace {own.namespace}' if own.namespace else ''};"


def unit_of(container: Container, own: Names = names.DEFAULT) -> str:
    """The name, without its ending, of the file and the unit of a container."""
    return container.name if own.component_label in container.labels else service_unit(container.name)


def service_unit(container: str) -> str:
    """The same, for the container of a service."""
    return f"skupper-service-{container}"


def _stem(name: str) -> str:
    return name if name.startswith("skupper") else f"skupper-{name}"


def _network(network: Network, around: Surroundings) -> str:
    lines = ["[Network]", f"NetworkName={_raw(network.name)}", f"IPv6={_bool(network.ipv6)}", "DisableDNS=false"]
    return _file(around, [*lines, *_labels(network.labels)])


def _volume(volume: Volume, around: Surroundings) -> str:
    return _file(around, ["[Volume]", f"VolumeName={_raw(volume.name)}", *_labels(volume.labels)])


def _container(container: Container, volumes: set[str], around: Surroundings) -> str:
    body = container_body(container, around.uid, around.gid)
    unknown = body.keys() - _KEYS.keys() - _SAID_BY_QUADLET
    if unknown:
        raise PlatformError(f"container {container.name}: a Quadlet file cannot say {', '.join(sorted(unknown))}")
    lines = [line for key, write in _KEYS.items() if key in body for line in write(body[key])]
    if around.named:
        lines = [_through_files(line, container.network, volumes) for line in lines]
    return _file(
        around, [*_unit_section(container, around), "[Container]", *lines, *_service_section(container, around)]
    )


def _unit_section(container: Container, around: Surroundings) -> list[str]:
    router = f"{around.names.router}.service"
    lines = ["[Unit]", f"Description=Skupper {text(container.name)}"]
    # Two managers of the same containers would start and stop them against each other.
    lines += [f"Conflicts={around.supervisor}", f"After={around.supervisor}"]
    if container.name != around.names.router:
        lines += [f"Wants={router}", f"After={router}"]
    if around.uid == 0:
        lines += ["Wants=network-online.target", "After=network-online.target"]
    return [*lines, "StartLimitIntervalSec=0", ""]


def _service_section(container: Container, around: Surroundings) -> list[str]:
    lines = ["", "[Service]", "Restart=always", "RestartSec=1", "TimeoutStartSec=120", "TimeoutStopSec=30"]
    if around.waiting and container.name == around.names.router:
        lines += [f"Environment={assignment(f'{name}={value}')}" for name, value in around.environment]
        # The manager of a user has no network-online.target.
        lines.append("ExecStartPre=-" + " ".join(map(word, around.waiting)))
    return [*lines, "", "[Install]", "WantedBy=default.target"]


def _file(around: Surroundings, lines: Iterable[str]) -> str:
    return "\n".join([f"{mark(around.names)} skupper delete removes it.", *lines, ""])


def _through_files(line: str, network: str, volumes: set[str]) -> str:
    """The line with the network and volumes named by their files, so that those are there first."""
    key, _, value = line.partition("=")
    source, colon, rest = value.partition(":")
    if key == "Volume" and source in volumes:
        return f"Volume={_raw(_stem(source))}.volume{colon}{rest}"
    return f"Network={_raw(_stem(network))}.network" if key == "Network" else line


def _raw(value: str) -> str:
    """A value that Quadlet does not unquote."""
    return text(value).replace("$", "$$")


def _bool(value: object) -> str:
    return "true" if value else "false"


def _labels(labels: Mapping[str, str]) -> list[str]:
    return [f"Label={word(f'{key}={value}')}" for key, value in labels.items()]


def _argument(option: str, value: object) -> str:
    return f"PodmanArgs={word(f'--{option}={value}')}"


def _user(value: str) -> list[str]:
    uid, _, gid = value.partition(":")
    return [f"User={uid}", f"Group={gid}"]


def _userns(value: Mapping[str, str]) -> list[str]:
    mode = value["nsmode"]
    return [_argument("userns", f"{mode}:{value['value']}" if value.get("value") else mode)]


def _mount(mount: Mapping[str, Any]) -> str:
    options = ",".join(mount["options"])
    if mount["type"] == "tmpfs":
        return _argument("tmpfs", f"{mount['destination']}:{options}")
    return f"Volume={_raw(mount['source'])}:{_raw(mount['destination'])}:{options}"


def _named_volume(volume: Mapping[str, Any]) -> str:
    return f"Volume={_raw(volume['Name'])}:{_raw(volume['Dest'])}:{','.join(volume['Options'])}"


def _port(port: Mapping[str, Any]) -> str:
    ip = port.get("host_ip", "")
    where = f"[{ip}]:" if ":" in ip else f"{ip}:" if ip else ""
    return f"PublishPort={where}{port['host_port']}:{port['container_port']}"


def _networks(networks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for name, attachment in networks.items():
        lines.append(f"Network={_raw(name)}")
        lines += [_argument("network-alias", alias) for alias in attachment.get("aliases", ())]
    return lines


def _limits(limits: Mapping[str, Mapping[str, int]]) -> list[str]:
    lines = []
    if "cpu" in limits:
        lines += [_argument("cpu-quota", limits["cpu"]["quota"]), _argument("cpu-period", limits["cpu"]["period"])]
    if "memory" in limits:
        lines.append(_argument("memory", limits["memory"]["limit"]))
    return lines


_KEYS: Final[Mapping[str, Callable[[Any], Iterable[str]]]] = {
    "name": lambda value: [f"ContainerName={_raw(value)}"],
    "image": lambda value: [f"Image={_raw(value)}"],
    "command": lambda value: [f"Exec={' '.join(map(word, value))}"],
    "env": lambda value: [f"Environment={word(f'{key}={setting}')}" for key, setting in value.items()],
    "labels": _labels,
    "user": _user,
    "userns": _userns,
    "cap_drop": lambda value: [f"DropCapability={' '.join(value).lower()}"],
    "no_new_privileges": lambda value: [f"NoNewPrivileges={_bool(value)}"],
    "read_only_filesystem": lambda value: [f"ReadOnly={_bool(value)}"],
    "sysctl": lambda value: [_argument("sysctl", f"{key}={setting}") for key, setting in value.items()],
    "stop_timeout": lambda value: [_argument("stop-timeout", value)],
    "volumes": lambda value: map(_named_volume, value),
    "mounts": lambda value: map(_mount, value),
    "portmappings": lambda value: map(_port, value),
    "Networks": _networks,
    "selinux_opts": lambda value: [_argument("security-opt", f"label={option}") for option in value],
    "resource_limits": _limits,
}
"""How each key of the body is written, in the order of the file."""
