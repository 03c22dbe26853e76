"""``link create``, ``link delete`` and ``link status``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from skupper_podman.cli import documents
from skupper_podman.cli.argv import at_most, exactly
from skupper_podman.cli.flags import flag
from skupper_podman.cli.govalues import ValueSyntaxError, parse_int
from skupper_podman.cli.render import links as render
from skupper_podman.cli.result import Json, Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.tokenfile import read_token
from skupper_podman.cli.typed import command, new_app
from skupper_podman.cli.waiting import Outcome as WaitOutcome
from skupper_podman.cli.waiting import timeout_flag, wait
from skupper_podman.errors import NotFoundError, SkupperError, UsageError
from skupper_podman.model.link import IncomingLink, LinkStatus
from skupper_podman.platform import Platform

app = new_app()

_POLL: Final = 1.0
"""Seconds between two looks of ``--wait``."""


@dataclass(frozen=True, slots=True)
class Create:
    """Flags of ``link create``."""

    cost: int = flag("cost", "int32", "Specify a cost for this link.", default=1)
    name: str = flag("name", "string", "Provide a specific name for the link (used when deleting it)")
    replace: bool = flag("replace", "bool", "Put this link in the place of the one to the same site, if there is one")


@command(app, "link create", Create, usage="<input-token-file>", rule=exactly(1), changes=True)
def create(session: Session, options: Create, arguments: tuple[str, ...]) -> Result:
    """Links this skupper site to the site that issued the token

    Before anything is changed the token is checked, in this order: its fields, expiry, that it is another site's, that
    there is no link to that site, DNS, TCP, TLS; then a claim is redeemed. A router that cannot be reached now is only
    a warning: the link is made when it can.
    """
    token = read_token(Path(arguments[0]))
    # Without the flag the token itself may ask for a cost.
    cost = options.cost if "cost" in session.given else None
    if options.cost < 1:
        raise UsageError(f"invalid link cost {options.cost}: it must be at least 1")
    plan = session.plan(lambda platform: platform.plan_link_create(token, options.name, cost, replace=options.replace))

    def text(facts: Mapping[str, object]) -> str:
        where = facts.get("url") or f"{facts.get('host', '')}:{facts.get('port', '')}"
        name = facts.get("name", options.name)
        return (
            f"Site configured to link to {where} (name={name})\n"
            "Check the status of the link using 'skupper link status'.\n"
        )

    name = str(plan.facts.get("name", options.name))
    action = "replaced" if plan.facts.get("replaced") else "created"
    return session.carry_out(plan, Outcome("Link", {"action": action, "name": name}, text))


@dataclass(frozen=True, slots=True)
class Update:
    """Flags of ``link update``."""

    cost: int = flag("cost", "int32", "The new cost of the link", default=0)


@command(app, "link update", Update, usage="<name>", rule=exactly(1), changes=True)
def update(session: Session, options: Update, arguments: tuple[str, ...]) -> Result:
    """Change the cost of a link

    The router closes this link and opens it again with the new cost; connections over other links go on. The lowest
    total cost wins: 99999 makes a link that is used only when there is no other way.
    """
    name = arguments[0]
    if "cost" not in session.given:
        raise UsageError("nothing to change: give the link another cost with --cost")
    if options.cost < 1:
        raise UsageError(f"invalid link cost {options.cost}: it must be at least 1")
    plan = session.plan(lambda platform: platform.plan_link_update(name, options.cost))
    action = "updated" if plan.changed else "unchanged"
    text = f"Link '{name}' has cost {options.cost}" + ("\n" if plan.changed else " already\n")
    return session.carry_out(plan, Outcome("Link", {"action": action, "name": name}, lambda _facts: text))


@dataclass(frozen=True, slots=True)
class Delete:
    """``link delete`` has no flags of its own."""


@command(app, "link delete", Delete, usage="<name>", rule=exactly(1), changes=True)
def delete(session: Session, _options: Delete, arguments: tuple[str, ...]) -> Result:
    """Remove specified link"""
    name = arguments[0]
    try:
        plan = session.plan(lambda platform: platform.plan_link_delete(name))
    except NotFoundError as error:
        raise NotFoundError(f"Failed to remove link: {error.message}", error.hint) from None
    outcome = Outcome("Link", {"action": "deleted", "name": name}, lambda _facts: f"Link '{name}' has been removed\n")
    return session.carry_out(plan, outcome)


@dataclass(frozen=True, slots=True)
class Status:
    """Flags of ``link status``."""

    wait: tuple[str, ...] = flag(
        "wait", "strings", "The number of seconds to wait for links to become connected, or what to wait for"
    )
    timeout: int = timeout_flag()
    verbose: bool = flag("verbose", "bool", "Show the details of the named link", short="v")


@command(app, "link status", Status, usage="[<link-name>]", rule=at_most(1))
def status(session: Session, options: Status, arguments: tuple[str, ...]) -> Result:
    """Check whether a link to another Skupper site is active

    With a name the exit code is 1 unless that link is connected; with --wait and no name, unless all links are.
    """
    name = "" if not arguments or arguments[0] == "all" else arguments[0]
    seconds = _seconds(options.wait)
    if options.verbose and not name:
        raise UsageError("In order to provide detailed information about the link, specify the link name")
    waited = wait(session, options.wait, options.timeout) if seconds is None else None
    platform = session.platform()
    links = _wait(session, seconds or 0, lambda: _select(platform, name))
    connected = all(link.state == "connected" for link in links)
    if name:
        text = render.details(links[0], _local_site(platform)) if options.verbose else f"{render.line(links[0])}\n"
        text += "".join(f"{line}\n" for line in render.advice(links[0], session.world.now()))
        return _result(text, documents.link_status(links, None), waited, 0 if connected else 1)
    incoming = _incoming(platform)
    text = render.overview(links, incoming, session.world.now())
    return _result(text, documents.link_status(links, incoming), waited, 1 if seconds and not connected else 0)


def _result(text: str, data: dict[str, Json], waited: WaitOutcome | None, code: int) -> Result:
    if waited is None:
        return Result("LinkStatus", text, data, exit_code=code)
    return Result("LinkStatus", text, data, warnings=waited.warnings, exit_code=waited.exit_code)


def _seconds(words: tuple[str, ...]) -> int | None:
    """The seconds of 1.9's ``--wait N`` (0 without the flag); None if it names conditions instead."""
    if not words:
        return 0
    try:
        seconds = parse_int(words[0])
    except ValueSyntaxError:
        return None
    if seconds < 0:
        raise UsageError(f"invalid value for --wait: {seconds} is negative")
    if len(words) > 1:
        raise UsageError("--wait takes either a number of seconds or conditions")
    return seconds


