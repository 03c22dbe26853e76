"""Which Podman API is used, and whose word that was.

Order (``client/podman/rest.go`` of Skupper 1.9, plus ``CONTAINER_HOST``): the argument of ``init``, the stored
``podman.yaml``, ``PODMAN_ENDPOINT``, ``CONTAINER_HOST``, the socket of the user's ``podman.socket`` unit.

What always holds: an :class:`Endpoint` has one of the schemes ``unix``, ``http`` and ``https``; resolving it touches
neither the network nor the file system.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from skupper_podman.errors import EndpointError, InvalidError

SOCKET_HINT = "systemctl --user enable --now podman.socket"
SYSTEM_SOCKET_HINT = "systemctl enable --now podman.socket"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Podman API: its normalised URL and where the choice came from (a flag, a file, a variable, ``default``)."""

    url: str
    origin: str

    @property
    def socket(self) -> Path | None:
        """The socket file, None for a network endpoint."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None

    @property
    def is_default(self) -> bool:
        """True if nobody asked for a particular endpoint."""
        return self.origin == "default"

    @property
    def stored(self) -> str:
        """What ``podman.yaml`` must say so that every later command uses the same endpoint; empty for the default."""
        return "" if self.is_default else self.url


def resolve(argument: str, stored: str, env: Mapping[str, str], default_socket: Path) -> Endpoint:
    """Choose the endpoint; ``argument`` and ``stored`` may be empty.

    Raises:
        EndpointError: the chosen text is not an endpoint.
    """
    candidates = (
        (argument, "--podman-endpoint"),
        (stored, "podman.yaml"),
        (env.get("PODMAN_ENDPOINT", ""), "PODMAN_ENDPOINT"),
        (env.get("CONTAINER_HOST", ""), "CONTAINER_HOST"),
    )
    for text, origin in candidates:
        if text.strip():
            return Endpoint(_normalise(text.strip(), origin), origin)
    return Endpoint(f"unix://{default_socket}", "default")


def _normalise(text: str, origin: str) -> str:
    if text.startswith("/"):
        return f"unix://{text}"
    if "://" not in text:
        text = f"http://{text}"
    scheme, _, rest = text.partition("://")
    if scheme in ("unix", "http+unix") and rest.startswith("/"):
        return f"unix://{rest}"
    if scheme == "tcp":
        scheme = "http"
    if scheme in ("http", "https") and _has_host(rest):
        return f"{scheme}://{rest}"
    raise EndpointError(
        f"invalid endpoint: {text} (from {origin})",
        f"give the path of a Podman API socket on this host; start one with: {SOCKET_HINT}",
    )


def _has_host(rest: str) -> bool:
    try:
        parts = urlsplit(f"http://{rest}")
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def check_remote(endpoint: Endpoint, lookup: Callable[[str], tuple[str, ...]]) -> None:
    """Refuse a network endpoint that containers could not reach; ``lookup`` turns a host name into its addresses.

    Raises:
        EndpointError: its host has no address, or a local one.
    """
    if endpoint.socket is not None:
        return
    host = urlsplit(endpoint.url).hostname or ""
    addresses = lookup(host)
    if not addresses:
        raise EndpointError(
            f"unable to resolve hostname: {host} (from {endpoint.origin})", f"see why: getent hosts {host}"
        )
    local = [address for address in addresses if address in ("127.0.0.1", "::1", "0.0.0.0", "::")]
    if local:
        raise EndpointError(
            f"local addresses cannot be used, got: {local[0]} (from {endpoint.origin})",
            "containers cannot reach it; use the API socket: --podman-endpoint unix:///run/podman/podman.sock",
        )


def parse_document(content: bytes | None) -> str:
    """The endpoint stored in the bytes of ``podman.yaml``; empty if there is no file or it names none.

    Raises:
        InvalidError: the file is not what 1.9 writes.
    """
    if not content or not content.strip():
        return ""
    import yaml

    try:
        document: Any = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise InvalidError(f"podman.yaml is not YAML: {error}") from error
    value = document.get("endpoint", "") if isinstance(document, dict) else None
    if value is None or not isinstance(value, str):
        raise InvalidError("podman.yaml must have one key 'endpoint' with a text value")
    return value


def render_document(endpoint: str) -> bytes:
    """The bytes of ``podman.yaml`` for ``endpoint`` (empty means the default)."""
    escaped = endpoint.replace("\\", "\\\\").replace('"', '\\"')
    return f'endpoint: "{escaped}"\n'.encode()
