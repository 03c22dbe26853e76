"""A gateway bundle as bytes: ``NAME.tar.gz`` with everything that a host needs to join the network.

The entries of 1.9 keep their paths; ``manifest.json`` names every file with its SHA-256, the generation, and the end of
the credential. What always holds: the same content gives the same archive; files that are secret have mode 0600.
"""

from __future__ import annotations

import datetime
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from skupper_podman.desired.gatewayfile import dump_gateway
from skupper_podman.desired.gatewayrouter import (
    CERTIFICATES,
    LINK_PROFILE,
    OWN_AUTHORITY,
    gateway_config,
    tls_directory,
)
from skupper_podman.model.gateway import GatewayDefinition, GatewayKind

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
CONFIG: Final = "config/skrouterd.json"
RUNTIME: Final = "router/router.tar.gz"
IMAGE: Final = "images/router.tar"
MIN_ROUTER: Final = "2.4.0"
ROUTERS_BELOW: Final = "3.0.0"
"""Routers from here on carry TCP in another form, which services of a 1.9 network do not understand."""


@dataclass(frozen=True, slots=True)
class BundleGeneration:
    """What is bundled: the definition, the how manieth bundle of this gateway it is, when it was made, and whether it
    is for the very host (``local``). With ``exchange`` the first launch exchanges its credential for one of that
    lifetime."""

    definition: GatewayDefinition
    number: int
    created: datetime.datetime
    kind: GatewayKind = "bundle"
    exchange: datetime.timedelta | None = None


@dataclass(frozen=True, slots=True)
class BundleSite:
    """The site that a bundle leads to; at ``renewal_url`` it renews the credential, nowhere if that is empty."""

    id: str
    name: str
    host: str
    port: int
    version: str
    platform: str = "podman"
    renewal_url: str = ""


@dataclass(frozen=True, slots=True)
class BundleSecrets:
    """The credential of a gateway, PEM: its certificate and key, its own authority, and the site's.

    ``tls`` are the files of bridges that speak TLS, by ``directory/name`` as
    :func:`~skupper_podman.desired.gatewayrouter.tls_directory` names the directory.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    own_authority: bytes
    site_authority: bytes
    expires: datetime.datetime
    tls: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class BundleRouter:
    """What runs the gateway: an image by name and digest, and what of routers is in the bundle itself.

    ``runtime`` is the archive of the embedded router with ``runtime_facts``, ``image_archive`` that of the image.
    """

    image: str
    digest: str = ""
    runtime: bytes = field(default=b"", repr=False)
    runtime_facts: Mapping[str, str] = field(default_factory=dict)
    image_archive: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle's files by path, with their modes."""

    name: str
    files: Mapping[str, tuple[bytes, int]] = field(repr=False)
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def archive(self) -> bytes:
        """The ``tar.gz``."""
        raw = io.BytesIO()
        with (
            gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in self._directories():
                entry = tarfile.TarInfo(path)
                entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o700, self._mtime()
                archive.addfile(entry)
            for path, (content, mode) in self.files.items():
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode, entry.mtime = len(content), mode, self._mtime()
                archive.addfile(entry, io.BytesIO(content))
        return raw.getvalue()

    def _directories(self) -> list[str]:
        found: dict[str, None] = {}
        for path in self.files:
            parts = path.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                found["/".join(parts[:depth])] = None
        return list(found)

    def _mtime(self) -> int:
        return int(datetime.datetime.fromisoformat(str(self.manifest["created"])).timestamp())


def make_bundle(
    generation: BundleGeneration,
    site: BundleSite,
    secrets: BundleSecrets,
    router: BundleRouter,
    programs: Mapping[str, bytes],
) -> Bundle:
    """The bundle; ``programs`` are the files of ``gateway_bundle`` by path."""
    definition = generation.definition
    config = gateway_config(definition, site.host, site.port, site.version, site.platform).dump().encode()
    base = f"{CERTIFICATES}/{LINK_PROFILE}"
    files: dict[str, tuple[bytes, int]] = {
        f"{base}/tls.crt": (secrets.certificate, 0o600),
        f"{base}/tls.key": (secrets.key, 0o600),
        f"{base}/ca.crt": (secrets.site_authority, 0o600),
        f"{base}/{OWN_AUTHORITY}": (secrets.own_authority, 0o600),
        CONFIG: (config, 0o644),
        "gateway.yaml": (dump_gateway(definition), 0o644),
    }
    for path, content in sorted(secrets.tls.items()):
        files[f"{CERTIFICATES}/{path}"] = (content, 0o600)
    for path, content in sorted(programs.items()):
        files[path] = (content, 0o755 if content.startswith(b"#!") else 0o644)
    if router.runtime:
        files[RUNTIME] = (router.runtime, 0o644)
    if router.image_archive:
        files[IMAGE] = (router.image_archive, 0o644)
    manifest = {
        "format": FORMAT,
        "gateway": definition.name,
        "kind": generation.kind,
        "generation": generation.number,
        "registration": hashlib.sha256(secrets.own_authority).hexdigest()[:16],
        "created": _time(generation.created),
        "credentialExpires": _time(secrets.expires),
        "site": {"id": site.id, "name": site.name, "caSha256": hashlib.sha256(secrets.site_authority).hexdigest()},
        "edge": {"host": site.host, "port": site.port},
        "renewal": site.renewal_url,
        "exchangeSeconds": int(generation.exchange.total_seconds()) if generation.exchange else 0,
        "router": {
            "minVersion": MIN_ROUTER,
            "belowVersion": ROUTERS_BELOW,
            "image": router.image,
            "digest": router.digest,
            "runtime": dict(router.runtime_facts) if router.runtime else None,
        },
        "managementPort": next(listener.port for listener in definition.listeners if listener.managed),
        "bindings": [bridge.facts for bridge in definition.bindings],
        "forwards": [bridge.facts for bridge in definition.forwards],
        "files": {path: f"sha256:{hashlib.sha256(content).hexdigest()}" for path, (content, _) in files.items()},
    }
    files[MANIFEST] = ((json.dumps(manifest, indent=4) + "\n").encode(), 0o644)
    return Bundle(definition.name, files, manifest)


def _time(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


__all__ = [
    "CONFIG", "FORMAT", "IMAGE", "MANIFEST", "RUNTIME", "Bundle", "BundleGeneration", "BundleRouter", "BundleSecrets",
    "BundleSite", "make_bundle", "tls_directory",
]  # fmt: skip
