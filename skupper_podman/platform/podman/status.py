"""Live answers about a site: what Podman, the router and the status file say now.

What always holds: ``ok`` is said only for what was just seen to work; what could not be asked is ``unknown`` with its
reason; the number of questions does not grow with the number of services, and they are asked at the same time.
"""

from __future__ import annotations

import contextlib
import datetime
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from skupper_podman import SKUPPER_VERSION
from skupper_podman.desired import names
from skupper_podman.errors import NotFoundError, SkupperError
from skupper_podman.model.link import IncomingLink, LinkStatus
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.status import Health, Probe, ServiceStatus, SiteStatus, VersionInfo
from skupper_podman.platform.podman.asking import Questions, RouterAnswers, ask
from skupper_podman.platform.podman.certstatus import certificate_probes, certificates
from skupper_podman.platform.podman.containerstatus import Containers, examined
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.filestatus import disk_probe, file_probes
from skupper_podman.platform.podman.hostimage import REPOSITORY
from skupper_podman.platform.podman.linkstatus import QUESTIONS, link_statuses
from skupper_podman.platform.podman.networkfile import read_network_status
from skupper_podman.platform.podman.observe import Observation, completed
from skupper_podman.platform.podman.servicestatus import questions, service_statuses
from skupper_podman.platform.podman.syncstatus import sync_probes
from skupper_podman.platform.podman.unitstatus import unit_probe

HEALTH_PORT: Final = 8080
"""Where our controller serves ``/healthz`` on the site's network."""
_LOG_LINES: Final = 400
STALE = 75.0
"""Seconds without a sign of the controller in its file; it renews the file's time every 30."""


def site_status(context: Context) -> SiteStatus:
    """Probe the site; see :meth:`skupper_podman.platform.Platform.site_status`."""
    site = context.partial_site()
    spec = site.spec
    assert spec is not None
    with ThreadPoolExecutor(max_workers=2) as pool:
        unit = pool.submit(unit_probe, context)
        seen = pool.submit(_seen, context, site, all_questions(site))
        own = certificates(site, context.now())
        files = [*file_probes(site), disk_probe(context, site)]
        network = _network_status_probe(context, site)
        (site, containers, answers), unit_result = seen.result(), unit.result()
    router = site.containers.get(site.names.router)
    probes = [containers.probe(name) for name in site.names.components]
    probes.append(_management_probe(site, answers))
    probes += _controller_probe(site, answers)
    probes.append(network)
    probes += [*_network_probe(site, answers), *files, *certificate_probes(own, context.now())]
    probes += [_link_probe(status) for status in _links(context, site, answers)]
    probes += [_service_probe(status) for status in service_statuses(site, answers, containers)]
    probes += sync_probes(context, site)
    probes += unit_result
    config = site.configs.get("")
    return SiteStatus(
        name=spec.name,
        site_id=spec.site_id,
        user=context.user,
        router_mode=spec.router_mode,
        version=(config.site.version if config else "") or SKUPPER_VERSION,
        router_kind=spec.router,
        image=router.image if router else "",
        network=spec.network,
        services=len(site.services),
        probes=tuple(probes),
        namespace=spec.namespace,
        certificates=own,
    )


def _seen(context: Context, site: Observation, questions: Questions) -> tuple[Observation, Containers, RouterAnswers]:
    """All of a site that was seen in part: its containers, looked at closely, and the answers of its routers."""
    if site.spec is not None and site.spec.router_mode == "edge":
        # There the services' routers are asked each in its own container.
        site = completed(context.api, site)
    with ThreadPoolExecutor(max_workers=1) as pool:
        asking = pool.submit(ask, context, site, questions)
        whole = completed(context.api, site) if site.partial else site
        return whole, examined(context, whole.containers), asking.result()


def _management_probe(site: Observation, answers: RouterAnswers) -> Probe:
    if answers.problem:
        fix = f"podman logs --tail 20 {site.names.router}; podman restart {site.names.router}"
        return Probe("router management", "failing", answers.problem, fix=fix)
    return Probe("router management", "ok", "answers")


def _network_status_probe(context: Context, site: Observation) -> Probe:
    name = "network status"
    try:
        path = Path(site.trees.tree(site.names.network_status).root, names.STATUS_FILE)
        written = datetime.datetime.fromtimestamp(path.lstat().st_mtime, datetime.UTC)
        status = read_network_status(site)
    except (OSError, NotFoundError):
        return Probe(name, "failing", "not written yet", fix=f"podman restart {site.names.controller}")
    except SkupperError as error:
        return Probe(
            name, "failing", f"its file is damaged: {error.message}", fix=f"podman restart {site.names.controller}"
        )
    since = written.isoformat(timespec="seconds").replace("+00:00", "Z")
    assert site.spec is not None
    if status.site(site.spec.site_id) is None:
        return Probe(name, "failing", "this site is not in it", since, f"podman restart {site.names.controller}")
    age = (context.now() - written).total_seconds()
    if age > STALE:
        detail = f"the controller has not renewed it for {age:.0f} s"
        return Probe(name, "failing", detail, since, f"podman restart {site.names.controller}")
    return Probe(name, "ok", f"{len(status.sites)} site(s)", since)


