"""How the gateways of a site are, as far as the site can see: the link, the version, the credential's end."""

from __future__ import annotations

import datetime

from skupper_podman.errors import InvalidError, SkupperError
from skupper_podman.model.gateway import GatewayStatus
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.asking import Questions, ask
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.gatewayrevoke import is_link_of
from skupper_podman.platform.podman.gateways import as_renewed, gateway_names, record_in
from skupper_podman.platform.podman.observe import Observation


def gateway_statuses(context: Context) -> tuple[GatewayStatus, ...]:
    """The gateways as they are now; see :meth:`skupper_podman.platform.Platform.gateway_status`."""
    site = context.site((context.names.router,))
    found = gateway_names(site)
    if not found:
        return ()
    answers = ask(context, site, Questions(types=("connection",)))
    rows = answers.rows("connection")
    return tuple(_status(site, name, rows, answers.problem, context.now()) for name in found)


def _status(
    site: Observation, name: str, rows: live.Rows | None, silence: str, now: datetime.datetime
) -> GatewayStatus:
    try:
        record = record_in(site, name)
        damage = "" if record else "it has no record"
    except SkupperError as error:
        record, damage = None, error.message
    if record is None:
        raise InvalidError(f"gateway {name}: {damage}", f"to remove it: skupper gateway delete {name}")
    record = as_renewed(site, record)
    if rows is None:
        return GatewayStatus(record, None, problem=f"the router does not say: {silence}")
    links = [row for row in rows if is_link_of(row, name)]
    problem = ""
    if record.expires <= now:
        problem = f"its credential expired {record.expires:%Y-%m-%d}"
    if not links:
        return GatewayStatus(record, False, problem=problem or "it is not connected")
    row = links[0]
    properties = row.get("properties")
    version = str(properties.get("version", "")) if isinstance(properties, dict) else ""
    uptime = row.get("uptimeSeconds")
    since = float(uptime) if isinstance(uptime, int | float) else None
    return GatewayStatus(record, True, version, since, str(row.get("host") or ""), problem)
