"""Files inside volumes: where a site keeps its certificates, configurations, services and status.

Podman has no call that writes into a volume, so the volume's directory on this host is used, as 1.9 does; a Podman on
another host is therefore refused. What always holds: a file is replaced atomically with an explicit mode, and no link a
container may have put into its volume leads anywhere else (see :class:`skupper_podman.files.Tree`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from skupper_podman.errors import NotFoundError, PlatformError
from skupper_podman.files import Tree
from skupper_podman.locks import held
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.facts import VolumeInfo

SERVICES_LOCK = "skupper-services.json.lock"


def tree(volume: VolumeInfo) -> Tree:
    """The directory tree of ``volume``.

    Raises:
        PlatformError: its directory is not on this host, or not open to this user.
    """
    found = Tree(_mountpoint(volume))
    try:
        found.names()
    except PlatformError as error:
        raise _remote(volume, error.message) from error
    return found


def find(api: PodmanApi, name: str) -> Tree | None:
    """The directory tree of the volume called ``name``, None if there is no such volume.

    Raises:
        PlatformError: as :func:`tree`.
    """
    volume = api.volume(name)
    return None if volume is None else tree(volume)


def open_volume(api: PodmanApi, name: str) -> Tree:
    """As :func:`find`, but a missing volume is an error.

    Raises:
        NotFoundError: there is no such volume. PlatformError: as :func:`tree`.
    """
    found = find(api, name)
    if found is None:
        raise NotFoundError(f"volume {name} does not exist", "repair the site: skupper init")
    return found


def read_file(api: PodmanApi, volume: str, path: str) -> bytes | None:
    """Content of ``path`` in ``volume``; None if the volume or the file does not exist. Raises as :func:`tree`."""
    found = find(api, volume)
    return None if found is None else found.read(path)


@contextlib.contextmanager
def services_lock(services: Tree, timeout: float = 10.0) -> Iterator[None]:
    """Hold the lock 1.9 takes around changes of ``skupper-services.json`` (flock on a file that stays in place).

    Raises:
        ConflictError: somebody else holds it for longer than ``timeout`` seconds.
    """
    descriptor = services.open_lock(SERVICES_LOCK)
    with held(descriptor, str(services.root / SERVICES_LOCK), timeout=timeout):
        yield


def _mountpoint(volume: VolumeInfo) -> Path:
    path = Path(volume.mountpoint)
    if not path.is_absolute() or not path.is_dir():
        raise _remote(volume, f"{volume.mountpoint or 'its mountpoint'} is not a directory on this host")
    return path


def _remote(volume: VolumeInfo, reason: str) -> PlatformError:
    return PlatformError(
        f"You cannot use a remote podman endpoint - the files of volume {volume.name} cannot be reached: {reason}",
        "use the API socket of a Podman on this host that runs as this user",
    )
