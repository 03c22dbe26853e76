"""The state of each service: its container, its router, its listeners, its targets here, and who answers for it.

What always holds: ``ok`` means that the service's router is connected to the site's and said so itself, that its
listeners are up where somebody answers, and that every target of this site let itself be connected to just now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from skupper_podman.model.service import Service
from skupper_podman.model.status import Health, ServiceStatus, TargetStatus
from skupper_podman.platform.podman.asking import Questions, RouterAnswers, edge_node
from skupper_podman.platform.podman.containerstatus import Containers
from skupper_podman.platform.podman.observe import Observation

TYPES = ("connection", "router.address")
"""What the site's router is asked for."""
CONNECTION_COLUMNS = ("container", "role", "dir", "host", "active", "opened", "uptimeSeconds")
"""Of connections, what tells who is connected, and of links."""
ADDRESS_COLUMNS = ("key", "name", "subscriberCount", "remoteCount")
"""Of addresses, what :func:`servers` looks at."""
_LISTENER_COLUMNS = ("port", "operStatus")
_COLUMNS = {
    "connection": CONNECTION_COLUMNS,
    "router.address": ADDRESS_COLUMNS,
    "tcpListener": _LISTENER_COLUMNS,
    "httpListener": _LISTENER_COLUMNS,
}
"""These tables have a row for each service, or more."""


def router_id(site: Observation, service: Service) -> str:
    """The id of a service's own router."""
    assert site.spec is not None
    return f"{site.spec.name}-{service.address}"


def listener_type(service: Service) -> str:
    """The entity type of the service's listeners."""
    return "tcpListener" if service.protocol == "tcp" else "httpListener"


def questions(site: Observation) -> Questions:
    """All that must be asked to tell the state of the services."""
    services = site.services
    nodes = {edge_node(router_id(site, service)): listener_type(service) for service in services}
    ports = [place for service in services for place in target_ports(service)]
    return Questions(TYPES, nodes, tuple(dict.fromkeys(ports)), columns=_COLUMNS)


def target_ports(service: Service) -> list[tuple[str, int]]:
    """Hosts and ports of the service's targets here."""
    return [(target.host, to) for target in service.targets for _, to in target.ports]


def service_statuses(
    site: Observation, answers: RouterAnswers, containers: Containers | None = None
) -> tuple[ServiceStatus, ...]:
    """The state of each service of this site."""
    judge = _Judge(site, answers, containers or Containers(site.containers))
    return tuple(replace(judge.status(service), container=site.names.service(service)) for service in site.services)