def all_questions(site: Observation) -> Questions:
    """All that must be asked to tell how the site is, in one go."""
    of_services = questions(site)
    types = tuple(dict.fromkeys((*of_services.types, *QUESTIONS.types)))
    own = {names.LOCAL_HOST: 5671}
    controller = site.containers.get(site.names.controller)
    health = ((names.CONTROLLER, HEALTH_PORT),) if controller and controller.image.startswith(REPOSITORY) else ()
    return replace(of_services, types=types, peers=bool(site.links), resolve=tuple(own.items()), health=health)


def _links(context: Context, site: Observation, answers: RouterAnswers) -> tuple[LinkStatus, ...]:
    return link_statuses(site, answers, context.now, lambda: router_log(context))


def router_log(context: Context) -> str:
    """What the site's router wrote lately; empty if it cannot be had."""
    try:
        return context.api.logs(context.names.router, _LOG_LINES)
    except SkupperError:
        return ""


def _controller_probe(site: Observation, answers: RouterAnswers) -> list[Probe]:
    """What the controller says of itself; nothing where it could not be asked, which other probes tell."""
    return [
        Probe("controller", "failing", f"it is not well: {reason}", fix=f"podman restart {site.names.controller}")
        if reason
        else Probe("controller", "ok", "answers")
        for reason in answers.health.values()
    ]


def _network_probe(site: Observation, answers: RouterAnswers) -> list[Probe]:
    """Whether the site's network is there, and its containers find each other by name."""
    assert site.spec is not None
    name = f"network {site.spec.network}"
    if site.spec.network not in site.present.networks:
        return [Probe(name, "failing", "it does not exist", fix="skupper init")]
    wrong = [reason for reason in answers.resolve.values() if reason]
    if wrong:
        detail = f"its DNS server does not answer: in a container {wrong[0]}"
        return [Probe(name, "failing", detail, fix=f"podman restart {site.names.controller}")]
    return [Probe(name, "ok", "names are resolved")] if answers.resolve else []


def _link_probe(status: LinkStatus) -> Probe:
    health: Health = {"connected": "ok", "not connected": "failing"}.get(status.state, "unknown")  # type: ignore[assignment]
    since = status.since.isoformat().replace("+00:00", "Z") if status.since else ""
    fix = "" if health == "ok" else status.fix
    return Probe(f"link {status.link.name}", health, status.reason or status.state, since, fix)


def _service_probe(status: ServiceStatus) -> Probe:
    return Probe(f"service {status.service.address}", status.health, status.detail, status.since, status.fix)


def link_status(context: Context) -> tuple[LinkStatus, ...]:
    """Probe the links; see :meth:`skupper_podman.platform.Platform.link_status`."""
    site = context.partial_site()
    return _links(context, site, ask(context, site, QUESTIONS) if site.links else RouterAnswers())


def service_status(context: Context) -> tuple[ServiceStatus, ...]:
    """Probe the services; see :meth:`skupper_podman.platform.Platform.service_status`."""
    site = context.partial_site()
    with ThreadPoolExecutor(max_workers=1) as pool:
        seen = pool.submit(_seen, context, site, questions(site))
        with contextlib.suppress(SkupperError):
            # A network of many sites takes a while to read, which is asked for next: the routers are slower.
            read_network_status(site)
        whole, containers, answers = seen.result()
    return service_statuses(whole, answers, containers)


def network_status(context: Context) -> NetworkStatus:
    """See :meth:`skupper_podman.platform.Platform.network_status`."""
    return read_network_status(context.recent_site())


def incoming_links(context: Context) -> tuple[IncomingLink, ...]:
    """See :meth:`skupper_podman.platform.Platform.incoming_links`."""
    site = context.recent_site()
    assert site.spec is not None
    found = read_network_status(site).incoming_links(site.spec.site_id)
    return tuple(
        IncomingLink(link.site.identity, link.site.name, link.site.namespace) if link.site else IncomingLink("")
        for link in found
    )


def versions(context: Context) -> VersionInfo:
    """See :meth:`skupper_podman.platform.Platform.versions`."""
    try:
        router = context.api.container(context.names.router)
        controller = context.api.container(context.names.controller)
    except SkupperError:
        return VersionInfo(SKUPPER_VERSION)
    found = (("transport", router), ("controller", controller))
    images = tuple((label, info.image, info.image_digest) for label, info in found if info is not None)
    return VersionInfo(SKUPPER_VERSION, images)
