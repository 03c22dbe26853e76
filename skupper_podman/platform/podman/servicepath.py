"""Follows one service from the site's network to its servers, and makes a connection through it.

What always holds: every hop is looked at, also behind one that is broken; the connection that is made sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from skupper_podman.errors import NotFoundError, SkupperError
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.service import Service
from skupper_podman.model.servicepath import Hop, ServicePath
from skupper_podman.model.status import ServiceStatus
from skupper_podman.platform.podman.asking import Questions, RouterAnswers, ask, edge_node
from skupper_podman.platform.podman.containerstatus import examined
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.networkfile import read_network_status
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.servicestatus import (
    TYPES,
    established,
    listener_type,
    router_id,
    servers,
    service_statuses,
    target_ports,
)
from skupper_podman.router.probe import dial

_DIAL_LIMIT = 1.0


def service_path(context: Context, address: str) -> ServicePath:
    """The path of the service; see :meth:`skupper_podman.platform.Platform.service_path`."""
    site = context.site()
    service = next((item for item in site.services if item.address == address), None)
    if service is None:
        known = ", ".join(item.address for item in site.services) or "none"
        raise NotFoundError(f'No such service "{address}"', f"services of this site: {known}")
    node = edge_node(router_id(site, service))
    names = tuple((service.address, port) for port in service.ports)
    asked = Questions(TYPES, {node: listener_type(service)}, tuple(target_ports(service)), talk=names)
    answers = ask(context, site, asked)
    containers = examined(context, site.containers)
    statuses = service_statuses(site, answers, containers)
    status = next(item for item in statuses if item.service.address == address)
    path = _Path(context, site, service, answers, status)
    hops = tuple(path.hops())
    observations = tuple(dict.fromkeys([*path.observations(hops)]))
    return ServicePath(address, service.protocol, service.ports, hops, observations, status.fix if observations else "")


class _Path:
    def __init__(
        self, context: Context, site: Observation, service: Service, answers: RouterAnswers, status: ServiceStatus
    ) -> None:
        self._context = context
        self._site = site
        self._service = service
        self._answers = answers
        self._status = status

    def hops(self) -> Iterator[Hop]:
        yield self._container()
        yield self._uplink()
        yield from self._host_ports()
        yield from self._listeners()
        yield from self._addresses()
        for target in self._status.targets:
            name = f"{target.host}:{target.target_port}"
            yield Hop("target", name, target.health, target.reason or f"open, for port {target.port}")
        yield from self._sites()
        for port in self._service.ports:
            place = f"{self._service.address}:{port}"
            reason = self._answers.talk.get(place)
            if reason is None:
                yield Hop("test", place, "unknown", self._answers.silence or self._answers.problem)
            else:
                yield Hop("test", place, "failing" if reason else "ok", reason or "a connection was taken and held")

    def observations(self, hops: tuple[Hop, ...]) -> Iterator[str]:
        for hop in hops:
            if hop.health != "ok":
                yield f"{hop.kind} {hop.name}: {hop.detail}"
        if self._status.reachable is False:
            yield "There are no egress bindings"

    def _container(self) -> Hop:
        info = self._site.service_container(self._service.address)
        if info is None:
            return Hop("container", self._site.names.service(self._service), "failing", "it does not exist")
        trouble = examined(self._context, {info.name: info}).trouble(info.name)
        if trouble is not None:
            return Hop("container", info.name, "failing", trouble.detail.removeprefix(f"container {info.name} "))
        return Hop("container", info.name, "ok", f"running since {info.started_at}")

    def _uplink(self) -> Hop:
        name = router_id(self._site, self._service)
        rows = self._answers.rows("connection")
        if rows is None:
            return Hop("router", name, "unknown", self._answers.problem)
        row = next((row for row in rows if row.get("container") == name and established(row)), None)
        if row is None:
            return Hop("router", name, "failing", "it is not connected to the site's router")
        said = self._answers.nodes.get(edge_node(name))
        if isinstance(said, str):
            return Hop("router", name, "failing", f"it does not answer: {said}")
        return Hop("router", name, "ok", f"connected from {row.get('host')} for {row.get('uptimeSeconds', '?')} s")

    def _host_ports(self) -> Iterator[Hop]:
        ip = self._service.host_ports.ip or "127.0.0.1"
        for port, host in self._service.host_ports.ports:
            reason = dial(ip, host, _DIAL_LIMIT)
            yield Hop("host-port", f"{ip}:{host}", "failing" if reason else "ok", reason or f"open, for port {port}")

    def _listeners(self) -> Iterator[Hop]:
        rows = self._answers.nodes.get(edge_node(router_id(self._site, self._service)))
        if not isinstance(rows, list):
            return
        by_port = {str(row.get("port")): row for row in rows}
        for port in self._service.ports:
            row = by_port.get(str(port))
            name = f"{self._service.address}:{port}"
            if row is None:
                yield Hop("listener", name, "failing", "the service's router has no listener for it")
            elif row.get("operStatus", "up") == "up":
                opened = row.get("connectionsOpened")
                yield Hop("listener", name, "ok", f"up; {opened} connections so far" if opened is not None else "up")
            elif self._status.reachable is False:
                yield Hop("listener", name, "ok", "it waits until somebody answers for the address")
            else:
                yield Hop("listener", name, "failing", "it is down")

    def _addresses(self) -> Iterator[Hop]:
        found = servers(self._answers)
        for port in self._service.ports:
            name = f"{self._service.address}:{port}"
            if found is None:
                yield Hop("address", name, "unknown", self._answers.problem)
                continue
            here, there = found.get(name, (0, 0))
            detail = f"{here} router(s) here and {there} of other sites answer for it"
            yield Hop("address", name, "ok" if here or there else "failing", detail)

    def _sites(self) -> Iterator[Hop]:
        """What other sites have of the service, as the controller last heard."""
        try:
            network = read_network_status(self._site)
        except SkupperError as error:
            yield Hop("network", "sites", "unknown", error.message)
            return
        yield from _sites_of(network, self._service)


def _sites_of(network: NetworkStatus, service: Service) -> Iterator[Hop]:
    protocols = {address.name: address.protocol for address in network.addresses}
    for port in service.ports:
        name = f"{service.address}:{port}"
        protocol = protocols.get(name, "")
        same = {"http": ("http", "http1"), "http2": ("http2",), "tcp": ("tcp",)}[service.protocol]
        if protocol and protocol not in same:
            detail = f"Mismatched protocol between sites ({service.protocol} != {protocol})"
            yield Hop("network", name, "failing", detail)
        for item in network.service_sites(name):
            who = item.site.name or item.site.identity
            detail = f"{len(item.listeners)} listener(s), {len(item.connectors)} connector(s) for {name}"
            yield Hop("site", who, "ok", detail)
