"""Where the files of a user's sites live on the host: the directories of 1.9, computed from uid and environment.

What always holds: nothing here touches the file system or reads the real environment; an XDG variable that is set but
empty counts as unset (1.9 took it literally, which gave relative paths). ``SKUPPER_DATA_HOME`` is ours alone: it moves
the data home of this process (as in the test lab). Named sites have what is their own below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skupper_podman.model.namespace import scoped

PROGRAM = "skupper-podman"
"""What the files outside the data home are called, with the site's name where it has one."""
ROOT_DATA_HOME = Path("/usr/local/bin")
ROOT_STATE = Path("/var/lib/skupper")
"""Where root's named sites have their files: those of 1.9 are among the programs, which is no place for more."""
NAMESPACES = "namespaces"
"""The directory of named sites below a data home."""
LINGER_DIRECTORY = Path("/var/lib/systemd/linger")


@dataclass(frozen=True, slots=True)
class Paths:
    """The directories of one user's site; ``system`` says that the system manager of systemd is meant, not the user's.

    ``namespace`` is the name of the site; empty for the one with the names of 1.9. ``data_home`` is the user's.
    """

    data_home: Path
    config_home: Path
    runtime_dir: Path
    system: bool
    namespace: str = ""

    @property
    def site_home(self) -> Path:
        """The directory of what only this site has."""
        if not self.namespace:
            return self.data_home
        base = ROOT_STATE if self.data_home == ROOT_DATA_HOME else self.data_home
        return base / NAMESPACES / self.namespace

    @property
    def stem(self) -> str:
        """What the site's unit, its lock and the like are called, without an ending."""
        return scoped(PROGRAM, self.namespace)

    @property
    def unit_name(self) -> str:
        """The unit that supervises the site."""
        return f"{self.stem}.service"

    @property
    def endpoint_file(self) -> Path:
        """``podman.yaml``: the endpoint given at init, empty for the default."""
        return self.site_home / "podman.yaml"

    @property
    def platform_file(self) -> Path:
        """``platform.yaml``: what ``skupper switch`` chose, for all sites of the user."""
        return self.data_home / "platform.yaml"

    @property
    def start_script(self) -> Path:
        """``start-podman.sh``, which 1.9 wrote and ran from its unit."""
        return self.site_home / "start-podman.sh"

    @property
    def stop_script(self) -> Path:
        """``stop-podman.sh``, which 1.9 wrote and ran from its unit."""
        return self.site_home / "stop-podman.sh"

    @property
    def unit_dir(self) -> Path:
        """Directory of unit files of the manager that supervises the site."""
        return Path("/etc/systemd/system") if self.system else self.config_home / "systemd" / "user"

    @property
    def unit_file(self) -> Path:
        """Its unit file."""
        return self.unit_dir / self.unit_name

    @property
    def dropin_dir(self) -> Path:
        """Where ``systemctl edit`` puts changes to that unit."""
        return self.unit_dir / f"{self.unit_name}.d"

    @property
    def quadlet_dir(self) -> Path:
        """Where Podman's generator of that manager reads Quadlet files."""
        return (Path("/etc") if self.system else self.config_home) / "containers" / "systemd"

    @property
    def linger_mark(self) -> Path:
        """A file that says that ``init`` enabled lingering, so that the last ``delete`` may take it back."""
        return self.data_home / ".skupper-podman-linger"

    @property
    def lock_file(self) -> Path:
        """Where the lock is if the runtime directory cannot be written; see :attr:`lock_files`."""
        return self.data_home / f".{self.stem}.lock"

    @property
    def lock_files(self) -> tuple[Path, Path]:
        """One of these is held while a command changes the site, so that two never interleave; preferably the first."""
        return self.runtime_dir / f"{self.stem}.lock", self.lock_file

    def site_locks(self) -> list[tuple[str, Path]]:
        """The locks of the user's sites that are held, or were left by a killed command, each with the site's name."""
        found = []
        for directory, head in ((self.runtime_dir, PROGRAM), (self.data_home, f".{PROGRAM}")):
            for path in (directory / f"{head}.lock", *directory.glob(f"{head}.*.lock")):
                found.append((path.name.removeprefix(head).removesuffix(".lock").removeprefix("."), path))
        return found

    @property
    def user_lock_files(self) -> tuple[Path, Path]:
        """One of these is held for a moment while something is chosen or removed that all sites of the user share."""
        return self.runtime_dir / f"{PROGRAM}-sites.lock", self.data_home / f".{PROGRAM}-sites.lock"

    @property
    def default_socket(self) -> Path:
        """Where Podman's socket unit listens."""
        return self.runtime_dir / "podman" / "podman.sock"


def paths_for(uid: int, env: Mapping[str, str], home: Path, namespace: str = "") -> Paths:
    """The paths of user ``uid``'s site with environment ``env``; ``home`` is used where ``HOME`` is unset.

    Source: ``pkg/config/local.go`` of Skupper 1.9 (root keeps its data in /usr/local/bin and ignores XDG_DATA_HOME).
    """
    home = _absolute(env.get("HOME")) or home
    own = _absolute(env.get("SKUPPER_DATA_HOME"))
    config_home = _absolute(env.get("XDG_CONFIG_HOME")) or home / ".config"
    runtime = _absolute(env.get("XDG_RUNTIME_DIR"))
    if uid == 0:
        return Paths(own or ROOT_DATA_HOME, config_home, runtime or Path("/run"), True, namespace)
    xdg_data = _absolute(env.get("XDG_DATA_HOME")) or home / ".local" / "share"
    return Paths(own or xdg_data / "skupper", config_home, runtime or Path(f"/run/user/{uid}"), False, namespace)


def linger_file(user: str) -> Path:
    """The file whose existence means that lingering is enabled for ``user`` (systemd-logind)."""
    return LINGER_DIRECTORY / user


def _absolute(value: str | None) -> Path | None:
    """A directory from the environment; unset, empty and relative values count as unset (XDG base directory spec)."""
    return Path(value) if value and value.startswith("/") else None
