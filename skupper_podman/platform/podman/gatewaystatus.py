"""How the gateways of a site are, as far as the site can see.

The link, the version and the end of the credential; whether the gateway's router carries what its last bundle says, by
the router's own word; and of a target, whether a connection to its service is kept up, where nobody else serves that.
What always holds: what cannot be known is not told as well or ill; a gateway that does not answer hides no other.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from skupper_podman.errors import InvalidError, SkupperError
from skupper_podman.model.gateway import Bridge, GatewayRecord, GatewayStatus
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.asking import Questions, RouterAnswers, ask, edge_node
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.gatewayrevoke import is_link_of
from skupper_podman.platform.podman.gateways import as_renewed, gateway_names, record_in
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.servicestatus import ADDRESS_COLUMNS, servers

_CONNECTORS: Final = ("tcpConnector", "httpConnector")
_LISTENERS: Final = ("tcpListener", "httpListener")
_COLUMNS: Final = {"router.address": ADDRESS_COLUMNS}


def gateway_statuses(context: Context, *, targets: bool = True) -> tuple[GatewayStatus, ...]:
    """The gateways as they are now; see :meth:`skupper_podman.platform.Platform.gateway_status`."""
    site = context.partial_site()
    found = [as_renewed(site, _record(site, name)) for name in gateway_names(site)]
    if not found:
        return ()
    talk = _places(site, found) if targets else ()
    types = ("connection", "router.address") if targets else ("connection",)
    answers = ask(context, site, Questions(types, talk=talk, columns=_COLUMNS))
    now = context.now()
    seen = [_linked(site, record, answers, now) for record in found]
    if targets:
        seen = _carried(context, site, seen)
        alone = {address for address, counts in (servers(answers) or {}).items() if sum(counts) == 1}
        seen = [_with_targets(item, answers.talk, alone) for item in seen]
    return tuple(item.status for item in seen)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A status on its way; ``router`` is the id of the gateway's router, empty while it is not connected."""

    status: GatewayStatus
    router: str = ""

    def with_problem(self, problem: str, fix: str) -> _Seen:
        """With this to tell, if there is nothing worse."""
        if self.status.problem:
            return self
        return replace(self, status=replace(self.status, problem=problem, fix=fix))


def _record(site: Observation, name: str) -> GatewayRecord:
    try:
        record = record_in(site, name)
        damage = "it has no record"
    except SkupperError as error:
        record, damage = None, error.message
    if record is None:
        raise InvalidError(f"gateway {name}: {damage}", f"to remove it: skupper gateway delete {name}")
    return record


def _linked(site: Observation, record: GatewayRecord, answers: RouterAnswers, now: datetime.datetime) -> _Seen:
    """What the site's router says of its connection, and what the record says of the credential."""
    rows = answers.rows("connection")
    if rows is None:
        return _Seen(GatewayStatus(record, None, problem=f"the router does not say: {answers.problem}"))
    problem, fix = _outdated(site, record, now)
    row = next((row for row in rows if is_link_of(row, record.name)), None)
    if row is None:
        if record.awaits_launch and not problem:
            problem, fix = f"its bundle is to be launched until {record.expires:%Y-%m-%d %H:%M} UTC", "launch it"
        fix = fix or "look at it on its host: ./launch.py --status"
        return _Seen(GatewayStatus(record, False, problem=problem or "it is not connected", fix=fix))
    properties = row.get("properties")
    version = str(properties.get("version", "")) if isinstance(properties, dict) else ""
    uptime = row.get("uptimeSeconds")
    since = float(uptime) if isinstance(uptime, int | float) else None
    status = GatewayStatus(record, True, version, since, str(row.get("host") or ""), problem, fix)
    return _Seen(status, str(row.get("container") or ""))


