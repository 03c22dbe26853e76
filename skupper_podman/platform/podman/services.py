"""Plans that make, change and remove services.

What always holds: a service is checked completely before the first change; a target is added to and removed from the
running router of the service, never by a restart; other services and the site's router are not touched; the entry in
the services file is the last to change, so that a command that was killed is finished by the same command.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable
from dataclasses import replace

from skupper_podman.desired import names
from skupper_podman.desired.diff import Change, diff, key
from skupper_podman.desired.resources import Container, Resource
from skupper_podman.desired.services import with_target, without_host
from skupper_podman.desired.site import SiteState, service_router, site_resources
from skupper_podman.errors import ConflictError, NotFoundError, UsageError
from skupper_podman.model.service import (
    HOST_NAME,
    PROTOCOLS,
    Service,
    Target,
    check_address,
    check_allowed_sites,
    check_port,
    check_target_host,
    seen_from_container,
)
from skupper_podman.plan import Plan, Step
from skupper_podman.platform.podman import live, quadlets, servicetls
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.learnedfile import withheld_by
from skupper_podman.platform.podman.networkfile import site_called
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.ready import wait_for_service
from skupper_podman.platform.podman.state import state_of
from skupper_podman.platform.podman.steps import Steps
from skupper_podman.router.config import Entity
from skupper_podman.router.documents import bridge_listeners, target_connectors


def plan_service_create(context: Context, service: Service) -> Plan:
    """Plan a new service; see :meth:`skupper_podman.platform.Platform.plan_service_create`."""
    context.lock()
    site = site_with(context, service.address)
    check_service(service)
    notes: list[str] = []
    service = replace(
        service,
        tls_credentials=names.tls_directory(service.address) if service.tls_credentials else "",
        targets=tuple(_seen_from_container(target, notes) for target in service.targets),
    )
    there = site.service(service.address)
    if there is not None:
        return _taking_over(context, there, service, notes)
    _check_allowed(site, service)
    remains = remains_of(site, service.address)
    _check_free(context, service, remains)
    steps = [*_creation(context, site, remains, service), *_waiting(context, site, service)]
    warnings = (
        [] if _router_runs(site) else [f"container {site.names.router} does not run, so the service cannot be reached"]
    )
    warnings += [*quadlets.missing_note(context.paths), *untold(site, service.allowed_sites)]
    notes += servicetls.notes(site, service)
    facts = {"address": service.address, "container": site.names.service(service), "notes": notes, "warnings": warnings}
    return Plan(f"Create service {service.address}", tuple(steps), facts)


def _taking_over(context: Context, there: Service, service: Service, notes: list[str]) -> Plan:
    """The plan for a service that is there already: one that came from another site becomes this site's own.

    Raises:
        ConflictError: it is this site's own already, or of another shape.
    """
    address = service.address
    site = site_with(context, address)
    message = f"Service {address} already defined"
    if not there.origin:
        raise ConflictError(message, "to see it: skupper service status")
    came_from = f"it came from site {site_called(site, there.origin)}"
    if _shape(service) != _shape(there):
        raise ConflictError(
            f"{message} with other ports, another protocol or other TLS",
            f"{came_from}; define it as it is there, or with another address",
        )
    _check_ports_free(service)
    before = state_of(site)
    steps = list(steps_between(context, site, before, before.with_service(service)))
    own = site.names
    if (own.service(service), service.host_ports) == (own.service(there), there.host_ports):
        steps += _live_steps(context, site, there, service)
    notes += [f"{came_from}, and is this site's own from now", *servicetls.notes(site, service)]
    facts = {"address": address, "container": own.service(service), "notes": notes, "warnings": []}
    return Plan(f"Create service {address}", tuple(steps), facts)


def _shape(service: Service) -> tuple[object, ...]:
    """What the listeners of a service's router depend on."""
    return service.ports, service.protocol, bool(service.tls_credentials), service.aggregate, service.event_channel


def _check_allowed(site: Observation, service: Service) -> None:
    """Refuse a service that only uses servers of a site that does not offer it to this one.

    Raises:
        ConflictError: this site is not on the list of the one that offers it.
    """
    origin = "" if service.targets else withheld_by(site, service.address)
    if origin and site.spec is not None:
        raise ConflictError(
            f"service {service.address} of site {site_called(site, origin)} is for other sites only",
            f"to let this site use it, there: skupper service allow-site {service.address} {site.spec.name}",
        )


