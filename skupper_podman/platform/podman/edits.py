"""Files in volumes: reading them, and changing one so that the change can be taken back.

What always holds: no symbolic link in a volume is followed (a container may have put it there); a file is replaced
atomically; the services file is changed under the lock that 1.9 uses; a file that another program changed since it was
read is merged entry by entry if it is a router configuration or the services file, and otherwise left alone with an
error that says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from skupper_podman.desired import names
from skupper_podman.desired.resources import VolumeFile
from skupper_podman.desired.services import ServicesDocument
from skupper_podman.errors import ConflictError, InvalidError, NotFoundError
from skupper_podman.files import FileState, Tree, replacing
from skupper_podman.locks import held
from skupper_podman.platform.podman.facts import VolumeInfo
from skupper_podman.router.config import RouterConfig

_LOCK_TIMEOUT = 10.0
_SNAPSHOT_LIMIT = 4 * 1024 * 1024


class Trees:
    """Volumes as directory trees; ``lookup`` finds one by name, and is asked once for each."""

    def __init__(
        self, lookup: Callable[[str], VolumeInfo | None], mountpoints: Mapping[str, str] | None = None
    ) -> None:
        self._lookup = lookup
        self._mountpoints = dict(mountpoints or {})

    def tree(self, volume: str) -> Tree:
        """The files of ``volume``.

        Raises:
            NotFoundError: there is no such volume.
        """
        mountpoint = self._mountpoints.get(volume)
        if mountpoint is None:
            info = self._lookup(volume)
            if info is None:
                raise NotFoundError(f"volume {volume} does not exist", "to repair the site: skupper init")
            mountpoint = self._mountpoints[volume] = info.mountpoint
        return Tree(Path(mountpoint))

    def forget(self, volume: str) -> None:
        """Ask again where ``volume`` is: it was removed."""
        self._mountpoints.pop(volume, None)

    def file(self, volume: str, path: str) -> VolumeFile | None:
        """The file with its mode, None if it or its volume does not exist."""
        try:
            state = self.tree(volume).state(path)
        except NotFoundError:
            return None
        return None if state is None else VolumeFile(volume, path, state.content, state.mode, secret=True)

    def files(self, volume: str, directory: str = "") -> list[VolumeFile]:
        """All files below ``directory``."""
        found = (self.file(volume, path) for path in self.tree(volume).files(directory))
        return [file for file in found if file is not None]

    def unfinished(self, volume: str, name: str) -> list[bytes]:
        """What killed writers of the file ``name`` at the top of the volume left beside it."""
        tree = self.tree(volume)
        return [tree.read(path) or b"" for path in tree.names() if replacing(path) == name]

    def snapshot(self, volume: str) -> list[FileEdit]:
        """What is in the volume, as removals that have been done: undoing them puts it back.

        Files larger than 4 MiB are left out: nothing a site needs is that large.
        """
        tree = self.tree(volume)
        edits = []
        for path in tree.files():
            try:
                state = tree.state(path, limit=_SNAPSHOT_LIMIT)
            except InvalidError:
                continue
            if state is not None:
                found = VolumeFile(volume, path, state.content, state.mode, secret=True)
                edits.append(FileEdit(self, volume, path, found, None))
        return edits


class FileEdit:
    """One file: from ``found`` (None for absent) to ``wanted`` (None for absent)."""

    def __init__(
        self, trees: Trees, volume: str, path: str, found: VolumeFile | None, wanted: VolumeFile | None
    ) -> None:
        self._trees = trees
        self._volume = volume
        self._path = path
        self._found = found
        self._wanted = wanted

    def do(self) -> None:
        """Make the change.

        Raises:
            ConflictError: the file is not what the plan was made from, and cannot be merged.
        """
        self._change(self._found, self._wanted)

    def undo(self) -> None:
        """Put back what was there, also if the change was never made."""
        self._change(self._wanted, self._found)

    def _change(self, old: VolumeFile | None, new: VolumeFile | None) -> None:
        tree = self._trees.tree(self._volume)
        with self._lock(tree):
            state = tree.state(self._path)
            content = None if state is None else state.content
            wanted = None if new is None else new.content
            if content != (None if old is None else old.content) and content != wanted:
                wanted = self._merge(None if old is None else old.content, wanted, content)
            if wanted is None:
                tree.remove(self._path)
                _remove_empty_parent(tree, self._path)
            else:
                tree.write(self._path, wanted, _mode(new, old))

    def _merge(self, old: bytes | None, new: bytes | None, found: bytes | None) -> bytes | None:
        """``found`` with what changed from ``old`` to ``new``."""
        name = PurePosixPath(self._path).name
        if name == names.SERVICES_FILE:
            return _merge_services(old or b"", new or b"", found or b"")
        if name == names.ROUTER_CONFIG_FILE and old and new and found:
            return _merge_configs(old, new, found)
        if found is None:  # Gone meanwhile: nobody's change is lost by writing it, or by leaving it absent.
            return new
        raise ConflictError(
            f"{self._path} in volume {self._volume} was changed by another program meanwhile", "run the command again"
        )

    @contextlib.contextmanager
    def _lock(self, tree: Tree) -> Iterator[None]:
        if self._path != names.SERVICES_FILE:
            yield
            return
        path = f"{names.SERVICES_FILE}.lock"
        with held(tree.open_lock(path), str(tree.root / path), timeout=_LOCK_TIMEOUT):
            yield


class DirectoryEdit:
    """Files of one directory that belong together, such as a certificate and its key: replaced as one.

    What is there is looked at when the change is made, since a certificate's content is known only then.
    """

    def __init__(self, trees: Trees, volume: str, directory: str) -> None:
        self._trees = trees
        self._volume = volume
        self._directory = directory
        self._found: dict[str, FileState | None] = {}
        self._wanted: dict[str, FileState] = {}

    def do(self, files: Mapping[str, FileState]) -> None:
        """Write ``files`` (by name)."""
        tree = self._trees.tree(self._volume)
        self._found |= {name: tree.state(self._path(name)) for name in files if name not in self._found}
        self._wanted |= files
        tree.write_together(self._directory, files)

    def undo(self) -> None:
        """Put back what was there, also if the change was made in part or never.

        Raises:
            ConflictError: another program changed a file since.
        """
        tree = self._trees.tree(self._volume)
        for name, wanted in self._wanted.items():
            now, before = tree.state(self._path(name)), self._found[name]
            if now is not None and now.content not in (wanted.content, before.content if before else None):
                raise ConflictError(
                    f"{self._path(name)} in volume {self._volume} was changed by another program meanwhile",
                    "run the command again",
                )
        kept = {name: state for name, state in self._found.items() if state is not None}
        if kept:
            tree.write_together(self._directory, kept)
        for name in self._found.keys() - kept.keys():
            tree.remove(self._path(name))
            _remove_empty_parent(tree, self._path(name))
        self._found.clear()
        self._wanted.clear()

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}" if self._directory else name


def _mode(new: VolumeFile | None, old: VolumeFile | None) -> int:
    return new.mode if new is not None else old.mode if old is not None else 0o600


def _remove_empty_parent(tree: Tree, path: str) -> None:
    parent = str(PurePosixPath(path).parent)
    if parent != "." and not tree.names(parent):
        tree.remove_directory(parent)


def _merge_services(old: bytes, new: bytes, found: bytes) -> bytes:
    before, after = ServicesDocument.parse(old).entries, ServicesDocument.parse(new).entries
    entries = dict(ServicesDocument.parse(found).entries)
    for address in before.keys() | after.keys():
        if before.get(address) == after.get(address):
            continue
        if address in after:
            entries[address] = after[address]
        else:
            entries.pop(address, None)
    return ServicesDocument(entries).dump().encode()


def _merge_configs(old: bytes, new: bytes, found: bytes) -> bytes:
    before, after, config = (RouterConfig.parse(text.decode()) for text in (old, new, found))
    for entity in after:
        if entity.key is None or before.get(entity.type, entity.key) != entity:
            config = config.put(entity)
    for entity in before:
        if entity.key is not None and after.get(entity.type, entity.key) is None:
            config = config.remove(entity.type, entity.key)
    return config.dump().encode()
