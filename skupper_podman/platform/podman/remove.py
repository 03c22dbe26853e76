"""The plan of ``delete``: everything of the site, also of a half-broken one, and nothing else.

What always holds: the label ``application=skupper`` alone makes nothing ours (users put it on their own things); a
container must also be a component or a service's, a volume must be one that a site makes, a network must be the site's
and nobody else's container on it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from skupper_podman.desired.diff import Change
from skupper_podman.desired.resources import Network, Volume
from skupper_podman.plan import Plan, Step
from skupper_podman.platform.podman import sharedimage
from skupper_podman.platform.podman.context import Context, not_enabled
from skupper_podman.platform.podman.facts import ContainerInfo, NetworkInfo
from skupper_podman.platform.podman.hostfile import deleting
from skupper_podman.platform.podman.linger import linger_removal_steps
from skupper_podman.platform.podman.observe import Observation, container_of, is_site_volume, observe
from skupper_podman.platform.podman.sites import other_sites
from skupper_podman.platform.podman.steps import Steps
from skupper_podman.platform.podman.supervise import removal_steps
from skupper_podman.supervisor import processes


def plan_delete(context: Context) -> Plan:
    """Plan to remove the site; see :meth:`skupper_podman.platform.Platform.plan_delete`."""
    context.lock()
    site = observe(context.api, context.names, None)
    notes: list[str] = []
    network = _network(context, site, notes)
    staying = other_sites(context.api, context.names)
    unit, files = removal_steps(context), _file_steps(context, staying)
    if not (site.leftovers or unit or network or files or sharedimage.is_left(context)):
        raise not_enabled(context)
    changes = _changes(site)
    if network is not None:
        changes.append(Change("delete", network, network))
    steps = [*unit, *_stop_steps(context, site)]
    steps += Steps(context.api, site.trees, site.present, now=context.now).make(changes)
    steps.append(_images_step(context, {info.id for info in _containers(site).values()}))
    # The endpoint last: should this be killed, the next one finds what is left where it is.
    steps += files
    # Without lingering, the user's manager may end, and with it whatever it runs: nothing may follow.
    if not staying:
        others = [info.name for info in context.api.containers() if info.running and info.name not in _containers(site)]
        steps += linger_removal_steps(context, others, notes)
    name = site.spec.name if site.spec else ""
    facts = {"name": name, "notes": notes, "warnings": []}
    return Plan(f"Delete site {name}".strip(), tuple(steps), facts)


def _containers(site: Observation) -> dict[str, ContainerInfo]:
    """All containers of the site, also those that were to be gone already."""
    return {**site.containers, **site.replaced}


def _changes(site: Observation) -> list[Change]:
    changes = []
    for info in sorted(
        _containers(site).values(), key=lambda item: (site.names.component_label in item.labels, item.name)
    ):
        container = container_of(info)
        changes.append(Change("delete", container, container))
    for volume in site.volumes.values():
        if is_site_volume(site.names, volume):
            found = Volume(volume.name, volume.labels)
            changes.append(Change("delete", found, found))
    return changes


def _stop_steps(context: Context, site: Observation) -> list[Step]:
    """All containers are stopped at once, since each may take ten seconds."""
    running = [name for name, info in _containers(site).items() if info.running]
    if not running:
        return []

    def stop() -> None:
        with ThreadPoolExecutor(max_workers=len(running)) as pool:
            list(pool.map(context.api.stop, running))

    def start() -> None:
        for name in running:
            if context.api.container(name) is not None:  # one that a Quadlet unit started is gone when it stops
                context.api.start(name)

    return [Step("stop", f"containers {', '.join(sorted(running))}", stop, start)]


def _network(context: Context, site: Observation, notes: list[str]) -> Network | None:
    """The network to remove: one that we made and that only our containers are on."""
    candidates = [info for info in _labelled_networks(context) if site.spec is None or info.name == site.spec.network]
    if not candidates:
        return None
    found = candidates[0]
    foreign = [
        info.name
        for info in context.api.containers()
        if found.name in info.networks and info.name not in _containers(site)
    ]
    if foreign:
        notes.append(f"network {found.name} is kept, other containers are on it: {', '.join(sorted(foreign))}")
        return None
    return Network(found.name, found.ipv6, found.labels)


def _labelled_networks(context: Context) -> list[NetworkInfo]:
    ours = {**context.names.labels, "app.kubernetes.io/part-of": "skupper"}
    return [info for info in context.api.networks() if ours.items() <= info.labels.items()]


def _file_steps(context: Context, staying: Collection[str]) -> list[Step]:
    """Files outside volumes: our own, and the scripts that 1.9 made. The last site takes what all sites share."""
    own = context.paths
    paths = (own.endpoint_file, own.start_script, own.stop_script, *(() if staying else (own.linger_mark,)))
    return [step for path in paths if (step := deleting(path)) is not None]


def _images_step(context: Context, gone: set[str]) -> Step:
    """What nothing needs any more, without the containers ``gone``."""
    removed = [False]

    def do() -> None:
        _end_monitors(context, gone)
        removed[:] = [True]  # perhaps: where Podman's answer is lost, nobody knows
        removed[:] = [sharedimage.drop(context)]

    def undo() -> None:
        if any(removed):
            sharedimage.make(context)

    return Step("delete", "images made of this host", do, undo)


def _end_monitors(context: Context, gone: set[str]) -> None:
    """End what Podman keeps for five minutes of each command run in a container, also of one that is gone."""
    for monitor in processes.named("conmon", context.uid):
        if processes.option(monitor.pid, "-c") in gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(monitor.pid, signal.SIGKILL)