def untold(site: Observation, allowed: Collection[str]) -> list[str]:
    """What to tell who limits a service to some sites at a site that tells nobody."""
    if allowed and site.spec is not None and not site.spec.service_sync:
        return ["service sync is off, so no site is told for whom the service is: skupper init --enable-service-sync"]
    return []


def _router_runs(site: Observation) -> bool:
    router = site.containers.get(site.names.router)
    return router is not None and router.running


def _waiting(context: Context, site: Observation, service: Service) -> list[Step]:
    """A step that waits until the service has joined the network, so that it can be called when the command returns."""
    if site.spec is None or not _router_runs(site):
        return []
    site_id, router_id = site.spec.site_id, f"{site.spec.name}-{service.address}"

    def do() -> None:
        wait_for_service(context, site.trees, site_id, router_id, service)

    return [Step("check", f"that service {service.address} has joined the network", do, waits=True)]


def plan_service_delete(context: Context, address: str) -> Plan:
    """Plan to remove a service; see :meth:`skupper_podman.platform.Platform.plan_service_delete`."""
    context.lock()
    site = site_with(context, address)
    remains = remains_of(site, address)
    if remains:
        steps = Steps(context.api, site.trees, site.present, now=context.now).make(remains)
        facts = {"address": address, "deleted": True, "notes": [], "warnings": []}
        return Plan(f"Delete what is left of service {address}", steps, facts)
    return _deletion(context, site, service_of(site, address))


def plan_bind(context: Context, address: str, target: Target, trust: bytes = b"") -> Plan:
    """Plan to add a target; see :meth:`skupper_podman.platform.Platform.plan_bind`."""
    context.lock()
    site = site_with(context, address)
    service = service_of(site, address)
    notes: list[str] = []
    target = _seen_from_container(_checked(target, service), notes)
    facts: dict[str, object] = {"address": address, "notes": notes}
    if target in service.targets and not trust:
        return Plan(f"{target.host} is a target of {address} already", (), facts)
    same_host = next((item for item in service.targets if item.host == target.host), None)
    before = state_of(site)
    changed = without_host(service, target.host) if same_host else service
    changed = servicetls.trusting(site, with_target(changed, target), trust)
    if service.origin:
        notes.append(f"{address} came from site {site_called(site, service.origin)}, and is this site's own from now")
        changed = replace(changed, origin="")
    if changed == service:
        return Plan(f"{target.host} is a target of {address} already", (), facts)
    steps = [
        *_live_steps(context, site, service, changed),
        *steps_between(context, site, before, before.with_service(changed)),
    ]
    facts["warnings"] = _not_running(site, address)
    return Plan(f"Add target {target.host} to service {address}", tuple(steps), facts)


def plan_unbind(context: Context, address: str, host: str, *, delete_if_last: bool) -> Plan:
    """Plan to remove a target; see :meth:`skupper_podman.platform.Platform.plan_unbind`."""
    context.lock()
    site = site_with(context, address)
    service = service_of(site, address)
    notes: list[str] = []
    known = {target.host for target in service.targets}
    name = host if host in known else _seen_from_container(Target(host, ()), notes).host
    changed = without_host(service, name)
    if changed == service:
        raise NotFoundError(
            f"Could not find target {host} for service interface {address}",
            f"its targets are: {', '.join(sorted(known)) or 'none'}",
        )
    if delete_if_last and not changed.targets:
        return _deletion(context, site, service, notes)
    before = state_of(site)
    steps = [
        *_live_steps(context, site, service, changed),
        *steps_between(context, site, before, before.with_service(changed)),
    ]
    facts = {"address": address, "deleted": False, "notes": notes, "warnings": _not_running(site, address)}
    return Plan(f"Remove target {name} from service {address}", tuple(steps), facts)


