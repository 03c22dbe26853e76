"""Asks the routers of a site, and the ports its services lead to, in one go: one command in one container.

What always holds: whoever cannot be asked is told apart from who answered badly; a question that fails takes no other
answer with it; a site whose controller or router is not ours is asked as far as it can be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from skupper_podman.desired import names
from skupper_podman.errors import ManagementError, SkupperError
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.facts import ContainerInfo
from skupper_podman.platform.podman.hostimage import REPOSITORY
from skupper_podman.platform.podman.observe import Observation

_LIMIT: Final = 3.0
"""Seconds the site's own router has for each answer."""
_PATIENCE: Final = 12.0
"""Seconds for the whole command; inside it every question has a limit of its own."""
_ARGUMENT_LIMIT: Final = 120_000
"""Octets of one argument; Linux allows 128 KiB."""
_TRIED: Final = ("dial", "talk", "resolve", "health")
_OWN_URL: Final = "amqp://localhost:5672"
_SITE_URL: Final = f"amqps://{names.LOCAL_HOST}:5671"


@dataclass(frozen=True, slots=True)
class Questions:
    """What to ask: entity types of the site's router; routers beyond it (address to type); ports to try from the
    site's network; whether the peers of outgoing connections must answer, too; ports that must hold a connection;
    names that must have an address; health servers; and any tables (a router's address, a type) for the record.
    Of types in ``columns`` only these attributes are wanted."""

    types: tuple[str, ...] = ()
    nodes: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[tuple[str, int], ...] = ()
    peers: bool = False
    talk: tuple[tuple[str, int], ...] = ()
    resolve: tuple[tuple[str, int], ...] = ()
    health: tuple[tuple[str, int], ...] = ()
    tables: tuple[tuple[str, str], ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouterAnswers:
    """What was heard: rows of the site's router by entity type, or in ``problem`` why it did not answer.

    ``nodes`` has the rows of each router beyond it, or in words why there are none; ``ports`` what is wrong with each
    ``HOST:PORT``, empty for one that is open. What could not be asked at all is in neither; ``silence`` says why.
    """

    answers: Mapping[str, live.Rows] = field(default_factory=dict)
    problem: str = ""
    nodes: Mapping[str, live.Rows | str] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
    silence: str = ""
    talk: Mapping[str, str] = field(default_factory=dict)
    resolve: Mapping[str, str] = field(default_factory=dict)
    health: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[tuple[str, str], live.Rows | str] = field(default_factory=dict)

    def rows(self, entity_type: str) -> live.Rows | None:
        """The entities of a type, None where the router was not heard."""
        return self.answers.get(entity_type)


def peer_node(router_id: str) -> str:
    """Address of the management agent of an interior router of the network."""
    return f"_topo/0/{router_id}/$management"


def edge_node(router_id: str) -> str:
    """Address of the management agent of an edge router connected to the site's."""
    return f"_edge/{router_id}/$management"


def state_words(info: ContainerInfo) -> str:
    """The state of a container that does not run, in words."""
    if info.state in ("exited", "stopped"):
        return f"{info.state} (exit code {info.exit_code})"
    return info.state or "in an unknown state"


def ask(context: Context, site: Observation, questions: Questions) -> RouterAnswers:
    """Ask the site's router, and with it everything else in ``questions``."""
    assert site.spec is not None
    if site.spec.router_mode != "edge" or not questions.nodes:
        return _ask_at_router(context, site, questions)
    # The routers of services are not connected to an edge site's router, but to those of other sites.
    from skupper_podman.platform.podman.edgesite import services_said

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(services_said, context.api, site)
        answers = _ask_at_router(context, site, replace(questions, nodes={}))
        return asking.result().added_to(answers)


def _ask_at_router(context: Context, site: Observation, questions: Questions) -> RouterAnswers:
    router = site.containers.get(site.names.router)
    problem = ""
    if router is None:
        problem = f"container {site.names.router} does not exist"
    elif not router.running:
        problem = f"container {site.names.router} is {state_words(router)}"
    controller = site.containers.get(site.names.controller)
    for container, url, tls in ((router, _OWN_URL, ""), (controller, _SITE_URL, names.MESSAGING_PATH)):
        if container is None or not container.running or not container.image.startswith(REPOSITORY):
            continue
        if problem:
            # Only ports are left to be tried, from the other container on the same network.
            questions = replace(questions, types=(), nodes={}, peers=False, tables=())
        try:
            return _probe(context, container, questions, url, tls, problem)
        except SkupperError as error:
            problem = problem or error.message
    if router is None or not router.running or problem:
        return RouterAnswers(problem=problem, silence="no container of the site can be entered")
    return _by_tools(context, router, questions)


def _probe(
    context: Context, container: ContainerInfo, questions: Questions, url: str, tls: str, problem: str
) -> RouterAnswers:
    request = {
        "url": url,
        "tls": tls,
        "limit": _LIMIT,
        "query": [_full(name) for name in questions.types],
        "nodes": [[node, _full(name)] for node, name in questions.nodes.items()],
        "columns": {_full(name): columns for name, columns in questions.columns.items()},
        "peers": questions.peers,
        "dial": questions.ports,
        "talk": questions.talk,
        "resolve": questions.resolve,
        "health": questions.health,
        "tables": [(node, _full(name)) for node, name in questions.tables],
    }
    text = json.dumps(request, separators=(",", ":"))
    if len(text) > _ARGUMENT_LIMIT and len(questions.nodes) + len(questions.ports) > 1:
        first, second = (_probe(context, container, half, url, tls, problem) for half in _halves(questions))
        return replace(first, nodes={**first.nodes, **second.nodes}, ports={**first.ports, **second.ports})
    words = ("python3", "-m", "skupper_podman.router.probe", text)
    result = context.api.exec(container.name, words, _PATIENCE)
    try:
        said = json.loads(result.stdout)
        answers = {str(name).removeprefix(live.TYPE_PREFIX): _rows(rows) for name, rows in said["query"].items()}
        nodes = {str(node): rows if isinstance(rows, str) else _rows(rows) for node, rows in said["nodes"].items()}
        dial, talk, resolve, health = (
            {str(place): str(reason) for place, reason in said[key].items()} for key in _TRIED
        )
        heard = {tuple(str(key).split(" ", 1)): value for key, value in said["tables"].items()}
        error = str(said["error"])
    except (ValueError, TypeError, KeyError, AttributeError):
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        raise ManagementError(
            f"the router in {container.name} cannot be asked: {lines[-1] if lines else f'exit code {result.exit_code}'}"
        ) from None
    return RouterAnswers(answers, problem or error, nodes, dial, error, talk, resolve, health, _tables(heard))


def _full(name: str) -> str:
    """The full name of an entity type; the empty one stands for all types."""
    return f"{live.TYPE_PREFIX}{name}" if name else ""


def _halves(questions: Questions) -> tuple[Questions, Questions]:
    """The same questions in two parts; what is asked of the site's own router only in the first."""
    nodes, ports = list(questions.nodes.items()), questions.ports
    node, port = len(nodes) // 2, len(ports) // 2
    first = replace(questions, nodes=dict(nodes[:node]), ports=ports[:port])
    return first, Questions((), dict(nodes[node:]), ports[port:], columns=questions.columns)


def _by_tools(context: Context, router: ContainerInfo, questions: Questions) -> RouterAnswers:
    """A router of an upstream image, at a site whose controller is not ours: by its own tool, a type at a time."""
    silence = "the containers of this site have no tool for it"
    try:
        found = live.router_in(context.api, router).query(*questions.types)
    except SkupperError as error:
        return RouterAnswers(problem=error.message, silence=silence)
    return RouterAnswers(dict(zip(questions.types, found, strict=True)), silence=silence)


def _tables(heard: Mapping[tuple[str, ...], Any]) -> dict[tuple[str, str], live.Rows | str]:
    return {
        (node, kind.removeprefix(live.TYPE_PREFIX)): rows if isinstance(rows, str) else _rows(rows)
        for (node, kind), rows in heard.items()
    }


def _rows(value: Any) -> live.Rows:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, Sequence) else []
