"""An image made of the host, on which the embedded router and the controller run: nothing is downloaded.

The image itself is a few empty directories; the host's ``/usr`` and the Python installation in use are mounted
read-only over them, at the paths they have on the host. What always holds: the same installation gives the same image
name; nothing writable and nothing secret of the host is mounted (``/etc/ssl/private`` and ``/etc/pki/tls/private`` are
not among the mounts); the image has no labels, because containers inherit those.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import site
import stat
import sys
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from skupper_podman.desired.resources import Mount
from skupper_podman.platform.podman.api import PodmanApi

REPOSITORY = "localhost/skupper-host"
ROUTER_MODULE = "skupper_podman.routerd"

_NEEDED = ("skupper_podman", "proton", "cproton", "aiohttp", "podman", "yaml", "cryptography", "jinja2")
_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Trust anchors and the settings of OpenSSL, never the private directories beside them.
_SHARED = (
    "/usr",
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
)
# None of the places where volumes go: Podman gives a new volume the owner of the image directory it is mounted on,
# which in a rootless container is not the user, who then could not write there.
_DIRECTORIES = ("dev", "etc", "home", "opt", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/tmp")
_SCRATCH = ("run", "tmp", "var/tmp")
"""Where a tmpfs is mounted; runtimes give it the mode of the directory under it, and the user may not be root."""
_NSSWITCH = b"passwd: files\ngroup: files\nhosts: files dns\n"
_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the running Python and our packages are: paths as the interpreter knows them, links not resolved.

    ``executables`` is the interpreter and each link on the way to the real one; ``scripts`` are the directories of its
    console scripts; ``roots`` those our packages are imported from; ``links`` are the top directories of
    the host that are links (``bin`` -> ``usr/bin``), ``directories`` those that are real.
    """

    prefix: Path
    base_prefix: Path
    executable: Path
    executables: tuple[Path, ...]
    scripts: tuple[Path, ...]
    roots: tuple[Path, ...]
    links: tuple[tuple[str, str], ...]
    directories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostImage:
    """An image to import: its name, its one layer, and its settings as Containerfile instructions."""

    name: str
    tar: bytes
    changes: tuple[str, ...]


def installation() -> Installation:
    """Look at the running interpreter and the host."""
    executable = Path(sys.executable)
    tops = [(name, Path("/") / name) for name in _LINKS]
    return Installation(
        prefix=Path(sys.prefix),
        base_prefix=Path(sys.base_prefix),
        executable=executable,
        executables=_chain(executable),
        scripts=_scripts(executable),
        roots=_roots(_NEEDED),
        links=tuple((name, str(path.readlink()).lstrip("/")) for name, path in tops if path.is_symlink()),
        directories=tuple(str(path) for _, path in tops if path.is_dir() and not path.is_symlink()),
    )


def _chain(executable: Path) -> tuple[Path, ...]:
    """``executable`` and every link on the way to the real file (uv and pyenv link through several directories)."""
    found = [executable]
    while found[-1].is_symlink() and len(found) < 16:
        found.append(Path(os.path.normpath(found[-1].parent / found[-1].readlink())))
    real = executable.resolve()
    return (*found, real) if real not in found else tuple(found)


def _scripts(executable: Path) -> tuple[Path, ...]:
    """Beside the interpreter, and in the user's own directory if they were installed there."""
    user_base = site.getuserbase() if site.ENABLE_USER_SITE else ""
    places = [executable.parent, *([Path(user_base) / "bin"] if user_base else [])]
    return tuple(place for place in places if place == executable.parent or (place / "skmanage").exists())


def _roots(modules: Iterable[str]) -> tuple[Path, ...]:
    """The directories those modules are imported from; a module that is not installed is left out."""
    found = []
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is None:
            continue
        for place in spec.submodule_search_locations or ([spec.origin] if spec.origin else []):
            found.append(Path(place).parent)
    return tuple(dict.fromkeys(found))


def host_mounts(of: Installation | None = None, exists: Callable[[Path], bool] = Path.exists) -> tuple[Mount, ...]:
    """What a container on the host image must mount, all read-only; a path inside another one is left out."""
    of = of or installation()
    places = [
        *(Path(path) for path in (*_SHARED, *of.directories)),
        of.prefix,
        of.base_prefix,
        *(path.parent.parent for path in of.executables),
        *of.scripts,
        *of.roots,
    ]
    wanted = [path for path in dict.fromkeys(places) if path != Path("/") and exists(path)]
    reached = {top: f"/{target}" for top, target in of.links}
    outer: list[Path] = []
    for path in sorted(wanted, key=lambda item: len(item.parts)):
        seen_as = _through(path, reached)
        if not any(_through(other, reached) in (seen_as, *seen_as.parents) for other in outer):
            outer.append(path)
    return tuple(Mount(str(path), str(path), read_only=True) for path in sorted(outer))


def _through(path: Path, reached: dict[str, str]) -> Path:
    """``path`` with its top directory's link resolved: /bin/x is /usr/bin/x on a merged host."""
    top = path.parts[1] if len(path.parts) > 1 else ""
    return Path(reached[top], *path.parts[2:]) if top in reached else path


