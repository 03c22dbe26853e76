"""The two column layouts of 1.9's verbose reports: blanks for ``status``, tabs for ``link status``."""

from __future__ import annotations

from collections.abc import Sequence

_STOP = 8


def padded(rows: Sequence[tuple[str, str]]) -> str:
    """Label, blanks up to two past the longest label, value, one blank."""
    width = max((len(label) for label, _value in rows), default=0) + 2
    return "".join(f"{label.ljust(width)}{value} \n" for label, value in rows)


def tabbed(rows: Sequence[tuple[str, str]]) -> str:
    """Rows of `` label⇥value⇥``, filled with tabs to 8-column stops as Go's tabwriter does, but for the last value.

    The last value does not widen its column, since no tab ends it.
    """
    labels = [f" {label}" for label, _value in rows]
    label_width = _column(labels)
    value_width = _column([value for _label, value in rows[:-1]])
    lines = [
        _fill(label, label_width) + (value if row is rows[-1] else _fill(value, value_width))
        for label, (_, value), row in zip(labels, rows, rows, strict=True)
    ]
    return "".join(f"{line}\n" for line in lines)


def _column(cells: Sequence[str]) -> int:
    longest = max((len(cell) for cell in cells), default=0) + 1
    return -(-longest // _STOP) * _STOP


def _fill(cell: str, width: int) -> str:
    return cell + "\t" * -(-(width - len(cell)) // _STOP)
