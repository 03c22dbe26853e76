"""The resources a site is made of, as values: what ``desired`` asks for and ``platform`` compares with what exists.

What always holds: two equal values describe the same thing on the host, so a diff is a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Network:
    """A bridge network with DNS."""

    name: str
    ipv6: bool = False
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Volume:
    """A named volume of the default driver. Labels are fixed when it is created."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """A file in a volume; ``path`` is relative to its root, ``mode`` the permission bits.

    ``secret`` content is never shown.
    """

    volume: str
    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority kept in volume ``name`` as ``tls.crt`` and ``tls.key``; its subject is its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate in volume ``volume`` below ``directory`` (empty for its root), issued by ``authority``.

    ``hosts`` become alternative names in this order (as dNSName, and as iPAddress too where they are addresses).
    ``ca_only`` holds nothing but ``ca.crt``.
    """

    volume: str
    authority: str
    common_name: str
    hosts: tuple[str, ...] = ()
    directory: str = ""
    ca_only: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """A named volume (``source`` without a slash) or a host path (with one) seen at ``target`` in a container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A container TCP port reachable at ``host_ip`` (empty for all addresses) and ``host_port``."""

    container_port: int
    host_port: int
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A container.

    All capabilities are dropped, privileges cannot grow and the root file system is read-only, always.
    ``memory_bytes`` and ``cpu_millis`` (thousandths of a CPU) are limits; zero for none.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    network: str = ""
    aliases: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    selinux_disabled: bool = False
    memory_bytes: int = 0
    cpu_millis: int = 0


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit file, enabled and started."""

    name: str
    content: str


Resource = Network | Volume | VolumeFile | Authority | Credential | Container | Unit
