"""``skupper service status``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skupper_podman.cli.render.tree import Node, draw
from skupper_podman.model.network import NetworkStatus, ServiceSite
from skupper_podman.model.service import Service
from skupper_podman.model.status import ServiceStatus

NONE_DEFINED = "No services defined\n"


@dataclass(frozen=True, slots=True)
class Options:
    """``--verbose`` and ``--show-labels``; identity and platform of the own site."""

    verbose: bool = False
    show_labels: bool = False
    local_site: str = ""
    local_platform: str = "podman"


def services(statuses: Sequence[ServiceStatus], network: NetworkStatus, options: Options) -> str:
    """The services defined at this site, a line for each port, in the order of the network status."""
    entries = [(status, f"{status.service.address}:{port}") for status in statuses for port in status.service.ports]
    if not entries:
        return NONE_DEFINED
    known = {address.name: (index, address.protocol) for index, address in enumerate(network.addresses)}
    entries.sort(key=lambda entry: known.get(entry[1], (len(known), ""))[0])
    nodes = []
    for status, name in entries:
        protocol = known[name][1] if name in known else ""
        children = _sections(status.service, name, network, options)
        details = {**_limits(status.service, network), **_condition(status)}
        nodes.append(Node(f"{name} ({protocol or status.service.protocol})", details, children))
    return draw(Node("Services exposed through Skupper:", children=tuple(nodes)))


def _limits(service: Service, network: NetworkStatus) -> dict[str, str]:
    """Where the service came from, and whom it is for; nothing for one of this site that is for all."""
    details = {}
    if service.origin:
        found = network.site(service.origin)
        details["from"] = f"{found.site.name}({service.origin})" if found is not None else service.origin
    if service.allowed_sites:
        details["only for"] = ", ".join(service.allowed_sites)
    return details


def _condition(status: ServiceStatus) -> dict[str, str]:
    """Nothing for a service that is well and can be reached, so that its line is that of 1.9."""
    if status.health == "ok" and status.reachable is not False:
        return {}
    if status.health == "ok":
        return {"note": status.detail, "next": status.fix}
    return {"health": f"{status.health}: {status.detail}" if status.detail else status.health, "next": status.fix}


def _sections(service: Service, name: str, network: NetworkStatus, options: Options) -> tuple[Node, ...]:
    sections = []
    if options.verbose:
        sites = network.service_sites(name)
        sections.append(Node("Sites:", children=tuple(_site(service, site, options) for site in sites)))
    if options.show_labels and service.labels:
        labels = tuple(Node(f"{key}={value}") for key, value in sorted(service.labels.items()))
        sections.append(Node("Labels:", children=labels))
    return tuple(section for section in sections if section.children)


def _site(service: Service, item: ServiceSite, options: Options) -> Node:
    site = item.site
    text = f"{site.identity}({site.namespace})" if site.namespace else site.identity
    own = site.identity == options.local_site and options.local_platform == "podman"
    children = _own_sections(service) if own else _targets(item)
    return Node(text, {"policy": site.policy or "-"}, children)


def _targets(item: ServiceSite) -> tuple[Node, ...]:
    targets = tuple(
        Node(f"{connector.address} " + (f"name={connector.target}" if connector.target else ""))
        for connector in item.connectors
    )
    return (Node("Targets:", children=targets),) if targets else ()


def _own_sections(service: Service) -> tuple[Node, ...]:
    sections = []
    if service.host_ports.ports:
        ports = ", ".join(f"{host} -> {port}" for port, host in service.host_ports.ports)
        sections.append(Node("Host ports:", children=(Node(f"ip: {service.host_ports.ip or '*'} - ports: {ports}"),)))
    if service.targets:
        targets = tuple(
            Node(f"host: {target.host} - ports: map[{' '.join(f'{port}:{to}' for port, to in target.ports)}]")
            for target in service.targets
        )
        sections.append(Node("Targets:", children=targets))
    return tuple(sections)
