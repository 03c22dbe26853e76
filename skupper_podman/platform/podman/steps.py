"""From a change to a step: how each kind of resource is made, altered and removed through Podman, and taken back.

What always holds: a step's undo puts back exactly what its ``do`` found (bytes and modes of files, the very container
that was replaced), also if ``do`` stopped half-way; a file is only written if it still is what the plan was made from,
otherwise both changes are merged where the document allows it, or the step refuses.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from skupper_podman import certs
from skupper_podman.desired import names
from skupper_podman.desired.diff import Change, Present
from skupper_podman.desired.names import APPLICATION_LABEL
from skupper_podman.desired.resources import (
    Authority,
    Container,
    Credential,
    Network,
    Resource,
    Volume,
    VolumeFile,
)
from skupper_podman.errors import ConflictError, PlatformError
from skupper_podman.plan import Step, Verb
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.authority import issued, lineage_files, lineage_of, trust_of
from skupper_podman.platform.podman.edits import DirectoryEdit, FileEdit, Trees
from skupper_podman.rotation import BRIDGES_FILE, Lineage


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class Steps:
    """Makes steps that work on one Podman service."""

    api: PodmanApi
    trees: Trees
    present: Present
    keys: certs.KeyPool = field(default_factory=lambda: certs.KeyPool(0))
    now: Callable[[], datetime.datetime] = _utc_now

    def make(self, changes: Iterable[Change], then: Iterable[Step] = ()) -> tuple[Step, ...]:
        """Steps for all changes, and those of ``then``; only after all of them are replaced containers removed."""
        steps: list[Step] = []
        cleanup: list[Step] = []
        for change in changes:
            if change.action == "update" and isinstance(change.resource, Container):
                replacing, removing = self._replace_container(change)
                steps.append(replacing)
                cleanup.append(removing)
            else:
                steps.append(self._step(change))
        return (*steps, *then, *cleanup)

    def _step(self, change: Change) -> Step:
        resource = change.resource
        match resource:
            case Network():
                make, drop = self._network(resource)
            case Volume():
                make, drop = self._volume(resource)
            case VolumeFile():
                return self._file(change, resource)
            case Authority():
                return self._authority(resource)
            case Credential():
                if change.action == "delete":
                    return self._drop_credential(resource)
                return self._credential(change, resource)
            case Container():
                return self._container(change, resource)
            case _:
                raise PlatformError(f"cannot {change.action} {_what(resource)} here")
        if change.action == "delete":
            return Step("delete", _what(resource), drop, make, change.reason)
        return Step("create", _what(resource), make, drop, change.reason)

    def _network(self, network: Network) -> tuple[Callable[[], None], Callable[[], None]]:
        def make() -> None:
            made = self.api.create_network(network)
            if not made.dns_enabled:
                raise PlatformError(
                    f"network {network.name} cannot resolve names - podman plugins must be installed",
                    "install aardvark-dns (netavark) or the dnsname plugin of CNI (package podman-plugins)",
                )

        def drop() -> None:
            self.api.remove_network(network.name)

        return make, drop

    def _volume(self, volume: Volume) -> tuple[Callable[[], None], Callable[[], None]]:
        kept: list[FileEdit] = []
        existed = volume.name in self.present.volumes

        def make() -> None:
            if not existed or self.api.volume(volume.name) is None:
                self.api.create_volume(volume)
            for edit in kept:
                edit.undo()

        def drop() -> None:
            if existed and self.api.volume(volume.name) is not None:
                kept[:] = self.trees.snapshot(volume.name)
            self.api.remove_volume(volume.name)
            self.trees.forget(volume.name)

        return make, drop

    def _file(self, change: Change, file: VolumeFile) -> Step:
        found = change.previous if isinstance(change.previous, VolumeFile) else None
        wanted = None if change.action == "delete" else file
        edit = FileEdit(self.trees, file.volume, file.path, found, wanted)
        verb: Verb = "delete" if change.action == "delete" else "update" if change.action == "update" else "create"
        return Step(verb, _what(file), edit.do, edit.undo)

    def _authority(self, authority: Authority) -> Step:
        edit = DirectoryEdit(self.trees, authority.name, "")
        leftovers = _EditGroup(self.trees)

        def do() -> None:
            pair = certs.issue_authority(authority.name, self.keys.take(), self.now())
            edit.do(lineage_files(Lineage(pair.certificate, pair.key)))
            bridges = self.trees.file(authority.name, BRIDGES_FILE)  # it follows nobody
            leftovers.remove([bridges] if bridges else [])

        def undo() -> None:
            leftovers.undo()
            edit.undo()

        return Step("create", _what(authority), do, undo)

    def _credential(self, change: Change, credential: Credential) -> Step:
        edit = DirectoryEdit(self.trees, credential.volume, credential.directory)

        def do() -> None:
            lineage, now = lineage_of(self.trees, credential.authority), self.now()
            key = b"" if credential.ca_only else self.keys.take()
            edit.do(issued(credential, lineage, key, now, trust_of(self.trees, credential)))

        verb: Verb = "update" if change.action == "update" else "create"
        return Step(verb, _what(credential), do, edit.undo, change.reason)

    def _drop_credential(self, credential: Credential) -> Step:
        edits = _EditGroup(self.trees)

        def do() -> None:
            edits.remove(self.trees.files(credential.volume, credential.directory))

        return Step("delete", _what(credential), do, edits.undo)

    def _container(self, change: Change, container: Container) -> Step:
        name = container.name

        def make() -> None:
            try:
                self.api.create_container(container)
            except ConflictError:
                if not self.api.remove_unreadable(name, _whose(container)):
                    raise
                self.api.create_container(container)
            self.api.start(name)

        def make_again() -> None:
            if self.api.container(name) is None:
                self.api.create_container(change.previous if isinstance(change.previous, Container) else container)
            if state is None or state.running:
                self.api.start(name)

        state = self.present.containers.get(name)
        what = _what(container)
        match change.action:
            case "start":
                return Step("start", what, lambda: self.api.start(name), lambda: self.api.stop(name, 1), change.reason)
            case "restart":
                return Step("run", f"restart of {what}", lambda: self.api.restart(name), detail=change.reason)
            case "delete":
                return Step("delete", what, self._stop_and_remove(name), make_again, change.reason)
            case _:
                return Step("create", what, make, lambda: self._discard(name), change.reason)

    def _discard(self, name: str) -> None:
        # It was made a moment ago; a process that has no signal handlers yet would cost the full ten seconds.
        self.api.stop(name, 1)
        self.api.remove_container(name)

    def _stop_and_remove(self, name: str) -> Callable[[], None]:
        def do() -> None:
            self.api.stop(name)
            self.api.remove_container(name)

        return do

    def _replace_container(self, change: Change) -> tuple[Step, Step]:
        container = change.resource
        assert isinstance(container, Container)
        name, aside = container.name, names.aside(container.name, secrets.token_hex(3))
        state = self.present.containers.get(name)

        def do() -> None:
            self.api.stop(name)
            self.api.rename_container(name, aside)
            self.api.create_container(container)
            self.api.start(name)

        def undo() -> None:
            if self.api.container(aside) is not None:
                self._discard(name)
                self.api.rename_container(aside, name)
            if state is None or state.running:
                self.api.start(name)

        def remove() -> None:
            self.api.remove_container(aside)

        def bring_back() -> None:
            if self.api.container(aside) is None and state is not None:
                self.api.create_container(replace(state.container, name=aside))

        replacing = Step("update", _what(container), do, undo, change.reason)
        return replacing, Step("delete", f"replaced {_what(container)}", remove, bring_back)


class _EditGroup:
    """Files removed by one step; they are known only while it runs."""

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._done: list[FileEdit] = []

    def remove(self, files: Iterable[VolumeFile]) -> None:
        for file in files:
            self._run(FileEdit(self._trees, file.volume, file.path, file, None))

    def _run(self, edit: FileEdit) -> None:
        self._done.append(edit)
        edit.do()

    def undo(self) -> None:
        for edit in reversed(self._done):
            edit.undo()
        self._done.clear()


def _whose(container: Container) -> dict[str, str | None]:
    """The label by which other containers of its site are known."""
    return {APPLICATION_LABEL: container.labels.get(APPLICATION_LABEL, "")}


def _what(resource: Resource) -> str:
    match resource:
        case VolumeFile():
            return f"file {resource.volume}:{resource.path}"
        case Credential():
            return f"credential {resource.volume}" + (f":{resource.directory}" if resource.directory else "")
        case Authority():
            return f"certificate authority {resource.name}"
        case _:
            return f"{type(resource).__name__.lower()} {resource.name}"
