"""The plan of ``init``: create a site, complete one that is half-broken, or find that there is nothing to do.

What always holds: an existing site keeps its id, name, links and services; everything that can be known to be in the
way is reported before the first change; the last step succeeds only if the site works.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from skupper_podman import __version__, certs
from skupper_podman.desired.containers import PROGRAM_VERSION, Runtime, claims_ports, ingress_ports
from skupper_podman.desired.diff import Change, diff
from skupper_podman.desired.ports import USUAL, published, with_free_ports
from skupper_podman.desired.resources import Container
from skupper_podman.desired.site import SiteState, site_resources
from skupper_podman.errors import (
    ConflictError,
    InvalidError,
    PlatformError,
    PreflightError,
    SkupperError,
    UsageError,
)
from skupper_podman.files import read_bytes
from skupper_podman.model.site import DEFAULT_NETWORK, RouterKind, SiteSpec, check_site_name, check_site_ports
from skupper_podman.model.siteoptions import merged
from skupper_podman.plan import Plan, Step
from skupper_podman.platform import SiteRequest
from skupper_podman.platform.podman import (
    adopt,
    change,
    defaults,
    endpoint,
    hostimage,
    preflight,
    quadlets,
    sharedimage,
    sites,
)
from skupper_podman.platform.podman.authority import completing
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.host import LocalHost
from skupper_podman.platform.podman.hostfile import writing
from skupper_podman.platform.podman.images import RouterImage, router_image
from skupper_podman.platform.podman.linger import linger_steps, linger_warning
from skupper_podman.platform.podman.observe import Observation, container_of, is_site_volume, observe
from skupper_podman.platform.podman.ready import wait_until_ready
from skupper_podman.platform.podman.steps import Steps
from skupper_podman.platform.podman.supervise import unit_steps


def plan_init(context: Context, request: SiteRequest) -> Plan:
    """Plan the site; see :meth:`skupper_podman.platform.Platform.plan_init`."""
    if request.endpoint:
        context.endpoint = request.endpoint
    request = replace(request, spec=_named(context, request.spec))
    _check_request(request.spec)
    _lock(context, request)
    podman = preflight.look(context.api)
    if isinstance(podman, SkupperError):
        raise _blocked(context, _completed(request.spec, context.user), podman)
    site = observe(context.api, context.names, None, certificates=True, network=request.spec.network, now=context.now())
    if site.spec is None and site.leftovers and not site.blank:
        raise _left_over(site)
    keys = certs.KeyPool(_KEYS if site.spec is None else 0)
    if not request.dry_run:
        keys.start()  # they are made while Podman is waited for
    existed = site.spec is not None
    site, notices = adopt.with_claims(site, request.spec, _host(context))
    wanted = _changed(request, site.spec) if site.spec else None
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Registries and name servers that are out of reach take seconds each: they are asked at the same time.
        choosing = pool.submit(_chosen_image, context, request, site, wanted)
        spec = wanted or _completed(request.spec, context.user)
        choice = choosing.result()
    spec, taken = with_ports(context, request, site.spec, replace(spec, router=choice.kind))
    state = SiteState(spec, runtime(choice, _program(site)), site.links, site.services, site.configs, site.document)
    if site.spec is not None and change.logging_differs(site.spec, spec):
        state = change.without_logging(state)
    changes = diff((), site_resources(state), site.present)
    if changes:
        _check_host(context, spec, podman, choice.kind == "embedded", taken)
    return site_plan(context, request, site, Wanted(spec, choice, changes, existed, keys, notices))


def _named(context: Context, asked: SiteSpec) -> SiteSpec:
    """What is asked for, as a site of this name: the usual network is the one that has its name, too."""
    network = context.names.network if asked.network == DEFAULT_NETWORK else asked.network
    return replace(asked, namespace=context.names.namespace, network=network)


def _changed(request: SiteRequest, found: SiteSpec) -> SiteSpec:
    """The site that exists, as it is asked to be now."""
    spec = merged(request.spec, found, request.given)
    if spec.accepts_links and not spec.ingress_hosts:
        spec = replace(spec, ingress_hosts=tuple(dict.fromkeys(defaults.ingress_hosts())))
    return spec


def with_ports(
    context: Context, request: SiteRequest, found: SiteSpec | None, spec: SiteSpec
) -> tuple[SiteSpec, dict[int, str]]:
    """The site with its ports, and whose the others are. None is taken by another site of the user while this one's
    lock is held, and then because the site is there."""
    if not spec.accepts_links:
        return spec, {}
    with context.user_lock():
        taken = sites.reserved_ports(context.paths, context.names)  # first: see the module
        recorded, used = sites.recorded_ports(context.names, context.api.containers(), context.api.volumes())
        taken = {**taken, **recorded}
        if spec.namespace and not (found and found.accepts_links):
            host = _host(context)

            def is_free(port: int) -> bool:
                return port not in taken and port not in used and not any(_blocked_ips(host, spec, port))

            spec = with_free_ports(spec, _asked_ports(request), is_free)
        context.note(sites.ports_note(published(spec)))
    return spec, taken


def _blocked_ips(host: LocalHost, spec: SiteSpec, port: int) -> Iterator[str]:
    return filter(None, (host.try_bind(ip, port) for ip in spec.bind_ips or ("",)))


def _asked_ports(request: SiteRequest) -> frozenset[str]:
    """The ports that somebody chose."""
    if request.given is not None:
        return request.given & USUAL.keys()
    return frozenset(name for name, usual in USUAL.items() if getattr(request.spec, name) != usual)


def _lock(context: Context, request: SiteRequest) -> None:
    """Take the lock; where it cannot be made, say everything that is in the way."""
    try:
        context.lock()
    except PlatformError:
        _check_host(context, _completed(request.spec, context.user), preflight.look(context.api), host_image=True)
        raise


_KEYS = 7
"""Keys of a new site: three authorities and four credentials."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was decided: the complete site, its router, and the changes that lead there."""

    spec: SiteSpec
    choice: RouterImage
    changes: tuple[Change, ...]
    existed: bool
    keys: certs.KeyPool
    notices: tuple[str, ...] = ()

    def differences(self, found: SiteSpec | None) -> list[str]:
        """What changes for a site that exists, a line an option."""
        # A site read back from one of 1.9 says nothing of how its router was chosen.
        return change.differing(replace(found, router=self._router(found)), self.spec) if found else []

    def _router(self, found: SiteSpec) -> RouterKind:
        return self.spec.router if found.router == "auto" else found.router


