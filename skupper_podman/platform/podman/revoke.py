"""The plan of ``revoke-access``: nobody who was let in so far gets in any more.

What always holds: the site's own links stay; other sites' links and every token end, because the authority that issued
their certificates is no longer trusted; the site keeps its hosts, in their order.
"""

from __future__ import annotations

from skupper_podman import certs
from skupper_podman.desired.diff import Change
from skupper_podman.desired.resources import Authority
from skupper_podman.desired.site import site_credentials
from skupper_podman.errors import UsageError
from skupper_podman.plan import Plan, Step
from skupper_podman.platform.podman import gatewayrevoke
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.edits import Trees
from skupper_podman.platform.podman.ready import wait_until_ready
from skupper_podman.platform.podman.state import state_of
from skupper_podman.platform.podman.steps import Steps
from skupper_podman.platform.podman.tokens import revoking_all

_TIMEOUT = 120.0


def plan_revoke(context: Context) -> Plan:
    """Plan the revocation; see :meth:`skupper_podman.platform.Platform.plan_revoke`."""
    context.lock()
    site = context.site((context.names.router,))
    state = state_of(site)
    spec = state.spec
    if spec.router_mode == "edge":
        raise UsageError("Edge configuration cannot accept connections, so there is no access to revoke")
    credential = next(item for item in site_credentials(spec) if item.volume == site.names.site_server)
    router = site.present.containers[site.names.router]
    changes = [
        Change("create", Authority(site.names.site_ca), reason="a new one, which signed no token yet"),
        Change("update", credential, reason="by the new authority"),
    ]
    then: list[Step] = []
    ahead = ["all tokens of this site and all links and gateways of others end; links that it made itself stay"]
    if router.running:
        # Connections that exist were authenticated by the old authority: only a restart ends them.
        changes.append(Change("restart", router.container, reason="which ends the links from other sites"))
        then.append(_waiting(context, site.trees, spec.site_id))
        ahead.append(f"{site.names.router} restarts: connections through this site are cut off")
    steps = Steps(context.api, site.trees, site.present, certs.KeyPool(2), context.now).make(changes, then)
    steps = (*revoking_all(site), *gatewayrevoke.revoking_all(site), *steps)
    facts = {"name": spec.name, "notes": [], "ahead": ahead, "warnings": []}
    return Plan(f"Revoke access to site {spec.name}", steps, facts)


def _waiting(context: Context, trees: Trees, site_id: str) -> Step:
    def do() -> None:
        wait_until_ready(context, trees, site_id, _TIMEOUT)

    return Step("check", "that the router works", do, waits=True)
