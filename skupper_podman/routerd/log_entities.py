"""The log as management shows it: settings that can be changed, and how much each module has had to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from skupper_podman.routerd.log import LEVELS, MODULES, Log
from skupper_podman.routerd.management.provider import INTERNAL_ERROR, ManagementError

Entity = dict[str, Any]


class LogProvider:
    """Settings of the log modules."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def entities(self) -> Iterator[Entity]:
        """One a module."""
        for module in MODULES:
            yield {**self._log.settings(module), "name": f"log/{module}", "identity": f"log/{module}"}

    def update(self, entity: Mapping[str, Any], attributes: Entity) -> Entity:
        """Change one module's settings."""
        module = str(entity["module"])
        try:
            self._log.configure(module, attributes)
        except ValueError as error:
            raise ManagementError(INTERNAL_ERROR, str(error)) from None
        except OSError as error:
            words = f"Failed to open log file '{attributes['outputFile']}': {error.strerror}"
            raise ManagementError(INTERNAL_ERROR, words) from None
        return self._log.settings(module)


class LogStatsProvider:
    """Lines by level, those that were not enabled included."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def entities(self) -> Iterator[Entity]:
        """One a module."""
        counts = self._log.counts
        for module in MODULES:
            found = {f"{level}Count": counts[module, level] for level in LEVELS}
            yield {**found, "name": module, "identity": f"logStats/{module}"}
