"""``python -m skupper_podman.router.probe REQUEST``: all that a status asks inside the site's network, by one process.

Entering a container costs far more than a question, so the host sends all questions at once: what the router says of
itself, whether other routers answer through it, and whether TCP ports can be reached from here. REQUEST is JSON::

    {"url": "amqp://localhost:5672", "tls": DIRECTORY or "", "limit": SECONDS,
     "query": [TYPE, ...], "nodes": [[NODE, TYPE], ...], "columns": {TYPE: [NAME, ...]},
     "tables": [[NODE, TYPE], ...], "peers": BOOLEAN,
     "dial": [[HOST, PORT], ...], "talk": [...], "resolve": [...], "health": [...]}

Of a type in ``columns`` only these attributes are asked for: whole tables take long with hundreds of services.
With ``peers`` every router this one has opened a connection to is among the nodes.

The answer on standard output is ``{"query": {TYPE: ROWS}, "error": TEXT, "nodes": {NODE: ROWS or TEXT},
"tables": {"NODE TYPE": ROWS or TEXT}, "dial": {"HOST:PORT": TEXT}, "talk": ..., "resolve": ..., "health": ...}``; a
text says what is wrong, and is empty for what is well. What always holds: the questions are independent of each other,
none is waited for longer than its limit, and nothing is sent to a port that is tried. ``dial`` opens and closes a
connection, ``talk`` holds it for a moment, to see if the other side ends it, ``resolve`` only looks the name up,
``health`` asks for ``/healthz``.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

DIAL_LIMIT: Final = 1.5
"""Seconds for a port's name and its answer; a target that takes longer is slow beyond use."""
NODE_LIMIT: Final = 2.0
"""Seconds for the routers beyond this one."""
_DIALLERS: Final = 48
_HELD: Final = 0.7
"""Seconds a connection is held; a router whose server refuses ends it within a round trip."""
_CONNECTION: Final = "io.skupper.router.connection"
_ROUTER: Final = "io.skupper.router.router"


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one request; gives the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    request = json.loads(arguments[0])
    answer: dict[str, Any] = {"query": {}, "error": "", "nodes": {}, "tables": {}}
    dialling = {name: Dialling(_places(request.get(name, ())), how) for name, how in _WAYS.items()}
    for each in dialling.values():
        each.start()
    if any(request.get(key) for key in ("query", "nodes", "tables")):
        _ask(request, answer)
    answer |= {name: each.results() for name, each in dialling.items()}
    json.dump(answer, sys.stdout, default=str)
    sys.stdout.flush()
    os._exit(0)  # a thread may still wait for a name server


def _ask(request: Mapping[str, Any], answer: dict[str, Any]) -> None:
    from skupper_podman.errors import ManagementError
    from skupper_podman.router.access import Tls
    from skupper_podman.router.management import ManagementClient, RequestRefusedError

    place = str(request.get("tls") or "")
    tls = Tls(f"{place}/ca.crt", f"{place}/tls.crt", f"{place}/tls.key") if place else None
    limit = float(request.get("limit") or 3.0)
    columns = request.get("columns") or {}
    try:
        with ManagementClient(str(request["url"]), tls=tls, timeout=limit) as client:
            for entity_type in request.get("query", ()):
                # A type that this router does not know takes no other answer with it.
                with contextlib.suppress(RequestRefusedError):
                    found = client.query(entity_type, columns.get(entity_type, ()))
                    answer["query"][entity_type] = found.dicts(without_nulls=True)
            nodes = {str(node): (str(node), str(kind)) for node, kind in request.get("nodes", ())}
            tables = {f"{node} {kind}": (str(node), str(kind)) for node, kind in request.get("tables", ())}
            connections = answer["query"].get(_CONNECTION)
            if connections is not None:
                # A router waits before it gives up on an address; who is not connected need not be asked.
                here = {f"_edge/{row.get('container')}/$management" for row in connections}
                nodes = {node: how for node, how in nodes.items() if not node.startswith("_edge/") or node in here}
            if request.get("peers"):
                nodes |= {node: (node, _ROUTER) for node in _peers(connections or ())}
            answer["nodes"] = client.query_nodes(nodes, min(limit, NODE_LIMIT), columns)
            answer["tables"] = client.query_nodes(tables, limit)
    except ManagementError as error:
        answer["error"] = error.message


