"""Whether a site can be made here: every blocker at once, before the first change, each with its cause and its remedy.

:func:`check` decides from facts alone: what Podman keeps (:class:`PodmanFacts`, or the error that came instead) and
what the host answers (:class:`~skupper_podman.platform.podman.host.Host`). What always holds: no check stops another
one; no blocker comes without an exact command or flag that mends it; what already is ours (a site that is repaired) is
no blocker.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from skupper_podman.desired.names import DEFAULT, Names
from skupper_podman.desired.resources import PublishedPort
from skupper_podman.errors import Blocker, EndpointError, SkupperError
from skupper_podman.model.site import SiteSpec
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.endpoint import Endpoint, check_remote
from skupper_podman.platform.podman.facts import ContainerInfo, HostInfo, NetworkInfo, VolumeInfo
from skupper_podman.platform.podman.host import Host, Owner
from skupper_podman.platform.podman.sites import title

PROBE_TIMEOUT = 10.0
"""Seconds the Podman service has to answer; a healthy one takes a tenth of one."""
MINIMUM_FREE = 64 * 1024 * 1024
_UPTIME_TOLERANCE = 75.0
"""Podman rounds the minutes of the uptime it reports up or down."""


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port to publish, and the flag that chooses another one (empty: none does)."""

    port: PublishedPort
    flag: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is about to be made: names that must be free or ours, and ports that must be free.

    ``names`` tell what is this site's. ``hosts_needed`` says that ``hosts`` must not be empty (the site accepts links);
    ``host_image`` that containers will run our Python installation. ``taken`` has the ports of the user's other sites,
    also of those that do not run, and whose they are. ``limits`` are flags that limit containers, and the controller of
    cgroups that each needs.
    """

    containers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    network: str = ""
    ports: tuple[WantedPort, ...] = ()
    hosts: tuple[str, ...] = ()
    hosts_needed: bool = False
    host_image: bool = True
    names: Names = DEFAULT
    taken: Mapping[int, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodmanFacts:
    """What a Podman service that answers has."""

    info: HostInfo
    containers: tuple[ContainerInfo, ...] = ()
    volumes: tuple[VolumeInfo, ...] = ()
    networks: tuple[NetworkInfo, ...] = ()


def look(api: PodmanApi) -> PodmanFacts | SkupperError:
    """Ask Podman for all that :func:`check` needs; an error is returned, not raised, since it is one of the answers."""
    try:
        info = api.check_version(PROBE_TIMEOUT)
        return PodmanFacts(info, tuple(api.containers()), tuple(api.volumes()), tuple(api.networks()))
    except SkupperError as error:
        return error


def check(
    wanted: Wanted, podman: PodmanFacts | SkupperError, endpoint: Endpoint, host: Host, data_home: Path
) -> tuple[Blocker, ...]:
    """All that stands in the way of ``wanted``; empty if nothing does."""
    blockers: list[Blocker] = []
    if isinstance(podman, SkupperError):
        blockers += _endpoint(podman, endpoint, host)
        facts = None
    else:
        facts = podman
        blockers += _remote(facts, endpoint, host)
        blockers += _network(wanted, facts, host)
        blockers += _names(wanted, facts)
        blockers += _limits(wanted, facts, host)
    blockers += _sub_ids(facts, host)
    blockers += _ports(wanted, facts, host)
    blockers += _space(facts, host, data_home)
    blockers += _hosts(wanted)
    blockers += _installation(wanted, host)
    return tuple(dict.fromkeys(blockers))


def _endpoint(error: SkupperError, endpoint: Endpoint, host: Host) -> Iterator[Blocker]:
    runtime = host.runtime_dir()
    if endpoint.is_default and host.uid != 0 and not host.is_directory(runtime):
        yield Blocker(
            "runtime-dir",
            f"the runtime directory {runtime} of user {host.user} does not exist: nobody of that name is logged in",
            f"log in as {host.user} (not by su or sudo), or: sudo loginctl enable-linger {host.user} "
            f"&& export XDG_RUNTIME_DIR={runtime}",
        )
    if not host.has_program("podman") and endpoint.socket is not None:
        yield Blocker("podman-missing", "Podman is not installed", f"{host.installer()} podman")
        return
    yield Blocker("podman-endpoint", f"{error.message} (chosen by {endpoint.origin})", error.hint)


def _remote(podman: PodmanFacts, endpoint: Endpoint, host: Host) -> Iterator[Blocker]:
    """Files of volumes are written through the file system, so Podman must run on this host, under this user.

    And a network endpoint is used by containers, too, so it must not be an address only the host itself can use.
    """
    try:
        check_remote(endpoint, host.lookup)
    except EndpointError as error:
        yield Blocker("podman-remote", error.message, error.hint)
        return
    here, there = host.uptime(), podman.info.uptime
    booted_apart = here is not None and there is not None and abs(there - here) > _UPTIME_TOLERANCE
    cause = ""
    if booted_apart or (podman.info.kernel and host.kernel() not in ("", podman.info.kernel)):
        cause = f"it runs on another host, {podman.info.hostname or 'of unknown name'}"
    elif not host.is_directory(Path(podman.info.graph_root)):
        cause = f"its storage {podman.info.graph_root} cannot be seen from here"
    elif podman.info.rootless != (host.uid != 0):
        cause = f"it runs as {'an ordinary user' if podman.info.rootless else 'root'}, and this command does not"
    if cause:
        yield Blocker(
            "podman-remote",
            f"You cannot use a remote podman endpoint - {endpoint.url} (chosen by {endpoint.origin}): {cause}",
            "use the API socket of this user on this host: --podman-endpoint "
            f"unix://{host.runtime_dir()}/podman/podman.sock",
        )


def _network(wanted: Wanted, podman: PodmanFacts, host: Host) -> Iterator[Blocker]:
    present = next((network for network in podman.networks if network.name == wanted.network), None)
    if present is not None and not present.dns_enabled:
        yield Blocker(
            "network-dns",
            f"network {present.name} cannot be used as DNS is not enabled on it",
            f"choose another one: --container-network NAME; or remove it: podman network rm {present.name}",
        )
    whose = {_named(item.labels) for item in podman.containers if wanted.network in item.networks}
    whose |= {_named(present.labels)} if present else set()
    for other in sorted(whose - {wanted.names.namespace, None}, key=str):
        yield Blocker(
            "network-shared",
            f"network {wanted.network} is that of site {title(Names(other or ''))}: there the names of two sites' "
            "containers would be confused",
            "choose another one: --container-network NAME; or leave that flag out",
        )
    if podman.info.network_backend == "cni":
        dnsname = "podman-plugins" if "dnf" in host.installer() else "golang-github-containernetworking-plugin-dnsname"
        needed = (("bridge", "containernetworking-plugins"), ("dnsname", dnsname))
    else:
        needed = (("netavark", "netavark"), ("aardvark-dns", "aardvark-dns"))
    missing = [package for program, package in needed if not host.has_program(program)]
    if missing:
        yield Blocker(
            "network-backend",
            f"containers cannot reach each other by name: {' and '.join(missing)} not installed",
            f"{host.installer()} {' '.join(missing)}",
        )
    uplinks = [podman.info.rootless_uplink] if podman.info.rootless_uplink else ["slirp4netns", "pasta"]
    if podman.info.rootless and not any(host.has_program(program) for program in uplinks):
        said = f"{uplinks[0]} is not installed" if len(uplinks) == 1 else "neither slirp4netns nor pasta is installed"
        yield Blocker(
            "network-rootless",
            f"rootless containers cannot reach the network: {said}",
            f"{host.installer()} {'passt' if uplinks[0] == 'pasta' else uplinks[0]}",
        )


def _named(labels: Mapping[str, str]) -> str | None:
    """The name of the site to which something belongs; None if it is no site's."""
    found = Names.of_labels(labels)
    return None if found is None else found.namespace


