"""The body of ``POST containers/create`` for a :class:`Container`: what 1.9 sends, made safer.

What always holds: no container of ours keeps a capability, gains a privilege, or writes to its root file system; its
scratch space is a bounded tmpfs. Host directories are mounted read-only without relabelling: relabelling ``/usr`` for
SELinux would break the host, so a container with host mounts runs with SELinux separation off instead. (A single socket
is no exception: the API socket must be usable from a container as it is labelled.)

The restart policy is ``always``, as in 1.9, only where no systemd supervises the site: while a host goes down, systemd
ends the scopes of containers, Podman's policy starts them again, again and again, and the shutdown hangs until systemd
loses patience after 90 seconds; and rootless, the policy of Podman 4.3 crashes for a container with published ports.
"""

from __future__ import annotations

from typing import Any

from skupper_podman.desired.resources import Container, Mount

SCRATCH = ("/tmp", "/run", "/var/tmp")  # noqa: S108  paths in the container
SCRATCH_SIZE = "64m"


def container_body(container: Container, uid: int, gid: int, restart_policy: str = "always") -> dict[str, Any]:
    """The specification sent to Podman; the container runs as ``uid``:``gid`` (rootless: mapped to themselves)."""
    body: dict[str, Any] = {
        "name": container.name,
        "image": container.image,
        "env": dict(container.env),
        "labels": dict(container.labels),
        "restart_policy": restart_policy,
        "user": f"{uid}:{gid}",
        "idmappings": {"HostUIDMapping": False, "HostGIDMapping": False},
        "cap_drop": ["ALL"],
        "no_new_privileges": True,
        "read_only_filesystem": True,
        # A service may have port 80, and no capability is left to bind it; the setting is the container's own.
        "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0"},
        "stop_timeout": 10,
        "volumes": [_volume(mount) for mount in container.mounts if not _is_host_path(mount)],
        "mounts": [
            *(_bind(mount) for mount in container.mounts if _is_host_path(mount)),
            *(_tmpfs(path) for path in SCRATCH if not _is_mounted(container, path)),
        ],
        "portmappings": [_port(port.container_port, port.host_port, port.host_ip) for port in container.ports],
    }
    if container.command:
        body["command"] = list(container.command)
    if uid != 0:
        body["userns"] = {"nsmode": "keep-id"}
    if container.network:
        body["netns"] = {"nsmode": "bridge"}
        body["cni_networks"] = [container.network]
        body["Networks"] = {container.network: {"aliases": list(container.aliases) or [container.name]}}
    if container.selinux_disabled:
        body["selinux_opts"] = ["disable"]
        body["annotations"] = {"io.podman.annotations.label": "disable"}
    limits = _limits(container)
    if limits:
        body["resource_limits"] = limits
    return body


def _is_host_path(mount: Mount) -> bool:
    return mount.source.startswith("/")


def _is_mounted(container: Container, path: str) -> bool:
    return any(mount.target.rstrip("/") == path for mount in container.mounts)


def _volume(mount: Mount) -> dict[str, Any]:
    # z: shared SELinux label; U: owned by the container's user.
    options = ["z", "U"] + (["ro"] if mount.read_only else [])
    return {"Name": mount.source, "Dest": mount.target, "Options": options}


def _bind(mount: Mount) -> dict[str, Any]:
    options = ["rbind", "nosuid", "nodev", "rprivate", "ro" if mount.read_only else "rw"]
    return {"type": "bind", "source": mount.source, "destination": mount.target, "options": options}


def _tmpfs(path: str) -> dict[str, Any]:
    options = ["rw", "nosuid", "nodev", f"size={SCRATCH_SIZE}", "mode=1777", "notmpcopyup"]
    return {"type": "tmpfs", "source": "tmpfs", "destination": path, "options": options}


def _port(container_port: int, host_port: int, host_ip: str) -> dict[str, Any]:
    port: dict[str, Any] = {"container_port": container_port, "host_port": host_port, "protocol": "tcp"}
    if host_ip:
        port["host_ip"] = host_ip
    return port


def _limits(container: Container) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if container.cpu_millis > 0:
        limits["cpu"] = {"quota": container.cpu_millis * 100, "period": 100_000}
    if container.memory_bytes > 0:
        limits["memory"] = {"limit": container.memory_bytes}
    return limits
