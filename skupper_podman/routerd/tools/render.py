"""Tables and numbers as skstat prints them. Pure.

What always holds: a table prints its title even when it has no rows, and then nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_PREFIX: Final = "  "
_SPACING: Final = 2
_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under column headings; values of None print as nothing."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def text(self) -> str:
        """The table in columns as wide as their widest cell."""
        if not self.rows:
            return self.title
        cells = [[_text(cell) for cell in row] for row in self.rows]
        widths = [
            max(len(heading), *(len(row[index]) for row in cells)) + _SPACING
            for index, heading in enumerate(self.columns)
        ]
        rule = _PREFIX + "=" * sum(widths)
        return "\n".join([self.title, _line(self.columns, widths), rule, *(_line(row, widths) for row in cells)])

    def csv(self) -> str:
        """The table with its cells quoted and separated by commas."""
        if not self.rows:
            return self.title
        lines = [self.columns, *([_text(cell) for cell in row] for row in self.rows)]
        return "\n".join([self.title, *(",".join(_quoted(cell) for cell in line) for line in lines)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells[:-1], widths[:-1], strict=True)]
    return _PREFIX + "".join([*padded, cells[-1]])


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if text else ""


def commas(value: Any) -> str:
    """A number with its thousands separated."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def days(seconds: int) -> str:
    """A duration as days, hours, minutes and seconds: ``000:01:02:03``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day:03}:{hour:02}:{minute:02}:{second:02}"


def clock(seconds: int) -> str:
    """A duration within a day: ``01:02:03``."""
    return days(seconds % 86400)[4:]


def octets(value: int) -> str:
    """A number of octets in units of 1024: ``1.50 MiB``."""
    if value < 1024:
        return str(value)
    amount, unit = float(value), -1
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    digits = 2 if amount < 10 else 1 if amount < 100 else 0
    return f"{amount:.{digits}f} {_UNITS[unit]}"