def check_service(service: Service) -> None:
    """Check what 1.9 checks before it makes a service.

    Raises:
        UsageError: the first thing that is wrong.
    """
    check_address(service.address)
    if not service.ports:
        raise UsageError("Name and port(s) must be specified")
    for port in service.ports:
        check_port(port)
    if len(set(service.ports)) != len(service.ports):
        raise UsageError(f"a port is given twice: {', '.join(map(str, service.ports))}")
    if service.protocol not in PROTOCOLS:
        raise UsageError(f"{service.protocol} is not a valid mapping. Choose 'tcp', 'http' or 'http2'.")
    if service.aggregate and service.event_channel:
        raise UsageError("Only one of aggregate and event-channel can be specified for a given service.")
    if service.aggregate and service.aggregate not in ("json", "multipart"):
        raise UsageError(f"{service.aggregate} is not a valid aggregation strategy. Choose 'json' or 'multipart'.")
    if service.protocol != "http" and (service.aggregate or service.event_channel):
        option = "aggregate" if service.aggregate else "event-channel"
        raise UsageError(f"The {option} option is currently only valid for http")
    check_labels(service)
    check_allowed_sites(service.allowed_sites)
    servicetls.check(service)
    for target in service.targets:
        _checked(target, service)
    for port, _ in service.host_ports.ports:
        if port not in service.ports:
            raise UsageError(f"service does not specify mapped port {port}")


def check_labels(service: Service) -> None:
    """Refuse labels that are not a user's to give.

    Raises:
        UsageError: one is reserved.
    """
    reserved = sorted(filter(names.is_kept_label, service.labels))
    if reserved:
        raise UsageError(f"label {reserved[0]} is reserved for Skupper")


def _checked(target: Target, service: Service) -> Target:
    check_target_host(target.host)
    for port, target_port in target.ports:
        if port not in service.ports:
            raise UsageError(f"source port not defined in service: {port}")
        if not 0 < target_port < 65536:
            raise UsageError(f"Bad target port number. Target: {target.host}  Port: {target_port}")
    return replace(target, ports=tuple(sorted(target.ports)))


def _seen_from_container(target: Target, notes: list[str]) -> Target:
    """The target as a container sees it: what is the host itself to the user has another name there."""
    name = seen_from_container(target.host)
    if name == target.host:
        return target
    notes.append(
        f"{target.host} is this host: containers reach it as {HOST_NAME}, "
        "so the server must listen on all addresses, not only on loopback"
    )
    return replace(target, host=name)


def remains_of(site: Observation, address: str) -> list[Change]:
    """What removes the remains of a service that is not defined: its making or removal was killed."""
    if site.service(address) is not None or not address:
        return []
    containers = [
        state.container
        for state in site.present.containers.values()
        if state.container.labels.get(site.names.address_label) == address
    ]
    directories = {site.names.internal: f"{address}/", site.names.router_certs: f"{names.tls_directory(address)}/"}
    files = [
        file
        for (volume, path), file in site.present.files.items()
        if volume in directories and path.startswith(directories[volume])
    ]
    found: list[Resource] = [*containers, *files]
    return [Change("delete", resource, resource) for resource in found]


def _creation(context: Context, site: Observation, remains: list[Change], service: Service) -> tuple[Step, ...]:
    """Steps that make the service in place of what may be left of it."""
    gone = {key(change.resource) for change in remains}
    containers = {name: state for name, state in site.present.containers.items() if key(state.container) not in gone}
    files = {place: file for place, file in site.present.files.items() if key(file) not in gone}
    present = replace(site.present, containers=containers, files=files)
    found = state_of(site)
    before = replace(found, configs={name: it for name, it in found.configs.items() if name != service.address})
    changes = diff(
        site_resources(before, ()), site_resources(before.with_service(service), (service.address,)), present
    )
    return Steps(context.api, site.trees, present, now=context.now).make((*remains, *changes))


def _check_free(context: Context, service: Service, remains: Collection[Change]) -> None:
    """Refuse a service whose container name or host ports are taken by others than what remains of it.

    Raises:
        ConflictError: by whom is said where it is known.
    """
    old = [change.resource for change in remains if isinstance(change.resource, Container)]
    container = context.names.service(service)
    if container not in {item.name for item in old} and context.api.container(container) is not None:
        raise ConflictError(
            f"a container named {container} already exists",
            "choose another name for the service's container with --container-name",
        )
    freed = {port.host_port for item in old for port in item.ports}
    _check_ports_free(service, freed)


