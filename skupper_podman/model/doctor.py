"""What ``skupper doctor`` checks and what it found, as values.

What always holds: an id never changes its meaning, because scripts select and read by it; a finding that is not ``ok``
or ``skipped`` says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from skupper_podman.errors import UsageError

Result = Literal["ok", "warn", "fail", "unknown", "skipped"]
Group = Literal["host", "podman", "network", "site", "links", "gateways", "services", "certificates", "boot", "traffic"]
GROUPS: Final[tuple[Group, ...]] = (
    "host", "podman", "network", "site", "links", "gateways", "services", "certificates", "boot", "traffic",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at."""

    id: str
    group: Group
    title: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. ``subject`` is what of (a container, a link), ``fix`` the command that mends it.

    ``remedy`` names what ``--fix`` does about it (``init``, ``unpause NAME``, ``restart NAME``, ``linger``); empty
    where only a person can decide.
    """

    check: str
    result: Result
    cause: str = ""
    fix: str = ""
    subject: str = ""
    since: str = ""
    remedy: str = ""


CHECKS: Final = (
    Check("disk-full", "host", "room for images, volumes and settings"),
    Check("data-home", "host", "the directory for settings can be written"),
    Check("installation", "host", "containers can read this installation"),
    Check("clock", "host", "the clock fits the certificates and the files"),
    Check("podman-missing", "podman", "Podman is installed"),
    Check("podman-endpoint", "podman", "the API answers"),
    Check("podman-remote", "podman", "the API is that of this user on this host"),
    Check("runtime-dir", "podman", "the user has a runtime directory"),
    Check("subuid", "podman", "the user has subordinate ids"),
    Check("uidmap", "podman", "newuidmap is installed"),
    Check("limits", "podman", "the user may limit containers"),
    Check("name-container", "podman", "no foreign container has a name of ours"),
    Check("name-volume", "podman", "no foreign volume has a name of ours"),
    Check("network-backend", "network", "containers can reach each other by name"),
    Check("network-rootless", "network", "rootless containers can reach the network"),
    Check("network-dns", "network", "the site's network resolves names"),
    Check("network-shared", "network", "the network is no other site's"),
    Check("network-exists", "network", "the site's network exists"),
    Check("network-names", "network", "containers find each other by name"),
    Check("port-taken", "network", "the ports for other sites are ours"),
    Check("port-privileged", "network", "the user may listen on the ports"),
    Check("port-twice", "network", "no port is used twice"),
    Check("bind-ip", "network", "the addresses to listen on are this host's"),
    Check("ingress-hosts", "network", "others know how to reach this host"),
    Check("site", "site", "there is a site"),
    Check("container", "site", "containers run"),
    Check("router-management", "site", "the router answers"),
    Check("network-status", "site", "the controller reports the network"),
    Check("file", "site", "files in volumes are whole"),
    Check("drift", "site", "everything is as init made it"),
    Check("link", "links", "links are connected and answer"),
    Check("gateway", "gateways", "gateways are connected and carry what was issued"),
    Check("service", "services", "services and their targets can be reached"),
    Check("service-sync", "services", "services of other sites are taken over"),
    Check("certificate", "certificates", "certificates are whole and valid"),
    Check("unit", "boot", "the site is watched"),
    Check("linger", "boot", "the site starts without a login"),
    Check("traffic", "traffic", "bytes pass a listener and a connector of the router"),
)
BY_ID: Final = {check.id: check for check in CHECKS}


def selected(words: Iterable[str]) -> frozenset[str]:
    """The ids that ``--check`` names: ids, or groups of them; all without any.

    Raises:
        UsageError: a word is neither.
    """
    chosen: set[str] = set()
    for word in words:
        ids = {check.id for check in CHECKS if word in (check.id, check.group)}
        if not ids:
            known = ", ".join([*GROUPS, *BY_ID])
            raise UsageError(f"no such check: {word!r}; there are: {known}")
        chosen |= ids
    return frozenset(chosen or BY_ID)


def is_well(findings: Iterable[Finding]) -> bool:
    """True if nothing failed and nothing remained unknown."""
    return not any(finding.result in ("fail", "unknown") for finding in findings)