def site_plan(context: Context, request: SiteRequest, site: Observation, wanted: Wanted) -> Plan:
    """The plan that turns the site as found into the one wanted, and waits until it works."""
    spec = wanted.spec
    warnings = [*site.damage, *wanted.notices]
    if spec.service_sync and quadlets.installed(context.paths):
        warnings.append(
            "Quadlet files start this site's containers, and only the supervisor makes those of other sites' services: "
            "skupper generate unit --quadlet=false tells how to go back to it"
        )
    running = [name for name, info in site.containers.items() if info.running]
    unit = unit_steps(context, spec.name, running, warnings)
    changes = _change_steps(context, request, site, wanted, unit)
    differences = wanted.differences(site.spec)
    steps: list[Step] = []
    if changes:
        # Lingering first: without it a user's manager, and all it started, ends with the last login.
        steps += [*linger_steps(context, warnings), *_endpoint_steps(context), *_image_steps(context), *changes]
    else:
        warnings += linger_warning(context)
    facts: dict[str, object] = {
        "name": spec.name,
        "id": spec.site_id,
        "existed": wanted.existed,
        "network": spec.network,
        "ingressHosts": spec.ingress_hosts,
        "router": wanted.choice.kind,
        "routerImage": wanted.choice.image,
        "notes": [*_notes(request, wanted), *differences],
        "changes": differences,
        "ahead": change.restarts(wanted.changes, site),
        "warnings": warnings,
    }
    verb = "Change" if differences else "Repair" if wanted.existed and steps else "Create"
    title = f"{verb} site {spec.name}" if steps else f"Site {spec.name} is complete"
    return Plan(title, tuple(steps), facts)


def _change_steps(
    context: Context, request: SiteRequest, site: Observation, wanted: Wanted, unit: list[Step]
) -> tuple[Step, ...]:
    """Steps for the changes and the unit; where anything is started, also the wait until it works."""
    then = list(unit)
    if site.spec is not None and change.logging_differs(site.spec, wanted.spec):
        then += change.logging_steps(context, site, wanted.spec, wanted.changes)
    if unit or any(isinstance(change.resource, Container) for change in wanted.changes):
        then.append(_waiting(context, site, wanted.spec, request.timeout))
    making = Steps(context.api, site.trees, site.present, wanted.keys, context.now)
    leftovers = [container_of(info) for info in site.replaced.values()]  # of a command that was killed
    authorities = [name for name in site.names.authorities if name in site.volumes]
    return (
        *completing(site.trees, authorities),
        *making.make(wanted.changes, then),
        *making.make(Change("delete", container, container) for container in leftovers),
    )


def _check_request(spec: SiteSpec) -> None:
    if spec.name:
        check_site_name(spec.name)
    check_site_ports(spec)
    try:
        certs.alternative_names(spec.ingress_hosts)
    except InvalidError as error:
        raise UsageError(f"Bad value for --ingress-host: {error.message}") from None


def _left_over(site: Observation) -> ConflictError:
    found = [f"container {name}" for name in {**site.containers, **site.replaced}]
    found += [f"volume {name}" for name, volume in site.volumes.items() if is_site_volume(site.names, volume)]
    shown = ", ".join(sorted(found)[:5]) + (", ..." if len(found) > 5 else "")
    return ConflictError(
        f"There are podman resources missing or left from an earlier installation ({shown})",
        "to clean them up: skupper delete",
    )


def _completed(asked: SiteSpec, user: str) -> SiteSpec:
    """What is asked for, with everything that was left open decided."""
    hosts = (asked.ingress_hosts or defaults.ingress_hosts()) if asked.accepts_links else ()
    return replace(
        asked,
        # An edge router takes no links, so nothing of it is published.
        ingress=asked.ingress if asked.accepts_links else "none",
        name=asked.name or defaults.site_name(socket.gethostname(), user),
        site_id=asked.site_id or str(uuid.uuid4()),
        ingress_hosts=tuple(dict.fromkeys(hosts)),
    )


