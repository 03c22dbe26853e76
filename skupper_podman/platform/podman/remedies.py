"""What ``skupper doctor --fix`` does: each remedy is a plan with an undo, as every other change.

What always holds: only what cannot make anything worse is done (a container that does not work is continued, restarted
or started, what ``init`` made is made again); the order is from the container up, so that each finds the last one done.
"""

from __future__ import annotations

from skupper_podman.errors import NotFoundError
from skupper_podman.model.site import SiteSpec
from skupper_podman.plan import Plan, Step
from skupper_podman.platform import SiteRequest
from skupper_podman.platform.podman import init, renewal
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.linger import linger_steps

_TIMEOUT = 60.0


def plan_remedy(context: Context, remedy: str, *, dry_run: bool = False) -> Plan:
    """The plan of one remedy; see :meth:`skupper_podman.platform.Platform.plan_remedy`."""
    kind, _, name = remedy.partition(" ")
    if kind == "init":
        return init.plan_init(
            context, SiteRequest(SiteSpec("", ""), timeout=_TIMEOUT, dry_run=dry_run, given=frozenset())
        )
    if kind == "renew":
        return renewal.plan_renewal(context, ask_peers=False)
    context.lock()
    if kind == "linger":
        warnings: list[str] = []
        return Plan("Let the site run without a login", tuple(linger_steps(context, warnings)), {"warnings": warnings})
    info = context.api.container(name)
    if info is None:
        raise NotFoundError(f"container {name} does not exist any more", "skupper init")
    if kind == "unpause":
        api = context.api
        steps = (Step("start", f"paused container {name}", lambda: api.unpause(name), lambda: api.pause(name)),)
        return Plan(f"Continue container {name}", steps if info.state == "paused" else ())
    step = Step("run", f"restart of container {name}", lambda: context.api.restart(name), detail="it does not work")
    return Plan(f"Restart container {name}", (step,))
