"""``service allow-site``: which sites may take a service over by service sync."""

from __future__ import annotations

from dataclasses import dataclass

from skupper_podman.cli.argv import CommandLineError, anything
from skupper_podman.cli.flags import flag
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Outcome, Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import NotFoundError, UsageError

app = new_app()


@dataclass(frozen=True, slots=True)
class AllowSite:
    """Flags of ``service allow-site``."""

    remove: tuple[str, ...] = flag("remove", "strings", "Name or id of a site to take off the list (repeatable)")
    all: bool = flag("all", "bool", "Let every site use the service")


@command(
    app,
    "service allow-site",
    AllowSite,
    usage="<service> [site...]",
    rule=anything,
    changes=True,
    examples="  skupper service allow-site backend\n"
    "  skupper service allow-site backend west --remove east\n"
    "  skupper service allow-site backend --all",
)
def allow_site(session: Session, options: AllowSite, arguments: tuple[str, ...]) -> Result:
    """Limit a service to some sites

    Without sites it shows the list of the service; a service without a list is for every site. With service sync,
    podman sites of this program that are not on the list do not take the service over. Sites of Skupper 1.9 do not look
    at it, and no router holds a site to it: the list keeps names away, it is no protection.
    """
    if not arguments:
        raise CommandLineError("service name is required")
    address, sites = arguments[0], arguments[1:]
    if options.all and (sites or options.remove):
        raise UsageError("--all goes with no site: it lets every site use the service")
    if not options.all and not sites and not options.remove:
        return _shown(address, _allowed(session, address))
    remove = None if options.all else options.remove
    plan = session.plan(lambda platform: platform.plan_service_allow(address, sites, remove))
    action = "limited" if plan.changed else "unchanged"
    verb = "changed" if plan.changed else "are as asked for already"
    text = f"Sites that may use service {address} {verb}\n"
    return session.carry_out(plan, Outcome("Service", {"action": action, "address": address}, lambda _facts: text))


def _allowed(session: Session, address: str) -> tuple[str, ...]:
    for service in session.platform().services():
        if service.address == address:
            return service.allowed_sites
    raise NotFoundError(f"Service {address} not defined", "to see the services: skupper service status")


def _shown(address: str, sites: tuple[str, ...]) -> Result:
    text = f"{address} may be used by {', '.join(sites) or 'every site'}\n"
    return Result("ServiceSites", text, {"address": address, "allowedSites": [*sites]})
