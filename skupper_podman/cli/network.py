"""``network status``: every site of the network, as the site's controller last wrote it."""

from __future__ import annotations

from dataclasses import dataclass

from skupper_podman.cli import documents
from skupper_podman.cli.argv import at_most
from skupper_podman.cli.flags import flag
from skupper_podman.cli.render import network as render
from skupper_podman.cli.result import Later, Result
from skupper_podman.cli.session import Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.cli.waiting import Outcome, timeout_flag, wait, wait_flag
from skupper_podman.errors import NotFoundError, UsageError
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.networkrecords import SiteStatus

app = new_app()


@dataclass(frozen=True, slots=True)
class Status:
    """Flags of ``network status``."""

    site: str = flag("site", "string", "Show only the sites with this name or id", short="s")
    verbose: bool = flag("verbose", "bool", "Show routers and their links", short="v")
    wait: tuple[str, ...] = wait_flag()
    timeout: int = timeout_flag()


@command(app, "network status", Status, usage="[<site-name>]", rule=at_most(1))
def status(session: Session, options: Status, arguments: tuple[str, ...]) -> Result:
    """Show information about the current site, and connected sites

    Gateways that the current site lets in are listed too, also those that are not connected.
    """
    if arguments and options.site and arguments[0] != options.site:
        raise UsageError(f"two sites are asked for: {arguments[0]} and --site {options.site}")
    waited = wait(session, options.wait, options.timeout) or Outcome()
    platform = session.platform()
    network = platform.network_status()
    _name, local = platform.identity()
    wanted = options.site or (arguments[0] if arguments else "")
    gateways = platform.gateway_status(targets=False) if platform.gateways() else ()
    if wanted:
        gateways = tuple(item for item in gateways if item.record.name == wanted)
    chosen = () if gateways and wanted and not network.sites_named(wanted) else select(network, wanted)
    now = session.world.now()
    text = render.network(network, local, sites=chosen, verbose=options.verbose, gateways=gateways, now=now)
    data = Later(lambda: {**documents.network_status(network, chosen, local), **documents.gateways(gateways, now)})
    return Result("NetworkStatus", text, data, warnings=waited.warnings, exit_code=waited.exit_code)


def select(network: NetworkStatus, name: str) -> tuple[SiteStatus, ...]:
    """The sites with that name or identity; all without one.

    Raises:
        NotFoundError: there is none.
    """
    if not name:
        return network.sites
    found = network.sites_named(name) or tuple(site for site in network.sites if site.site.identity == name)
    if not found:
        known = ", ".join(sorted({site.site.name or site.site.identity for site in network.sites})) or "none"
        raise NotFoundError(f'No such site "{name}"', f"sites of the network: {known}")
    return found
