"""The file in which the controller keeps the network's status, as last written."""

from __future__ import annotations

import functools

from skupper_podman.desired import names
from skupper_podman.errors import NotFoundError, SkupperError
from skupper_podman.model.network import NetworkStatus
from skupper_podman.platform.podman.observe import Observation


def read_network_status(site: Observation) -> NetworkStatus:
    """The network as the controller last wrote it.

    Raises:
        NotFoundError: it has not written anything yet. NetworkStatusError: the file is damaged.
    """
    content = site.trees.tree(site.names.network_status).read(names.STATUS_FILE)
    if not content:
        raise NotFoundError("Site information is not yet available", f"podman logs --tail 20 {site.names.controller}")
    return _parsed(content)


@functools.lru_cache(maxsize=1)
def _parsed(content: bytes) -> NetworkStatus:
    """A command asks several times for the same content, which may be of megabytes."""
    return NetworkStatus.parse(content)


def site_called(site: Observation, identity: str) -> str:
    """A site of the network as people know it: its name where that is known, and its id."""
    try:
        found = read_network_status(site).site(identity)
    except SkupperError:
        found = None
    return f"{found.site.name} ({identity})" if found is not None and found.site.name else identity
