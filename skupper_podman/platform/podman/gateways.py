"""The gateways that a podman site lets in: what it keeps of each.

Records and authorities are in a volume of their own. What always holds: a gateway is let in from the moment its bundle
is written, and by nothing but its own authority.
"""

from __future__ import annotations

from dataclasses import replace

from skupper_podman.desired.gatewayrecords import RECORD_FILE, parse_gateway_record
from skupper_podman.model.gateway import ROUTER_PREFIX, GatewayRecord
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.renewallog import RenewalLog


def records(context: Context) -> tuple[GatewayRecord, ...]:
    """The gateways, by name; see :meth:`skupper_podman.platform.Platform.gateways`."""
    site = context.recent_site()
    found = (record_in(site, name) for name in gateway_names(site))
    return tuple(record for record in found if record is not None)


def gateway_names(site: Observation) -> tuple[str, ...]:
    """The names of all that are let in, also of those whose record is damaged."""
    if site.names.gateways not in site.volumes:
        return ()
    return tuple(sorted(site.trees.tree(site.names.gateways).names()))


def record_in(site: Observation, name: str) -> GatewayRecord | None:
    """The record of a gateway as it was made with its last bundle.

    Raises:
        InvalidError: it is damaged.
    """
    if site.names.gateways not in site.volumes:
        return None
    file = site.trees.file(site.names.gateways, f"{name}/{RECORD_FILE}")
    return parse_gateway_record(name, file.content) if file else None


def as_renewed(site: Observation, record: GatewayRecord) -> GatewayRecord:
    """The record with the end of the credential that the gateway has now: it may have renewed that since."""
    if site.names.claims not in site.volumes:
        return record
    last = RenewalLog(site.trees.tree(site.names.claims)).renewals().get(ROUTER_PREFIX + record.name)
    if last is None or last.until is None or last.time < record.created:
        return record
    return replace(record, expires=last.until)
