"""Live answers about a site: what Podman, the router and the status file say now.

What always holds: ``ok`` is said only for what was just seen to work; what could not be asked is ``unknown`` with its
reason; the number of questions does not grow with the number of services, and they are asked at the same time.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skupper_podman import SKUPPER_VERSION
from skupper_podman.desired import names
from skupper_podman.desired.tokens import CLAIM_URL, LinkSecret
from skupper_podman.errors import NotFoundError, SkupperError
from skupper_podman.model.link import IncomingLink, Link, LinkStatus
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.service import Service
from skupper_podman.model.status import Health, Probe, ServiceStatus, SiteStatus, VersionInfo
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.platform.podman.observe import Observation

STALE = 75.0
"""Seconds without a sign of the controller in its file; it renews the file's time every 30."""


@dataclass(frozen=True, slots=True)
class RouterAnswers:
    """What the site's router said, by entity type, or why it did not answer."""

    answers: Mapping[str, live.Rows] = field(default_factory=dict)
    problem: str = ""

    def rows(self, entity_type: str) -> live.Rows | None:
        """The entities of a type, None where the router was not heard."""
        return self.answers.get(entity_type)


def ask_router(context: Context, site: Observation, *entity_types: str) -> RouterAnswers:
    """Ask the site's router for all entities of these types."""
    router = site.containers.get(names.ROUTER)
    if router is None or not router.running:
        return RouterAnswers(
            problem=f"container {names.ROUTER} {'does not exist' if router is None else _state(router)}"
        )
    try:
        found = live.router_in(context.api, router).query(*entity_types)
    except SkupperError as error:
        return RouterAnswers(problem=error.message)
    return RouterAnswers(dict(zip(entity_types, found, strict=True)))


def site_status(context: Context) -> SiteStatus:
    """Probe the site; see :meth:`skupper_podman.platform.Platform.site_status`."""
    site = context.site()
    spec = site.spec
    assert spec is not None
    with ThreadPoolExecutor(max_workers=2) as pool:
        asking = pool.submit(ask_router, context, site, "connection", "connector", "router.address")
        unit = pool.submit(unit_probe, context)
        answers, unit_result = asking.result(), unit.result()
    router = site.containers.get(names.ROUTER)
    probes = [container_probe(site, name, context.uid) for name in names.COMPONENTS]
    probes.append(_management_probe(answers))
    probes.append(_network_status_probe(context, site))
    probes += [_link_probe(status) for status in link_statuses(site, answers)]
    probes += [_service_probe(status) for status in service_statuses(site, answers)]
    probes += unit_result
    config = site.configs.get("")
    return SiteStatus(
        name=spec.name,
        site_id=spec.site_id,
        user=context.user,
        router_mode=spec.router_mode,
        version=(config.site.version if config else "") or SKUPPER_VERSION,
        router_kind=spec.router,
        image=router.image if router else "",
        network=spec.network,
        services=len(site.services),
        probes=tuple(probes),
    )


def container_probe(site: Observation, name: str, uid: int) -> Probe:
    """Whether the container runs, and its published ports are there."""
    info = site.containers.get(name)
    if info is None:
        return Probe(f"container {name}", "failing", "it does not exist", fix="skupper init")
    missing = _missing_ports(info, uid) if info.running else []
    if missing:
        detail = f"nothing listens on its port {', '.join(map(str, missing))}"
        return Probe(f"container {name}", "failing", detail, fix=f"podman restart {name}")
    if info.running:
        return Probe(f"container {name}", "ok", "running", info.started_at)
    return Probe(f"container {name}", "failing", _state(info), fix=f"podman logs {name}; skupper init")


def _missing_ports(info: ContainerInfo, uid: int) -> list[int]:
    """Published ports nobody listens on. Rootless only: with root, ports may be forwarded without a listener."""
    if uid == 0 or not info.ports:
        return []
    from skupper_podman.supervisor.processes import listening_ports

    return sorted({port.host_port for port in info.ports} - set(listening_ports()))


def _state(info: ContainerInfo) -> str:
    return (
        f"{info.state} (exit code {info.exit_code})" if info.state in ("exited", "stopped") else info.state or "unknown"
    )


def _management_probe(answers: RouterAnswers) -> Probe:
    if answers.problem:
        return Probe("router management", "failing", answers.problem, fix=f"podman logs --tail 20 {names.ROUTER}")
    return Probe("router management", "ok", "answers")


