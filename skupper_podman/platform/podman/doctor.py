"""Looks at everything a site needs, from the host up to bytes through its router, and says what mends what is broken.

Every fact has one source: what stands in the way of an ``init`` is preflight's word, how the site is that of the status
probes, and what differs from what ``init`` made is the plan of ``init``. What always holds: a check that fails or
cannot be made stops no other one; without Podman or without a site the rest is ``skipped``, never ``ok``; nothing is
changed.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from skupper_podman.desired import names
from skupper_podman.desired.containers import ingress_ports
from skupper_podman.errors import Blocker, ConflictError, SkupperError
from skupper_podman.model.certificate import Certificate
from skupper_podman.model.doctor import BY_ID, CHECKS, Finding, Result
from skupper_podman.model.site import SiteSpec
from skupper_podman.model.status import Health, Probe, SiteStatus
from skupper_podman.platform import SiteRequest
from skupper_podman.platform.podman import init, preflight
from skupper_podman.platform.podman.certstatus import RENEW
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.doctorgateways import gateway_findings
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.platform.podman.host import local_host
from skupper_podman.platform.podman.hostimage import REPOSITORY
from skupper_podman.platform.podman.linger import linger_fix
from skupper_podman.platform.podman.observe import Observation, observe
from skupper_podman.platform.podman.status import site_status
from skupper_podman.supervisor import processes
from skupper_podman.systemd import Systemd

_OWN: Final = frozenset(("clock", "network-exists", "network-names"))
_OF_PODMAN: Final = frozenset(("name-container", "name-volume", "podman-remote", "limits"))
"""What Podman is asked for by preflight, besides networks."""
_PREFLIGHT: Final = frozenset(check.id for check in CHECKS if check.group in ("host", "podman", "network")) - _OWN
_BY_PROBE: Final = {
    "container": "container",
    "router": "router-management",
    "controller": "network-status",
    "network": "network-status",
    "file": "file",
    "files": "file",
    "volume": "file",
    "disk": "disk-full",
    "certificate": "certificate",
    "certificates": "certificate",
    "link": "link",
    "service": "service",
    "sync": "service-sync",
    "unit": "unit",
    "supervisor": "unit",
}
"""Which check a probe of the status belongs to, by the first word of its name."""
_RESULTS: Final[dict[Health, Result]] = {"ok": "ok", "failing": "fail", "unknown": "unknown"}
_TRAFFIC_LIMIT: Final = 20.0
_LOCK_PATIENCE: Final = 2.0
"""Seconds to wait for a command that changes the site; what it changes is no drift."""
_CLOCK_TOLERANCE: Final = datetime.timedelta(minutes=5)
_WRONG: Final = "the clock is wrong now, or was then"
_SET_CLOCK: Final = "timedatectl set-ntp true"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was found out before the checks: Podman or its error, the site or why there is none, its status."""

    podman: preflight.PodmanFacts | SkupperError
    site: Observation | None = None
    why_no_site: str = ""
    status: SiteStatus | None = None


def examine(context: Context, only: Collection[str]) -> tuple[Finding, ...]:
    """Make the checks whose ids are in ``only``; see :meth:`skupper_podman.platform.Platform.doctor`."""
    seen = _look(context)
    makers: tuple[Callable[[Context, _Seen], Iterable[Finding]], ...] = (
        _preflight, _clock, _network, _site, _probes, _gateways, _drift, _linger, _traffic,
    )  # fmt: skip
    found: list[Finding] = []
    for make in makers:
        if make is _traffic and "traffic" not in only:
            continue
        if make is _drift and "drift" not in only:
            continue
        if make is _gateways and "gateway" not in only:
            continue
        found += make(context, seen)
    found = [finding for finding in found if finding.check in only]
    there = {finding.check for finding in found}
    reason = seen.why_no_site or "there is nothing of that kind here"
    found += [Finding(check, "skipped", reason) for check in BY_ID if check in only and check not in there]
    order = {check.id: number for number, check in enumerate(CHECKS)}
    return tuple(sorted(found, key=lambda finding: order[finding.check]))


def _look(context: Context) -> _Seen:
    podman = preflight.look(context.api)
    if isinstance(podman, SkupperError):
        return _Seen(podman, why_no_site="Podman does not answer")
    try:
        site = observe(context.api, context.names)
        if site.spec is None:
            return _Seen(podman, why_no_site="there is no site")
        return _Seen(podman, site, status=site_status(context))
    except SkupperError as error:
        return _Seen(podman, why_no_site=error.message)


