"""The embedded router as one archive that runs on a host with nothing installed, not even a C library of its own age.

In it: the interpreter that runs this program, the part of the standard library and of our packages that the router
imports (compiled, in one zip), the extension modules, and every shared library they need down to the dynamic loader of
glibc, by which the interpreter is started. So only kernel and processor must fit. What always holds: the archive is
tried before it is given away; the same installation gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import marshal
import os
import platform
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from modulefinder import ModuleFinder
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from skupper_podman.errors import PlatformError
from skupper_podman.files import make_directories, read_bytes, write_atomic
from skupper_podman.process import run

MODULE: Final = "skupper_podman.routerd"
LOADER: Final = "lib/loader"
INTERPRETER: Final = "bin/python3"

_UNUSED: Final = (
    "_bz2", "_lzma", "asyncio", "bz2", "concurrent.futures.process", "ctypes", "curses", "distutils", "doctest",
    "email", "ensurepip", "ftplib", "http.client", "http.server", "idlelib", "lib2to3", "lzma", "multiprocessing",
    "pdb", "pip", "plistlib", "pydoc", "readline", "setuptools", "smtplib", "sqlite3", "test", "tkinter",
    "unittest", "urllib.request", "webbrowser", "xmlrpc",
)  # fmt: skip
"""Modules that what the router imports would import for purposes the router does not have."""
_ALWAYS: Final = (
    "_cffi_backend", "encodings.aliases", "encodings.ascii", "encodings.cp437", "encodings.idna", "encodings.latin_1",
    "encodings.utf_8", "zlib", "runpy",
)  # fmt: skip
_LIBRARY: Final = re.compile(r"^\s*(\S+)(?: => (\S+))? \(0x[0-9a-f]+\)$", re.MULTILINE)
_ARCHIVE: Final = "gateway-runtime.tar.gz"
_LIST: Final = "gateway-runtime.json"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The archive (``tar.gz``) and what a host must know of it: ``machine``, ``digest``, ``python``, ``version``, and
    that it ``notifies`` a service manager that it is ready and alive."""

    archive: bytes = field(repr=False)
    facts: Mapping[str, str]


def cache_directory(uid: int, env: Mapping[str, str]) -> Path:
    """Where archives are kept for the next bundle."""
    if uid == 0:
        return Path("/var/cache/skupper")
    home = Path(env.get("HOME") or "/nonexistent")
    return Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "skupper"


def runtime(cache: Path, version: str) -> Runtime:
    """The archive for this installation; made when ``cache``, a directory of ours, does not have it yet.

    ``version`` is this program's.

    Raises:
        PlatformError: it cannot be made, or does not work here.
    """
    archive = _kept(cache)
    if archive is None:
        files = _collect()
        archive = _packed(files)
        _try(archive)
        make_directories(cache, 0o700)
        write_atomic(cache / _ARCHIVE, archive, 0o600)
        write_atomic(cache / _LIST, json.dumps(_list(files, archive)).encode(), 0o600)
    facts = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "version": version,
        "notifies": "yes",
        "digest": hashlib.sha256(archive).hexdigest(),
    }
    return Runtime(archive, facts)


@dataclass(slots=True)
class _Files:
    """What goes in: ``code`` source files by module (packages end in ``/__init__``), ``binaries`` by path inside."""

    code: dict[str, Path] = field(default_factory=dict)
    binaries: dict[str, Path] = field(default_factory=dict)


