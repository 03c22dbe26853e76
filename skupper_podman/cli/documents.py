"""The ``data`` of every kind of result: model values as JSON objects with stable keys.

What always holds: the functions are pure, they put nothing secret into a document, and times are RFC 3339 in UTC.

=================  ==================================================================================================
kind               keys of ``data``
=================  ==================================================================================================
``SiteStatus``     ``user``, ``namespace`` (of the site among the user's; may be empty), ``site`` {name, id, mode,
                   version, network}, ``router`` {kind, image}, ``services``,
                   ``health`` (``ok``, ``failing`` or ``unknown``), ``connections`` {total, direct, indirect} or null,
                   ``probes`` [{name, health, detail, since, fix}], ``certificates`` as below
``Certificates``   ``certificates`` [{name, kind (``authority``, ``credential``, ``link`` or ``service``), problem, fix,
                   subject, issuer, hosts, notBefore, notAfter, renewsAt (null: not by the site), late, predecessors}]
``LinkStatus``     ``links`` [{name, type, state, reason, host, port, cost, peerSite, peer, created, since, fix}],
                   ``incoming`` [{siteId, siteName, namespace}] or null while it is not known
``ServiceStatus``  ``services`` [{address, protocol, ports, health, detail, fix, since, reachable, container, labels,
                   tls, origin, originSite, allowedSites, targets [{host, ports}],
                   targetStatus [{host, port, targetPort, health, reason}],
                   hostPorts {ip, ports}, sites [{id, name, namespace, address,
                   listeners, connectors [{host, port, target}]}]}]
``NetworkStatus``  ``sites`` [{id, name, namespace, platform, version, local, policy, linkedSites [{id, name, direction,
                   routers}], routers [{id, mode, imageName, imageVersion, links [{peer, cost, direction}]}]}],
                   ``addresses`` [{name, protocol, listeners, connectors}], ``gateways`` as in ``GatewayStatus``
``TokenStatus``    ``name``, ``file``, ``type`` (``claim`` or ``cert``), ``version``, ``local``, ``generatedBy``,
                   ``expiry``, ``expired``, ``endpoints`` [{role, host, port}], ``url``, ``fingerprint``, ``uses``,
                   ``state`` (``valid``, ``expired``, ``used up``, ``revoked``, ``damaged``; ``unknown`` for a claim of
                   another site), ``claimsMade``, ``claimsRemaining``, ``checks`` [{name, ok, detail}]
``TokenList``      ``tokens`` [{name, state, created, claimExpiration, claimsMade, claimsRemaining, host}]
``Doctor``         ``checks`` [{id, group, title, result (``ok``, ``warn``, ``fail``, ``unknown`` or ``skipped``),
                   subject, cause, fix, remedy, since}], ``summary`` {ok, warn, fail, unknown, skipped},
                   ``remedies`` [{remedy, title, steps, error}]: what ``--fix`` did, or would do
``Dump``           ``file``, ``members``, ``errors`` [TEXT]
``Events``         ``groups`` [{name, total, counts [{message, count, last_occurrence}], last_occurrence}], as in 1.9
``ServicePath``    ``address``, ``protocol``, ``ports``, ``hops`` [{kind, name, health, detail}],
                   ``observations`` [TEXT], ``fix``
``Version``        ``client``, ``program`` {name, version}, ``platform``, ``enabled``,
                   ``images`` [{name, image, digest}]
``Units``          ``unitKind`` (``unit`` or ``quadlet``), ``reason``, ``directory`` (where they take effect), ``files``
                   [{name, content}], ``commands``, ``written`` (paths; with ``--output-directory``)
``Platform``       ``platform``, ``origin``, ``previous``
``Plan``           ``title``, ``wouldChange``, ``steps`` [{verb, what, detail}], ``facts``
``Site``           ``action`` (``created``, ``repaired``, ``changed``, ``updated``, ``revoked``, ``unchanged`` or
                   ``deleted``), ``user``, ``namespace``, ``facts`` (``changes``: options that change; ``ahead``:
                   what is cut off)
``Apply``          ``items`` [{kind (``site``, ``service`` or ``link``), name, action (``created``, ``changed``,
                   ``deleted`` or ``unchanged``)}], ``facts``
``Export``         ``file`` or null, ``documents`` (as in the file), ``secrets``
``Certificate``    ``action`` (``renewed``, ``rotated``, ``retired`` or ``unchanged``), ``facts`` (``renewed``: names)
``Link``           ``action`` (``created``, ``replaced``, ``updated``, ``unchanged`` or ``deleted``), ``name``,
                   ``facts``
``Service``        ``action`` (``created``, ``deleted``, ``bound``, ``unbound``, ``exposed``, ``unexposed``,
                   ``labelled``, ``limited`` or ``unchanged``), ``address``, ``facts``
``ServiceLabels``  ``address``, ``labels``
``ServiceSites``   ``address``, ``allowedSites`` (names or ids; none for every site)
``Token``          ``action`` (``created`` or ``revoked``), ``file``, ``name``, ``type`` (``claim`` or ``cert``),
                   ``facts``
``GatewayStatus``  ``gateways`` [{name, kind (``local`` or ``bundle``), type, generation, version, connected (null
                   while it is not known), address, uptimeSeconds, created, expires, daysLeft, site {host, port},
                   problem, fix, forwards [{name, address, protocol, host, port}], bindings [{..., answers (null
                   where it cannot be known from here)}]}]
``Gateway``        ``action`` (``bundled``, ``created``, ``changed``, ``deleted``, ``exported``, ``bound``, ``unbound``,
                   ``forwarded``, ``unforwarded``, ``exposed`` or ``unexposed``), ``name``, ``file`` or ``address``,
                   ``facts``
``Manifest``       ``file``, ``images`` [{name, repository}], ``variables``
``Manual``         ``directory``, ``files``
=================  ==================================================================================================

``facts`` are the values a plan chose: names, hosts, ports, the router and why, ``notes``.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence

from skupper_podman.cli.result import Json
from skupper_podman.model.certificate import Certificate
from skupper_podman.model.doctor import BY_ID, Finding
from skupper_podman.model.events import EventGroup
from skupper_podman.model.gateway import GatewayStatus
from skupper_podman.model.link import Claim, IncomingLink, LinkStatus
from skupper_podman.model.network import Connections, NetworkStatus, ServiceSite
from skupper_podman.model.networkrecords import SiteStatus
from skupper_podman.model.service import Service
from skupper_podman.model.servicepath import ServicePath
from skupper_podman.model.status import Probe, ServiceStatus
from skupper_podman.model.status import SiteStatus as LocalSiteStatus
from skupper_podman.model.units import SiteUnits
from skupper_podman.plan import Plan


def timestamp(time: datetime.datetime | None) -> str | None:
    """A time as RFC 3339 in UTC, None if it is not known."""
    if time is None:
        return None
    universal = time.astimezone(datetime.UTC) if time.tzinfo else time.replace(tzinfo=datetime.UTC)
    return universal.isoformat().replace("+00:00", "Z")


def site_status(status: LocalSiteStatus, connections: Connections | None) -> dict[str, Json]:
    """Data of ``SiteStatus``."""
    return {
        "user": status.user,
        "namespace": status.namespace,
        "site": {
            "name": status.name,
            "id": status.site_id,
            "mode": status.router_mode,
            "version": status.version,
            "network": status.network,
        },
        "router": {"kind": status.router_kind, "image": status.image},
        "services": status.services,
        "health": status.health,
        "connections": None if connections is None else _connections(connections),
        "probes": [probe(item) for item in status.probes],
        "certificates": certificates(status.certificates)["certificates"],
    }


def certificates(found: Sequence[Certificate]) -> dict[str, Json]:
    """Data of ``Certificates``."""
    return {
        "certificates": [
            {
                "name": item.name,
                "kind": item.kind,
                "problem": item.problem,
                "fix": item.fix,
                "subject": item.subject,
                "issuer": item.issuer,
                "hosts": list(item.hosts),
                "notBefore": timestamp(item.not_before),
                "notAfter": timestamp(item.not_after),
                "renewsAt": timestamp(item.renews_at),
                "late": item.late,
                "predecessors": item.predecessors,
            }
            for item in found
        ]
    }


def _connections(connections: Connections) -> dict[str, Json]:
    return {"total": connections.total, "direct": connections.direct, "indirect": connections.indirect}


def probe(item: Probe) -> dict[str, Json]:
    """One probe."""
    return {
        "name": item.name,
        "health": item.health,
        "detail": item.detail,
        "since": item.since or None,
        "fix": item.fix,
    }


def doctor(findings: Sequence[Finding]) -> dict[str, Json]:
    """Data of ``Doctor``, without what was mended."""
    counts = Counter(finding.result for finding in findings)
    return {
        "checks": [
            {
                "id": finding.check,
                "group": BY_ID[finding.check].group,
                "title": BY_ID[finding.check].title,
                "result": finding.result,
                "subject": finding.subject,
                "cause": finding.cause,
                "fix": finding.fix,
                "remedy": finding.remedy,
                "since": finding.since or None,
            }
            for finding in findings
        ],
        "summary": {result: counts[result] for result in ("ok", "warn", "fail", "unknown", "skipped")},
    }


def events(groups: Sequence[EventGroup]) -> dict[str, Json]:
    """Data of ``Events``; each group as 1.9 shows it."""
    return {
        "groups": [
            {
                "name": group.name,
                "total": group.total,
                "counts": [
                    {"message": count.message, "count": count.count, "last_occurrence": timestamp(count.last)}
                    for count in group.counts
                ],
                "last_occurrence": timestamp(group.last),
            }
            for group in groups
        ]
    }


def service_path(path: ServicePath) -> dict[str, Json]:
    """Data of ``ServicePath``."""
    return {
        "address": path.address,
        "protocol": path.protocol,
        "ports": list[Json](path.ports),
        "hops": [{"kind": hop.kind, "name": hop.name, "health": hop.health, "detail": hop.detail} for hop in path.hops],
        "observations": list[Json](path.observations),
        "fix": path.fix,
    }


def link_status(links: Sequence[LinkStatus], incoming: Sequence[IncomingLink] | None) -> dict[str, Json]:
    """Data of ``LinkStatus``."""
    return {
        "links": [_link(status) for status in links],
        "incoming": None
        if incoming is None
        else [
            {"siteId": link.site_id or None, "siteName": link.site_name, "namespace": link.namespace}
            for link in incoming
        ],
    }


def _link(status: LinkStatus) -> dict[str, Json]:
    link = status.link
    return {
        "name": link.name,
        "type": "claim" if link.kind == "token-claim" else "cert",
        "state": status.state,
        "reason": status.reason,
        "host": link.host,
        "port": link.port,
        "cost": link.cost,
        "peerSite": link.peer_site_id,
        "peer": status.peer,
        "created": timestamp(link.created),
        "since": timestamp(status.since),
        "fix": status.fix,
    }


def service_status(statuses: Sequence[ServiceStatus], network: NetworkStatus) -> dict[str, Json]:
    """Data of ``ServiceStatus``."""
    return {"services": [_service_status(status, network) for status in statuses]}


def _service_status(status: ServiceStatus, network: NetworkStatus) -> dict[str, Json]:
    service = status.service
    sites = [
        _service_site(site, f"{service.address}:{port}")
        for port in service.ports
        for site in network.service_sites(f"{service.address}:{port}")
    ]
    return {
        **_service(service),
        "container": status.container or service.address,
        "originSite": site_name(network, service.origin) if service.origin else None,
        "health": status.health,
        "detail": status.detail,
        "fix": status.fix,
        "reachable": status.reachable,
        "since": status.since or None,
        "targetStatus": [
            {
                "host": target.host,
                "port": target.port,
                "targetPort": target.target_port,
                "health": target.health,
                "reason": target.reason,
            }
            for target in status.targets
        ],
        "sites": list[Json](sites),
    }


def _service(service: Service) -> dict[str, Json]:
    return {
        "address": service.address,
        "protocol": service.protocol,
        "ports": list[Json](service.ports),
        "labels": dict[str, Json](service.labels),
        "tls": bool(service.tls_credentials),
        "origin": service.origin,
        "allowedSites": list[Json](service.allowed_sites),
        "targets": [{"host": target.host, "ports": _ports(target.ports)} for target in service.targets],
        "hostPorts": {"ip": service.host_ports.ip, "ports": _ports(service.host_ports.ports)},
    }


def site_name(network: NetworkStatus, identity: str) -> str | None:
    """The name of a site; None while the network does not know it."""
    found = network.site(identity)
    return found.site.name if found is not None else None


def _ports(ports: tuple[tuple[int, int], ...]) -> dict[str, Json]:
    return {str(port): to for port, to in ports}


def _service_site(item: ServiceSite, address: str) -> dict[str, Json]:
    return {
        "id": item.site.identity,
        "name": item.site.name,
        "namespace": item.site.namespace,
        "address": address,
        "listeners": len(item.listeners),
        "connectors": [
            {"host": connector.host, "port": connector.port, "target": connector.target}
            for connector in item.connectors
        ],
    }


def network_status(status: NetworkStatus, sites: Sequence[SiteStatus], local_site: str) -> dict[str, Json]:
    """Data of ``NetworkStatus``: the given sites, and every address."""
    return {
        "sites": [_site(status, site, local_site) for site in sites],
        "addresses": [
            {
                "name": address.name,
                "protocol": address.protocol,
                "listeners": address.listener_count,
                "connectors": address.connector_count,
            }
            for address in status.addresses
        ],
    }


def _site(status: NetworkStatus, item: SiteStatus, local_site: str) -> dict[str, Json]:
    site = item.site
    return {
        "id": site.identity,
        "name": site.name,
        "namespace": site.namespace,
        "platform": site.platform,
        "version": site.version,
        "local": site.identity == local_site,
        "policy": site.policy,
        "linkedSites": [
            {
                "id": linked.site.identity if linked.site else None,
                "name": linked.site.name if linked.site else None,
                "direction": linked.direction,
                "routers": list[Json](linked.routers),
            }
            for linked in status.linked_sites(site.identity)
        ],
        "routers": [
            {
                "id": router.router.id,
                "mode": router.router.mode,
                "imageName": router.router.image_name,
                "imageVersion": router.router.image_version,
                "links": [
                    {"peer": link.peer, "cost": link.cost, "direction": link.direction}
                    for link in status.links_to_other_sites(router)
                ],
            }
            for router in item.displayable_routers
        ],
    }


def token_list(claims: Sequence[Claim], now: datetime.datetime) -> dict[str, Json]:
    """Data of ``TokenList``; None stands for no limit."""
    return {
        "tokens": [
            {
                "name": claim.name,
                "state": claim.state(now),
                "created": timestamp(claim.created),
                "claimExpiration": timestamp(claim.expires),
                "claimsMade": claim.made,
                "claimsRemaining": claim.remaining,
                "host": claim.host,
            }
            for claim in claims
        ]
    }


def gateways(found: Sequence[GatewayStatus], now: datetime.datetime) -> dict[str, Json]:
    """The data of ``GatewayStatus``."""
    return {"gateways": [_gateway(item, now) for item in found]}


def _gateway(item: GatewayStatus, now: datetime.datetime) -> dict[str, Json]:
    record = item.record
    return {
        "name": record.name,
        "kind": record.kind,
        "type": record.type or None,
        "generation": record.generation,
        "version": item.version or None,
        "connected": item.connected,
        "address": item.address or None,
        "uptimeSeconds": item.since,
        "created": timestamp(record.created),
        "expires": timestamp(record.expires),
        "daysLeft": (record.expires - now).days,
        "site": {"host": record.edge_host, "port": record.edge_port},
        "problem": item.problem or None,
        "fix": item.fix or None,
        "bindings": [
            {**bridge.facts, "answers": item.targets.get(bridge.name)} for bridge in record.definition.bindings
        ],
        "forwards": [{**bridge.facts} for bridge in record.definition.forwards],
    }


def units(item: SiteUnits, written: Sequence[str] = ()) -> dict[str, Json]:
    """Data of ``Units``."""
    return {
        "unitKind": item.kind,
        "reason": item.reason,
        "directory": item.directory,
        "files": [{"name": file.name, "content": file.content} for file in item.files],
        "commands": list[Json](item.commands),
        "written": list[Json](written),
    }


def plan(item: Plan) -> dict[str, Json]:
    """Data of ``Plan``."""
    return {
        "title": item.title,
        "wouldChange": item.changed,
        "steps": [{"verb": step.verb, "what": step.what, "detail": step.detail} for step in item.steps],
        "facts": facts(item.facts),
    }


def facts(values: Mapping[str, object]) -> dict[str, Json]:
    """The facts of a plan that JSON can say; its warnings are in the envelope."""
    return {key: plain(value) for key, value in values.items() if key != "warnings"}


def plain(value: object) -> Json:
    """``value`` as JSON: text, numbers, booleans, lists and objects of them; of anything else the text it prints as."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        return None  # whatever it is, it may be a secret
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return str(value)
