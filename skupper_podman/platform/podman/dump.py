"""Everything support needs of a site, as the members of an archive, without a secret in it.

What always holds: a part that cannot be had is named with its reason in ``/errors.txt`` and takes no other part with
it; every member passes the redactor, whose known secrets are read before anything else is; keys are never read into a
member, only their names and modes are told.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from skupper_podman import SKUPPER_VERSION
from skupper_podman.errors import SkupperError
from skupper_podman.files import Tree, read_bytes
from skupper_podman.platform.podman.asking import Questions, ask, edge_node
from skupper_podman.platform.podman.certstatus import certificates
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.happenings import happenings, supervisor_log
from skupper_podman.platform.podman.observe import Observation, observe
from skupper_podman.platform.podman.servicestatus import router_id
from skupper_podman.process import run
from skupper_podman.redact import Redactor

_LOG_LINES: Final = 5000
_EVENTS_SPAN: Final = datetime.timedelta(days=1)
_MEMBER_LIMIT: Final = 32 * 1024 * 1024
_PACKAGES: Final = (
    "skupper-podman", "podman", "python-qpid-proton", "aiohttp", "cryptography", "pyyaml", "jinja2", "typer", "h11",
)  # fmt: skip
_TABLES: Final = (
    "router", "connection", "router.link", "router.address", "router.node", "listener", "connector", "sslProfile",
    "address", "autoLink", "router.config.address", "router.config.autoLink", "tcpListener", "tcpConnector",
    "tcpConnection", "httpListener", "httpConnector", "httpRequestInfo", "log", "logStats", "allocator", "policy",
    "vhost", "vhostStats",
)  # fmt: skip
"""Entity types of a router of 2.7; one that a router does not know is left out."""
Members = Iterator[tuple[str, bytes]]


@dataclass
class Dump:
    """The members of the archive, one after the other; ``errors`` is complete when they are."""

    context: Context
    errors: list[str] = field(default_factory=list)
    redactor: Redactor = field(default_factory=Redactor)

    def members(self) -> Members:
        """Path and content of each member."""
        site = self._attempt("the site", observe, self.context.api, self.context.names)
        if site is not None:
            self.redactor = Redactor(self._secrets(site))
        parts: list[tuple[str, Callable[[], Members]]] = [
            ("host", self._host),
            ("podman", self._podman),
            ("units", self._units),
            ("events", self._events),
        ]
        if site is not None:
            parts += [
                ("containers", lambda: self._containers(site)),
                ("networks and volumes", lambda: self._volumes(site)),
                ("configuration", lambda: self._files(site)),
                ("certificates", lambda: self._certificates(site)),
                ("routers", lambda: self._routers(site)),
            ]
        for what, part in parts:
            yield from self._guarded(what, part)
        yield "/errors.txt", self.redactor.octets("".join(f"{line}\n" for line in self.errors).encode())

    def _guarded(self, what: str, part: Callable[[], Members]) -> Members:
        """The members of a part up to where it fails, redacted."""
        try:
            for path, content in part():
                yield path, self.redactor.octets(content[-_MEMBER_LIMIT:])
        except (SkupperError, OSError, ValueError, KeyError, TypeError) as error:
            self.errors.append(f"{what}: {error}")

    def _attempt(self, what: str, ask: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return ask(*arguments)
        except (SkupperError, OSError, ValueError, KeyError, TypeError) as error:
            self.errors.append(f"{what}: {error}")
            return None

    def _secrets(self, site: Observation) -> Iterator[bytes]:
        """Every secret in the site's volumes: keys, passwords, claims."""
        for name, volume in site.volumes.items():
            tree = Tree(Path(volume.mountpoint))
            paths = self._attempt(f"files of volume {name}", tree.files) or ()
            for path in paths:
                if name == site.names.console_users or _is_secret(path):
                    content = self._attempt(f"{name}:{path}", tree.read, path)
                    if content:
                        yield content

    # Host and Podman

    def _host(self) -> Members:
        system = {
            "skupper": SKUPPER_VERSION,
            "packages": {name: _version(name) for name in _PACKAGES},
            "python": platform.python_version(),
            "uname": list(os.uname()),
            "user": {"name": self.context.user, "uid": self.context.uid},
            "time": self.context.now().isoformat(),
            "images": {key: value for key, value in self.context.env.items() if key.endswith("_IMAGE")},
        }
        yield "/skupper-info/manifest.json", self.redactor.document(system)
        yield "/skupper-info/os-release.txt", read_bytes(Path("/etc/os-release")) or b""
        yield "/skupper-info/podman.yaml", read_bytes(self.context.paths.endpoint_file) or b""
        yield "/skupper-info/platform.yaml", read_bytes(self.context.paths.platform_file) or b""
        for name, path in (("mounts", "/proc/self/mounts"), ("sockets", "/proc/net/tcp"), ("memory", "/proc/meminfo")):
            yield f"/skupper-info/{name}.txt", read_bytes(Path(path)) or b""

    def _podman(self) -> Members:
        api = self.context.api
        for name, path in (("version", "version"), ("info", "info")):
            yield f"/skupper-info/podman-{name}.json", self.redactor.document(api.raw(path))

    def _containers(self, site: Observation) -> Members:
        api = self.context.api
        for name, info in site.containers.items():
            place = f"/containers/{name}"
            inspected = self._attempt(f"container {name}", api.raw, f"containers/{info.id}/json")
            yield f"{place}/inspect.json", self.redactor.document(inspected)
            log = self._attempt(f"logs of {name}", api.logs, name, _LOG_LINES)
            yield f"{place}/logs/{name}-logs.txt", (log or "").encode()

    def _volumes(self, site: Observation) -> Members:
        api = self.context.api
        if site.spec is not None:
            network = self._attempt("network", api.raw, f"networks/{site.spec.network}/json")
            yield f"/networks/{site.spec.network}.json", self.redactor.document(network)
        for name, volume in site.volumes.items():
            lines = self._attempt(f"volume {name}", _listing, Path(volume.mountpoint))
            facts = {**asdict(volume), "labels": _shortened(volume.labels), "files": lines}
            yield f"/volumes/{name}.json", self.redactor.document(facts)

    # Site

    def _files(self, site: Observation) -> Members:
        """Configurations, service definitions and the network status; never a key."""
        for name in (site.names.internal, site.names.services, site.names.network_status):
            if name not in site.volumes:
                self.errors.append(f"volume {name} does not exist")
                continue
            tree = Tree(Path(site.volumes[name].mountpoint))
            for path in self._attempt(f"files of {name}", tree.files) or ():
                if _is_secret(path):
                    continue
                content = self._attempt(f"{name}:{path}", tree.read, path)
                yield f"/files/{name}/{path}", _redacted_json(content or b"", self.redactor)
        links = [
            {
                "name": link.name,
                "kind": link.kind,
                "cost": link.cost,
                "annotations": dict(link.annotations),
                "created": link.created,
            }
            for link in site.links
        ]
        spec = asdict(site.spec) if site.spec else None
        yield "/skupper-info/site.json", self.redactor.document({"spec": spec, "damage": site.damage})
        yield "/skupper-info/links.json", self.redactor.document(links)

    def _certificates(self, site: Observation) -> Members:
        found = [asdict(item) for item in certificates(site, self.context.now())]
        yield "/certs/certificates.json", self.redactor.document(found)

    def _routers(self, site: Observation) -> Members:
        """All entities of the site's router and of those of its services."""
        services = site.services
        nodes = {service.address: edge_node(router_id(site, service)) for service in services}
        tables = tuple((node, kind) for node in nodes.values() for kind in _TABLES)
        answers = ask(self.context, site, Questions(_TABLES, tables=tables))
        if answers.problem:
            self.errors.append(f"router: {answers.problem}")
        yield f"/routers/{site.names.router}.json", self.redactor.document(dict(answers.answers))
        for address, node in nodes.items():
            found = {kind: answers.tables.get((node, kind)) for kind in _TABLES}
            silent = found["router"]
            if not isinstance(silent, list):
                self.errors.append(f"router of service {address}: {silent or answers.silence or answers.problem}")
                continue
            own = {kind: rows for kind, rows in found.items() if isinstance(rows, list)}
            yield f"/routers/{address}.json", self.redactor.document(own)

    # systemd and events

    def _units(self) -> Members:
        unit = self.context.paths.unit_file
        yield f"/systemd/{unit.name}", read_bytes(unit) or b""
        since = self.context.now() - 7 * _EVENTS_SPAN
        log = self._attempt("the supervisor's log", supervisor_log, self.context, since)
        yield "/systemd/supervisor.txt", (log or "").encode()
        mode = [] if self.context.paths.system else ["--user"]
        shown = self._attempt(
            "systemctl", lambda: run(["systemctl", *mode, "status", "--no-pager", unit.name], timeout=10).stdout
        )
        yield "/systemd/status.txt", (shown or "").encode()

    def _events(self) -> Members:
        since = self.context.now() - _EVENTS_SPAN
        raw = self.context.api.events(since, self.context.now())
        ours = [asdict(event) for event in raw if self.context.names.owns(event.labels)]
        yield "/events/podman.json", self.redactor.document(ours)
        found, problems = happenings(self.context, since)
        self.errors += [f"events: {problem}" for problem in problems]
        text = "".join(f"{item.time.isoformat()} {item.name} {item.message}\n" for item in found)
        yield "/events/events.txt", text.encode()


def _is_secret(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith((".key", ".p12", ".pem")) or name in ("password", "web-config.yml", "skupper-prometheus.yml")


def _listing(root: Path) -> list[str]:
    """Name, mode, owner and size of each file below a volume."""
    lines = []
    for directory, _, files in os.walk(root):
        for name in sorted(files):
            path = Path(directory, name)
            facts = path.lstat()
            owner = f"{facts.st_uid}:{facts.st_gid}"
            lines.append(f"{stat.filemode(facts.st_mode)} {owner} {facts.st_size} {path.relative_to(root)}")
    return lines


def _shortened(labels: dict[str, str]) -> dict[str, str]:
    return {key: value if len(value) < 4096 else f"{value[:4096]}..." for key, value in labels.items()}


def _redacted_json(content: bytes, redactor: Redactor) -> bytes:
    try:
        return redactor.document(json.loads(content))
    except ValueError:
        return content  # damaged: as it is, but for what the redactor finds in it


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