def _peers(connections: Sequence[Mapping[str, Any]]) -> list[str]:
    """The management agents at the other ends of the connections this router has opened to other routers."""
    found = [row for row in connections if row.get("dir") == "out" and row.get("role") in ("inter-router", "edge")]
    return [f"_topo/0/{row['container']}/$management" for row in found if row.get("container") and row.get("opened")]


class Dialling:
    """Tries many ports at once, each in a thread, because looking a name up has no other limit."""

    def __init__(
        self, places: Sequence[tuple[str, int]], how: Callable[[str, int, float], str], limit: float = DIAL_LIMIT
    ) -> None:
        self._how = how
        self._left = list(dict.fromkeys(places))[::-1]
        self._wanted = tuple(self._left)
        self._limit = limit
        self._found: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        count = min(_DIALLERS, len(self._left))
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def results(self) -> dict[str, str]:
        """Wait for all, but no longer than the time the slowest may take; what is not known by then is said."""
        rounds = -(-len(self._wanted) // _DIALLERS)
        deadline = time.monotonic() + self._limit * min(rounds, 3)
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        late = f"no answer within {self._limit:g} s"
        with self._lock:
            return {f"{host}:{port}": self._found.get((host, port), late) for host, port in self._wanted}

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._left:
                    return
                place = self._left.pop()
            reason = self._how(*place, self._limit)
            with self._lock:
                self._found[place] = reason


def dial(host: str, port: int, limit: float = DIAL_LIMIT) -> str:
    """Open and close a connection; empty if that worked, else why not."""
    try:
        with socket.create_connection((host, port), limit):
            return ""
    except socket.gaierror:
        return f"the name {host} cannot be resolved"
    except TimeoutError:
        return f"no answer within {limit:g} s"
    except OSError as error:
        return (error.strerror or str(error)).lower()


def talk(host: str, port: int, limit: float = DIAL_LIMIT) -> str:
    """Open a connection and hold it for a moment; empty if the other side does too, or says something."""
    try:
        with socket.create_connection((host, port), limit) as connection:
            connection.settimeout(_HELD)
            ended = not connection.recv(1)
    except socket.gaierror:
        return f"the name {host} cannot be resolved"
    except TimeoutError:
        return ""
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return "the connection was taken, and ended at once: no server answers behind it" if ended else ""


def resolve(host: str, port: int, _limit: float = DIAL_LIMIT) -> str:
    """Look the name up; empty if it has an address."""
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return f"the name {host} cannot be resolved"
    return ""


def health(host: str, port: int, limit: float = DIAL_LIMIT) -> str:
    """Ask a health server; empty if it says that all is well, else what it says."""
    import http
    import http.client

    connection = http.client.HTTPConnection(host, port, timeout=limit)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        body = answer.read(65536)
    except TimeoutError:
        return f"no answer within {limit:g} s"
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "strerror", "") or error).lower()
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.OK:
        return ""
    try:
        return str(json.loads(body)["reason"])
    except (ValueError, TypeError, KeyError):
        return f"it answers with status {answer.status}"


_WAYS: Final[Mapping[str, Callable[[str, int, float], str]]] = {
    "dial": dial, "talk": talk, "resolve": resolve, "health": health,
}  # fmt: skip


def _places(value: Sequence[Sequence[Any]]) -> list[tuple[str, int]]:
    return [(str(host), int(port)) for host, port in value]


if __name__ == "__main__":
    sys.exit(main())
