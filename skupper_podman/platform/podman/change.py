"""What it takes to turn a site that exists into another one: which of it runs on, and what is said before it is done.

What always holds: a router whose container stays is changed over management, so that no connection is dropped; whatever
restarts is named before the first step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from skupper_podman.desired.diff import Change
from skupper_podman.desired.resources import Container
from skupper_podman.desired.site import SiteState
from skupper_podman.model.site import SiteSpec
from skupper_podman.model.siteoptions import comparable, differences
from skupper_podman.plan import Step
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.router.config import RouterConfig
from skupper_podman.router.documents import log_entity, with_log_levels

_EFFECTS: Mapping[str, str] = {
    "service_sync": "nothing restarts; off, services that came from other sites are removed",
    "router_logging": "in the running routers",
    "ingress_hosts": "a new certificate, which new connections get; earlier tokens for a host that is gone fail",
}
_UNSET = {"DEFAULT": "info+"}
"""What a log module has that no configuration mentions; the others then follow DEFAULT."""


def differing(found: SiteSpec, wanted: SiteSpec) -> list[str]:
    """What changes, a line an option."""
    lines = []
    for item in differences(found, wanted):
        effect = _EFFECTS.get(item.option, "")
        lines.append(f"{item} ({effect})" if effect else str(item))
    return lines


def without_logging(state: SiteState) -> SiteState:
    """The state with the logging of existing configurations left out, so that only what is asked for is configured."""
    return replace(state, configs={address: with_log_levels(item, {}) for address, item in state.configs.items()})


def logging_differs(found: SiteSpec, wanted: SiteSpec) -> bool:
    """True if the routers are to log otherwise than they do."""
    return bool(comparable(found.router_logging) != comparable(wanted.router_logging))


def logging_steps(context: Context, site: Observation, wanted: SiteSpec, changes: Iterable[Change]) -> list[Step]:
    """Steps that change what the running routers log; those that are replaced or restarted read it when they start."""
    restarting = {change.resource.name for change in changes if isinstance(change.resource, Container)}
    levels = {log.module: log.level for log in wanted.router_logging}
    after = _enabled(log_entity(module, level).attributes for module, level in levels.items())
    steps = []
    for address, config in site.configs.items():
        container = site.service_container(address) if address else site.containers.get(site.names.router)
        if container is None or not container.running or container.name in restarting:
            continue
        router = live.router_in(context.api, container)
        before = _logging(config)
        modules = sorted(before.keys() | after.keys())
        there = {module: before.get(module, _UNSET.get(module, "default")) for module in modules}
        then = {module: after.get(module, _UNSET.get(module, "default")) for module in modules}
        steps.append(live.logging(router, there, then, f"change of log levels in {container.name}"))
    return steps


def _logging(config: RouterConfig) -> dict[str, str]:
    return _enabled(log.attributes for log in config.of_type("log"))


def _enabled(logs: Iterable[Mapping[str, object]]) -> dict[str, str]:
    return {str(log.get("module") or "DEFAULT"): str(log.get("enable") or "default") for log in logs}


def restarts(changes: Iterable[Change], site: Observation) -> list[str]:
    """What is interrupted by the changes, to be said before they are made."""
    stopped = [
        change.resource.name
        for change in changes
        if isinstance(change.resource, Container)
        and change.action in ("update", "restart")
        and (info := site.containers.get(change.resource.name)) is not None
        and info.running
    ]
    services = sorted(set(stopped) - set(site.names.components))
    lines = []
    router, controller = site.names.components
    if router in stopped:
        lines.append(f"{router} restarts: connections through this site are cut off, its links come back by themselves")
    if services:
        shown = ", ".join(services[:5]) + (f" and {len(services) - 5} more" if len(services) > 5 else "")
        lines.append(f"containers of services restart, and connections to them are cut off: {shown}")
    if controller in stopped:
        lines.append(f"{controller} restarts: no connection is touched")
    return lines
