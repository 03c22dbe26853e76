"""What ``doctor`` says of gateways: those that the site lets in, and those on this host that it lets in no more.

What always holds: only what ended for good is a failure; that a gateway is off is no fault of the site (a laptop may
sleep), so that is a warning.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from skupper_podman.desired.renewal import LATE, SHARE
from skupper_podman.errors import SkupperError
from skupper_podman.files import read_bytes
from skupper_podman.gateway.local import data_directory
from skupper_podman.model.doctor import Finding, Result
from skupper_podman.model.gateway import GatewayStatus
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.gateways import gateway_names, record_in
from skupper_podman.platform.podman.gatewaystatus import gateway_statuses
from skupper_podman.platform.podman.observe import Observation


def gateway_findings(context: Context, site: Observation) -> Iterator[Finding]:
    """A finding for each gateway; none where there are none."""
    try:
        found = gateway_statuses(context)
    except SkupperError as error:
        yield Finding("gateway", "fail", error.message, error.hint)
        return
    for item in found:
        issued = record_in(site, item.record.name)  # its own end is that of the last renewal
        yield _finding(item, issued.validity if issued else datetime.timedelta(), context.now())
    yield from _left_over(context, site)


def _finding(item: GatewayStatus, validity: datetime.timedelta, now: datetime.datetime) -> Finding:
    """``validity`` is how long each credential of the gateway is valid; zero if that is not known."""
    name, left = item.record.name, item.record.expires - now
    if item.problem:
        result: Result = "unknown" if item.connected is None else "fail" if left <= datetime.timedelta() else "warn"
        return Finding("gateway", result, item.problem, item.fix, name)
    at_renewal = validity * (1 - SHARE)
    if left < at_renewal - min(LATE, at_renewal / 4):
        cause = f"its credential ends {item.record.expires:%Y-%m-%d}, and was not renewed"
        fix = "on its host, which says why: ./launch.py --status; else: skupper gateway generate-bundle"
        return Finding("gateway", "warn", cause, fix, name)
    cause = f"connected, generation {item.record.generation}, credential until {item.record.expires:%Y-%m-%d}"
    return Finding("gateway", "ok", cause, "", name)


def _left_over(context: Context, site: Observation) -> Iterator[Finding]:
    """Gateways that are installed here and were deleted at this site: they try to connect for ever."""
    known = set(gateway_names(site))
    site_id = site.spec.site_id if site.spec else ""
    top = data_directory(context.uid, context.env, Path("/nonexistent"))
    for place in sorted([*top.glob("cluster/*"), *top.glob("bundle/*")]):
        if place.name in known or _site_of(place) != site_id:
            continue
        programs = sorted(place.glob("bundles/*/remove.py"))
        fix = f"python3 {quote(str(programs[-1]))}" if programs else f"rm -r {quote(str(place))}"
        cause = "it is installed on this host, but was deleted at this site, which does not let it in"
        yield Finding("gateway", "warn", cause, fix, place.name)


def _site_of(place: Path) -> str:
    try:
        return str(json.loads(read_bytes(place / "state.json") or b"{}").get("site", ""))
    except (SkupperError, ValueError, AttributeError):
        return ""