def _network_status_probe(context: Context, site: Observation) -> Probe:
    name = "network status"
    try:
        path = Path(site.trees.tree(names.NETWORK_STATUS).root, names.STATUS_FILE)
        written = datetime.datetime.fromtimestamp(path.lstat().st_mtime, datetime.UTC)
        status = read_network_status(site)
    except (OSError, SkupperError):
        return Probe(name, "failing", "not written yet", fix=f"podman logs --tail 20 {names.CONTROLLER}")
    since = written.isoformat(timespec="seconds").replace("+00:00", "Z")
    assert site.spec is not None
    if status.site(site.spec.site_id) is None:
        return Probe(name, "failing", "this site is not in it", since, f"podman logs --tail 20 {names.CONTROLLER}")
    age = (context.now() - written).total_seconds()
    if age > STALE:
        detail = f"the controller has not renewed it for {age:.0f} s"
        return Probe(name, "failing", detail, since, f"podman restart {names.CONTROLLER}")
    return Probe(name, "ok", f"{len(status.sites)} site(s)", since)


def _link_probe(status: LinkStatus) -> Probe:
    health: Health = {"connected": "ok", "not connected": "failing"}.get(status.state, "unknown")  # type: ignore[assignment]
    since = status.since.isoformat() if status.since else ""
    fix = "" if health == "ok" else f"skupper link status {status.link.name} -v"
    return Probe(f"link {status.link.name}", health, status.reason or status.state, since, fix)


def _service_probe(status: ServiceStatus) -> Probe:
    return Probe(f"service {status.service.address}", status.health, status.detail, fix=status.fix)


def unit_probe(context: Context) -> list[Probe]:
    """Whether systemd, or where there is none a background process, supervises the site."""
    from skupper_podman.platform.podman.supervise import background_supervisor
    from skupper_podman.supervisor.core import says_well
    from skupper_podman.systemd import Systemd

    systemd = Systemd(context.paths, context.env, context.user)
    reason = systemd.unavailable()
    name = f"unit {context.paths.unit_file.name}"
    if reason:
        background = background_supervisor(context)
        pid = background.running()
        if not pid:
            return [Probe("supervisor", "failing", f"it does not run ({reason})", fix="skupper init")]
        said = background.status()
        return [Probe("supervisor", "ok" if says_well(said) else "failing", f"process {pid}: {said or 'it looks'}")]
    try:
        state = systemd.state()
    except SkupperError as error:
        return [Probe(name, "unknown", error.message, fix=systemd.status_command())]
    if state.active == "active" and says_well(state.status):
        return [Probe(name, "ok", state.status, state.since)]
    detail = state.status or (state.active if state.loaded else "it does not exist")
    return [Probe(name, "failing", detail, state.since, systemd.status_command() if state.loaded else "skupper init")]


def link_status(context: Context) -> tuple[LinkStatus, ...]:
    """Probe the links; see :meth:`skupper_podman.platform.Platform.link_status`."""
    site = context.site()
    return link_statuses(site, ask_router(context, site, "connection", "connector") if site.links else RouterAnswers())


def link_statuses(site: Observation, answers: RouterAnswers) -> tuple[LinkStatus, ...]:
    """The state of each link, from what the router said about its connections."""
    return tuple(_link_status(site, secret, answers) for secret in sorted(site.links, key=lambda link: link.name))


def _link_status(site: Observation, secret: LinkSecret, answers: RouterAnswers) -> LinkStatus:
    assert site.spec is not None
    host, port = secret.endpoint("edge" if site.spec.router_mode == "edge" else "inter-router")
    if secret.kind == names.TOKEN_CLAIM:
        host = secret.annotations.get(CLAIM_URL, "")
    link = Link(secret.name, secret.kind, host, port, secret.cost, secret.peer_site_id, secret.created)
    if secret.kind == names.TOKEN_CLAIM:
        reason = secret.annotations.get("internal.skupper.io/status", "")
        return LinkStatus(link, "not connected", f"Failed to redeem claim: {reason}" if reason else "not redeemed")
    rows = answers.rows("connection")
    if rows is None:
        return LinkStatus(link, "unknown", answers.problem)
    for row in rows:
        if row.get("role") in ("inter-router", "edge") and row.get("host") == f"{host}:{port}" and _established(row):
            peer = str(row.get("container") or "")
            return LinkStatus(link, "connected", "", peer, _since(row))
    return LinkStatus(link, "not connected", _why_not(answers, secret.name, f"{host}:{port}"))


def _why_not(answers: RouterAnswers, name: str, peer: str) -> str:
    """Why the router has no connection for a link, in its own words where it has some."""
    rows = answers.rows("connector")
    if rows is None:
        return f"the router has no connection to {peer}"
    connector = next((row for row in rows if row.get("name") == name), None)
    if connector is None:
        return "the router does not know the link; skupper init repairs it"
    message = str(connector.get("connectionMsg") or "").strip()
    return f"no connection to {peer}: {message}" if message else f"still connecting to {peer}"