class _Judge:
    def __init__(self, site: Observation, answers: RouterAnswers, containers: Containers) -> None:
        self._site = site
        self._answers = answers
        self._containers = containers
        self._edges = _edges(answers)
        self._reachable = _reachable(answers)
        label = site.names.address_label
        self._by_address = {info.labels[label]: info for info in site.containers.values() if label in info.labels}

    def status(self, service: Service) -> ServiceStatus:
        info = self._by_address.get(service.address)
        targets = tuple(self._target(*place) for target in service.targets for place in _places(target))
        if info is None:
            return ServiceStatus(
                service,
                "failing",
                f"container {self._site.names.service(service)} does not exist",
                "skupper init",
                targets=targets,
            )
        trouble = self._containers.trouble(info.name)
        if trouble is not None:
            return ServiceStatus(service, "failing", trouble.detail, trouble.fix, None, trouble.since, targets)
        health, detail, fix = self._router(service, info.name)
        if health != "ok":
            return ServiceStatus(service, health, detail, fix, None, "", targets)
        assert self._reachable is not None
        reachable = all(f"{service.address}:{port}" in self._reachable for port in service.ports)
        health, detail, fix = self._judged(service, targets, reachable)
        # Since when a target cannot be reached is not known; only a service that is well has been so since its start.
        since = info.started_at if health == "ok" else ""
        return ServiceStatus(service, health, detail, fix, reachable, since, targets)

    def _router(self, service: Service, container: str) -> tuple[Health, str, str]:
        """Whether the service's router is in the network and answers."""
        fix = f"podman logs --tail 20 {container}; podman restart {container}"
        if self._edges is None or self._reachable is None:
            return "unknown", "the site's router does not answer", "skupper status"
        name = router_id(self._site, service)
        if name not in self._edges:
            assert self._site.spec is not None
            network = self._site.spec.network
            if network not in self._site.containers[container].networks:
                return "failing", f"container {container} is not on network {network}", "skupper init"
            return "failing", f"container {container} is not connected to the site's router", fix
        said = self._answers.nodes.get(edge_node(name))
        if isinstance(said, str):
            return "failing", f"the router in container {container} does not answer: {said}", fix
        return "ok", "", ""

    def _judged(self, service: Service, targets: tuple[TargetStatus, ...], reachable: bool) -> tuple[Health, str, str]:
        closed = [target for target in targets if target.health == "failing"]
        if closed:
            return "failing", _closed(closed, len(targets)), _target_fix(service, closed[0])
        untried = [target for target in targets if target.health == "unknown"]
        if untried:
            reason = f"its targets could not be tried: {untried[0].reason}"
            return "unknown", reason, "skupper status"
        if not reachable and targets:
            fix = f"podman restart {self._site.names.service(service)}"
            return "failing", "its router does not answer for its targets", fix
        if not reachable:
            fix = f"skupper service bind {service.address} host HOST, here or at another site"
            return "ok", "no target anywhere in the network answers for it", fix
        missing = self._listeners_missing(service)
        if missing:
            container = self._site.names.service(service)
            fix = f"podman logs --tail 20 {container}; podman restart {container}"
            return "failing", f"nothing listens on its port {', '.join(map(str, missing))}", fix
        return "ok", "reachable", ""

    def _listeners_missing(self, service: Service) -> list[int]:
        """Ports of the service for which its router has no listener that is up; none where it was not asked."""
        rows = self._answers.nodes.get(edge_node(router_id(self._site, service)))
        if not isinstance(rows, list):
            return []
        up = {str(row.get("port")) for row in rows if row.get("operStatus", "up") == "up"}
        return [port for port in service.ports if str(port) not in up]

    def _target(self, host: str, port: int, to: int) -> TargetStatus:
        reason = self._answers.ports.get(f"{host}:{to}")
        if reason is None:
            return TargetStatus(host, port, to, "unknown", self._answers.silence or "it was not tried")
        return TargetStatus(host, port, to, "failing" if reason else "ok", reason)


def _places(target: Any) -> list[tuple[str, int, int]]:
    return [(target.host, port, to) for port, to in target.ports]


def _closed(closed: list[TargetStatus], count: int) -> str:
    first = closed[0]
    some = f"{len(closed)} of its {count} targets here cannot be reached: " if count > 1 else "its target "
    return f"{some}{first.host}:{first.target_port}: {first.reason}"


def _target_fix(service: Service, target: TargetStatus) -> str:
    if "resolved" in target.reason:
        start = f"start container {target.host} on the site's network"
    else:
        start = f"start what listens on {target.host}:{target.target_port}"
    return f"{start}; or: skupper service unbind {service.address} host {target.host}"


def _edges(answers: RouterAnswers) -> frozenset[str] | None:
    rows = answers.rows("connection")
    if rows is None:
        return None
    return frozenset(str(row.get("container")) for row in rows if row.get("role") == "edge" and established(row))


def _reachable(answers: RouterAnswers) -> frozenset[str] | None:
    """Addresses that some router of the network has a server for."""
    found = servers(answers)
    return None if found is None else frozenset(address for address, counts in found.items() if any(counts))


def servers(answers: RouterAnswers) -> dict[str, tuple[int, int]] | None:
    """How many serve each address: at the site's router, and routers beyond it. None where it was not heard."""
    rows = answers.rows("router.address")
    if rows is None:
        return None
    return {str(row.get("key") or row.get("name") or "").removeprefix("M"): _counts(row) for row in rows}


def _counts(row: Mapping[str, Any]) -> tuple[int, int]:
    return int(row.get("subscriberCount") or 0), int(row.get("remoteCount") or 0)


def established(connection: Mapping[str, object]) -> bool:
    """Whether the peer has answered: a router that retries shows its attempt as a connection that is not opened."""
    return bool(connection.get("active")) and bool(connection.get("opened", True))
