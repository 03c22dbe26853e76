"""``status``: whether the site is well, told by probes, in 1.9's sentence when it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

from skupper_podman.cli import documents
from skupper_podman.cli.flags import flag
from skupper_podman.cli.render import status as render
from skupper_podman.cli.result import Result
from skupper_podman.cli.session import Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.cli.waiting import timeout_flag, wait, wait_flag
from skupper_podman.errors import NotEnabledError, SkupperError
from skupper_podman.model.network import Connections
from skupper_podman.model.status import Probe, SiteStatus
from skupper_podman.platform import Platform

app = new_app()


@dataclass(frozen=True, slots=True)
class Status:
    """Flags of ``status``."""

    verbose: bool = flag("verbose", "bool", "Show more details", short="v")
    wait: tuple[str, ...] = wait_flag()
    timeout: int = timeout_flag()


@command(app, "status", Status)
def status(session: Session, options: Status, _arguments: tuple[str, ...]) -> Result:
    """Report the status of the current Skupper site

    All parts of the site are looked at now. When one of them is not well, or could not be looked at, the first line
    says so, a line for each follows with the command that mends it, and the exit code is 1. With --wait the exit code
    says whether the conditions hold.
    """
    waited = wait(session, options.wait, options.timeout)
    platform = session.platform()
    with session.progress() as progress:
        progress("Looking at the site")
        site, connections = look(platform)
    report = render.Report(site, connections, platform=platform.name)
    healthy = site.health == "ok"
    text = "" if healthy else render.unhealthy(site, session.world.now())
    if options.verbose:
        text += render.verbose(report)
    elif healthy:
        text = render.sentence(report)
    code = waited.exit_code if waited else 0 if healthy else 1
    warnings = waited.warnings if waited else ()
    return Result("SiteStatus", text, documents.site_status(site, connections), warnings=warnings, exit_code=code)


def look(platform: Platform) -> tuple[SiteStatus, Connections | None]:
    """The site, and its connections as far as the network status knows it; not knowing it is a failing probe.

    Raises:
        SkupperError: there is no site, or the platform cannot be asked.
    """
    site = platform.site_status()
    try:
        network = platform.network_status()
    except NotEnabledError:
        raise
    except SkupperError as error:
        return _with_probe(site, error.message, error.hint), None
    if network.site(site.site_id) is None:
        fix = "wait a moment; if it stays: skupper doctor"
        return _with_probe(site, "Site information is not yet available", fix), None
    return site, network.connections(site.site_id)


def _with_probe(site: SiteStatus, detail: str, fix: str) -> SiteStatus:
    # A platform that noticed it itself has said it better.
    if any(probe.name == "network status" and probe.health != "ok" for probe in site.probes):
        return site
    return replace(site, probes=(*site.probes, Probe("network status", "unknown", detail, fix=fix)))
