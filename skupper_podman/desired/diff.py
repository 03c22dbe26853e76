"""The difference between what must exist and what exists, as an ordered list of changes.

What always holds: applying all changes to a host leaves nothing to change; only what differs between ``before`` and
``after`` is touched (with an empty ``before`` everything is checked), so a command never repairs what it was not asked
about; what is neither in ``before`` nor in ``after`` is never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from skupper_podman.desired import names
from skupper_podman.desired.resources import (
    Authority,
    Container,
    Credential,
    Mount,
    Network,
    Resource,
    Unit,
    Volume,
    VolumeFile,
)

Action = Literal["create", "update", "delete", "start", "restart"]
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container that exists, as far as it can be read back."""

    container: Container
    running: bool = True


@dataclass(frozen=True, slots=True)
class Present:
    """What exists of a site, by name; ``issued`` are the authorities and credentials that exist and can be used.

    ``ended`` credentials only need to be issued anew: routers take that up with their next connection.
    """

    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    files: Mapping[tuple[str, str], VolumeFile] = field(default_factory=dict)
    issued: frozenset[Authority | Credential] = frozenset()
    containers: Mapping[str, ContainerState] = field(default_factory=dict)
    ended: frozenset[Credential] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do to one resource. ``previous`` is what is there now, ``reason`` why it must change."""

    action: Action
    resource: Resource
    previous: Resource | None = None
    reason: str = ""


def key(resource: Resource) -> Key:
    """What tells a resource from others."""
    if isinstance(resource, VolumeFile):
        return ("file", resource.volume, resource.path)
    if isinstance(resource, Credential):
        return ("credential", resource.volume, resource.directory)
    return (type(resource).__name__.lower(), resource.name)


def diff(before: Iterable[Resource], after: Iterable[Resource], present: Present) -> tuple[Change, ...]:
    """Changes that turn a host with ``present`` into one with ``after``, where ``before`` was wanted until now."""
    old = {key(resource): resource for resource in before}
    new = {key(resource): resource for resource in after}
    differ = _Differ(present)
    for name, resource in new.items():
        if old.get(name) != resource:
            differ.want(resource)
    for name, resource in reversed(old.items()):
        if name not in new:
            differ.drop(resource, new)
    return tuple(differ.changes)


def mismatches(wanted: Container, found: Container) -> tuple[str, ...]:
    """In which respects ``found`` is not what is wanted. More environment and aliases than wanted are fine.

    So are other labels of users: Podman keeps those that a container was made with, and making it again for a label's
    sake would cut connections off.
    """
    pairs: tuple[tuple[str, bool], ...] = (
        ("image", wanted.image == found.image),
        ("command", not wanted.command or wanted.command == found.command),
        ("environment", wanted.env.items() <= found.env.items()),
        ("labels", _ours(wanted).items() <= _ours(found).items()),
        ("network", wanted.network == found.network),
        ("aliases", set(wanted.aliases) <= set(found.aliases)),
        ("mounts", _mounts(wanted) <= _mounts(found)),
        ("ports", set(wanted.ports) == set(found.ports)),
        ("limits", (wanted.memory_bytes, wanted.cpu_millis) == (found.memory_bytes, found.cpu_millis)),
    )
    return tuple(name for name, same in pairs if not same)


def _ours(container: Container) -> dict[str, str]:
    return {
        name: value
        for name, value in container.labels.items()
        if name == names.APPLICATION_LABEL or name.startswith("skupper.io/")
    }


def _mounts(container: Container) -> set[Mount]:
    return {Mount(mount.source, mount.target.rstrip("/") or "/", mount.read_only) for mount in container.mounts}


def _within(credential: Credential, name: Key) -> bool:
    """True if ``name`` is that of a file where the credential is."""
    place = ("file", credential.volume)
    return bool(credential.directory) and name[:2] == place and name[2].startswith(f"{credential.directory}/")


class _Differ:
    """Collects changes; remembers what they renew, because a container must see renewed volumes and certificates."""

    def __init__(self, present: Present) -> None:
        self._present = present
        self._new_volumes: set[str] = set()
        self._new_authorities: set[str] = set()
        self._renewed: set[str] = set()
        self.changes: list[Change] = []

    def want(self, resource: Resource) -> None:
        match resource:
            case Network():
                if resource.name not in self._present.networks:
                    self._add("create", resource)
            case Volume():
                if resource.name not in self._present.volumes:
                    self._new_volumes.add(resource.name)
                    self._add("create", resource)
            case VolumeFile():
                self._want_file(resource)
            case Authority():
                if resource.name in self._new_volumes or resource not in self._present.issued:
                    self._new_authorities.add(resource.name)
                    self._add("create", resource)
                else:
                    self._want_private(resource.name, "tls.key")
            case Credential():
                self._want_credential(resource)
            case Container():
                self._want_container(resource)
            case Unit():
                pass  # systemd is compared by the platform, which alone can ask it

    def _want_file(self, file: VolumeFile) -> None:
        found = self._present.files.get((file.volume, file.path))
        if found is None or file.volume in self._new_volumes:
            self._add("create", file)
        elif found.content != file.content:
            self._add("update", file, found, "content")
        elif found.mode != file.mode and (file.secret or not found.mode & 0o444):
            self._add("update", file, found, "mode")

    def _want_credential(self, credential: Credential) -> None:
        renewed = credential.authority in self._new_authorities or credential.volume in self._new_volumes
        if renewed or credential not in self._present.issued:
            # Routers read a certificate anew for each connection: one that only gets other names, or another term,
            # restarts nothing.
            ended = not renewed and credential in self._present.ended
            works = not renewed and any(key(issued) == key(credential) for issued in self._present.issued)
            if not works and not ended:
                self._renewed.add(credential.volume)
            reason = "it has ended" if ended else "for other hosts" if works else ""
            self._add("update" if works or ended else "create", credential, reason=reason)
        else:
            prefix = f"{credential.directory}/" if credential.directory else ""
            self._want_private(credential.volume, f"{prefix}tls.key")

    def _want_private(self, volume: str, path: str) -> None:
        """1.9 leaves keys readable by everybody; a key that is good otherwise only needs another mode."""
        found = self._present.files.get((volume, path))
        if found is not None and found.mode & 0o077:
            self._add("update", replace(found, mode=0o600, secret=True), found, "mode")

    def _want_container(self, container: Container) -> None:
        state = self._present.containers.get(container.name)
        if state is None:
            self._add("create", container)
            return
        sources = {mount.source for mount in container.mounts}
        reasons = [*mismatches(container, state.container), *sorted(sources & self._new_volumes)]
        if reasons:
            self._add("update", container, state.container, ", ".join(reasons))
        elif not state.running:
            self._add("start", container)
        elif sources & self._renewed:
            self._add("restart", container, reason="its certificates are new")

    def drop(self, resource: Resource, after: Mapping[Key, Resource]) -> None:
        match resource:
            case Network(name=name) if name in self._present.networks:
                self._add("delete", resource, self._present.networks[name])
            case Volume(name=name) if name in self._present.volumes:
                self._add("delete", resource, self._present.volumes[name])
            case VolumeFile(volume=volume, path=path) if self._outlives(volume, after):
                found = self._present.files.get((volume, path))
                if found is not None:
                    self._add("delete", resource, found)
            case Credential() if any(_within(resource, name) for name in after):
                pass  # other files take its place
            case Credential() if self._outlives(resource.volume, after) and self._has_files(resource):
                self._add("delete", resource)
            case Container(name=name) if name in self._present.containers:
                self._add("delete", resource, self._present.containers[name].container)
            case _:
                pass

    def _has_files(self, credential: Credential) -> bool:
        prefix = f"{credential.directory}/"
        return any(volume == credential.volume and path.startswith(prefix) for volume, path in self._present.files)

    def _outlives(self, volume: str, after: Mapping[Key, Resource]) -> bool:
        """True if the volume stays, so that what is in it must be removed by itself."""
        return ("volume", volume) in after and volume in self._present.volumes

    def _add(self, action: Action, resource: Resource, previous: Resource | None = None, reason: str = "") -> None:
        self.changes.append(Change(action, resource, previous, reason))
