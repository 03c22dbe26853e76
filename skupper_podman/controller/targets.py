"""Which service targets are given as IP addresses, from the site's service definitions.

Why: a target that is no container is seen by nobody else, so its connector could not be matched with a server.

What always holds: reading is tolerant (the file may be empty, of another version, or damaged) and bounded; a file that
cannot be read changes nothing.

Format: ``skupper-services.json`` of Skupper 1.9: address to definition, with ``targets[].service`` the host.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any, Final

from skupper_podman.controller.source import TargetProcess
from skupper_podman.controller.watched import WatchedFile

_LARGEST: Final = 8 << 20
_MOST: Final = 5000


def parse_targets(text: bytes) -> frozenset[TargetProcess]:
    """The targets of a services document that are IP literals.

    Raises:
        ValueError: the text is not empty and no JSON object.
    """
    if not text.strip():
        return frozenset()
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    found: set[TargetProcess] = set()
    for address, definition in document.items():
        targets = definition.get("targets") if isinstance(definition, dict) else None
        for target in targets if isinstance(targets, list) else ():
            host = _host(target) if isinstance(target, dict) else ""
            if host and len(found) < _MOST:
                found.add(TargetProcess(address, host))
    return frozenset(found)


def _host(target: dict[str, Any]) -> str:
    """The target's host if it is an IP literal, as written, else empty."""
    host = target.get("service")
    if not isinstance(host, str):
        return ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ""
    return host


class ServicesFile:
    """Watches the services file by looking at it."""

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, _LARGEST)

    def changed(self) -> frozenset[TargetProcess] | None:
        """The targets if the file changed since the last call, else None. A missing file means no targets.

        Raises:
            OSError: it cannot be read.
            ValueError: it is malformed; this is said once for each change.
        """
        text = self._file.changed()
        return None if text is None else parse_targets(text)