def _preflight(context: Context, seen: _Seen) -> Iterator[Finding]:
    """What would stand in the way of an init with this site's settings."""
    spec = seen.site.spec if seen.site else None
    ports = tuple(preflight.WantedPort(port) for port in ingress_ports(spec)) if spec else ()
    wanted = preflight.Wanted(
        containers=context.names.components,
        volumes=context.names.site_volumes,
        network=spec.network if spec else context.names.network,
        ports=ports,
        hosts=spec.ingress_hosts if spec else ("-",),
        hosts_needed=spec is not None and spec.ingress != "none",
        host_image=True,
        names=context.names,
        limits=preflight.limits_of(spec) if spec else {},
    )
    host = local_host(context.paths.runtime_dir)
    try:
        blockers = preflight.check(wanted, seen.podman, context.resolved_endpoint(), host, context.paths.site_home)
    except SkupperError as error:
        blockers = (Blocker("podman-endpoint", error.message, error.hint),)
    yield from (Finding(blocker.check, "fail", blocker.cause, blocker.fix) for blocker in blockers)
    bad = {blocker.check for blocker in blockers}
    blind = isinstance(seen.podman, SkupperError)
    for check in sorted(_PREFLIGHT - bad):
        asked = check.startswith("network-") or check in _OF_PODMAN
        if blind and asked:
            yield Finding(check, "skipped", "Podman does not answer")
        else:
            yield Finding(check, "ok", _fact(check, seen))


def _fact(check: str, seen: _Seen) -> str:
    if isinstance(seen.podman, SkupperError):
        return ""
    info = seen.podman.info
    facts = {
        "podman-endpoint": f"Podman {info.version}, {'rootless' if info.rootless else 'rootful'}",
        "network-backend": info.network_backend,
    }
    return facts.get(check, "")


def _clock(context: Context, seen: _Seen) -> Iterator[Finding]:
    """A clock that is behind what was written, or certificates from the future: the clock was or is wrong."""
    if seen.site is None:
        return
    now = context.now()
    for volume in seen.site.volumes.values():
        try:
            made = datetime.datetime.fromisoformat(volume.created_at).astimezone(datetime.UTC)
        except ValueError:
            continue
        if made - now > _CLOCK_TOLERANCE:
            cause = f"it is {now:%Y-%m-%d %H:%M} UTC here, but volume {volume.name} was made at {made:%Y-%m-%d %H:%M}"
            yield Finding("clock", "fail", f"{cause}: {_WRONG}", _SET_CLOCK)
            return
    for container in seen.site.containers.values():
        step = _clock_step(container, now)
        if abs(step) > _CLOCK_TOLERANCE:
            # Some hosts learn the time only after their boot: that harms nothing while certificates are valid.
            valid = seen.status is not None and all(_is_valid(item, now) for item in seen.status.certificates)
            way = f"{'on' if step > datetime.timedelta() else 'back'} by {str(abs(step)).partition('.')[0]}"
            cause = f"it is {now:%Y-%m-%d %H:%M} UTC here, and since {container.name} started the clock was set {way}"
            yield Finding("clock", "warn" if valid else "fail", f"{cause}: {_WRONG}", _SET_CLOCK)
            return
    yield Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")


def _clock_step(container: ContainerInfo, now: datetime.datetime) -> datetime.timedelta:
    """By how much the clock was set since a container started: how old it is by the clock, and by the kernel."""
    process = processes.find(container.pid) if container.running else None
    try:
        started = datetime.datetime.fromisoformat(container.started_at)
    except ValueError:
        return datetime.timedelta()
    return now - started - datetime.timedelta(seconds=process.age) if process else datetime.timedelta()


def _is_valid(certificate: Certificate, now: datetime.datetime) -> bool:
    begun = certificate.not_before is None or certificate.not_before <= now
    return begun and (certificate.not_after is None or now <= certificate.not_after)


def _network(_context: Context, seen: _Seen) -> Iterator[Finding]:
    if seen.site is None or seen.site.spec is None:
        return
    name = seen.site.spec.network
    if name in seen.site.present.networks:
        yield Finding("network-exists", "ok", name)
    else:
        yield Finding("network-exists", "fail", f"network {name} does not exist", "skupper init", remedy="init")


def _site(_context: Context, seen: _Seen) -> Iterator[Finding]:
    if isinstance(seen.podman, SkupperError):
        yield Finding("site", "skipped", "Podman does not answer")
    elif seen.status is not None:
        yield Finding("site", "ok", f"{seen.status.name}, {seen.status.router_kind} router")
    elif seen.why_no_site == "there is no site":
        yield Finding("site", "fail", "there is no site", "skupper init")
    else:
        yield Finding("site", "unknown", seen.why_no_site, "skupper init")


