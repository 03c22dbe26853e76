"""``version manifest``: the images of this version, as ``manifest.json`` in the current directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from skupper_podman.cli.result import Json, Result
from skupper_podman.cli.session import Session
from skupper_podman.cli.typed import command, new_app
from skupper_podman.errors import ConflictError, SkupperError

app = new_app()

FILE: Final = "manifest.json"
_ROUTER: Final = "https://github.com/skupperproject/skupper-router"
_SKUPPER: Final = "https://github.com/skupperproject/skupper"
_IMAGES: Final = (
    # variable, registry variable, name and tag, repository
    ("QDROUTERD_IMAGE", "SKUPPER_IMAGE_REGISTRY", "skupper-router:2.7.6", _ROUTER),
    ("SKUPPER_SERVICE_CONTROLLER_IMAGE", "SKUPPER_IMAGE_REGISTRY", "service-controller:1.9.6", _SKUPPER),
    ("SKUPPER_CONTROLLER_PODMAN_IMAGE", "SKUPPER_IMAGE_REGISTRY", "controller-podman:1.9.6", _SKUPPER),
    ("SKUPPER_CONFIG_SYNC_IMAGE", "SKUPPER_IMAGE_REGISTRY", "config-sync:1.9.6", _SKUPPER),
    ("SKUPPER_FLOW_COLLECTOR_IMAGE", "SKUPPER_IMAGE_REGISTRY", "flow-collector:1.9.6", _SKUPPER),
    ("SKUPPER_SITE_CONTROLLER_IMAGE", "SKUPPER_IMAGE_REGISTRY", "site-controller:1.9.6", _SKUPPER),
    ("PROMETHEUS_SERVER_IMAGE", "PROMETHEUS_IMAGE_REGISTRY", "prometheus:v2.55.1", ""),
    ("OAUTH_PROXY_IMAGE", "OAUTH_PROXY_IMAGE_REGISTRY", "origin-oauth-proxy:4.18.0", ""),
)
_REGISTRIES: Final = {
    "SKUPPER_IMAGE_REGISTRY": "quay.io/skupper",
    "PROMETHEUS_IMAGE_REGISTRY": "quay.io/prometheus",
    "OAUTH_PROXY_IMAGE_REGISTRY": "quay.io/openshift",
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """``version manifest`` has no flags of its own."""


def manifest(env: Mapping[str, str]) -> dict[str, Json]:
    """The images that ``env`` leads to, and the variables in it that say so."""
    images: list[Json] = []
    for variable, registry, name, repository in _IMAGES:
        image = env.get(variable) or f"{env.get(registry) or _REGISTRIES[registry]}/{name}"
        images.append({"name": image, **({"repository": repository} if repository else {})})
    names = sorted({*(item[0] for item in _IMAGES), *_REGISTRIES})
    return {"images": images, "variables": {name: env[name] for name in names if env.get(name)}}


@command(app, "version manifest", Manifest)
def version_manifest(session: Session, _options: Manifest, _arguments: tuple[str, ...]) -> Result:
    """Write the images of this version to manifest.json"""
    document = manifest(session.world.env)
    try:
        with Path(FILE).open("x", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=3, ensure_ascii=False))
    except FileExistsError:
        raise ConflictError(
            f"The file {FILE} already exists in the current directory.", "move it away, or use another directory"
        ) from None
    except OSError as error:
        raise SkupperError(f"Error creating file: {FILE}: {error.strerror}") from None
    text = f"{FILE} file successfully generated in the current directory.\n"
    return Result("Manifest", text, {"file": FILE, **document}, changed=True)
