"""Waiting until a site that was started works: its router answers, and its controller has seen it.

What always holds: the wait is bounded; it ends as soon as the answer is known, also when that is "never" (a container
that keeps ending); a failure carries the last words of the container at fault.
"""

from __future__ import annotations

import datetime
import threading
from pathlib import Path

from skupper_podman.desired import names
from skupper_podman.errors import PlatformError, SkupperError
from skupper_podman.model.network import NetworkStatus, NetworkStatusError
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.facts import ContainerInfo

_POLL = 0.03
_LOOK = 0.5
_ASK_AGAIN = 0.05
_MAX_RESTARTS = 3


def wait_until_ready(context: Context, trees: Trees, site_id: str, timeout: float) -> None:
    """Wait until the router answers management and the controller has written a status with the site in it.

    Raises:
        PlatformError: it did not happen within ``timeout`` seconds, or cannot happen.
    """
    end = context.monotonic() + timeout
    started = _started(context, names.CONTROLLER)
    look = context.monotonic() + _LOOK
    with _Asking(context) as router:
        while not (router.answered.is_set() and _status_shows(trees, site_id, started)):
            now = context.monotonic()
            if now >= end:
                break
            if now >= look:
                _check_containers(context)
                look = context.monotonic() + _LOOK
            context.sleep(_POLL)
        else:
            return
        answered = router.answered.is_set()
    raise _late(context, timeout, answered)


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
        while not self._left.is_set():
            try:
                if live.query(self._context.api, names.ROUTER, "router"):
                    self.answered.set()
                    return
            except SkupperError:
                self._left.wait(_ASK_AGAIN)


def _status_shows(trees: Trees, site_id: str, since: float) -> bool:
    tree = trees.tree(names.NETWORK_STATUS)
    try:
        # A file older than the controller is what an earlier one saw.
        if Path(tree.root, names.STATUS_FILE).lstat().st_mtime < since:
            return False
        content = tree.read(names.STATUS_FILE)
        site = NetworkStatus.parse(content).site(site_id) if content else None
    except (OSError, NetworkStatusError):
        return False
    return site is not None and any(router.router.mode == "interior" for router in site.routers)


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


def _check_containers(context: Context) -> None:
    for name in names.COMPONENTS:
        info = context.api.container(name)
        if info is None:
            raise PlatformError(f"container {name} is gone")
        if _hopeless(info):
            raise _failure(context, name, f"ended with exit code {info.exit_code}")


def _hopeless(info: ContainerInfo) -> bool:
    return info.restart_count >= _MAX_RESTARTS or (info.state in ("exited", "stopped") and info.restart_count > 0)


def _late(context: Context, timeout: float, answered: bool) -> PlatformError:
    for name in names.COMPONENTS:
        info = context.api.container(name)
        if info is None or not info.running:
            return _failure(context, name, f"did not run after {timeout:g} seconds")
    if not answered:
        return _failure(context, names.ROUTER, f"did not answer within {timeout:g} seconds")
    return _failure(context, names.CONTROLLER, f"did not see the router within {timeout:g} seconds")


def _failure(context: Context, name: str, what: str) -> PlatformError:
    try:
        log = context.api.logs(name, 8).strip()
    except SkupperError:
        log = ""
    tail = f"; its last words:\n{log}" if log else ""
    return PlatformError(f"{name} {what}{tail}", f"try again, or look closer: podman logs {name}")
