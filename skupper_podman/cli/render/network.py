"""``skupper network status``."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from skupper_podman.cli.render.gateways import bridges, facts
from skupper_podman.cli.render.tree import Node, draw
from skupper_podman.model.gateway import GatewayStatus
from skupper_podman.model.network import LinkedSite, NetworkStatus
from skupper_podman.model.networkrecords import RouterStatus, Site, SiteStatus


def network(
    status: NetworkStatus,
    local_site: str,
    *,
    sites: Sequence[SiteStatus],
    verbose: bool = False,
    gateways: Sequence[GatewayStatus] = (),
    now: datetime.datetime | None = None,
) -> str:
    """The given sites of the network; ``local_site`` is the identity of the own one, ``gateways`` are those it lets in.

    A gateway that is connected is a site of the network; one that is not stands after them.
    """
    known = {item.record.name: item for item in gateways}
    nodes = []
    for site in sites:
        node = _site(status, site, local_site, verbose=verbose)
        own = known.pop(site.site.name, None) if site.site.identity.startswith("gateway_") else None
        nodes.append(_with_gateway(node, own, now) if own is not None and now is not None else node)
    for item in known.values():
        if now is not None:
            nodes.append(_with_gateway(Node(f" gateway {item.record.name} "), item, now))
    return draw(Node("Sites:", children=tuple(nodes)))


def _with_gateway(node: Node, item: GatewayStatus, now: datetime.datetime) -> Node:
    details = {**node.details, **facts(item, now)}
    if item.version:
        details["version"] = item.version
    return Node(node.text, details, (*node.children, *bridges(item)))


def labelled(site: Site) -> str:
    """Identity and namespace of a site, as the report names it."""
    return f"{site.identity}({site.namespace})"


def _site(status: NetworkStatus, item: SiteStatus, local_site: str, *, verbose: bool) -> Node:
    site = item.site
    location = "" if site.identity.startswith("gateway") else "[local]" if site.identity == local_site else "[remote]"
    details = {"namespace": site.namespace, "site name": site.name, "version": _version(site)}
    children = []
    linked = status.linked_sites(site.identity)
    if linked:
        children.append(Node("Linked sites:", children=tuple(_linked(one) for one in linked)))
    if verbose and item.routers:
        routers = tuple(_router(status, router) for router in item.displayable_routers)
        children.append(Node("Routers:", children=routers))
    return Node(f"{location} {labelled(site)} ", details, tuple(children))


def _version(site: Site) -> str:
    minimum = f" (minimum version required {site.minimum_version})" if site.minimum_version else ""
    return (site.version or "-") + minimum


def _linked(linked: LinkedSite) -> Node:
    if linked.site is not None:
        return Node(labelled(linked.site), {"direction": linked.direction})
    # 1.9 shows "()" here; the router's name at least says who it may be.
    return Node(f"unknown site (router {', '.join(linked.routers)})", {"direction": linked.direction})


def _router(status: NetworkStatus, item: RouterStatus) -> Node:
    links = tuple(
        Node(f"name:  {link.peer}", {"cost": str(link.cost) if link.cost > 0 else "", "direction": link.direction})
        for link in status.links_to_other_sites(item)
    )
    children = (Node("Links:", children=links),) if links else ()
    details = {"image name": item.router.image_name, "image version": item.router.image_version}
    return Node(f"name: {item.router.id}", details, children)
