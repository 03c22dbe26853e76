"""Plans that change what is written of a service: its labels, and the sites that may use it.

What always holds: only the services file changes, so nothing restarts and no connection is touched; what another site
decides is not changed here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from skupper_podman.desired.diff import diff
from skupper_podman.desired.site import services_file
from skupper_podman.errors import ConflictError, UsageError
from skupper_podman.model.service import Service, check_allowed_sites
from skupper_podman.plan import Plan, Step
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.networkfile import site_called
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.services import check_labels, service_of, site_with, untold
from skupper_podman.platform.podman.state import state_of
from skupper_podman.platform.podman.steps import Steps


def plan_service_label(context: Context, address: str, put: Mapping[str, str], remove: Collection[str]) -> Plan:
    """Plan to change labels; see :meth:`skupper_podman.platform.Platform.plan_service_label`.

    Only the services file changes: Podman cannot give another label to a container that runs.
    """
    context.lock()
    site = site_with(context, address)
    service = service_of(site, address)
    _check_own(site, service, "label")
    labels = {name: value for name, value in service.labels.items() if name not in remove} | dict(put)
    changed = replace(service, labels=labels)
    check_labels(changed)
    facts = {"address": address, "labels": labels, "notes": [], "warnings": []}
    if labels == service.labels:
        return Plan(f"Service {address} has these labels already", (), facts)
    return Plan(f"Change labels of service {address}", _file_steps(context, site, changed), facts)


def plan_service_allow(context: Context, address: str, put: Collection[str], remove: Collection[str] | None) -> Plan:
    """Plan to change which sites may use a service; see :meth:`skupper_podman.platform.Platform.plan_service_allow`.

    Only the services file changes: the controller tells the other sites.
    """
    context.lock()
    site = site_with(context, address)
    service = service_of(site, address)
    _check_own(site, service, "allow-site")
    allowed = changed_list(service, put, remove)
    facts = {"address": address, "allowedSites": allowed, "notes": [], "warnings": untold(site, allowed)}
    if allowed == service.allowed_sites:
        return Plan(f"Service {address} is for these sites already", (), facts)
    steps = _file_steps(context, site, replace(service, allowed_sites=allowed))
    return Plan(f"Change the sites that may use service {address}", steps, facts)


def changed_list(service: Service, put: Collection[str], remove: Collection[str] | None) -> tuple[str, ...]:
    """The sites that may use the service after some are added and some taken away; None takes away all.

    Raises:
        UsageError: one cannot be a site, or none would be left, which would open it to every site.
    """
    if remove is None:
        return ()
    allowed = check_allowed_sites((*(site for site in service.allowed_sites if site not in remove), *put))
    if not allowed and service.allowed_sites:
        raise UsageError(
            f"no site would be left that may use service {service.address}",
            f"to let every site use it: skupper service allow-site {service.address} --all",
        )
    return allowed


def _check_own(site: Observation, service: Service, command: str) -> None:
    """Refuse to change what another site decides: its next message would change it back.

    Raises:
        ConflictError: the service came from another site.
    """
    if service.origin:
        raise ConflictError(
            f"service {service.address} came from site {site_called(site, service.origin)}, which decides that",
            f"there: skupper service {command} {service.address} ...",
        )


def _file_steps(context: Context, site: Observation, changed: Service) -> tuple[Step, ...]:
    """Steps that change what the services file says of a service, and nothing else."""
    before = state_of(site)
    only = [services_file(before), services_file(before.with_service(changed))]
    changes = diff(only[:1], only[1:], site.present)
    return Steps(context.api, site.trees, site.present, now=context.now).make(changes)