def _outdated(site: Observation, record: GatewayRecord, now: datetime.datetime) -> tuple[str, str]:
    """What of the last bundle is of no use any more, and how to mend it; empty texts if all is."""
    fresh = _next(record)
    if record.expires <= now and record.awaits_launch:
        return f"its bundle was not launched until {record.expires:%Y-%m-%d %H:%M} UTC", fresh
    if record.expires <= now:
        return f"its credential expired {record.expires:%Y-%m-%d}", fresh
    spec = site.spec
    if spec is not None and record.edge_host not in spec.ingress_hosts:
        hosts = ", ".join(spec.ingress_hosts) or "nowhere"
        return f"its bundle leads to {record.edge_host}, but this site is reached at {hosts}", fresh
    return "", ""


def _next(record: GatewayRecord) -> str:
    if record.kind == "local":
        return f"skupper gateway init --type {record.type} --name {record.name}"
    return "launch its next bundle there: skupper gateway generate-bundle"


def _carried(context: Context, site: Observation, seen: list[_Seen]) -> list[_Seen]:
    """Compare what the routers of connected gateways carry with what their last bundles say."""
    tables = tuple(
        (edge_node(item.router), kind) for item in seen if item.router for kind in (*_CONNECTORS, *_LISTENERS)
    )
    if not tables:
        return seen
    heard = ask(context, site, Questions((), tables=tables)).tables
    return [_compared(item, heard) if item.router else item for item in seen]


def _compared(item: _Seen, heard: Mapping[tuple[str, str], live.Rows | str]) -> _Seen:
    record, node = item.status.record, edge_node(item.router)
    found: set[tuple[str, ...]] = set()
    for kind in (*_CONNECTORS, *_LISTENERS):
        rows = heard.get((node, kind))
        if not isinstance(rows, list):
            return item  # a router of another kind may not have the type, or does not answer: that is no finding
        found |= {_row(row, target=kind in _CONNECTORS) for row in rows}
    definition = record.definition
    wanted = {_bridge(bridge, target=True) for bridge in definition.bindings}
    wanted |= {_bridge(bridge, target=False) for bridge in definition.forwards}
    if found == wanted:
        return item
    missing = sorted(name for name, *_rest in wanted - found)
    what = f"it does not carry {', '.join(missing)} yet" if missing else "it carries more than its last bundle says"
    problem = f"it is older than generation {record.generation}, which was issued: {what}"
    return item.with_problem(problem, f"launch generation {record.generation} there")


def _bridge(bridge: Bridge, *, target: bool) -> tuple[str, ...]:
    # A forward may listen elsewhere: --auto-port.
    return (bridge.name, bridge.address, *((bridge.host, str(bridge.port)) if target else ()))


def _row(row: Mapping[str, object], *, target: bool) -> tuple[str, ...]:
    keys = ("name", "address", *(("host", "port") if target else ()))
    return tuple(str(row.get(key) or "") for key in keys)


def _places(site: Observation, records: list[GatewayRecord]) -> tuple[tuple[str, int], ...]:
    """The services of this site by which targets can be tried: those that carry plain connections."""
    found: dict[tuple[str, int], None] = {}
    for bridge in (bridge for record in records for bridge in record.definition.bindings):
        service = site.service(bridge.service)
        if service is not None and service.listens and bridge.protocol == service.protocol == "tcp":
            found[(bridge.service, bridge.service_port)] = None
    return tuple(found)


def _with_targets(item: _Seen, talk: Mapping[str, str], alone: Collection[str]) -> _Seen:
    """Tell of each target what can be told: whether it answers is known of addresses that one server ``alone`` has."""
    if not item.router:
        return item
    found: dict[str, bool] = {}
    for bridge in item.status.record.definition.bindings:
        reason = talk.get(bridge.address)
        if reason is not None and bridge.address in alone:
            found[bridge.name] = not reason
    item = replace(item, status=replace(item.status, targets=found))
    silent = [bridge for bridge in item.status.record.definition.bindings if found.get(bridge.name) is False]
    if not silent:
        return item
    places = ", ".join(f"{bridge.host}:{bridge.port} for {bridge.address}" for bridge in silent)
    return item.with_problem(f"what it leads to does not answer: {places}", "start it on the gateway's host")
