"""Networks written down before anything starts, and which kinds of routers the tests mix.

A router's kind is the first letter of its name: P is this project's, S a real skrouterd 2.7, T a real 3.5.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.routerd.system.lab import (
    SKROUTERD,
    SKROUTERD35,
    Entity,
    Lab,
    Router,
    Server,
    connector,
    echoes,
    free_port,
    listener,
    tcp_connector,
    tcp_listener,
    wait_for,
)

needs_27 = pytest.mark.skipif(not SKROUTERD, reason="SKUPPER_TEST_SKROUTERD names no skrouterd")
needs_35 = pytest.mark.skipif(not SKROUTERD35, reason="SKUPPER_TEST_SKROUTERD35 names no skrouterd")


def kinds(*words: str) -> list[Any]:
    """Parameters of a test, each a word of router kinds; those with real routers need one to be named."""
    return [pytest.param(word, marks=_marks(word)) for word in words]


def _marks(word: str) -> list[pytest.MarkDecorator]:
    return [mark for letter, mark in (("S", needs_27), ("T", needs_35)) if letter in word]


#: Two routers: every kind beside this project's, in both orders.
PAIRS = kinds("PP", "PS", "SP", "PT", "TP")


class Plan:
    """Routers, links and services of one network; `start` makes it real."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.routers: dict[str, Router] = {}
        self._modes: dict[str, str] = {}
        self._more: dict[str, dict[str, Any]] = {}
        self._entities: dict[str, list[Entity]] = {}

    def interior(self, *names: str, **attributes: Any) -> Plan:
        """Interior routers."""
        return self._add("interior", names, attributes)

    def edge(self, *names: str, **attributes: Any) -> Plan:
        """Edge routers."""
        return self._add("edge", names, attributes)

    def _add(self, mode: str, names: tuple[str, ...], attributes: dict[str, Any]) -> Plan:
        for name in names:
            self._modes[name], self._more[name], self._entities[name] = mode, attributes, []
        return self

    def entity(self, name: str, *entities: Entity) -> Plan:
        """Further entities of a router."""
        self._entities[name] += entities
        return self

    def link(self, upper: str, lower: str, *, port: int | None = None, via: int | None = None, **more: Any) -> Plan:
        """A connector of `lower` to a listener of `upper`.

        `via` is a port in between; `listening` holds options of the listener.
        """
        role = "edge" if self._modes[lower] == "edge" else "inter-router"
        port = port or free_port()
        kind, attributes = listener(role, port)
        attributes |= {"name": f"from-{lower}-{port}", **more.pop("listening", {})}
        self._entities[upper].append((kind, attributes))
        more.setdefault("name", f"to-{upper}-{port}")
        self._entities[lower].append(connector(role, via or port, **more))
        return self

    def chain(self, *names: str) -> Plan:
        """Links between each and the next."""
        for upper, lower in itertools.pairwise(names):
            self.link(upper, lower)
        return self

    def front(self, name: str, address: str = "echo:1", **more: Any) -> int:
        """A tcpListener; its port."""
        port = free_port()
        self.entity(name, tcp_listener(port, address, **self._form(name, more)))
        return port

    def serve(
        self, name: str, address: str = "echo:1", handler: Callable[[socket.socket], None] | None = None, **more: Any
    ) -> Server:
        """A tcpConnector to a new server."""
        server = self.lab.server(handler)
        self.entity(name, tcp_connector(server.port, address, **self._form(name, more)))
        return server

    def _form(self, name: str, more: dict[str, Any]) -> dict[str, Any]:
        """3.x knows one encapsulation only and no attribute for it."""
        more = dict(more)
        if any(kind[0] == "T" for kind in self._modes):
            more["encapsulation"] = "lite"
            if name[0] == "T":
                del more["encapsulation"]
        return more

    def start(self, wrap: dict[str, Callable[[list[str]], list[str]]] | None = None) -> dict[str, Router]:
        """Start every router; does not wait for anything. `wrap` changes the commands of some."""
        for name, mode in self._modes.items():
            made = Router(self.lab.directory, name, mode, *self._entities[name], **self._more[name])
            self.lab.add(made)
            if wrap and name in wrap:
                made.command = wrap[name](made.command)
            self.routers[name] = made.start()
        return self.routers

    def meet(self, limit: float = 20) -> dict[str, Router]:
        """Start, and wait until every interior router knows all the others."""
        self.start()
        self.complete(limit)
        return self.routers

    def complete(self, limit: float = 20, without: tuple[str, ...] = ()) -> None:
        """Wait until every interior router reaches exactly the others."""
        names = sorted(name for name, mode in self._modes.items() if mode == "interior" and name not in without)
        for name in names:
            router = self.routers[name]
            wait_for(lambda router=router: reached(router) == names, f"{name} reaches {names}", limit)


def reached(router: Router) -> list[str]:
    """Names of the routers that a router has a path to, itself included."""
    found = []
    for node in router.query("router.node"):
        if node["id"] == router.name or node["nextHop"] or node["routerLink"] is not None:
            found.append(str(node["id"]))
    return sorted(found)


def costs(router: Router) -> dict[str, int]:
    """Cost of the path to every other router."""
    return {str(node["id"]): node["cost"] for node in router.query("router.node") if node["id"] != router.name}


def link_states(router: Router) -> dict[str, list[str]]:
    """What a router knows of everybody's neighbours."""
    return {str(node["id"]): sorted(node["linkState"]) for node in router.query("router.node")}


def addresses(router: Router) -> set[str]:
    """Keys of all addresses that a router knows."""
    return {str(item["key"]) for item in router.query("router.address")}


def serves(port: int, limit: float = 20) -> None:
    """Wait until an echo service answers."""
    wait_for(lambda: echoes(port), "service", limit)
