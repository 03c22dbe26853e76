"""``certificate status``, ``renew``, ``rotate`` and ``retire``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skupper_podman.cli import documents
from skupper_podman.cli.argv import any_number
from skupper_podman.cli.flags import flag
from skupper_podman.cli.render import certificates as render
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session, strings
from skupper_podman.cli.typed import command, new_app

if TYPE_CHECKING:
    from skupper_podman.plan import Plan

app = new_app()

_AUTHORITIES: Final = "[local] [site] [service]"


@dataclass(frozen=True, slots=True)
class Status:
    """``certificate status`` has no flags of its own."""


@command(app, "certificate status", Status)
def status(session: Session, _options: Status, _arguments: tuple[str, ...]) -> Result:
    """Show until when the certificates of the site are valid

    And when they are renewed. The exit code is 1 if one of them does not work.
    """
    found = session.platform().certificates()
    text = render.overview(found, session.world.now())
    failed = any(item.problem for item in found)
    return Result("Certificates", text, documents.certificates(found), exit_code=1 if failed else 0)


@dataclass(frozen=True, slots=True)
class Renew:
    """``certificate renew`` has no flags of its own."""


@command(app, "certificate renew", Renew, usage="[<name>]...", rule=any_number, changes=True)
def renew(session: Session, _options: Renew, arguments: tuple[str, ...]) -> Result:
    """Renew the certificates that are due, or those named

    A site does this by itself when two thirds of a certificate's life are over. The certificate of a link is renewed by
    the site that issued it, where that is of this release. No connection ends.
    """
    plan = session.plan(lambda platform: platform.plan_renewal(arguments))
    return _carried_out(session, plan, "renewed", "Renewed")


@dataclass(frozen=True, slots=True)
class Rotate:
    """Flags of ``certificate rotate``."""

    force: bool = flag("force", "bool", "Let the oldest authority go where too many are trusted")


@command(app, "certificate rotate", Rotate, usage=_AUTHORITIES, rule=any_number, changes=True)
def rotate(session: Session, options: Rotate, arguments: tuple[str, ...]) -> Result:
    """Make new certificate authorities, and certificates of them

    The authorities there were stay trusted, and vouch for the new ones: links and tokens go on, also those of sites
    that do not know the new ones yet, and no connection ends. A site does this by itself when two thirds of an
    authority's life are over. To shut out whoever has a certificate of this site, use 'skupper revoke-access'.
    """
    plan = session.plan(lambda platform: platform.plan_rotation(arguments, force=options.force))
    return _carried_out(session, plan, "rotated", "Renewed")


@dataclass(frozen=True, slots=True)
class Retire:
    """Flags of ``certificate retire``."""

    force: bool = flag("force", "bool", "End the links of sites that have not renewed their certificates, too")


@command(app, "certificate retire", Retire, usage=_AUTHORITIES, rule=any_number, changes=True)
def retire(session: Session, options: Retire, arguments: tuple[str, ...]) -> Result:
    """Trust the present certificate authorities only

    Those before them end by themselves when their time is over; this ends them now. Whoever has a certificate of them
    gets in no more. A connection that is there stays until it is made anew.
    """
    plan = session.plan(lambda platform: platform.plan_retirement(arguments, force=options.force))
    return _carried_out(session, plan, "retired", "Changed")


def _carried_out(session: Session, plan: Plan, action: str, verb: str) -> Result:
    def text(facts: Mapping[str, object]) -> str:
        names = dict.fromkeys(strings(facts.get("renewed")))
        if not plan.steps:
            return f"{plan.title}\n"
        return f"{verb}: {', '.join(names)}\n" if names else "Nothing could be renewed\n"

    done = {"action": action if plan.changed else "unchanged"}
    return session.carry_out(plan, Outcome("Certificate", {**done}, text))