def _blocked(context: Context, spec: SiteSpec, error: SkupperError) -> SkupperError:
    """The error with everything else that is in the way as well."""
    try:
        _check_host(context, spec, error, host_image=True)
    except PreflightError as found:
        return found
    return error


def _check_host(
    context: Context,
    spec: SiteSpec,
    podman: preflight.PodmanFacts | SkupperError,
    host_image: bool,
    taken: Mapping[int, str] | None = None,
) -> None:
    """Look for all that is in the way.

    Raises:
        PreflightError: with every blocker.
    """
    flags = {spec.inter_router_port: "--bind-port", spec.edge_port: "--bind-port-edge"}
    flags |= {spec.claims_port: "--bind-port-claims"} if spec.claims_port else {}
    bound = (*ingress_ports(spec), *claims_ports(spec))
    wanted = preflight.Wanted(
        containers=context.names.components,
        volumes=context.names.site_volumes,
        network=spec.network,
        ports=tuple(preflight.WantedPort(port, flags.get(port.host_port, "")) for port in bound),
        hosts=spec.ingress_hosts,
        hosts_needed=spec.accepts_links,
        host_image=host_image,
        names=context.names,
        taken=taken or {},
        limits=preflight.limits_of(spec),
    )
    blockers = preflight.check(wanted, podman, context.resolved_endpoint(), _host(context), context.paths.site_home)
    if blockers:
        raise PreflightError(blockers)


def _host(context: Context) -> LocalHost:
    return LocalHost(context.uid, os.getgid(), context.user, context.paths.runtime_dir)


def _chosen_image(context: Context, request: SiteRequest, site: Observation, wanted: SiteSpec | None) -> RouterImage:
    """Decide what the router runs on. A pull happens here, because only its outcome decides; nothing else changes."""
    kind = wanted.router if wanted else request.spec.router
    if kind == "embedded":
        reason = "the site has it" if site.spec and site.spec.router == kind else "it was asked for"
        return RouterImage("embedded", hostimage.host_image().name, f"the embedded router, since {reason}")
    if site.spec is not None and site.spec.router == kind and site.names.router in site.containers:
        router = site.containers[site.names.router]
        return RouterImage("image", router.image, "the site has it")
    choice = router_image(kind, context.api, context.env, pull=False)
    if choice.kind == "image" and not request.dry_run and context.api.image(choice.image) is None:
        choice = router_image(kind, context.api, context.env, timeout=request.timeout)
    return choice


def runtime(choice: RouterImage, program: str) -> Runtime:
    """What containers run on from now on; ``program`` is the version of this program they are said to run."""
    host = hostimage.host_image().name
    image = host if choice.kind == "embedded" else choice.image
    python = hostimage.python_command("")[0]
    return Runtime(choice.kind, image, host, hostimage.host_mounts(), python, socket.gethostname(), program)


def _program(site: Observation) -> str:
    """The version the site runs: ``init`` repairs a site as it is, only ``update`` brings it up to date."""
    controller = site.containers.get(site.names.controller)
    return controller.env.get(PROGRAM_VERSION, "") if controller and controller.detailed else __version__


def _endpoint_steps(context: Context) -> list[Step]:
    """Keep the endpoint that was chosen, so that later commands use it without being told."""
    chosen = context.resolved_endpoint()
    before = read_bytes(context.paths.endpoint_file)
    if before is not None and endpoint.parse_document(before) == chosen.stored:
        return []
    return [writing(context.paths.endpoint_file, endpoint.render_document(chosen.stored))]


def _image_steps(context: Context) -> list[Step]:
    image = hostimage.host_image().name
    if context.api.image(image) is not None:
        return []
    return [
        Step(
            "create",
            f"image {image}",
            lambda: sharedimage.make(context),
            lambda: _ignore(sharedimage.drop(context)),
            "made of this host, nothing is downloaded",
        )
    ]


def _ignore(_value: object) -> None:
    return None


def _waiting(context: Context, site: Observation, spec: SiteSpec, timeout: float) -> Step:
    def do() -> None:
        wait_until_ready(context, site.trees, spec.site_id, timeout)

    return Step("check", "that the router and the controller work", do, waits=True)


def _notes(request: SiteRequest, wanted: Wanted) -> list[str]:
    """What was chosen for the user."""
    notes: list[str] = []
    if wanted.existed:
        return notes
    spec = wanted.spec
    if spec.namespace and spec.accepts_links:
        claims = f", {spec.claims_port} for claims" if spec.serves_claims else ""
        notes.append(f"other sites reach it at port {spec.inter_router_port}, {spec.edge_port} for edge sites{claims}")
    if request.spec.router == "auto":
        kind = "embedded router" if wanted.choice.kind == "embedded" else "router image"
        notes.append(f"the site uses the {kind}: {wanted.choice.reason}")
    return notes