def _names(wanted: Wanted, podman: PodmanFacts) -> Iterator[Blocker]:
    for container in podman.containers:
        if container.name in wanted.containers and not wanted.names.owns(container.labels):
            yield Blocker(
                "name-container",
                f"a container called {container.name} exists that is not this site's",
                f"podman rename {container.name} {container.name}-other",
            )
    for volume in podman.volumes:
        if volume.name in wanted.volumes and not wanted.names.owns(volume.labels):
            yield Blocker(
                "name-volume",
                f"a volume called {volume.name} exists that is not this site's",
                f"save what is in it, then: podman volume rm {volume.name}",
            )


def _sub_ids(podman: PodmanFacts | None, host: Host) -> Iterator[Blocker]:
    if host.uid == 0 or (podman is not None and not podman.info.rootless):
        return
    uids, gids = host.sub_ids("subuid"), host.sub_ids("subgid")
    # Podman's answer wins, as the ids may come from a directory service; it counts the user's own id as one.
    mapped = podman.info.subuids > 1 if podman is not None else not (uids.known and uids.count == 0)
    if not mapped or (podman is None and gids.known and gids.count == 0):
        start = max(uids.last, gids.last, 100_000)
        ids = f"{start}-{start + 65_535}"
        yield Blocker(
            "subuid",
            f"user {host.user} has no subordinate user or group ids (/etc/subuid, /etc/subgid)",
            f"sudo usermod --add-subuids {ids} --add-subgids {ids} {host.user} && podman system migrate",
        )
    if not host.has_program("newuidmap"):
        package = "uidmap" if "apt" in host.installer() else "shadow-utils"
        yield Blocker("uidmap", "newuidmap is not installed: rootless Podman needs it", f"{host.installer()} {package}")


