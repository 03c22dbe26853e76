"""Which ports of the host a named site publishes, where nobody said.

What always holds: a port that was asked for is kept; ports chosen here are free, differ from each other and lie above
those of 1.9, which are left to the site without a name: whichever of a user's sites is made first, the others can be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from skupper_podman.errors import ConflictError
from skupper_podman.model.site import CLAIMS_PORT, EDGE_PORT, INTER_ROUTER_PORT, SiteSpec

USUAL: Final = {"inter_router_port": INTER_ROUTER_PORT, "edge_port": EDGE_PORT, "claims_port": CLAIMS_PORT}
"""The fields of a site that are ports, and what they are where nothing is asked for."""
_LAST: Final = 65535


def with_free_ports(spec: SiteSpec, asked: Collection[str], is_free: Callable[[int], bool]) -> SiteSpec:
    """The site with a free port for each that is not among the fields ``asked`` for.

    Raises:
        ConflictError: none is left.
    """
    used = {getattr(spec, name) for name in USUAL if name in asked}
    chosen: dict[str, int] = {}
    for name, usual in USUAL.items():
        if name in asked:
            continue
        port = next((port for port in range(usual + 1, _LAST + 1) if port not in used and is_free(port)), 0)
        if not port:
            raise ConflictError(
                f"no port from {usual + 1} to {_LAST} is free", "choose ports yourself: --bind-port PORT"
            )
        used.add(port)
        chosen[name] = port
    return replace(spec, inter_router_port=chosen.get("inter_router_port", spec.inter_router_port),
                   edge_port=chosen.get("edge_port", spec.edge_port),
                   claims_port=chosen.get("claims_port", spec.claims_port))  # fmt: skip


def published(spec: SiteSpec) -> tuple[int, ...]:
    """The ports of the host that the site has for other sites."""
    if not spec.accepts_links:
        return ()
    return (spec.inter_router_port, spec.edge_port, *((spec.claims_port,) if spec.claims_port else ()))
