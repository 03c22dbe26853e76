"""Everything the podman platform takes from its surroundings, as one value: user, environment, directories, clock, API.

What always holds: no other module of the platform reads the environment, the clock or the user; changing a site is
possible only while its lock is held, and the lock goes away with the process.
"""

from __future__ import annotations

import datetime
import os
import pwd
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from skupper_podman.desired.names import Names
from skupper_podman.errors import NotEnabledError
from skupper_podman.files import make_directories, read_bytes
from skupper_podman.locks import Lock, locked
from skupper_podman.model.namespace import VARIABLE, check_namespace, owner
from skupper_podman.paths import Paths, paths_for
from skupper_podman.platform.podman import endpoint as endpoints
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.hostfile import remove_empty_directories
from skupper_podman.platform.podman.observe import Observation, observe
from skupper_podman.platform.podman.sites import other_sites
from skupper_podman.systemd import Systemd

LOCK_TIMEOUT = 60.0
_MOMENT = 5.0
"""Seconds for which one command may take what it has seen of the site for what is there."""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(slots=True)
class Context:
    """The surroundings of one command. ``endpoint`` overrides where the Podman API is.

    ``by_systemd`` says whether systemd supervises the site, None that systemd is to be asked.
    """

    env: Mapping[str, str]
    uid: int
    user: str
    paths: Paths
    endpoint: str = ""
    now: Callable[[], datetime.datetime] = _now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    lock_timeout: float = LOCK_TIMEOUT
    by_systemd: bool | None = None
    _api: PodmanApi | None = None
    _held: ExitStack = field(default_factory=ExitStack)
    _lock: ExitStack = field(default_factory=ExitStack)
    _held_lock: Lock | None = None
    _recent: tuple[float, Observation] | None = None

    @property
    def names(self) -> Names:
        """The names of the site."""
        return Names(self.paths.namespace)

    @property
    def whose(self) -> str:
        """The user, and the site where it has a name, as messages name them."""
        return owner(self.user, self.paths.namespace)

    def resolved_endpoint(self) -> endpoints.Endpoint:
        """Which API is used, and whose word that was.

        Raises:
            EndpointError: what was chosen is no endpoint. InvalidError: ``podman.yaml`` is malformed.
        """
        stored = endpoints.parse_document(read_bytes(self.paths.endpoint_file))
        return endpoints.resolve(self.endpoint, stored, self.env, self.paths.default_socket)

    @property
    def api(self) -> PodmanApi:
        """The Podman service; nothing is sent before it is asked something. Raises as :meth:`resolved_endpoint`."""
        if self._api is None:
            url = self.resolved_endpoint().url
            self._api = PodmanApi(url, uid=self.uid, restart_policy=self._restart_policy)
            self._held.callback(self._api.close)
        return self._api

    def _restart_policy(self) -> str:
        """Podman restarts containers by itself only where no systemd supervises the site."""
        by_systemd = self.by_systemd
        if by_systemd is None:
            by_systemd = not Systemd(self.paths, self.env, self.user).unavailable()
        return "no" if by_systemd else "always"

    def lock(self) -> None:
        """Keep other commands from changing the site until this one is closed or its process ends.

        Raises:
            ConflictError: another one is still at work after a minute.
        """
        if self._held_lock is not None:
            return
        self._held_lock = self._lock.enter_context(self._locked(*self.paths.lock_files))

    @contextmanager
    def user_lock(self) -> Iterator[None]:
        """Keep commands on all sites of the user from choosing, for a moment.

        Raises:
            ConflictError: another one is still choosing after a minute.
        """
        with self._locked(*self.paths.user_lock_files):
            yield

    @contextmanager
    def _locked(self, path: Path, fallback: Path) -> Iterator[Lock]:
        """Hold the lock in the runtime directory, or in the data home of a user who has none."""
        chosen = path if os.access(path.parent, os.W_OK) else fallback
        make_directories(chosen.parent)
        try:
            with locked(chosen, timeout=self.lock_timeout) as lock:
                yield lock
        finally:
            if chosen == fallback:
                remove_empty_directories(fallback)

    def note(self, content: bytes) -> None:
        """Let commands on other sites know what this one, which holds the site's lock, is about to make."""
        assert self._held_lock is not None
        self._held_lock.note(content)

    def unlock(self) -> None:
        """Let other commands change the site again; connections stay."""
        self._lock.close()
        self._held_lock = None

    def close(self) -> None:
        """Release the lock and the connections."""
        self._lock.close()
        self._held.close()
        self._api = None
        self._held_lock = None

    def site(self, inspect: tuple[str, ...] = ()) -> Observation:
        """The site as it is; containers named in ``inspect`` in detail.

        Raises:
            NotEnabledError: there is none.
        """
        found = observe(self.api, self.names, inspect)
        if found.spec is None:
            raise not_enabled(self, found.leftovers)
        self._recent = (self.monotonic(), found)
        return found

    def partial_site(self) -> Observation:
        """The site without the containers of its services; with many, Podman takes long to list them.

        Raises:
            NotEnabledError: there is none.
        """
        found = observe(self.api, self.names, partial=True)
        if found.spec is None:
            return self.site()
        self._recent = (self.monotonic(), found)
        return found

    def recent_site(self) -> Observation:
        """The site as it was seen a moment ago, else as it is, without the containers of services.

        For what is asked beside a probe.

        Raises:
            NotEnabledError: there is none.
        """
        # Who holds the lock is changing the site.
        if self._recent is not None and self._held_lock is None and self.monotonic() - self._recent[0] < _MOMENT:
            return self._recent[1]
        return self.partial_site()


def not_enabled(context: Context, leftovers: bool = False) -> NotEnabledError:
    """The error for a command that needs a site."""
    message = f"Skupper is not enabled for {context.whose}"
    if not leftovers:
        others = other_sites(context.api, context.names)
        there = f"; sites here: {', '.join(others)} (skupper -n NAME ...)" if others else ""
        return NotEnabledError(message, f"to create a site: skupper init{there}")
    return NotEnabledError(
        f"{message}: there are podman resources missing or left from an earlier installation",
        "to clean them up: skupper delete",
    )


def real_context(env: Mapping[str, str] | None = None, endpoint: str = "") -> Context:
    """The context of this process; ``env`` replaces its environment."""
    environment = os.environ if env is None else env
    uid = os.getuid()
    try:
        entry = pwd.getpwuid(uid)
        user, home = entry.pw_name, entry.pw_dir
    except KeyError:
        user, home = environment.get("USER") or str(uid), "/"
    namespace = check_namespace(environment.get(VARIABLE, ""), VARIABLE)
    paths = paths_for(uid, environment, Path(home), namespace)
    return Context(environment, uid, "".join(user.split()), paths, endpoint)