def _check_ports_free(service: Service, freed: Collection[int] = ()) -> None:
    """Refuse a service whose host ports are taken, but for those that will be freed.

    Raises:
        ConflictError: one is.
    """
    for _, port in service.host_ports.ports:
        if port not in freed and not _port_is_free(service.host_ports.ip, port):
            raise ConflictError(f"ingress port {port} is already in use", f"see by whom: ss -ltnp 'sport = :{port}'")


def _port_is_free(ip: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
            probe.listen(1)
        except PermissionError:
            return True  # a privileged port: Podman may or may not be allowed, and says so itself
        except OSError:
            return False
    return True


def site_with(context: Context, address: str) -> Observation:
    """The site with its router's container and those that may be the service's in detail."""
    site = context.site((context.names.router,))
    container = site.service_container(address)
    return context.site((site.names.router, container.name)) if container else site


def service_of(site: Observation, address: str) -> Service:
    """The service of this address.

    Raises:
        NotFoundError: there is none.
    """
    service = site.service(address)
    if service is None:
        raise NotFoundError(f"Service {address} not defined", "to see the services: skupper service status")
    return service


def _deletion(context: Context, site: Observation, service: Service, notes: Iterable[str] = ()) -> Plan:
    name = site.names.service(service)
    container = context.api.container(name)
    if container is not None and container.labels.get(site.names.address_label) != service.address:
        raise ConflictError(
            f"container {name} is not managed by Skupper",
            f"rename it: podman rename {name} NEW",
        )
    before = state_of(site)
    started_by = quadlets.file_of(context.paths, name)
    steps = [
        *quadlets.removal_steps(context, [started_by] if started_by else []),
        *steps_between(context, site, before, before.without_service(service.address)),
    ]
    facts = {"address": service.address, "deleted": True, "notes": [*notes, *_returning(site, service)], "warnings": []}
    return Plan(f"Delete service {service.address}", tuple(steps), facts)


def _returning(site: Observation, service: Service) -> list[str]:
    """What to say of the removal of a service that another site offers."""
    if not service.origin or site.spec is None or not site.spec.service_sync:
        return []
    where = site_called(site, service.origin)
    return [
        f"{service.address} came from site {where} and comes back while that site offers it; to keep it away, there: "
        f"skupper service allow-site {service.address} SITE, or here: skupper init --enable-service-sync=false"
    ]


def steps_between(context: Context, site: Observation, before: SiteState, after: SiteState) -> tuple[Step, ...]:
    """Steps that turn a site with the services of ``before`` into one with those of ``after``."""
    old, new = ({service.address: service for service in state.services} for state in (before, after))
    changed = {address for address in old.keys() | new.keys() if old.get(address) != new.get(address)}
    changes = diff(site_resources(before, changed), site_resources(after, changed), site.present)
    # A service is defined as long as anything of it is there, so that its removal can be finished.
    ordered = sorted(changes, key=lambda change: key(change.resource)[:2] == ("file", site.names.services))
    return Steps(context.api, site.trees, site.present, now=context.now).make(ordered)


def _live_steps(context: Context, site: Observation, old: Service, new: Service) -> list[Step]:
    """Steps that turn the running router of a service from the targets of ``old`` to those of ``new``."""
    container = site.service_container(old.address)
    if container is None or not container.running or site.spec is None:
        return []
    spec = site.spec

    def bridges(service: Service) -> dict[str, Entity]:
        router = service_router(spec, service)
        found = [target_connectors(router, target.host, dict(target.ports)) for target in service.targets]
        return {entity.text("name"): entity for group in (bridge_listeners(router), *found) for entity in group}

    before, after = bridges(old), bridges(new)
    gone = [entity for name, entity in before.items() if name not in after]
    added = [entity for name, entity in after.items() if name not in before]
    live_router = live.router_in(context.api, container)
    steps = []
    if gone:
        steps.append(live.removing(live_router, gone, f"removal of targets from {container.name}"))
    if added:
        steps.append(live.adding(live_router, added, f"addition of targets to {container.name}"))
    return steps


def _not_running(site: Observation, address: str) -> list[str]:
    container = site.service_container(address)
    if container is not None and container.running:
        return []
    return [f"the container of service {address} does not run; the change takes effect when it starts (skupper init)"]