def limits_of(spec: SiteSpec) -> dict[str, str]:
    """The flags that limit the site's containers, and the controller that each needs."""
    values = {
        "--router-cpu-limit": ("cpu", spec.router_cpu_millis),
        "--router-memory-limit": ("memory", spec.router_memory_bytes),
        "--controller-cpu-limit": ("cpu", spec.controller_cpu_millis),
        "--controller-memory-limit": ("memory", spec.controller_memory_bytes),
    }
    return {flag: controller for flag, (controller, value) in values.items() if value}


def _limits(wanted: Wanted, podman: PodmanFacts, host: Host) -> Iterator[Blocker]:
    """A user's containers are limited by controllers that systemd delegates; Podman ignores the others, or fails."""
    there = podman.info.cgroup_controllers
    if not podman.info.rootless or there is None:
        return
    flags = sorted(flag for flag, controller in wanted.limits.items() if controller not in there)
    if not flags:
        return
    lacking = " and ".join(sorted({wanted.limits[flag] for flag in flags}))
    reason, way = (
        f"systemd does not delegate that controller of cgroups to {host.user}",
        "sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu memory pids\\n' | "
        "sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload, and log in anew",
    )
    if podman.info.cgroup_version == "v1":
        reason, way = "this host has cgroups of version 1", "boot it with systemd.unified_cgroup_hierarchy=1"
    yield Blocker(
        "limits",
        f"containers of {host.user} cannot be limited in {lacking}: {reason}",
        f"{way}; or without limits: {' '.join(f'{flag} 0' for flag in flags)}",
    )


def _ports(wanted: Wanted, podman: PodmanFacts | None, host: Host) -> Iterator[Blocker]:
    seen: dict[tuple[str, int], WantedPort] = {}
    for item in wanted.ports:
        ip, port = item.port.host_ip, item.port.host_port
        twin = seen.setdefault((ip, port), item)
        if twin is not item:
            flag = item.flag or twin.flag
            yield Blocker("port-twice", f"port {port} is asked for twice", f"choose another one: {flag} PORT".strip())
        elif ip and not _is_address(ip):
            yield Blocker("bind-ip", f"{ip} is not an IP address", _bind_fix(host))
        elif podman is None or not _publisher(wanted.names, podman, port, ours=True):
            yield from _port(wanted, item, podman, host)


def _port(wanted: Wanted, item: WantedPort, podman: PodmanFacts | None, host: Host) -> Iterator[Blocker]:
    ip, port, own = item.port.host_ip, item.port.host_port, wanted.names
    problem = host.try_bind(ip, port)
    if not problem and port in wanted.taken:
        free = _free_port(wanted, host, ip, port)
        yield Blocker(
            "port-taken",
            f"port {port} is that of {wanted.taken[port]}, which does not use it now",
            f"choose another port: {item.flag} {free or 'PORT'}"
            if item.flag
            else "delete that site, or move one of both",
        )
    elif problem == "taken":
        owner = host.port_owner(port)
        other = (_publisher(own, podman, port, ours=False) if podman else "") or _owner(owner)
        free = _free_port(wanted, host, ip, port)
        other_port = f"choose another port: {item.flag} {free}; or " if item.flag and free else ""
        yield Blocker(
            "port-taken",
            f"port {port} is taken" + (f" by {other}" if other else ""),
            f"{other_port}{_stopper(own, podman, port, owner)}",
        )
    elif problem == "forbidden":
        yield Blocker(
            "port-privileged",
            f"port {port} is below {host.lowest_port()}, the lowest one user {host.user} may listen on",
            f"sudo sysctl net.ipv4.ip_unprivileged_port_start={port}"
            + (f"; or choose a higher one: {item.flag} PORT" if item.flag else ""),
        )
    elif problem in ("absent", "invalid"):
        yield Blocker("bind-ip", f"{ip} is not an address of this host", _bind_fix(host))


