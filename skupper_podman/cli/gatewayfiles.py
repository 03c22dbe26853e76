"""Files of gateways on this host: definitions that are read, TLS files they name, bundles that are written."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skupper_podman.errors import ConflictError, InvalidError, NotFoundError, PlatformError
from skupper_podman.files import FileState, read_bytes, remove, write_atomic
from skupper_podman.model.gateway import Bridge, GatewayDefinition
from skupper_podman.plan import Step

if TYPE_CHECKING:
    from skupper_podman.desired.gatewayfile import GatewayFile

MODE: Final = 0o600
_EXPORT_MODE: Final = 0o644


def read_definition(path: Path, *, named: bool = True) -> GatewayFile:
    """The definition in a file.

    Raises:
        NotFoundError: there is none.
        InvalidError: it cannot be read, or is malformed.
    """
    from skupper_podman.desired.gatewayfile import parse_gateway

    try:
        content = read_bytes(path)
    except PlatformError as error:
        raise InvalidError(f"Failed to read gateway config file: {error.message}") from None
    if content is None:
        raise NotFoundError(f"Failed to read gateway config file: {path} does not exist")
    return parse_gateway(content, named=named)


def tls_files(definition: GatewayDefinition, base: Path) -> dict[str, bytes]:
    """The files of bridges that speak TLS; paths in the definition are relative to ``base``.

    Raises:
        InvalidError: one is missing or no certificate.
    """
    from skupper_podman.desired.gatewayrouter import tls_directory

    found: dict[str, bytes] = {}
    for bridge in (*definition.bindings, *definition.forwards):
        for name, content in _of_bridge(bridge, base).items():
            found[f"{tls_directory(bridge)}/{name}"] = content
    return found


def _of_bridge(bridge: Bridge, base: Path) -> dict[str, bytes]:
    from skupper_podman import certs

    found: dict[str, bytes] = {}
    if bridge.tls_credentials:
        for name in ("tls.crt", "tls.key", "ca.crt"):
            found[name] = _read(base / bridge.tls_credentials / name, bridge)
        pair = certs.KeyPair(found["tls.crt"], found["tls.key"])
        if not certs.belongs(pair):
            raise InvalidError(f"{bridge.name}: tls.key in {bridge.tls_credentials} does not belong to tls.crt")
    if bridge.tls_authority:
        found["ca.crt"] = _read(base / bridge.tls_authority, bridge)
    if found:
        try:
            certs.facts(found["ca.crt"])
        except certs.CertificateError as error:
            raise InvalidError(f"{bridge.name}: its authority is {error.message}") from None
    return found


def _read(path: Path, bridge: Bridge) -> bytes:
    content = read_bytes(path)
    if content is None:
        raise NotFoundError(
            f"{bridge.name}: {path} does not exist", "tlscredentials is a directory, tlscertauthority a file"
        )
    return content


def writing(path: Path, content: Callable[[], bytes], *, force: bool) -> Step:
    """The step that writes a bundle; its undo puts back what was there.

    Raises:
        ConflictError: the file exists and is no bundle, and ``force`` is not given.
        NotFoundError: its directory does not exist.
    """
    if not path.parent.is_dir():
        raise NotFoundError(f"Unable to create download file: {path.parent} is no directory", f"mkdir -p {path.parent}")
    if path.is_dir():
        raise ConflictError(f"Unable to create download file: {path} is a directory")
    exists = path.exists()
    if exists and not force and not _is_bundle(path):
        raise ConflictError(f"{path} exists and is no bundle", "choose another directory, or overwrite it: --force")
    before: list[FileState] = []

    def do() -> None:
        kept = read_bytes(path)
        if kept is not None:
            before.append(FileState(kept, path.stat().st_mode & 0o777))
        write_atomic(path, content(), MODE)

    def undo() -> None:
        if before:
            write_atomic(path, before[0].content, before[0].mode)
        elif not exists:
            remove(path)

    return Step("update" if exists else "create", f"bundle {path}", do, undo, "mode 0600")


def _is_bundle(path: Path) -> bool:
    try:
        with tarfile.open(path) as archive:
            member = archive.extractfile("manifest.json")
            return member is not None and "gateway" in json.loads(member.read())
    except (OSError, tarfile.TarError, KeyError, ValueError, EOFError):
        return False


def exporting(path: Path, definition: GatewayDefinition) -> Step:
    """The step that writes a definition.

    Raises:
        NotFoundError: its directory does not exist.
    """
    from skupper_podman.desired.gatewayfile import dump_gateway

    if not path.parent.is_dir():
        raise NotFoundError(f"Failed to write export config file: {path.parent} is no directory")
    before = read_bytes(path)

    def do() -> None:
        write_atomic(path, dump_gateway(definition), _EXPORT_MODE)

    def undo() -> None:
        if before is None:
            remove(path)
        else:
            write_atomic(path, before, _EXPORT_MODE)

    return Step("create" if before is None else "update", f"file {path}", do, undo)
