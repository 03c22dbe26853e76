"""Log lines as skrouterd writes them, the recent ones kept for GET-LOG, and counters for logStats.

A line reads `2026-01-31 12:00:00.123456 +0000 MODULE (level) text (file:line)`, as operators' tools expect; the last
part only with `includeSource`.
What always holds: a payload octet is never logged; a sink that fails (a closed pipe, a full disk)
costs lines, never the router; what is kept in memory is bounded in lines and in their length.
"""

from __future__ import annotations

import contextlib
import re
import sys
import syslog
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, TextIO

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
MODULES: Final = (
    "ROUTER", "ROUTER_CORE", "ROUTER_HELLO", "ROUTER_LS", "ROUTER_MA", "MESSAGE", "SERVER", "AGENT", "CONTAINER",
    "ERROR", "POLICY", "HTTP", "CONN_MGR", "PYTHON", "PROTOCOL", "TCP_ADAPTOR", "HTTP_ADAPTOR", "FLOW_LOG",
    "ADDRESS_WATCH", "DEFAULT",
)  # fmt: skip
_RECENT: Final = 1000
_LONGEST: Final = 2000
SETTINGS: Final = ("enable", "includeTimestamp", "includeSource", "outputFile")
DEFAULTS: Final = {"enable": "info+", "includeTimestamp": True, "includeSource": False, "outputFile": "stderr"}
_INFO_AND_ABOVE: Final = frozenset(LEVELS[1:])
#: Levels of other versions of the router, and what they are here.
_ALIASES: Final = {"trace": "debug", "notice": "info"}
_PACKAGE: Final = f"{Path(__file__).parents[2]}/"
_SYSLOG: Final = {
    "debug": syslog.LOG_DEBUG,
    "info": syslog.LOG_INFO,
    "warning": syslog.LOG_WARNING,
    "error": syslog.LOG_ERR,
    "critical": syslog.LOG_CRIT,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: module, level, text, microseconds since the epoch, and where in the source it was written."""

    module: str
    level: str
    text: str
    time_us: int
    file: str = ""
    line: int = 0


def parse_enable(text: str) -> frozenset[str] | None:
    """The levels an `enable` value names: `info+`, `debug,error`, `none`; None for `default`.

    A level may be shortened (`warn+`). Raises ValueError naming the word that is no level.
    """
    levels: set[str] = set()
    for word in re.split(r"[, ;:]+", text):
        if not word:
            continue
        name = _level(word)
        if name == "default":
            return None
        if name != "none":
            at = LEVELS.index(name)
            levels.update(LEVELS[at:] if word.endswith("+") else LEVELS[at : at + 1])
    return frozenset(levels)


def _level(word: str) -> str:
    asked = word.removesuffix("+").lower()
    for name in ("default", "none", *LEVELS, *_ALIASES):
        if asked and name.startswith(asked):
            return _ALIASES.get(name, name)
    raise ValueError(f"'{word}' is not a valid log level")


class _Sink:
    """Where lines go: standard streams, the system log or a file that is opened again after failures."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._file: TextIO | None = None
        if name not in ("stderr", "stdout", "syslog"):
            self._file = Path(name).open("a", encoding="utf-8", errors="replace")  # noqa: SIM115 - lives with the sink

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def write(self, entry: Entry, line: str) -> None:
        if self.name == "syslog":
            syslog.syslog(syslog.LOG_DAEMON | _SYSLOG[entry.level], f"{entry.module} {entry.text}")
            return
        stream: TextIO | None = self._file or (sys.stdout if self.name == "stdout" else sys.stderr)
        if stream is None:  # started with its standard streams closed
            return
        # A reader that went away (EPIPE) or a full disk must not end the router.
        with contextlib.suppress(OSError, ValueError):
            stream.write(line)
            stream.flush()


@dataclass(slots=True)
class _Settings:
    """Of one module; None where the default applies. `given` is what was asked for, word by word."""

    levels: frozenset[str] | None = None
    timestamp: bool | None = None
    source: bool | None = None
    sink: _Sink | None = None
    given: dict[str, Any] = field(default_factory=dict)


class Log:
    """The log of one router. `log.info("SERVER", "text")` writes a line when that module has that level on."""

    def __init__(self, now: Callable[[], float] = time.time, *, utc: bool = False) -> None:
        self._now = now
        self._utc = utc
        self._format = "%Y-%m-%d %H:%M:%S.%f %z"
        self._settings: dict[str, _Settings] = {module: _Settings() for module in MODULES}
        self._sinks: dict[str, _Sink] = {}
        self._enabled: dict[str, frozenset[str]] = {}
        self.recent: deque[Entry] = deque(maxlen=_RECENT)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.on_problem: Callable[[Entry], None] | None = None
        self.on_configured: Callable[[], None] | None = None
        self.configure("DEFAULT", DEFAULTS)

    def configure(self, module: str, attributes: Mapping[str, Any]) -> None:
        """Apply the attributes of a `log` entity, all or none of them.

        Raises ValueError on an unknown module or level, OSError on a file that cannot be opened.
        """
        if module not in self._settings:
            raise ValueError(f"'{module}' is not a valid log module")
        given = {name: attributes[name] for name in SETTINGS if attributes.get(name) is not None}
        settings = self._settings[module]
        levels = parse_enable(str(given["enable"])) if "enable" in given else settings.levels
        if "outputFile" in given:
            settings.sink = self._sink(str(given["outputFile"]))
        settings.levels = levels
        if "includeTimestamp" in given:
            settings.timestamp = bool(given["includeTimestamp"])
        if "includeSource" in given:
            settings.source = bool(given["includeSource"])
        settings.given.update(given)
        self._refresh()
        if self.on_configured is not None:
            self.on_configured()

    def _sink(self, name: str) -> _Sink:
        """Where these lines go; modules with the same output share it. Outputs that nobody uses are closed."""
        if name not in self._sinks:
            self._sinks[name] = _Sink(name)
        used = {settings.sink.name for settings in self._settings.values() if settings.sink is not None}
        for unused in self._sinks.keys() - used - {name}:
            self._sinks.pop(unused).close()
        return self._sinks[name]

    def set_time(self, *, utc: bool, time_format: str | None) -> None:
        """Apply the router entity's `timestampsInUTC` and `timestampFormat` (strftime, `%f` microseconds)."""
        self._utc = utc
        self._format = time_format or self._format

    def settings(self, module: str) -> dict[str, Any]:
        """The module's own settings as they were given; None where the default applies."""
        return {"module": module, **dict.fromkeys(SETTINGS), **self._settings[module].given}

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

    def write(self, module: str, level: str, text: str, *, always: bool = False) -> None:
        """Write one line when it is enabled, or `always`; newlines in `text` become spaces."""
        self.counts[module, level] += 1
        if not always and level not in self._enabled[module]:
            return
        now = self._now()
        file, line = _caller()
        entry = Entry(module, level, text.replace("\n", " ")[:_LONGEST], int(now * 1e6), file, line)
        self.recent.append(entry)
        settings, default = self._settings[module], self._settings["DEFAULT"]
        sink = settings.sink or default.sink
        if sink is not None:
            stamped = default.timestamp if settings.timestamp is None else settings.timestamp
            sourced = default.source if settings.source is None else settings.source
            stamp = self._stamp(now) if stamped and sink.name != "syslog" else ""
            source = f" ({file}:{line})" if sourced else ""
            sink.write(entry, f"{stamp}{module} ({level}) {entry.text}{source}\n")
        if self.on_problem is not None and level in ("warning", "error", "critical") and module != "FLOW_LOG":
            self.on_problem(entry)

    def _refresh(self) -> None:
        default = self._settings["DEFAULT"].levels
        if default is None:
            default = _INFO_AND_ABOVE
        self._enabled = {
            module: default if settings.levels is None else settings.levels
            for module, settings in self._settings.items()
        }

    def _stamp(self, now: float) -> str:
        moment = time.gmtime(now) if self._utc else time.localtime(now)
        pattern = self._format.replace("%f", f"{int(now % 1 * 1e6):06d}")
        return time.strftime(pattern, moment) + " "


def _caller() -> tuple[str, int]:
    """File and line outside this module that wrote the line."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if frame is None:
        return "", 0
    return frame.f_code.co_filename.removeprefix(_PACKAGE), frame.f_lineno
