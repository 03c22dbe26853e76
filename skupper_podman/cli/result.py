"""What a command gives back, and the envelope that ``-o json`` and ``-o yaml`` print it in.

Commands never print: they return a :class:`Result`, and :mod:`skupper_podman.cli.output` prints it, as text with 1.9's
wording or as one document (JSON indented by two blanks, or YAML)::

    {
      "apiVersion": "skupper-podman/v1",
      "kind": "LinkStatus",
      "changed": false,
      "data": {...},
      "warnings": []
    }

``kind``      what ``data`` is, see :mod:`skupper_podman.cli.documents` for every kind and its keys.
``changed``   true if the command changed something; false for reads, for a command that found everything done already,
              and for ``--dry-run`` (what would change is then in ``data``, kind ``Plan``).
``data``      an object; its keys are camelCase, times are RFC 3339 in UTC, a value that is not known is null.
``warnings``  strings; in text mode they go to stderr as ``Warning: …``.

A failure is printed on stdout in its place, with the same exit code as in text mode::

    {
      "apiVersion": "skupper-podman/v1",
      "kind": "Error",
      "error": {
        "type": "PreflightError",
        "message": "what failed and why",
        "hint": "the command or action that mends it, or empty",
        "checks": [{"check": "port-free", "cause": "…", "fix": "…"}]
      }
    }

``checks`` lists every blocker of a preflight, or the check of a link that failed, else it is empty. ``type`` is a name
from :mod:`skupper_podman.errors`.

Within ``skupper-podman/v1`` keys are only added: none is renamed, removed, or given another type.

Exit codes: 0 done, and everything looked at is well; 1 failed, or a status command found something failing or could not
find out; 2 wrong usage; 130 interrupted; 141 the reader of the output went away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

API_VERSION: Final = "skupper-podman/v1"

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Later(Mapping[str, Json]):
    """Data that is made when it is first looked at: in text mode never, which at hundreds of services is felt."""

    def __init__(self, make: Callable[[], Mapping[str, Json]]) -> None:
        self._make = make
        self._made: Mapping[str, Json] | None = None

    def _data(self) -> Mapping[str, Json]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, key: str) -> Json:
        return self._data()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data())

    def __len__(self) -> int:
        return len(self._data())


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of a command that did not raise.

    ``text`` is printed byte for byte in text mode. ``exit_code`` is not 0 when a status command found something wrong.
    """

    kind: str
    text: str
    data: Mapping[str, Json] = field(default_factory=dict)
    changed: bool = False
    warnings: tuple[str, ...] = ()
    exit_code: int = 0

    def envelope(self) -> dict[str, Json]:
        """The document of ``-o json``."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "changed": self.changed,
            "data": dict(self.data),
            "warnings": list(self.warnings),
        }


def error_envelope(type_name: str, message: str, hint: str, checks: list[Json]) -> dict[str, Json]:
    """The document of a failure."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Error",
        "error": {"type": type_name, "message": message, "hint": hint, "checks": checks},
    }
