"""Looks at the site: what Podman lists, and what the host's processes and sockets say about it.

What always holds: one listing a look; a container is inspected only when it was started anew; nothing is changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from skupper_podman.desired.names import Names
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.supervisor import processes, uplink
from skupper_podman.supervisor.core import Look, Seen, belongs, rank
from skupper_podman.supervisor.processes import Process
from skupper_podman.supervisor.uplink import Uplink

_NO_ROOM = 1 << 20
_DNS_SERVERS = ("aardvark",)
_UPLINKS = ("slirp4netns", "pasta", "passt")


@dataclass(frozen=True, slots=True)
class Vitals:
    """The processes behind one start of a container, and where its monitor leaves the exit code (empty: unknown)."""

    incarnation: str
    process: Process | None
    monitor: Process | None
    exit_dir: str


class Observer:
    """Looks at the site called by the names ``own`` through ``api``.

    ``runtime_dir`` is where rootless Podman keeps its state; ``storage`` is where Podman keeps containers, as long as
    it cannot be asked.
    """

    def __init__(
        self, api: PodmanApi, own: Names, uid: int, runtime_dir: Path, clock: Callable[[], float], storage: Path
    ) -> None:
        self.own = own
        """The names of the site."""
        self._api = api
        self._uid = uid
        self._runtime_dir = runtime_dir
        self._clock = clock
        self._storage = storage
        self._vitals: dict[str, Vitals] = {}
        self._dns_networks: dict[str, bool] = {}
        self._run_root = ""
        self._exit_dir = ""
        self._held: set[int] = set()
        self._uplink_pid = 0
        self.uplink: Uplink | None = None
        """The rootless way out as it was when it last ran."""
        self.containers: dict[str, ContainerInfo] = {}
        """The site's containers at the last look, by name."""

    def look(self, busy: bool) -> Look:
        """Look once; ``busy`` says that a command is changing the site.

        Raises:
            SkupperError: Podman did not answer.
        """
        began = self._clock()
        if not self._run_root:
            self._run_root = self._api.check_version().run_root
        listed = self._api.containers(self.own.labels)
        own = {item.name: item for item in listed if belongs(self.own, item.name, item.labels)}
        self.containers = own
        self._vitals = {item.id: self._vitals_of(item) for item in own.values()}
        listening = set(processes.listening_ports())
        self._held |= listening
        seen = tuple(self._seen(item, listening) for item in own.values())
        running = [item for item in own.values() if item.running]
        return Look(began, seen, self._dns(running), self._uplink(running), busy, self._missing(own))

    def _missing(self, own: Mapping[str, ContainerInfo]) -> tuple[str, ...]:
        """Components that somebody took away, such as ``podman system prune``, while the site's volumes are there."""
        gone = tuple(name for name in self.own.components if name not in own)
        return gone if gone and self._api.volume(self.own.internal) is not None else ()

    def vitals(self, name: str) -> Vitals | None:
        """What is known of the processes of container ``name``."""
        container = self.containers.get(name)
        return None if container is None else self._vitals.get(container.id)

    def full_disk(self) -> str:
        """Words that tell that Podman has no room to write, which it cannot say itself; empty if it has."""
        place = next((path for path in (self._storage, *self._storage.parents) if path.exists()), Path("/"))
        space = os.statvfs(place)
        return f"; the disk of {place} is full" if space.f_bavail * space.f_frsize < _NO_ROOM else ""

    def exit_dir(self) -> str:
        """Where monitors of this Podman leave exit codes; empty if it was never seen."""
        return self._exit_dir

    def watched(self) -> tuple[Process, ...]:
        """The processes whose end is a reason to look again."""
        found = [process for vitals in self._vitals.values() for process in (vitals.process, vitals.monitor)]
        found += [self._dns_server(), self._uplink_process()]
        return tuple(process for process in found if process is not None and process.alive())

    def _vitals_of(self, item: ContainerInfo) -> Vitals:
        incarnation = f"{item.pid}/{item.started_at}"
        known = self._vitals.get(item.id)
        if not item.running:
            return Vitals("", None, None, known.exit_dir if known else "")
        if known is not None and known.incarnation == incarnation:
            return known
        detail = self._api.container(item.id)
        monitor = processes.find(detail.conmon_pid) if detail else None
        exit_dir = processes.option(monitor.pid, "--exit-dir") if monitor else ""
        self._exit_dir = exit_dir or self._exit_dir
        return Vitals(incarnation, processes.find(item.pid), monitor, exit_dir)

    def _seen(self, item: ContainerInfo, listening: set[int]) -> Seen:
        vitals = self._vitals[item.id]
        alive = bool(vitals.process and vitals.process.alive())
        monitored = bool(vitals.monitor and vitals.monitor.alive())
        published = {port.host_port for port in item.ports} if item.running else set()
        if self._uid == 0:
            # Rootless ports have a forwarder that listens; with root that depends on the release of Podman, so a port
            # is missed only if it was there before.
            published &= self._held
        return Seen(
            name=item.name,
            rank=rank(self.own, item.labels),
            state=item.state,
            incarnation=vitals.incarnation,
            process=alive,
            monitor=monitored,
            missing_ports=tuple(sorted(published - listening)),
            exit_code=item.exit_code,
        )

    def _dns(self, running: list[ContainerInfo]) -> bool | None:
        """Whether the DNS server runs that Podman set up for a network of these containers."""
        if self._dns_server() is not None:
            return True
        names = {name for item in running for name in item.networks if self._has_dns(name)}
        places = [place / name for place in self._dns_places() for name in names]
        # Its entry is there, so it was started, and it is not there: it died.
        return False if any(place.exists() and place.stat().st_size > 0 for place in places) else None

    def _has_dns(self, network: str) -> bool:
        if network not in self._dns_networks:
            found = self._api.network(network)
            self._dns_networks[network] = bool(found and found.dns_enabled)
        return self._dns_networks[network]

    def _dns_places(self) -> tuple[Path, ...]:
        places = [Path(self._run_root) / "networks"]
        if self._uid == 0:
            places.append(Path("/run/containers/networks"))
        else:
            places.append(self._runtime_dir / "containers" / "networks")
        return tuple(dict.fromkeys(place / "aardvark-dns" for place in places))

    def stale_pid_files(self) -> tuple[Path, ...]:
        """Pid files of a DNS server that does not run any more (or is a zombie)."""
        files = [place / "aardvark.pid" for place in self._dns_places()]
        return tuple(file for file in files if file.exists() and processes.from_pid_file(file, _DNS_SERVERS) is None)

    def _dns_server(self) -> Process | None:
        found = (processes.from_pid_file(place / "aardvark.pid", _DNS_SERVERS) for place in self._dns_places())
        return next((process for process in found if process is not None), None)

    def _uplink(self, running: list[ContainerInfo]) -> bool | None:
        if self._uid == 0 or not any(item.networks for item in running):
            return None
        if self._uplink_process() is not None:
            return True
        return False if any(place.exists() for place in self._uplink_files()) else None

    def _uplink_process(self) -> Process | None:
        if self._uid == 0:
            return None
        for place in self._uplink_files():
            process = processes.from_pid_file(place, _UPLINKS)
            if process is not None:
                if process.pid != self._uplink_pid and process.name.startswith(uplink.NAMES) and self._exit_dir:
                    pause = Path(self._exit_dir).parent / "pause.pid"
                    self.uplink = Uplink(uplink.command_of(process.pid), place, pause)
                    self._uplink_pid = process.pid
                return process
        return None

    def _uplink_files(self) -> tuple[Path, ...]:
        """Where Podman 4 and Podman 5 note the process that connects all rootless bridge networks."""
        places = [Path(self._run_root) / "networks" / "rootless-netns" / "rootless-netns-conn.pid"]
        if self._exit_dir:
            state = Path(self._exit_dir).parent
            places.append(state / "rootless-netns" / "rootless-netns-slirp4netns.pid")
        return tuple(places)
