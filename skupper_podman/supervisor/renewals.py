"""Certificates are renewed by the supervisor: it runs as long as the site does, and has its volumes.

What always holds: the plans are those of the command line, under the same lock, so a command and the supervisor never
renew at the same time; a failure is told once and tried again later; what has ended while the host was off is renewed
before the containers start, because nobody could connect with it. When to look depends on the steady clock; that the
other one jumps (a host wakes, or hears of the time late) is a reason to look at once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from skupper_podman.errors import ConflictError, NotEnabledError, SkupperError

if TYPE_CHECKING:
    from skupper_podman.plan import Plan
    from skupper_podman.platform.podman.context import Context

EVERY = 3600.0
"""Seconds between two looks at the certificates."""
WHEN_BUSY = 30.0
"""Seconds until the next look when a command held the lock."""
ASK_PEERS = 24 * 3600.0
"""Seconds between two questions to the sites at the other ends of links, whether they have new authorities."""
FIRST_ASKED = 60.0
"""Seconds after the start until they are asked for the first time: at boot the network comes up late."""


JUMP = 60.0
"""Seconds by which the two clocks of the host must have come apart."""


class Renewals:
    """Looks from time to time, in a thread of its caller's; ``open_context`` gives the surroundings of one command.

    ``spread`` gives a number from 0 to 1 by which the sites of a network ask each other at different times; ``wall`` is
    the clock that can be set, and goes on while the host sleeps, ``clock`` the one that does neither.
    """

    def __init__(
        self,
        open_context: Callable[[], Context],
        log: Callable[[str], None],
        spread: Callable[[], float],
        wall: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_context
        self._log = log
        self._spread = spread
        self._wall = wall
        self._clock = clock
        self._apart = wall() - clock()
        self._due = clock()
        self._peers_due = clock() + FIRST_ASKED
        self._running = False
        self._told: tuple[str, ...] = ()

    def before_start(self) -> None:
        """Renew now if a certificate of the site itself has ended."""
        from skupper_podman.platform.podman.renewal import has_ended

        try:
            with contextlib.closing(self._open()) as context:
                if has_ended(context):
                    self._log("certificates have ended while this site was off")
                    self._apply(context, ask_peers=False)
        except NotEnabledError:
            pass
        except SkupperError as error:
            self._log(f"certificates: {error.message}")

    def tick(self, start: Callable[[Callable[[], None]], object]) -> None:
        """Begin to look if it is time; ``start`` runs what it is given in another thread."""
        now = self._clock()
        apart = self._wall() - now
        if abs(apart - self._apart) > JUMP:
            self._due = now
        self._apart = apart
        if self._running or now < min(self._due, self._peers_due):
            return
        self._running = True
        start(self.look)

    def look(self) -> None:
        """Renew what is due, and say what was done."""
        began = self._clock()
        ask = began >= self._peers_due
        self._due = began + EVERY
        try:
            with contextlib.closing(self._open()) as context:
                context.lock_timeout = 0
                self._apply(context, ask_peers=ask)
            if ask:
                self._peers_due = began + ASK_PEERS * (0.9 + 0.2 * self._spread())
        except ConflictError:
            self._due = began + WHEN_BUSY
        except NotEnabledError:
            pass  # the loop finds out by itself that there is no site any more
        except SkupperError as error:
            self._tell((error.message,))
        except Exception as error:
            # A defect here must not end what keeps the containers running.
            self._tell((f"{type(error).__name__}: {error}",))
        finally:
            self._peers_due = max(self._peers_due, self._due if ask else 0.0)
            self._running = False

    def _apply(self, context: Context, *, ask_peers: bool) -> None:
        # Imported here: it loads cryptography, which nothing else of the supervisor needs.
        from skupper_podman.platform.podman.renewal import plan_renewal

        plan = plan_renewal(context, ask_peers=ask_peers)
        plan.apply()
        for name in dict.fromkeys(_strings(plan, "renewed")):
            self._log(f"certificate {name} is renewed")
        self._tell(_strings(plan, "warnings"))

    def _tell(self, lines: tuple[str, ...]) -> None:
        """Say what is wrong, but not every hour again."""
        for line in lines:
            if line not in self._told:
                self._log(f"certificates: {line}")
        self._told = lines


def _strings(plan: Plan, name: str) -> tuple[str, ...]:
    value = plan.facts.get(name)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