def _collect() -> _Files:
    if not sys.platform.startswith("linux"):
        raise PlatformError("a self-contained bundle can only be made on Linux")
    found = _Files()
    extensions = []
    for name, path in _modules().items():
        if path.suffix == ".so":
            extensions.append(path)
        elif path.suffix == ".py":
            inside = name.replace(".", "/")
            found.code[f"{inside}/__init__" if path.name == "__init__.py" else inside] = path
    interpreter = Path(sys.executable).resolve()
    for path in extensions:
        found.binaries[f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/lib-dynload/{path.name}"] = path
    found.binaries[INTERPRETER] = interpreter
    found.binaries |= _libraries([interpreter, *extensions])
    return found


def _modules() -> dict[str, Path]:
    """Every module with a file that the router imports, directly or not."""
    finder = ModuleFinder(path=[path or "." for path in sys.path], excludes=list(_UNUSED))
    spec = importlib.util.find_spec(f"{MODULE}.__main__")
    assert spec is not None
    assert spec.origin is not None
    finder.run_script(spec.origin)
    for name in (MODULE, f"{MODULE}.__main__", *_ALWAYS):
        finder.import_hook(name)
    found = {}
    for name, module in finder.modules.items():
        place = getattr(module, "__file__", None)
        if name != "__main__" and place:
            found[name] = Path(place)
    for name in ("_cffi_backend",):
        origin = importlib.util.find_spec(name)
        if origin is None or origin.origin is None:
            raise PlatformError(f"the module {name} is not installed here, which the embedded router needs")
        found[name] = Path(origin.origin)
    return found


def _libraries(objects: Iterable[Path]) -> dict[str, Path]:
    """The shared libraries that ``objects`` need, and the loader."""
    found: dict[str, Path] = {}
    for path in objects:
        told = run(["ldd", str(path)], timeout=20).stdout
        for match in _LIBRARY.finditer(told):
            name, place = match.groups()
            if place:
                found[f"lib/{name}"] = Path(place).resolve()
            elif name.startswith("/"):
                found[LOADER] = Path(name).resolve()
    for name in ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"):  # which older C libraries load by name
        place = found[LOADER].parent / name if LOADER in found else None
        if place is not None and place.exists():
            found[f"lib/{name}"] = place.resolve()
    if LOADER not in found:
        raise PlatformError("this host's C library is none that a self-contained bundle can be made of (glibc)")
    return found


def _list(files: _Files, archive: bytes) -> dict[str, object]:
    """What an archive was made of, so that it can be told whether it still is of today."""
    paths = sorted({*files.code.values(), *files.binaries.values()})
    return {
        "python": platform.python_version(),
        "digest": hashlib.sha256(archive).hexdigest(),
        "files": [[str(path), *_stamp(path)] for path in paths],
    }


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def _kept(cache: Path) -> bytes | None:
    """The archive that was made before, if every file that went into it is the same."""
    archive = read_bytes(cache / _ARCHIVE)
    try:
        known = json.loads(read_bytes(cache / _LIST) or b"{}")
        if archive is None or known["digest"] != hashlib.sha256(archive).hexdigest():
            return None
        files = {path: (size, time) for path, size, time in known["files"]}
        same = all(_stamp(Path(path)) == stamp for path, stamp in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Another Python, or our package at another place, is another archive even where the old files are still there.
    here = {str(Path(sys.executable).resolve()), str(Path(__file__).parents[1] / "routerd" / "main.py")}
    return archive if same and known["python"] == platform.python_version() and here <= files.keys() else None


def _packed(files: _Files) -> bytes:
    members: dict[str, bytes] = {f"lib/python{sys.version_info[0]}{sys.version_info[1]}.zip": _zip(files.code)}
    for name, path in files.binaries.items():
        members[name] = path.read_bytes()
    # The interpreter takes this directory for its installation because it has os.py; the zip is looked into first.
    members[f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/os.py"] = Path(os.__file__).read_bytes()
    raw = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(members[name])
            entry.mode = 0o755 if name in (LOADER, INTERPRETER) else 0o644
            archive.addfile(entry, io.BytesIO(members[name]))
    return raw.getvalue()


def _zip(code: Mapping[str, Path]) -> bytes:
    """The modules, compiled. Stored, not deflated: the archive around it is compressed, and imports are quicker."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(code):
            compiled = compile(code[name].read_bytes(), f"{name}.py", "exec", dont_inherit=True, optimize=0)
            header = importlib.util.MAGIC_NUMBER + bytes(12)
            archive.writestr(zipfile.ZipInfo(f"{name}.pyc", _EPOCH), header + marshal.dumps(compiled))
    return raw.getvalue()


def command(directory: Path) -> tuple[list[str], dict[str, str]]:
    """The words that run the router unpacked in ``directory``, and the environment they need."""
    words = [str(directory / LOADER), "--library-path", str(directory / "lib"), str(directory / INTERPRETER)]
    return [*words, "-S", "-s", "-B", "-m", MODULE], {"PYTHONHOME": str(directory)}


def _try(archive: bytes) -> None:
    """Unpack it and import everything, as the host will.

    Raises:
        PlatformError: it does not work.
    """
    with TemporaryDirectory(prefix="skupper-runtime-") as place:
        with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
            packed.extractall(place)  # noqa: S202  made above
        words, env = command(Path(place))
        modules = [f"{MODULE}.{name}" for name in ("main", "router", "entities", "services")]
        check = f"import {', '.join([*modules, '_cffi_backend', 'encodings.idna'])}"
        done = run([*words[:-2], "-c", check], env=env, timeout=60)
        if not done.ok:
            raise PlatformError(f"the embedded router does not run by itself: {done.complaint}")
