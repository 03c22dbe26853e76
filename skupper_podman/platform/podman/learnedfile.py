"""What the controller learned of other sites' services, and what the supervisor could not make of it, as they wrote it.

What always holds: a file that is damaged or not there yet is told apart from one that says there is nothing.
"""

from __future__ import annotations

from typing import Final

from skupper_podman.desired import names
from skupper_podman.desired.learned import Failure, Learned, parse_failures
from skupper_podman.errors import SkupperError
from skupper_podman.platform.podman.observe import Observation

_LARGEST: Final = 8 << 20


def learned_at(site: Observation) -> Learned | None:
    """What the controller learned; nothing where service sync is off, None where it has not written anything yet.

    Raises:
        InvalidError: its file is damaged.
    """
    if site.spec is None or not site.spec.service_sync:
        return Learned()
    content = site.trees.tree(site.names.network_status).read(names.SYNC_FILE, _LARGEST)
    return None if content is None else Learned.parse(content)


def failures_at(site: Observation) -> dict[str, Failure]:
    """What the supervisor could not carry out, as it last wrote."""
    try:
        content = site.trees.tree(site.names.network_status).read(names.SYNC_FAILURES_FILE, _LARGEST)
    except SkupperError:
        return {}
    return parse_failures(content or b"{}")


def withheld_by(site: Observation, address: str) -> str:
    """The site that offers this address, but not to this site; empty if there is none, or it is not known."""
    try:
        learned = learned_at(site)
    except SkupperError:
        return ""
    return learned.withheld.get(address, "") if learned is not None else ""
