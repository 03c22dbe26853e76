"""Which image the site's router runs on, and why: upstream's where there is one in reach, else one made of the host.

What always holds: ``embedded`` needs no network; ``auto`` never fails for want of a registry, and its reason says what
was tried; a registry that does not answer costs about three seconds, not a pull's time limit.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from skupper_podman.errors import PlatformError, SkupperError
from skupper_podman.files import read_bytes
from skupper_podman.model.site import RouterKind
from skupper_podman.platform.podman.api import PodmanApi
from skupper_podman.platform.podman.hostimage import (
    container_path,
    ensure_host_image,
    host_image,
    host_mounts,
    python_command,
)

ROUTER_IMAGE = "skupper-router:2.7.6"
REGISTRY = "quay.io/skupper"
REACH_TIMEOUT = 3.0
PULL_TIMEOUT = 120.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RouterImage:
    """The choice made: ``kind`` is what runs, ``image`` its reference, ``reason`` one sentence for the user."""

    kind: Literal["image", "embedded"]
    image: str
    reason: str


def router_reference(env: Mapping[str, str]) -> str:
    """The router image 1.9 would use: ``QDROUTERD_IMAGE``, or its release below ``SKUPPER_IMAGE_REGISTRY``."""
    return env.get("QDROUTERD_IMAGE") or f"{(env.get('SKUPPER_IMAGE_REGISTRY') or REGISTRY).rstrip('/')}/{ROUTER_IMAGE}"


def router_image(
    kind: RouterKind,
    api: PodmanApi,
    env: Mapping[str, str],
    *,
    timeout: float = PULL_TIMEOUT,
    progress: Progress | None = None,
    pull: bool = True,
) -> RouterImage:
    """Choose, and make present, the image of the router. ``timeout`` in seconds limits a pull.

    Without ``pull`` nothing is downloaded or made (for ``--dry-run``): an image that could be had is only named.

    Raises:
        PlatformError: ``kind`` is ``image`` and it is neither here nor to be had, or the host image cannot be made.
    """
    if kind == "embedded":
        return RouterImage("embedded", _host_image(api, pull), "the embedded router was asked for")
    reference = router_reference(env)
    if api.image(reference) is not None:
        return RouterImage("image", reference, f"{reference} is in local storage")
    try:
        if kind == "auto":
            _reach(reference, env)
        if pull:
            api.pull(reference, timeout, auth=registry_auth(reference, env), progress=progress)
        return RouterImage("image", reference, f"{reference} {'was' if pull else 'would be'} pulled")
    except SkupperError as error:
        if kind == "image":
            raise PlatformError(
                error.message, f"{error.hint}; or take the embedded router: --router embedded"
            ) from error
        reason = f"{reference} is not in local storage and cannot be pulled: {error.message}"
        return RouterImage("embedded", _host_image(api, pull), reason)


def _host_image(api: PodmanApi, make: bool) -> str:
    return ensure_host_image(api) if make else host_image().name


def _reach(reference: str, env: Mapping[str, str]) -> None:
    """Find out quickly whether the registry, or the proxy before it, accepts connections.

    Raises:
        PlatformError: it does not within :data:`REACH_TIMEOUT` seconds.
    """
    host, port = registry_address(reference, env)
    outcome: list[str] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), REACH_TIMEOUT).close()
            outcome.append("")
        except OSError as error:
            outcome.append(error.strerror or str(error))

    # A thread, because looking a name up has no time limit of its own; a daemon, so that it never delays the exit.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(REACH_TIMEOUT)
    problem = outcome[0] if outcome else f"no answer within {REACH_TIMEOUT:g} seconds"
    if problem:
        raise PlatformError(f"{host} is not in reach ({problem})")


def registry_address(reference: str, env: Mapping[str, str]) -> tuple[str, int]:
    """Host and port to connect to for pulling ``reference``: the HTTPS proxy of ``env`` if any, else the registry."""
    proxy = env.get("HTTPS_PROXY") or env.get("https_proxy")
    if proxy:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if parts.hostname:
            return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    parts = urlsplit(f"https://{registry_of(reference)}")
    return parts.hostname or "", parts.port or 443


def registry_of(reference: str) -> str:
    """The registry part (``host[:port]``) of an image reference; docker.io where there is none."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def registry_auth(reference: str, env: Mapping[str, str]) -> str:
    """The ``X-Registry-Auth`` value for ``reference`` from ``REGISTRY_AUTH_FILE``; empty without one. A secret.

    Raises:
        PlatformError: the file cannot be read or is malformed.
    """
    from pathlib import Path

    name = env.get("REGISTRY_AUTH_FILE")
    content = read_bytes(Path(name)) if name else None
    if not content:
        return ""
    server = registry_of(reference)
    try:
        document: Any = json.loads(content)
        entry = (document.get("auths") or {}).get(server) or {}
        user, _, password = base64.b64decode(entry.get("auth", ""), validate=True).decode().partition(":")
    except (ValueError, AttributeError) as error:
        raise PlatformError(f"REGISTRY_AUTH_FILE {name} is malformed", f"podman login {server}") from error
    if not user:
        return ""
    value = json.dumps({server: {"username": user, "password": password}})
    return base64.urlsafe_b64encode(value.encode()).decode()


__all__ = [
    "RouterImage",
    "container_path",
    "ensure_host_image",
    "host_mounts",
    "python_command",
    "registry_address",
    "registry_auth",
    "registry_of",
    "router_image",
    "router_reference",
]
