"""``skupper link status``."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from skupper_podman.cli.render.clean import clean
from skupper_podman.cli.render.columns import tabbed
from skupper_podman.cli.render.status import age
from skupper_podman.model.link import IncomingLink, LinkStatus


def state(status: LinkStatus) -> str:
    """State of a link in words, with the reason where there is one."""
    word = "in an unknown state" if status.state == "unknown" else status.state
    reason = f" ({status.reason})" if status.reason and status.state != "connected" else ""
    return word + reason


def line(status: LinkStatus) -> str:
    """One link in one line. As in 1.9 only what is good (or not known) takes the word ``is``."""
    verb = "" if status.state == "not connected" else "is "
    return clean(f"Link {status.link.name} {verb}{state(status)}")


def advice(status: LinkStatus, now: datetime.datetime | None = None) -> list[str]:
    """Since when a link is not connected, and what to type next; nothing for one that is."""
    if status.state == "connected":
        return []
    lines = []
    if status.since is not None:
        since = status.since.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        lines.append(f"since: {since}{age(since, now) if now else ''}")
    return [*lines, *([clean(f"next: {status.fix}")] if status.fix else [])]


def overview(
    links: Sequence[LinkStatus], incoming: Sequence[IncomingLink] | None, now: datetime.datetime | None = None
) -> str:
    """Both halves of the report; ``incoming`` is None while the network status cannot be read."""
    own = []
    for status in links:
        own += [f"\t {line(status)}", *(f"\t   {text}" for text in advice(status, now))]
    own = own or ["\t There are no links configured or connected"]
    lines = ["", "Links created from this site:", "", *own, ""]
    lines += ["Current links from other sites that are connected:", "", *_incoming(incoming)]
    return "".join(f"{text}\n" for text in lines)


def _incoming(links: Sequence[IncomingLink] | None) -> list[str]:
    if links is None:
        return ["\t Remote link status pending..."]
    lines = [
        f"\t Incoming link from site {clean(link.site_id)} "
        + (f"on namespace {clean(link.namespace)}" if link.namespace else "")
        for link in links
        if link.site_id
    ]
    if any(not link.site_id for link in links):
        lines.append("\t Remote link status pending...")
    return lines or ["\t There are no connected links"]


def details(status: LinkStatus, site: str, namespace: str = "") -> str:
    """One link in rows; ``site`` is ``<site name>-<site id>`` of the local site."""
    words = state(status)
    rows = [
        ("Cost:", str(status.link.cost)),
        ("Created:", created(status.link.created)),
        ("Name:", status.link.name),
        ("Site:", site),
        ("Status:", words[:1].upper() + words[1:]),
    ]
    if namespace:
        rows.insert(3, ("Namespace:", namespace))
    return "\n" + tabbed(rows)


def created(time: datetime.datetime | None) -> str:
    """A time as Go prints it, in UTC; empty if it is not known."""
    if time is None:
        return ""
    universal = time.astimezone(datetime.UTC) if time.tzinfo else time
    return universal.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
