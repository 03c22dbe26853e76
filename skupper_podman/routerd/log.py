"""Log lines as skrouterd writes them, the recent ones kept for GET-LOG, and counters for logStats.

A line reads `2026-01-31 12:00:00.123456 +0000 MODULE (level) text`, as operators' tools expect.
What always holds: a payload octet is never logged; a sink that fails (a closed pipe, a full disk)
costs lines, never the router; what is kept in memory is bounded in lines and in their length.
"""

from __future__ import annotations

import contextlib
import sys
import syslog
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
MODULES: Final = (
    "ROUTER", "ROUTER_CORE", "ROUTER_HELLO", "ROUTER_LS", "ROUTER_MA", "MESSAGE", "SERVER", "AGENT", "CONTAINER",
    "ERROR", "POLICY", "HTTP", "CONN_MGR", "PYTHON", "PROTOCOL", "TCP_ADAPTOR", "HTTP_ADAPTOR", "FLOW_LOG",
    "ADDRESS_WATCH", "DEFAULT",
)  # fmt: skip
_RECENT = 100
_LONGEST = 2000
_SYSLOG = {
    "debug": syslog.LOG_DEBUG,
    "info": syslog.LOG_INFO,
    "warning": syslog.LOG_WARNING,
    "error": syslog.LOG_ERR,
    "critical": syslog.LOG_CRIT,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: module, level, text, and microseconds since the epoch."""

    module: str
    level: str
    text: str
    time_us: int


def parse_enable(text: str) -> frozenset[str] | None:
    """The levels an `enable` value names: `info+`, `debug,error`, `none`; None for `default` or nothing.

    Raises ValueError naming the word that is no level.
    """
    levels: set[str] = set()
    words = [word for word in text.replace(";", ",").replace(":", ",").replace(" ", ",").split(",") if word]
    if not words or words == ["default"]:
        return None
    for word in words:
        name, plus = (word[:-1], True) if word.endswith("+") else (word, False)
        name = {"trace": "debug", "notice": "info"}.get(name.lower(), name.lower())
        if name == "none":
            continue
        if name not in LEVELS:
            raise ValueError(f"'{word}' is not a valid log level")
        at = LEVELS.index(name)
        levels.update(LEVELS[at:] if plus else LEVELS[at : at + 1])
    return frozenset(levels)


class _Sink:
    """Where lines go: standard streams, the system log or a file that is opened again after failures."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._file: TextIO | None = None
        if name not in ("stderr", "stdout", "syslog"):
            self._file = Path(name).open("a", encoding="utf-8", errors="replace")  # noqa: SIM115 - lives with the sink

    def write(self, entry: Entry, line: str) -> None:
        if self._name == "syslog":
            syslog.syslog(syslog.LOG_DAEMON | _SYSLOG[entry.level], f"{entry.module} {entry.text}")
            return
        stream: TextIO | None = self._file or (sys.stdout if self._name == "stdout" else sys.stderr)
        if stream is None:  # started with its standard streams closed
            return
        # A reader that went away (EPIPE) or a full disk must not end the router.
        with contextlib.suppress(OSError, ValueError):
            stream.write(line)
            stream.flush()


@dataclass(slots=True)
class _Settings:
    levels: frozenset[str] | None = None
    timestamp: bool | None = None
    source: bool | None = None
    sink: _Sink | None = None
    output: str | None = None


class Log:
    """The log of one router. `log.info("SERVER", "text")` writes a line when that module has that level on."""

    def __init__(self, now: Callable[[], float] = time.time, *, utc: bool = False) -> None:
        self._now = now
        self._utc = utc
        self._format = "%Y-%m-%d %H:%M:%S.%f %z"
        self._settings: dict[str, _Settings] = {module: _Settings() for module in MODULES}
        default = self._settings["DEFAULT"]
        default.levels = parse_enable("info+")
        default.timestamp = True
        default.source = False
        default.sink = _Sink("stderr")
        default.output = "stderr"
        self._enabled: dict[str, frozenset[str]] = {}
        self._refresh()
        self.recent: deque[Entry] = deque(maxlen=_RECENT)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.on_problem: Callable[[Entry], None] | None = None

    def configure(self, module: str, attributes: dict[str, Any]) -> None:
        """Apply the attributes of a `log` entity.

        Raises ValueError on an unknown module or level, OSError on a file that cannot be opened.
        """
        if module not in self._settings:
            raise ValueError(f"'{module}' is not a valid log module")
        settings = self._settings[module]
        if attributes.get("enable") is not None:
            levels = parse_enable(str(attributes["enable"]))
            settings.levels = parse_enable("info+") if levels is None and module == "DEFAULT" else levels
        if attributes.get("includeTimestamp") is not None:
            settings.timestamp = bool(attributes["includeTimestamp"])
        if attributes.get("includeSource") is not None:
            settings.source = bool(attributes["includeSource"])
        output = attributes.get("outputFile")
        if output and output != settings.output:
            settings.sink = _Sink(str(output))
            settings.output = str(output)
        self._refresh()

    def set_time(self, *, utc: bool, time_format: str | None) -> None:
        """Apply the router entity's `timestampsInUTC` and `timestampFormat` (strftime, `%f` microseconds)."""
        self._utc = utc
        self._format = time_format or self._format

    def settings(self, module: str) -> dict[str, Any]:
        """The module's own settings as attributes of a `log` entity; None where the default applies."""
        settings = self._settings[module]
        enable = None if settings.levels is None else _words(settings.levels)
        return {
            "module": module,
            "enable": enable,
            "includeTimestamp": settings.timestamp,
            "includeSource": settings.source,
            "outputFile": settings.output,
        }

    def enabled(self, module: str, level: str) -> bool:
        """Whether a line would be written: asked before composing an expensive text."""
        return level in self._enabled[module]

    def debug(self, module: str, text: str) -> None:
        """For following one connection or address."""
        self.write(module, "debug", text)

    def info(self, module: str, text: str) -> None:
        """For normal events."""
        self.write(module, "info", text)

    def warning(self, module: str, text: str) -> None:
        """For what an operator may want to look at."""
        self.write(module, "warning", text)

    def error(self, module: str, text: str) -> None:
        """For what does not work."""
        self.write(module, "error", text)

    def critical(self, module: str, text: str) -> None:
        """For what stops the router or the network from working."""
        self.write(module, "critical", text)

    def write(self, module: str, level: str, text: str) -> None:
        """Write one line when it is enabled; newlines in `text` become spaces."""
        self.counts[module, level] += 1
        if level not in self._enabled[module]:
            return
        now = self._now()
        entry = Entry(module, level, text.replace("\n", " ")[:_LONGEST], int(now * 1e6))
        self.recent.append(entry)
        settings, default = self._settings[module], self._settings["DEFAULT"]
        sink = settings.sink or default.sink
        stamped = default.timestamp if settings.timestamp is None else settings.timestamp
        if sink is not None:
            sink.write(entry, f"{self._stamp(now) if stamped else ''}{module} ({level}) {entry.text}\n")
        if self.on_problem is not None and level in ("warning", "error", "critical"):
            self.on_problem(entry)

    def _refresh(self) -> None:
        default = self._settings["DEFAULT"].levels or frozenset()
        self._enabled = {
            module: default if settings.levels is None else settings.levels
            for module, settings in self._settings.items()
        }

    def _stamp(self, now: float) -> str:
        moment = time.gmtime(now) if self._utc else time.localtime(now)
        pattern = self._format.replace("%f", f"{int(now % 1 * 1e6):06d}")
        return time.strftime(pattern, moment) + " "


def _words(levels: frozenset[str]) -> str:
    if not levels:
        return "none"
    for at, level in enumerate(LEVELS):
        if levels == frozenset(LEVELS[at:]):
            return f"{level}+"
    return ",".join(level for level in LEVELS if level in levels)
