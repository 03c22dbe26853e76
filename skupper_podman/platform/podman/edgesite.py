"""What the routers of services say of themselves on an edge site, in the form the site's router would say it elsewhere.

An edge router takes no connections of other edges, so there each service has the site's links for itself, and is asked
in its own container. What always holds: a router that cannot be asked says nothing, and its service is reported as not
connected; no more than a few are asked at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from skupper_podman.errors import SkupperError
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.asking import RouterAnswers, edge_node
from skupper_podman.platform.podman.observe import Observation
from skupper_podman.platform.podman.servicestatus import listener_type, router_id

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Said:
    """What was heard of services: rows to be added to those of the site's router, and the rows of each router."""

    rows: Mapping[str, live.Rows] = field(default_factory=dict)
    nodes: Mapping[str, live.Rows | str] = field(default_factory=dict)

    def added_to(self, answers: RouterAnswers) -> RouterAnswers:
        """``answers`` with all this."""
        rows = {kind: [*found, *self.rows.get(kind, ())] for kind, found in answers.answers.items()}
        return replace(answers, answers=rows, nodes={**answers.nodes, **self.nodes})


def services_said(api: PodmanApi, site: Observation) -> Said:
    """Ask the router of each service: rows of type ``connection`` for those that work, and of addresses they reach."""
    services = site.services
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(lambda service: _ask(api, site, service.address, listener_type(service)), services))
    nodes = {edge_node(router_id(site, service)): said[2] for service, said in zip(services, answers, strict=True)}
    return Said(
        {
            "connection": [row for rows, _, _ in answers for row in rows],
            "router.address": [row for _, rows, _ in answers for row in rows],
        },
        nodes,
    )


def _ask(
    api: PodmanApi, site: Observation, address: str, listener: str
) -> tuple[live.Rows, live.Rows, live.Rows | str]:
    assert site.spec is not None
    info = site.service_container(address)
    if info is None or not info.running:
        return [], [], "its container does not run"
    try:
        connections, addresses, listeners = live.router_in(api, info).query("connection", "router.address", listener)
    except SkupperError as error:
        return [], [], error.message
    uplinks = [row for row in connections if row.get("role") == "edge" and row.get("opened", True)]
    # Without a link there is nothing to be connected to, and the service works on this host.
    joined: dict[str, Any] = {
        "role": "edge", "container": f"{site.spec.name}-{address}", "active": True, "opened": True,
    }  # fmt: skip
    return [joined] if uplinks or not site.links else [], addresses, listeners
