"""The state of each link: whether the site at its other end answers through it now, else why not and since when.

What always holds: ``connected`` means that the router has the connection and the router at its other end answered a
question through it, because a connection to a host that vanished stays for a while; the reason is the router's own.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from skupper_podman.desired import names
from skupper_podman.desired.tokens import CLAIM_URL, LinkSecret
from skupper_podman.model.link import Link, LinkStatus
from skupper_podman.platform.podman.asking import Questions, RouterAnswers, peer_node
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.servicestatus import CONNECTION_COLUMNS, established

QUESTIONS: Final = Questions(("connection", "connector"), peers=True, columns={"connection": CONNECTION_COLUMNS})
Clock = Callable[[], datetime.datetime]

_LOG_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d+)? ([+-]\d{4})")
_LOST: Final = re.compile(r"Connection to (\S+) (?:failed|closed)")
_OPENED: Final = re.compile(r"Connection Opened: dir=out host=(\S+) ")


def link_statuses(
    site: Observation, answers: RouterAnswers, now: Clock, log: Callable[[], str] = lambda: ""
) -> tuple[LinkStatus, ...]:
    """The state of each link, by name; ``log`` is the router's, asked for only where a link is not connected."""
    ordered = sorted(site.links, key=lambda link: link.name)
    return tuple(_status(site, secret, answers, now, log) for secret in ordered)


def _status(
    site: Observation, secret: LinkSecret, answers: RouterAnswers, now: Clock, log: Callable[[], str]
) -> LinkStatus:
    assert site.spec is not None
    host, port = secret.endpoint("edge" if site.spec.router_mode == "edge" else "inter-router")
    if secret.kind == names.TOKEN_CLAIM:
        host = secret.annotations.get(CLAIM_URL, "")
    link = Link(secret.name, secret.kind, host, port, secret.cost, secret.peer_site_id, secret.created)
    if secret.kind == names.TOKEN_CLAIM:
        reason = secret.annotations.get("internal.skupper.io/status", "")
        why = f"Failed to redeem claim: {reason}" if reason else "not redeemed"
        return LinkStatus(link, "not connected", why, fix=_renewal(link))
    rows = answers.rows("connection")
    if rows is None:
        return LinkStatus(link, "unknown", answers.problem, fix="skupper status")
    where = f"{host}:{port}"
    for row in rows:
        if row.get("role") in ("inter-router", "edge") and row.get("host") == where and established(row):
            return _connected(link, row, answers, now)
        if row.get("role") == "edge" and row.get("host") == where and row.get("opened") is True:
            # An edge router uses one connection at a time; this one has another link in use.
            return replace(_connected(link, row, answers, now), reason="on standby: another link carries the traffic")
    reason, fix = _why_not(answers, link, where, site.names.router)
    return LinkStatus(link, "not connected", reason, since=_lost_since(log(), where), fix=fix)


def _connected(link: Link, row: Mapping[str, Any], answers: RouterAnswers, now: Clock) -> LinkStatus:
    peer = str(row.get("container") or "")
    said = answers.nodes.get(peer_node(peer))
    since = _since(row, now)
    if isinstance(said, str):
        reason = f"the connection to {link.host}:{link.port} is open, but the router {peer} is silent: {said}"
        return LinkStatus(link, "unknown", reason, peer, None, _at_the_peer(link))
    return LinkStatus(link, "connected", "", peer, since)


def _why_not(answers: RouterAnswers, link: Link, where: str, router: str) -> tuple[str, str]:
    """Why the router has no connection for a link, in its own words where it has some; and what mends it."""
    rows = answers.rows("connector")
    if rows is None:
        return f"the router has no connection to {where}", f"podman logs --tail 20 {router}"
    connector = next((row for row in rows if row.get("name") == link.name), None)
    if connector is None:
        return "the router does not know the link", f"skupper init && podman restart {router}"
    message = str(connector.get("connectionMsg") or "").strip()
    if not message:
        return f"still connecting to {where}", f"skupper link status {link.name} --wait 30"
    certificate = any(word in message.lower() for word in ("certificate", "ssl", "tls", "alert"))
    return f"no connection to {where}: {message}", _renewal(link) if certificate else _at_the_peer(link)


def _renewal(link: Link) -> str:
    """How to get other certificates for the link."""
    return (
        f"at site {link.peer_site_id or link.host}: skupper token create FILE; "
        f"here: skupper link delete {link.name} && skupper link create FILE"
    )


def _at_the_peer(link: Link) -> str:
    return f"at site {link.peer_site_id or link.host}: skupper doctor --fix; on the way: is port {link.port} open?"


def _since(row: Mapping[str, Any], now: Clock) -> datetime.datetime | None:
    """When the connection was made; the router says how many seconds it is up."""
    seconds = row.get("uptimeSeconds")
    if not isinstance(seconds, int | float):
        return None
    return now().astimezone(datetime.UTC).replace(microsecond=0) - datetime.timedelta(seconds=int(seconds))


def _lost_since(log: str, where: str) -> datetime.datetime | None:
    """When the router's log first told of a failure after the last time the connection was opened."""
    found = None
    for line in log.splitlines():
        opened, lost = _OPENED.search(line), _LOST.search(line)
        if opened and opened[1] == where:
            found = None
        elif lost and lost[1] == where and found is None:
            found = _moment(line)
    return found


def _moment(line: str) -> datetime.datetime | None:
    match = _LOG_TIME.search(line)
    if match is None:
        return None
    return datetime.datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3]}").astimezone(datetime.UTC)