def _publisher(own: Names, podman: PodmanFacts, port: int, *, ours: bool) -> str:
    """The running (or paused) container that publishes ``port``, as ``container NAME``; ours or not ours."""
    for container in podman.containers:
        right = container.state in ("running", "paused") and own.owns(container.labels) == ours
        if right and any(published.host_port == port for published in container.ports):
            return f"container {container.name}"
    return ""


def _owner(owner: Owner | None) -> str:
    if owner is None:
        return ""
    if owner.pid:
        return f"{owner.name or 'a process'} (pid {owner.pid}, user {owner.user})"
    return f"a process of user {owner.user}"


def _stopper(own: Names, podman: PodmanFacts | None, port: int, owner: Owner | None) -> str:
    name = _publisher(own, podman, port, ours=False) if podman else ""
    if name:
        return f"stop it: podman stop {name.removeprefix('container ')}"
    if owner is not None and owner.pid:
        return f"stop it: kill {owner.pid}"
    return f"see who it is: sudo ss -ltnp 'sport = :{port}'"


def _free_port(wanted: Wanted, host: Host, ip: str, port: int) -> int:
    """A free port near ``port``; 0 if none of the next hundred is."""
    near = range(port + 1, min(port + 100, 65536))
    asked = {item.port.host_port for item in wanted.ports}
    return next((other for other in near if other not in {*asked, *wanted.taken} and not host.try_bind(ip, other)), 0)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _bind_fix(host: Host) -> str:
    return f"--ingress-bind-ip with one of: {', '.join(host.addresses()) or 'none found'}; or leave the flag away"


def _space(podman: PodmanFacts | None, host: Host, data_home: Path) -> Iterator[Blocker]:
    places = [("the data home", data_home)]
    if podman is not None:
        places.insert(0, ("the storage of Podman", Path(podman.info.graph_root)))
        if podman.info.volume_path:
            places.insert(1, ("the volumes of Podman", Path(podman.info.volume_path)))
    told: set[int] = set()
    for what, path in places:
        space = host.space(path)
        if space is None:
            continue
        left = f"only {space.free_bytes // 2**20} MiB" if space.free_bytes < MINIMUM_FREE else ""
        left = left or ("no inodes" if space.free_inodes == 0 else "")
        if left and space.device not in told:
            told.add(space.device)
            yield Blocker(
                "disk-full",
                f"the file system of {what}, {path}, has {left} left",
                f"free {MINIMUM_FREE >> 20} MiB or more: df -h {space.path}; df -i {space.path}; podman system prune",
            )
        if what == "the data home" and not space.writable:
            yield Blocker(
                "data-home",
                f"user {host.user} cannot write to {path}",
                f"sudo chown {host.user} {space.path}; or choose another place: export SKUPPER_DATA_HOME=DIRECTORY",
            )


def _hosts(wanted: Wanted) -> Iterator[Blocker]:
    if wanted.hosts_needed and not wanted.hosts:
        yield Blocker(
            "ingress-hosts",
            "Cannot get a default ingress host: this host has neither a name nor an address others could use",
            "--ingress-host NAME, the name or address other sites reach this host by; or --ingress none",
        )


def _installation(wanted: Wanted, host: Host) -> Iterator[Blocker]:
    path = host.unreadable() if wanted.host_image else ""
    if path:
        yield Blocker(
            "installation",
            f"containers run as user {host.user} without privileges and could not read {path} of this installation",
            f"install skupper-podman as user {host.user}, or: chmod -R a+rX {path}",
        )
