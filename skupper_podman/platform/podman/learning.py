"""Services learned from other sites become services of this one, and go when they are no longer offered.

The controller, which has no way to Podman, writes down what it learned; the supervisor carries it out with the plans
made here. What always holds: what is defined at this site is not touched; a service that cannot be made costs only
itself, and its reason is told; nothing happens while another command changes the site.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from skupper_podman.desired.containers import controller_container, router_container
from skupper_podman.desired.learned import Failure, Todo, pending
from skupper_podman.desired.site import SiteState
from skupper_podman.errors import ConflictError, SkupperError
from skupper_podman.model.service import Service
from skupper_podman.plan import Plan
from skupper_podman.platform.podman import services
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.learnedfile import learned_at
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.state import state_of

_ELSEWHERE: Final = "at the site that offers it:"


@dataclass(frozen=True, slots=True)
class Round:
    """Some of what is to be done: a plan for ``addresses``, and those it cannot be done for."""

    plan: Plan
    addresses: tuple[str, ...] = ()
    failures: Mapping[str, Failure] = field(default_factory=dict)


def todo_at(site: Observation) -> Todo:
    """What differs from what was learned; nothing where that is not known. Raises as
    :func:`skupper_podman.platform.podman.learnedfile.learned_at`.
    """
    learned = learned_at(site)
    return Todo() if learned is None else pending(site.services, learned)


def plan_round(context: Context, skip: Collection[str], most: int) -> Round:
    """Plan at most ``most`` changes, those to the addresses in ``skip`` left out. Takes the site's lock.

    Raises:
        ConflictError: another command is changing the site.
        SkupperError: the site cannot be looked at.
    """
    context.lock()
    site = context.site()
    todo = todo_at(site)
    remove = [address for address in todo.remove if address not in skip][:most]
    make = [service for service in todo.make if service.address not in skip][: most - len(remove)]
    concerned = {*remove, *(service.address for service in make)}
    found = [item.name for item in site.containers.values() if item.labels.get(site.names.address_label) in concerned]
    site = context.site((site.names.router, *found))
    before = state_of(site)
    after = before
    for address in remove:
        after = after.without_service(address)
    failures: dict[str, Failure] = {}
    for service in make:
        try:
            _check(context, site, before, service)
        except SkupperError as error:
            failures[service.address] = Failure(error.message, error.hint)
        else:
            after = after.with_service(service)
    addresses = tuple(sorted(concerned - failures.keys()))
    steps = services.steps_between(context, site, before, after) if addresses else ()
    return Round(Plan(f"Take over {', '.join(addresses)}", steps), addresses, failures)


def _check(context: Context, site: Observation, state: SiteState, service: Service) -> None:
    """Refuse what cannot be made; a container that an attempt left behind which was killed is no hindrance.

    Raises:
        SkupperError: why not.
    """
    services.check_service(service)
    own = (router_container(state.spec, state.runtime), controller_container(state.spec, state.runtime))
    if service.address in {name for item in own for name in (item.name, *item.aliases)}:
        raise ConflictError(f"{service.address} is a name of the site's own", f"{_ELSEWHERE} give it another address")
    name = site.names.service(service)
    if site.service_container(service.address) is None and context.api.container(name) is not None:
        raise ConflictError(f"a container named {name} already exists", f"rename it: podman rename {name} NEW")