def _probes(_context: Context, seen: _Seen) -> Iterator[Finding]:
    """The status, probe by probe."""
    for probe in seen.status.probes if seen.status else ():
        kind, _, subject = probe.name.partition(" ")
        check = _BY_PROBE.get(kind, "container")
        if kind == "linger" or (kind == "disk" and probe.health == "ok"):
            continue  # a check of its own tells it
        if kind == "network" and subject != "status":
            check = "network-names"
        if check in ("router-management", "network-status", "unit"):
            subject = ""
        result = _RESULTS[probe.health]
        if result == "ok" and probe.fix:
            result = "warn"
        remedy = "" if result == "ok" else _remedy(probe)
        yield Finding(check, result, probe.detail, probe.fix, subject, probe.since, remedy)


def _remedy(probe: Probe) -> str:
    """What ``--fix`` may do: nothing that only a person can decide, and no restart of what works."""
    command = probe.fix.rpartition("; ")[2]
    if command.startswith("podman unpause "):
        return f"unpause {command.split()[-1]}"
    if command.startswith("podman restart "):
        return f"restart {command.split()[-1]}"
    return {"skupper init": "init", RENEW: "renew"}.get(command, "")


def _gateways(context: Context, seen: _Seen) -> Iterator[Finding]:
    if seen.site is not None:
        yield from gateway_findings(context, seen.site)


def _drift(context: Context, seen: _Seen) -> Iterator[Finding]:
    """What ``init`` would change."""
    if seen.site is None:
        return
    patience, context.lock_timeout = context.lock_timeout, _LOCK_PATIENCE
    try:
        plan = init.plan_init(context, SiteRequest(SiteSpec("", ""), dry_run=True, given=frozenset()))
    except ConflictError as error:
        yield Finding("drift", "warn", error.message, error.hint or "skupper delete")
        return
    except SkupperError as error:
        yield Finding("drift", "unknown", error.message, error.hint or "skupper init --dry-run")
        return
    finally:
        context.unlock()
        context.lock_timeout = patience
    steps = [str(step) for step in plan.steps if step.verb != "check"]
    if not steps:
        yield Finding("drift", "ok", "nothing differs")
        return
    more = f" and {len(steps) - 3} more" if len(steps) > 3 else ""
    cause = f"init would {', '.join(steps[:3])}{more}"
    yield Finding("drift", "fail", cause, "skupper init --dry-run; skupper init", remedy="init")


def _linger(context: Context, seen: _Seen) -> Iterator[Finding]:
    if seen.site is None:
        return
    systemd = Systemd(context.paths, context.env, context.user)
    reason = systemd.unavailable()
    if reason:
        yield Finding("linger", "warn", f"{reason}: the site does not start by itself", "after a boot: skupper init")
        return
    fix = linger_fix(context)
    if fix:
        yield Finding("linger", "fail", f"the site stops with the last login of {context.user}", fix, remedy="linger")
    else:
        yield Finding("linger", "ok")


def _traffic(context: Context, seen: _Seen) -> Iterator[Finding]:
    """Bytes through a listener and a connector of the site's router, from the controller's container and back."""
    if seen.site is None:
        return
    router, controller = (seen.site.containers.get(name) for name in context.names.components)
    if router is None or not router.running or controller is None or not controller.running:
        yield Finding("traffic", "skipped", "the router and the controller must run for it")
        return
    if not controller.image.startswith(REPOSITORY):
        yield Finding("traffic", "skipped", "the controller of this site is not ours and has no program for it")
        return
    url = f"amqps://{names.LOCAL_HOST}:5671"
    words = ("python3", "-m", "skupper_podman.router.selftest", url, names.MESSAGING_PATH)
    fix = f"podman logs --tail 20 {context.names.router}; podman restart {context.names.router}"
    try:
        result = context.api.exec(controller.name, (*words, names.ROUTER, names.CONTROLLER), _TRAFFIC_LIMIT)
        said = json.loads(result.stdout)
        error, octets, seconds = str(said["error"]), int(said["octets"]), float(said["seconds"])
    except SkupperError as failure:
        yield Finding("traffic", "unknown", failure.message, failure.hint)
        return
    except (ValueError, TypeError, KeyError):
        yield Finding(
            "traffic", "unknown", "the test ended without a result", f"podman logs {context.names.controller}"
        )
        return
    if error:
        yield Finding("traffic", "fail", error, fix, remedy=f"restart {context.names.router}")
    else:
        yield Finding("traffic", "ok", f"{octets} octets there and back in {seconds:g} s")
