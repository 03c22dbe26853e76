"""The HELLO protocol: who can be heard, and who hears us (reference section 3.4).

Why: a link is usable for routing only when both ends receive each other.

What always holds: ``seen`` holds exactly the routers heard within ``max_age`` seconds, this router never among them;
of more than `MAX_ROUTERS` the later ones are not heard.
"""

from __future__ import annotations

from enum import Enum, auto

from skupper_podman.routerd.core.bodies import Hello
from skupper_podman.routerd.core.limits import MAX_ROUTERS


class Heard(Enum):
    """What a HELLO means."""

    ECHO = auto()
    """This router's own HELLO, looped back."""
    DUPLICATE = auto()
    """Another router has this router's id."""
    ONE_WAY = auto()
    """Its sender does not hear this router yet."""
    MUTUAL = auto()
    """Its sender is a neighbour."""


class HelloProtocol:
    """HELLO state of one router; times in seconds."""

    def __init__(self, own_id: str, instance: int, interval: float = 1.0, max_age: float = 3.0) -> None:
        self.own_id = own_id
        self.instance = instance
        self.interval = interval
        self.max_age = max_age
        self._seen: dict[str, float] = {}
        self._due: float | None = None

    def tick(self, now: float) -> Hello | None:
        """Forget who has fallen silent; gives the HELLO to send, if one is due."""
        self._seen = {router: heard for router, heard in self._seen.items() if now - heard <= self.max_age}
        # Half a tick of slack: a tick that comes a little early must not push the HELLO to the next one.
        if self._due is not None and now + 0.5 < self._due:
            return None
        self._due = now + self.interval
        return self.hello()

    def hello(self) -> Hello:
        """The HELLO of this moment."""
        return Hello(self.own_id, self.instance, tuple(self._seen))

    def receive(self, hello: Hello, now: float) -> tuple[Heard, bool]:
        """Take a HELLO; gives its meaning, and whether its sender was not heard before."""
        if hello.id == self.own_id:
            return (Heard.ECHO if hello.instance == self.instance else Heard.DUPLICATE), False
        fresh = hello.id not in self._seen
        if fresh and len(self._seen) >= MAX_ROUTERS:
            return Heard.ONE_WAY, False
        self._seen[hello.id] = now
        return (Heard.MUTUAL if self.own_id in hello.seen else Heard.ONE_WAY), fresh

    def forget(self, router_id: str) -> None:
        """The last link to a router is gone."""
        self._seen.pop(router_id, None)
