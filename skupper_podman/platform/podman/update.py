"""The plan of ``update``: the site on the images and the version of this program, as they are now.

What always holds: a site that a newer program made is left alone; nothing restarts that is up to date, unless that is
asked for; an image that cannot be pulled does not stop the update where it is in local storage.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from skupper_podman import SKUPPER_VERSION, __version__, certs
from skupper_podman.desired.diff import Change, diff
from skupper_podman.desired.resources import Container, Resource
from skupper_podman.desired.site import SiteState, site_resources
from skupper_podman.errors import ConflictError, SkupperError
from skupper_podman.model.site import SiteSpec
from skupper_podman.plan import Plan
from skupper_podman.platform import SiteRequest
from skupper_podman.platform.podman import hostimage, preflight
from skupper_podman.platform.podman.context import Context, not_enabled
from skupper_podman.platform.podman.images import RouterImage, registry_auth, router_image, router_reference
from skupper_podman.platform.podman.init import Wanted, runtime, site_plan
from skupper_podman.platform.podman.observe import Observation, observe
from skupper_podman.router.config import RouterConfig, SiteMetadata

IMAGES = "Updates skupper podman container images"
VERSION = "Updates current version number"


def plan_update(context: Context, *, force_restart: bool, timeout: float, dry_run: bool) -> Plan:
    """Plan the update; see :meth:`skupper_podman.platform.Platform.plan_update`."""
    context.lock()
    podman = preflight.look(context.api)
    if isinstance(podman, SkupperError):
        raise podman
    site = observe(context.api, context.names, None, certificates=True)
    if site.spec is None:
        raise not_enabled(context, site.leftovers)
    check_version(site)
    notes: list[str] = []
    choice = _image(context, site.spec, timeout, dry_run, notes)
    state = _updated(site, site.spec, choice)
    resources = site_resources(state)
    changes = _with_moved_tags(context, site, diff((), resources, site.present), resources)
    if force_restart:
        changes = _restarting(site, changes, resources)
    request = SiteRequest(SiteSpec("", "", router=choice.kind), timeout=timeout, dry_run=dry_run)
    wanted = Wanted(replace(site.spec, router=choice.kind), choice, changes, True, certs.KeyPool(0))
    plan = site_plan(context, request, site, wanted)
    tasks = _tasks(site, state, changes)
    title = f"Update site {site.spec.name}" if plan.steps else f"Site {site.spec.name} is up to date"
    return Plan(title, plan.steps, {**plan.facts, "notes": notes, "tasks": tasks, "version": SKUPPER_VERSION})


def check_version(site: Observation) -> None:
    """Refuse a site that a newer program made.

    Raises:
        ConflictError: it is newer.
    """
    version = site.configs[""].site.version if "" in site.configs else ""
    if _numbers(version) > _numbers(SKUPPER_VERSION):
        raise ConflictError(
            f"Site ({version}) is newer than library ({SKUPPER_VERSION}); cannot update",
            f"use a command line of version {version} or later",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version; empty for one that has none, so that it counts as older than any."""
    parts = version.partition("-")[0].split(".")
    return tuple(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else ()


def _image(context: Context, spec: SiteSpec, timeout: float, dry_run: bool, notes: list[str]) -> RouterImage:
    """The image for the routers: made of the host, or the one that is current for this version, pulled anew."""
    if spec.router == "embedded":
        return RouterImage("embedded", hostimage.host_image().name, "the site has it")
    reference = router_reference(context.env)
    if not dry_run and context.api.image(reference) is not None:
        try:
            context.api.pull(reference, timeout, auth=registry_auth(reference, context.env))
        except SkupperError as error:
            notes.append(f"{reference} could not be pulled, so the one in local storage is used: {error.message}")
    return router_image("image", context.api, context.env, timeout=timeout, pull=not dry_run)


def _updated(site: Observation, spec: SiteSpec, choice: RouterImage) -> SiteState:
    """The site with this program's version written into its router's configuration."""
    configs = dict(site.configs)
    if "" in configs:
        configs[""] = _with_version(configs[""])
    return SiteState(spec, runtime(choice, __version__), site.links, site.services, configs, site.document)


def _with_version(config: RouterConfig) -> RouterConfig:
    entity = config.get("router", "")
    if entity is None or config.site.version == SKUPPER_VERSION:
        return config
    return config.with_site(SiteMetadata(config.site.id, SKUPPER_VERSION, config.site.platform or "podman"))


def _with_moved_tags(
    context: Context, site: Observation, changes: tuple[Change, ...], resources: Iterable[Resource]
) -> tuple[Change, ...]:
    """The changes, and those for containers whose image has the same name but another content by now."""
    names = {container.image for container in _containers(resources)}
    ids = {name: image.id for name in names if (image := context.api.image(name)) is not None}
    changed = {change.resource.name for change in changes if isinstance(change.resource, Container)}
    more = []
    for container in _containers(resources):
        info, state = site.containers.get(container.name), site.present.containers.get(container.name)
        current = ids.get(container.image, "")
        if info is None or state is None or container.name in changed or not current or not info.image_id:
            continue
        if info.image_id != current:
            more.append(Change("update", container, state.container, "image"))
    return (*changes, *more)


def _restarting(site: Observation, changes: tuple[Change, ...], resources: Iterable[Resource]) -> tuple[Change, ...]:
    """The changes, and a restart of every container that would run on through them."""
    changed = {change.resource.name for change in changes if isinstance(change.resource, Container)}
    more = [
        Change("restart", container, reason="it was asked for")
        for container in _containers(resources)
        if container.name not in changed and container.name in site.containers
    ]
    return (*changes, *more)


def _containers(resources: Iterable[Resource]) -> list[Container]:
    return [resource for resource in resources if isinstance(resource, Container)]


def _tasks(site: Observation, state: SiteState, changes: Iterable[Change]) -> list[str]:
    """What is to be done, in 1.9's words."""
    tasks = [IMAGES] if any(isinstance(change.resource, Container) for change in changes) else []
    before = site.configs[""].site.version if "" in site.configs else ""
    after = state.configs[""].site.version if "" in state.configs else ""
    return tasks + ([VERSION] if before != after else [])
