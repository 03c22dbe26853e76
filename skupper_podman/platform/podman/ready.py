"""Waiting until a site that was started works: its router answers, and its controller has seen it.

What always holds: the wait is bounded; it ends as soon as the answer is known, also when that is "never" (a container
that keeps ending); a failure carries the last words of the container at fault.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Mapping
from pathlib import Path

from skupper_podman.desired import names
from skupper_podman.desired.names import Names
from skupper_podman.errors import PlatformError, SkupperError
from skupper_podman.model.network import NetworkStatus
from skupper_podman.model.networkrecords import SiteStatus
from skupper_podman.model.service import Service
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.facts import ContainerInfo

SERVICE_TIMEOUT = 20.0
"""Seconds a service's router has to join the network; it takes less than one."""

_POLL = 0.03
_PATIENCE = 2.0
_LOOK = 0.5
_ASK_FIRST = 0.35
_ASK_AGAIN = 0.5
"""Seconds between two questions: each leaves two small processes of Podman behind for five minutes."""
_MAX_RESTARTS = 3


def wait_until_ready(context: Context, trees: Trees, site_id: str, timeout: float) -> None:
    """Wait until the router answers management and the controller has written a status with the site in it.

    Raises:
        PlatformError: it did not happen within ``timeout`` seconds, or cannot happen.
    """
    end = context.monotonic() + timeout
    restarts = {name: _restarts(context, name) for name in context.names.components}
    started = _started(context, context.names.controller)
    look = context.monotonic() + _LOOK
    with _Asking(context) as router:
        while not (router.answered.is_set() and _status_shows(trees, context.names, site_id, started)):
            now = context.monotonic()
            if now >= end:
                break
            if now >= look:
                _check_containers(context, restarts)
                look = context.monotonic() + _LOOK
            context.sleep(_POLL)
        else:
            return
        answered = router.answered.is_set()
    raise _late(context, timeout, answered)


def wait_for_service(context: Context, trees: Trees, site_id: str, router_id: str, service: Service) -> None:
    """Wait until the service's router is part of the network with all its listeners and connectors.

    Raises:
        PlatformError: it did not happen in time, or cannot happen.
    """
    begun, container = context.monotonic(), context.names.service(service)
    restarts = _restarts(context, container)
    look = begun + _LOOK
    started = _started(context, container)
    while not _service_shows(trees, context.names, site_id, router_id, service, started):
        now = context.monotonic()
        if now >= look:
            info = context.api.container(container)
            if info is None or _hopeless(info, restarts):
                raise _failure(context, container, f"ended with exit code {info.exit_code if info else 0}")
            # The controller may be away: then the service's own router is asked.
            if now - begun > _PATIENCE and _answers(context, container):
                return
            look = context.monotonic() + _LOOK
        if now - begun >= SERVICE_TIMEOUT:
            raise _failure(context, container, f"did not answer within {SERVICE_TIMEOUT:g} seconds")
        context.sleep(_POLL)


def _service_shows(trees: Trees, own: Names, site_id: str, router_id: str, service: Service, since: float) -> bool:
    site = _own_status(trees, own, site_id)
    found = next((router for router in site.routers if router.router.id == router_id), None) if site else None
    # A record older than the container is of a service of that name that was deleted a moment ago.
    if found is None or found.router.start_time < since * 1_000_000:
        return False
    addresses = {f"{service.address}:{port}" for port in service.ports if service.listens}
    targets = {f"{service.address}:{port}" for target in service.targets for port, _ in target.ports}
    return addresses <= {item.address for item in found.listeners} and targets <= {
        item.address for item in found.connectors
    }


def _answers(context: Context, container: str) -> bool:
    try:
        info = context.api.container(container)
        return info is not None and bool(live.router_in(context.api, info).query("router")[0])
    except SkupperError:
        return False


class _Asking:
    """Asks the router over and over, beside the wait for the controller, because entering a container takes a while."""

    def __init__(self, context: Context) -> None:
        self.answered = threading.Event()
        self._left = threading.Event()
        self._context = context
        self._thread = threading.Thread(target=self._ask, name="ask-router", daemon=True)

    def __enter__(self) -> _Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join(live.QUERY_TIMEOUT)

    def _ask(self) -> None:
        self._left.wait(_ASK_FIRST)
        while not self._left.is_set():
            if _answers(self._context, self._context.names.router):
                self.answered.set()
                return
            self._left.wait(_ASK_AGAIN)


def _status_shows(trees: Trees, own: Names, site_id: str, since: float) -> bool:
    tree = trees.tree(own.network_status)
    try:
        # A file older than the controller is what an earlier one saw.
        if Path(tree.root, names.STATUS_FILE).lstat().st_mtime < since:
            return False
    except OSError:
        return False
    site = _own_status(trees, own, site_id)
    # The site's own router has its name; those of services have longer ones.
    return site is not None and any(router.router.id == site.site.name for router in site.routers)


def _own_status(trees: Trees, own: Names, site_id: str) -> SiteStatus | None:
    """What the controller last wrote about this site."""
    try:
        content = trees.tree(own.network_status).read(names.STATUS_FILE)
        return NetworkStatus.parse(content).site(site_id) if content else None
    except SkupperError:
        return None


def _started(context: Context, name: str) -> float:
    info = context.api.container(name)
    try:
        return datetime.datetime.fromisoformat(_microseconds(info.started_at)).timestamp() if info else 0.0
    except ValueError:
        return 0.0


def _microseconds(text: str) -> str:
    """RFC 3339 with nanoseconds, as Podman writes it, in a form that Python 3.11 reads."""
    head, dot, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}{dot}{tail[: min(digits, 6)]}{tail[digits:]}"


def _restarts(context: Context, name: str) -> int:
    """How often Podman restarted the container by now; it goes on counting when what was broken is mended."""
    info = context.api.container(name)
    return info.restart_count if info else 0


def _check_containers(context: Context, restarts: Mapping[str, int]) -> None:
    for name in context.names.components:
        info = context.api.container(name)
        if info is None:
            raise PlatformError(f"container {name} is gone")
        if _hopeless(info, restarts[name]):
            raise _failure(context, name, f"ended with exit code {info.exit_code}")


def _hopeless(info: ContainerInfo, before: int) -> bool:
    """Whether it keeps ending; ``before`` is how often it had been restarted when the wait began."""
    restarts = info.restart_count - before
    return restarts >= _MAX_RESTARTS or (info.state in ("exited", "stopped") and restarts > 0)


def _late(context: Context, timeout: float, answered: bool) -> PlatformError:
    for name in context.names.components:
        info = context.api.container(name)
        if info is None or not info.running:
            return _failure(context, name, f"did not run after {timeout:g} seconds")
    if not answered:
        return _failure(context, context.names.router, f"did not answer within {timeout:g} seconds")
    return _failure(context, context.names.controller, f"did not see the router within {timeout:g} seconds")


def _failure(context: Context, name: str, what: str) -> PlatformError:
    try:
        log = context.api.logs(name, 8).strip()
    except SkupperError:
        log = ""
    tail = f"; its last words:\n{log}" if log else ""
    return PlatformError(f"{name} {what}{tail}", f"try again, or look closer: podman logs {name}")
