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
class Renewal:
    """A certificate that was renewed: its holder trusts the authority with that fingerprint since that time.

    ``until`` is the end of the new certificate, None where that was not noted.
    """

    authority: str
    time: datetime.datetime
    until: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class RenewalLog:
    """The log in a directory tree; one process writes it."""

    tree: Tree

    def renewals(self) -> Mapping[str, Renewal]:
        """The last renewal of each subject."""
        return {name: found for name, entry in self._entries().items() if (found := _renewal(entry)) is not None}

    def note(self, subject: str, renewal: Renewal) -> None:
        """Note that the certificate of ``subject`` was renewed.

        Raises:
            PlatformError: it cannot be written.
        """
        entries = self._entries()
        entries.pop(subject, None)
        kept = list(entries.items())[-(MOST - 1) :]
        entry = {"authority": renewal.authority, "time": rfc3339(renewal.time)}
        if renewal.until is not None:
            entry["until"] = rfc3339(renewal.until)
        self.tree.write(FILE, json.dumps(dict([*kept, (subject, entry)]), indent=1).encode(), 0o600)

    def _entries(self) -> dict[str, object]:
        try:
            document = json.loads(self.tree.read(FILE, _LIMIT) or b"{}")
        except (SkupperError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


def _renewal(entry: object) -> Renewal | None:
    if not isinstance(entry, dict):
        return None
    try:
        until = datetime.datetime.fromisoformat(str(entry["until"])) if "until" in entry else None
        return Renewal(str(entry["authority"]), datetime.datetime.fromisoformat(str(entry["time"])), until)
    except (ValueError, KeyError):
        return None
