"""Carries out what the site's controller learned of other sites' services, since it has no way to Podman itself.

What always holds: while nothing differs, a look costs three small files; the site's lock is taken for a few services
at a time, so that commands get their turn; one that fails is tried again after ten seconds, then less and less often,
and costs the others nothing; stopping waits for no more than what is under way.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from skupper_podman.desired import names
from skupper_podman.desired.learned import Failure, Learned, Todo, dump_failures, pending
from skupper_podman.desired.names import Names
from skupper_podman.desired.records import parse_spec
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.errors import ConflictError, SkupperError
from skupper_podman.files import Tree

if TYPE_CHECKING:  # only named in annotations: most sites have service sync off, and must not pay for loading these
    from skupper_podman.platform.podman.context import Context
    from skupper_podman.platform.podman.learning import Round

EVERY = 2.0
"""Seconds between looks."""
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 600.0
AT_ONCE = 8
_LOCK_PATIENCE = 0.5
_TURN = 0.2
"""Seconds for which the lock is left to others; they look for it every 50 ms."""
_LARGEST = 8 << 20

Planner = Callable[["Context", Collection[str], int], "Round"]
_Stamp = tuple[tuple[int, int, int] | None, ...]


class Learner:
    """That of the site with the names ``own``."""

    def __init__(
        self,
        own: Names,
        make_context: Callable[[], Context],
        log: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        plan: Planner | None = None,
    ) -> None:
        """``make_context`` gives what a command would work with, ``log`` takes a line for people.

        ``plan`` is :func:`skupper_podman.platform.podman.learning.plan_round` unless another one is given.
        """
        self._own = own
        self._site = (own.internal, names.SITE_FILE)
        self._services = (own.services, names.SERVICES_FILE)
        self._learned = (own.network_status, names.SYNC_FILE)
        self._make_context = make_context
        self._log = log
        self._clock = clock
        self._sleep = sleep
        self._plan = plan
        self._trees: dict[str, Tree] = {}
        self._stamp: _Stamp | None = None
        self._failures: dict[str, Failure] = {}
        self._tries: dict[str, tuple[int, float]] = {}
        self._not_before = 0.0
        self._busy = self._stopping = False
        self._complaint = ""

    def due(self, now: float) -> bool:
        """Whether :meth:`work` should be called now, in a thread; then it must be."""
        if self._busy or self._stopping or now < self._not_before:
            return False
        self._busy = True
        self._not_before = now + EVERY
        return True

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True

    def work(self) -> None:
        """Look, and carry out what differs. Never raises."""
        try:
            self._work()
            self._complaint = ""
        except SkupperError as error:
            self._complain(error.message)
        except Exception as error:
            # A defect here must not end the supervision.
            self._complain(f"{type(error).__name__}: {error}")
        finally:
            self._busy = False

    def _complain(self, reason: str) -> None:
        self._not_before = self._clock() + FIRST_PAUSE
        self._stamp = None
        if reason != self._complaint:
            self._log(f"services of other sites: {reason}")
        self._complaint = reason

    def _work(self) -> None:
        context: Context | None = None
        try:
            if not self._trees:
                context = self._make_context()
                self._find(context)
            at_once = AT_ONCE
            while not self._stopping and self._trees and self._differs():
                context = context or self._make_context()
                at_once = self._round(context, at_once)
                if not at_once:
                    return
                self._sleep(_TURN)
        finally:
            if context is not None:
                context.close()

    def _find(self, context: Context) -> None:
        """Find out where the volumes are; without a site there are none."""
        for name, _file in (self._site, self._services, self._learned):
            volume = context.api.volume(name)
            if volume is None:
                self._trees = {}
                return
            self._trees[name] = Tree(Path(volume.mountpoint))

    def _differs(self) -> bool:
        """Whether there is something to do now. What has not changed since it was found to be well is not read."""
        stamp = tuple(self._stat(*place) for place in (self._site, self._services, self._learned))
        if stamp == self._stamp and not self._failures:
            return False
        todo = self._todo()
        concerned = {*todo.remove, *(service.address for service in todo.make)}
        self._forget(concerned)
        self._stamp = None if concerned else stamp
        return bool(concerned - set(self._waiting()))

    def _todo(self) -> Todo:
        spec = parse_spec(self._read(*self._site) or b"")
        present = ServicesDocument.parse(self._read(*self._services) or b"").services()
        if spec is None or not spec.service_sync:
            return pending(present, Learned())
        content = self._read(*self._learned)
        return Todo() if content is None else pending(present, Learned.parse(content))

    def _stat(self, volume: str, path: str) -> tuple[int, int, int] | None:
        try:
            facts = (self._trees[volume].root / path).lstat()
        except OSError:
            if not self._trees[volume].root.is_dir():
                self._trees = {}  # the site was deleted, or made anew elsewhere
                raise SkupperError(f"volume {volume} is gone") from None
            return None
        return facts.st_ino, facts.st_mtime_ns, facts.st_size

    def _read(self, volume: str, path: str) -> bytes | None:
        return self._trees[volume].read(path, _LARGEST)

    def _round(self, context: Context, at_once: int) -> int:
        """Carry out some of it; how many to take next time, 0 for none for now."""
        if self._plan is None:
            from skupper_podman.platform.podman.learning import plan_round

            self._plan = plan_round
        context.lock_timeout = _LOCK_PATIENCE
        try:
            context.lock()
        except ConflictError:
            return 0
        try:
            found = self._plan(context, self._waiting(), at_once)
            self._failed(found.failures)
            try:
                found.plan.apply()
            except SkupperError as error:
                if len(found.addresses) > 1:
                    return 1  # one of them is to blame: each by itself then
                self._failed({found.addresses[0]: Failure(error.message, error.hint)})
            else:
                self._done(found)
            return at_once
        finally:
            context.unlock()

    def _done(self, found: Round) -> None:
        for address in found.addresses:
            self._tries.pop(address, None)
        for step in found.plan.steps:
            if step.what.startswith("container "):
                self._log(f"{step} (service sync)")

    def _waiting(self) -> list[str]:
        now = self._clock()
        return [address for address, (_count, until) in self._tries.items() if now < until]

    def _failed(self, failures: Mapping[str, Failure]) -> None:
        """Remember what could not be done, tell it once, and leave it alone for a while."""
        for address, failure in failures.items():
            count = self._tries.get(address, (0, 0.0))[0] + 1
            self._tries[address] = (count, self._clock() + min(FIRST_PAUSE * 2 ** (count - 1), LONGEST_PAUSE))
            if self._failures.get(address) != failure:
                self._log(f"service {address} of another site: {failure.reason}")
        self._write({**self._failures, **failures})

    def _forget(self, concerned: set[str]) -> None:
        """Failures of what is done by now, or not to be done any more."""
        self._tries = {address: tried for address, tried in self._tries.items() if address in concerned}
        self._write({address: failure for address, failure in self._failures.items() if address in concerned})

    def _write(self, failures: dict[str, Failure]) -> None:
        if failures == self._failures:
            return
        self._failures = failures
        with contextlib.suppress(SkupperError):
            tree = self._trees[self._own.network_status]
            if failures:
                tree.write(names.SYNC_FAILURES_FILE, dump_failures(failures), 0o644)
            else:
                tree.remove(names.SYNC_FAILURES_FILE)
