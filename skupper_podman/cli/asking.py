"""One short question to the Podman socket, without podman-py, because ``version`` must be quick.

What always holds: the answer takes at most the given time, whatever the other side does; anything but a proper answer
is None. Only Unix sockets are asked.
"""

from __future__ import annotations

ROUTER = "skupper-router"
_PREFIX = "/v4.0.0/libpod"
_LIMIT = 4 << 20


def router_image(socket_path: str, timeout: float, namespace: str = "") -> tuple[str, str] | None:
    """Image reference and digest of the router's container; None if there is no site or no answer in ``timeout`` s.

    Names are as in :mod:`skupper_podman.desired.names`, which is not imported.
    """
    import time

    deadline, end = time.monotonic() + timeout, f".{namespace}" if namespace else ""
    container = _get(socket_path, f"{_PREFIX}/containers/{ROUTER}{end}/json", deadline)
    if not container:
        return None
    config = container.get("Config")
    labels = config.get("Labels") if isinstance(config, dict) else None
    if not isinstance(labels, dict) or labels.get("application") != f"skupper{end}":
        return None
    reference, identity = container.get("ImageName"), container.get("Image")
    if not isinstance(reference, str):
        return None
    digest = container.get("ImageDigest")
    if not isinstance(digest, str) or not digest:
        image = _get(socket_path, f"{_PREFIX}/images/{identity}/json", deadline) if isinstance(identity, str) else None
        digest = image.get("Digest", "") if image else ""
    return reference, digest if isinstance(digest, str) else ""


def _get(socket_path: str, target: str, deadline: float) -> dict[str, object] | None:
    """The JSON object at ``target``, None for anything else."""
    import json

    content = _exchange(socket_path, target, deadline)
    head, separator, body = content.partition(b"\r\n\r\n")
    if not separator or head.split(b"\r\n", 1)[0].split(b" ")[1:2] != [b"200"]:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _exchange(socket_path: str, target: str, deadline: float) -> bytes:
    """All bytes of the answer; HTTP/1.0, so that its end is the end of the connection and nothing comes in chunks."""
    import socket
    import time

    content = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            connection.connect(socket_path)
            connection.sendall(f"GET {target} HTTP/1.0\r\nHost: d\r\n\r\n".encode("utf-8", "surrogateescape"))
            while len(content) < _LIMIT:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                chunk = connection.recv(65536)
                if not chunk:
                    return content
                content += chunk
    except (OSError, ValueError):
        return b""
    return b""
