"""Who has renewed a certificate under which authority: kept beside the claims by who issues, read by who wants to know.

What always holds: a file that is missing or damaged tells of nobody, so that more is assumed to depend on an old
authority than does, never less; it holds nothing secret, and at most :data:`MOST` names.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from skupper_podman.desired.claimrecords import rfc3339
from skupper_podman.errors import SkupperError
from skupper_podman.files import Tree

FILE: Final = "renewed.json"
MOST: Final = 10_000
_LIMIT: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class RenewalLog:
    """The log in a directory tree; one process writes it."""

    tree: Tree

    def authorities(self) -> Mapping[str, str]:
        """Fingerprint of the authority of the last certificate of each subject."""
        try:
            document = json.loads(self.tree.read(FILE, _LIMIT) or b"{}")
            return {str(name): str(entry["authority"]) for name, entry in document.items()}
        except (SkupperError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {}

    def note(self, subject: str, authority: str, now: datetime.datetime) -> None:
        """Note that ``subject`` has a certificate of the authority with that fingerprint now.

        Raises:
            PlatformError: it cannot be written.
        """
        try:
            document = json.loads(self.tree.read(FILE, _LIMIT) or b"{}")
        except (SkupperError, ValueError, RecursionError):
            document = {}
        entries = document if isinstance(document, dict) else {}
        entries.pop(subject, None)
        kept = list(entries.items())[-(MOST - 1) :]
        entry = {"authority": authority, "time": rfc3339(now)}
        self.tree.write(FILE, json.dumps(dict([*kept, (subject, entry)]), indent=1).encode(), 0o600)
