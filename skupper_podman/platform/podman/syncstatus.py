"""How it is with the services of other sites: what was taken over, what could not be, and why.

What always holds: ``ok`` is said only where the site has exactly what its controller learned; where the controller has
said nothing, that is ``failing`` and not taken for nothing.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Final

from skupper_podman.desired import names
from skupper_podman.desired.learned import MAX_TAKEN, Learned, Todo, pending
from skupper_podman.errors import SkupperError
from skupper_podman.model.status import Probe
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.learnedfile import failures_at, learned_at
from skupper_podman.platform.podman.networkfile import site_called
from skupper_podman.platform.podman.observe import Observation

PATIENCE: Final = datetime.timedelta(seconds=60)
"""How long what was learned may wait to be carried out: hundreds of services take a while."""
_NAME: Final = "sync"
_UNIT: Final = "skupper doctor --check unit"


def sync_probes(context: Context, site: Observation) -> list[Probe]:
    """Probes of service sync; none where it is off and nothing is left of it."""
    assert site.spec is not None
    restart = f"podman logs --tail 20 {site.names.controller}; podman restart {site.names.controller}"
    try:
        learned = learned_at(site)
        written = _written(site)
    except SkupperError as error:
        return [Probe(_NAME, "failing", error.message, fix=restart)]
    if learned is None:
        detail = "the controller has not said what other sites offer"
        return [Probe(_NAME, "failing", detail, fix=f"{restart}; if it is of an earlier release: skupper update")]
    todo = pending(site.services, learned)
    if not site.spec.service_sync and not todo:
        return []
    waiting = context.now() - written > PATIENCE
    found = [*_failed(site, learned, todo), *_refused(site, learned), *_surplus(todo)]
    found += _delayed(todo, site) if waiting else []
    if not found and site.spec.service_sync:
        found.append(Probe(_NAME, "ok", _count(site, todo)))
    return found


def _written(site: Observation) -> datetime.datetime:
    """When something last changed of what was learned, or in what the site has, or in what it is asked to do."""
    places = [
        Path(site.trees.tree(volume).root, name)
        for volume, name in (
            (site.names.network_status, names.SYNC_FILE),
            (site.names.services, names.SERVICES_FILE),
            (site.names.internal, names.SITE_FILE),
        )
    ]
    times = [place.lstat().st_ctime for place in places if place.exists()]
    return datetime.datetime.fromtimestamp(max(times, default=0.0), datetime.UTC)


def _count(site: Observation, todo: Todo) -> str:
    taken = [service.origin for service in site.services if service.origin]
    if not taken and not todo:
        return "no other site offers anything that is not defined here"
    text = f"{_number(len(taken), 'service')} of {_number(len(set(taken)), 'other site')}"
    return f"{text}; {len(todo.make) + len(todo.remove)} about to change" if todo else text


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _failed(site: Observation, learned: Learned, todo: Todo) -> list[Probe]:
    """What the supervisor tried in vain."""
    origins = {service.address: service.origin for service in learned.services}
    concerned = {*todo.remove, *(service.address for service in todo.make)}
    probes = []
    for address, failure in failures_at(site).items():
        if address in concerned:
            origin = origins.get(address, "")
            whose = f"of site {site_called(site, origin)} cannot be made here" if origin else "cannot be removed here"
            fix = failure.fix or "skupper doctor"
            probes.append(Probe(f"{_NAME} {address}", "failing", f"the service {whose}: {failure.reason}", fix=fix))
    return probes


def _refused(site: Observation, learned: Learned) -> list[Probe]:
    """What a podman site cannot have."""
    return [
        Probe(
            f"{_NAME} {address}",
            "ok",
            f"the service of site {site_called(site, refusal.origin)} is left out: {refusal.reason}",
            fix=f"only that site can change it; what is of use here: skupper service create {address} PORT",
        )
        for address, refusal in sorted(learned.unusable.items())
    ]


def _surplus(todo: Todo) -> list[Probe]:
    if not todo.surplus:
        return []
    detail = f"{_number(len(todo.surplus), 'service')} of other sites left out: a site takes over {MAX_TAKEN} at most"
    fix = f"at the sites that offer them: skupper service allow-site {todo.surplus[0]} SITE"
    return [Probe(_NAME, "failing", detail, fix=fix)]


def _delayed(todo: Todo, site: Observation) -> list[Probe]:
    """What nobody has begun: the supervisor does not run, or runs an earlier release."""
    failed = failures_at(site)
    left = [*todo.remove, *(service.address for service in todo.make)]
    left = [address for address in left if address not in failed]
    if not left:
        return []
    shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
    detail = f"nobody makes here what other sites offer ({shown}): the supervisor does it"
    return [Probe(_NAME, "failing", detail, fix=_UNIT)]