def _select(platform: Platform, name: str) -> tuple[LinkStatus, ...]:
    """The site's links, or the named one.

    Raises:
        NotFoundError: no link has that name.
    """
    links = platform.link_status()
    if not name:
        return links
    found = tuple(link for link in links if link.link.name == name)
    if not found:
        known = ", ".join(link.link.name for link in links) or "none"
        raise NotFoundError(f'No such link "{name}"', f"links of this site: {known}")
    return found


def _wait(session: Session, seconds: int, look: Callable[[], tuple[LinkStatus, ...]]) -> tuple[LinkStatus, ...]:
    """Look once a second until all are connected or the time is over; at least once."""
    world = session.world
    deadline = world.monotonic() + seconds
    with session.progress() as progress:
        while True:
            progress("Asking the router about the links")
            links = look()
            left = deadline - world.monotonic()
            missing = [link.link.name for link in links if link.state != "connected"]
            if not missing or left <= 0:
                return links
            progress(f"Waiting for {', '.join(missing)} to connect")
            world.sleep(min(_POLL, left))


def _incoming(platform: Platform) -> tuple[IncomingLink, ...] | None:
    """Links made by others, None while they are not known: that must not hide the own ones."""
    try:
        return platform.incoming_links()
    except SkupperError:
        return None


def _local_site(platform: Platform) -> str:
    """``<name>-<id>`` of the local site."""
    return "-".join(platform.identity())