def container_path(of: Installation | None = None) -> str:
    """``PATH`` in a container on the host image: our commands (skmanage, skstat, skrouterd) first."""
    of = of or installation()
    return ":".join(dict.fromkeys((*map(str, of.scripts), *_SYSTEM_PATH)))


def python_path(of: Installation | None = None) -> str:
    """``PYTHONPATH`` in such a container: places the interpreter would not look in by itself; usually empty.

    An editable installation and packages in a user's home are such places.
    """
    of = of or installation()
    own = (of.prefix, of.base_prefix, Path("/usr"))
    return ":".join(str(root) for root in of.roots if not any(path in root.parents for path in own))


def python_command(module: str, *arguments: str, of: Installation | None = None) -> tuple[str, ...]:
    """The command that runs ``module`` in a container on the host image."""
    return (str((of or installation()).executable), "-m", module, *arguments)


def host_image(of: Installation | None = None) -> HostImage:
    """The image for this installation. Its default command runs the embedded router on ``$QDROUTERD_CONF``."""
    of = of or installation()
    program = " ".join(_quoted(word) for word in python_command(ROUTER_MODULE, of=of))
    environment = {"PATH": container_path(of), "PYTHONDONTWRITEBYTECODE": "1"}
    if python_path(of):
        environment["PYTHONPATH"] = python_path(of)
    changes = tuple(f"ENV {key}={value}" for key, value in environment.items())
    changes += ("CMD " + json.dumps(["/bin/sh", "-c", f'exec {program} -c "$QDROUTERD_CONF"']),)
    tar = _layer(of)
    digest = hashlib.sha256(tar + "\0".join(changes).encode()).hexdigest()
    return HostImage(f"{REPOSITORY}:{digest[:12]}", tar, changes)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _layer(of: Installation) -> bytes:
    """The one layer: directories to mount on, the links of a merged /usr, and a name service switch."""
    directories = {*_DIRECTORIES, *(path.lstrip("/") for path in of.directories)}
    for mount in host_mounts(of):
        inner = PurePosixPath(mount.target.lstrip("/"))
        directories.update(str(parent) for parent in inner.parents if str(parent) != ".")
        if Path(mount.source).is_dir():
            directories.add(str(inner))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(directories):
            archive.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name in _SCRATCH else 0o755))
        for name, target in of.links:
            link = _entry(name, tarfile.SYMTYPE, 0o777)
            link.linkname = target
            archive.addfile(link)
        switch = _entry("etc/nsswitch.conf", tarfile.REGTYPE, 0o644)
        switch.size = len(_NSSWITCH)
        archive.addfile(switch, io.BytesIO(_NSSWITCH))
    return buffer.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = mode
    return entry


def ensure_host_image(api: PodmanApi) -> str:
    """Make the host image if it is not there, and return its name.

    Raises:
        PlatformError: Podman could not import it.
    """
    image = host_image()
    if api.image(image.name) is None:
        _compile_ahead()
        api.import_image(image.name, image.tar, image.changes)
    return image.name


def _compile_ahead() -> None:
    """Write bytecode for our own modules: containers cannot (read-only), and would compile at every start."""
    import compileall

    package = Path(__file__).resolve().parents[2]
    if os.access(package, os.W_OK):
        compileall.compile_dir(package, quiet=2)


def unused_images(api: PodmanApi) -> tuple[str, ...]:
    """The names of every host image, of this and of earlier installations, that no container uses."""
    used = {container.image_id for container in api.containers()}
    idle = (name for image in api.images() if image.id not in used for name in image.names)
    return tuple(name for name in idle if name.startswith(f"{REPOSITORY}:"))


def remove_unused_images(api: PodmanApi) -> tuple[str, ...]:
    """Remove those of :func:`unused_images`; returns their names."""
    found = unused_images(api)
    for name in found:
        api.remove_image(name)
    return found


def unreadable(uid: int, gid: int, of: Installation | None = None) -> str:
    """The first file or directory of the installation that a process without capabilities, running as ``uid``:``gid``
    with no other groups, could not read; empty if all is well.

    Only the part below a mount counts: a private home directory above it is no hindrance in the container.
    """
    of = of or installation()
    mounts = [Path(mount.target) for mount in host_mounts(of)]
    samples = [of.executables[-1], *of.roots, *(root / "skupper_podman" / "__init__.py" for root in of.roots)]
    for sample in samples:
        for path in _from_mount(sample, mounts):
            if path.exists() and not _may_read(path, uid, gid):
                return str(path)
    return ""


def _from_mount(sample: Path, mounts: list[Path]) -> list[Path]:
    """``sample`` and its parents down from the mount that holds it, outermost first."""
    for mount in mounts:
        if mount == sample or mount in sample.parents:
            inner = [path for path in (sample, *sample.parents) if path == mount or mount in path.parents]
            return inner[::-1]
    return [sample]


def _may_read(path: Path, uid: int, gid: int) -> bool:
    facts = path.stat()
    need = 0o5 if stat.S_ISDIR(facts.st_mode) else 0o4
    if facts.st_uid == uid:
        return facts.st_mode >> 6 & need == need
    if facts.st_gid == gid:
        return facts.st_mode >> 3 & need == need
    return facts.st_mode & need == need
