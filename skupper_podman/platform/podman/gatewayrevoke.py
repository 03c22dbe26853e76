"""Revoking gateways: one alone by ``gateway delete``, all of them with everybody else by ``revoke-access``.

What always holds: the router trusts what it trusted before but for the gateways named; others keep their connections.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from skupper_podman.desired.gatewayrecords import AUTHORITY_CERTIFICATE, AUTHORITY_KEY
from skupper_podman.desired.gatewaytrust import gateways_in, with_gateways
from skupper_podman.desired.resources import VolumeFile
from skupper_podman.errors import NotFoundError
from skupper_podman.model.gateway import ROUTER_PREFIX
from skupper_podman.plan import Plan, Step
from skupper_podman.platform.podman import live
from skupper_podman.platform.podman.context import Context
from skupper_podman.platform.podman.edits import FileEdit
from skupper_podman.platform.podman.gateways import gateway_names
from skupper_podman.platform.podman.observe import Observation


def plan_gateway_delete(context: Context, name: str) -> Plan:
    """Plan to forget a gateway; see :meth:`skupper_podman.platform.Platform.plan_gateway_delete`."""
    context.lock()
    site = context.site((context.names.router,))
    if name not in gateway_names(site):
        raise NotFoundError(f'No such gateway "{name}"', "to see them: skupper gateway status")
    steps = [_distrust_step(site, (name,)), *_closing_steps(context, site, name), _forgetting_step(site, name)]
    return Plan(f"Revoke and delete gateway {name}", tuple(steps), {"name": name, "notes": [], "warnings": []})


def _distrust_step(site: Observation, revoked: Collection[str]) -> Step:
    """Take the authorities of these gateways out of what the router trusts."""
    done: list[FileEdit] = []

    def do() -> None:
        trust = site.trees.file(site.names.site_server, "ca.crt")
        if trust is None:
            return  # then nobody is let in at all
        gateways = {name: own for name, own in gateways_in(trust.content).items() if name not in revoked}
        wanted = VolumeFile(site.names.site_server, "ca.crt", with_gateways(trust.content, gateways), trust.mode)
        done.append(FileEdit(site.trees, site.names.site_server, "ca.crt", trust, wanted))
        done[-1].do()

    def undo() -> None:
        while done:
            done.pop().undo()

    return Step("update", f"whom the router lets in: not gateway {', '.join(sorted(revoked))}", do, undo)


def revoking_all(site: Observation) -> tuple[Step, ...]:
    """Steps that revoke every gateway, as ``revoke-access`` must; their records stay, each needs a fresh bundle."""
    found = gateway_names(site)
    if not found:
        return ()
    return (_distrust_step(site, found), *(_authority_removal(site, name) for name in found))


def _authority_removal(site: Observation, name: str) -> Step:
    """Forget the authority of a gateway, so that the next bundle is signed by a new one."""
    files = [site.trees.file(site.names.gateways, f"{name}/{path}") for path in (AUTHORITY_KEY, AUTHORITY_CERTIFICATE)]
    edits = [FileEdit(site.trees, site.names.gateways, file.path, file, None) for file in files if file is not None]

    def do() -> None:
        for edit in edits:
            edit.do()

    def undo() -> None:
        for edit in reversed(edits):
            edit.undo()

    return Step("delete", f"authority of gateway {name}", do, undo)


def _closing_steps(context: Context, site: Observation, name: str) -> list[Step]:
    """Close the connection that the gateway has: the router looks at a certificate only when one is made."""
    info = site.containers.get(site.names.router)
    if info is None or not info.running:
        return []
    router = live.router_in(context.api, info)

    def do() -> None:
        for row in router.query("connection")[0]:
            if is_link_of(row, name):
                router.update("connection", str(row.get("name")), {"adminStatus": "deleted"})

    return [Step("run", f"end of the connection of gateway {name}", do)]


def _forgetting_step(site: Observation, name: str) -> Step:
    files = site.trees.files(site.names.gateways, name)
    edits = [FileEdit(site.trees, site.names.gateways, file.path, file, None) for file in files]

    def do() -> None:
        for edit in edits:
            edit.do()
        site.trees.tree(site.names.gateways).remove_directory(name)

    def undo() -> None:
        for edit in edits:
            edit.undo()

    return Step("delete", f"record of gateway {name}", do, undo)


def is_link_of(row: dict[str, object], name: str) -> bool:
    """Whether a connection of the site's router is that of a gateway of this name, on whatever host."""
    container = str(row.get("container") or "")
    return row.get("role") == "edge" and bool(re.fullmatch(re.escape(ROUTER_PREFIX + name) + "-[0-9a-f]{8}", container))
