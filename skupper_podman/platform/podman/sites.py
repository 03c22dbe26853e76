"""The other sites of this user on this host: which there are, and which ports of the host are theirs.

What always holds: a site counts from the moment that its ports are chosen until its last resource is gone, whether it
runs or not. What was chosen is known in this order: by a note in the site's lock while its command is at work, then by
what that command made. So who asks reads the notes first, and misses nothing in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from skupper_podman.desired import names
from skupper_podman.desired.names import Names
from skupper_podman.desired.ports import published
from skupper_podman.desired.records import parse_spec
from skupper_podman.errors import SkupperError
from skupper_podman.files import Tree
from skupper_podman.locks import note_of
from skupper_podman.model.namespace import DEFAULT
from skupper_podman.paths import Paths
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.facts import ContainerInfo, VolumeInfo

_PORTS, _LEAVING = "ports", "leaving"


def title(own: Names) -> str:
    """What a person calls the site."""
    return own.namespace or DEFAULT


def other_sites(api: PodmanApi, own: Names) -> tuple[str, ...]:
    """The names of the user's other sites, whole or in part; empty if Podman cannot tell."""
    any_site: dict[str, str | None] = {names.APPLICATION_LABEL: None}
    try:
        found: list[ContainerInfo | VolumeInfo] = [*api.containers(any_site), *api.volumes(any_site)]
    except SkupperError:
        return ()
    whose = {_site_of(item) for item in found} - {own, None}
    return tuple(sorted(title(item) for item in whose if item is not None))


def _site_of(item: ContainerInfo | VolumeInfo) -> Names | None:
    """The site that made it; None where a user only put the label on a thing of their own."""
    found = Names.of_labels(item.labels)
    if found is None:
        return None
    if isinstance(item, VolumeInfo):
        made = item.name in found.site_volumes or item.labels.get(found.type_label) in names.LINK_TYPES
    else:
        made = bool({found.component_label, found.address_label} & item.labels.keys())
    return found if made else None


def ports_note(ports: Iterable[int]) -> bytes:
    """What a command that makes a site notes in its lock."""
    return json.dumps({_PORTS: sorted(ports)}).encode()


LEAVING_NOTE = json.dumps({_LEAVING: True}).encode()
"""What a command notes that will make nothing any more."""


def reserved_ports(paths: Paths, own: Names) -> dict[int, str]:
    """Ports that commands at work chose for other sites, and whose they will be."""
    found: dict[int, str] = {}
    for namespace, note in _notes(paths):
        ports = note.get(_PORTS)
        if namespace != own.namespace and isinstance(ports, list):
            found |= {port: f"site {title(Names(namespace))}" for port in ports if isinstance(port, int)}
    return found


def others_at_work(paths: Paths, own: Names) -> bool:
    """Whether a command changes another site, and may need what it found there."""
    return any(namespace != own.namespace and not note.get(_LEAVING) for namespace, note in _notes(paths))


def _notes(paths: Paths) -> Iterable[tuple[str, Mapping[str, object]]]:
    """Name of each site whose lock is held, and what was noted in it."""
    for namespace, path in paths.site_locks():
        content = note_of(path)
        if content is None:
            continue
        try:
            note = json.loads(content or b"{}")
        except ValueError:
            note = {}
        yield namespace, note if isinstance(note, dict) else {}


def recorded_ports(
    own: Names, containers: Iterable[ContainerInfo], volumes: Iterable[VolumeInfo]
) -> tuple[dict[int, str], frozenset[int]]:
    """The ports that other sites have, and whose they are; and the ports of all containers, running or not."""
    sites: dict[int, str] = {}
    for volume in volumes:
        other = Names.of_labels(volume.labels)
        if other is None or other == own or volume.name != other.internal:
            continue
        spec = parse_spec(_content(volume, names.SITE_FILE))
        if spec is not None:
            sites |= dict.fromkeys(published(spec), f"site {title(other)}")
    every: set[int] = set()
    for container in containers:
        ports = {port.host_port for port in container.ports}
        every |= ports
        other = Names.of_labels(container.labels)
        if other is not None and other != own:
            sites |= dict.fromkeys(ports, f"container {container.name} of site {title(other)}")
    return sites, frozenset(every)


def _content(volume: VolumeInfo, path: str) -> bytes:
    try:
        return Tree(Path(volume.mountpoint)).read(path) or b""
    except SkupperError:
        return b""