def _since(row: Mapping[str, Any]) -> datetime.datetime | None:
    """When the connection was made; the router says how many seconds it is up."""
    seconds = row.get("uptimeSeconds")
    if not isinstance(seconds, int | float):
        return None
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(seconds=int(seconds))


def service_status(context: Context) -> tuple[ServiceStatus, ...]:
    """Probe the services; see :meth:`skupper_podman.platform.Platform.service_status`."""
    site = context.site()
    return service_statuses(site, ask_router(context, site, "connection", "router.address"))


def service_statuses(site: Observation, answers: RouterAnswers) -> tuple[ServiceStatus, ...]:
    """The state of each service: its container, its router's connection to the site's, and who answers for it."""
    assert site.spec is not None
    edges = _edges(answers)
    reachable = _reachable(answers)
    found = []
    for service in site.services:
        if not service.origin:
            router_id = f"{site.spec.name}-{service.address}"
            found.append(_service_status(site, service, edges, router_id, reachable))
    return tuple(found)


def _edges(answers: RouterAnswers) -> frozenset[str] | None:
    rows = answers.rows("connection")
    if rows is None:
        return None
    return frozenset(str(row.get("container")) for row in rows if row.get("role") == "edge" and _established(row))


def _reachable(answers: RouterAnswers) -> frozenset[str] | None:
    """Addresses that some router of the network has a server for."""
    rows = answers.rows("router.address")
    if rows is None:
        return None
    return frozenset(str(row.get("key") or row.get("name") or "").removeprefix("M") for row in rows if _has_server(row))


def _has_server(row: Mapping[str, Any]) -> bool:
    return any(int(row.get(key) or 0) > 0 for key in ("subscriberCount", "remoteCount"))


def _service_status(
    site: Observation,
    service: Service,
    edges: Iterable[str] | None,
    router_id: str,
    reachable: frozenset[str] | None,
) -> ServiceStatus:
    info = site.service_container(service.address)
    fix = f"podman logs --tail 20 {service.container}; skupper init"
    if info is None:
        return ServiceStatus(service, "failing", f"container {service.container} does not exist", "skupper init")
    if not info.running:
        return ServiceStatus(service, "failing", f"container {info.name} is {_state(info)}", fix)
    if edges is None or reachable is None:
        return ServiceStatus(service, "unknown", "the site's router does not answer", "skupper status")
    if router_id not in edges:
        return ServiceStatus(service, "failing", f"container {info.name} is not connected to the site's router", fix)
    answered = all(f"{service.address}:{port}" in reachable for port in service.ports)
    if answered:
        return ServiceStatus(service, "ok", "reachable", reachable=True)
    return ServiceStatus(
        service,
        "ok",
        "no target anywhere in the network answers for it",
        f"skupper service bind {service.address} host HOST, here or at another site",
        reachable=False,
    )


def read_network_status(site: Observation) -> NetworkStatus:
    """The network as the controller last wrote it.

    Raises:
        NotFoundError: it has not written anything yet. NetworkStatusError: the file is damaged.
    """
    content = site.trees.tree(names.NETWORK_STATUS).read(names.STATUS_FILE)
    if not content:
        raise NotFoundError("Site information is not yet available", f"podman logs --tail 20 {names.CONTROLLER}")
    return NetworkStatus.parse(content)


def network_status(context: Context) -> NetworkStatus:
    """See :meth:`skupper_podman.platform.Platform.network_status`."""
    return read_network_status(context.site())


def incoming_links(context: Context) -> tuple[IncomingLink, ...]:
    """See :meth:`skupper_podman.platform.Platform.incoming_links`."""
    site = context.site()
    assert site.spec is not None
    found = read_network_status(site).incoming_links(site.spec.site_id)
    return tuple(
        IncomingLink(link.site.identity, link.site.name, link.site.namespace) if link.site else IncomingLink("")
        for link in found
    )


def versions(context: Context) -> VersionInfo:
    """See :meth:`skupper_podman.platform.Platform.versions`."""
    try:
        router = context.api.container(names.ROUTER)
        controller = context.api.container(names.CONTROLLER)
    except SkupperError:
        return VersionInfo(SKUPPER_VERSION)
    found = (("transport", router), ("controller", controller))
    images = tuple((label, info.image, info.image_digest) for label, info in found if info is not None)
    return VersionInfo(SKUPPER_VERSION, images)


def _established(connection: Mapping[str, object]) -> bool:
    """Whether the peer has answered: a router that retries shows its attempt as a connection that is not opened."""
    return bool(connection.get("active")) and bool(connection.get("opened", True))
