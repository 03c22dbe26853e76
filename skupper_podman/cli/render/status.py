"""``skupper status``: 1.9's sentence when every probe is well, else what is wrong, since when, and what to do."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from skupper_podman.cli.render.columns import padded
from skupper_podman.model.network import Connections
from skupper_podman.model.status import Probe, SiteStatus


@dataclass(frozen=True, slots=True)
class Report:
    """What ``status`` looked at. ``connections`` is None while the network status does not know the site.

    ``console_url`` and ``credentials`` are empty without a console; ``policy`` is empty on Podman.
    """

    site: SiteStatus
    connections: Connections | None
    where: str = ""
    platform: str = "podman"
    policy: str = ""
    console_url: str = ""
    credentials: str = ""


def sentence(report: Report) -> str:
    """The report in one line (and console lines, and advice), for a site that is well."""
    site = report.site
    where = report.where or f'"{site.user}"' + _in_namespace(site)
    plain = where.rpartition(" ")[2].strip('"')
    name = f' with site name "{site.name}"' if site.name and site.name != plain else ""
    policies = " (with policies)" if report.policy == "enabled" else ""
    text = f"Skupper is enabled for {where}{name}{policies}.{_connected(report.connections)}{_exposed(site.services)}\n"
    return text + _console(report) + _advice(site)


def _in_namespace(site: SiteStatus) -> str:
    return f' in namespace "{site.namespace}"' if site.namespace else ""


def _advice(site: SiteStatus) -> str:
    """What a user may want to know although all is well here: a service nobody in the network answers for."""
    lines = []
    for probe in site.probes:
        if probe.health == "ok" and probe.fix:
            lines += [f"note: {probe.name}: {probe.detail}\n", f"      next: {probe.fix}\n"]
    return "".join(lines)


def _connected(connections: Connections | None) -> str:
    if connections is None:
        return " Its connections are not known yet."
    if connections.total == 0:
        return " It is not connected to any other sites."
    if connections.total == 1:
        return " It is connected to 1 other site."
    indirect = f" ({connections.indirect} indirectly)" if connections.indirect else ""
    return f" It is connected to {connections.total} other sites{indirect}."


def _exposed(services: int) -> str:
    if services == 0:
        return " It has no exposed services."
    return " It has 1 exposed service." if services == 1 else f" It has {services} exposed services."


def _console(report: Report) -> str:
    text = f"The site console url is: {report.console_url}\n" if report.console_url else ""
    if report.console_url and report.credentials:
        kind = "podman volume" if report.platform == "podman" else "secret"
        text += f"The credentials for internal console-auth mode are held in {kind}: {report.credentials}\n"
    return text


def verbose(report: Report) -> str:
    """The report in two columns."""
    site, connections = report.site, report.connections
    where = report.where.rpartition(" ")[2].strip('"') if report.where else site.user
    rows = [
        (f"{report.platform}:", where),
        *([("namespace:", site.namespace)] if site.namespace else []),
        ("mode:", site.router_mode),
        ("site name:", site.name),
        ("policies:", report.policy),
        ("total connections:", _count(connections, "total")),
        ("direct connections:", _count(connections, "direct")),
        ("indirect connections:", _count(connections, "indirect")),
        ("exposed services:", str(site.services)),
    ]
    if report.console_url:
        rows.append(("site console url:", report.console_url))
        if report.credentials:
            rows.append(("credentials:", report.credentials))
    return padded(rows)


def _count(connections: Connections | None, which: str) -> str:
    return "unknown" if connections is None else str(getattr(connections, which))


def unhealthy(site: SiteStatus, now: datetime.datetime) -> str:
    """What is wrong with the site: one line that says so, then each probe that failed or could not be made."""
    verdict = "is not healthy" if site.health == "failing" else "may not be healthy: not all of it could be checked"
    owner = f'of user "{site.user}"' + _in_namespace(site)
    named = f'"{site.name}" {owner}' if site.name else owner
    lines = [f"The Skupper site {named} {verdict}."]
    order = {"failing": 0, "unknown": 1}
    for probe in sorted((item for item in site.probes if item.health != "ok"), key=lambda item: order[item.health]):
        lines += probe_lines(probe, now)
    if not site.probes:
        lines.append("unknown: nothing could be checked")
    return "".join(f"{line}\n" for line in lines)


def probe_lines(probe: Probe, now: datetime.datetime) -> list[str]:
    """A probe that is not well: what, why, since when; then the command that mends it."""
    detail = f": {probe.detail}" if probe.detail else ""
    since = f" (since {probe.since}{age(probe.since, now)})" if probe.since else ""
    lines = [f"  {probe.health:<7}  {probe.name}{detail}{since}"]
    if probe.fix:
        lines.append(f"           next: {probe.fix}")
    return lines


def age(since: str, now: datetime.datetime) -> str:
    """``, 3m12s ago`` for an RFC 3339 time in the past; empty if it cannot be told."""
    try:
        started = datetime.datetime.fromisoformat(since)
        seconds = int((now - started).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return ""
    return f", {elapsed(seconds)} ago" if seconds >= 0 else ""


def elapsed(seconds: int) -> str:
    """A span in its two largest units: ``12s``, ``3m12s``, ``5h3m``, ``2d4h``."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour}h"
    if hours:
        return f"{hours}h{minute}m"
    return f"{minutes}m{second}s" if minutes else f"{second}s"
