"""What the core's decisions ask for, done in order.

What always holds: the actions of the address table, the routing engine and the edge protocol are
performed until none is left, in the same turn of the loop as their cause; an action that fails is
logged and stops no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skupper_podman.routerd.amqp import edge_up
from skupper_podman.routerd.amqp.edge_down import EdgeDownRole
from skupper_podman.routerd.core import actions
from skupper_podman.routerd.core.edge import SendTracking

if TYPE_CHECKING:
    from skupper_podman.routerd.router import Router


class Effects:
    """Performs the actions of one router's core."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._settling = False

    def settle_soon(self) -> None:
        """Perform what there is once the present handler is done."""
        if not self._settling:
            self._settling = True
            self._router.loop.call_soon(self._settle)

    def _settle(self) -> None:
        self._settling = False
        router = self._router
        while True:
            done = self._perform_all(router.table.take_actions())
            if router.routing is not None:
                done += self._perform_all(router.routing.take_actions())
            # Last: an edge router that hears of an address uses it at once, and its replies need what was announced.
            done += self._perform_all(router.edge_proxies.take_actions())
            done += self._perform_all(router.edge_peers.take_actions())
            if not done:
                return

    def _perform_all(self, todo: Sequence[Any]) -> int:
        for action in todo:
            self._router.handle_safely(lambda action=action: self._perform(action))  # type: ignore[misc]
        return len(todo)

    def _perform(self, action: Any) -> None:
        router = self._router
        if isinstance(action, actions.Reachable):
            router.reached(action.watcher_id, action.reachable)
        elif isinstance(action, SendTracking):
            conn = router.connections.get(action.conn)
            if conn is not None and isinstance(conn.role, EdgeDownRole):
                conn.role.track(action.body)
        elif router.neighbours is not None and router.neighbours.perform(action):
            return
        elif router.mode == "edge":
            self._perform_on_edge(action)

    def _perform_on_edge(self, action: Any) -> None:
        proxies = self._router.edge_proxies
        match action:
            case actions.AnnounceUp(key, _, _, _):
                proxies.consumers_up(key)
            case actions.AnnounceDown(key):
                proxies.consumers_down(key)
            case actions.SourceUp(key):
                proxies.sources_up(key)
            case actions.SourceDown(key):
                proxies.sources_down(key)
            case actions.AnnounceChanged():
                pass
            case _:
                edge_up.perform(self._router, action)
